#!/usr/bin/env bash
# The self-test before the command runs: between set-up and read-back somebody changes what netjail has made in the jail;
# then the command must not run. tests/faults/inject stops netjail as it begins to read back and does it. What
# init does to itself (capabilities, no_new_privs, filters, descriptors) is spoiled by calls that lie, in faults.sh.
. "$(dirname "$0")/lib.sh"
export TEST_TIMEOUT=240

[ "$(uname -m)" = x86_64 ] || {
    printf 'tests/faults/inject.c knows the registers of x86-64 only\n'
    exit 77
}
command -v "${CC:-cc}" > /dev/null || {
    printf 'a C compiler is not installed\n'
    exit 77
}

NFT=10 LINK=$((256 + 18)) ADDRESS=$((256 + 22)) ROUTE=$((256 + 26)) # NFNL_SUBSYS_NFTABLES, RTM_GET*

prepare_inject() {
    CCACHE_DISABLE=1 "${CC:-cc}" -O1 -o "$T/inject" "$LIVE_DIR/../faults/inject.c" -lseccomp || fail 'inject.c'
    policy jail > /dev/null <<'POLICY'
network s_br { address 10.85.0.1/24 ; address fd00:85::1/64 ; nat }
link eth0 bridge s_br {
    address 10.85.0.5/24
    address fd00:85::5/64
    route 10.99.0.0/16 via 10.85.0.9
}
allow out tcp to { 192.0.2.100, 192.0.2.101, 192.0.2.200 } port { 7, 8 }
allow out udp to 192.0.2.0/24 port 53
POLICY
}

# spoiled WHEN TEXT SCRIPT: SCRIPT, run in the jail's network, must make the start fail with TEXT.
spoiled() {
    local when=$1 text=$2 script=$3
    run "$T/inject" spoil "$when" "exec nsenter --net=/proc/\$INIT/ns/net sh -ec '$script'" "$T/spoiled" \
        "$NETJAIL" -q --wait-clean -p "$T/jail.conf" sh -c 'echo ran'
    assert_equal "$(cat "$T/spoiled")" 0 "the sabotage itself: $script ($out $err)"
    assert_equal "$out" 'status 125' "after: $script ($err)"
    assert_contains "$err" "$text"
}

# Without a sabotage it starts: what fails below does so for the sabotage.
root_unspoiled() {
    local when
    prepare_inject
    for when in $NFT $LINK $ADDRESS $ROUTE; do
        run "$T/inject" spoil "$when" true "$T/spoiled" "$NETJAIL" -q --wait-clean -p "$T/jail.conf" sh -c 'echo ran'
        assert_equal "$(cat "$T/spoiled"):$out" $'0:ran\nstatus 0'
    done
}

root_rules() {
    local text="rules are not those of the policy"
    prepare_inject
    spoiled $NFT "$text" 'nft flush ruleset'
    spoiled $NFT "$text" 'nft flush chain inet netjail output'
    spoiled $NFT "$text" 'nft insert rule inet netjail output accept'
    spoiled $NFT "$text" 'nft add rule inet netjail input accept'
    spoiled $NFT "$text" 'nft chain inet netjail output "{ policy accept; }"'
    spoiled $NFT "$text" 'nft add chain inet netjail more "{ type filter hook output priority -10; }"'
    spoiled $NFT "$text" 'nft add table inet other'
    spoiled $NFT "$text" 'nft add table ip nat'
    spoiled $NFT "$text" 'nft add set inet netjail more "{ type ipv4_addr; }"'
    spoiled $NFT "$text" 'nft -a list chain inet netjail output | sed -n "s/.*# handle \([0-9]*\)$/\1/p" | tail -1 |
        xargs nft delete rule inet netjail output handle'
}

# One address more in a set, one less, another.
root_elements() {
    local text="other elements in set" set
    prepare_inject
    set=$("$NETJAIL" -q -n -p "$T/jail.conf" | sed -n 's/.*add element inet netjail \([^ ]*\) .*192\.0\.2\.200.*/\1/p' | head -1)
    [ -n "$set" ] || fail 'there is no set with the address'
    spoiled $NFT "$text" "nft flush set inet netjail $set"
    spoiled $NFT "$text" "nft add element inet netjail $set { 198.51.100.10 . tcp . 7-8 }"
    spoiled $NFT "$text" "nft delete element inet netjail $set { 192.0.2.200 . tcp . 7-8 }
        nft add element inet netjail $set { 198.51.100.10 . tcp . 7-8 }"
}

root_links() {
    prepare_inject
    spoiled $LINK "link 'lo' is down" 'ip link set lo down'
    spoiled $LINK "'eth0'" 'ip link set eth0 down'
    spoiled $LINK "link 'eth0' is missing" 'ip link delete eth0'
    spoiled $LINK 'foreign MAC address' 'ip link set eth0 address 02:00:00:00:00:77'
    spoiled $LINK "that nobody asked for" 'ip link add more0 type veth peer name more1'
    spoiled $LINK "a link 'eth1' that nobody asked for" 'ip link set eth0 down ; ip link set eth0 name eth1'
}

root_addresses() {
    prepare_inject
    spoiled $ADDRESS 'an address 10.85.0.66/24' 'ip address add 10.85.0.66/24 dev eth0'
    spoiled $ADDRESS 'an address fd00:85::66/64' 'ip address add fd00:85::66/64 dev eth0'
    spoiled $ADDRESS 'lacks the address fd00:85::5/64' 'ip address del fd00:85::5/64 dev eth0'
    spoiled $ADDRESS 'the jail' 'ip address del 10.85.0.5/24 dev eth0'
    spoiled $ADDRESS 'an address 10.1.1.1/32' 'ip address add 10.1.1.1/32 dev lo'
}

root_routes() {
    prepare_inject
    spoiled $ROUTE 'a route to 10.1.0.0/16' 'ip route add 10.1.0.0/16 via 10.85.0.1'
    spoiled $ROUTE 'a route to fd00:1::/64' 'ip route add fd00:1::/64 via fd00:85::1'
    spoiled $ROUTE 'a route to 10.2.0.0/16' 'ip route add 10.2.0.0/16 via 10.85.0.1 table 77'
    spoiled $ROUTE 'lacks the route to 10.99.0.0/16' 'ip route del 10.99.0.0/16'
    spoiled $ROUTE 'the route to' 'ip route del default'
    spoiled $ROUTE 'the jail' 'ip route replace default via 10.85.0.9'
}

run_tests "$@"
