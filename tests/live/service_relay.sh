#!/bin/bash
# netjail-service without netjail, as root and as an ordinary user: see service_relay.py.
cd "$(dirname "$0")" || exit 1
: "${TEST_UID:=64321}" "${B:=../../build}"
service=$(realpath "${NETJAIL_SERVICE:-$B/netjail-service}")
if [ "$(id -u)" != 0 ]; then
    exec python3 service_relay.py "$service"
fi
status=0
python3 service_relay.py "$service" || status=$?
if [ $status = 77 ]; then
    exit 77
fi
if ! setpriv --reuid "$TEST_UID" --regid "$TEST_UID" --clear-groups test -x "$service"; then
    echo "skip service_relay user: an ordinary user cannot reach $service"
    exit $status
fi
setpriv --reuid "$TEST_UID" --regid "$TEST_UID" --clear-groups \
    env PYTHONDONTWRITEBYTECODE=1 python3 service_relay.py "$service" || user=$?
case ${user:-0} in
0) ;;
77) echo "skip service_relay user: no user namespaces" ;;
*) status=1 ;;
esac
exit $status
