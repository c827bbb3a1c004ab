#!/usr/bin/env bash
# The fake host itself: that a test can pass, that what it leaves behind is seen, and that
# outside and host reach each other without netjail in between.
. "$(dirname "$0")/lib.sh"

root_outside_answers() {
    serve_outside tcp 0.0.0.0 7 tcp :: 7 udp 0.0.0.0 7 udp :: 7
    local p a
    for p in tcp udp; do
        for a in "$OUTSIDE4" "$OUTSIDE6" "$INTERNET4" "$INTERNET6" "$PRIVATE4" "$PRIVATE6"; do
            assert_connect ok -- $p "$a" 7
        done
    done
    assert_connect refused -- tcp "$OUTSIDE4" 8
}

root_left_link_is_seen() {
    ip link add left0 type bridge
    (assert_host_clean 0) 2> /dev/null && fail "a left link was not seen"
    ip link del left0
}

root_left_rule_is_seen() {
    nft add table inet left
    (assert_host_clean 0) 2> /dev/null && fail "a left table was not seen"
    nft delete table inet left
}

root_left_sysctl_is_seen() {
    sysctl -qw net.ipv4.conf.up0.forwarding=1
    (assert_host_clean 0) 2> /dev/null && fail "a changed sysctl was not seen"
    sysctl -qw net.ipv4.conf.up0.forwarding=0
}

both_left_process_is_seen() {
    tail -f /dev/null &
    local pid=$!
    (assert_host_clean 0) 2> /dev/null && fail "a left process was not seen"
    kill "$pid"
    wait "$pid" || :
}

user_is_ordinary() {
    assert_equal "$(id -u)" "$TEST_UID"
    assert_equal "$(awk '/CapEff/{print $2}' /proc/self/status)" 0000000000000000
}

run_tests "$@"
