#!/usr/bin/env bash
# netjailctl plan: the commands, run by hand, give the jail that netjail makes.
. "$(dirname "$0")/lib.sh"

state_of() { # state_of CMD...: what the namespace that CMD enters looks like
    "$@" nft -s list ruleset | sed -E 's/ expires [0-9a-z]+//'
    "$@" ip -o link show | sed -E 's/^[0-9]+: //; s/@if[0-9]+//; s/link\/ether [0-9a-f:]+//; s/ link-netns[a-z]* [^ ]+//; s/state [A-Z]+//'
    "$@" ip -o address show | sed -E 's/^[0-9]+: //; /inet6 fe80/d; s/ valid_lft.*//; s/ +proto [a-z_]+//'
    "$@" ip -4 route show table main | sed 's/ linkdown//' | sort
    "$@" ip -6 route show table main | grep -v '^fe80' | sed -E 's/ (proto|metric) [a-z0-9]+//g' | sort
}

planned() { # planned POLICY: carries its plan out by hand, and prints the namespace that it made
    assert_status 0 "$NETJAILCTL" plan "$1"
    cp "$T/out" "$T/plan.sh"
    assert_status 0 sh -e "$T/plan.sh"
    sed -n "s/^ip netns add '\(.*\)'$/\1/p" "$T/plan.sh"
}

same_by_hand() { # same_by_hand POLICY [PEER]: PEER's jail runs already
    local host_before f netns other=''
    host_before=$(sysctl_snapshot)
    if [ -n "${2:-}" ]; then
        start_jail peer -q --wait-clean -p "$2" -- bash -c 'echo up; exec tail -f /dev/null'
        wait_for_file "$T/jail-peer.out"
    fi
    start_jail one -q --wait-clean -p "$1" -- bash -c 'echo up; exec tail -f /dev/null'
    wait_for_file "$T/jail-one.out"
    state_of jail_exec one > "$T/netjail-jail"
    state_of env > "$T/netjail-host"
    : > "$T/netjail-peer"
    [ -z "${2:-}" ] || state_of jail_exec peer > "$T/netjail-peer"
    end_jail one
    [ -z "${2:-}" ] || end_jail peer
    wait_for 10 eval '[ -z "$(nft list ruleset)" ] && [ "$(sysctl_snapshot)" = "$host_before" ]'
    [ -z "${2:-}" ] || other=$(planned "$2")
    netns=$(planned "$1")
    [ -n "$netns" ] || fail "the plan made no namespace: $(cat "$T/plan.sh")"
    state_of ip netns exec "$netns" > "$T/hand-jail"
    state_of env > "$T/hand-host"
    : > "$T/hand-peer"
    [ -z "$other" ] || state_of ip netns exec "$other" > "$T/hand-peer"
    # Names and MAC addresses that netjail chose by chance differ.
    for f in netjail-jail netjail-host netjail-peer hand-jail hand-host hand-peer; do
        sed -i -E 's/nj-[0-9a-f]+/nj-NAME/g; s/([0-9a-f]{2}:){5}[0-9a-f]{2}/MAC/g; s/fe80::[0-9a-f:]+/LINKLOCAL/g' "$T/$f"
        # Elements come in the order of their hashes, so each is a line of its own.
        sed -E 's/elements = \{ /elements\n/; s/ \}$//; s/, */\n/g' "$T/$f" | sed -E 's/^[[:space:]]+//; s/[[:space:]]+$//' |
            sort -o "$T/$f.sorted"
    done
    diff -u "$T/netjail-jail" "$T/hand-jail" >&2 || fail "the jail made by hand differs"
    diff -u "$T/netjail-peer.sorted" "$T/hand-peer.sorted" >&2 || fail "the other jail made by hand differs"
    diff -u "$T/netjail-host.sorted" "$T/hand-host.sorted" >&2 || fail "the host made by hand differs"
    # Away with what the hand made.
    for f in "$netns" $other; do ip netns del "$f"; done
    nft flush ruleset
    local link
    for link in $(ip -o link show type bridge | awk -F': ' '{print $2}'); do ip link del "$link"; done
    # A namespace goes in the background, and the host's ends of its links with it.
    wait_for 10 eval '! ip -o link show type veth | grep -qvE "^[0-9]+: (up0|usb0)@"'
    rm -f "$T"/jail-*.out
    while IFS= read -r line; do
        case ${line#*:} in 0 | 1) printf '%s' "${line##*:}" > "${line%%:*}" 2> /dev/null || : ;; esac
    done <<< "$host_before"
}

root_bridge_and_rules() {
    same_by_hand "$(policy one <<'POLICY'
network h_br { address 10.79.0.1/24 ; address fd00:79::1/64 }
name one
link eth0 bridge h_br { address 10.79.0.5/24 ; address fd00:79::5/64 ; mac 02:00:00:00:00:05 ; host-name hhost }
allow out tcp to { 198.51.100.0/24, 2001:db8:100::/48 } port { 80, 443 }
deny out udp
allow in tcp port 22 rate 10/minute
drop in icmp
POLICY
    )"
}

root_shared_interface_and_rate() {
    same_by_hand "$(policy one <<'POLICY'
network h_br { address 10.79.0.1/24 }
name one
link eth0 bridge h_br { address 10.79.0.5/24 ; mac 02:00:00:00:00:05 ; host-name hhost ; rate 10mbit ; gateway none }
link eth1 macvlan up0 { address 192.0.2.44/24 ; address 2001:db8:1::44/64 ; gateway 192.0.2.100 ; mac 02:00:00:00:00:06 }
allow out
POLICY
    )"
}

root_only_lo() { same_by_hand "$TEST_TOP/policies/none.conf"; }

root_nat_and_publish() {
    same_by_hand "$(policy one <<'POLICY'
network h_br { address 10.79.0.1/24 ; address fd00:79::1/64 ; nat }
name one
link eth0 bridge h_br { address 10.79.0.5/24 ; address fd00:79::5/64 ; mac 02:00:00:00:00:05 ; host-name hhost }
publish any:8080 to 80
allow out tcp port 7
POLICY
    )"
}

root_cable() {
    same_by_hand "$(policy one <<'POLICY'
name one
link eth0 veth host { address 10.79.1.2/30 ; peer-address 10.79.1.1/30 ; peer-name hcable ; nat }
allow out
POLICY
    )"
}

# The recipes, with a name (automatic addresses follow from it) and values for their parameters.
example() { # example NAME [SED...]
    local name=$1
    shift
    {
        sed -e '' "$@" "$TEST_TOP/policies/examples/$name.conf"
        grep -q '^name ' "$TEST_TOP/policies/examples/$name.conf" || echo 'name one'
    } | policy "$name"
}

root_recipes_alone_and_on_bridges() {
    local name
    for name in only-lo bridge-web bridge-database; do same_by_hand "$(example $name)"; done
}

root_recipes_with_cables() {
    local name
    same_by_hand "$(example cable-blue)" "$(example cable-red)"
    same_by_hand "$(example chain-near)"
    same_by_hand "$(example chain-hop -e '/^param/d' -e 's/\$number/2/g' -e 's/\$previous/near/g')" "$(example chain-near)"
}

root_recipes_in_the_outside() {
    ip link add wan_br type bridge
    ip link set wan_br up
    same_by_hand "$(example worlds-internet -e '/^param/d' -e 's|\$address|192.0.2.50/24|' -e 's/\$router/192.0.2.100/')"
    ip link add lan_br type bridge
    ip link set lan_br up
    same_by_hand "$(example worlds-internal -e '/^param/d' -e 's|\$address|172.16.0.50/24|')"
    same_by_hand "$(example macvlan -e '/^param/d' -e 's/\$device/up0/' -e 's|\$address|192.0.2.60/24|' -e 's/\$router/192.0.2.100/')"
}

root_recipe_with_a_device() {
    ip link add usb0 type veth peer name far0 netns outside
    outside ip link set far0 up
    ip address add 10.77.0.1/24 dev usb0
    ip address add fd00:77::1/64 dev usb0 nodad
    ip link set usb0 up
    same_by_hand "$(example device -e '/^param/d' -e 's/\$device/usb0/' -e 's/\$router/10.77.0.2/')"
}

root_recipes_to_the_outside() {
    local name
    for name in gateway one-route; do same_by_hand "$(example $name)"; done
    same_by_hand "$(example names -e '/^param/d' -e 's/\$server/192.0.2.100/')"
}

root_recipes_from_the_outside() {
    local name
    for name in publish static-route loopback-behind-cable; do same_by_hand "$(example $name)"; done
}

user_plan_needs_no_privilege() {
    assert_status 0 "$NETJAILCTL" plan "$TEST_TOP/policies/web.conf"
    assert_contains "$out" app_br
    assert_contains "$out" 10.10.0.10/16
    assert_status 3 "$NETJAILCTL" plan "$(policy bad <<< 'allow out tpc')"
}

run_tests "$@"
