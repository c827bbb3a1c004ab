#!/usr/bin/env bash
# Attacks on published ports by other ways than the host's, and from outside in the name of jails and of the host.
# shellcheck disable=SC2154 # out, err and status are set by run
. "$(dirname "$0")/lib.sh"

FRAMES=$LIVE_DIR/frames.py
NETWORK='network ap_br { address 10.85.0.1/24 ; address fd00:85::1/64 ; nat }'

attack() { printf 'attack: %s\n' "$*"; } # shown when the test fails

member() { # member NAME SUFFIX STATEMENT...: a jail's policy on the shared network; prints its path
    local name=$1 suffix=$2
    shift 2
    {
        printf '%s\nname %s\n' "$NETWORK" "$name"
        printf 'link eth0 bridge ap_br { address 10.85.0.%s/24 ; address fd00:85::%s/64 }\n' "$suffix" "$suffix"
        printf '%s\n' "$@"
    } | policy "$name"
}

from_outside_as() { # from_outside_as SOURCE DESTINATION PORT: what a server says to a client with this address
    local source=$1 destination=$2
    [[ $destination != *:* ]] || source="[$source]" destination="[$destination]"
    outside timeout -k 1 5 socat -u "TCP:$destination:$3,bind=$source,connect-timeout=2" - 2>&1 || :
}

# A cable gives the other jail no way in, not even to what other machines reach by the host.
root_what_is_published_does_not_come_by_a_cable() {
    local blue a
    serve_in_jail red "$(member red 10 'publish any:8080 to 80' 'publish any:8053 to 53 udp')" \
        tcp 0.0.0.0 80 tcp :: 80 udp 0.0.0.0 53 udp :: 53
    blue=$(policy blue <<'POLICY'
name blue
link eth0 veth jail red {
    address 192.168.15.2/24
    address fd00:15::2/64
    peer-address 192.168.15.1/24
    peer-address fd00:15::1/64
    route 10.85.0.0/24 via 192.168.15.1
    route fd00:85::/64 via fd00:15::1
}
allow out
POLICY
    )
    idle_jail blue "$blue"
    for a in 192.168.15.1 fd00:15::1 10.85.0.10 fd00:85::10; do
        attack "a published port over a cable, at $a"
        assert_no_connect jail_exec blue -- tcp "$a" 80
        assert_no_connect jail_exec blue -- udp "$a" 53
    done
    for a in "$HOST4" "$HOST6"; do
        assert_connect ok outside -- tcp "$a" 8080
        assert_connect ok outside -- udp "$a" 8053
    done
    end_jail blue
    end_jail red
}

# An interface of the jail's own among other machines is not the host either.
root_what_is_published_does_not_come_by_a_macvlan() {
    local file
    file=$(policy two <<POLICY
$NETWORK
name two
link eth0 bridge ap_br { address 10.85.0.10/24 ; address fd00:85::10/64 ; gateway none }
link eth1 macvlan up0 {
    address 192.0.2.20/24
    address 2001:db8:1::20/64
    gateway $OUTSIDE4
    gateway $OUTSIDE6
}
publish any:8080 to 80
allow in tcp port 81
POLICY
    )
    run "$NETJAIL" -q -p "$file" true
    [ "$status" = 0 ] || skip "no macvlan here: $err"
    serve_in_jail two "$file" tcp 0.0.0.0 80 tcp :: 80 tcp 0.0.0.0 81 tcp :: 81
    assert_contains "$(from_outside_as "$INTERNET4" 192.0.2.20 81)" hello
    assert_contains "$(from_outside_as "$INTERNET6" 2001:db8:1::20 81)" hello
    attack 'the port that is published at the host, at the address that the jail has on its own link'
    assert_lacks "$(from_outside_as "$INTERNET4" 192.0.2.20 80)" hello
    assert_lacks "$(from_outside_as "$INTERNET6" 2001:db8:1::20 80)" hello
    end_jail two
}

# What a rule opens beside a published port does not open that port to those who route to the jail.
root_a_rule_about_another_port_is_no_way_around_publish() {
    serve_in_jail web "$(member web 10 "publish $HOST4:8080 to 80" "publish [$HOST6]:8080 to 80" 'allow in tcp port 22' 'allow in udp' 'allow in icmp')" \
        tcp 0.0.0.0 80 tcp :: 80 tcp 0.0.0.0 22 tcp :: 22
    outside ip route add 10.85.0.0/24 via "$HOST4"
    outside ip -6 route add fd00:85::/64 via "$HOST6"
    assert_connect ok outside -- tcp "$HOST4" 8080
    assert_connect ok outside -- tcp "$HOST6" 8080
    assert_connect ok outside -- tcp 10.85.0.10 22
    assert_connect ok outside -- tcp fd00:85::10 22
    attack 'the published port by the address of the jail'
    assert_no_connect outside -- tcp 10.85.0.10 80
    assert_no_connect outside -- tcp fd00:85::10 80
    outside ip route del 10.85.0.0/24
    outside ip -6 route del fd00:85::/64
    end_jail web
}

count_of() { # count_of PORT: datagrams for it that the rules of jail db let in
    jail_exec db nft list table inet watch | sed -nE "s/.*udp dport $1 counter packets ([0-9]+).*/\1/p"
}

# A machine outside sends in the name of a jail beside, of one on another network, and of the host. IPv4's rp_filter is not
# counted on (0 is the kernel's default, 2 that of systemd), and IPv6 has none.
root_nobody_outside_speaks_as_a_jail_or_as_the_host() {
    local mode source port saved datagrams
    saved=$(grep -s . /proc/sys/net/ipv4/conf/{all,up0}/rp_filter)
    idle_jail db "$(member db 10 \
        'allow in udp from { 10.85.0.20, fd00:85::20 } port 514' \
        'allow in udp from { 10.86.0.5, fd00:86::5 } port 515' \
        'allow in udp from host port 516' \
        "allow in udp from { $OUTSIDE4, $OUTSIDE6 } port 517" \
        'publish any:8514 to 514 udp' 'publish any:8515 to 515 udp' 'publish any:8516 to 516 udp')"
    idle_jail web "$(member web 20 'allow out udp')"
    idle_jail far "$(policy far <<'POLICY'
network aq_br { address 10.86.0.1/24 ; address fd00:86::1/64 ; nat }
name far
link eth0 bridge aq_br { address 10.86.0.5/24 ; address fd00:86::5/64 }
allow out udp
POLICY
    )"
    jail_exec db nft -f - <<'NFT'
table inet watch {
    chain seen {
        type filter hook input priority 10
        udp dport 514 counter
        udp dport 515 counter
        udp dport 516 counter
        udp dport 517 counter
    }
}
NFT
    outside ip route add 10.85.0.0/24 via "$HOST4"
    outside ip -6 route add fd00:85::/64 via "$HOST6"
    for mode in 0 2; do
        sysctl -qw net.ipv4.conf.all.rp_filter=$mode net.ipv4.conf.up0.rp_filter=$mode
        datagrams=()
        for source in 10.85.0.20 10.86.0.5 10.85.0.1 10.86.0.1 "$HOST4"; do
            for port in 514 515 516; do datagrams+=("$source" 10.85.0.10 "$port" "$source" "$HOST4" "8$port"); done
        done
        attack "from outside as others, rp_filter $mode"
        outside "$NET" spoof out0 "${datagrams[@]}"
    done
    datagrams=()
    for source in fd00:85::20 fd00:86::5 fd00:85::1 fd00:86::1 "$HOST6"; do
        for port in 514 515 516; do datagrams+=("$source" fd00:85::10 "$port" "$source" "$HOST6" "8$port"); done
    done
    attack 'the same with IPv6'
    outside "$NET" spoof out0 "${datagrams[@]}"
    # Behind all these, by the same way: what is allowed.
    outside "$NET" spoof out0 "$OUTSIDE4" 10.85.0.10 517
    outside "$NET" spoof out0 "$OUTSIDE6" fd00:85::10 517
    wait_for 5 eval '[ "$(count_of 517)" = 2 ]'
    assert_equal "$(count_of 514) $(count_of 515) $(count_of 516)" "0 0 0" "datagrams in the name of others"
    # And those whose names they are.
    jail_exec web "$FRAMES" udp 10.85.0.20 4000 10.85.0.10 514 hello and udp fd00:85::20 4000 fd00:85::10 514 hello
    jail_exec far "$FRAMES" udp 10.86.0.5 4000 10.85.0.10 515 hello and udp fd00:86::5 4000 fd00:85::10 515 hello
    "$FRAMES" udp 10.85.0.1 4000 10.85.0.10 516 hello and udp fd00:85::1 4000 fd00:85::10 516 hello
    wait_for 5 eval '[ "$(count_of 514) $(count_of 515) $(count_of 516)" = "2 2 2" ]'
    outside ip route del 10.85.0.0/24
    outside ip -6 route del fd00:85::/64
    end_jail far
    end_jail web
    end_jail db
    while IFS=: read -r port source; do echo "$source" > "$port"; done <<< "$saved"
}

# The way back of a published flow leads to the one that came, and nowhere else.
root_the_way_back_leads_nowhere_else() {
    local file
    file=$(member talk 10 'publish any:8053 to 53 udp' 'publish any:8080 to 80')
    serve_outside udp 0.0.0.0 4001 udp :: 4001
    serve_host udp 0.0.0.0 4002 udp :: 4002
    serve_in_jail talk "$file" udp 0.0.0.0 53 udp :: 53 tcp 0.0.0.0 80 tcp :: 80
    assert_connect ok outside -- udp "$HOST4" 8053
    assert_connect ok outside -- udp "$HOST6" 8053
    assert_connect ok outside -- tcp "$HOST4" 8080
    cat > "$T/back.py" <<'PY'
import socket, sys
through = 0
for destination, port in (a.rsplit(",", 1) for a in sys.argv[1:]):
    v6 = ":" in destination
    for source in (53, 80, 8053, 0):
        s = socket.socket(socket.AF_INET6 if v6 else socket.AF_INET, socket.SOCK_DGRAM)
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        s.bind(("fd00:85::10" if v6 else "10.85.0.10", source))
        s.settimeout(0.2)
        try:
            s.sendto(b"back", (destination, int(port)))
            print("answer", destination, port, source, s.recv(100))
            through += 1
        except OSError:
            pass
sys.exit(through)
PY
    assert_status 0 jail_exec talk /usr/bin/python3 "$T/back.py" "$OUTSIDE4,4001" "$OUTSIDE6,4001" "$HOST4,4002" "$HOST6,4002" \
        10.85.0.1,4002 fd00:85::1,4002 "$HOST4,8053" "$INTERNET4,4001"
    end_jail talk
}

# Ports beside a range, other protocols, other addresses, other spellings of loopback.
root_a_range_ends_where_it_ends() {
    local p a
    serve_in_jail range "$(member range 10 "publish $HOST4:9000-9002 to 90" 'publish 9100-9101 to 90')" \
        tcp 0.0.0.0 89 tcp 0.0.0.0 90 tcp 0.0.0.0 91 tcp 0.0.0.0 92 tcp 0.0.0.0 93 udp 0.0.0.0 90
    for p in 9000 9001 9002; do assert_connect ok outside -- tcp "$HOST4" $p; done
    for p in 8999 9003 9100 9101 90; do assert_no_connect outside -- tcp "$HOST4" $p; done
    assert_no_connect outside -- udp "$HOST4" 9000
    assert_no_connect outside -- tcp "$HOST6" 9000
    for a in 127.0.0.1 ::1 ::ffff:127.0.0.1; do
        assert_no_connect -- tcp $a 9000
        assert_no_connect -- tcp $a 9102
    done
    assert_connect ok -- tcp ::ffff:127.0.0.1 9100
    end_jail range
}

run_tests "$@"
