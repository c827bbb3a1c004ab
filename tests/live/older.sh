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
