#!/usr/bin/env bash
# A hostile command behind `link relay` (attack_relay.py, attack_reach.py), with somebody outside who sees every packet.
. "$(dirname "$0")/lib.sh"
export TEST_TIMEOUT=240

command -v tcpdump > /dev/null || {
    printf 'tcpdump is not installed\n'
    exit 77
}

prepare() {
    serve_outside tcp 0.0.0.0 7 tcp :: 7 tcp 0.0.0.0 9 tcp :: 9 tcp 0.0.0.0 53 tcp :: 53 udp 0.0.0.0 53 udp :: 53 udp 0.0.0.0 9 udp :: 9
    nsenter --net=/run/netns/outside tcpdump -Z root -Uni out0 -w "$T/outside.pcap" < /dev/null > "$T/watch" 2>&1 &
    remember_process $!
    wait_for 10 grep -q 'listening on' "$T/watch"
    chmod 644 "$T/outside.pcap"
}

seen() { tcpdump -nAr "$T/outside.pcap" 2> /dev/null | grep -c "$1" || :; }

# What the outside saw so far is in the file when a later datagram is.
nothing_came() {
    local last=LAST$RANDOM$RANDOM
    python3 -c 'import socket, sys; socket.socket(type=socket.SOCK_DGRAM).sendto(sys.argv[1].encode(), ("192.0.2.100", 4999))' "$last"
    wait_for 10 eval "[ \"\$(seen $last)\" -gt 0 ]"
    assert_equal "$(seen NJATTACK)" 0 'packets of the attack that came outside'
    assert_equal "$(tcpdump -nr "$T/outside.pcap" "dst host $PRIVATE4 or dst host $PRIVATE6" 2> /dev/null)" '' 'packets to the denied addresses'
}

attack() { # attack NETJAIL-OPTION... -- PROGRAM ARG...
    run "$NETJAIL" -q "$@"
    [ "$status" -eq 0 ] || fail "status $status: $out $err"
    assert_contains "$out" ' tried'
    nothing_came
}

both_ways_around_the_rules() {
    local file
    file=$(policy relayed <<POLICY
link relay
allow out tcp to { $INTERNET4, $INTERNET6 } port 7
allow out udp to { $INTERNET4, $INTERNET6 } port 53
POLICY
    )
    attack -p "$file" -- /usr/bin/python3 "$LIVE_DIR/attack_relay.py" "$INTERNET4" "$INTERNET6" "$PRIVATE4" "$PRIVATE6"
    [ "$(seen permitted)" -gt 0 ] || fail 'nothing that is permitted was seen either'
}

# The same as over a link and without one, and by everything that TCP has.
both_ways_out() {
    attack -e 'link relay; allow out tcp port 7' -- /usr/bin/python3 "$LIVE_DIR/attack_reach.py"
}

# Without a jail the program finds its ways.
root_the_attack_succeeds_without_a_jail() {
    run setpriv --reuid="$TEST_UID" --regid="$TEST_UID" --clear-groups /usr/bin/python3 "$LIVE_DIR/attack_relay.py" \
        "$INTERNET4" "$INTERNET6" "$PRIVATE4" "$PRIVATE6"
    assert_equal "$status" 3
    [ "$(grep -c THROUGH <<< "$out")" -gt 20 ] || fail "only these are possible outside of a jail: $out"
}

run_tests "$@"
