#!/usr/bin/env bash
# `link IF veth jail NAME`: two jails, one cable, and nothing of it on the host.
. "$(dirname "$0")/lib.sh"

red() {
    policy red <<'POLICY'
name red
allow in icmp echo-request
allow in icmpv6 echo-request
allow in tcp from { 192.168.15.2, fd00:15::2 } port 80
allow out icmp echo-request
allow out icmpv6 echo-request
allow out tcp to { 192.168.15.2, fd00:15::2 } port 81
POLICY
}

blue() {
    policy blue <<'POLICY'
name blue
link eth0 veth jail red {
    address 192.168.15.2/24
    address fd00:15::2/64
    peer-address 192.168.15.1/24
    peer-address fd00:15::1/64
    peer-name toblue
}
allow in icmp echo-request
allow in icmpv6 echo-request
allow in tcp port 81
allow out
POLICY
}

start_red() { serve_in_jail red "$1" tcp 0.0.0.0 80 tcp :: 80 tcp 0.0.0.0 82 tcp :: 82; }

root_two_jails_one_cable() {
    local red blue a
    red=$(red) blue=$(blue)
    start_red "$red"
    ip -o link show > "$T/links"
    serve_in_jail blue "$blue" tcp 0.0.0.0 81 tcp :: 81 tcp 0.0.0.0 83
    ip -o link show | cmp -s "$T/links" - || fail "the host has an end of the cable: $(ip -o link show)"
    run jail_exec red ip -o address show
    assert_contains "$out" 192.168.15.1/24
    assert_contains "$out" fd00:15::1/64
    for a in 192.168.15.1 fd00:15::1; do
        assert_connect ok jail_exec blue -- tcp $a 80
        assert_connect refused jail_exec blue -- tcp $a 82 # red's own rules judge
        assert_status 0 jail_exec blue ping -nqc1 -W2 $a
    done
    for a in 192.168.15.2 fd00:15::2; do
        assert_connect ok jail_exec red -- tcp $a 81
        assert_connect refused jail_exec red -- tcp $a 83
        assert_status 0 jail_exec red ping -nqc1 -W2 $a
    done
    # Each is the other's neighbour; the host knows nothing of it.
    run jail_exec red ip neigh show
    assert_contains "$out" 192.168.15.2
    run jail_exec blue ip neigh show
    assert_contains "$out" 192.168.15.1
    run ip neigh show
    assert_lacks "$out" 192.168.15
    # Its own address by its own cable.
    assert_connect ok jail_exec red -- tcp 192.168.15.1 80
    end_jail blue
    wait_for 5 eval '! jail_exec red ip link show toblue'
    jail_runs_or_fail red
    end_jail red
}

root_the_other_ends_first() {
    local red blue
    red=$(red) blue=$(blue)
    start_red "$red"
    start_jail blue -q -p "$blue" -- bash -c 'echo up; exec tail -f /dev/null'
    wait_for_file "$T/jail-blue.out"
    end_jail red
    wait_for 5 eval '! jail_exec blue ip link show eth0'
    jail_runs_or_fail blue
    end_jail blue
}

root_waits_for_the_other_and_fails_clearly() {
    local red blue start=$SECONDS
    red=$(red) blue=$(blue)
    assert_status 125 "$NETJAIL" -q -p "$blue" true
    assert_contains "$err" "blue.conf:2:21: error: jail 'red' does not run"
    assert_contains "$err" 'start it first'
    [ $((SECONDS - start)) -ge 4 ] || fail "it did not wait"
    start_jail blue -q -p "$blue" -- bash -c 'echo up; exec tail -f /dev/null'
    start_red "$red"
    wait_for_file "$T/jail-blue.out"
    end_jail blue
    end_jail red
}

root_name_taken_in_the_other_jail() {
    local red blue
    red=$(red) blue=$(blue)
    start_red "$red"
    start_jail blue -q -p "$blue" -- bash -c 'echo up; exec tail -f /dev/null'
    wait_for_file "$T/jail-blue.out"
    sed 's/^name blue/name green/; s/192.168.15/192.168.16/; s/fd00:15/fd00:16/' "$blue" > "$T/green.conf"
    assert_status 125 "$NETJAIL" -q -p "$T/green.conf" true
    assert_contains "$err" "the other jail has an interface 'toblue' already"
    assert_contains "$err" peer-name
    end_jail blue
    end_jail red
}

root_default_name_and_alias() {
    local red blue
    red=$(red) blue=$(blue)
    sed -i '/peer-name/d' "$blue"
    start_red "$red"
    start_jail blue -q -p "$blue" -- bash -c 'echo up; exec tail -f /dev/null'
    wait_for_file "$T/jail-blue.out"
    run jail_exec red ip link show dev to-blue
    assert_contains "$out" 'alias netjail blue eth0'
    end_jail blue
    end_jail red
}

# What comes over the cable has a source that a route leads to by the cable.
root_spoofing_over_the_cable() {
    local red blue
    red=$(red) blue=$(blue)
    printf 'default in allow\n' >> "$red"
    start_red "$red"
    start_jail blue -q -p "$blue" -- bash -c 'echo up; exec tail -f /dev/null'
    wait_for_file "$T/jail-blue.out"
    jail_exec red nft -f - <<'NFT'
table inet watch {
    chain seen {
        type filter hook input priority 10
        udp dport 4444 counter
    }
}
NFT
    jail_exec blue "$NET" spoof eth0 192.168.15.2 192.168.15.1 4444
    jail_exec blue "$NET" spoof eth0 fd00:15::2 fd00:15::1 4444
    assert_equal "$(jail_exec red nft list table inet watch | grep -oE 'packets [0-9]+')" "packets 2" "its own addresses"
    jail_exec blue "$NET" spoof eth0 192.168.15.1 192.168.15.1 4444 || : # as red itself
    jail_exec blue "$NET" spoof eth0 10.0.0.5 192.168.15.1 4444
    jail_exec blue "$NET" spoof eth0 127.0.0.1 192.168.15.1 4444 || :
    jail_exec blue "$NET" spoof eth0 fd00:99::5 fd00:15::1 4444
    jail_exec blue "$NET" spoof eth0 fd00:15::1 fd00:15::1 4444 || :
    assert_equal "$(jail_exec red nft list table inet watch | grep -oE 'packets [0-9]+')" "packets 2" \
        "its own and spoofed ones"
    end_jail blue
    end_jail red
}

# A jail without rules has nothing that would judge what comes over a cable.
root_other_jail_without_rules_gets_no_cable() {
    local blue
    blue=$(blue)
    serve_in_jail red "$(policy red <<< 'name red')" tcp 0.0.0.0 80 tcp :: 80
    assert_status 125 "$NETJAIL" -q -p "$blue" echo ran
    assert_equal "$out" ''
    assert_contains "$err" "jail 'red' has no rules: a cable to it would be open"
    assert_contains "$err" 'default in deny'
    run jail_exec red ip -br link show
    assert_equal "$(awk '{print $1}' <<< "$out")" lo
    end_jail red
    serve_in_jail red "$(policy red <<< $'name red\ndefault in deny')" tcp 0.0.0.0 80 tcp :: 80
    assert_no_connect "$NETJAIL" -q -p "$blue" -- tcp 192.168.15.1 80
    assert_no_connect "$NETJAIL" -q -p "$blue" -- tcp fd00:15::1 80
    end_jail red
}

root_routes_of_the_other_end() {
    local red
    red=$(red)
    policy blue > /dev/null <<'POLICY'
name blue
link eth0 veth jail red {
    address 192.168.15.2/32
    peer-address 192.168.15.1/32
    peer-route 10.9.0.0/16 via 192.168.15.2
}
lo { address 10.9.0.1/24 }
allow in
allow out
POLICY
    sed -i 's/^allow out tcp.*/allow out/' "$red"
    start_red "$red"
    serve_in_jail blue "$T/blue.conf" tcp 0.0.0.0 80
    assert_connect ok jail_exec red -- tcp 10.9.0.1 80
    assert_connect ok jail_exec red -- tcp 192.168.15.2 80
    end_jail blue
    wait_for 5 eval '[ -z "$(jail_exec red ip route show 10.9.0.0/16)" ]'
    end_jail red
}

# host - near - far, and farther: routers in between, whose rules filter.
root_chain_through_routers() {
    policy near > /dev/null <<'POLICY'
name near
link eth0 veth host {
    address 10.0.1.2/30
    address fd00:0:1::2/64
    peer-address 10.0.1.1/30
    peer-address fd00:0:1::1/64
    peer-route 10.0.2.0/24 via 10.0.1.2
    peer-route 10.0.3.0/24 via 10.0.1.2
    peer-route fd00:0:2::/64 via fd00:0:1::2
    peer-route fd00:0:3::/64 via fd00:0:1::2
}
forward
allow forward tcp port { 22, 80 }
allow forward tcp from { 10.0.3.2, fd00:0:3::2 } to host port 23
allow out
POLICY
    policy middle > /dev/null <<'POLICY'
name middle
link eth0 veth jail near {
    address 10.0.2.2/30
    address fd00:0:2::2/64
    route 0.0.0.0/0 via 10.0.2.1
    route ::/0 via fd00:0:2::1
    peer-address 10.0.2.1/30
    peer-address fd00:0:2::1/64
    peer-route 10.0.3.0/24 via 10.0.2.2
    peer-route fd00:0:3::/64 via fd00:0:2::2
}
forward
allow forward tcp
POLICY
    policy far > /dev/null <<'POLICY'
name far
link eth0 veth jail middle {
    address 10.0.3.2/30
    address fd00:0:3::2/64
    route 0.0.0.0/0 via 10.0.3.1
    route ::/0 via fd00:0:3::1
    peer-address 10.0.3.1/30
    peer-address fd00:0:3::1/64
}
allow in tcp
allow out tcp
POLICY
    local n
    serve_host tcp 0.0.0.0 23 tcp :: 23 tcp 0.0.0.0 24
    for n in near middle; do
        start_jail $n -q -p "$T/$n.conf" -- bash -c 'echo up; exec tail -f /dev/null'
        wait_for_file "$T/jail-$n.out"
    done
    serve_in_jail far "$T/far.conf" tcp 0.0.0.0 80 tcp :: 80 tcp 0.0.0.0 81
    assert_connect "ok hello from 10.0.3.2 to 10.0.1.1" -- tcp 10.0.3.2 80
    assert_connect "ok hello from fd00:0:3::2 to fd00:0:1::1" -- tcp fd00:0:3::2 80
    assert_connect refused -- tcp 10.0.3.2 81 # near's rules
    # And back: to a service of the host that near opens to far.
    assert_connect "ok hello from 10.0.1.1 to 10.0.3.2" jail_exec far -- tcp 10.0.1.1 23
    assert_connect "ok hello from fd00:0:1::1 to fd00:0:3::2" jail_exec far -- tcp fd00:0:1::1 23
    assert_connect refused jail_exec far -- tcp 10.0.1.1 24
    end_jail far
    end_jail middle
    end_jail near
}

user_a_cable_needs_privilege() {
    local blue
    blue=$(blue)
    assert_status 125 "$NETJAIL" -q -p "$blue" true
    assert_contains "$err" 'a cable to another jail needs privilege'
    assert_contains "$err" 'neither owns the other'
}

rewrite_lease() { # in place: the file stays locked
    sed "$1" /run/netjail/red.lease > "$T/lease"
    cat "$T/lease" > /run/netjail/red.lease
}

# A lease whose pid belongs to another process by now (or says so) leads nowhere.
root_forged_lease_of_the_other() {
    local red blue
    red=$(red) blue=$(blue)
    start_red "$red"
    tail -f /dev/null &
    remember_process $!
    rewrite_lease "s/^pid .*/pid $!/"
    assert_status 125 "$NETJAIL" -q -p "$blue" true
    assert_contains "$err" "jail 'red' does not run any more"
    rewrite_lease "s/^pid .*/pid ${JAILS[red]}/; s/^pid-start .*/pid-start 1/"
    assert_status 125 "$NETJAIL" -q -p "$blue" true
    assert_contains "$err" "jail 'red' does not run any more"
    end_jail red
    "$NETJAILCTL" gc > /dev/null 2>&1 || :
    rm -rf /run/netjail
}

root_killed_with_sigkill() {
    local red blue
    red=$(red) blue=$(blue)
    start_red "$red"
    start_jail blue -q -p "$blue" -- bash -c 'echo up; exec tail -f /dev/null'
    wait_for_file "$T/jail-blue.out"
    kill -KILL "${JAILS[blue]}"
    wait_for 5 eval '! jail_exec red ip link show toblue'
    assert_status 0 "$NETJAIL" -q -p "$blue" --wait-clean true
    end_jail red
    "$NETJAILCTL" gc > /dev/null
}

run_tests "$@"
