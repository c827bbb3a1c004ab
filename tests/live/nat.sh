#!/usr/bin/env bash
# NAT of both families, forwarding as narrow as possible, guarded and restored.
. "$(dirname "$0")/lib.sh"

natted() {
    policy natted <<'POLICY'
network nat_br { address 10.77.0.1/16 ; address fd00:77::1/64 ; nat }
link eth0 bridge nat_br { address auto }
allow out tcp,udp port 7
POLICY
}

root_outside_sees_the_host() {
    serve_outside tcp 0.0.0.0 7 tcp :: 7 udp 0.0.0.0 7 udp :: 7
    local file p
    file=$(natted)
    for p in tcp udp; do
        assert_connect "ok hello from $INTERNET4 to $HOST4" "$NETJAIL" -p "$file" -- $p "$INTERNET4" 7
        assert_connect "ok hello from $INTERNET6 to $HOST6" "$NETJAIL" -p "$file" -- $p "$INTERNET6" 7
    done
    assert_connect refused "$NETJAIL" -p "$file" -- tcp "$INTERNET4" 8
}

root_without_nat_nothing_comes_back() {
    serve_outside tcp 0.0.0.0 7
    local file
    file=$(natted)
    sed -i 's/; nat }/}/' "$file"
    assert_no_connect "$NETJAIL" -p "$file" -- tcp "$INTERNET4" 7
}

root_sysctls_are_changed_narrowly_and_restored() {
    sysctl_snapshot > "$T/sysctls"
    local file
    file=$(natted)
    start_jail one -p "$file" --name one -- bash -c 'echo up; exec tail -f /dev/null'
    wait_for_file "$T/jail-one.out"
    assert_equal "$(cat /proc/sys/net/ipv4/ip_forward)" 0 "ip_forward while a jail with nat runs"
    assert_equal "$(cat /proc/sys/net/ipv4/conf/nat_br/forwarding)" 1 "forwarding of the bridge"
    assert_equal "$(cat /proc/sys/net/ipv4/conf/up0/route_localnet)" 0 route_localnet
    # A second jail does not end the first one's forwarding.
    assert_status 0 "$NETJAIL" --wait-clean -p "$file" --name two true
    assert_equal "$(cat /proc/sys/net/ipv4/conf/nat_br/forwarding)" 1 "forwarding after a second jail"
    end_jail one
    wait_for 10 eval '! ip link show nat_br && sysctl_snapshot | cmp -s "$T/sysctls" -'
}

root_value_changed_by_others_is_not_restored() {
    local file
    file=$(natted)
    start_jail one -p "$file" --name one -- bash -c 'echo up; exec tail -f /dev/null'
    wait_for_file "$T/jail-one.out"
    # An administrator switches forwarding on for good while the jail runs.
    sysctl -qw net.ipv4.ip_forward=1
    end_jail one
    wait_for 10 eval '! ip link show nat_br'
    assert_equal "$(cat /proc/sys/net/ipv4/ip_forward)" 1 "ip_forward"
    assert_equal "$(cat /proc/sys/net/ipv4/conf/up0/forwarding)" 1 "forwarding of the uplink"
    sysctl -qw net.ipv4.ip_forward=0
}

root_host_that_forwards_already_stays_so() {
    sysctl -qw net.ipv4.ip_forward=1
    sysctl -qw net.ipv6.conf.all.forwarding=1
    local file
    file=$(natted)
    assert_status 0 "$NETJAIL" --wait-clean -p "$file" true
    assert_equal "$(cat /proc/sys/net/ipv4/ip_forward)" 1 ip_forward
    assert_equal "$(cat /proc/sys/net/ipv6/conf/all/forwarding)" 1 all.forwarding
    sysctl -qw net.ipv4.ip_forward=0
    sysctl -qw net.ipv6.conf.all.forwarding=0
}

# The guard: while forwarding is on for a jail, the host routes for nobody else. The outside
# knows a way to a third network behind the host, and to the jail's.
root_host_does_not_become_a_router() {
    ip netns add third
    ip link add to3 type veth peer name eth0 netns third
    ip address add 203.0.113.1/24 dev to3
    ip link set to3 up
    nsenter --net=/run/netns/third ip address add 203.0.113.2/24 dev eth0
    nsenter --net=/run/netns/third ip link set eth0 up
    nsenter --net=/run/netns/third ip route add default via 203.0.113.1
    outside ip route add 203.0.113.0/24 via "$HOST4"
    outside ip route add 10.77.0.0/16 via "$HOST4"
    nsenter --net=/run/netns/third "$NET" serve tcp 0.0.0.0 9 > /dev/null &
    remember_process $!
    wait_for_port tcp 9 nsenter --net=/run/netns/third
    local file
    file=$(natted)
    sed -i 's/^allow out.*/allow out\nallow in/; s/address auto/address 10.77.0.5\/16/' "$file"
    serve_in_jail one "$file" tcp 0.0.0.0 80
    assert_no_connect outside -- tcp 203.0.113.2 9
    assert_no_connect nsenter --net=/run/netns/third -- tcp "$OUTSIDE4" 7
    # The jail itself admits everybody, and a static route of the outside may lead to it.
    assert_connect ok outside -- tcp 10.77.0.5 80
    end_jail one
    stop_processes
    ip link del to3
    ip netns del third
}

root_ping_through_nat() {
    local file
    file=$(natted)
    printf 'allow out icmp echo-request\nallow out icmpv6 echo-request\n' >> "$file"
    assert_status 0 "$NETJAIL" -p "$file" --user daemon ping -nqc1 -W2 "$INTERNET4"
    assert_status 0 "$NETJAIL" -p "$file" --user daemon ping -nqc1 -W2 "$INTERNET6"
}

run_tests "$@"
