#!/usr/bin/env bash
# netjail behaves like the command: exit status, signals, terminal, leftovers.
. "$(dirname "$0")/lib.sh"

both_exit_codes() {
    local code
    for code in 0 1 2 42 124 125 126 127 128 200 255; do
        assert_status "$code" "$NETJAIL" -q sh -c "exit $code"
    done
}

both_not_found_and_not_executable() {
    assert_status 127 "$NETJAIL" -q nosuchcommand
    assert_contains "$err" nosuchcommand
    assert_status 127 "$NETJAIL" -q /no/such/command
    echo 'echo hello' > "$T/plain"
    assert_status 126 "$NETJAIL" -q "$T/plain"
    assert_status 126 "$NETJAIL" -q /
}

both_usage_errors() {
    assert_status 125 "$NETJAIL"
    assert_status 125 "$NETJAIL" --no-such-option true
    assert_contains "$err" no-such-option
    assert_status 0 "$NETJAIL" --version
    assert_status 0 "$NETJAIL" --help
    assert_contains "$out" --policy
}

both_death_by_signal_is_mirrored() {
    local name
    for name in TERM KILL INT HUP SEGV USR1 ABRT PIPE; do
        run /usr/bin/python3 -c '
import subprocess, sys
print(subprocess.run(sys.argv[1:]).returncode)' "$NETJAIL" -q sh -c "ulimit -c 0; kill -$name \$\$"
        assert_equal "$out" "-$(kill -l $name)" "status after SIG$name"
    done
}

both_signals_reach_the_command_once() {
    local name
    for name in TERM INT HUP USR1 USR2 QUIT WINCH; do
        # bash ignores INT and QUIT in what it starts in the background; netjail would keep it so.
        env --default-signal=INT,QUIT "$NETJAIL" -q bash -c 'n=0; trap "n=\$((n + 1)); echo got >> \"\$1\"" '"$name"'
            trap "exit \$((40 + n))" ALRM; echo ready > "$2"; while :; do read -rt 5 <> <(:) || :; done' \
            - "$T/got-$name" "$T/ready-$name" &
        local pid=$!
        remember_process "$pid"
        wait_for_file "$T/ready-$name"
        kill "-$name" "$pid"
        wait_for_file "$T/got-$name"
        kill -ALRM "$pid"
        local code=0
        wait "$pid" || code=$?
        assert_equal "$code" 41 "exit status of the command that handled SIG$name once"
    done
}

both_leftover_processes_end_with_the_command() {
    assert_status 0 "$NETJAIL" -q bash -c 'setsid tail -f /dev/null & disown; exit 0'
    wait_for 5 eval '! pgrep -x tail'
}

both_on_exit_wait() {
    local file
    file=$(policy waits <<< 'on-exit wait')
    assert_status 3 "$NETJAIL" -q -p "$file" bash -c '(read -rt 0.5 <> <(:); echo late > "$1") & exit 3' - "$T/late"
    assert_equal "$(cat "$T/late")" late
}

both_sigkill_of_netjail_ends_the_command() {
    start_jail one -q -- bash -c 'echo up; exec tail -f /dev/null'
    wait_for_file "$T/jail-one.out"
    kill -KILL "$JAIL_PID"
    wait "$JAIL_PID" || :
    wait_for 5 eval '! pgrep -x tail'
    assert_status 0 "$NETJAILCTL" gc
}

both_stdin_stdout_stderr() {
    assert_equal "$(printf 'a\nb\n' | "$NETJAIL" -q cat)" $'a\nb'
    assert_equal "$("$NETJAIL" -q sh -c 'echo e >&2' 2>&1 > /dev/null)" e
    printf '%s' data > "$T/in"
    assert_equal "$("$NETJAIL" -q cat < "$T/in")" data
    "$NETJAIL" -q echo x <&- > /dev/null
    "$NETJAIL" -q true >&- || fail "a closed stdout"
}

both_in_a_pipe_and_under_timeout() {
    assert_equal "$("$NETJAIL" -q seq 100000 | head -n1)" 1
    assert_status 124 timeout 1 "$NETJAIL" -q tail -f /dev/null
    assert_status 0 nohup "$NETJAIL" -q true
    assert_status 0 setsid -w "$NETJAIL" -q true
}

both_terminal() {
    # Ctrl-C, Ctrl-Z and fg on a real terminal, with a shell's job control.
    run /usr/bin/python3 "$LIVE_DIR/terminal.py" "$NETJAIL"
    [ "$status" -eq 0 ] || fail "$out $err"
}

# A jail in a jail: /proc and its sysctls belong to the outer one, and the inner one says so.
both_nested_is_refused_with_a_reason() {
    assert_status 125 "$NETJAIL" -q -e 'namespaces allow' "$NETJAIL" -q sh -c 'exit 5'
    assert_contains "$err" hint:
}

# Told that the jail has ended, the service delivers what it has and says that it is done, by closing its report
# (descriptor 4); only then it is killed, not after a time limit.
both_service_says_that_it_is_done() {
    local args service
    command -v strace > /dev/null || skip 'strace is not installed'
    for args in '-P 8099:80' '--net relay'; do
        assert_status 0 strace -f -q -o "$T/trace" -e trace=execve,close,kill "$NETJAIL" -q --wait-clean $args true
        service=$(sed -nE 's/^([0-9]+) +execve\(.*"netjail-service".*/\1/p' "$T/trace")
        assert_contains "$(grep -E "^$service +close\\(4|kill\\($service," "$T/trace" | head -1)" 'close(4' "$args"
    done
}

# A file system that does not answer holds execve(2); here a lease does (fcntl(2), F_SETLEASE). What would end a
# program in there ends netjail, and the command never runs.
both_signal_ends_a_start_that_hangs() {
    local args code holder pid
    printf '#!/bin/sh\n: > "%s/ran"\n' "$T" > "$T/held"
    chmod 755 "$T/held"
    for args in '' '-P 8099:80'; do
        /usr/bin/python3 -c '
import fcntl, os, signal, sys
def mark(name): print(name, file=open(os.path.join(sys.argv[1], name), "w"))
signal.signal(signal.SIGIO, lambda *_: mark("asked"))
file = os.open(os.path.join(sys.argv[1], "held"), os.O_RDONLY)
fcntl.fcntl(file, fcntl.F_SETLEASE, fcntl.F_WRLCK)
mark("leased")
while True: signal.pause()' "$T" &
        holder=$!
        remember_process "$holder"
        wait_for_file "$T/leased"
        # shellcheck disable=SC2086 # options
        (trap '' USR1; exec "$NETJAIL" -q --wait-clean $args "$T/held") &
        pid=$!
        remember_process "$pid"
        wait_for_file "$T/asked"
        for _ in $(seq 20); do # what ends nothing hides nothing
            kill -USR1 "$pid"
            wait_for 5 eval '[ "$(sed -n "s/^ShdPnd:\t//p" "/proc/$pid/status")" = 0000000000000000 ]'
        done
        kill -TERM "$pid"
        wait_for 20 test ! -e "/proc/$pid" # the lease is broken after 45 s
        code=0
        wait "$pid" || code=$?
        assert_equal "$code" 143 "exit status of '$args'"
        kill -KILL "$holder"
        wait "$holder" || :
        [ ! -e "$T/ran" ] || fail 'the command ran all the same'
        rm "$T/leased" "$T/asked"
    done
}

# A signal to the whole group (Ctrl-C, timeout(1)) also meets the processes that are not yet what they will be: the
# command's before its exec(), netjail-service's before it has left the group. strace holds them there.
both_signal_to_the_group_during_the_start() {
    command -v strace > /dev/null || skip 'strace is not installed'
    local args code follow hold number pid
    for hold in capset setpgid; do
        args='' follow=''
        [ "$hold" = capset ] || args='-P 8099:80' follow=-f
        for number in 2 10 14 15 34; do
            # shellcheck disable=SC2086 # options
            setsid strace -I 4 $follow -qq -o /dev/null -e "trace=$hold" -e "inject=$hold:delay_enter=400000" env --default-signal=INT \
                "$NETJAIL" -q $args tail -f /dev/null 2> "$T/err" &
            pid=$!
            remember_process "$pid"
            wait_for 5 eval '[ "$(pgrep -xc netjail)" -ge 3 ]'
            kill "-$number" -- "-$pid"
            code=0
            wait "$pid" || code=$?
            assert_equal "$code" $((128 + number)) "exit status held at $hold: $(cat "$T/err")"
            assert_equal "$(cat "$T/err")" '' "said when held at $hold"
        done
    done
}

run_tests "$@"
