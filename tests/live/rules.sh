#!/usr/bin/env bash
# Every kind of rule, with real packets, both families.
. "$(dirname "$0")/lib.sh"

NETWORK='network r_br { address 10.71.0.1/24 ; address fd00:71::1/64 ; nat }
link eth0 bridge r_br { address 10.71.0.5/24 ; address fd00:71::5/64 }'

with_rules() { # with_rules NAME: rules on stdin
    { printf '%s\n' "$NETWORK"; cat; } | policy "$1"
}

PORTS_OUTSIDE='tcp 0.0.0.0 7 tcp :: 7 tcp 0.0.0.0 8 tcp :: 8 udp 0.0.0.0 7 udp :: 7'

try_jail() { # try_jail EXPECTED POLICY PROTO ADDR PORT
    assert_connect "$1" "$NETJAIL" -q -p "$2" -- "$3" "$4" "$5"
}

root_default_denies_at_once() {
    # shellcheck disable=SC2086
    serve_outside $PORTS_OUTSIDE
    local file ms word a
    file=$(with_rules nothing < /dev/null)
    for a in "$INTERNET4" "$INTERNET6"; do
        read -r ms word <<< "$("$NETJAIL" -q -p "$file" "$NET" time tcp "$a" 7)"
        assert_equal "$word" refused "TCP to $a"
        [ "$ms" -lt 400 ] || fail "refused only after $ms ms"
        read -r ms word <<< "$("$NETJAIL" -q -p "$file" "$NET" time udp "$a" 7)"
        assert_equal "$word" denied "UDP to $a"
        [ "$ms" -lt 400 ] || fail "refused only after $ms ms"
    done
}

root_drop_is_silent() {
    # shellcheck disable=SC2086
    serve_outside $PORTS_OUTSIDE
    local file
    file=$(with_rules silent <<< 'default out drop')
    try_jail timeout "$file" tcp "$INTERNET4" 7
    try_jail timeout "$file" tcp "$INTERNET6" 7
    file=$(with_rules silent_rule <<< 'drop out tcp port 7
allow out')
    try_jail timeout "$file" tcp "$INTERNET4" 7
    try_jail ok "$file" tcp "$INTERNET4" 8
}

root_default_allow() {
    # shellcheck disable=SC2086
    serve_outside $PORTS_OUTSIDE
    local file
    file=$(with_rules open <<< 'default out allow
deny out tcp port 8')
    try_jail ok "$file" tcp "$INTERNET4" 7
    try_jail ok "$file" udp "$INTERNET6" 7
    try_jail refused "$file" tcp "$INTERNET4" 8
    try_jail refused "$file" tcp "$INTERNET6" 8
}

root_first_match_wins() {
    # shellcheck disable=SC2086
    serve_outside $PORTS_OUTSIDE
    local file
    file=$(with_rules first <<< 'allow out tcp port 7
deny out tcp port { 7, 8 }
allow out')
    try_jail ok "$file" tcp "$INTERNET4" 7
    try_jail refused "$file" tcp "$INTERNET4" 8
    try_jail ok "$file" udp "$INTERNET4" 7
}

root_addresses_prefixes_and_ranges() {
    # shellcheck disable=SC2086
    serve_outside $PORTS_OUTSIDE
    local file
    file=$(with_rules address <<< "allow out tcp to { $INTERNET4, $INTERNET6 } port 7")
    try_jail ok "$file" tcp "$INTERNET4" 7
    try_jail ok "$file" tcp "$INTERNET6" 7
    try_jail refused "$file" tcp "$OUTSIDE4" 7
    try_jail refused "$file" tcp "$OUTSIDE6" 7
    try_jail refused "$file" tcp "$INTERNET4" 8
    try_jail denied "$file" udp "$INTERNET4" 7
    file=$(with_rules prefix <<< 'allow out to { 198.51.100.0/24, 2001:db8:100::/48 }')
    try_jail ok "$file" tcp "$INTERNET4" 7
    try_jail ok "$file" udp "$INTERNET6" 7
    try_jail refused "$file" tcp "$OUTSIDE4" 7
    file=$(with_rules range <<< 'allow out to { 198.51.100.9-198.51.100.10, 2001:db8:100::1-2001:db8:100::10 }')
    try_jail ok "$file" tcp "$INTERNET4" 7
    try_jail ok "$file" tcp "$INTERNET6" 7
    file=$(with_rules range_below <<< 'allow out to { 198.51.100.1-198.51.100.9, 2001:db8:100::1-2001:db8:100::f }')
    try_jail refused "$file" tcp "$INTERNET4" 7
    try_jail refused "$file" tcp "$INTERNET6" 7
}

root_builtin_sets() {
    # shellcheck disable=SC2086
    serve_outside $PORTS_OUTSIDE
    local file
    file=$(with_rules builtin <<< 'deny out to { private, link-local, multicast, metadata, broadcast }
allow out to any')
    try_jail ok "$file" tcp "$INTERNET4" 7
    try_jail ok "$file" tcp "$INTERNET6" 7
    try_jail refused "$file" tcp "$PRIVATE4" 7
    try_jail refused "$file" tcp "$PRIVATE6" 7
    try_jail refused "$file" tcp 169.254.169.254 80
    try_jail denied "$file" udp 224.0.0.1 7
    try_jail denied "$file" udp 255.255.255.255 7
}

root_defines_and_files() {
    # shellcheck disable=SC2086
    serve_outside $PORTS_OUTSIDE
    local file
    printf '%s\n' '# one per line' 198.51.100.0/24 "$INTERNET6" 203.0.113.7-203.0.113.9 > "$T/list"
    file=$(with_rules defines <<POLICY
define services ports { 7, 100-200 }
define listed file "$T/list"
define here { $OUTSIDE4 }
allow out tcp to \$listed port \$services
allow out tcp to \$here port 8
POLICY
    )
    try_jail ok "$file" tcp "$INTERNET4" 7
    try_jail ok "$file" tcp "$INTERNET6" 7
    try_jail refused "$file" tcp "$INTERNET4" 8
    try_jail ok "$file" tcp "$OUTSIDE4" 8
    try_jail refused "$file" tcp "$OUTSIDE4" 7
    file=$(with_rules param <<'POLICY'
param server "the server to reach"
allow out tcp to $server port 7
POLICY
    )
    assert_connect ok "$NETJAIL" -q -p "$file" -D "server=$INTERNET4" -- tcp "$INTERNET4" 7
    assert_connect refused "$NETJAIL" -q -p "$file" -D "server=$INTERNET4" -- tcp "$INTERNET6" 7
    assert_status 125 "$NETJAIL" -q -p "$file" true
    assert_contains "$err" "the server to reach"
}

root_port_ranges() {
    # shellcheck disable=SC2086
    serve_outside $PORTS_OUTSIDE
    local file
    file=$(with_rules ports <<< 'allow out tcp port 1-7
allow out udp port { 5, 6-9 }')
    try_jail ok "$file" tcp "$INTERNET4" 7
    try_jail refused "$file" tcp "$INTERNET4" 8
    try_jail ok "$file" udp "$INTERNET6" 7
}

root_incoming() {
    local file
    file=$(with_rules incoming <<< 'allow in tcp from 10.71.0.1 port 80
allow in tcp from fd00:71::1 port 81
drop in tcp port 83')
    serve_in_jail one "$file" tcp 0.0.0.0 80 tcp :: 80 tcp 0.0.0.0 81 tcp :: 81 udp 0.0.0.0 80 tcp 0.0.0.0 83
    assert_connect ok -- tcp 10.71.0.5 80
    assert_connect refused -- tcp fd00:71::5 80
    assert_connect refused -- tcp 10.71.0.5 81
    assert_connect ok -- tcp fd00:71::5 81
    assert_connect denied -- udp 10.71.0.5 80
    assert_connect timeout -- tcp 10.71.0.5 83
    end_jail one
}

root_icmp_types() {
    local file
    file=$(with_rules icmp <<< 'allow out icmp echo-request')
    assert_status 0 "$NETJAIL" -q -p "$file" --user daemon ping -nqc1 -W2 "$INTERNET4"
    assert_fails "$NETJAIL" -q -p "$file" --user daemon ping -nqc1 -W1 "$INTERNET6"
    file=$(with_rules icmp6 <<< 'allow out icmpv6 echo-request
allow in icmp echo-request')
    assert_status 0 "$NETJAIL" -q -p "$file" --user daemon ping -nqc1 -W2 "$INTERNET6"
    assert_fails "$NETJAIL" -q -p "$file" --user daemon ping -nqc1 -W1 "$INTERNET4"
    start_jail one -p "$file" -- bash -c 'echo up; exec tail -f /dev/null'
    wait_for_file "$T/jail-one.out"
    ping -nqc1 -W2 10.71.0.5 > /dev/null
    assert_fails ping -nqc1 -W1 fd00:71::5
    end_jail one
}

root_neighbour_discovery_works_without_a_rule() {
    local file
    file=$(with_rules nd <<< 'allow in tcp port 80')
    serve_in_jail one "$file" tcp :: 80
    assert_connect ok -- tcp fd00:71::5 80
    end_jail one
}

root_rate_limits_new_connections() {
    # shellcheck disable=SC2086
    serve_outside $PORTS_OUTSIDE
    local file
    file=$(with_rules rate <<< 'allow out tcp port 7 rate 2/minute burst 3')
    run "$NETJAIL" -q -p "$file" bash -c 'for i in 1 2 3 4 5 6 7 8; do "$1" try tcp "$2" 7; done' - "$NET" "$INTERNET4"
    local count
    count=$(grep -c '^ok' "$T/out")
    [ "$count" -ge 2 ] && [ "$count" -le 4 ] || fail "$count of 8 connections passed a burst of 3"
    assert_contains "$out" refused
}

root_options_equal_statements() {
    # shellcheck disable=SC2086
    serve_outside $PORTS_OUTSIDE
    local file
    file=$(with_rules options < /dev/null)
    assert_connect ok "$NETJAIL" -q -p "$file" --allow 'out tcp port 7' -- tcp "$INTERNET4" 7
    assert_connect ok "$NETJAIL" -q -p "$file" -e 'allow out tcp port 7' -- tcp "$INTERNET4" 7
    assert_connect refused "$NETJAIL" -q -p "$file" --deny 'out tcp port 7' --allow out -- tcp "$INTERNET4" 7
    assert_status 125 "$NETJAIL" -q -p "$file" --allow 'out tpc port 7' true
    assert_contains "$err" "did you mean 'tcp'?"
    assert_contains "$err" '^~~'
}

root_many_rules() {
    # shellcheck disable=SC2086
    serve_outside $PORTS_OUTSIDE
    local file
    file=$({
        for i in $(seq 0 9999); do
            echo "allow out tcp to 203.0.$((i / 250 % 250)).$((i % 250)) port $((1000 + i))"
        done
        echo "allow out tcp to $INTERNET4 port 7"
    } | with_rules big)
    try_jail ok "$file" tcp "$INTERNET4" 7
    try_jail refused "$file" tcp "$INTERNET4" 8
}

root_rules_are_in_the_kernel_before_the_command() {
    local file
    file=$(with_rules order <<< 'allow out tcp port 7')
    start_jail one -p "$file" --name one -- bash -c 'echo up; exec tail -f /dev/null'
    wait_for_file "$T/jail-one.out"
    run jail_exec one nft list ruleset
    assert_contains "$out" 'table inet netjail'
    assert_equal "$(grep -c 'policy drop' <<< "$out")" 3 "chains with policy drop"
    end_jail one
}

run_tests "$@"
