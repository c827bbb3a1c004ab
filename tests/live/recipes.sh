#!/usr/bin/env bash
# The recipes of netjail-examples(7): policies/examples, with real servers and clients, both IP versions.
# Each function has the name of the policy it runs, or of what its policies have in common.
. "$(dirname "$0")/lib.sh"

E=$TEST_TOP/policies/examples

# as_is NAME [-D..]: the example runs unchanged. variant NAME SED: it runs with one change.
variant() { # variant NAME SED...: prints the path of a changed copy
    local name=$1
    shift
    sed "$@" "$E/$name.conf" > "$T/$name.conf"
    chmod 644 "$T/$name.conf"
    printf '%s\n' "$T/$name.conf"
}

serve_example() { # serve_example POLICY NAME OPTIONS... -- PROTO ADDR PORT...
    local policy=$1 name=$2 options=() end=$((SECONDS + 15))
    shift 2
    while [ "$1" != -- ]; do
        options+=("$1")
        shift
    done
    shift
    start_jail "$name" -q -p "$policy" "${options[@]}" -- "$NET" serve "$@"
    until jail_listens "$name" "$1" "$3"; do
        jail_runs_or_fail "$name"
        [ "$SECONDS" -le "$end" ] || fail "jail $name does not listen"
        read -rt 0.05 <> <(:) || :
    done
}

# The python of the manual page: a page over HTTP, from a directory that everybody may read.
serve_http() { # serve_http POLICY NAME OPTIONS... [-- SERVER-OPTION...]
    local policy=$1 name=$2 options=() end=$((SECONDS + 20))
    shift 2
    while [ $# -gt 0 ] && [ "$1" != -- ]; do
        options+=("$1")
        shift
    done
    [ $# -eq 0 ] || shift
    [ $# -gt 0 ] || set -- --bind ::
    mkdir -p "$T/www"
    printf 'it works\n' > "$T/www/index.html"
    chmod 755 "$T/www"
    (cd "$T/www" && exec "$NETJAIL" -q -p "$policy" "${options[@]}" python3 -m http.server 80 "$@") \
        < /dev/null > "$T/jail-$name.out" 2> "$T/jail-$name.err" &
    JAILS[$name]=$!
    remember_process $!
    until jail_listens "$name" tcp 80; do
        jail_runs_or_fail "$name"
        [ "$SECONDS" -le "$end" ] || fail "jail $name does not listen"
        read -rt 0.05 <> <(:) || :
    done
}

fetch() { curl -sS --max-time 5 "$1"; }

both_only_lo() {
    local command
    for command in 'ip -o link show' 'ip -o address show'; do
        assert_status 0 "$NETJAIL" -p "$E/only-lo.conf" $command
        assert_lacks "$out" up0
        assert_contains "$out" ': lo'
    done
    assert_equal "$("$NETJAIL" -q ip -o link show | wc -l)" 1 "links without a policy"
    for command in 'ip route show' 'ip -6 route show default' 'ip neighbour show'; do
        assert_status 0 "$NETJAIL" -q -p "$E/only-lo.conf" $command
        assert_equal "$out" '' "$command"
    done
    assert_connect unreachable "$NETJAIL" -q -p "$E/only-lo.conf" -- tcp "$HOST4" 80
    assert_connect refused "$NETJAIL" -q -p "$E/only-lo.conf" -- tcp 127.0.0.1 80
    assert_connect refused "$NETJAIL" -q -p "$E/only-lo.conf" -- tcp ::1 80
}

# A shell in a jail that runs already has its network and no more.
root_interactive() {
    serve_http "$E/publish.conf" published
    assert_status 0 "$NETJAILCTL" exec published -- ip -o -4 address show dev eth0
    assert_contains "$out" 10.40.0.10/16
    assert_connect refused "$NETJAILCTL" exec published -- tcp "$HOST4" 22
    assert_status 0 "$NETJAILCTL" exec published -- curl -sS --max-time 5 'http://[::1]/'
    assert_equal "$out" 'it works'
    run env SHELL=/bin/bash script -qec "'$NETJAILCTL' shell published" /dev/null < <(printf 'ip -o link show eth0\nexit\n')
    assert_contains "$out" 'eth0@'
    assert_contains "$out" '[published]'
    end_jail published
    run script -qec "'$NETJAIL' -q -p '$E/gateway.conf' bash --norc" /dev/null \
        < <(printf 'sleep 0 & wait %%1; echo done-$?; ip route; exit\n')
    assert_contains "$out" done-0
    assert_contains "$out" 'default via 10.20.0.1'
}

root_named() {
    serve_outside tcp 0.0.0.0 7 tcp :: 7
    assert_status 0 "$NETJAILCTL" create lab -p "$E/named.conf"
    assert_contains "$(ip netns list)" lab
    assert_contains "$("$NETJAILCTL" exec lab -- ip -o address show eth0)" 10.65.0.10/16
    local a
    for a in "$INTERNET4" "$INTERNET6"; do
        assert_connect ok ip netns exec lab -- tcp "$a" 7
        assert_contains "$("$NETJAILCTL" exec lab -- "$NET" try tcp "$a" 7)" ok
        assert_contains "$(nsenter --net=/run/netns/lab "$NET" try tcp "$a" 7)" ok
    done
    # A server that comes and goes; the jail stays.
    "$NETJAILCTL" exec lab -- "$NET" serve tcp 0.0.0.0 80 tcp :: 80 > /dev/null 2>&1 < /dev/null &
    local server=$!
    wait_for 10 eval '[ "$("$NET" try tcp fd00:65::10 80 | cut -d" " -f1)" = ok ]'
    assert_connect ok -- tcp 10.65.0.10 80
    kill $server
    wait $server || :
    assert_contains "$(ip netns list)" lab
    assert_status 0 "$NETJAILCTL" delete lab
    assert_lacks "$(ip netns list)" lab
}

# The packets of a jail that is used while they are written, read by tcpdump.
root_capture() {
    command -v tcpdump > /dev/null || skip 'tcpdump is not installed'
    serve_http "$E/publish.conf" published
    "$NETJAILCTL" capture published -w "$T/it.pcap" 2> "$T/capture.err" &
    local capture=$! a
    remember_process $capture
    wait_for 10 eval '[ "$(stat -c %s "$T/it.pcap" 2> /dev/null || echo 0)" -ge 24 ]'
    for a in "$HOST4" "[$HOST6]"; do assert_equal "$(outside curl -sS --max-time 5 "http://$a:8080/")" 'it works'; done
    for a in "$OUTSIDE4.* > 10.40.0.10.80" "$OUTSIDE6.* > fd00:40::10.80"; do
        wait_for 10 eval "tcpdump -nr '$T/it.pcap' 2> /dev/null | grep -q '$a: Flags .F'"
    done
    kill -INT $capture
    wait $capture
    end_jail published
}

on_device() { # on_device KIND MODE VERSION: the options of the example on up0
    local options=(-D device=up0)
    if [ "$3" = 4 ]; then
        options+=(-D address=192.0.2.60/24 -D "router=$OUTSIDE4")
    else
        options+=(-D address=2001:db8:1::60/64 -D "router=$OUTSIDE6")
    fi
    printf '%s\n' "${options[@]}"
}

root_macvlan() {
    serve_outside tcp 0.0.0.0 7 tcp :: 7
    local mode version file options
    local -A own=([4]=192.0.2.60 [6]=2001:db8:1::60) far=([4]=$INTERNET4 [6]=$INTERNET6) host=([4]=$HOST4 [6]=$HOST6)
    for mode in bridge private vepa; do
        file=$(variant macvlan "s/mode bridge/mode $mode/")
        for version in 4 6; do
            mapfile -t options < <(on_device macvlan $mode $version)
            outside ip neighbour flush dev out0 # each of these jails has another MAC address
            serve_example "$file" macvlan "${options[@]}" -- tcp 0.0.0.0 80 tcp :: 80
            assert_connect ok outside -- tcp "${own[$version]}" 80
            assert_connect "ok hello from ${far[$version]} to ${own[$version]}" jail_exec macvlan -- tcp "${far[$version]}" 7
            assert_no_connect -- tcp "${own[$version]}" 80
            assert_no_connect jail_exec macvlan -- tcp "${host[$version]}" 80
            end_jail macvlan
        done
    done
}

root_device() {
    ip link add usb0 type veth peer name far0 netns outside
    outside ip address add 10.77.0.2/24 dev far0
    outside ip address add fd00:77::2/64 dev far0 nodad
    outside ip link set far0 up
    ip address add 10.77.0.1/24 dev usb0
    ip address add fd00:77::1/64 dev usb0 nodad
    ip link set usb0 up
    local before
    before=$(ip -4 address show dev usb0; ip -6 address show dev usb0 scope global)
    serve_outside tcp 0.0.0.0 7 tcp :: 7
    serve_example "$E/device.conf" modem -D device=usb0 -D router=10.77.0.2 -- tcp 0.0.0.0 80 tcp :: 80
    assert_connect ok outside -- tcp 10.77.0.1 80
    assert_connect ok outside -- tcp fd00:77::1 80
    assert_connect "ok hello from fd00:77::2 to fd00:77::1" jail_exec modem -- tcp fd00:77::2 7
    assert_connect "ok hello from $INTERNET4 to 10.77.0.1" jail_exec modem -- tcp "$INTERNET4" 7
    assert_lacks "$(ip -br link)" usb0
    end_jail modem
    wait_for 10 eval '[ -z "$(ls /run/netjail 2> /dev/null)" ]'
    assert_equal "$(ip -4 address show dev usb0; ip -6 address show dev usb0 scope global)" "$before" 'the device afterwards'
    ip link del usb0
}

# ipvlan works where the kernel has it; where not, the sentence about it is what is tested.
root_ipvlan() {
    local options
    mapfile -t options < <(on_device ipvlan l2 4)
    if ip link add probe link up0 type ipvlan 2> /dev/null; then
        ip link del probe
    else
        assert_status 125 "$NETJAIL" -q -p "$E/ipvlan.conf" "${options[@]}" true
        assert_contains "$err" ipvlan.conf:
        assert_contains "$err" 'modprobe ipvlan'
        skip 'the kernel has no ipvlan; its error is tested'
    fi
    local mode
    for mode in l2 l3; do
        serve_example "$(variant ipvlan "s/mode l2/mode $mode/")" ipvlan "${options[@]}" -- tcp 0.0.0.0 80
        assert_connect ok outside -- tcp 192.0.2.60 80
        end_jail ipvlan
    done
}

root_cable() {
    local blue=("$NETJAIL" -q -p "$E/cable-blue.conf") a
    serve_http "$E/cable-red.conf" red
    for a in 192.168.15.1 fd00:15::1; do
        assert_status 0 "${blue[@]}" ping -nqc1 -W2 "$a"
        assert_status 0 "${blue[@]}" bash -c "ping -nqc1 -W2 $a > /dev/null; ip neighbour show $a"
        assert_contains "$out" lladdr
    done
    assert_status 0 "${blue[@]}" curl -sS --max-time 5 http://192.168.15.1/
    assert_equal "$out" 'it works'
    assert_status 0 "${blue[@]}" curl -sS --max-time 5 'http://[fd00:15::1]/'
    assert_equal "$out" 'it works'
    start_jail blue -q -p "$E/cable-blue.conf" bash -c 'echo up; exec sleep 1000'
    wait_for_file "$T/jail-blue.out"
    for a in 192.168.15.2 fd00:15::2; do
        jail_exec red ping -nqc1 -W2 "$a" > /dev/null
        assert_contains "$(jail_exec red ip neighbour show "$a")" lladdr
        assert_equal "$(ip neighbour show "$a")" '' "the host's neighbours"
        assert_no_connect -- tcp "$a" 80
    done
    end_jail blue
    wait_for 5 eval '! jail_exec red ip link show toblue'
    jail_runs_or_fail red
    end_jail red
    assert_status 125 "${blue[@]}" true
    assert_contains "$err" "jail 'red' does not run"
}

chain() { # chain LAST: the jails near, hop-2 ... hop-LAST, each with a web server
    local number previous=near
    serve_http "$E/chain-near.conf" near
    for ((number = 2; number <= $1; number++)); do
        serve_http "$E/chain-hop.conf" "hop-$number" -D "number=$number" -D "previous=$previous"
        previous=hop-$number
    done
}

root_chain() {
    local a number
    chain 4
    for number in 2 3 4; do
        for a in "10.70.$number.2" "[fd00:70:$number::2]"; do
            assert_equal "$(fetch "http://$a/")" 'it works' "hop $number at $a"
        done
        ping -nqc1 -W2 "10.70.$number.2" > /dev/null || fail "no ping from 10.70.$number.2"
    done
    # The forwarding rules of the routers: no other port, and nothing from the end of the chain to the host.
    assert_no_connect -- tcp 10.70.4.2 81
    serve_host tcp 0.0.0.0 80
    assert_no_connect jail_exec hop-4 -- tcp 10.69.0.1 80
    # The one in the middle ends: the others run on, and there is no way any more.
    end_jail hop-3
    jail_runs_or_fail hop-4
    assert_equal "$(fetch http://10.70.2.2/)" 'it works'
    assert_no_connect -- tcp 10.70.4.2 80
    for number in 4 2; do end_jail "hop-$number"; done
    end_jail near
}

root_bridge() {
    start_jail database -q -p "$E/bridge-database.conf" socat TCP6-LISTEN:5432,fork,reuseaddr EXEC:cat
    wait_for 10 jail_listens database tcp 5432
    serve_http "$E/bridge-web.conf" web
    local a
    local -A brackets=([fd00:10:10::20]='[fd00:10:10::20]')
    # The web server finds its database, by connected routes alone, and their neighbour tables show each other.
    for a in 10.10.0.20 fd00:10:10::20; do
        assert_equal "$(echo query | jail_exec web timeout 5 socat -t 2 - "TCP:${brackets[$a]:-$a}:5432")" query "the database at $a"
        assert_contains "$(jail_exec web ip neighbour show "$a")" lladdr
        assert_connect refused jail_exec web -- tcp "$a" 80
        jail_exec web ping -nqc1 -W2 "$a" > /dev/null
    done
    assert_contains "$(jail_exec database ip neighbour show 10.10.0.10)" lladdr
    assert_equal "$(jail_exec web ip route show | sed 's/ *$//')" '10.10.0.0/16 dev eth0 proto kernel scope link src 10.10.0.10'
    assert_connect refused jail_exec database -- tcp 10.10.0.10 80
    # Without an address the host reaches neither; it has not even a route.
    assert_equal "$(ip -o address show app_br scope global)" ''
    assert_no_connect -- tcp fd00:10:10::10 80
    assert_contains "$(ip route get 10.10.0.10)" via
    end_jail web
    end_jail database
}

root_bridge_with_an_address_of_the_host() {
    local file a
    file=$(variant bridge-web 's/^network app_br.*/network app_br { address 10.10.0.1\/16 ; address fd00:10:10::1\/64 }/')
    serve_http "$file" web
    for a in 10.10.0.10 '[fd00:10:10::10]'; do
        assert_equal "$(fetch "http://$a/")" 'it works'
    done
    end_jail web
}

root_bridge_isolated() {
    local web database a
    web=$(variant bridge-web 's/^network app_br.*/network app_br { isolate }/')
    database=$(variant bridge-database 's/^network app_br.*/network app_br { isolate }/')
    serve_example "$database" database -- tcp :: 5432
    for a in 10.10.0.20 fd00:10:10::20; do
        assert_no_connect "$NETJAIL" -q -p "$web" -- tcp "$a" 5432
    done
    end_jail database
}

root_gateway() {
    serve_outside tcp 0.0.0.0 7 tcp :: 7
    local f=$E/gateway.conf
    assert_status 0 "$NETJAIL" -q -p "$f" ip route show
    assert_contains "$out" 'default via 10.20.0.1 dev eth0'
    assert_status 0 "$NETJAIL" -q -p "$f" ip -6 route show
    assert_contains "$out" 'default via fd00:20::1 dev eth0'
    assert_status 0 "$NETJAIL" -q -p "$f" ping -nqc1 -W2 "$INTERNET4"
    assert_status 0 "$NETJAIL" -q -p "$f" ping -nqc1 -W2 "$INTERNET6"
    assert_connect "ok hello from $INTERNET4 to $HOST4" "$NETJAIL" -q -p "$f" -- tcp "$INTERNET4" 7
    assert_connect "ok hello from $INTERNET6 to $HOST6" "$NETJAIL" -q -p "$f" -- tcp "$INTERNET6" 7
}

# Why the outside never answers: the packet may leave (the host is a router here), but its sender's address
# leads nowhere from there. With a route back it does answer.
root_gateway_without_nat() {
    serve_outside tcp 0.0.0.0 7 tcp :: 7
    sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1
    local f
    f=$(variant gateway '/^ *nat /d')
    assert_connect timeout "$NETJAIL" -q -p "$f" -- tcp "$INTERNET4" 7
    outside ip route add 10.20.0.0/16 via "$HOST4"
    outside ip -6 route add fd00:20::/64 via "$HOST6"
    run "$NETJAIL" -q -p "$f" "$NET" try tcp "$INTERNET4" 7
    assert_contains "$out" "ok hello from $INTERNET4 to 10.20."
    run "$NETJAIL" -q -p "$f" "$NET" try tcp "$INTERNET6" 7
    assert_contains "$out" "ok hello from $INTERNET6 to fd00:20:"
    sysctl -qw net.ipv4.ip_forward=0 net.ipv6.conf.all.forwarding=0
}

root_one_route() {
    outside ip address add 192.168.1.10/32 dev lo
    outside ip address add fd00:192:168:1::10/128 dev lo
    serve_outside tcp 0.0.0.0 7 tcp :: 7
    local f=$E/one-route.conf a
    assert_status 0 "$NETJAIL" -q -p "$f" ip route show
    assert_lacks "$out" default
    assert_contains "$out" '192.168.1.0/24 via 10.30.0.1 dev eth0'
    assert_status 0 "$NETJAIL" -q -p "$f" ip -6 route show default
    assert_equal "$out" ''
    assert_connect ok "$NETJAIL" -q -p "$f" -- tcp 192.168.1.10 7
    assert_connect ok "$NETJAIL" -q -p "$f" -- tcp fd00:192:168:1::10 7
    for a in "$INTERNET4" "$INTERNET6" "$HOST4" "$OUTSIDE6"; do
        assert_connect unreachable "$NETJAIL" -q -p "$f" -- tcp "$a" 7
    done
}

root_publish() {
    local a client
    serve_example "$E/publish.conf" published -- tcp 0.0.0.0 80 tcp :: 80 tcp 0.0.0.0 81 \
        tcp 0.0.0.0 9000 tcp :: 9000 tcp 0.0.0.0 9001 tcp 0.0.0.0 9002
    assert_connect "ok hello from 10.40.0.10 to $OUTSIDE4" outside -- tcp "$HOST4" 8080
    assert_connect "ok hello from fd00:40::10 to $OUTSIDE6" outside -- tcp "$HOST6" 8080
    for a in 9000 9001 9002; do assert_connect ok outside -- tcp "$HOST4" $a; done
    assert_connect ok outside -- tcp "$HOST6" 9000
    assert_no_connect outside -- tcp "$HOST4" 8081
    for a in "$HOST4" "$HOST6" 127.0.0.1 ::1; do assert_connect ok -- tcp "$a" 8080; done
    assert_connect ok -- tcp 127.0.0.1 8081
    # Another jail, by the host's address.
    client=$(policy client <<'POLICY'
network pub_br {
    address 10.40.0.1/16
    address fd00:40::1/64
}
link eth0 bridge pub_br
allow out
POLICY
    )
    assert_connect ok "$NETJAIL" -q -p "$client" -- tcp "$HOST4" 8080
    assert_connect ok "$NETJAIL" -q -p "$client" -- tcp "$HOST6" 8080
    end_jail published
}

root_static_route() {
    sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1
    outside ip route add 10.50.0.0/16 via "$HOST4"
    outside ip -6 route add fd00:50::/64 via "$HOST6"
    serve_example "$E/static-route.conf" routed -- tcp 0.0.0.0 80 tcp :: 80 tcp 0.0.0.0 81
    assert_connect "ok hello from 10.50.0.10 to $OUTSIDE4" outside -- tcp 10.50.0.10 80
    assert_connect "ok hello from fd00:50::10 to $OUTSIDE6" outside -- tcp fd00:50::10 80
    assert_connect refused outside -- tcp 10.50.0.10 81
    end_jail routed
    sysctl -qw net.ipv4.ip_forward=0 net.ipv6.conf.all.forwarding=0
}

# A name server that knows app.example.net only.
dns_server() { # dns_server ADDRESS
    cat > "$T/dns.py" <<'PYTHON'
import socket, sys
family = socket.AF_INET6 if ":" in sys.argv[1] else socket.AF_INET
server = socket.socket(family, socket.SOCK_DGRAM)
server.bind((sys.argv[1], 53))
while True:
    query, client = server.recvfrom(512)
    end = query.index(b"\0", 12) + 5
    question, kind = query[12:end], query[end - 3]
    data = {1: bytes([10, 55, 0, 77]), 28: bytes.fromhex("fd000055" + "0" * 22 + "77")}.get(kind)
    known = question.lower().startswith(b"\3app\7example\3net\0")
    answer = b"\xc0\x0c\0" + bytes([kind]) + b"\0\1\0\0\0\x3c\0" + bytes([len(data)]) + data if known and data else b""
    flags = b"\x85\x80" if known else b"\x85\x83"
    server.sendto(query[:2] + flags + b"\0\1\0" + bytes([1 if answer else 0]) + b"\0\0\0\0" + question + answer, client)
PYTHON
    nsenter --net=/run/netns/outside python3 "$T/dns.py" "$1" > "$T/dns.log" 2>&1 &
    remember_process $!
    wait_for_port udp 53 outside
}

root_names() {
    local server
    cp /etc/resolv.conf "$T/resolv.before"
    dns_server "$OUTSIDE4"
    for server in "$OUTSIDE4" "$OUTSIDE6"; do
        [ "$server" = "$OUTSIDE4" ] || { stop_processes; dns_server "$server"; }
        assert_status 0 "$NETJAIL" -q -p "$E/names.conf" -D "server=$server" getent hosts db
        assert_contains "$out" 10.55.0.20
        assert_status 0 "$NETJAIL" -q -p "$E/names.conf" -D "server=$server" getent ahostsv4 app
        assert_contains "$out" 10.55.0.77
        assert_status 0 "$NETJAIL" -q -p "$E/names.conf" -D "server=$server" getent ahostsv6 app.example.net
        assert_contains "$out" fd00:55::77
        assert_status 2 "$NETJAIL" -q -p "$E/names.conf" -D "server=$server" getent hosts other.example.net
        assert_status 0 "$NETJAIL" -q -p "$E/names.conf" -D "server=$server" cat /etc/resolv.conf
        assert_contains "$out" "nameserver $server"
    done
    cmp -s /etc/resolv.conf "$T/resolv.before" || fail "the host's resolv.conf was changed"
}

root_loopback_behind_cable() {
    serve_http "$E/loopback-behind-cable.conf" behind -- --bind 10.248.180.1
    assert_contains "$(ip route show 10.248.180.0/24)" 'via 10.248.179.2'
    assert_equal "$(fetch http://10.248.180.1/)" 'it works'
    assert_no_connect -- tcp 10.248.179.2 80
    end_jail behind
    serve_http "$E/loopback-behind-cable.conf" behind -- --bind fd00:248:180::1
    assert_equal "$(fetch 'http://[fd00:248:180::1]/')" 'it works'
    end_jail behind
}

# A second interface leads to an internal network; both are ports of bridges, which somebody made.
root_worlds() {
    ip netns add inner
    ip link add in0 type veth peer name eth0 netns inner
    local inner=(nsenter --net=/run/netns/inner) b
    "${inner[@]}" ip address add 172.16.0.1/24 dev eth0
    "${inner[@]}" ip address add fd00:16::1/64 dev eth0 nodad
    "${inner[@]}" ip link set eth0 up
    for b in wan_br:up0 lan_br:in0; do
        ip link add "${b%:*}" type bridge
        ip link set "${b%:*}" up
        ip link set "${b#*:}" master "${b%:*}" up
    done
    serve_example "$E/worlds-internet.conf" internet -D address=192.0.2.50/24 -D "router=$OUTSIDE4" -- tcp 0.0.0.0 80
    serve_example "$E/worlds-internal.conf" internal -D address=172.16.0.50/24 -- tcp 0.0.0.0 80
    assert_connect "ok hello from 192.0.2.50 to $OUTSIDE4" outside -- tcp 192.0.2.50 80
    assert_connect 'ok hello from 172.16.0.50 to 172.16.0.1' "${inner[@]}" -- tcp 172.16.0.50 80
    assert_no_connect "${inner[@]}" -- tcp 192.0.2.50 80
    assert_no_connect outside -- tcp 172.16.0.50 80
    assert_equal "$(jail_exec internal ip -o link show | wc -l)" 2 'links of the internal server'
    assert_equal "$(jail_exec internal ip route show default)" ''
    end_jail internet
    end_jail internal
    serve_example "$E/worlds-internet.conf" internet -D address=2001:db8:1::50/64 -D "router=$OUTSIDE6" -- tcp :: 80
    serve_example "$E/worlds-internal.conf" internal -D address=fd00:16::50/64 -- tcp :: 80
    assert_connect "ok hello from 2001:db8:1::50 to $OUTSIDE6" outside -- tcp 2001:db8:1::50 80
    assert_connect ok "${inner[@]}" -- tcp fd00:16::50 80
    assert_no_connect "${inner[@]}" -- tcp 2001:db8:1::50 80
    end_jail internet
    end_jail internal
    wait_for 10 eval '[ "$(ls /sys/class/net/wan_br/brif /sys/class/net/lan_br/brif | grep -c nj-)" = 0 ]'
    ip link set up0 nomaster
    ip link del wan_br
    ip link del lan_br
    ip link del in0
    ip netns del inner
}

# Two hosts: this one, and `outside` as the other, with a /run of its own.
span() { # span HERE THERE [PREFIX CMD...]
    local here=$1 there=$2
    shift 2
    "$@" ip link add vx0 type vxlan id 42 dstport 4789 local "$here" remote "$there"
    "$@" ip link add span_br mtu 1450 type bridge
    "$@" ip link set vx0 master span_br
    "$@" ip link set vx0 up
    "$@" ip link set span_br up
}

# A new example needs a test here.
root_every_example_is_run_here() {
    local file
    for file in "$E"/*.conf; do
        file=${file##*/}
        grep -q "[\"/ ]${file%.conf}[. ]" "$LIVE_DIR"/recipes*.sh || fail "$file is run by no test"
        grep -q "${file%.conf}\.conf" "$TEST_TOP/man/netjail-examples.7" || fail "$file is not in netjail-examples(7)"
    done
}

root_machines() {
    local r elsewhere
    for r in "$HOST4 $OUTSIDE4" "$HOST6 $OUTSIDE6"; do
        set -- $r
        span "$1" "$2" 2> "$T/span" || skip "the kernel has no VXLAN: $(cat "$T/span")"
        span "$2" "$1" outside
        serve_example "$E/machines.conf" one -D number=1 -- tcp 0.0.0.0 80 tcp :: 80
        elsewhere=(outside unshare -m bash -c 'mount -t tmpfs tmpfs /run; exec "$@"' far "$NETJAIL" -q -p "$E/machines.conf" -D number=2)
        assert_connect 'ok hello from 10.60.0.1 to 10.60.0.2' "${elsewhere[@]}" -- tcp 10.60.0.1 80
        assert_connect 'ok hello from fd00:60::1 to fd00:60::2' "${elsewhere[@]}" -- tcp fd00:60::1 80
        run "${elsewhere[@]}" ip link show eth0
        assert_contains "$out" 'mtu 1450'
        # A segment of full size gets through: 200 kB in one direction.
        head -c 200000 /dev/zero > "$T/large"
        end_jail one
        (cd "$T" && exec "$NETJAIL" -q -p "$E/machines.conf" -D number=1 python3 -m http.server 80) > "$T/http" 2>&1 &
        JAILS[one]=$!
        remember_process $!
        wait_for 15 jail_listens one tcp 80
        assert_equal "$("${elsewhere[@]}" curl -sS --max-time 10 http://10.60.0.1/large | wc -c)" 200000
        end_jail one
        wait_for 10 eval '[ -z "$(ls /sys/class/net/span_br/brif | grep nj-)" ]'
        ip link del span_br
        ip link del vx0
        outside ip link del span_br
        outside ip link del vx0
    done
}

run_tests "$@"
