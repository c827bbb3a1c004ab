#!/usr/bin/env bash
# log denied to journal: entries of the native protocol, at a journald of the test's own.
. "$(dirname "$0")/lib.sh"

journald() { # writes each datagram to $T/journal, a line per datagram
    mkdir -p /run/systemd/journal
    cat > "$T/journald.py" << 'PYTHON'
import os, socket, sys
server = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
server.bind("/run/systemd/journal/socket")
os.chmod("/run/systemd/journal/socket", 0o666)
out = open(sys.argv[1], "w", buffering=1)
out.write("up\n")
while True:
    out.write(repr(server.recv(65536).decode()) + "\n")
PYTHON
    python3 "$T/journald.py" "$T/journal" &
    remember_process $!
    wait_for_file "$T/journal"
}

root_entries_have_the_jails_name() {
    journald
    local file
    file=$(policy logged <<'POLICY'
name logged
network j_br { address 10.76.0.1/24 }
link eth0 bridge j_br
log denied to journal
POLICY
    )
    assert_connect refused "$NETJAIL" -q --wait-clean -p "$file" -- tcp "$INTERNET4" 81
    wait_for 5 grep -q 'denied out' "$T/journal"
    assert_contains "$(cat "$T/journal")" 'PRIORITY=5\nSYSLOG_IDENTIFIER=netjail\nNETJAIL_NAME=logged\nMESSAGE=netjail: logged: denied out tcp'
    # The hint is an entry of its own: no line inside a message.
    assert_contains "$(grep -c 'MESSAGE=netjail: logged: hint: allow out tcp to '"$INTERNET4"' port 81' "$T/journal")" 1
    run "$NETJAIL" -q --name opt --net j_br --log journal true
    assert_contains "$err" "there is no network or bridge 'j_br'" # the option is known; its jail is not made
    rm -r /run/systemd
}

both_without_a_journal_it_does_not_start() {
    assert_status 125 "$NETJAIL" -q -e 'log denied to journal' true
    assert_contains "$err" "option --statement: cannot reach the journal at '/run/systemd/journal/socket'"
    assert_contains "$err" 'is systemd-journald running?'
}

run_tests "$@"
