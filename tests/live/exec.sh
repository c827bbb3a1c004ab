#!/bin/bash
# netjailctl exec and shell: a program in a running jail, locked down as its command, and for the caller like the program itself.
# shellcheck disable=SC2154 # out, err and status are set by run
. "$(dirname "$0")/lib.sh"

jail_up() { # jail_up NAME ARGS...: a jail whose command just waits
    local name=$1
    shift
    start_jail "$name" -q --name "$name" "$@" sh -c 'echo up; exec sleep 1000'
    wait_for_file "$T/jail-$name.out"
}

ctl_exec() { "$NETJAILCTL" exec "$@"; }

both_status() {
    jail_up web
    assert_status 0 ctl_exec web -- true
    assert_status 7 ctl_exec web -- sh -c 'exit 7'
    assert_status 143 ctl_exec web -- sh -c 'kill -TERM $$'
    assert_status 127 ctl_exec web -- no-such-command
    assert_contains "$err" "command 'no-such-command' not found"
    assert_status 126 ctl_exec web -- /etc/passwd
    assert_contains "$err" "cannot run '/etc/passwd': Permission denied"
    assert_status 125 ctl_exec wep -- true
    assert_contains "$err" "no jail 'wep' is running"
    assert_contains "$err" "did you mean 'web'"
    assert_status 2 ctl_exec web
    assert_contains "$err" "no command is given"
    # Options behind the jail's name are the command's.
    assert_status 0 ctl_exec web echo --json -E
    assert_equal "$out" "--json -E"
    end_jail web
}

both_streams_and_surroundings() {
    jail_up web
    assert_equal "$(echo text | ctl_exec web -- tr a-z A-Z)" TEXT
    run ctl_exec web -- sh -c 'echo out; echo err >&2'
    assert_equal "$out" out
    assert_equal "$err" err
    mkdir "$T/here"
    assert_equal "$(cd "$T/here" && ctl_exec web -- pwd)" "$T/here"
    assert_equal "$(umask 0135 && ctl_exec web -- sh -c umask)" 0135
    # The jail's environment, not ours, but for language, terminal and what -E says.
    assert_equal "$(SECRET=1 LANG=xx TERM=ansi ctl_exec web -- sh -c 'echo "$SECRET,$LANG,$TERM,$NETJAIL_NAME"')" ",xx,ansi,web"
    assert_equal "$("$NETJAILCTL" exec -E 'A=b c' web -- sh -c 'echo "$A"')" "b c"
    assert_status 2 "$NETJAILCTL" exec -E nonsense web -- true
    # A signal that the caller ignores is ignored inside.
    assert_equal "$(trap '' USR1; ctl_exec web -- sh -c 'kill -USR1 $$; echo alive')" alive
    # A large argument list arrives whole.
    assert_equal "$(ctl_exec web -- sh -c 'echo $#' - $(seq 20000))" 20000
    end_jail web
}

# What the jail's command is held by, the program is held by.
both_as_locked_down_as_the_command() {
    local facts='grep -E "^(NoNewPrivs|Seccomp|Seccomp_filters|Cap[A-Za-z]*|Uid|Gid|Groups):" /proc/self/status;
        for n in net pid mnt ipc user; do readlink /proc/self/ns/$n; done; ulimit -a; cat /proc/self/mountinfo | cut -d" " -f5-'
    start_jail web -q --name web sh -c "{ $facts; } > $T/command; echo up; exec sleep 1000"
    wait_for_file "$T/jail-web.out"
    ctl_exec web -- sh -c "$facts" > "$T/program"
    diff "$T/command" "$T/program" || fail "the program is held by other limits than the command"
    assert_contains "$(cat "$T/program")" "NoNewPrivs:	1"
    # Landlock: no signal to outside, though the pid namespace already hides it; no mount, no packet socket.
    assert_fails ctl_exec web -- mount -t tmpfs none /mnt
    assert_fails ctl_exec web -- python3 -c 'import socket; socket.socket(socket.AF_PACKET)'
    assert_fails ctl_exec web -- unshare -U true
    assert_equal "$(ctl_exec web -- sh -c 'ls /proc/self/fd | wc -l')" 4
    end_jail web
}

# `shared` has no pid namespace: whoever starts the program must end it all the same.
both_processes_shared() {
    jail_up web -e 'processes shared'
    assert_equal "$(ctl_exec web -- echo fine)" fine
    "$NETJAILCTL" exec web -- sh -c "sleep 4711 & echo up > $T/started; wait" &
    remember_process $!
    wait_for_file "$T/started"
    end_jail web
    wait_for 5 no_process 'sleep 4711'
}

no_process() { ! pgrep -f "^$1"; }

both_user_of_the_policy() {
    [ "$(id -u)" = 0 ] || return 0
    jail_up web --user daemon
    assert_equal "$(ctl_exec web -- id -un)" daemon
    cd /root 2> /dev/null || cd /
    assert_status 0 ctl_exec web -- true # a directory that the jail's user may not enter is no obstacle
    end_jail web
}

# The client dies: so do the program and what it started, also in other sessions.
both_dies_with_its_caller() {
    jail_up web
    "$NETJAILCTL" exec web -- sh -c "sleep 4712 & setsid sleep 4713 & echo up > $T/started; wait" &
    local client=$!
    wait_for_file "$T/started"
    wait_for 5 pgrep -f '^sleep 4713'
    kill -KILL $client
    wait_for 5 no_process 'sleep 471[23]'
    assert_status 0 ctl_exec web -- true
    end_jail web
}

both_ends_with_the_jail() {
    jail_up web
    # Input goes to a program of which the client knows that it has started.
    "$NETJAILCTL" exec web -- sh -c "read -r _; echo up > $T/started; exec sleep 1000" <<< go 2> "$T/client.err" &
    local client=$! status=0
    wait_for_file "$T/started"
    end_jail web
    wait $client || status=$?
    assert_equal "$status" 137
    assert_contains "$(cat "$T/client.err")" "jail 'web' has ended"
}

both_signals() {
    jail_up web
    "$NETJAILCTL" exec web -- sh -c "trap 'echo got; exit 3' TERM; echo up > $T/started; while :; do sleep 0.1; done" > "$T/client.out" &
    local client=$! status=0
    wait_for_file "$T/started"
    kill -TERM $client
    wait $client || status=$?
    assert_equal "$status" 3
    assert_equal "$(cat "$T/client.out")" got
    end_jail web
}

both_many_at_once() {
    jail_up web
    local i pids=()
    for i in $(seq 20); do
        "$NETJAILCTL" exec web -- sh -c "exit $i" &
        pids+=($!)
    done
    for i in $(seq 20); do
        local status=0
        wait "${pids[i - 1]}" || status=$?
        assert_equal "$status" "$i"
    done
    end_jail web
}

both_terminal() {
    jail_up web
    run /usr/bin/python3 "$LIVE_DIR/exec_terminal.py" "$NETJAILCTL" web
    assert_equal "$status" 0 "$err"
    end_jail web
}

# Our terminal is never inside: what is left in the jail cannot read what is typed later.
both_terminal_stays_outside() {
    jail_up web
    run script -qec "tty; $NETJAILCTL exec web -- tty; $NETJAILCTL exec web -- sh -c 'ls -l /proc/self/fd'" /dev/null < /dev/null
    local outer inner
    outer=$(printf '%s\n' "$out" | tr -d '\r' | sed -n 1p)
    inner=$(printf '%s\n' "$out" | tr -d '\r' | sed -n 2p)
    assert_contains "$outer" /dev/pts/
    assert_contains "$inner" /dev/pts/
    [ "$outer" != "$inner" ] || fail "the caller's terminal is in the jail"
    assert_lacks "$(printf '%s\n' "$out" | sed 1d)" "$outer"
    end_jail web
}

# A stopped jail does not answer, and says so instead of hanging.
both_stopped_jail() {
    jail_up web
    kill -STOP "${JAILS[web]}"
    assert_status 125 ctl_exec web -- true
    assert_contains "$err" "does not answer"
    kill -CONT "${JAILS[web]}"
    end_jail web
}

# Programs that come while the jail ends, or its supervisor is killed: each is run and ended, or not run.
both_nothing_outlives_a_jail_that_ends() {
    local i options how
    for options in 'processes private' 'processes shared'; do
        for how in end TERM KILL; do
            rm -f "$T/go"
            mkfifo "$T/go"
            start_jail web -q --name web -e "$options" -- bash -c "echo up; read -r line < $T/go"
            wait_for_file "$T/jail-web.out"
            for i in 1 2 3 4 5 6; do
                (until ! "$NETJAILCTL" exec web -- bash -c 'setsid tail -f /dev/null > /dev/null 2>&1 < /dev/null & :' 2> /dev/null; do :; done) &
                remember_process $!
            done
            wait_for 10 pgrep -x tail
            if [ $how = end ]; then echo go > "$T/go"; else kill -$how "$JAIL_PID"; fi
            wait "$JAIL_PID" || :
            for i in "${PROCESSES[@]}"; do wait "$i" || :; done
            PROCESSES=()
            wait_for 5 eval '! pgrep -x tail && ! pgrep -x netjail'
            "$NETJAILCTL" gc > /dev/null
        done
    done
}

run_tests "$@"
