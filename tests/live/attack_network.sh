#!/usr/bin/env bash
# Attacks: more than the policy says, from jails, neighbours and outside. Everything here must fail.
#
# Where a jail sends frames of its own making, a process entered its network as root: that is far more than
# a command can do, and the host's side must hold even then.
. "$(dirname "$0")/lib.sh"

FRAMES=$LIVE_DIR/frames.py
NETWORK='network at_br { address 10.80.0.1/24 ; address fd00:80::1/64 }'

member() { # member NAME SUFFIX STATEMENT...: a jail's policy on the shared network; prints its path
    local name=$1 suffix=$2
    shift 2
    {
        printf '%s\nname %s\n' "${AT_NETWORK:-$NETWORK}" "$name"
        printf 'link eth0 bridge at_br { address 10.80.0.%s/24 ; address fd00:80::%s/64 }\n' "$suffix" "$suffix"
        printf '%s\n' "$@"
    } | policy "$name"
}

attack() { printf 'attack: %s\n' "$*"; } # shown when the test fails

mac_of() { ip -o link show "$1" | sed -E 's/.*ether ([0-9a-f:]+).*/\1/'; }
jail_mac() { jail_exec "$1" ip -o link show eth0 | sed -E 's/.*ether ([0-9a-f:]+).*/\1/'; }
jail_link_local() { jail_exec "$1" ip -6 -o address show dev eth0 scope link | sed -E 's/.*inet6 ([0-9a-f:]+).*/\1/'; }

background() { # background NAME CMD...: output to $T/NAME; returns when it said `ready`
    local name=$1
    shift
    "$@" > "$T/$name" 2>&1 &
    BACKGROUND_PID=$!
    wait_for 10 grep -q ready "$T/$name"
}

# Datagrams that get to a service of the host, while CMD... runs.
host_hears() { # host_hears ADDR PORT CMD...: prints the number
    local address=$1 port=$2 pid
    shift 2
    background heard "$FRAMES" listen udp "$address" "$port" 0.7
    pid=$BACKGROUND_PID
    "$@" > /dev/null
    wait "$pid"
    tail -n1 "$T/heard"
}

root_frames_to_reserved_addresses_do_not_pass_by_the_pins() {
    local mac dmac last
    idle_jail one "$(member one 10)"
    mac=$(jail_mac one)
    dmac=$(mac_of at_br)
    attack 'a datagram to a closed service of the host'
    assert_equal "$(host_hears 0.0.0.0 999 jail_exec one "$FRAMES" send eth0 udp smac="$mac" dmac="$dmac" src=10.80.0.10 dst=10.80.0.1 dport=999)" 0
    for last in 00 01 02 03 0e 0f; do
        attack "the same in a frame to 01:80:c2:00:00:$last, which a bridge does not bridge"
        assert_equal "$(host_hears 0.0.0.0 999 jail_exec one "$FRAMES" send eth0 udp smac="$mac" dmac=01:80:c2:00:00:$last src=10.80.0.10 dst=10.80.0.1 dport=999)" 0
        assert_equal "$(host_hears :: 999 jail_exec one "$FRAMES" send eth0 udp smac="$mac" dmac=01:80:c2:00:00:$last src=fd00:80::10 dst=fd00:80::1 dport=999)" 0
    done
    attack 'teaching the bridge the MAC address of another jail by such a frame'
    jail_exec one "$FRAMES" send eth0 udp smac=02:00:00:00:66:66 dmac=01:80:c2:00:00:0e src=10.80.0.10 dst=10.80.0.1 dport=999
    assert_lacks "$(bridge fdb show br at_br)" 02:00:00:00:66:66
    end_jail one
}

root_external_bridge_stays_open_to_its_other_members() {
    ip netns add lan
    ip link add lan0 type veth peer name eth0 netns lan
    ip link add ext_br type bridge
    ip link set lan0 master ext_br up
    ip address add 10.81.0.1/24 dev ext_br
    ip address add fd00:81::1/64 dev ext_br nodad
    ip link set ext_br up
    nsenter --net=/run/netns/lan ip address add 10.81.0.2/24 dev eth0
    nsenter --net=/run/netns/lan ip address add fd00:81::2/64 dev eth0 nodad
    nsenter --net=/run/netns/lan ip link set eth0 up
    serve_host tcp 0.0.0.0 22 tcp :: 22
    local file a
    file=$(policy ext <<'POLICY'
network ext_br { external }
link eth0 bridge ext_br { address 10.81.0.5/24 ; address fd00:81::5/64 }
allow out to { 203.0.113.0/24, 2001:db8:5::/48 }
allow out tcp port 22
POLICY
    )
    assert_connect ok nsenter --net=/run/netns/lan -- tcp 10.81.0.1 22
    idle_jail ext "$file"
    for a in 10.81.0.1 fd00:81::1; do
        attack 'another member of an external bridge uses the host as before'
        assert_connect ok nsenter --net=/run/netns/lan -- tcp "$a" 22
        attack 'the jail on the external bridge reaches the host without a rule that says so'
        assert_no_connect jail_exec ext -- tcp "$a" 22
    done
    end_jail ext
    stop_processes
    wait_for 5 eval '! ls /sys/class/net/ext_br/brif | grep -q ^nj'
    ip link del lan0
    ip link del ext_br
    ip netns del lan
}

root_a_jail_of_another_network_does_not_come_as_the_host() {
    local a b
    a=$(policy a <<'POLICY'
network ax_br { address 10.82.0.1/24 ; address fd00:82::1/64 ; nat }
name a
link eth0 bridge ax_br { address 10.82.0.5/24 ; address fd00:82::5/64 }
allow out
POLICY
    )
    b=$(policy b <<'POLICY'
network bx_br { address 10.83.0.1/24 ; address fd00:83::1/64 ; nat }
name b
link eth0 bridge bx_br { address 10.83.0.5/24 ; address fd00:83::5/64 }
allow in tcp from gateway port 80
allow in tcp from { 10.82.0.0/24, fd00:82::/64 } port 81
POLICY
    )
    serve_in_jail b "$b" tcp 0.0.0.0 80 tcp :: 80 tcp 0.0.0.0 81 tcp :: 81
    idle_jail a "$a"
    assert_connect ok -- tcp 10.83.0.5 80
    attack 'a jail of a network with nat reaches what is open to the host only'
    assert_no_connect jail_exec a -- tcp 10.83.0.5 80
    assert_no_connect jail_exec a -- tcp fd00:83::5 80
    attack 'and where a rule admits it, it comes with its own address'
    assert_connect "ok hello from 10.83.0.5 to 10.82.0.5" jail_exec a -- tcp 10.83.0.5 81
    assert_connect "ok hello from fd00:83::5 to fd00:82::5" jail_exec a -- tcp fd00:83::5 81
    end_jail a
    end_jail b
}

root_loopback_publish_opens_nothing_on_the_link() {
    local file a
    AT_NETWORK=${NETWORK/%\}/; nat \}}
    file=$(member one 10 'publish 8080 to 80' 'publish 8053 to 53 udp')
    serve_in_jail one "$file" tcp 0.0.0.0 80 tcp :: 80 udp 0.0.0.0 53 udp :: 53
    outside ip route add 10.80.0.0/24 via "$HOST4"
    outside ip -6 route add fd00:80::/64 via "$HOST6"
    idle_jail two "$(member two 11 'allow out')"
    for a in 10.80.0.10 fd00:80::10; do
        attack 'from outside by a route, past the published address'
        assert_no_connect outside -- tcp "$a" 80
        assert_no_connect outside -- udp "$a" 53
        attack 'from a neighbour'
        assert_no_connect jail_exec two -- tcp "$a" 80
        assert_no_connect jail_exec two -- udp "$a" 53
    done
    assert_connect ok -- tcp 127.0.0.1 8080
    assert_connect ok -- udp ::1 8053
    end_jail one
    end_jail two
    outside ip route del 10.80.0.0/24
    outside ip -6 route del fd00:80::/64
}

root_an_advertisement_in_fragments_is_judged_whole() {
    local mac gateway
    idle_jail one "$(member one 10)"
    idle_jail two "$(member two 11)"
    mac=$(jail_mac one)
    gateway=$(mac_of at_br)
    jail_exec two ip -6 neigh replace fd00:80::1 lladdr "$gateway" dev eth0 nud stale
    background frames jail_exec two "$FRAMES" sniff eth0 90 attack
    attack 'one about the gateway, whose target is in the second fragment'
    jail_exec one "$FRAMES" send eth0 na smac="$mac" dmac="$(jail_mac two)" src=fd00:80::10 dst=fd00:80::11 target=fd00:80::1 fragment=1 \
        and send eth0 udp smac="$mac" dmac=ff:ff:ff:ff:ff:ff src=10.80.0.10 dst=10.80.0.11 dport=7 text='the last one'
    wait "$BACKGROUND_PID"
    assert_contains "$(jail_exec two ip -6 neigh show fd00:80::1 dev eth0)" "lladdr $gateway "
    end_jail one
    end_jail two
}

root_what_a_port_sends_is_pinned() {
    local mac own
    idle_jail one "$(member one 10)"
    idle_jail two "$(member two 11)"
    mac=$(jail_mac one)
    own=$(jail_link_local one)
    background frames jail_exec two "$FRAMES" sniff eth0 90 attack
    attack 'neighbour advertisement from a false address, router advertisement'
    jail_exec one "$FRAMES" send eth0 na smac="$mac" dmac=33:33:00:00:00:01 src=fd00:80::1 dst=ff02::1 target=fd00:80::1
    jail_exec one "$FRAMES" send eth0 ra smac="$mac" dmac=33:33:00:00:00:01 src="$own" dst=ff02::1
    attack 'neighbour advertisements from its own address about that of another jail, and of the gateway'
    jail_exec one "$FRAMES" send eth0 na smac="$mac" dmac=33:33:00:00:00:01 src=fd00:80::10 dst=ff02::1 target=fd00:80::11
    jail_exec one "$FRAMES" send eth0 na smac="$mac" dmac="$(jail_mac two)" src=fd00:80::10 dst=fd00:80::11 target=fd00:80::1
    jail_exec one "$FRAMES" send eth0 na smac="$mac" dmac=33:33:00:00:00:01 src="$own" dst=ff02::1 target="$(jail_link_local two)"
    attack 'ARP for the gateway and for another jail'
    jail_exec one "$FRAMES" send eth0 arp smac="$mac" dmac=ff:ff:ff:ff:ff:ff src=10.80.0.1 target=10.80.0.11
    jail_exec one "$FRAMES" send eth0 arp smac="$mac" sha="$(jail_mac two)" dmac=ff:ff:ff:ff:ff:ff src=10.80.0.11 target=10.80.0.1
    attack 'a datagram with a tag, with two tags, with a false MAC address, in fragments from a false address'
    jail_exec one "$FRAMES" send eth0 udp smac="$mac" dmac=ff:ff:ff:ff:ff:ff vlan=5 src=10.80.0.99 dst=10.80.0.11 dport=7
    jail_exec one "$FRAMES" send eth0 udp smac="$mac" dmac=ff:ff:ff:ff:ff:ff vlan=0 src=10.80.0.10 dst=10.80.0.11 dport=7
    jail_exec one "$FRAMES" send eth0 udp smac="$mac" dmac=ff:ff:ff:ff:ff:ff vlan=5,6 src=10.80.0.10 dst=10.80.0.11 dport=7
    jail_exec one "$FRAMES" send eth0 udp smac=02:00:00:00:66:66 dmac=ff:ff:ff:ff:ff:ff src=10.80.0.10 dst=10.80.0.11 dport=7
    jail_exec one "$FRAMES" send eth0 udp smac="$mac" dmac=ff:ff:ff:ff:ff:ff fragment=1 src=10.80.0.99 dst=10.80.0.11 dport=7
    jail_exec one "$FRAMES" send eth0 udp smac="$mac" dmac=33:33:00:00:00:01 src=fd00:80::99 dst=ff02::1 dport=7
    jail_exec one "$FRAMES" send eth0 bpdu smac="$mac" dmac=01:80:c2:00:00:00
    jail_exec one "$FRAMES" send eth0 udp smac="$mac" dmac=ff:ff:ff:ff:ff:ff src=10.80.0.10 dst=10.80.0.11 dport=7 text='the last one'
    wait "$BACKGROUND_PID"
    assert_equal "$(tail -n1 "$T/frames")" 0 'false frames that reached another jail'
    assert_lacks "$(ip neigh show dev at_br)" "10.80.0.11 lladdr $mac"
    assert_lacks "$(bridge fdb show br at_br)" 02:00:00:00:66:66
    attack 'and what is true still passes'
    background frames jail_exec two "$FRAMES" sniff eth0 90 attack
    jail_exec one "$FRAMES" send eth0 udp smac="$mac" dmac=ff:ff:ff:ff:ff:ff src=10.80.0.10 dst=10.80.0.11 dport=7
    jail_exec one "$FRAMES" send eth0 udp smac="$mac" dmac="$(jail_mac two)" src=fd00:80::10 dst=fd00:80::11 dport=7
    jail_exec one "$FRAMES" send eth0 na smac="$mac" dmac=33:33:00:00:00:01 src=fd00:80::10 dst=ff02::1 target=fd00:80::10
    jail_exec one "$FRAMES" send eth0 na smac="$mac" dmac="$(jail_mac two)" src="$own" dst=fd00:80::11 target="$own"
    jail_exec one "$FRAMES" send eth0 udp smac="$mac" dmac=ff:ff:ff:ff:ff:ff src=10.80.0.10 dst=10.80.0.11 dport=7 text='the last one'
    wait "$BACKGROUND_PID"
    assert_equal "$(tail -n1 "$T/frames")" 4 'true frames that reached another jail'
    end_jail one
    end_jail two
}

# Headers, fragments, tunnels and errors that no kernel makes (attack_frames.py), to the host by each of its addresses and
# to a jail that admits only the host: nothing gets to a program.
root_made_up_packets_open_nothing() {
    local mac host other pid
    start_jail two -q -p "$(member two 11 'allow in udp from gateway port 53' 'allow in tcp from gateway port 80' 'allow out udp to gateway port 53')" -- \
        bash -c 'echo up; exec tail -f /dev/null'
    wait_for_file "$T/jail-two.out"
    idle_jail one "$(member one 10 'allow out udp to gateway port 998')"
    mac=$(jail_mac one) host=$(mac_of at_br) other=$(jail_mac two)
    nft 'table inet seen { chain local { type filter hook input priority 100; iifname at_br udp dport 998 counter; iifname at_br icmpv6 type != { 135, 136 } counter; iifname at_br meta l4proto { tcp, udp, icmp, ipencap, ipv6, gre } counter; }; }'
    jail_exec two nft 'table inet seen { chain local { type filter hook input priority 100; iifname eth0 icmpv6 type != { 135, 136 } counter; iifname eth0 meta l4proto { tcp, udp, icmp, ipencap, ipv6, gre } counter; }; }'
    assert_equal "$(jail_exec one "$LIVE_DIR/attack_frames.py" eth0 "$mac" 10.80.0.10 fd00:80::10 "$host/10.80.0.1/fd00:80::1" -- \
        "$other/10.80.0.11/fd00:80::11" "$host/10.80.0.1/fd00:80::1" "$host/$HOST4/$HOST6" "$host/10.80.0.11/fd00:80::11" "$other/10.80.0.1/fd00:80::1")" 1100 packets
    # What is permitted comes last, so all before it has been looked at.
    jail_exec one "$FRAMES" send eth0 udp smac="$mac" dmac="$host" src=10.80.0.10 dst=10.80.0.1 dport=998
    wait_for 5 eval 'nft list table inet seen | grep -q "998 counter packets 1 "'
    assert_equal "$(nft list table inet seen | grep -oE 'packets [0-9]+' | tr '\n' ' ')" 'packets 1 packets 0 packets 1 ' 'packets that got to the host'
    assert_equal "$(jail_exec two nft list table inet seen | grep -oE 'packets [0-9]+' | tr '\n' ' ')" 'packets 0 packets 0 ' 'packets that got to the other jail'
    nft delete table inet seen
    end_jail one
    end_jail two
}

root_the_guard_leaves_alone_what_was_routed_before() {
    ip netns add third
    ip link add to3 type veth peer name eth0 netns third
    ip address add 203.0.113.1/24 dev to3
    ip address add 2001:db8:3::1/64 dev to3 nodad
    ip link set to3 up
    nsenter --net=/run/netns/third ip address add 203.0.113.2/24 dev eth0
    nsenter --net=/run/netns/third ip address add 2001:db8:3::2/64 dev eth0 nodad
    nsenter --net=/run/netns/third ip link set eth0 up
    nsenter --net=/run/netns/third ip route add default via 203.0.113.1
    nsenter --net=/run/netns/third ip route add default via 2001:db8:3::1
    outside ip route add 203.0.113.0/24 via "$HOST4"
    outside ip -6 route add 2001:db8:3::/64 via "$HOST6"
    nsenter --net=/run/netns/third "$NET" serve tcp 0.0.0.0 9 tcp :: 9 > /dev/null &
    remember_process $!
    wait_for_port tcp 9 nsenter --net=/run/netns/third
    AT_NETWORK=${NETWORK/%\}/; nat \}}
    local file
    file=$(member one 10 'allow out')
    sysctl -qw net.ipv6.conf.all.forwarding=1
    assert_connect ok outside -- tcp 2001:db8:3::2 9
    idle_jail one "$file"
    attack 'the host routes IPv6 already, IPv4 because of the jail'
    assert_connect ok outside -- tcp 2001:db8:3::2 9
    assert_no_connect outside -- tcp 203.0.113.2 9
    end_jail one
    wait_for 10 eval '! ip link show at_br'
    sysctl -qw net.ipv6.conf.all.forwarding=0
    sysctl -qw net.ipv4.ip_forward=1
    idle_jail one "$file"
    attack 'the other way round'
    assert_connect ok outside -- tcp 203.0.113.2 9
    assert_no_connect outside -- tcp 2001:db8:3::2 9
    end_jail one
    wait_for 10 eval '! ip link show at_br'
    sysctl -qw net.ipv4.ip_forward=0
    stop_processes
    outside ip route del 203.0.113.0/24
    outside ip -6 route del 2001:db8:3::/64
    ip link del to3
    ip netns del third
}

root_a_dead_jails_flows_do_not_reach_its_successor() {
    AT_NETWORK=${NETWORK/%\}/; nat \}}
    serve_in_jail one "$(member one 10 'publish any:5353 to 53 udp')" udp 0.0.0.0 53 udp :: 53
    local a
    for a in "$HOST4" "$HOST6"; do
        outside "$FRAMES" udp "$([ "$a" = "$HOST4" ] && echo "$OUTSIDE4" || echo "$OUTSIDE6")" 40000 "$a" 5353 first
    done
    end_jail one
    wait_for 10 eval '! ip link show at_br'
    attack 'the flow goes on, and the next jail with this address admits its port'
    start_jail two -q -p "$(member two 10 'allow in udp port 53')" -- "$FRAMES" listen udp 0.0.0.0 53 1.5
    wait_for 10 grep -q ready "$T/jail-two.out"
    outside "$FRAMES" udp "$OUTSIDE4" 40000 "$HOST4" 5353 later 3
    wait "${JAILS[two]}"
    assert_equal "$(tail -n1 "$T/jail-two.out")" 0 "datagrams of the dead jail's flow (IPv4)"
    start_jail two -q -p "$(member two 10 'allow in udp port 53')" -- "$FRAMES" listen udp :: 53 1.5
    wait_for 10 grep -q ready "$T/jail-two.out"
    outside "$FRAMES" udp "$OUTSIDE6" 40000 "$HOST6" 5353 later 3
    wait "${JAILS[two]}"
    assert_equal "$(tail -n1 "$T/jail-two.out")" 0 "datagrams of the dead jail's flow (IPv6)"
}

root_without_its_elements_a_jail_is_closed() {
    serve_host tcp 0.0.0.0 22 tcp :: 22
    local file set
    file=$(member one 10 'allow out tcp to gateway port 22' 'publish any:8080 to 80' "deny in tcp from { $OUTSIDE4, $OUTSIDE6 } port 80")
    serve_in_jail one "$file" tcp 0.0.0.0 80 tcp :: 80
    assert_connect ok jail_exec one -- tcp 10.80.0.1 22
    attack 'the supervisor is stopped for longer than the elements last'
    kill -STOP "${JAILS[one]}"
    for set in host4 host6; do nft flush set inet netjail $set; done
    for set in publish_any4 publish_any6; do nft flush map inet netjail $set; done
    assert_no_connect jail_exec one -- tcp 10.80.0.1 22
    assert_no_connect jail_exec one -- tcp fd00:80::1 22
    attack 'the rules of the jail hold for what then comes through the service'
    assert_no_connect outside -- tcp "$HOST4" 8080
    assert_no_connect outside -- tcp "$HOST6" 8080
    for set in pin4 pin6; do nft flush set bridge netjail $set; done
    assert_no_connect -- tcp 10.80.0.10 80
    kill -CONT "${JAILS[one]}"
    attack 'and it comes back'
    wait_for 10 eval "jail_exec one '$NET' try tcp 10.80.0.1 22"
    end_jail one
}

# Frames of ports of jails that got to the bridge so far.
frames_of_jails() { nft list chain bridge seen frames | sed -nE 's/.*packets ([0-9]+).*/\1/p'; }

root_no_frame_before_the_rules_and_none_without_a_rule() {
    nft add table bridge seen
    nft add chain bridge seen frames '{ type filter hook prerouting priority -400; }'
    nft add rule bridge seen frames iifgroup 0x6e6a0002 counter
    idle_jail one "$(member one 10 'default out drop')"
    attack 'something of a jail with both families leaves though no rule admits it'
    run jail_exec one "$NET" try tcp 10.80.0.1 22
    run jail_exec one "$NET" try udp fd00:80::1 22
    attack 'reports of groups that a program joins, requests for neighbours that no rule admits'
    jail_exec one /usr/bin/python3 - << 'PY'
import socket, time
four, six = socket.socket(type=socket.SOCK_DGRAM), socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
link = socket.if_nametoindex("eth0").to_bytes(4, "little")
for i in range(9):
    four.setsockopt(0, 35, bytes([239, 1, 2, i, 0, 0, 0, 0]) + link)  # IP_ADD_MEMBERSHIP
    six.setsockopt(41, 20, socket.inet_pton(socket.AF_INET6, f"ff05::{i}") + link)
    for s, address in ((four, f"10.80.0.{100 + i}"), (six, f"fd00:80::{100 + i}")):
        try:
            s.sendto(b"x", (address, 9))
        except OSError:
            pass
time.sleep(1.2)  # a report is sent again within a second
PY
    assert_equal "$(frames_of_jails)" 0 'frames'
    end_jail one
    nft delete table bridge seen
}

root_the_hosts_services_are_closed_by_every_address() {
    ip address add 203.0.113.77/32 dev lo
    serve_host tcp 0.0.0.0 22 tcp :: 22 udp 0.0.0.0 53 udp :: 53
    idle_jail one "$(member one 10 'allow out' 'allow in')"
    local a own
    own=$(ip -6 -o address show dev at_br scope link | sed -E 's/.*inet6 ([0-9a-f:]+).*/\1/')
    for a in 10.80.0.1 fd00:80::1 "$HOST4" "$HOST6" 203.0.113.77 127.0.0.1 ::1 ::ffff:10.80.0.1; do
        attack "the host by $a"
        assert_no_connect jail_exec one -- tcp "$a" 22
        assert_no_connect jail_exec one -- udp "$a" 53
    done
    attack 'the host by the link-local address of the bridge, by all nodes and by broadcast'
    assert_fails jail_exec one python3 -c "import socket
s = socket.socket(socket.AF_INET6); s.settimeout(1); s.connect(('$own', 22, 0, socket.if_nametoindex('eth0')))"
    assert_equal "$(host_hears :: 999 jail_exec one python3 -c "import socket
s = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
for a in ('ff02::1', '$own'): s.sendto(b'attack', (a, 999, 0, socket.if_nametoindex('eth0')))")" 0
    assert_equal "$(host_hears 0.0.0.0 999 jail_exec one python3 -c "import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
for a in ('10.80.0.255', '255.255.255.255', '224.0.0.1'): s.sendto(b'attack', (a, 999))")" 0
    attack 'pings, SCTP'
    assert_fails jail_exec one ping -nqc1 -W1 10.80.0.1
    assert_fails jail_exec one ping -nqc1 -W1 "$own%eth0"
    end_jail one
    stop_processes
    ip address del 203.0.113.77/32 dev lo
}

root_isolated_jails_meet_by_no_way() {
    AT_NETWORK=${NETWORK/%\}/; nat ; isolate \}}
    sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1
    serve_in_jail one "$(member one 10 'allow in' 'allow out')" tcp 0.0.0.0 80 tcp :: 80 udp 0.0.0.0 80
    idle_jail two "$(member two 11 'allow in' 'allow out')"
    local mac
    mac=$(mac_of at_br)
    assert_connect ok -- tcp 10.80.0.10 80
    attack 'the bridge'
    assert_no_connect jail_exec two -- tcp 10.80.0.10 80
    assert_no_connect jail_exec two -- tcp fd00:80::10 80
    attack 'through the gateway, by a host route'
    jail_exec two ip route add 10.80.0.10/32 via 10.80.0.1
    jail_exec two ip -6 route add fd00:80::10/128 via fd00:80::1
    assert_no_connect jail_exec two -- tcp 10.80.0.10 80
    assert_no_connect jail_exec two -- tcp fd00:80::10 80
    attack 'the address of the other one at the MAC address of the host'
    background frames jail_exec one "$FRAMES" sniff eth0 90 attack
    jail_exec two "$FRAMES" send eth0 udp smac="$(jail_mac two)" dmac="$mac" src=10.80.0.11 dst=10.80.0.10 dport=80
    jail_exec two "$FRAMES" send eth0 udp smac="$(jail_mac two)" dmac=ff:ff:ff:ff:ff:ff src=10.80.0.11 dst=10.80.0.10 dport=80
    jail_exec two "$FRAMES" send eth0 udp smac="$(jail_mac two)" dmac=01:80:c2:00:00:0e src=10.80.0.11 dst=10.80.0.10 dport=80
    "$FRAMES" send at_br udp smac="$mac" dmac="$(jail_mac one)" src=10.80.0.1 dst=10.80.0.10 dport=80 text='the last one'
    wait "$BACKGROUND_PID"
    assert_equal "$(tail -n1 "$T/frames")" 0
    end_jail two
    end_jail one
    wait_for 10 eval '! ip link show at_br'
    sysctl -qw net.ipv4.ip_forward=0 net.ipv6.conf.all.forwarding=0
}

root_deny_is_immediate_for_every_protocol() {
    local file a ms
    file=$(member one 10 'allow out tcp port 9')
    idle_jail one "$file"
    for a in 10.80.0.1 fd00:80::1; do
        attack "raw and SCTP to $a"
        ms=$(jail_exec one python3 -c "import socket, time
a = '$a'; f = socket.AF_INET6 if ':' in a else socket.AF_INET
t = time.monotonic()
for kind, protocol in ((socket.SOCK_STREAM, 132), (socket.SOCK_DGRAM, 0)):
    try:
        s = socket.socket(f, kind, protocol)
    except OSError:
        continue
    s.settimeout(5)
    try:
        s.connect((a, 7)); s.send(b'x'); s.recv(1); raise SystemExit('it was answered')
    except OSError:
        pass
print(int((time.monotonic() - t) * 1000))")
        [ "$ms" -lt 2500 ] || fail "refused only after $ms ms"
    done
    end_jail one
}

root_packets_that_belong_to_nothing_are_dropped() {
    local file mac answer=02:00:00:00:00:05
    outside ip route add 10.80.0.0/24 via "$HOST4"
    mac=$(mac_of up0)
    AT_NETWORK=${NETWORK/%\}/; nat \}}
    file=$(member one 10 "allow out udp to $OUTSIDE4 port 53" 'allow in udp from 10.80.0.0/24 port 53' 'allow in udp from 127.0.0.0/8 port 53')
    start_jail one -q -p "$file" -- "$FRAMES" listen udp 0.0.0.0 53 2.5
    wait_for 10 grep -q ready "$T/jail-one.out"
    attack 'from outside, from the source port of an allowed service'
    outside "$FRAMES" udp "$OUTSIDE4" 53 10.80.0.10 53 attack 2
    attack 'a datagram in fragments'
    outside "$FRAMES" send out0 udp smac=$answer dmac="$mac" src="$OUTSIDE4" dst=10.80.0.10 sport=53 dport=53 fragment=1
    attack 'the address of loopback, of the jail itself and of the gateway as the source'
    outside "$FRAMES" send out0 udp smac=$answer dmac="$mac" src=127.0.0.1 dst=10.80.0.10 dport=53
    outside "$FRAMES" send out0 udp smac=$answer dmac="$mac" src=10.80.0.10 dst=10.80.0.10 dport=53
    outside "$FRAMES" send out0 udp smac=$answer dmac="$mac" src=10.80.0.1 dst=10.80.0.10 dport=53
    wait "${JAILS[one]}"
    assert_equal "$(tail -n1 "$T/jail-one.out")" 0 'datagrams that got in'
    attack 'what a rule admits is admitted, also in fragments'
    sed -i "s/^allow in udp from 10.*/allow in udp from $OUTSIDE4 port 53/" "$file"
    start_jail two -q -p "$file" -- "$FRAMES" listen udp 0.0.0.0 53 1.5
    wait_for 10 grep -q ready "$T/jail-two.out"
    outside "$FRAMES" send out0 udp smac=$answer dmac="$mac" src="$OUTSIDE4" dst=10.80.0.10 dport=53 fragment=1
    outside "$FRAMES" udp "$OUTSIDE4" 5353 10.80.0.10 53 attack 2
    wait "${JAILS[two]}"
    assert_equal "$(tail -n1 "$T/jail-two.out")" 3 'datagrams that a rule admits'
    outside ip route del 10.80.0.0/24
}

root_forwarding_goes_back_in_any_order_and_after_sigkill() {
    AT_NETWORK=${NETWORK/%\}/; nat \}}
    local one two first second
    one=$(member one 10 'allow out')
    two=$(member two 11 'allow out')
    sysctl_snapshot > "$T/sysctls"
    for first in one two; do
        [ $first = one ] && second=two || second=one
        idle_jail one "$one"
        idle_jail two "$two"
        end_jail $first
        assert_equal "$(cat /proc/sys/net/ipv4/conf/up0/forwarding)" 1 "forwarding while $second runs"
        end_jail $second
        wait_for 10 eval '! ip link show at_br && sysctl_snapshot | cmp -s "$T/sysctls" -'
        attack "$first killed, then $second ends"
        idle_jail one "$one"
        idle_jail two "$two"
        kill -KILL "${JAILS[$first]}"
        wait "${JAILS[$first]}" || :
        end_jail $second
        "$NETJAILCTL" gc > /dev/null
        wait_for 10 eval '! ip link show at_br && sysctl_snapshot | cmp -s "$T/sysctls" -'
        attack 'both killed at once'
        idle_jail one "$one"
        idle_jail two "$two"
        kill -KILL "${JAILS[one]}" "${JAILS[two]}"
        wait "${JAILS[one]}" "${JAILS[two]}" || :
        "$NETJAILCTL" gc > /dev/null
        wait_for 10 eval '! ip link show at_br && sysctl_snapshot | cmp -s "$T/sysctls" -'
        attack 'one killed, the other one starts after it'
        idle_jail $first "$T/$first.conf"
        kill -KILL "${JAILS[$first]}"
        wait "${JAILS[$first]}" || :
        assert_status 0 "$NETJAIL" -q --wait-clean -p "$T/$second.conf" true
        wait_for 10 eval '! ip link show at_br && sysctl_snapshot | cmp -s "$T/sysctls" -'
    done
}

# 20 at a time come and go, some are killed; the last one leaves races with the first one that comes.
root_jails_that_come_and_go_leave_nothing() {
    printf '%s\nlink eth0 bridge at_br { address auto }\nallow out\n' "${NETWORK/%\}/; nat \}}" | policy storm > /dev/null
    local i pid
    for i in $(seq 100); do
        "$NETJAIL" -q -p "$T/storm.conf" --name "s$i" sleep 0.0$((RANDOM % 10)) > "$T/s$i" 2>&1 &
        pid=$!
        [ $((RANDOM % 4)) -gt 0 ] || { read -rt 0.0$((RANDOM % 9 + 1)) <> <(:) || kill -KILL "$pid" 2> /dev/null || :; }
        [ $((i % 15)) -gt 0 ] || wait
    done
    wait
    assert_equal "$(cat "$T"/s[0-9]*)" '' 'what they had to say'
    "$NETJAILCTL" gc > /dev/null
    assert_status 0 "$NETJAIL" -q --wait-clean true
}

root_a_host_that_drops_what_is_forwarded_is_named() {
    nft add table ip filter
    nft add chain ip filter FORWARD '{ type filter hook forward priority 0; policy drop; }'
    serve_outside tcp 0.0.0.0 7
    AT_NETWORK=${NETWORK/%\}/; nat \}}
    local file
    file=$(member one 10 'allow out')
    run "$NETJAIL" -p "$file" "$NET" try tcp "$INTERNET4" 7
    assert_equal "$out" timeout
    assert_contains "$err" "iptables' chain 'filter FORWARD'"
    assert_contains "$err" 'iptables -I FORWARD -i at_br -j ACCEPT'
    nft insert rule ip filter FORWARD iifname at_br accept
    nft insert rule ip filter FORWARD oifname at_br accept
    run "$NETJAIL" -p "$file" "$NET" try tcp "$INTERNET4" 7
    assert_contains "$out" ok
    assert_lacks "$err" FORWARD
    nft delete table ip filter
}

root_publish_on_an_external_bridge_opens_that_and_no_more() {
    ip netns add lan
    ip link add lan0 type veth peer name eth0 netns lan
    ip link add ext_br type bridge
    ip link set lan0 master ext_br up
    ip address add 10.81.0.1/24 dev ext_br
    ip address add fd00:81::1/64 dev ext_br nodad
    ip link set ext_br up
    nsenter --net=/run/netns/lan ip address add 10.81.0.2/24 dev eth0
    nsenter --net=/run/netns/lan ip address add fd00:81::2/64 dev eth0 nodad
    nsenter --net=/run/netns/lan ip link set eth0 up
    nsenter --net=/run/netns/lan ip route add default via 10.81.0.1
    nsenter --net=/run/netns/lan "$NET" serve tcp 0.0.0.0 90 > /dev/null &
    remember_process $!
    serve_outside tcp 0.0.0.0 7
    wait_for_port tcp 90 nsenter --net=/run/netns/lan
    outside ip route add 10.81.0.0/24 via "$HOST4"
    sysctl_snapshot > "$T/sysctls"
    { ip -d link show ext_br | sed -E 's/gc_timer +[0-9.]+//'; ip address show ext_br; } > "$T/bridge"
    local file
    file=$(policy ext <<'POLICY'
name ext
network ext_br { external }
link eth0 bridge ext_br { address 10.81.0.5/24 ; address fd00:81::5/64 ; gateway 10.81.0.1 }
publish any:8080 to 80
allow out
POLICY
    )
    serve_in_jail ext "$file" tcp 0.0.0.0 80 tcp :: 80
    assert_connect ok outside -- tcp "$HOST4" 8080
    assert_connect ok nsenter --net=/run/netns/lan -- tcp 10.81.0.1 8080
    assert_connect ok nsenter --net=/run/netns/lan -- tcp fd00:81::1 8080
    attack 'past the published port, by the bridge and by a route'
    assert_no_connect nsenter --net=/run/netns/lan -- tcp 10.81.0.5 80
    assert_no_connect outside -- tcp 10.81.0.5 80
    attack 'the host as a router between the external bridge and outside, both ways'
    assert_no_connect outside -- tcp 10.81.0.2 90
    assert_no_connect nsenter --net=/run/netns/lan -- tcp "$OUTSIDE4" 7
    end_jail ext
    stop_processes
    wait_for 10 eval 'sysctl_snapshot | cmp -s "$T/sysctls" -'
    { ip -d link show ext_br | sed -E 's/gc_timer +[0-9.]+//'; ip address show ext_br; } | cmp "$T/bridge" -
    outside ip route del 10.81.0.0/24
    ip link del lan0
    ip link del ext_br
    ip netns del lan
}

root_a_cable_carries_its_own_addresses_only() {
    serve_host tcp 0.0.0.0 22 tcp :: 22
    local file mac peer a
    file=$(policy cable <<'POLICY'
name cable
link eth0 veth host { address 10.84.0.2/24 ; address fd00:84::2/64 ; peer-name cab0 ; peer-address 10.84.0.1/24 ; peer-address fd00:84::1/64 }
allow out icmp to gateway
allow out
allow in
POLICY
    )
    idle_jail cable "$file"
    mac=$(jail_mac cable)
    peer=$(mac_of cab0)
    for a in 10.84.0.1 "$HOST4" fd00:84::1 "$HOST6"; do
        attack "the host by $a"
        assert_no_connect jail_exec cable -- tcp "$a" 22
    done
    nft add table inet seen
    nft add chain inet seen frames '{ type filter hook prerouting priority -200; }'
    nft add rule inet seen frames iifname cab0 udp dport 999 counter
    attack 'false source addresses'
    for a in 10.84.0.99 192.0.2.55 127.0.0.1 10.84.0.1; do
        jail_exec cable "$FRAMES" send eth0 udp smac="$mac" dmac="$peer" src=$a dst=10.84.0.1 dport=999
    done
    for a in fd00:84::99 fd00:84::1 2001:db8:9::1; do
        jail_exec cable "$FRAMES" send eth0 udp smac="$mac" dmac="$peer" src=$a dst=fd00:84::1 dport=999
    done
    assert_contains "$(nft list chain inet seen frames)" 'packets 0 '
    jail_exec cable "$FRAMES" send eth0 udp smac="$mac" dmac="$peer" src=10.84.0.2 dst=10.84.0.1 dport=999
    assert_contains "$(nft list chain inet seen frames)" 'packets 1 '
    nft delete table inet seen
    attack 'the elements of the cable are gone: nothing passes'
    jail_exec cable ping -nqc1 -W1 10.84.0.1 > /dev/null
    nft flush set inet netjail cable4
    assert_fails jail_exec cable ping -nqc1 -W1 10.84.0.1
    end_jail cable
    stop_processes
}

run_tests "$@"
