#!/usr/bin/env bash
# The contracts of a unit of systemd: notifications, socket activation, watchdog, stop and reload. manager.py stands in
# for systemd: it believes a datagram by the sender's pid and takes it apart as systemd does.
. "$(dirname "$0")/lib.sh"
export TEST_TIMEOUT=120

NOTIFIER=$LIVE_DIR/notifier.py

# unit [MANAGER-OPTION...] -- [NETJAIL-OPTION...] -- NOTIFIER-STEP...: what the manager saw, in $out.
unit() {
    local options=() arguments=()
    while [ "$1" != -- ]; do
        options+=("$1")
        shift
    done
    shift
    while [ "$1" != -- ]; do
        arguments+=("$1")
        shift
    done
    shift
    run "$LIVE_DIR/manager.py" "${options[@]}" -- "$NETJAIL" "${arguments[@]}" "$NOTIFIER" "$@"
    [ "$status" -eq 0 ] || fail "manager.py: $out $err"
}

assert_seen() { # assert_seen LINE...: in this order the manager saw just these (lines of the command left out)
    local expected
    expected=$(printf '%s\n' "$@")
    assert_equal "$(grep -vE '^(activation|watchdog) |^(no )?barrier$' <<< "$out")" "$expected" "what the manager saw ($err)"
}

# The manager itself can refuse: without netjail a child's datagram is not the main process's.
both_the_manager_judges_by_pid() {
    run "$LIVE_DIR/manager.py" -- bash -c '"$1" send READY=1; exit 3' - "$NOTIFIER"
    assert_contains "$out" 'other '
    assert_lacks "$out" 'main '
    run "$LIVE_DIR/manager.py" -- "$NOTIFIER" send READY=1 exit 3
    assert_equal "$out" $'main READY=1\nexit 3'
}

both_ready_status_and_the_rest() {
    unit -- -q -- send 'READY=1\nSTATUS=serving' send 'RELOADING=1\nMONOTONIC_USEC=5' send EXTEND_TIMEOUT_USEC=9 \
        send 'ERRNO=2\nX_OWN=word' send WATCHDOG=trigger send WATCHDOG_USEC=7 send STOPPING=1 exit 4
    assert_seen 'main READY=1 STATUS=serving' 'main RELOADING=1 MONOTONIC_USEC=5' 'main EXTEND_TIMEOUT_USEC=9' \
        'main ERRNO=2 X_OWN=word' 'main WATCHDOG=trigger' 'main WATCHDOG_USEC=7' 'main STOPPING=1' 'exit 4'
}

both_abstract_manager_and_no_masks() {
    local options
    for options in '' --abstract; do
        # shellcheck disable=SC2086 # none or one
        unit $options -- -q -e 'unix-sockets host' -- send READY=1 exit 0
        assert_seen 'main READY=1' 'exit 0'
        # shellcheck disable=SC2086
        unit $options -- -q -- send READY=1 exit 0
        assert_seen 'main READY=1' 'exit 0'
        # shellcheck disable=SC2086
        unit $options -- -q -e 'processes shared' -- send READY=1 exit 0
        assert_seen 'main READY=1' 'exit 0'
    done
}

root_command_of_another_user() {
    unit -- -q --user "$TEST_UID:$TEST_UID" -- send READY=1 exit 0
    assert_seen 'main READY=1' 'exit 0'
    unit -- -q --user "$TEST_UID:$TEST_UID" -e 'unix-sockets host' -- send READY=1 exit 0
    assert_seen 'main READY=1' 'exit 0'
}

both_the_real_systemd_notify() {
    command -v systemd-notify > /dev/null || skip 'systemd-notify is not installed'
    run "$LIVE_DIR/manager.py" -- "$NETJAIL" -q systemd-notify --ready --status=waiting
    assert_equal "$out" $'main READY=1 STATUS=waiting\nbarrier\nexit 0' "$err"
}

both_pids_of_the_jail_do_not_pass() {
    unit -- -q -- send 'READY=1\nMAINPID=1' send MAINPID=1 send 'STATUS=a\rMAINPID=4\nMAINPIDFDID=7\nMAINPIDFD=1' \
        send 'NOTIFYACCESS=all\nSTATUS=b' exit 0
    assert_seen 'main READY=1' 'main STATUS=a' 'main STATUS=b' 'exit 0'
}

# With NotifyAccess=all systemd would believe the command itself; it gets no way to the manager but netjail's.
both_nobody_passes_netjail_by() {
    unit -- -q -- past 'READY=1\nMAINPID=1' "$T/manager-*" send STATUS=a exit 0
    assert_equal "$out" $'Connection refused\nmain STATUS=a\nexit 0'
    unit -- -q -e 'unix-sockets host' -- past MAINPID=1 "$T/manager-*" exit 0
    assert_contains "$out" "b'MAINPID=1'"
}

both_what_systemd_ignores() {
    unit -- -q -- send '' big 4096 big 4097 big 60000 send 'STATUS=a\0MAINPID=5' send 'STATUS=b\0' exit 0
    assert_seen 'main STATUS=xxxxxxxxxxxxx...4096' 'main STATUS=b' 'exit 0'
}

both_descriptors_are_stored() {
    unit -- -q -- fds pipe,memfd 'FDSTORE=1\nFDNAME=state\nMAINPID=3' fds memfd 'STATUS=just so' \
        send 'FDSTOREREMOVE=1\nFDNAME=state' exit 0
    assert_seen 'main FDSTORE=1 FDNAME=state' 'store state fifo' 'store state reg' 'main STATUS=just so' \
        'main FDSTOREREMOVE=1 FDNAME=state' 'unstore state' 'exit 0'
}

both_barrier() {
    unit -- -q -- send STATUS=1 barrier send STATUS=2 barrier exit 0
    assert_equal "$(grep -c '^barrier$' <<< "$out")" 4 "barriers of both sides in: $out"
    # From somebody who is no pipe, or with a line beside it, it is none to systemd either.
    unit -- -q -- fds memfd BARRIER=1 send BARRIER=1 fds pipe 'BARRIER=1\nSTATUS=x' exit 0
    assert_lacks "$out" $'\nbarrier'
}

# Nothing that holds the jail, or comes from its network, leaves it.
both_descriptors_of_the_jail_stay() {
    local kind
    for kind in inet unix netns dir file epoll pidfd pipe,inet memfd,dir; do
        unit -- -- fds $kind 'FDSTORE=1\nFDNAME=out\nSTATUS=kept' exit 0
        assert_seen 'main STATUS=kept' 'exit 0'
        assert_contains "$err" 'only pipes, memory files and sockets from outside'
    done
}

both_socket_activation() {
    unit --socket "127.0.0.1:800$((RANDOM % 10))=web" --socket '[::1]:8011=web6' --give store -- -q -- activation \
        fds 3 'FDSTORE=1\nFDNAME=back' fds 4,5 'FDSTORE=1\nFDNAME=more' exit 0
    assert_contains "$out" 'activation 3 web:web6:store True'
    assert_seen 'main FDSTORE=1 FDNAME=back' 'store back sock' 'main FDSTORE=1 FDNAME=more' 'store more sock' \
        'store more fifo' 'exit 0'
}

both_activated_server_answers() {
    "$LIVE_DIR/manager.py" --socket 127.0.0.1:8012=web --on READY=1=stop -- "$NETJAIL" -q /usr/bin/python3 -c '
import os, socket, threading
listener = socket.socket(fileno=3)
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
try:
    socket.create_connection(("127.0.0.1", 8012), 1)
    print("the jail reaches the host", flush=True)
except OSError:
    print("closed", flush=True)
import signal
client = listener.accept()[0] # of this test, from the host
client.send(b"hello")
client.close()
s.sendto(b"READY=1", os.environ["NOTIFY_SOCKET"])
signal.pause()' > "$T/seen" 2>&1 &
    local manager=$!
    remember_process "$manager"
    wait_for 10 listens tcp 8012
    assert_equal "$(nc -w 5 127.0.0.1 8012 < /dev/null)" hello
    wait "$manager" || :
    out=$(cat "$T/seen")
    assert_contains "$out" closed
    assert_contains "$out" 'main READY=1'
    assert_contains "$out" 'killed 15'
}

both_watchdog_is_the_commands() {
    unit --watchdog 30000000 -- -q -- watchdog exit 0
    assert_contains "$out" 'watchdog 30000000 True'
    assert_seen 'main WATCHDOG=1' 'exit 0'
}

both_reload_and_stop() {
    unit --on READY=1=reload --on STATUS=again=stop -- -q -- send READY=1 on-hup RELOADING=1 send STATUS=again until-term
    assert_seen 'main READY=1' 'main RELOADING=1' 'main STATUS=again' 'main STOPPING=1' 'exit 0'
}

# KillMode=mixed: SIGTERM to the main process alone, then SIGKILL to what is left of the group.
both_kill_mixed_gets_everything() {
    run "$LIVE_DIR/manager.py" --on READY=1=kill-mixed -- "$NETJAIL" -q bash -c '
        (trap "" TERM; exec tail -f /dev/null) &
        setsid tail -f /dev/null &
        exec "$1" send READY=1 until-term' - "$NOTIFIER"
    assert_equal "$out" $'main READY=1\nmain STOPPING=1\nexit 0' "$err"
    wait_for 5 eval '! pgrep -x tail'
}

# Last words are delivered, a flood is not lost and does not lose them.
both_flood_and_last_words() {
    unit -- -q -- flood 20000 send 'STATUS=the last' send STOPPING=1 exit 6
    assert_equal "$(tail -n3 <<< "$out")" $'main STATUS=the last\nmain STOPPING=1\nexit 6'
}

# A manager that hangs holds the command's notifications, but neither its end nor its signals.
both_deaf_manager_does_not_hold_netjail() {
    unit --deaf -- -q -- flood 100 exit 5
    assert_contains "$out" 'exit 5'
}

both_descriptors_that_do_not_close() {
    unit --seconds 12 -- -q -- fds linger,linger 'FDSTORE=1\nSTATUS=first' fds linger STATUS=second send READY=1 exit 8
    assert_contains "$out" 'main READY=1'
    assert_contains "$out" 'exit 8'
}

# Descriptors in flight are the sender's to pay for; netjail's own table does not fill.
both_flood_of_descriptors() {
    local many
    many=$(printf 'pipe,%.0s' $(seq 200))memfd
    unit -- -q -- fds "$many" STATUS=1 fds "$many" STATUS=2 fds "$many" STATUS=3 fds "$many" STATUS=4 fds "$many" STATUS=5 \
        fds "$many" STATUS=6 send READY=1 exit 0
    assert_contains "$out" 'main READY=1'
    assert_lacks "$out" store
}

both_without_unix_sockets_it_says_so() {
    local statement
    for statement in 'unix-sockets none' 'families inet'; do
        run "$LIVE_DIR/manager.py" -- "$NETJAIL" -e "$statement" env
        assert_contains "$err" 'cannot notify its service manager'
        assert_lacks "$out" NOTIFY_SOCKET
    done
    assert_status 0 env NOTIFY_SOCKET="$T/nobody" "$NETJAIL" env
    assert_contains "$err" 'cannot notify its service manager'
    assert_lacks "$out" NOTIFY_SOCKET
    assert_status 0 env NOTIFY_SOCKET=vsock:2:1 "$NETJAIL" env
    assert_contains "$err" 'cannot notify its service manager'
    assert_status 0 env NOTIFY_SOCKET="/$(printf 'x%.0s' $(seq 200))" "$NETJAIL" -q env
    assert_lacks "$out" NOTIFY_SOCKET
}

both_the_hosts_socket_is_not_in_the_jail() {
    run "$LIVE_DIR/manager.py" --abstract -- "$NETJAIL" -q /usr/bin/python3 -c '
import os, socket, sys
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
for pid in range(1, 400):
    try:
        s.sendto(b"READY=1", f"\0manager-{pid}")
        print("through", pid)
    except OSError:
        pass'
    assert_equal "$out" 'exit 0' "$err"
}

run_tests "$@"
