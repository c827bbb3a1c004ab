#!/bin/bash
# netjailctl create and delete: named jails in /run/netns that outlast any command.
# shellcheck disable=SC2154 # out, err and status are set by run
. "$(dirname "$0")/lib.sh"

named_policy() {
    policy named << 'END'
network nb { address 10.99.0.1/24; address fd00:99:1::1/64; nat }
link eth0 bridge nb { address 10.99.0.5/24; address fd00:99:1::5/64 }
allow out tcp to { 192.0.2.100, 2001:db8:1::100 } port 7000
END
}

create() { # the directory that ip-netns(8) leaves is no work of ours to remove
    assert_status 0 "$NETJAILCTL" create "$@"
}

root_seen_and_used_by_others() {
    create web -p "$(named_policy)"
    assert_contains "$(ip netns list)" web
    assert_contains "$(ip netns exec web ip -br address show eth0)" "10.99.0.5/24"
    assert_equal "$("$NETJAILCTL" list --json | jq -r '.[0].name')" web
    serve_outside tcp 192.0.2.100 7000 tcp 2001:db8:1::100 7000 tcp 192.0.2.100 7001
    # The rules hold for whoever is in there, both families.
    assert_connect ok ip netns exec web -- tcp 192.0.2.100 7000
    assert_connect ok ip netns exec web -- tcp 2001:db8:1::100 7000
    assert_connect refused ip netns exec web -- tcp 192.0.2.100 7001
    assert_contains "$("$NETJAILCTL" exec web -- "$NET" try tcp 192.0.2.100 7000)" ok
    assert_contains "$("$NETJAILCTL" exec web -- "$NET" try tcp 192.0.2.100 7001)" refused
    # As NetworkNamespacePath= does it: a process that enters by the path.
    assert_contains "$(nsenter --net=/run/netns/web "$NET" try tcp 192.0.2.100 7000)" ok
    assert_status 0 "$NETJAILCTL" delete web
    [ ! -e /run/netns/web ] || fail "the name stays"
    assert_status 1 "$NETJAILCTL" delete web
    assert_contains "$err" "no jail 'web' is running"
}

# The background process holds nothing of the caller's, outlives it, and is in a session of its own.
root_in_the_background() {
    local supervisor
    run timeout 10 bash -c "'$NETJAILCTL' create web -p '$(named_policy)' | cat"
    assert_equal "$status" 0 "$err"
    supervisor=$("$NETJAILCTL" list --json | jq '.[0].pid')
    assert_equal "$(ps -o sid= "$supervisor" | tr -d ' ')" "$supervisor"
    assert_equal "$(readlink "/proc/$supervisor/cwd")" /
    assert_equal "$(for fd in 0 1 2; do readlink "/proc/$supervisor/fd/$fd"; done | sort -u)" /dev/null
    # CAP_NET_ADMIN to renew and undo, and CAP_KILL for init; no right to mount.
    assert_equal "$(grep CapEff "/proc/$supervisor/status" | tr -d '\t')" "CapEff:0000000000001000"
    assert_status 0 "$NETJAILCTL" delete web
}

# Ctrl-C, and timeout(1), which sends two: all or nothing, and the status says which.
root_stopped_while_it_is_made() {
    local file delay stopped=0
    file=$(named_policy)
    for delay in 0.00{2..9} 0.01{0..9} 0.02 0.03 0.04; do
        run timeout --preserve-status -s INT "$delay" env --default-signal=INT "$NETJAILCTL" create web -p "$file"
        if [ "$status" = 0 ]; then
            assert_status 0 "$NETJAILCTL" delete web
        else
            assert_equal "$status" 130 "$err"
            assert_equal "$("$NETJAILCTL" list --json)" '[]'
            [ ! -e /run/netns/web ] || fail "the name stays, after $delay s"
            stopped=$((stopped + 1))
        fi
    done
    [ "$stopped" -ge 3 ] || fail "only $stopped were stopped"
}

root_after_sigkill() {
    create web -p "$(named_policy)"
    kill -KILL "$("$NETJAILCTL" list --json | jq '.[0].pid')"
    wait_for 5 eval '[ "$("$NETJAILCTL" list --json)" = "[]" ]'
    [ -e /run/netns/web ] || fail "this test expects the name to be left by SIGKILL"
    assert_status 0 "$NETJAILCTL" delete web
    [ ! -e /run/netns/web ] || fail "the name stays"
    # The same by gc, and by the next start of any jail.
    create web -p "$(named_policy)"
    kill -KILL "$("$NETJAILCTL" list --json | jq '.[0].pid')"
    wait_for 5 eval '[ "$("$NETJAILCTL" list --json)" = "[]" ]'
    assert_status 0 "$NETJAILCTL" gc
    assert_contains "$out" "removed what 1 dead jail left"
    [ ! -e /run/netns/web ] || fail "the name stays"
    create web -p "$(named_policy)"
    assert_status 0 "$NETJAILCTL" delete web
}

# In a container whose pid 1 is no init nobody fetches the status of a supervisor that has ended.
root_pid_1_is_no_init() {
    local container one
    unshare --pid --fork --mount-proc --kill-child sleep infinity &
    container=$!
    wait_for 5 eval 'one=$(pgrep -P "$container" -x sleep)'
    assert_status 0 nsenter -t "$one" -p -m "$NETJAILCTL" create web -p "$(named_policy)"
    assert_status 0 nsenter -t "$one" -p -m "$NETJAILCTL" delete web
    assert_status 1 nsenter -t "$one" -p -m "$NETJAILCTL" delete web
    kill -KILL "$one"
    wait "$container" || true
}

root_name_is_taken() {
    ip netns add web
    assert_status 4 "$NETJAILCTL" create web -p "$(named_policy)"
    assert_contains "$err" "/run/netns/web exists already"
    assert_host_clean_but web
    # Somebody else's namespace is not removed.
    assert_status 1 "$NETJAILCTL" delete web
    ip netns exec web true || fail "delete has removed a namespace that is not a jail's"
    ip netns delete web
    # Replaced behind our back: what is there now stays.
    create web -p "$(named_policy)"
    ip netns delete web
    ip netns add web
    assert_status 0 "$NETJAILCTL" delete web
    ip netns exec web true || fail "delete has removed a namespace that is not the jail's"
    ip netns delete web
}

assert_host_clean_but() {
    [ -z "$(ls /run/netjail 2> /dev/null)" ] || fail "a lease stays"
    ip netns exec "$1" true
}

# A policy that cannot be had: no name, nothing left, the policy's line in the message.
root_fails_closed() {
    assert_status 3 "$NETJAILCTL" create web -p "$(printf 'allow out tpc\n' | policy bad)"
    assert_contains "$err" "did you mean 'tcp'"
    printf 'name other\n' | policy other > /dev/null
    assert_status 4 "$NETJAILCTL" create web -p "$T/other.conf"
    assert_contains "$err" "the policy is for a jail named 'other'"
    ip link add taken0 type veth peer name taken1
    printf 'link eth0 veth host { address 10.9.9.2/24; peer-name taken0; peer-address 10.9.9.1/24 }\n' | policy taken > /dev/null
    run "$NETJAILCTL" create web -p "$T/taken.conf"
    [ "$status" -ne 0 ] || fail "it was created"
    [ ! -e /run/netns/web ] || fail "a name is left"
    ip link delete taken0
    assert_status 4 "$NETJAILCTL" create web -p /nonexistent
    assert_status 3 "$NETJAILCTL" create 'a/b' -p "$(named_policy)"
    assert_status 3 "$NETJAILCTL" create ../up -p "$(named_policy)"
    assert_status 3 "$NETJAILCTL" create 'up"; default out allow; lo { address 10.1.1.1/32 } #'
    assert_contains "$err" "this is more than one statement"
}

root_two_of_them_and_a_plain_one() {
    create one
    create two
    assert_status 4 "$NETJAILCTL" create one
    start_jail plain -q --name plain sh -c 'echo up; exec sleep 1000'
    wait_for_file "$T/jail-plain.out"
    assert_status 1 "$NETJAILCTL" delete plain
    assert_contains "$err" "no named jail"
    [ "$(ip netns exec one readlink /proc/self/ns/net)" != "$(ip netns exec two readlink /proc/self/ns/net)" ]
    assert_status 0 "$NETJAILCTL" delete one
    ip netns exec two true
    assert_status 0 "$NETJAILCTL" delete two
    end_jail plain
}

# exec'd programs end with the jail.
root_programs_end_with_it() {
    local client status=0
    create web
    "$NETJAILCTL" exec web -- sh -c "echo up > $T/started; exec sleep 1000" 2> /dev/null &
    client=$!
    wait_for_file "$T/started"
    assert_status 0 "$NETJAILCTL" delete web
    wait $client || status=$?
    assert_equal "$status" 137
}

# In the foreground for service managers: READY=1 when it is there, its end at SIGTERM.
root_foreground() {
    local server=$T/notify
    /usr/bin/python3 -c '
import socket, sys
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
s.bind(sys.argv[1])
print("bound", flush=True)
print(s.recv(100).decode(), flush=True)' "$server" > "$T/notified" &
    remember_process $!
    wait_for_file "$T/notified"
    NOTIFY_SOCKET=$server "$NETJAILCTL" create --foreground web -p "$(named_policy)" 2> "$T/err" &
    local pid=$! status=0
    wait_for 10 grep -q READY=1 "$T/notified"
    ip netns exec web true
    kill -TERM $pid
    wait $pid || status=$?
    assert_equal "$status" 0
    assert_status 0 "$NETJAILCTL" delete web # ExecStopPost=
    [ ! -e /run/netns/web ]
}

# /etc/netns/NAME as in ip-netns(8), for what runs in the jail.
root_etc_netns() {
    mount -t tmpfs tmpfs /mnt
    mkdir -p /mnt/upper /mnt/work
    mount -t overlay overlay -o lowerdir=/etc,upperdir=/mnt/upper,workdir=/mnt/work /etc 2> /dev/null ||
        skip "no overlay file system to change /etc in"
    mkdir -p /etc/netns/web
    echo "nameserver 192.0.2.53" > /etc/netns/web/resolv.conf
    [ -e /etc/resolv.conf ] || touch /etc/resolv.conf
    create web
    assert_equal "$("$NETJAILCTL" exec web -- cat /etc/resolv.conf)" "nameserver 192.0.2.53"
    assert_lacks "$(cat /etc/resolv.conf)" 192.0.2.53
    assert_status 0 "$NETJAILCTL" delete web
    # Other jails do not see it.
    assert_lacks "$("$NETJAIL" -q --name web cat /etc/resolv.conf)" 192.0.2.53
    # What cannot be put in its place is an error, not a jail without it.
    echo x > /etc/netns/web/no-such-file-in-etc
    run "$NETJAILCTL" create web
    [ "$status" -ne 0 ] || fail "created without a file of /etc/netns"
    assert_contains "$err" "must exist to be replaced"
    umount -l /etc
    umount /mnt
}

user_is_refused() {
    assert_status 4 "$NETJAILCTL" create web
    assert_contains "$err" "needs root"
    assert_status 4 "$NETJAILCTL" delete web
}

# An ordinary user's own jail of the same name is somebody else's: it stays, and delays nothing.
root_a_users_jail_of_that_name() {
    local user=(setpriv --reuid="$TEST_UID" --regid="$TEST_UID" --clear-groups env "XDG_RUNTIME_DIR=/run/user/$TEST_UID")
    mkdir -p "/run/user/$TEST_UID"
    chown "$TEST_UID:$TEST_UID" "/run/user/$TEST_UID"
    create web
    "${user[@]}" "$NETJAIL" -q --name web -- bash -c 'echo up; exec tail -f /dev/null' > "$T/users" &
    remember_process $!
    wait_for_file "$T/users"
    assert_status 0 "$NETJAILCTL" delete web
    [ ! -e /run/netns/web ] || fail "the name stays"
    assert_status 1 "$NETJAILCTL" delete web
    assert_contains "$err" "no named jail 'web' is running"
    assert_contains "$("$NETJAILCTL" exec web -- id -u)" "$TEST_UID"
    # The same for what is left by SIGKILL.
    create web
    kill -KILL "$("$NETJAILCTL" list --json | jq '.[] | select(.named) | .pid')"
    wait_for 5 eval '"$NETJAILCTL" list --json | jq -e "all(.named | not)"'
    assert_status 0 "$NETJAILCTL" delete web
    [ ! -e /run/netns/web ] || fail "the name stays"
    stop_processes
}

# Made and deleted at the same time: nobody is told what is not so, and in the end there is nothing.
root_create_and_delete_race() {
    local i
    for i in $(seq 12); do "$NETJAILCTL" create web -p "$(named_policy)" || :; done > "$T/creates" 2>&1 &
    remember_process $!
    for i in $(seq 12); do "$NETJAILCTL" delete web || :; done > "$T/deletes" 2>&1
    wait $!
    assert_lacks "$(cat "$T/deletes")" "lasts as long as its command"
    run "$NETJAILCTL" delete web
    [ ! -e /run/netns/web ] || fail "the name stays: $(cat "$T/creates" "$T/deletes")"
}

run_tests "$@"
