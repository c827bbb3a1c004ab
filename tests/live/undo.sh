#!/usr/bin/env bash
# If a step of the plan fails, the steps before it are undone. Every test function ends with the
# comparison of the host, so that "nothing left" is checked each time.
. "$(dirname "$0")/lib.sh"

full_policy() {
    policy full <<'POLICY'
network u_br { address 10.73.0.1/24 ; address fd00:73::1/64 ; nat }
name full
link eth0 bridge u_br { address 10.73.0.5/24 ; address fd00:73::5/64 ; host-name uhost }
link eth1 veth host { address 10.74.0.2/30 ; peer-address 10.74.0.1/30 ; peer-name ucable ; gateway none }
publish any:8080 to 80
publish 8081 to 81 udp
allow out tcp port 7
POLICY
}

nothing_is_left() { # the part of the comparison that can be asked at once
    wait_for 5 eval '! ip link show u_br && ! ip link show uhost && ! ip link show ucable && [ -z "$(nft list ruleset | grep netjail)" ]'
}

root_it_works_when_nothing_fails() {
    assert_status 0 "$NETJAIL" -q --wait-clean -p "$(full_policy)" true
    nothing_is_left
}

root_occupied_names() {
    local file name
    file=$(full_policy)
    for name in u_br uhost ucable; do
        ip link add $name type veth peer name other
        assert_status 125 "$NETJAIL" -q -p "$file" sh -c 'echo ran'
        assert_equal "$out" "" "output of a command that must not run"
        assert_contains "$err" $name
        ip link del $name
        nothing_is_left
    done
    assert_status 0 "$NETJAIL" -q --wait-clean -p "$file" true
}

root_occupied_ports() {
    local file port
    file=$(full_policy)
    serve_host udp ::1 8081
    assert_status 125 "$NETJAIL" -q -p "$file" sh -c 'echo ran'
    assert_contains "$err" 8081
    assert_equal "$out" ""
    stop_processes
    nothing_is_left
    : "$port"
}

root_address_already_on_the_host() {
    ip address add 10.73.0.1/24 dev up0
    run "$NETJAIL" -q -p "$(full_policy)" true
    assert_equal "$status" 125
    assert_contains "$err" 10.73.0.1
    ip address del 10.73.0.1/24 dev up0
    nothing_is_left
}

root_missing_command() {
    assert_status 127 "$NETJAIL" -q --wait-clean -p "$(full_policy)" nosuchcommand
    nothing_is_left
}

# Every system call that changes the kernel fails in turn: strace makes the n-th sendto, sendmsg, bind... of the
# supervisor fail. Whatever happens, the command ran in a complete jail or not at all, and nothing is left.
root_injected_faults() {
    command -v strace > /dev/null || skip "strace is not installed"
    local file call n ran
    file=$(full_policy)
    strace -o /dev/null true 2> /dev/null || skip "strace cannot trace here"
    for call in sendmsg sendto bind clone3 socket mkdirat ftruncate recvmsg; do
        for n in 1 2 3 5 8 13; do
            run strace -qq -o /dev/null -e trace=$call -e inject=$call:error=EPERM:when=$n \
                "$NETJAIL" -q --wait-clean -p "$file" sh -c 'echo ran; ip -o link show eth1 | wc -l'
            ran=no
            assert_lacks "$out" $'ran\n0'
            [ "$out" != $'ran\n1' ] || ran=yes
            if [ "$status" -ne 0 ] && [ "$ran" = no ]; then
                assert_equal "$status" 125 "exit status after $call number $n failed ($err)"
                [ -n "$err" ] || fail "no message after $call number $n failed"
            fi
            [ "$status" -eq 0 ] || "$NETJAILCTL" gc > /dev/null 2>&1 || :
            nothing_is_left
        done
    done
}

root_no_nftables() {
    # A kernel without nftables answers EPROTONOSUPPORT or ENOENT; here the socket cannot be had at all.
    command -v strace > /dev/null || skip "strace is not installed"
    run strace -qq -f -o /dev/null -e trace=socket -e inject=socket:error=EPROTONOSUPPORT:when=1+ \
        "$NETJAIL" -q -p "$(full_policy)" sh -c 'echo ran'
    assert_equal "$status" 125
    assert_equal "$out" ""
    [ -n "$err" ] || fail "no message"
}

user_no_user_namespaces() {
    command -v strace > /dev/null || skip "strace is not installed"
    run strace -qq -o /dev/null -e trace=clone3,clone,unshare -e inject=clone3,clone,unshare:error=EPERM:when=1+ \
        "$NETJAIL" -q sh -c 'echo ran'
    assert_equal "$status" 125
    assert_equal "$out" ""
    assert_contains "$err" "user namespace"
}

run_tests "$@"
