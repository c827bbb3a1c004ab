#!/usr/bin/env bash
# `link join NAME`: a command in the network of a running jail, or of /run/netns/NAME.
. "$(dirname "$0")/lib.sh"

web() {
    policy web <<'POLICY'
network j_br { address 10.81.0.1/24 ; address fd00:81::1/64 }
name web
link eth0 bridge j_br { address 10.81.0.5/24 ; address fd00:81::5/64 }
allow out tcp to { 10.81.0.1, fd00:81::1 } port 22
POLICY
}

join() { # join NAME [STATEMENT]
    policy "join-$1" <<POLICY
link join $1
${2:-}
POLICY
}

state_of() { # what joining must not change
    "$@" nft -s list ruleset
    "$@" ip -d address show
    "$@" ip route show table all
    "$@" ip -6 route show table all
    "$@" bash -c 'grep -rs . /proc/sys/net/ipv4/conf /proc/sys/net/ipv4/ip_* /proc/sys/net/ipv4/ping_group_range'
}

root_network_of_a_running_jail() {
    local join
    serve_host tcp 0.0.0.0 22 tcp 0.0.0.0 23 tcp :: 22
    start_jail web -q -p "$(web)" -- bash -c 'echo up; exec tail -f /dev/null'
    wait_for_file "$T/jail-web.out"
    join=$(join web)
    state_of jail_exec web | sed -E '/valid_lft/d; s/ expires [0-9]+sec//' > "$T/state"
    assert_status 0 "$NETJAIL" -q --wait-clean -p "$join" --user daemon ip -o address show
    assert_contains "$out" 10.81.0.5/24
    # The rules of the jail that is joined judge, in both families.
    assert_connect "ok hello from 10.81.0.1 to 10.81.0.5" "$NETJAIL" -q -p "$join" -- tcp 10.81.0.1 22
    assert_connect ok "$NETJAIL" -q -p "$join" -- tcp fd00:81::1 22
    assert_connect refused "$NETJAIL" -q -p "$join" -- tcp 10.81.0.1 23
    # The command has no more power there than in a jail of its own.
    assert_fails "$NETJAIL" -q -p "$join" nft list ruleset
    assert_fails "$NETJAIL" -q -p "$join" ip link set eth0 down
    assert_equal "$("$NETJAIL" -q -p "$join" grep CapEff /proc/self/status | tr -d '[:space:]')" CapEff:0000000000000000
    assert_equal "$("$NETJAIL" -q -p "$join" bash -c 'echo $$ $(ls -d /proc/[0-9]* | wc -l)' | awk '$1 < 10 && $2 < 10 {print "own"}')" own "processes"
    state_of jail_exec web | sed -E '/valid_lft/d; s/ expires [0-9]+sec//' | diff "$T/state" - >&2 || fail "joining changed the network"
    end_jail web
}

root_goes_on_when_the_other_ends() {
    start_jail web -q -p "$(web)" -- bash -c 'echo up; exec tail -f /dev/null'
    wait_for_file "$T/jail-web.out"
    start_jail guest -q -p "$(join web)" -- bash -c 'echo up; exec tail -f /dev/null'
    wait_for_file "$T/jail-guest.out"
    end_jail web
    jail_runs_or_fail guest
    end_jail guest
}

root_named_namespace() {
    ip netns add lab
    ip -n lab link set lo up
    ip -n lab address add 10.82.0.1/32 dev lo
    assert_status 0 "$NETJAIL" -q --wait-clean -p "$(join lab)" --user daemon ip -o address show
    assert_contains "$out" 10.82.0.1/32
    assert_fails "$NETJAIL" -q -p "$T/join-lab.conf" ip address add 10.82.0.2/32 dev lo
    ip netns del lab
}

root_what_cannot_be_joined() {
    assert_status 125 "$NETJAIL" -q -p "$(join nobody)" true
    assert_contains "$err" "join-nobody.conf:1:11: there is no running jail 'nobody', nor /run/netns/nobody"
    touch /run/netns/plain
    assert_status 125 "$NETJAIL" -q -p "$(join plain)" true
    assert_contains "$err" "is no network namespace"
    rm /run/netns/plain
    touch /run/netns/here
    mount --bind /proc/self/ns/net /run/netns/here
    assert_status 125 "$NETJAIL" -q -p "$(join here)" true
    assert_contains "$err" "is the network of the host"
    # The same for a netjail that is in another one itself.
    assert_status 125 ip netns exec outside "$NETJAIL" -q -p "$T/join-here.conf" true
    assert_contains "$err" "is the network of the host"
    umount /run/netns/here
    mount --bind /proc/self/ns/uts /run/netns/here
    assert_status 125 "$NETJAIL" -q -p "$T/join-here.conf" true
    assert_contains "$err" "is no network namespace"
    umount /run/netns/here
    rm /run/netns/here
    ln -s /proc/self/ns/net /run/netns/link
    assert_status 125 "$NETJAIL" -q -p "$(join link)" true
    rm /run/netns/link
    assert_status 125 "$NETJAIL" -q -p "$(join web 'allow out')" true
    assert_contains "$err" "a rule beside 'link join'"
}

user_joining_needs_privilege() {
    assert_status 125 "$NETJAIL" -q -p "$(join web)" true
    assert_contains "$err" 'joining another network needs privilege'
}

run_tests "$@"
