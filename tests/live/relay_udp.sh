#!/usr/bin/env bash
# link relay, UDP: datagrams of both families, answers from the address that was asked, errors handed on.
. "$(dirname "$0")/lib.sh"

prepare() {
    serve_outside udp 0.0.0.0 7 udp :: 7
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

run_tests "$@"
