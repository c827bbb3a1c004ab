#!/usr/bin/env bash
# link relay, UDP: datagrams of both families, answers from the address that was asked, errors handed on.
. "$(dirname "$0")/lib.sh"

ABSENT4=192.0.2.99 ABSENT6=2001:db8:1::99 # a neighbour that is not there
BEYOND4=203.0.113.9 BEYOND6=2001:db8:dead::9 # where the router has no way to

prepare() {
    serve_outside udp 0.0.0.0 7 udp :: 7
    sysctl -qw net.ipv4.neigh.up0.retrans_time_ms=100 net.ipv6.neigh.up0.retrans_time_ms=100
    outside sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1
    outside ip route add unreachable 203.0.113.0/24
    outside ip route add unreachable 2001:db8:dead::/48
}

relayed() { # relayed RULE...: a policy with link relay and these rules
    { echo 'link relay'; printf '%s\n' "$@"; } | policy relayed
}

both_answers_come_from_the_address_that_was_asked() {
    local file a
    file=$(relayed 'allow out udp port { 7, 9 }')
    for a in "$INTERNET4" "$OUTSIDE4"; do
        assert_connect "ok hello from $a to $HOST4" "$NETJAIL" -p "$file" -- udp "$a" 7
    done
    for a in "$INTERNET6" "$OUTSIDE6"; do
        assert_connect "ok hello from $a to $HOST6" "$NETJAIL" -p "$file" -- udp "$a" 7
    done
}

both_errors_are_handed_on() {
    local file
    file=$(relayed 'allow out udp port { 7, 9 }')
    # Nobody listens at port 9: the outside's ICMP port unreachable.
    assert_connect refused "$NETJAIL" -p "$file" -- udp "$INTERNET4" 9
    assert_connect refused "$NETJAIL" -p "$file" -- udp "$INTERNET6" 9
    # No rule: refused in the jail.
    assert_connect denied "$NETJAIL" -p "$file" -- udp "$INTERNET4" 10
    assert_connect denied "$NETJAIL" -p "$file" -- udp "$INTERNET6" 10
}

# What a program is told only when it asks for it: the same as without a jail.
both_reports_are_handed_on() {
    local file a expected
    file=$(relayed 'allow out udp port { 7, 9 }')
    for a in "$ABSENT4" "$ABSENT6" "$BEYOND4" "$BEYOND6"; do
        expected=$("$LIVE_DIR/relay.py" report "$a" 9)
        case $expected in EHOSTUNREACH | ENETUNREACH) ;; *) fail "$a without a jail: $expected" ;; esac
        assert_equal "$("$NETJAIL" -q -p "$file" -- "$LIVE_DIR/relay.py" report "$a" 9)" "$expected" "$a"
    done
    assert_equal "$("$NETJAIL" -q -p "$file" -- "$LIVE_DIR/relay.py" report "$INTERNET4" 7)" answered
}

# Name servers and clocks ask from the port that they serve, on every address.
both_a_server_asks_others_of_its_kind() {
    local file a
    file=$(relayed 'allow out udp port 7')
    for a in "$INTERNET4" "$INTERNET6"; do
        assert_equal "$("$NETJAIL" -q -p "$file" -- "$LIVE_DIR/relay.py" share "$a" 7)" "answered answered " "$a"
        assert_equal "$("$NETJAIL" -q -p "$file" -- "$LIVE_DIR/relay.py" yield "$a" 7)" "nothing answered" "$a"
    done
}

# Reports come in a queue besides: whoever leaves one there has a service that never sleeps again.
both_a_report_keeps_nobody_busy() {
    local file service before
    file=$(relayed 'allow out udp port { 7, 9 }')
    start_jail one -q -p "$file" --name one -- bash -c "
        for a in $ABSENT4 $ABSENT6 $BEYOND4 $BEYOND6 $INTERNET4; do $LIVE_DIR/relay.py report \$a 9; done; read -r line < $T/go"
    mkfifo -m 666 "$T/go"
    wait_for 30 eval "[ \"\$(wc -l < '$T/jail-one.out')\" = 5 ]"
    service=$(service_of one)
    before=$(processor_time "$service")
    timeout 2 tail -f /dev/null || :
    [ $(($(processor_time "$service") - before)) -lt 50 ] || fail "the service is busy with a report"
    end_jail one
}

service_of() { # service_of NAME: the pid of the jail's netjail-service
    local i
    for i in $(descendants "${JAILS[$1]}"); do
        [ "$(tr '\0' ' ' < "/proc/$i/cmdline" | cut -c1-15)" = netjail-service ] && echo "$i"
    done || :
}

processor_time() { awk '{ print $14 + $15 }' "/proc/$1/stat"; } # in 1/100 s

# The refusal of a datagram costs the next one nothing.
both_a_refusal_takes_no_datagram_along() {
    local file before4 before6
    file=$(relayed 'allow out udp port 9')
    before4=$(sent4) before6=$(sent6)
    "$NETJAIL" -q -p "$file" -- bash -c "$LIVE_DIR/relay.py burst $INTERNET4 9 10; $LIVE_DIR/relay.py burst $INTERNET6 9 10"
    assert_equal "$(($(sent4) - before4)) $(($(sent6) - before6))" "10 10" "datagrams that left"
}

sent4() { awk '/^Udp: [0-9]/ { print $5 }' /proc/net/snmp; }
sent6() { awk '/^Udp6OutDatagrams/ { print $2 }' /proc/net/snmp6; }

run_tests "$@"
