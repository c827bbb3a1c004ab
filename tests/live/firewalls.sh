#!/usr/bin/env bash
# Hosts whose own rules drop what is forwarded: Docker's is handled, of the others the user is told,
# with commands that end both the drop and the warning. The products' rules are imitated.
. "$(dirname "$0")/lib.sh"

natted() { # natted NAME
    policy "$1" <<POLICY
network fw_br { address 10.78.0.1/24 ; address fd00:78::1/64 ; nat }
name $1
link eth0 bridge fw_br
allow out tcp port 7
allow out icmp
allow out icmpv6
POLICY
}

# Both families get through, and nobody is told anything.
passes() { # passes POLICY
    local a
    for a in "$INTERNET4" "$INTERNET6"; do
        run "$NETJAIL" -p "$1" --user daemon "$NET" try tcp "$a" 7
        assert_contains "$out" "ok hello from $a"
        assert_lacks "$err" firewall
    done
}

# IPv4 (or the family's) is dropped, and the warning has this command.
is_told() { # is_told POLICY ADDRESS PART...
    local file=$1 address=$2
    shift 2
    run "$NETJAIL" -p "$file" --user daemon "$NET" try tcp "$address" 7
    assert_contains "timeout denied unreachable" "$out"
    while [ $# -gt 0 ]; do
        assert_contains "$err" "$1"
        shift
    done
}

# Docker 28's filter table, as iptables-nft makes it, and what nft says of it.
docker_rules() { # docker_rules iptables|ip6tables|iptables-legacy
    "$1" -P FORWARD DROP
    "$1" -N DOCKER-USER
    "$1" -N DOCKER-FORWARD
    "$1" -A DOCKER-FORWARD -i docker0 -j ACCEPT
    "$1" -A FORWARD -j DOCKER-USER
    "$1" -A FORWARD -j DOCKER-FORWARD
}

docker_off() {
    "$1" -P FORWARD ACCEPT
    "$1" -F
    "$1" -X
    rm -f /run/xtables.lock # iptables-legacy leaves it
}

root_docker_is_handled_and_restored() {
    serve_outside tcp 0.0.0.0 7 tcp :: 7
    docker_rules iptables-nft
    docker_rules ip6tables-nft
    iptables-nft -A DOCKER-USER -i eth9 -j ACCEPT # somebody else's
    nft -s list ruleset > "$T/rules"
    local file
    file=$(natted one)
    passes "$file"
    # Two jails share the rules; iptables can still read the chain.
    start_jail one -q -p "$file" sleep 1000
    wait_for 10 eval 'nft list chain ip filter DOCKER-USER | grep -q fw_br'
    assert_status 0 "$NETJAIL" -q --wait-clean -p "$(natted two)" true
    assert_equal "$(nft list chain ip filter DOCKER-USER | grep -c '"fw_br".*comment "netjail fw_br"')" 2 rules
    run iptables-nft -S DOCKER-USER
    assert_contains "$out" '-A DOCKER-USER -i fw_br'
    assert_contains "$out" '-A DOCKER-USER -o fw_br'
    end_jail one
    wait_for 10 eval 'nft -s list ruleset | cmp -s "$T/rules" -'
    docker_off iptables-nft
    docker_off ip6tables-nft
    nft flush ruleset
}

root_docker_published_ports_and_kill9() {
    docker_rules iptables-nft
    nft -s list ruleset > "$T/rules"
    local file
    file=$(policy web <<'POLICY'
network fw_br { address 10.78.0.1/24 }
name web
link eth0 bridge fw_br
publish any:8080 to 80
POLICY
    )
    serve_in_jail web "$file" tcp 0.0.0.0 80
    assert_connect ok outside -- tcp "$HOST4" 8080
    kill -KILL "${JAILS[web]}"
    wait "${JAILS[web]}" || :
    assert_contains "$(nft list chain ip filter DOCKER-USER)" fw_br
    wait_for 10 eval '! pgrep -f "net.py serve"'
    "$NETJAILCTL" gc > /dev/null
    assert_equal "$(nft -s list ruleset | diff "$T/rules" -)" '' 'what is left of the rules'
    # A chain that has gone meanwhile is no failure.
    serve_in_jail web "$file" tcp 0.0.0.0 80
    nft flush ruleset
    end_jail web
}

root_jails_on_one_bridge_with_docker_and_br_netfilter() {
    [ -e /proc/sys/net/bridge/bridge-nf-call-iptables ] || skip 'the kernel has no br_netfilter'
    local before
    before=$(cat /proc/sys/net/bridge/bridge-nf-call-iptables)
    sysctl -qw net.bridge.bridge-nf-call-iptables=1
    docker_rules iptables-nft
    policy server > /dev/null <<'POLICY'
network fw_br { address 10.78.0.1/24 }
name server
link eth0 bridge fw_br { address 10.78.0.10/24 }
allow in tcp port 80
POLICY
    policy client > /dev/null <<'POLICY'
network fw_br { address 10.78.0.1/24 }
link eth0 bridge fw_br
allow out
POLICY
    serve_in_jail server "$T/server.conf" tcp 0.0.0.0 80
    assert_connect ok "$NETJAIL" -q -p "$T/client.conf" -- tcp 10.78.0.10 80
    end_jail server
    docker_off iptables-nft
    nft flush ruleset
    sysctl -qw net.bridge.bridge-nf-call-iptables="$before"
}

root_docker_on_iptables_legacy() {
    serve_outside tcp 0.0.0.0 7 tcp :: 7
    docker_rules iptables-legacy
    local file
    file=$(natted one)
    is_told "$file" "$INTERNET4" "one.conf:1:" "Docker's chain 'filter DOCKER-USER'" \
        'iptables-legacy -I DOCKER-USER -i fw_br -j ACCEPT; iptables-legacy -I DOCKER-USER -o fw_br -j ACCEPT'
    iptables-legacy -I DOCKER-USER -i fw_br -j ACCEPT
    iptables-legacy -I DOCKER-USER -o fw_br -j ACCEPT
    passes "$file"
    docker_off iptables-legacy
}

root_plain_iptables() {
    serve_outside tcp 0.0.0.0 7 tcp :: 7
    local file command
    file=$(natted one)
    for command in iptables-nft iptables-legacy; do
        $command -P FORWARD DROP
        is_told "$file" "$INTERNET4" "drops what 'fw_br' forwards" "${command%-nft} -I FORWARD -i fw_br -j ACCEPT"
        $command -I FORWARD -i fw_br -j ACCEPT
        $command -I FORWARD -o fw_br -j ACCEPT
        passes "$file"
        docker_off $command
        nft flush ruleset
    done
    ip6tables-nft -P FORWARD DROP
    is_told "$file" "$INTERNET6" 'ip6tables -I FORWARD -o fw_br -j ACCEPT'
    nft flush ruleset
}

# ufw: policy drop in both families, its chains; `ufw route allow in on IF` puts a rule into ufw-user-forward.
root_ufw() {
    serve_outside tcp 0.0.0.0 7 tcp :: 7
    local file c
    file=$(natted one)
    for c in ip:ufw ip6:ufw6; do
        nft -f - <<NFT
table ${c%:*} filter {
    chain ${c#*:}-user-forward { }
    chain FORWARD {
        type filter hook forward priority filter; policy drop;
        jump ${c#*:}-user-forward
    }
}
NFT
    done
    is_told "$file" "$INTERNET4" "ufw's chain 'filter FORWARD'" 'ufw route allow in on fw_br; ufw route allow out on fw_br'
    is_told "$file" "$INTERNET6" 'ufw route allow in on fw_br'
    for c in ip:ufw ip6:ufw6; do
        nft add rule "${c%:*}" filter "${c#*:}-user-forward" iifname fw_br accept
        nft add rule "${c%:*}" filter "${c#*:}-user-forward" oifname fw_br accept
    done
    passes "$file"
    nft flush ruleset
}

# firewalld: the policy accepts, the last rule rejects; a zone's interfaces are named by rules.
root_firewalld() {
    serve_outside tcp 0.0.0.0 7 tcp :: 7
    nft -f - <<'NFT'
table inet firewalld {
    chain filter_FWD_trusted { accept; }
    chain filter_FORWARD_IN_ZONES { }
    chain filter_FORWARD {
        type filter hook forward priority filter + 10; policy accept;
        ct state { established, related } accept
        ct status dnat accept
        jump filter_FORWARD_IN_ZONES
        ct state invalid drop
        reject with icmpx admin-prohibited
    }
}
NFT
    local file
    file=$(natted one)
    is_told "$file" "$INTERNET4" "firewalld's chain" 'firewall-cmd --zone=trusted --add-interface=fw_br'
    nft add rule inet firewalld filter_FORWARD_IN_ZONES iifname fw_br goto filter_FWD_trusted
    passes "$file"
    nft flush ruleset
}

# A rule set that accepts by policy and ends with a condition is no obstacle; nor is a jail that forwards nothing.
root_no_false_alarm() {
    nft -f - <<'NFT'
table inet mine {
    chain forward {
        type filter hook forward priority 0; policy accept;
        ip saddr 203.0.113.0/24 drop
    }
}
NFT
    serve_outside tcp 0.0.0.0 7 tcp :: 7
    passes "$(natted one)"
    nft flush ruleset
    iptables-nft -P FORWARD DROP
    policy quiet > /dev/null <<'POLICY'
link eth0 veth host { address 10.79.0.2/30 ; peer-address 10.79.0.1/30 }
POLICY
    assert_status 0 "$NETJAIL" -p "$T/quiet.conf" --user daemon true
    assert_equal "$err" '' 'what it says'
    nft flush ruleset
}

# A cable's name is made up: it must get one that a rule can name.
root_a_cable() {
    serve_outside tcp 0.0.0.0 7
    iptables-nft -P FORWARD DROP
    policy cable > /dev/null <<'POLICY'
link eth0 veth host { address 10.79.0.2/30 ; peer-address 10.79.0.1/30 ; nat }
allow out tcp port 7
POLICY
    is_told "$T/cable.conf" "$INTERNET4" 'cable.conf:1:' peer-name
    sed -i 's/; nat/; peer-name to-cable ; nat/' "$T/cable.conf"
    is_told "$T/cable.conf" "$INTERNET4" 'iptables -I FORWARD -i to-cable -j ACCEPT'
    iptables-nft -P FORWARD ACCEPT
    docker_rules iptables-nft
    sed -i 's/peer-name to-cable ;//' "$T/cable.conf"
    run "$NETJAIL" -p "$T/cable.conf" --user daemon "$NET" try tcp "$INTERNET4" 7
    assert_contains "$out" "ok hello"
    docker_off iptables-nft
    wait_for 5 eval '! nft list ruleset | grep -q netjail'
    nft flush ruleset
}

root_the_plan_shows_it() {
    docker_rules iptables-nft
    assert_status 0 "$NETJAIL" -n -p "$(natted one)"
    assert_contains "$out" "insert rule ip filter DOCKER-USER iifname \"fw_br\" counter accept comment \"netjail fw_br\""
    docker_off iptables-nft
    nft flush ruleset
}

run_tests "$@"
