#!/usr/bin/env bash
# `link IF device DEV`: a real interface moves into the jail and comes back as it was.
. "$(dirname "$0")/lib.sh"

make_usb() { # the device usb0, with everything that it can have, and its other end in the outside
    ip link add usb0 mtu 1400 type veth peer name far0 mtu 1400 netns outside
    outside sysctl -qw net.ipv6.conf.far0.accept_dad=0
    outside ip address add 10.77.0.2/24 dev far0
    outside ip address add fd00:77::2/64 dev far0
    outside ip link set far0 up
    # A host that forwards by it and believes nobody there; and what this device alone is told.
    sysctl -qw net.ipv6.conf.usb0.accept_dad=0 net.ipv6.conf.usb0.accept_ra=0 net.ipv6.conf.usb0.accept_redirects=0 \
        net.ipv6.conf.usb0.use_tempaddr=-1 net.ipv4.conf.usb0.rp_filter=1 net.ipv4.conf.usb0.forwarding=1 \
        net.ipv4.conf.usb0.arp_ignore=2 net.ipv4.conf.usb0.accept_redirects=0 net.ipv4.neigh.usb0.gc_stale_time=77 \
        net.ipv6.neigh.usb0.retrans_time_ms=1500
    ip link set usb0 alias 'the modem, 50% "off"' group 7
    ip address add 10.77.0.1/24 broadcast 10.77.0.255 dev usb0
    ip address add 10.77.0.9/24 dev usb0 label usb0:x valid_lft 90000 preferred_lft 80000
    ip address add 10.78.0.1 peer 10.78.0.2/32 dev usb0 metric 77
    ip address add fd00:77::1/64 dev usb0 nodad
    ip address add fd00:79::1/64 dev usb0 noprefixroute home
    ip link set usb0 up
    ip route add 10.80.0.0/16 via 10.77.0.2 dev usb0 metric 50 mtu 1300 proto static src 10.77.0.1
    ip route add 10.81.0.0/16 dev usb0 table 81 scope link
    ip route add 10.82.0.0/16 via 10.99.99.99 dev usb0 onlink
    ip -6 route add fd00:80::/48 via fd00:77::2 dev usb0 metric 60 pref high
    wait_for 5 eval '! ip -6 address show dev usb0 | grep -q tentative'
    wait_for 5 eval 'ip -6 route show dev usb0 | grep -q fe80'
}

# Everything that the kernel tells of it; the times count down.
state_of_usb() {
    local command
    for command in link address; do
        ip -j -d "$command" show dev usb0 | python3 -c '
import json, sys
links = [link for link in json.load(sys.stdin) if link]
for link in links:
    for key in "ifindex", "link_index", "qdisc":
        link.pop(key, None)
    for address in link.get("addr_info", []):
        for key in "valid_life_time", "preferred_life_time":
            if address[key] != 0xffffffff:
                address[key] = 80000 - 120 < address[key] <= 90000
print(json.dumps(links, indent=1, sort_keys=True))'
    done
    ip -4 route show table all dev usb0 | sort
    ip -6 route show table all dev usb0 | sort
    # Not what changes by itself, and not the secrets that are not set.
    (cd /proc/sys/net && grep -sr . ipv4/conf/usb0 ipv4/neigh/usb0 ipv6/conf/usb0 ipv6/neigh/usb0) | sort
}

remember_usb() { state_of_usb > "$T/usb-before"; }

usb_is_back() {
    state_of_usb > "$T/usb-after" 2> /dev/null
    cmp -s "$T/usb-before" "$T/usb-after"
}

assert_usb_back() {
    local end=$((SECONDS + 10))
    until usb_is_back; do
        [ "$SECONDS" -le "$end" ] || { diff -u "$T/usb-before" "$T/usb-after" >&2 || :; fail "usb0 is not as it was"; }
        read -rt 0.1 <> <(:) || :
    done
    wait_for 5 eval '[ -z "$(ls /run/netjail 2> /dev/null)" ]'
    assert_lacks "$(cat /proc/self/mountinfo)" /run/netjail
}

drop_usb() { ip link del usb0; }

modem() { # modem NAME [CLAUSES]: the policy
    policy "$1" <<POLICY
name $1
link usb0 device usb0 { ${2:-address keep} }
allow in tcp port 80
allow out tcp to 10.77.0.2 port 7
allow out tcp to fd00:77::2 port 7
user daemon
POLICY
}

root_keeps_its_addresses_and_comes_back() {
    make_usb
    remember_usb
    serve_outside tcp 0.0.0.0 7 tcp :: 7 tcp 0.0.0.0 8
    serve_in_jail modem "$(modem modem)" tcp 0.0.0.0 80 tcp :: 80 tcp 0.0.0.0 81
    run ip link show usb0
    assert_contains "$err" 'does not exist'
    assert_contains "$(jail_exec modem ip -d link show usb0)" 'mtu 1400'
    assert_contains "$(jail_exec modem ip address show usb0)" 'fd00:77::1/64'
    assert_connect "ok hello from 10.77.0.2 to 10.77.0.1" jail_exec modem -- tcp 10.77.0.2 7
    assert_connect "ok hello from fd00:77::2 to fd00:77::1" jail_exec modem -- tcp fd00:77::2 7
    assert_connect refused jail_exec modem -- tcp 10.77.0.2 8 # served, and not admitted
    assert_connect ok outside -- tcp 10.77.0.1 80
    assert_connect ok outside -- tcp fd00:77::1 80
    assert_connect refused outside -- tcp 10.77.0.1 81
    end_jail modem
    assert_usb_back
    drop_usb
}

root_other_name_address_and_mtu() {
    make_usb
    remember_usb
    serve_outside tcp 0.0.0.0 7
    local file
    file=$(modem other 'address 10.77.0.50/24 ; gateway 10.77.0.2 ; mtu 1280 ; route 10.90.0.0/16 via 10.77.0.2')
    sed -i 's/link usb0/link wan/' "$file"
    assert_status 0 "$NETJAIL" -q --wait-clean -p "$file" sh -c 'ip address show wan; ip route'
    assert_contains "$out" 'mtu 1280'
    assert_contains "$out" '10.77.0.50/24'
    assert_lacks "$out" '10.77.0.1/24'
    assert_contains "$out" 'default via 10.77.0.2 dev wan'
    assert_contains "$out" '10.90.0.0/16 via 10.77.0.2 dev wan'
    assert_usb_back
    assert_connect "ok hello from 10.77.0.2 to 10.77.0.50" "$NETJAIL" -q --wait-clean -p "$file" -- tcp 10.77.0.2 7
    assert_usb_back
    drop_usb
}

# Bare, it keeps what it has.
root_without_a_block() {
    make_usb
    remember_usb
    printf 'name bare\nlink usb0 device usb0\nuser daemon\n' | policy bare > /dev/null
    assert_status 0 "$NETJAIL" -q --wait-clean -p "$T/bare.conf" ip address show usb0
    assert_contains "$out" 10.77.0.1/24
    assert_contains "$out" fd00:77::1/64
    assert_usb_back
    drop_usb
}

root_killed_with_sigkill() {
    local how
    make_usb
    remember_usb
    for how in gc start; do
        start_jail modem -q -p "$(modem modem)" -- bash -c 'echo up; exec tail -f /dev/null'
        wait_for_file "$T/jail-modem.out"
        local command
        command=$(jail_command_pid modem)
        kill -KILL "${JAILS[modem]}"
        wait "${JAILS[modem]}" || :
        # A virtual device would have died with its namespace.
        wait_for 5 eval "! kill -0 $command"
        outside ip link show far0 > /dev/null || fail "the device died"
        if [ $how = gc ]; then
            assert_status 0 "$NETJAILCTL" gc
        else
            assert_status 0 "$NETJAIL" -q --wait-clean -p "$(modem modem)" true
        fi
        assert_usb_back
    done
    drop_usb
}

root_failed_starts() {
    make_usb
    remember_usb
    local file
    file=$(modem fails)
    assert_status 127 "$NETJAIL" -q --wait-clean -p "$file" /no/such/command
    assert_usb_back
    # A later step: the route's gateway cannot be reached.
    file=$(modem fails 'address keep ; route 10.90.0.0/16 via 10.66.66.66')
    assert_status 125 "$NETJAIL" -q --wait-clean -p "$file" true
    assert_contains "$err" 'fails.conf:2:'
    assert_usb_back
    drop_usb
}

root_down_stays_down() {
    make_usb
    ip link set usb0 down
    ip address add fd00:77::1/64 dev usb0 nodad
    remember_usb
    assert_contains "$(cat "$T/usb-before")" '"DOWN"'
    assert_status 0 "$NETJAIL" -q --wait-clean -p "$(modem down)" ip address show usb0
    assert_contains "$out" 'UP,LOWER_UP'
    assert_usb_back
    drop_usb
}

root_two_jails_want_it() {
    make_usb
    remember_usb
    serve_in_jail one "$(modem one)" tcp 0.0.0.0 80
    assert_status 125 "$NETJAIL" -q -p "$(modem two)" true
    assert_contains "$err" "two.conf:2:18: error: jail 'one' has the device 'usb0' now"
    assert_connect ok outside -- tcp 10.77.0.1 80
    end_jail one
    assert_status 0 "$NETJAIL" -q --wait-clean -p "$T/two.conf" true
    assert_usb_back
    drop_usb
}

root_name_taken_meanwhile() {
    make_usb
    serve_in_jail modem "$(modem modem)" tcp 0.0.0.0 80
    ip link add usb0 type veth peer name other0
    kill -KILL "${JAILS[modem]}"
    wait "${JAILS[modem]}" || :
    assert_status 0 "$NETJAILCTL" gc
    assert_contains "$out$err" "the name 'usb0' is taken on the host: the device has come back as 'usb0-1'"
    assert_contains "$(ip -d address show usb0-1)" 10.77.0.1/24
    assert_contains "$(ip link show usb0)" other0
    ip link del usb0
    ip link del usb0-1
}

# As in a container that mounts /proc/sys read-only after the start: the device comes back all the same.
root_settings_that_cannot_be_written() {
    make_usb
    serve_in_jail modem "$(modem modem)" tcp 0.0.0.0 80
    kill -KILL "${JAILS[modem]}"
    wait "${JAILS[modem]}" || :
    mount --bind /proc/sys /proc/sys
    mount -o remount,bind,ro /proc/sys
    run "$NETJAILCTL" gc
    umount /proc/sys
    assert_contains "$out$err" "the device 'usb0' is back, but net/ipv"
    assert_contains "$out$err" 'Read-only file system'
    assert_contains "$(ip -d address show usb0)" 10.77.0.1/24
    assert_contains "$(ip route show dev usb0)" '10.80.0.0/16 via 10.77.0.2'
    assert_equal "$(ls /run/netjail 2> /dev/null)" '' 'what is left of the jail'
    drop_usb
}

root_what_cannot_move() {
    make_usb
    remember_usb
    local file
    file=$(modem wrong)
    refuse() { # refuse DEVICE TEXT
        sed "s/device usb0/device $1/" "$file" > "$T/refused.conf"
        assert_status 125 "$NETJAIL" -q -p "$T/refused.conf" true
        assert_contains "$err" "$2"
        assert_contains "$err" refused.conf:2:
    }
    refuse nodev0 "the host has no interface 'nodev0'"
    refuse lo "'lo' is a word of the policy language"
    ip link add bridge0 type bridge
    ip link add port0 type veth peer name port1
    ip link set port0 master bridge0
    refuse port0 "'port0' is a member of a bridge, bond or VRF"
    refuse bridge0 'does not let'
    ip link del bridge0
    ip link del port0
    ip route add 10.83.0.0/16 nexthop via 10.77.0.2 dev usb0 nexthop via 192.0.2.100 dev up0
    refuse usb0 'over several interfaces'
    ip route del 10.83.0.0/16
    assert_usb_back
    printf 'link a device usb0\nlink b device usb0\nuser daemon\n' | policy twice > /dev/null
    assert_status 125 "$NETJAIL" -q -p "$T/twice.conf" true
    assert_contains "$err" "link 'a' uses 'usb0' already"
    sed -i '/^user/d' "$file"
    assert_status 125 setpriv --reuid 64321 --regid 64321 --clear-groups --inh-caps=-all "$NETJAIL" -q -p "$file" true
    assert_contains "$err" 'wrong.conf:2:6: error: a link to the host needs privilege'
    assert_usb_back
    drop_usb
}

# The command tries to change it, and a process of it holds the namespace.
root_the_command_cannot_keep_it() {
    make_usb
    remember_usb
    assert_status 0 "$NETJAIL" -q --wait-clean -p "$(modem keeps)" sh -c '
        ip link set usb0 down 2> /dev/null && echo BAD down
        ip link del usb0 2> /dev/null && echo BAD deleted
        ip link set usb0 alias mine 2> /dev/null && echo BAD alias
        ip address add 10.77.0.66/24 dev usb0 2> /dev/null && echo BAD address
        ls /run/netjail/*.netns 2> /dev/null && echo BAD mount
        setsid sleep 1000 < /proc/self/ns/net > /dev/null 2>&1 &
        :'
    assert_equal "$out" '' 'what the command could do'
    assert_usb_back
    drop_usb
}

run_tests "$@"
