#!/usr/bin/env bash
# `link IF macvlan DEV`, `link IF ipvlan DEV`: interfaces that share one of the host.
. "$(dirname "$0")/lib.sh"

child() { # child NAME NUMBER [MODE]: a jail on up0
    policy "$1" <<POLICY
name $1
link eth0 macvlan up0 {
    address 192.0.2.$2/24
    address 2001:db8:1::$2/64
    gateway 192.0.2.100
    gateway 2001:db8:1::100
    mode ${3:-bridge}
}
allow in tcp port 80
allow in icmp
allow out
POLICY
}

root_bridge_mode() {
    serve_outside tcp 0.0.0.0 7 tcp :: 7
    serve_in_jail one "$(child one 21)" tcp 0.0.0.0 80 tcp :: 80 tcp 0.0.0.0 81
    # The outside sees the jail at its own address, the jail the outside and what is behind it.
    assert_connect "ok hello from 192.0.2.21 to 192.0.2.100" outside -- tcp 192.0.2.21 80
    assert_connect ok outside -- tcp 2001:db8:1::21 80
    assert_connect refused outside -- tcp 192.0.2.21 81
    assert_connect "ok hello from $INTERNET4 to 192.0.2.21" jail_exec one -- tcp "$INTERNET4" 7
    assert_connect "ok hello from $INTERNET6 to 2001:db8:1::21" jail_exec one -- tcp "$INTERNET6" 7
    # Two of them reach each other, and not the host, whose interface they share.
    assert_connect ok "$NETJAIL" -q -p "$(child two 22)" -- tcp 192.0.2.21 80
    assert_connect ok "$NETJAIL" -q -p "$T/two.conf" -- tcp 2001:db8:1::21 80
    serve_host tcp 0.0.0.0 22
    assert_no_connect "$NETJAIL" -q -p "$T/two.conf" -- tcp "$HOST4" 22
    end_jail one
}

# What neighbours remember of a jail stays true when it starts again.
root_mac_stays() {
    local file first bridged
    [ "$(wc -c < /etc/machine-id)" -ge 32 ] 2> /dev/null || skip 'this machine has no id (machine-id(5)): the MAC is random'
    file=$(child one 21)
    first=$("$NETJAIL" -q -p "$file" cat /sys/class/net/eth0/address)
    assert_equal "$("$NETJAIL" -q -p "$file" cat /sys/class/net/eth0/address)" "$first" "MAC of the next start"
    # One after the other at once: the last one's link may not be gone yet.
    for _ in 1 2 3 4 5; do assert_status 0 "$NETJAIL" -q -p "$file" true; done
    [ "$("$NETJAIL" -q -p "$(child two 21)" cat /sys/class/net/eth0/address)" != "$first" ] || fail "the MAC of another jail: $first"
    file=$(policy bridged <<< 'network m_br { address 10.5.0.1/24 }
name bridged
link eth0 bridge m_br { address 10.5.0.2/24 }')
    bridged=$("$NETJAIL" -q -p "$file" cat /sys/class/net/eth0/address)
    assert_equal "$("$NETJAIL" -q -p "$file" cat /sys/class/net/eth0/address)" "$bridged" "MAC on a bridge"
}

root_private_and_vepa_modes() {
    local mode
    for mode in private vepa; do
        outside ip neighbour flush all # the MAC is a new one where the machine has no id
        serve_in_jail one "$(child one 21 $mode)" tcp 0.0.0.0 80 tcp :: 80
        assert_connect ok outside -- tcp 192.0.2.21 80
        assert_connect ok outside -- tcp 2001:db8:1::21 80
        # The switch outside sends nothing back where it came from.
        assert_no_connect "$NETJAIL" -q -p "$(child two 22 $mode)" -- tcp 192.0.2.21 80
        assert_no_connect "$NETJAIL" -q -p "$T/two.conf" -- tcp 2001:db8:1::21 80
        end_jail one
    done
}

root_passthru_mode() {
    ip link add pass0 type veth peer name other0
    local file
    file=$(policy pass <<'POLICY'
link eth0 macvlan pass0 { address 10.6.6.1/24 ; mode passthru }
allow in icmp
POLICY
    )
    run ip -br link show pass0
    assert_status 0 "$NETJAIL" -q -p "$file" --user daemon ip -br link show eth0
    assert_contains "$out" "$(ip -br link show pass0 | awk '{print $3}')"
    ip link del pass0
}

# A program needs no privilege to bind to a foreign IPv6 address: the jail's own rules refuse to send.
root_foreign_sources_stay_inside() {
    serve_in_jail one "$(child one 21)" tcp 0.0.0.0 80
    outside nft 'table inet watch { chain seen { type filter hook prerouting priority 0; udp dport 4444 counter; }; }'
    jail_exec one "$NET" spoof eth0 192.0.2.21 192.0.2.100 4444
    jail_exec one "$NET" spoof eth0 2001:db8:1::21 2001:db8:1::100 4444
    jail_exec one "$NET" spoof eth0 192.0.2.77 192.0.2.100 4444 || :
    jail_exec one "$NET" spoof eth0 2001:db8:1::77 2001:db8:1::100 4444 || :
    assert_equal "$(outside nft list table inet watch | grep -oE 'packets [0-9]+')" "packets 2" "datagrams outside"
    outside nft delete table inet watch
    end_jail one
}

# Beside a relay every address is a local one, for IPv4, too.
root_foreign_sources_stay_inside_beside_a_relay() {
    local file own4=192.0.2.21 own6=2001:db8:1::21
    file=$(policy both <<< 'link eth0 macvlan up0 { address 192.0.2.21/24 ; address 2001:db8:1::21/64 }
link relay
allow in icmp
allow out')
    outside nft 'table inet watch { chain seen { type filter hook prerouting priority -300; udp dport 4444 counter; }; }'
    run "$NETJAIL" -q -p "$file" sh -c "
        $NET claim 192.0.2.100 4444 $own4 198.51.100.7 8.8.8.8 10.0.0.1 192.0.0.1 127.0.0.1
        $NET claim 2001:db8:1::100 4444 $own6 2001:db8:100::7 fd00::1 fe80::1234 2001:db8:1::77 fd6e:6574:6a61:696c::1 ::1
        $NET try tcp 192.0.2.100 9; $NET try tcp 2001:db8:1::100 9"
    assert_equal "$out" $'refused\nrefused'
    assert_equal "$(outside nft list table inet watch | grep -oE 'packets [0-9]+')" "packets 2" "datagrams outside"
    outside nft delete table inet watch
}

# A socket of the jail that somebody outside was handed keeps the jail's network, and does not keep it on the air.
root_a_socket_handed_out_ends_with_the_jail() {
    local file kind
    outside nft 'table inet watch { chain seen { type filter hook prerouting priority -300; udp dport 4445 counter; udp dport 4446 counter; }; }'
    sent() { outside nft list table inet watch | sed -nE "s/.*udp dport $1 counter packets ([0-9]+).*/\1/p"; }
    cat > "$T/hand.py" <<'PY'
import array, os, socket, sys
s = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
if sys.argv[1] == "give":
    s.connect(sys.argv[2])
    out = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    out.connect(("192.0.2.100", 4445))
    out.send(b"alive")
    s.sendmsg([b"x"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [out.fileno()]))])
    s.recv(1)
    sys.exit()
s.bind(sys.argv[2])
s.listen()
print("ready", flush=True)
jail = s.accept()[0]
fd = array.array("i", jail.recvmsg(1, socket.CMSG_SPACE(4))[1][0][2][:4])[0]
jail.send(b"x")
jail.close()
with open(sys.argv[3]):  # until the jail has ended
    pass
for _ in range(3):
    try:
        os.write(fd, b"dead")
    except OSError as problem:
        print(problem)
PY
    for kind in 'macvlan up0 { address 192.0.2.21/24 }' 'veth host { address 10.7.7.2/24 ; peer-address 10.7.7.1/24 ; nat }'; do
        file=$(policy handed <<< "link eth0 $kind"$'\nallow out udp port 4445')
        rm -f "$T/hand" "$T/ended" "$T/keeper"
        mkfifo "$T/ended"
        /usr/bin/python3 "$T/hand.py" keep "$T/hand" "$T/ended" > "$T/keeper" &
        remember_process $!
        wait_for_file "$T/keeper"
        assert_status 0 "$NETJAIL" -q --wait-clean -p "$file" /usr/bin/python3 "$T/hand.py" give "$T/hand"
        assert_equal "$(sent 4445)" 1 "what the jail has sent by ${kind%% *}"
        : > "$T/ended"
        wait "${PROCESSES[-1]}"
        "$NET" claim 192.0.2.100 4446 192.0.2.1
        wait_for 5 eval '[ "$(sent 4446)" = 1 ]'
        assert_equal "$(sent 4445)" 1 "what was sent behind its end by ${kind%% *}"
        outside nft flush chain inet watch seen
        outside nft 'add rule inet watch seen udp dport 4445 counter; add rule inet watch seen udp dport 4446 counter'
    done
    outside nft delete table inet watch
}

root_errors() {
    local file
    file=$(child one 21)
    sed -i 's/macvlan up0/macvlan nodev0/' "$file"
    assert_status 125 "$NETJAIL" -q -p "$file" true
    assert_contains "$err" "one.conf:2:19: error: the host has no interface 'nodev0'"
    file=$(child one 1)
    assert_status 125 "$NETJAIL" -q -p "$file" true
    assert_contains "$err" "192.0.2.1 is the address of the host's 'up0' already"
    ip link add m0 type bridge
    ip link add p0 type veth peer name q0
    ip link set p0 master m0
    sed 's/macvlan up0/macvlan p0/; s/192.0.2/10.3.3/; /2001/d; /gateway/d' "$file" > "$T/port.conf"
    assert_status 125 "$NETJAIL" -q -p "$T/port.conf" true
    assert_contains "$err" 'member of a bridge'
    ip link del p0
    ip link del m0
}

root_killed_with_sigkill() {
    start_jail one -q -p "$(child one 21)" -- bash -c 'echo up; exec tail -f /dev/null'
    wait_for_file "$T/jail-one.out"
    kill -KILL "${JAILS[one]}"
    wait "${JAILS[one]}" || :
    "$NETJAILCTL" gc > /dev/null
    assert_status 0 "$NETJAIL" -q --wait-clean -p "$T/one.conf" true
}

root_ipvlan() {
    local file
    file=$(child one 21 l2)
    sed -i 's/macvlan/ipvlan/' "$file"
    if ip link add link up0 name probe type ipvlan mode l2 2> /dev/null; then
        ip link del probe
    else
        assert_status 125 "$NETJAIL" -q -p "$file" true
        assert_contains "$err" "cannot create ipvlan 'eth0' of 'up0'"
        assert_contains "$err" 'modprobe ipvlan'
        skip "this kernel has no ipvlan: only the error was tested"
    fi
    serve_outside tcp 0.0.0.0 7
    serve_in_jail one "$file" tcp 0.0.0.0 80
    assert_connect ok outside -- tcp 192.0.2.21 80
    assert_connect ok jail_exec one -- tcp "$INTERNET4" 7
    end_jail one
}

run_tests "$@"
