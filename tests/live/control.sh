#!/bin/bash
# Attacks on the control socket: other users, processes of the jail, floods, half messages, sockets put in its place.
# shellcheck disable=SC2154 # out, err and status are set by run
. "$(dirname "$0")/lib.sh"

state() { # the state directory of the test's user
    if [ "$(id -u)" = 0 ]; then echo /run/netjail; else echo "$XDG_RUNTIME_DIR/netjail"; fi
}

attack() { /usr/bin/python3 "$LIVE_DIR/control.py" "$@"; }

jail_up() { # jail_up NAME ARGS...: a jail whose command just waits; its socket in $SOCKET
    local name=$1
    shift
    start_jail "$name" -q --name "$name" "$@" sh -c 'echo up; exec sleep 1000'
    wait_for_file "$T/jail-$name.out"
    SOCKET=$(state)/$name.sock
    wait_for 5 test -S "$SOCKET"
}

# The jail is there, answers, and has no more descriptors and children than before.
assert_unharmed() {
    kill -0 "${JAILS[web]}" || fail "the supervisor is gone"
    assert_equal "$("$NETJAILCTL" exec web -- echo fine)" fine
    wait_for 5 same_descriptors
}
descriptors() { # as root only: the supervisor is not dumpable
    [ "$(id -u)" = 0 ] || { echo 0 && return; }
    ls "/proc/${JAILS[web]}/fd" | wc -l
}
same_descriptors() { [ "$(descriptors)" -eq "$FDS" ]; }

both_mode_and_end() {
    jail_up web
    assert_equal "$(stat -c '%a %F' "$SOCKET")" "600 socket"
    end_jail web
    [ ! -e "$SOCKET" ] || fail "the socket stays behind"
    jail_up web
    kill -KILL "${JAILS[web]}"
    wait "${JAILS[web]}" || :
    [ -S "$SOCKET" ] || fail "this test expects a socket to be left by SIGKILL"
    run "$NETJAILCTL" gc
    [ ! -e "$SOCKET" ] || fail "gc leaves the socket behind"
    jail_up web # a new one of that name takes the place
    assert_equal "$("$NETJAILCTL" exec web -- echo fine)" fine
    end_jail web
}

both_not_dumpable() {
    jail_up web
    [ "$(id -u)" = 0 ] || assert_equal "$(stat -c %u "/proc/${JAILS[web]}/mem")" 0 "owner of the supervisor's memory"
    run sh -c "grep -E '^(CapPrm|CapEff)' /proc/${JAILS[web]}/status"
    assert_equal "$(printf '%s\n' "$out" | awk '{print $2}' | sort -u)" 0000000000000000
    end_jail web
}

root_other_user() {
    jail_up web
    assert_equal "$(setpriv --reuid=1234 --regid=1234 --clear-groups python3 "$LIVE_DIR/control.py" try "$SOCKET")" unreachable
    # Somebody opens the door: the supervisor itself still asks who it is.
    chmod 755 /run/netjail
    chmod 777 "$SOCKET"
    assert_equal "$(setpriv --reuid=1234 --regid=1234 --clear-groups python3 "$LIVE_DIR/control.py" try "$SOCKET")" refused
    assert_equal "$(attack try "$SOCKET")" reached
    chmod 700 /run/netjail
    end_jail web
}

# Processes of a jail have the same user. In no mode do they reach a socket, their own jail's or another's,
# also where the state directory is not below /run.
both_process_of_the_jail() {
    local mode victim
    jail_up web
    victim=$SOCKET
    for mode in masked host none; do
        start_jail "$mode" -q --name "mode-$mode" -e "unix-sockets $mode" -- sh -c "
            python3 '$LIVE_DIR/control.py' try '$victim' '$(state)/mode-$mode.sock' /proc/1/root$victim /proc/self/root$victim \
                || echo no sockets at all; echo end; sleep 1000"
        wait_for 10 grep -q end "$T/jail-$mode.out"
        assert_lacks "$(cat "$T/jail-$mode.out")" reached
        [ "$mode" = none ] || assert_contains "$(cat "$T/jail-$mode.out")" unreachable # the directory is hidden
        end_jail "$mode"
    done
    # From inside by exec, too: a program of web against web.
    run "$NETJAILCTL" exec web -- python3 "$LIVE_DIR/control.py" try "$victim"
    assert_lacks "$out" reached
    end_jail web
}

user_process_of_the_jail_elsewhere() {
    export XDG_RUNTIME_DIR=$T/elsewhere
    mkdir -m 700 "$XDG_RUNTIME_DIR"
    jail_up web
    assert_equal "$(attack try "$SOCKET")" reached
    assert_equal "$("$NETJAILCTL" exec web -- python3 "$LIVE_DIR/control.py" try "$SOCKET")" unreachable
    end_jail web
    jail_up web -e 'unix-sockets host'
    assert_equal "$(attack try "$SOCKET")" reached
    assert_equal "$("$NETJAILCTL" exec web -- python3 "$LIVE_DIR/control.py" try "$SOCKET")" unreachable
    # By another name of it that is not hidden, the supervisor itself asks where the caller is.
    ln "$SOCKET" "$T/door"
    assert_equal "$(attack try "$T/door")" reached
    assert_equal "$("$NETJAILCTL" exec web -- python3 "$LIVE_DIR/control.py" try "$T/door")" refused
    # netjailctl inside the jail finds none to run it in.
    run "$NETJAILCTL" exec web -- "$NETJAILCTL" exec web -- true
    assert_equal "$status" 125
    end_jail web
    rm -r "$XDG_RUNTIME_DIR"
}

both_bad_messages() {
    jail_up web
    assert_equal "$("$NETJAILCTL" exec web -- echo fine)" fine
    FDS=$(descriptors)
    assert_equal "$(attack requests "$SOCKET")" refused
    assert_unharmed
    assert_equal "$(attack programs "$SOCKET")" refused
    assert_unharmed
    assert_equal "$(attack never-read "$SOCKET")" "done"
    assert_unharmed
    end_jail web
}

both_flood() {
    local started
    jail_up web
    assert_equal "$("$NETJAILCTL" exec web -- echo fine)" fine
    FDS=$(descriptors)
    mkfifo "$T/hold"
    attack flood "$SOCKET" 1000 < "$T/hold" > "$T/flood" &
    exec 9> "$T/hold"
    wait_for 20 grep -q held "$T/flood"
    assert_equal "$("$NETJAILCTL" exec web -- echo fine)" fine
    [ "$(descriptors)" -le $((FDS + 20)) ] || fail "the supervisor holds $(descriptors) descriptors"
    # Signals and the command's end are as quick as ever.
    started=$SECONDS
    end_jail web
    [ $((SECONDS - started)) -le 3 ] || fail "the end took $((SECONDS - started)) s"
    exec 9>&-
    wait
}

# The file is replaced: whoever listens there, it is not the supervisor.
both_impostor() {
    jail_up web
    jail_up other
    local own
    own=$(state)
    rm "$own/web.sock"
    /usr/bin/python3 "$LIVE_DIR/control.py" pose "$own/web.sock" > "$T/pose" &
    remember_process $!
    wait_for_file "$T/pose"
    assert_status 125 "$NETJAILCTL" exec web -- true
    assert_contains "$err" "belongs to another process"
    assert_lacks "$(cat "$T/pose")" "got descriptors"
    # A link to another jail's socket.
    rm "$own/web.sock"
    ln -s other.sock "$own/web.sock"
    assert_status 125 "$NETJAILCTL" exec web -- true
    assert_contains "$err" "belongs to another process"
    # A plain file, a directory.
    ln -sf /etc/passwd "$own/web.sock"
    assert_status 125 "$NETJAILCTL" exec web -- true
    rm "$own/web.sock"
    end_jail web
    end_jail other
}

# A user's supervisor hands root the host's network, or that of root's own jail, in the place of his jail's.
root_lying_supervisor() {
    local state=/run/user/$TEST_UID/netjail network
    mkdir -p "$state"
    chown -R "$TEST_UID:$TEST_UID" "/run/user/$TEST_UID"
    chmod 700 "/run/user/$TEST_UID" "$state"
    assert_status 0 "$NETJAILCTL" create named
    for network in /proc/self/ns/net /run/netns/named /run/netns/outside /proc/self/ns/uts /etc/passwd; do
        rm -f "$state"/liar.* "$T/lies"
        setpriv --reuid="$TEST_UID" --regid="$TEST_UID" --clear-groups /usr/bin/python3 "$LIVE_DIR/control.py" lie "$state/liar.sock" "$network" > "$T/lies" &
        remember_process $!
        wait_for_file "$T/lies"
        run timeout 3 "$NETJAILCTL" capture -w "$T/pcap" liar
        assert_equal "$status" 4 "capture in $network: $err"
        assert_contains "$err" "a network that is not the jail's"
        [ ! -e "$T/pcap" ] || fail "packets of $network"
        run "$NETJAILCTL" status liar
        assert_contains "$err" "a network that is not the jail's"
        stop_processes
    done
    assert_status 0 "$NETJAILCTL" delete named
}

run_tests "$@"
