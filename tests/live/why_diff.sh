#!/bin/bash
# netjailctl why and diff: what policies say about flows, in words, as JSON and as an exit status.
# shellcheck disable=SC2154 # out, err and status are set by run
. "$(dirname "$0")/lib.sh"

both_why() {
    local web=$TEST_TOP/policies/web.conf
    assert_status 0 "$NETJAILCTL" why "$web" 'out tcp 10.10.0.20 5432'
    assert_contains "$out" "allow (IPv4): out tcp to 10.10.0.20 port 5432"
    assert_contains "$out" "this line decides"
    assert_contains "$out" "allow out tcp to { 10.10.0.20"
    assert_status 1 "$NETJAILCTL" why "$web" 'out tcp pypi.org 443'
    assert_contains "$out" "no rule matches; the default of \`out\` is deny"
    # Directly it is refused, through the published port it is let in.
    assert_status 0 "$NETJAILCTL" why "$web" 'in tcp 192.0.2.100 80'
    assert_contains "$out" "deny (IPv4): in tcp from 192.0.2.100 port 80, sent directly"
    assert_contains "$out" "allow (IPv4): in tcp from 192.0.2.100 port 80, through the published port"
    run "$NETJAILCTL" why --json "$web" 'out tcp 10.10.0.20 5432'
    assert_equal "$(printf '%s' "$out" | jq -r '.[0] | [.verdict, .by, .family, (.line | tostring)] | join(" ")')" "allow rule ipv4 18"
    # A name that the resolver refuses comes to no rule, whatever the port.
    printf '%s\n' 'link relay' 'deny out tcp to www.test port 80' 'allow out tcp to { www.test, *.test } port 443' > "$T/names.conf"
    assert_status 1 "$NETJAILCTL" why "$T/names.conf" 'out tcp www.test 443'
    assert_contains "$out" 'names.conf:2:1: this line decides'
    assert_status 0 "$NETJAILCTL" why "$T/names.conf" 'out tcp a.test 443'
}

both_why_mistakes() {
    local web=$TEST_TOP/policies/web.conf
    assert_status 2 "$NETJAILCTL" why "$web" 'out tcp 10.0.0.0/8 5'
    assert_contains "$err" "a question is about one address"
    assert_status 2 "$NETJAILCTL" why "$web" 'up tcp 10.0.0.1 5'
    assert_contains "$err" "a question reads like a rule"
    assert_status 2 "$NETJAILCTL" why "$web"
    assert_status 4 "$NETJAILCTL" why /nonexistent 'out tcp 10.0.0.1 5'
    printf 'allow out tpc\n' | policy bad > /dev/null
    assert_status 3 "$NETJAILCTL" why "$T/bad.conf" 'out tcp 10.0.0.1 5'
    assert_contains "$err" "did you mean 'tcp'"
}

both_diff() {
    local a b
    a=$(policy a << 'END'
allow out tcp to { 10.0.0.5, 10.0.0.7, fd00::7 } port 80
allow out icmp echo-request
publish 8080 to 80
END
    )
    b=$(policy b << 'END'
allow out tcp to 10.0.0.4/30 port { 80, 443 }
allow out icmp
END
    )
    assert_status 1 "$NETJAILCTL" diff "$a" "$b"
    assert_contains "$out" "only $a admits:"
    assert_contains "$out" "  out tcp to fd00::7 port 80 "
    assert_contains "$out" "  publish 8080 to 80 tcp "
    assert_contains "$out" "only $b admits:"
    assert_contains "$out" "  out tcp to { 10.0.0.4, 10.0.0.6 } port 80 "
    assert_contains "$out" "  out tcp to 10.0.0.4/30 port 443 "
    assert_contains "$out" "  out icmp 0-7 to 0.0.0.0/0 "
    assert_lacks "$out" "icmp 8"
    assert_status 0 "$NETJAILCTL" diff "$a" "$a"
    assert_equal "$out" "both admit the same"
    run "$NETJAILCTL" diff --json "$a" "$b"
    assert_equal "$(printf '%s' "$out" | jq -c '[(.only_first | length), (.only_second | length > 3), .complete]')" '[2,true,true]'
    # What `why` says about a flow of the difference agrees.
    assert_status 1 "$NETJAILCTL" why "$a" 'out tcp 10.0.0.4 443'
    assert_status 0 "$NETJAILCTL" why "$b" 'out tcp 10.0.0.4 443'
    # Thousands of rules are compared as well.
    for i in $(seq 0 2000); do echo "allow out tcp to 10.$((i / 250)).$((i % 250)).1 port $((i + 1))"; done | policy many > /dev/null
    { cat "$T/many.conf"; echo 'allow out udp to 10.0.0.1 port 53'; } | policy more > /dev/null
    assert_status 1 "$NETJAILCTL" diff "$T/many.conf" "$T/more.conf"
    assert_equal "$(printf '%s\n' "$out" | wc -l)" 2
    assert_contains "$out" "out udp to 10.0.0.1 port 53"
}

run_tests "$@"
