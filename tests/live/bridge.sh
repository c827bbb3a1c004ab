#!/usr/bin/env bash
# Jails on a bridge: made on demand, shared, removed with the last jail.
. "$(dirname "$0")/lib.sh"

NETWORK='network app_br { address 10.10.0.1/16 ; address fd00:10::1/64 }'

member() { # member NAME IPV4-SUFFIX: a policy on app_br that admits everything
    policy "$1" <<POLICY
$NETWORK
name $1
link eth0 bridge app_br { address 10.10.0.$2/16 ; address fd00:10::$2/64 }
allow in
allow out
POLICY
}

root_two_jails_reach_each_other() {
    local red blue
    red=$(member red 10)
    blue=$(member blue 20)
    serve_in_jail red "$red" tcp 0.0.0.0 80 tcp :: 80 udp 0.0.0.0 53 udp :: 53
    ip link show app_br > /dev/null
    local a
    for a in 10.10.0.10 fd00:10::10; do
        assert_connect ok "$NETJAIL" -p "$blue" -- tcp "$a" 80
        assert_connect ok "$NETJAIL" -p "$blue" -- udp "$a" 53
        assert_connect ok -- tcp "$a" 80 # the host has an address there
    done
    ip link show app_br > /dev/null || fail "the bridge went with the first jail that ended"
    end_jail red
    wait_for 5 eval '! ip link show app_br'
}

root_first_packet_is_not_late() {
    local red blue
    red=$(member red 10)
    blue=$(member blue 20)
    serve_in_jail red "$red" tcp 0.0.0.0 80 tcp :: 80
    local a ms
    for a in 10.10.0.10 fd00:10::10; do
        read -r ms _ <<< "$("$NETJAIL" -p "$blue" "$NET" time tcp "$a" 80)"
        [ "$ms" -lt 300 ] || fail "the first connection to $a took $ms ms: duplicate address detection or a lost SYN"
    done
    end_jail red
}

root_addresses_links_and_routes_are_those_of_the_policy() {
    local file
    file=$(policy one <<POLICY
$NETWORK
name one
link eth7 bridge app_br {
    address 10.10.3.4/16
    address fd00:10::34/64
    route 192.168.44.0/24 via 10.10.0.7
    mac 02:11:22:33:44:55
    mtu 1400
    host-name onehost
}
allow out
POLICY
    )
    start_jail one -p "$file" -- tail -f /dev/null
    wait_for 5 jail_command_pid one
    wait_for 5 ip link show onehost
    run jail_exec one ip -o link show
    assert_equal "$(grep -c . <<< "$out")" 2 "number of links"
    run jail_exec one ip -d link show eth7
    assert_contains "$out" "mtu 1400"
    assert_contains "$out" 02:11:22:33:44:55
    run jail_exec one ip -4 -o address show eth7
    assert_contains "$out" "inet 10.10.3.4/16"
    run jail_exec one ip route show
    assert_contains "$out" "default via 10.10.0.1 dev eth7"
    assert_contains "$out" "192.168.44.0/24 via 10.10.0.7 dev eth7"
    run jail_exec one ip -6 route show
    assert_contains "$out" "default via fd00:10::1 dev eth7"
    run ip -d link show onehost
    assert_contains "$out" "master app_br"
    assert_contains "$out" "mtu 1400"
    assert_contains "$(ip link show onehost | grep alias)" one
    end_jail one
}

root_gateway_none_leaves_no_default_route() {
    local file
    file=$(policy nogw <<POLICY
$NETWORK
link eth0 bridge app_br { address 10.10.0.5/16 ; gateway none ; route 203.0.113.0/24 via 10.10.0.1 }
allow out
POLICY
    )
    assert_status 0 "$NETJAIL" -p "$file" ip route show
    assert_lacks "$out" default
    assert_contains "$out" "203.0.113.0/24 via 10.10.0.1"
}

root_automatic_addresses_never_conflict() {
    local file i
    file=$(policy auto <<POLICY
network auto_br { address 10.66.0.1/27 ; address fd00:66::1/64 }
link eth0 bridge auto_br { address auto }
allow in
allow out
POLICY
    )
    for i in $(seq 12); do
        start_jail "a$i" -p "$file" --name "a$i" -- bash -c 'ip -o address show dev eth0 scope global; exec tail -f /dev/null'
    done
    for i in $(seq 12); do
        wait_for 15 eval "[ \$(grep -c inet '$T/jail-a$i.out') -ge 2 ] || ! kill -0 ${JAILS[a$i]}"
        jail_runs_or_fail "a$i"
    done
    cat "$T"/jail-a*.out | awk '{print $4}' | sort > "$T/all"
    assert_equal "$(wc -l < "$T/all")" 24 "number of addresses"
    assert_equal "$(uniq -d "$T/all")" "" "addresses given twice"
    assert_equal "$(grep -cE '^10\.66\.0\.[0-9]+/27$' "$T/all")" 12 "IPv4 addresses"
    assert_equal "$(grep -c '^fd00:66::' "$T/all")" 12 "IPv6 addresses"
    assert_lacks "$(cat "$T/all")" 10.66.0.1/
    assert_lacks "$(cat "$T/all")" 10.66.0.31/
    for i in $(seq 12); do kill "${JAILS[a$i]}"; done
    for i in $(seq 12); do wait "${JAILS[a$i]}" || :; done
}

root_full_network_is_an_error() {
    local file i
    file=$(policy full <<POLICY
network full_br { address 10.67.0.1/30 }
link eth0 bridge full_br { address auto }
POLICY
    )
    start_jail a -p "$file" --name a -- bash -c 'echo up; exec tail -f /dev/null'
    wait_for_file "$T/jail-a.out"
    assert_status 125 "$NETJAIL" -p "$file" --name b true
    assert_contains "$err" full.conf:2
    end_jail a
}

root_address_in_use_is_an_error_that_names_the_jail() {
    local red
    red=$(member red 10)
    serve_in_jail red "$red" tcp 0.0.0.0 80
    sed 's/^name red/name other/' "$red" > "$T/other.conf"
    assert_status 125 "$NETJAIL" -p "$T/other.conf" true
    assert_contains "$err" 10.10.0.10
    assert_contains "$err" red
    assert_status 125 "$NETJAIL" -p "$red" true
    assert_contains "$err" red
    end_jail red
}

root_policies_that_disagree_about_a_network() {
    local red other
    red=$(member red 10)
    serve_in_jail red "$red" tcp 0.0.0.0 80
    other=$(policy other <<'POLICY'
network app_br {
    address 10.99.0.1/16
}
link eth0 bridge app_br { address 10.99.0.9/16 }
POLICY
    )
    assert_status 125 "$NETJAIL" -p "$other" true
    assert_contains "$err" other.conf:
    assert_contains "$err" red.conf:
    end_jail red
}

root_isolate_separates_the_jails() {
    local a b
    for a in one two; do
        policy $a > /dev/null <<POLICY
network iso_br { address 10.68.0.1/24 ; address fd00:68::1/64 ; isolate }
name $a
link eth0 bridge iso_br { address 10.68.0.1$([ $a = one ] && echo 1 || echo 2)/24 ; address fd00:68::1$([ $a = one ] && echo 1 || echo 2)/64 }
allow in
allow out
POLICY
    done
    serve_in_jail one "$T/one.conf" tcp 0.0.0.0 80 tcp :: 80
    for b in 10.68.0.11 fd00:68::11; do
        assert_connect ok -- tcp "$b" 80
        assert_no_connect "$NETJAIL" -p "$T/two.conf" -- tcp "$b" 80
    done
    end_jail one
}

root_external_bridge_is_not_changed() {
    ip link add ext_br type bridge
    ip address add 10.69.0.1/24 dev ext_br
    ip link set ext_br up
    local file before
    before=$(ip -d link show ext_br | sed -E 's/gc_timer +[0-9.]+//')
    file=$(policy ext <<'POLICY'
network ext_br { external }
link eth0 bridge ext_br { address 10.69.0.5/24 ; gateway 10.69.0.1 }
allow in
allow out icmp to gateway
POLICY
    )
    assert_status 0 "$NETJAIL" --wait-clean -p "$file" --user daemon ping -nqc1 -W2 10.69.0.1
    ip link show ext_br > /dev/null || fail "an external bridge was removed"
    assert_equal "$(ip address show ext_br | grep -c 'inet 10.69.0.1/24')" 1
    wait_for 5 eval '[ -z "$(ls /sys/class/net/ext_br/brif)" ]'
    ip link del ext_br
    run "$NETJAIL" -p "$file" true
    assert_equal "$status" 125 "exit status without the external bridge"
    assert_contains "$err" ext_br
    : "$before"
}

root_interface_name_taken() {
    ip link add taken type bridge
    local file
    file=$(policy taken <<POLICY
$NETWORK
link eth0 bridge app_br { address auto ; host-name taken }
POLICY
    )
    assert_status 125 "$NETJAIL" -p "$file" true
    assert_contains "$err" taken.conf:2
    assert_contains "$err" taken
    ip link show taken > /dev/null
    ip link del taken
}

root_bridge_name_taken_by_something_else() {
    ip link add app_br type veth peer name app_peer
    assert_status 125 "$NETJAIL" -p "$(member red 10)" true
    assert_contains "$err" app_br
    ip link show app_br > /dev/null || fail "a link that is not ours was removed"
    ip link del app_br
}

root_without_the_capability_is_told_its_own_remedy() {
    assert_status 125 setpriv --bounding-set=-net_admin --inh-caps=-net_admin \
        "$NETJAIL" -p "$(member red 10)" true
    assert_contains "$err" "red.conf:"
    assert_contains "$err" "this root lacks CAP_NET_ADMIN"
    assert_lacks "$err" sudo
}

root_ipv6_switched_off_is_said_as_such() {
    local file
    file=$(policy six <<'POLICY'
network six_br { address 10.70.0.1/24 ; address fd00:70::1/64 }
link eth0 bridge six_br
POLICY
    )
    sysctl -qw net.ipv6.conf.default.disable_ipv6=1
    assert_status 125 "$NETJAIL" -p "$file" true
    assert_contains "$err" "six.conf:1:"
    assert_contains "$err" "IPv6 is switched off on this host"
    sysctl -qw net.ipv6.conf.default.disable_ipv6=0
}

user_is_told_that_privilege_is_needed() {
    assert_status 125 "$NETJAIL" -p "$(member red 10)" true
    assert_contains "$err" red.conf:
    assert_contains "$err" privilege
}

root_spoofed_source_addresses_do_not_leave_the_port() {
    local red
    red=$(member red 10)
    serve_in_jail red "$red" tcp 0.0.0.0 80
    "$NET" count 4444 3 > "$T/count" &
    local counter=$!
    wait_for_port udp 4444
    # As root in the jail's namespace: far more than the command can do.
    jail_exec red "$NET" spoof eth0 10.10.0.99 10.10.0.1 4444
    jail_exec red "$NET" spoof eth0 192.0.2.55 10.10.0.1 4444
    wait "$counter"
    assert_equal "$(tail -n1 "$T/count")" 0 "spoofed datagrams that reached the host"
    jail_exec red ip link set eth0 down
    jail_exec red ip link set eth0 address 02:00:00:00:00:99
    jail_exec red ip link set eth0 up
    jail_exec red ip route replace default via 10.10.0.1
    assert_fails jail_exec red ping -nqc1 -W1 10.10.0.1
    end_jail red
}

root_host_services_are_closed_to_the_jail() {
    serve_host tcp 0.0.0.0 22 tcp :: 22 udp 0.0.0.0 53
    local file a
    file=$(policy closed <<POLICY
$NETWORK
link eth0 bridge app_br { address auto }
allow out to { 203.0.113.0/24, 2001:db8:5::/48 }
POLICY
    )
    for a in 10.10.0.1 "$HOST4" fd00:10::1 "$HOST6"; do
        assert_no_connect "$NETJAIL" -p "$file" -- tcp "$a" 22
    done
    file=$(policy opened <<POLICY
$NETWORK
link eth0 bridge app_br { address auto }
allow out tcp to gateway port 22
POLICY
    )
    assert_connect ok "$NETJAIL" -p "$file" -- tcp 10.10.0.1 22
    assert_connect ok "$NETJAIL" -p "$file" -- tcp fd00:10::1 22
    assert_connect denied "$NETJAIL" -p "$file" -- udp 10.10.0.1 53
}

run_tests "$@"
