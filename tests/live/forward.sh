#!/usr/bin/env bash
# Jails that are routers, and addresses behind a cable: `forward`, `peer-route`, `lo { address }`.
. "$(dirname "$0")/lib.sh"

behind_cable() {
    policy behind <<'POLICY'
name behind
link eth0 veth host {
    address 10.248.179.2/30
    address fd00:248::2/64
    peer-name tojail
    peer-address 10.248.179.1/30
    peer-address fd00:248::1/64
    peer-route 10.248.180.0/24 via 10.248.179.2
    peer-route fd00:180::/64 via fd00:248::2
}
lo { address 10.248.180.1/24 ; address fd00:180::1/64 }
allow in tcp port 80
allow out
POLICY
}

# The host's route leads to an address of the jail's lo; the answers come from it.
root_lo_address_behind_a_cable() {
    local file
    file=$(behind_cable)
    serve_in_jail behind "$file" tcp 10.248.180.1 80 tcp fd00:180::1 80
    run ip route show 10.248.180.0/24
    assert_contains "$out" 'via 10.248.179.2 dev tojail'
    assert_connect ok -- tcp 10.248.180.1 80
    assert_connect ok -- tcp fd00:180::1 80
    assert_connect refused -- tcp 10.248.180.1 81
    end_jail behind
    wait_for 5 eval '[ -z "$(ip route show 10.248.180.0/24)" ]'
}

# The datagrams that come through the pins.
watch_datagrams() { # watch_datagrams [PREFIX CMD...]: counts them there
    "$@" nft -f - <<'NFT'
table inet watch {
    chain seen {
        type filter hook prerouting priority -299
        udp dport 4444 counter
    }
}
NFT
}
seen_datagrams() { "$@" nft list table inet watch | grep -oE 'packets [0-9]+'; }

# Only what the jail has: a network that a route leads to is spoken for by routers only, the host's
# own addresses by nobody else.
root_sources_behind_a_cable_are_pinned() {
    local file
    file=$(behind_cable)
    serve_in_jail behind "$file" tcp 0.0.0.0 80
    watch_datagrams
    jail_exec behind "$NET" spoof eth0 10.248.180.1 10.248.179.1 4444
    jail_exec behind "$NET" spoof eth0 fd00:180::1 fd00:248::1 4444
    assert_equal "$(seen_datagrams)" "packets 2" "datagrams from its own addresses"
    jail_exec behind "$NET" spoof eth0 10.248.180.2 10.248.179.1 4444
    jail_exec behind "$NET" spoof eth0 fd00:180::2 fd00:248::1 4444
    jail_exec behind "$NET" spoof eth0 192.0.2.1 10.248.179.1 4444
    jail_exec behind "$NET" spoof eth0 2001:db8:1::1 fd00:248::1 4444
    assert_equal "$(seen_datagrams)" "packets 2" "datagrams, those from addresses of others included"
    nft delete table inet watch
    end_jail behind
}

bridges() {
    cat <<'POLICY'
network left { address 10.1.0.1/24 ; address fd00:1::1/64 }
network right { address 10.2.0.1/24 ; address fd00:2::1/64 }
POLICY
}

router() {
    { bridges && cat; } <<'POLICY' | policy router
name router
link eth0 bridge left { address 10.1.0.254/24 ; address fd00:1::254/64 ; gateway none }
link eth1 bridge right { address 10.2.0.254/24 ; address fd00:2::254/64 ; gateway none }
forward
allow forward tcp from { 10.1.0.0/24, fd00:1::/64 } port 80
POLICY
}

client() { # a jail on the left that asks the router for the right
    { bridges && cat; } <<'POLICY' | policy client
name client
link eth0 bridge left {
    address 10.1.0.5/24
    address fd00:1::5/64
    gateway none
    route 10.2.0.0/24 via 10.1.0.254
    route fd00:2::/64 via fd00:1::254
}
allow out
allow in tcp
POLICY
}

server() {
    { bridges && cat; } <<'POLICY' | policy server
name server
link eth0 bridge right {
    address 10.2.0.7/24
    address fd00:2::7/64
    gateway none
    route 10.1.0.0/24 via 10.2.0.254
    route fd00:1::/64 via fd00:2::254
}
allow in tcp
allow out
POLICY
}

root_router_between_two_bridges() {
    local router client server
    router=$(router) client=$(client) server=$(server)
    start_jail router -p "$router" -- bash -c 'echo up; exec tail -f /dev/null'
    wait_for_file "$T/jail-router.out"
    serve_in_jail server "$server" tcp 0.0.0.0 80 tcp :: 80 tcp 0.0.0.0 81
    serve_in_jail client "$client" tcp 0.0.0.0 80
    assert_connect "ok hello from 10.2.0.7 to 10.1.0.5" jail_exec client -- tcp 10.2.0.7 80
    assert_connect "ok hello from fd00:2::7 to fd00:1::5" jail_exec client -- tcp fd00:2::7 80
    # The router's rules judge what it forwards: this port and this direction only.
    assert_connect refused jail_exec client -- tcp 10.2.0.7 81
    assert_connect refused jail_exec server -- tcp 10.1.0.5 80
    assert_equal "$(cat /proc/sys/net/ipv4/ip_forward)" 0 "ip_forward of the host"
    # Its port speaks for the network on its other side, and for no neighbour.
    run nft list set bridge netjail router4
    assert_contains "$out" 10.2.0.0
    watch_datagrams jail_exec server
    jail_exec router nft insert rule inet netjail output accept
    jail_exec router "$NET" spoof eth1 10.1.0.77 10.2.0.7 4444 # the network behind it: 1
    jail_exec router "$NET" spoof eth1 fd00:1::77 fd00:2::7 4444 # and 2
    jail_exec router "$NET" spoof eth1 10.2.0.7 10.2.0.7 4444
    jail_exec router "$NET" spoof eth1 10.2.0.9 10.2.0.7 4444
    jail_exec router "$NET" spoof eth1 fd00:2::9 fd00:2::7 4444
    jail_exec router "$NET" spoof eth1 198.51.100.10 10.2.0.7 4444
    assert_equal "$(seen_datagrams jail_exec server)" "packets 2" "datagrams of the router that reached the right"
    end_jail client
    end_jail server
    end_jail router
}

# A router speaks for others where it forwards: what its command sends comes from its own addresses. And for the host
# it does not speak at all, also when a gateway lies behind it.
root_a_router_is_neither_its_clients_nor_the_host() {
    local router server a
    router=$(router) server=$(server)
    sed -i '/eth0/s/ ; gateway none//; $a allow out' "$router"
    serve_in_jail server "$server" tcp 0.0.0.0 80
    watch_datagrams jail_exec server
    start_jail router -p "$router" -- sh -c "
        $NET claim 10.2.0.7 4444 10.2.0.254 10.1.0.77 10.1.0.1 192.0.2.1 198.51.100.10
        $NET claim fd00:2::7 4444 fd00:2::254 fd00:1::77 fd00:1::1 2001:db8:1::1 2001:db8:100::10
        echo up; exec tail -f /dev/null"
    wait_for 30 test -s "$T/jail-router.out"
    assert_equal "$(seen_datagrams jail_exec server)" "packets 2" "datagrams of the router's command that reached the right"
    jail_exec router nft insert rule inet netjail output accept # as if it had forwarded them
    for a in 192.0.2.1 10.1.0.1 10.2.0.1; do jail_exec router "$NET" spoof eth1 $a 10.2.0.7 4444; done
    for a in 2001:db8:1::1 fd00:1::1 fd00:2::1; do jail_exec router "$NET" spoof eth1 $a fd00:2::7 4444; done
    assert_equal "$(seen_datagrams jail_exec server)" "packets 2" "datagrams, those from the host's addresses included"
    jail_exec router "$NET" spoof eth1 198.51.100.10 10.2.0.7 4444
    jail_exec router "$NET" spoof eth1 2001:db8:100::10 fd00:2::7 4444
    assert_equal "$(seen_datagrams jail_exec server)" "packets 4" "datagrams, those from behind the gateway included"
    end_jail router
    end_jail server
}

# The same jails, but the one between says nothing of `forward`.
root_without_forward_nothing_is_forwarded() {
    local router client server
    router=$(router) client=$(client) server=$(server)
    sed -i '/forward/d' "$router"
    start_jail router -p "$router" -- bash -c 'cat /proc/sys/net/ipv4/ip_forward /proc/sys/net/ipv6/conf/all/forwarding; exec tail -f /dev/null'
    wait_for_file "$T/jail-router.out"
    assert_equal "$(tr '\n' ' ' < "$T/jail-router.out")" "0 0 " "forwarding in the jail"
    serve_in_jail server "$server" tcp 0.0.0.0 80 tcp :: 80
    assert_no_connect "$NETJAIL" -q -p "$client" -- tcp 10.2.0.7 80
    assert_no_connect "$NETJAIL" -q -p "$client" -- tcp fd00:2::7 80
    end_jail server
    end_jail router
}

root_default_forward_and_drop() {
    local router client server
    router=$(router) client=$(client) server=$(server)
    sed -i 's/^allow forward.*/drop forward tcp port 81\ndefault forward allow/' "$router"
    start_jail router -p "$router" -- bash -c 'echo up; exec tail -f /dev/null'
    wait_for_file "$T/jail-router.out"
    serve_in_jail server "$server" tcp 0.0.0.0 80 tcp 0.0.0.0 81 tcp :: 81
    assert_connect ok "$NETJAIL" -q -p "$client" -- tcp 10.2.0.7 80
    assert_connect timeout "$NETJAIL" -q -p "$client" -- tcp 10.2.0.7 81
    assert_connect timeout "$NETJAIL" -q -p "$client" -- tcp fd00:2::7 81
    end_jail server
    end_jail router
}

run_tests "$@"
