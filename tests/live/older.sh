#!/usr/bin/env bash
# Kernels before this one, back to Linux 5.15, and containers that forbid calls: newer calls are made to fail, and the
# jail is as strong by other means, or says what is missing.
. "$(dirname "$0")/lib.sh"

command -v strace > /dev/null || {
    printf 'strace is not installed\n'
    exit 77
}

make_probe() {
    XDG_RUNTIME_DIR="$T" "${CC:-cc}" -O1 -static -o "$T/probe" "$LIVE_DIR/probe.c" || fail probe.c
    chmod 755 "$T/probe"
}

# without CALLS[=HOW] NETJAIL-OPTION... -- CMD...: as on a kernel whose CALLS do HOW (default: error=ENOSYS).
without() {
    local calls=${1%%=*} how=error=ENOSYS
    [ "$calls" = "$1" ] || how=${1#*=}
    shift
    run strace -f -qq -o /dev/null -e trace="$calls" -e inject="$calls:$how" "$NETJAIL" -q --wait-clean "$@"
}

# Landlock's scopes are of 6.12: before, the command has a process group of its own.
both_no_landlock_scope() {
    local how
    make_probe
    for how in error=ENOSYS error=EOPNOTSUPP retval=1 retval=5; do
        without "landlock_create_ruleset=$how" "$T/probe" "$T/result"
        assert_equal "$(cat "$T/result")" strong "with landlock_create_ruleset $how ($err)"
        # kill(0) stays inside: this test goes on.
        without "landlock_create_ruleset=$how" sh -c 'kill -TERM 0; exit 3'
        assert_equal "$status" 143 "kill(0) inside with $how: $err"
        without "landlock_create_ruleset=$how" sh -c 'exit 7'
        assert_equal "$status" 7
    done
    # The domain that was promised and cannot be entered is a failure.
    without landlock_restrict_self sh -c 'echo ran'
    assert_equal "$status:$out" 125:
    # The service ends with init; what is said is what init could not do.
    without landlock_restrict_self -P 8097:80 sh -c 'echo ran'
    assert_equal "$status:$out" 125:
    assert_contains "$err" 'netjail: cannot '
    assert_lacks "$err" netjail-service
}

# Where the command sees the processes outside, it must not look into those of its user (a way out of the jail), and that
# it can signal them is said. Files can be moved all the same.
root_no_landlock_scope_for_shared_processes() {
    local victim look=$T/look
    install -d -o "$TEST_UID" "$T/one" "$T/two"
    setpriv --reuid="$TEST_UID" --regid="$TEST_UID" --clear-groups tail -f /dev/null < /dev/null > /dev/null 2>&1 &
    victim=$!
    remember_process "$victim"
    wait_for 5 eval '[ "$(ps -o uid= -p '$victim')" = $TEST_UID ]'
    cat > "$look" << 'END'
for file in mem environ root/etc ns/net; do (: < "/proc/$1/$file") 2> /dev/null && echo "read $file"; done
(: >> "/proc/$1/mem") 2> /dev/null && echo 'write mem'
(: >> "/proc/self/mem") && : > one/file && exec python3 -c 'import os; os.rename("one/file", "two/file")'
END
    run strace -f -qq -o /dev/null -e trace=landlock_create_ruleset -e inject=landlock_create_ruleset:retval=5:when=1 \
        "$NETJAIL" --user "$TEST_UID:$TEST_UID" -e 'processes shared' bash "$look" "$victim"
    assert_equal "$status:$out" 0:
    assert_contains "$err" 'warning: `processes shared` without Landlock scopes'
    [ -e "$T/two/file" ] || fail "a file could not be moved"
    run setpriv --reuid="$TEST_UID" --regid="$TEST_UID" --clear-groups bash "$look" "$victim"
    assert_contains "$out" 'write mem' # without a jail
}

# A list of descriptors that ends early hides what must be closed.
both_descriptors_that_cannot_be_listed() {
    local call how
    for how in error=ENOMEM error=ENOMEM:when=1 retval=0:when=1; do
        for call in getdents64 fcntl; do
            [ "$call:$how" != fcntl:retval=0:when=1 ] || continue # as if it were inherited: it is closed
            run strace -f -qq -o /dev/null -e trace="$call" -e inject="$call:$how" "$NETJAIL" -q --wait-clean \
                sh -c 'echo ran; [ ! -e /proc/self/fd/7 ] || echo leaked' 7< /
            assert_lacks "$call $how: $out" leaked
            [ -n "$out" ] || assert_contains "$status: $err" '125: netjail: '
        done
    done
}

both_calls_that_have_substitutes() {
    local calls
    make_probe
    # clone3: forbidden by the filters of older containers. The rest came with or after 5.15, or is of none of our needs.
    for calls in clone3 openat2 faccessat2 close_range,clone3 statx epoll_pwait2 memfd_secret futex_waitv \
        pidfd_getfd landlock_add_rule; do
        rm -f "$T/result"
        without "$calls" "$T/probe" "$T/result"
        case $calls:$status in
        *:125) assert_contains "$err" 'netjail: ' ;;
        *) assert_equal "$(cat "$T/result")" strong "without $calls ($status, $err)" ;;
        esac
    done
    without clone3 "$T/probe" "$T/result"
    assert_equal "$(cat "$T/result")" strong 'without clone3'
}

# force_forwarding is of 6.17: before, IPv6 is forwarded between all interfaces or none, and netjail guards the others.
root_no_force_forwarding() {
    local file interface hidden=()
    serve_outside tcp 0.0.0.0 7 tcp :: 7
    file=$(policy old <<'POLICY'
network o_br { address 10.86.0.1/24 ; address fd00:86::1/64 ; nat }
link eth0 bridge o_br { address 10.86.0.5/24 ; address fd00:86::5/64 }
allow out tcp port 7
POLICY
    )
    for interface in all up0 o_br lo; do hidden+=(-P "/proc/sys/net/ipv6/conf/$interface/force_forwarding"); done
    old() { strace -f -qq -o /dev/null "${hidden[@]}" -e trace=openat2 -e inject=openat2:error=ENOENT "$NETJAIL" -q --wait-clean -p "$file" "$@"; }
    assert_status 0 old sh -c "cat /proc/sys/net/ipv6/conf/all/forwarding > /dev/null; '$NET' try tcp $OUTSIDE6 7; '$NET' try tcp $OUTSIDE4 7"
    assert_equal "$(grep -c '^ok ' <<< "$out")" 2
    old bash -c 'echo up; exec tail -f /dev/null' > "$T/up" &
    remember_process $!
    wait_for_file "$T/up"
    assert_equal "$(cat /proc/sys/net/ipv6/conf/all/forwarding)" 1
    assert_equal "$(cat /proc/sys/net/ipv6/conf/up0/force_forwarding)" 0
    # Who is not of the jail's network gets nothing forwarded: from the outside to another interface of the host.
    ip link add third0 type veth peer name far3
    ip address add fd00:3::1/64 dev third0 nodad
    ip link set third0 up
    ip link set far3 up
    outside ip -6 route add fd00:3::/64 via 2001:db8:1::1
    assert_no_connect outside -- tcp fd00:3::2 7
    outside ip -6 route del fd00:3::/64
    ip link delete third0
    pkill -TERM -x netjail
    wait_for 10 eval '! pgrep -x netjail'
}

# One of the newer calls missing, in the ways of running that need more than the plain one.
root_missing_calls_with_links_and_exec() {
    local file call
    make_probe
    file=$(policy linked <<'POLICY'
network p_br { address 10.87.0.1/24 ; nat }
name linked
link eth0 bridge p_br { address 10.87.0.5/24 }
dns { upstream 192.0.2.100 }
allow out tcp to www.test port 7
POLICY
    )
    for call in clone3 openat2 close_range faccessat2 statx landlock_create_ruleset memfd_create pidfd_open \
        pidfd_send_signal mount_setattr epoll_pwait2 getrandom; do
        rm -f "$T/result"
        without "$call" -p "$file" "$T/probe" "$T/result" eth0
        case $status in
        125) assert_contains "$err" 'netjail: ' ;;
        *) assert_equal "$(cat "$T/result")" strong "without $call ($status, $err)" ;;
        esac
        "$NETJAILCTL" gc > /dev/null || :
    done
    # A program in a running jail, whose init is under strace, too.
    for call in close_range clone3 dup3 landlock_create_ruleset; do
        strace -f -qq -o /dev/null -e trace="$call" -e inject="$call:error=ENOSYS" "$NETJAIL" -q --name old sh -c 'echo up; exec tail -f /dev/null' > "$T/up" &
        remember_process $!
        wait_for_file "$T/up"
        rm -f "$T/result"
        run "$NETJAILCTL" exec old -- "$T/probe" "$T/result"
        case $status in
        125) assert_contains "$err" 'netjailctl: ' ;;
        *) assert_equal "$(cat "$T/result")" strong "exec without $call ($status, $err)" ;;
        esac
        pkill -TERM -x netjail
        wait_for 10 eval '! pgrep -x netjail'
        rm "$T/up"
    done
}

# What 5.15 has and a kernel without it would need is an error with a name, never a weaker jail.
both_calls_that_have_none() {
    local calls
    for calls in mount_setattr seccomp pidfd_send_signal,seccomp; do
        without "$calls" sh -c 'echo ran'
        assert_equal "$status:$out" 125: "without $calls"
        assert_contains "$err" 'netjail: '
    done
}

run_tests "$@"
