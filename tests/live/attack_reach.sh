#!/usr/bin/env bash
# A hostile command against the rules and the interface: what a program can send, bind, set and change by itself
# (attack_reach.py), with somebody who listens on the host and outside, and sees every packet there.
. "$(dirname "$0")/lib.sh"
export TEST_TIMEOUT=170

command -v tcpdump > /dev/null || {
    printf 'tcpdump is not installed\n'
    exit 77
}

listen_everywhere() {
    local ports=()
    [ "$(id -u)" != 0 ] || ports=(tcp 0.0.0.0 53 udp 0.0.0.0 53 tcp :: 80 udp :: 80 tcp 0.0.0.0 9 udp 0.0.0.0 9)
    "$NET" serve tcp 0.0.0.0 9999 tcp :: 9999 udp 0.0.0.0 9999 udp :: 9999 "${ports[@]}" < /dev/null > "$T/serve-host" 2>&1 &
    remember_process $!
    wait_for_port tcp 9999
    /usr/bin/python3 -c '
import socket, time
s = [socket.socket(socket.AF_UNIX, kind) for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM)]
for i, one in enumerate(s):
    one.bind("\0nj-attack" + ("" if i == 0 else "-datagram"))
s[0].listen()
time.sleep(1000)' < /dev/null > /dev/null 2>&1 &
    remember_process $!
    wait_for 10 grep -q '@nj-attack$' /proc/net/unix
}

attack() { # attack NETJAIL-OPTION...: nothing was reached
    run "$NETJAIL" -q "$@" /usr/bin/python3 "$LIVE_DIR/attack_reach.py" < /dev/null
    [ "$status" -eq 0 ] || fail "status $status: $out $err"
    assert_contains "$out" ' tried'
}

link_policy() {
    policy reach <<'POLICY'
network r_br { address 10.80.0.1/24 ; address fd00:80::1/64 ; nat }
name reach
link eth0 bridge r_br { address 10.80.0.5/24 ; address fd00:80::5/64 }
allow out tcp port 7
POLICY
}

watch_outside() { # watch_outside FILE: what comes by there
    local file=$1
    nsenter --net=/run/netns/outside tcpdump -Uni out0 -w "$file" 2> "$file.err" &
    remember_process $!
    wait_for 10 grep -q 'listening on' "$file.err"
}

assert_nothing_came() { # assert_nothing_came FILE
    local seen
    seen=$(tcpdump -nAr "$1" 2> /dev/null | grep -c NJATTACK) || :
    assert_equal "$seen" 0 "packets of the attack in $(basename "$1")"
    seen=$(tcpdump -nr "$1" 'tcp[tcpflags] & (tcp-syn|tcp-ack) == tcp-syn and not dst port 7' 2> /dev/null | wc -l)
    assert_equal "$seen" 0 "connections in $(basename "$1")"
}

root_over_a_link() {
    local options
    listen_everywhere
    serve_outside tcp 0.0.0.0 9 tcp :: 9 udp 0.0.0.0 9 udp :: 9 tcp 0.0.0.0 7
    watch_outside "$T/outside.pcap"
    for options in '' "--user $TEST_UID:$TEST_UID"; do
        # shellcheck disable=SC2086 # none or two words
        attack -p "$(link_policy)" $options
    done
    # The same program without a jail is seen: the listeners and the capture work.
    assert_nothing_came "$T/outside.pcap"
    "$NET" try udp 192.0.2.100 9 > /dev/null
    outside /usr/bin/python3 -c 'import socket; socket.socket(type=socket.SOCK_DGRAM).sendto(b"NJATTACK", ("192.0.2.1", 1))'
    wait_for 10 eval "tcpdump -nAr $T/outside.pcap 2> /dev/null | grep -q NJATTACK"
}

both_without_a_link() {
    listen_everywhere
    attack
    attack -e 'unix-sockets host'
    attack -P 8099:80
    [ "$(id -u)" != 0 ] || attack --user "$TEST_UID:$TEST_UID"
}

root_the_attack_succeeds_without_a_jail() {
    listen_everywhere
    serve_outside tcp 0.0.0.0 9 udp 0.0.0.0 9
    run setpriv --reuid="$TEST_UID" --regid="$TEST_UID" --clear-groups /usr/bin/python3 "$LIVE_DIR/attack_reach.py"
    assert_equal "$status" 3
    [ "$(grep -c THROUGH <<< "$out")" -gt 20 ] || fail "only these are possible outside of a jail: $out"
}

run_tests "$@"
