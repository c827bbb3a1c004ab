#!/usr/bin/env bash
# Fails closed: while single system calls of netjail are made to fail, the jail is as strong as ever or the command
# does not run (125 and one sentence), and nothing is left. A sample of calls and places, as long as the time
# lasts; FAULTS_PER_CALL and FAULTS_SECONDS enlarge it.
. "$(dirname "$0")/lib.sh"

command -v strace > /dev/null || {
    printf 'strace is not installed\n'
    exit 77
}
command -v "${CC:-cc}" > /dev/null || {
    printf 'a C compiler is not installed\n'
    exit 77
}
: "${FAULTS_PER_CALL:=3}" "${FAULTS_SECONDS:=45}"
export FAULTS_PER_CALL FAULTS_SECONDS TEST_TIMEOUT=$((FAULTS_SECONDS + 60))

# Calls whose failure is no event of this world (close keeps the descriptor open when it is injected) or only the
# dynamic linker's are left out.
LEFT_OUT='^(execve|mmap|munmap|mprotect|brk|close|set_tid_address|set_robust_list|arch_prctl|rseq|exit|exit_group|'
LEFT_OUT+='restart_syscall|rt_sigreturn|wait4|waitid|pread64|newfstatat|access|getuid|geteuid|getgid|getegid|getpid|'
LEFT_OUT+='getppid|gettid|rt_sigaction|rt_sigprocmask|uname)$'

make_probe() {
    "${CC:-cc}" -O1 -static -o "$T/probe" "$LIVE_DIR/probe.c" 2> /dev/null ||
        "${CC:-cc}" -O1 -o "$T/probe" "$LIVE_DIR/probe.c"
    chmod 755 "$T/probe"
}

# "CALL N" for a sample of the calls that any one process of a run makes (strace counts per process).
sample_calls() { # sample_calls TRACE
    awk -v most="$FAULTS_PER_CALL" -v left_out="$LEFT_OUT" '
        $2 ~ /^[a-z0-9_]+\(/ { call = $2; sub(/\(.*/, "", call); n = ++seen[$1, call]; if (n > max[call]) max[call] = n }
        END {
            srand(7)
            for (call in max) {
                if (call ~ left_out) continue
                for (i = 1; i <= max[call]; i++)
                    if (max[call] <= most || i == 1 || i == max[call] || rand() < (most - 2) / max[call])
                        print rand(), call, i
            }
        }' "$1" | sort -n | cut -d' ' -f2-
}

leftovers() { # what a failed clean-up may leave until gc: nothing when it said nothing
    ip -o link show type bridge
    nft list tables 2> /dev/null
    find /run/netjail "${XDG_RUNTIME_DIR:-/nonexistent}/netjail" -name '*.lease' 2> /dev/null
    pgrep -x probe
    pgrep netjail
    :
}

# judge CALL N ERRNO ARGS: one run with that fault.
judge() {
    local what="$1 number $2: $3" found
    shift 3
    found=$(cat "$T/result" 2> /dev/null) || :
    if [ "$found" != strong ]; then
        [ -z "$found" ] || fail "$what: the command ran in a jail that is $found"
        case $status:$err in
        125:netjail:* | 125:*' error: '*) ;;
        125:*netjail-service:* | 127:*'loading shared libraries'*) ;;
        *) fail "$what: the command did not run, status $status, said: $err" ;;
        esac
    fi
    [ -z "$(leftovers)" ] && return
    # A clean-up that cannot be done says so, and gc does it; removing the lease itself comes last.
    case $err:$what in
    *netjail:* | *:unlinkat*) "$NETJAILCTL" gc > /dev/null ;;
    esac
    [ -z "$(leftovers)" ] || fail "$what: left behind: $(leftovers); said: $err"
}

inject() { # inject ERRNO LINK ARGS...: a jail's run for each sampled fault
    local errno=$1 link=$2 end call number runs=0 refused=0
    shift 2
    make_probe
    rm -f "$T/result"
    assert_status 0 strace -f -o "$T/trace" "$NETJAIL" -q --wait-clean "$@" "$T/probe" "$T/result" $link
    assert_equal "$(cat "$T/result")" strong "the jail without a fault"
    sample_calls "$T/trace" > "$T/sample"
    end=$((SECONDS + FAULTS_SECONDS / 2))
    while read -r call number && [ "$SECONDS" -lt "$end" ]; do
        rm -f "$T/result"
        run timeout -s KILL 20 strace -f -o /dev/null -e trace="$call" -e inject="$call:error=$errno:when=$number" \
            "$NETJAIL" -q --wait-clean "$@" "$T/probe" "$T/result" $link < /dev/null
        judge "$call" "$number" "$errno"
        runs=$((runs + 1))
        [ "$status" != 125 ] || refused=$((refused + 1))
    done < "$T/sample"
    [ "$runs" -ge 10 ] || fail "only $runs faults in $FAULTS_SECONDS seconds"
    [ "$refused" -ge 3 ] || fail "only $refused of $runs faults were noticed: is anything injected?"
}

both_without_a_policy() {
    inject EPERM ''
    inject ENOMEM ''
}

root_with_a_bridge() {
    local file
    file=$(policy faults <<'POLICY'
network f_br { address 10.77.0.1/24 ; address fd00:77::1/64 ; nat }
link eth0 bridge f_br { address 10.77.0.5/24 ; address fd00:77::5/64 }
publish any:8080 to 80
allow out tcp port 7
POLICY
    )
    inject EPERM eth0 -p "$file"
    inject ENOSYS eth0 -p "$file"
}

# What must stop the start, whatever else is there: the drop to no privilege, the filter, the mounts.
both_steps_that_may_not_fail() {
    local call number
    make_probe
    for call in seccomp:1 seccomp:2 mount:1 mount:2 mount:4 mount_setattr:1 mount_setattr:2 capset:1 capset:2 clone:1 \
        landlock_restrict_self:1 socketpair:1 socketpair:2 signalfd4:1 prctl:1 prctl:30 sendto:1; do
        number=${call#*:} call=${call%:*}
        rm -f "$T/result"
        run strace -f -o /dev/null -e trace="$call" -e inject="$call:error=EPERM:when=$number" \
            "$NETJAIL" -q --wait-clean "$T/probe" "$T/result" < /dev/null
        assert_equal "$status" 125 "status when $call number $number fails (said: $err)"
        assert_equal "$(grep -c '^netjail: ' <<< "$err")" 1 "sentences when $call number $number fails: $err"
        [ ! -e "$T/result" ] || fail "the command ran although $call number $number failed"
    done
}

run_tests "$@"
