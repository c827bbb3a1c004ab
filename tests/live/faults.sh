#!/usr/bin/env bash
# Fails closed: while single system calls of netjail fail, or its processes are killed at one, the jail is as strong as
# ever or the command does not run, and nothing is left. tests/faults does it; here a random sample for FAULTS_SECONDS
# (40), or with FAULTS_SECONDS=0 every call in every mode (`make check-faults`), of which FAULTS_SHARD=I/N is one of N parts.
# A failure names its case for --only.
. "$(dirname "$0")/lib.sh"

: "${FAULTS_SECONDS:=40}" "${FAULTS_SEED:=1}" "${FAULTS_SHARD:=1/1}"
export FAULTS_SECONDS FAULTS_SEED FAULTS_SHARD TEST_TIMEOUT=$((FAULTS_SECONDS > 0 ? FAULTS_SECONDS + 80 : 14400))
FAULTS=$LIVE_DIR/../faults

case $(uname -m) in
x86_64) ;;
*)
    printf 'tests/faults/inject.c knows the registers of x86-64 only\n'
    exit 77
    ;;
esac
command -v "${CC:-cc}" > /dev/null || {
    printf 'a C compiler is not installed\n'
    exit 77
}

prepare() { # what a jail must not reach, and a name server that knows every name
    serve_host tcp 0.0.0.0 9999 tcp :: 9999
    serve_outside tcp 0.0.0.0 9 tcp :: 9
    nsenter --net=/run/netns/outside "$LIVE_DIR/dns_liar.py" "$OUTSIDE4" honest "$OUTSIDE4" > /dev/null 2>&1 &
    wait_for_port udp 53 outside
}

faults() { # faults ARGS...: what faults.py says, which is shown when it is everything that was asked for
    export CCACHE_DISABLE=1
    XDG_RUNTIME_DIR="$T" "${CC:-cc}" -O1 -o "$T/inject" "$FAULTS/inject.c" -lseccomp || fail 'inject.c'
    XDG_RUNTIME_DIR="$T" "${CC:-cc}" -O1 -static -o "$T/probe" "$LIVE_DIR/probe.c" 2> /dev/null ||
        "${CC:-cc}" -O1 -o "$T/probe" "$LIVE_DIR/probe.c"
    chmod 755 "$T/probe" "$T/inject"
    run /usr/bin/python3 "$FAULTS/faults.py" --work "$T" --seed "$FAULTS_SEED" "$@"
    [ -z "${FAULTS_LOG:-}" ] || printf '%s\n' "$out" >> "$FAULTS_LOG"
    [ "$status" -eq 0 ] || fail "$out $err"
}

both_every_call() { faults --seconds "$FAULTS_SECONDS" --shard "$FAULTS_SHARD"; }

# Each item of the self-test sabotaged: the call says that it worked, and nothing was done.
both_calls_that_lie() { faults --kinds lie --modes plain; }

# What must stop the start whatever the probe says: the drop to no privilege, the filters, the domain, the mounts.
both_steps_that_may_not_fail() {
    faults --modes plain --refuse seccomp,capset,landlock_restrict_self,mount_setattr,socketpair,signalfd4,sendmsg
}

run_tests "$@"
