#!/usr/bin/env bash
# link relay, TCP: what the rules admit is carried, with the outcome of the outside, and nothing else is.
. "$(dirname "$0")/lib.sh"
export TEST_TIMEOUT=240 # a scan of every port

prepare() {
    serve_outside tcp 0.0.0.0 7 tcp :: 7
    serve_outside tcp 0.0.0.0 8 tcp :: 8
    nsenter --net=/run/netns/outside "$LIVE_DIR/relay.py" echo 0.0.0.0 70 < /dev/null > "$T/echo" 2>&1 &
    remember_process $!
    wait_for_port tcp 70 outside
    ip route add unreachable 203.0.113.0/24
    ip route add unreachable 2001:db8:dead::/48
}

relayed() { # relayed RULE...: a policy with link relay and these rules
    { echo 'link relay'; printf '%s\n' "$@"; } | policy relayed
}

both_carries_what_the_rules_admit() {
    local file
    file=$(relayed 'allow out tcp port 7')
    assert_connect "ok hello from $INTERNET4 to $HOST4" "$NETJAIL" -p "$file" -- tcp "$INTERNET4" 7
    assert_connect "ok hello from $INTERNET6 to $HOST6" "$NETJAIL" -p "$file" -- tcp "$INTERNET6" 7
    assert_connect refused "$NETJAIL" -p "$file" -- tcp "$INTERNET4" 8
    assert_connect refused "$NETJAIL" -p "$file" -- tcp "$INTERNET6" 8
}

# What the outside says is what the program sees.
both_true_errno() {
    local file a
    file=$(relayed 'allow out to any')
    for a in "$INTERNET4" "$INTERNET6"; do
        assert_connect refused "$NETJAIL" -p "$file" -- tcp "$a" 9
    done
    # Unreachable outside: EHOSTUNREACH, which net.py calls denied, and no reset.
    assert_connect denied "$NETJAIL" -p "$file" -- tcp 203.0.113.99 7
    assert_connect denied "$NETJAIL" -p "$file" -- tcp 2001:db8:dead::1 7
}

service_of() { # service_of NAME: the pid of the jail's netjail-service
    local i
    descendants "${JAILS[$1]}" | while read -r i; do
        [ "$(tr '\0' ' ' < "/proc/$i/cmdline" | cut -c1-15)" = netjail-service ] && echo "$i"
    done || :
}

# Without its service a jail reaches nothing, at once, and netjail says so.
both_service_dies() {
    local file service out i
    file=$(relayed 'allow out to any')
    start_jail one -q -p "$file" --name one -- bash -c "
        echo up
        until read -rt 1 line < $T/go; do :; done
        $NET try tcp $INTERNET4 7 4; $NET try tcp $INTERNET6 7 4; $NET try udp $INTERNET4 7 4; : > $T/done"
    mkfifo "$T/go"
    wait_for_file "$T/jail-one.out"
    service=$(service_of one)
    [ -n "$service" ] || fail "there is no service: $(descendants "${JAILS[one]}" | xargs -n1 ps -o args= -p)"
    kill -KILL "$service"
    wait_for 10 grep -q 'netjail-service ended unexpectedly' "$T/jail-one.err"
    echo go > "$T/go"
    wait_for 20 test -e "$T/done"
    end_jail one
    out=$(cat "$T/jail-one.out")
    assert_equal "$out" "up"$'\n'"refused"$'\n'"refused"$'\n'"refused"
}

root_scan_finds_what_the_rules_admit() {
    local file
    file=$(relayed "allow out tcp to $INTERNET4 port { 7, 9 }")
    assert_equal "$("$NETJAIL" -q -p "$file" -- "$LIVE_DIR/relay.py" scan "$INTERNET4" 65535)" 7
}

# Every port is tried outside: the service survives it.
user_scan_of_the_outside() {
    local file
    file=$(relayed 'allow out tcp to any')
    assert_equal "$("$NETJAIL" -q -p "$file" -- "$LIVE_DIR/relay.py" scan "$INTERNET6" 4096)" "7 8"
}

both_limit_of_connections() {
    local file
    file=$(relayed 'allow out tcp port 7' 'limit connections 20')
    assert_equal "$("$NETJAIL" -q -p "$file" -- "$LIVE_DIR/relay.py" hold "$INTERNET4" 7 30)" \
        "20 open, 10 refused"$'\n'"ok"
}

# With `json` every line of the log is an object, also what is about no single packet.
both_limits_in_json() {
    local file
    file=$(relayed 'allow out tcp port 7' 'limit connections 5' 'log denied json')
    run "$NETJAIL" -q -p "$file" -- "$LIVE_DIR/relay.py" hold "$INTERNET4" 7 8
    assert_contains "$err" '.conf","message":"limit of 5 connections reached: connection refused"}'
    python3 -c 'import json, sys; [json.loads(line)["time"] for line in sys.stdin]' <<< "$err" || fail "no JSON: $err"
}

both_limit_of_the_rate() {
    local file
    file=$(relayed 'allow out tcp port 7' 'limit rate 1/hour burst 5' 'log denied')
    run "$NETJAIL" -p "$file" -- "$LIVE_DIR/relay.py" hold "$INTERNET4" 7 8
    assert_equal "$out" "5 open, 3 refused"$'\n'ECONNREFUSED
    assert_contains "$err" 'limit rate of 1 in 3600 s reached: connection refused'
}

# Connections that nobody uses cost two descriptors each, and little memory.
both_idle_connections() {
    local file service count
    file=$(relayed 'allow out tcp port 70')
    mkfifo -m 666 "$T/go"
    start_jail one -q -p "$file" --name one -- "$LIVE_DIR/relay.py" idle "$INTERNET4" 70 300 "$T/go"
    wait_for 60 grep -q '300 open' "$T/jail-one.out"
    service=$(service_of one)
    if [ "$(id -u)" = 0 ]; then # nobody else may look
        count=$(find "/proc/$service/fd" -mindepth 1 | wc -l)
        [ "$count" -ge 600 ] && [ "$count" -lt 700 ] || fail "300 idle connections have $count descriptors"
    fi
    count=$(awk '/^VmRSS/ { print $2 }' "/proc/$service/status")
    [ "$count" -lt 16384 ] || fail "300 idle connections cost $count kB"
    echo go > "$T/go"
    wait "${JAILS[one]}" || fail "$(cat "$T/jail-one.err")"
    assert_equal "$(cat "$T/jail-one.out")" "300 open"$'\n'"b'still here\\n'"$'\n'"b'still here\\n'"
}

both_peer_that_never_reads() {
    local file
    file=$(relayed 'allow out tcp port { 7, 8 }')
    assert_equal "$("$NETJAIL" -q -p "$file" -- "$LIVE_DIR/relay.py" stall "$INTERNET6" 7)" "stalled ok"
}

# What a program writes for the command line: no policy, no privilege, real programs.
both_command_line() {
    assert_equal "$("$NETJAIL" -q --allow "out tcp to $INTERNET4 port 7" -- "$NET" try tcp "$INTERNET4" 7)" \
        "ok hello from $INTERNET4 to $HOST4"
    assert_no_connect "$NETJAIL" -q --allow "out tcp to $INTERNET4 port 7" -- tcp "$INTERNET4" 8
    assert_no_connect "$NETJAIL" -q --net relay -- tcp "$INTERNET4" 7
    assert_contains "$("$NETJAIL" -q --allow "out tcp to $INTERNET4 port 7" -- nc -N "$INTERNET4" 7 < /dev/null)" hello
}

# Other links keep what their routes lead to; the relay has the rest.
root_beside_a_bridge() {
    local file
    file=$(policy both <<< 'network b { address 10.77.0.1/24 }
link eth0 bridge b { address 10.77.0.2/24 }
link relay
allow out tcp to { 10.77.0.1, any } port 7')
    assert_connect "ok hello from $INTERNET4 to $HOST4" "$NETJAIL" -q -p "$file" -- tcp "$INTERNET4" 7
    assert_equal "$("$NETJAIL" -q -p "$file" -- ip -o route get 10.77.0.1 | grep -o 'dev [a-z0-9]*')" "dev eth0"
    sed -i 's|10.77.0.2/24 }|10.77.0.2/24; gateway 10.77.0.1 }|' "$file"
    assert_status 125 "$NETJAIL" -q -p "$file" true
    assert_contains "$err" "a second default gateway"
}

# The jail's kernel must not answer for addresses that only look local to it.
both_ping_is_refused() {
    local file a
    file=$(relayed 'allow out to any' 'log denied')
    for a in "$INTERNET4" "$INTERNET6"; do
        run "$NETJAIL" -q -p "$file" -- ping -n -c 1 -W 3 "$a"
        [ "$status" -ne 0 ] || fail "somebody answered a ping of $a: $out"
        assert_contains "$out" "100% packet loss"
        assert_contains "$err" "-> $a (this host lets the relay make no ping sockets)"
        assert_contains "$err" 'hint: sysctl net.ipv4.ping_group_range'
    done
    run "$NETJAILCTL" doctor
    assert_contains "$out" 'limited    ping sockets'
}

# No rule opens them, since nobody could be reached: the log says so, not only the errno.
both_no_machine_is_told() {
    local file a
    file=$(relayed 'allow out to any' 'log denied')
    for a in 224.0.0.251 240.0.0.1 192.0.2.255 ff0e::1; do
        run "$NETJAIL" -q -p "$file" -- "$LIVE_DIR/relay.py" burst "$a" 9 1
        assert_contains "$err" "(no address of a machine that the relay can reach)"
        assert_contains "$err" 'hint: multicast, broadcast and link-local need'
    done
    run "$NETJAIL" -q -p "$(relayed 'allow out to any' 'log denied json')" -- "$LIVE_DIR/relay.py" burst 239.1.2.3 9 1
    assert_contains "$err" '"rule":"relayed.conf:2","text":"no address of a machine that the relay can reach"'
    assert_contains "$err" '"destination":"239.1.2.3","port":9,"count":1,"hint":"multicast'
}

# `ip route add NET dev lo` is meant as a way to nowhere, and leads to the host itself.
root_route_to_lo_leads_to_the_host() {
    local file
    file=$(relayed 'allow out to any' 'log denied')
    ip route add 203.0.113.128/25 dev lo
    /usr/bin/python3 -c 'import socket, sys
s = socket.socket(type=socket.SOCK_DGRAM)
s.bind(("0.0.0.0", 9))
print("up", file=open(sys.argv[1] + "/up", "w"))
open(sys.argv[1] + "/heard", "wb").write(s.recv(99))' "$T" &
    remember_process $!
    wait_for_file "$T/up"
    run "$NETJAIL" -q -p "$file" -- "$LIVE_DIR/relay.py" burst 203.0.113.200 9 1
    assert_contains "$err" '203.0.113.200:9 (an address of this host)'
    echo last > /dev/udp/203.0.113.200/9
    wait_for_file "$T/heard"
    assert_equal "$(cat "$T/heard")" last
    ip route del 203.0.113.128/25 dev lo
}

run_tests "$@"
