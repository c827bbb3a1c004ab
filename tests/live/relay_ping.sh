#!/usr/bin/env bash
# link relay, pings: where the host lets everybody ping, a jail may, too: what its rules admit.
# (Where the host does not: relay.sh ping_is_refused.)
. "$(dirname "$0")/lib.sh"

prepare() {
    sysctl -qw net.ipv4.ping_group_range='0 2147483647'
    sysctl -qw net.ipv4.neigh.up0.retrans_time_ms=100 net.ipv6.neigh.up0.retrans_time_ms=100
    ip route add unreachable 2001:db8:dead::/48
}

pings() { # pings RULE...: a policy with link relay and these rules
    { echo 'link relay'; printf '%s\n' "$@"; } | policy pings
}

jailed_ping() { # jailed_ping FILE ARG...
    local file=$1
    shift
    run "$NETJAIL" -q -p "$file" -- ping -n -W 10 "$@"
}

both_answers_come() {
    local file a
    file=$(pings "allow out icmp to $INTERNET4" "allow out icmpv6 to $INTERNET6")
    for a in "$INTERNET4" "$INTERNET6"; do
        jailed_ping "$file" -c 3 -i 0.2 -s 1001 "$a"
        assert_contains "$out" "1009 bytes from $a"
        assert_contains "$out" "3 received"
        jailed_ping "$file" -c 1 -s 4000 "$a" # more than the queue copies: refused, not lost
        assert_contains "$out" "0 received"
        assert_contains "$out" "+1 errors"
    done
}

both_doctor_finds_it() {
    run "$NETJAILCTL" doctor
    assert_contains "$out" 'ok         ping sockets'
}

# Each program gets its own answers.
both_two_at_once() {
    local file
    file=$(pings "allow out icmp to $INTERNET4")
    run "$NETJAIL" -q -p "$file" -- \
        bash -c "ping -n -c 2 -W 10 $INTERNET4 & ping -n -c 2 -W 10 $INTERNET4; wait"
    assert_equal "$(grep -c '2 received' <<< "$out")" 2
}

both_only_what_the_rules_admit() {
    local file a
    file=$(pings "allow out icmp to $INTERNET4" 'allow out icmpv6 to 2001:db8:dead::/48')
    # A neighbour, the same address family's other end, a destination without a route, host.netjail, this host.
    for a in 192.0.2.99 "$INTERNET6" 2001:db8:dead::1 192.0.0.1 "$HOST4"; do
        jailed_ping "$file" -c 1 "$a"
        assert_contains "$out" "0 received"
        assert_contains "$out" "+1 errors"
    done
    jailed_ping "$file" -c 1 127.0.0.1
    assert_contains "$out" "1 received"
}

both_absent_neighbour_is_told() {
    local file
    file=$(pings 'allow out icmp to 192.0.2.99' 'allow out icmpv6 to 2001:db8:1::99')
    jailed_ping "$file" -c 1 192.0.2.99
    assert_contains "$out" "Destination Host Unreachable"
    jailed_ping "$file" -c 1 2001:db8:1::99
    assert_contains "$out" "Address unreachable"
}

# This host is `any` as little for pings as for connections.
both_this_host_is_not_any() {
    local file
    file=$(pings 'allow out to any')
    jailed_ping "$file" -c 1 "$HOST4"
    assert_contains "$out" "0 received"
    jailed_ping "$file" -c 1 "$HOST6"
    assert_contains "$out" "0 received"
    jailed_ping "$(pings "allow out icmp to $HOST4")" -c 1 "$HOST4"
    assert_contains "$out" "1 received"
}

# `host` is every address of it, for an ordinary user, too, whose jail has nothing else on the host.
both_this_host_by_its_word() {
    local file
    file=$(pings 'allow out icmp to host' 'allow out icmpv6 to host')
    jailed_ping "$file" -c 1 "$HOST4"
    assert_contains "$out" "1 received"
    jailed_ping "$file" -c 1 "$HOST6"
    assert_contains "$out" "1 received"
    jailed_ping "$file" -c 1 "$INTERNET4"
    assert_contains "$out" "0 received"
    file=$(pings 'deny out to host' 'allow out to any')
    jailed_ping "$file" -c 1 "$HOST4"
    assert_contains "$out" "0 received"
}

run_tests "$@"
