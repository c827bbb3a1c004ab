#!/usr/bin/env bash
# Who the command is and what it may: uid, groups, capabilities, no_new_privs, seccomp, mounts.
. "$(dirname "$0")/lib.sh"

status_field() { awk -v f="$1:" '$1 == f {print $2}' <<< "$out"; }

both_no_capabilities_at_all() {
    assert_status 0 "$NETJAIL" -q cat /proc/self/status
    local set
    for set in CapInh CapPrm CapEff CapBnd CapAmb; do
        assert_equal "$(status_field $set)" 0000000000000000 "$set"
    done
    assert_equal "$(status_field NoNewPrivs)" 1 NoNewPrivs
    assert_equal "$(status_field Seccomp)" 2 Seccomp
}

both_uid_is_the_callers() {
    assert_status 0 "$NETJAIL" -q id -u
    assert_equal "$out" "$(id -u)"
    assert_status 0 "$NETJAIL" -q id -g
    assert_equal "$out" "$(id -g)"
}

root_user_statement() {
    assert_status 0 "$NETJAIL" --user www-data id
    assert_contains "$out" 'uid=33(www-data) gid=33(www-data)'
    assert_lacks "$out" '0(root)'
    assert_status 0 "$NETJAIL" --user www-data:daemon id -gn
    assert_equal "$out" daemon
    assert_status 125 "$NETJAIL" --user nosuchuser true
    assert_contains "$err" nosuchuser
    assert_lacks "$err" 'uid 0'
}

root_user_brings_its_groups() {
    grep -v '^staff:' /etc/group > "$T/group"
    echo 'staff:x:50:www-data' >> "$T/group"
    mount --bind "$T/group" /etc/group
    assert_status 0 "$NETJAIL" --user www-data id -G
    assert_equal "$out" '33 50'
    assert_status 0 "$NETJAIL" --user 33 id -G
    assert_equal "$out" '33 50'
    assert_status 0 "$NETJAIL" --user www-data:50 id -G
    assert_equal "$out" 50
    assert_status 0 "$NETJAIL" --user 4242:4243 id -G
    assert_equal "$out" 4243
    umount /etc/group
}

# What a file capability gives to netjail must not be for the caller to use: who the user is, says a program
# that the caller can neither trace nor talk to by its environment.
root_lookup_belongs_to_netjail() {
    command -v setcap > /dev/null || skip 'setcap is not installed'
    mkdir "$T/bin"
    cp "$NETJAIL" "$(dirname "$NETJAIL")/netjail-lookup" "$T/bin"
    mv "$T/bin/netjail-lookup" "$T/bin/real"
    printf '#!/bin/sh\n{ env; cat /proc/self/status; } > %s/seen\nexec %s/bin/real "$@"\n' "$T" "$T" > "$T/bin/netjail-lookup"
    chmod 755 "$T/bin/netjail-lookup"
    echo 'user www-data' > "$T/user.conf"
    touch "$T/seen"
    chown "$TEST_UID" "$T/seen"
    setcap cap_net_admin,cap_sys_admin,cap_setuid,cap_setgid,cap_setpcap+ep "$T/bin/netjail"
    assert_status 0 env EVIL=1 LD_PRELOAD=/nonexistent.so setpriv --reuid="$TEST_UID" --regid="$TEST_UID" --clear-groups \
        "$T/bin/netjail" -q -p "$T/user.conf" id -u
    assert_equal "$out" 33
    assert_lacks "$(cat "$T/seen")" EVIL
    assert_lacks "$(cat "$T/seen")" LD_PRELOAD
    assert_equal "$(awk '$1 == "CapPrm:" {print $2}' "$T/seen")" 00000000002011c0 'lent capabilities'
    rm "$T/bin/netjail-lookup"
    ln -s /nonexistent "$T/bin/netjail-lookup"
    assert_status 125 "$T/bin/netjail" -q -p "$T/user.conf" true
    assert_contains "$err" netjail-lookup
}

root_warning_about_uid_0() {
    assert_status 0 "$NETJAIL" true
    assert_contains "$err" user
}

root_user_statement_in_a_namespace_that_denies_groups() {
    local p
    p=$(policy daemon <<< 'user daemon')
    assert_status 125 unshare -rn "$NETJAIL" -q -p "$p" true
    assert_contains "$err" "$p:1:6: cannot set the supplementary groups"
    assert_contains "$err" 'hint: the user namespace that netjail runs in denies setgroups(2)'
}

user_user_statement_is_refused() {
    assert_status 125 "$NETJAIL" --user root true
    [ -n "$err" ] || fail "no message"
}

root_sudo_means_the_user_who_called_it() {
    SUDO_UID=33 SUDO_GID=33 SUDO_USER=www-data assert_status 0 "$NETJAIL" id -u
    assert_equal "$out" 33
}

root_capabilities_keep() {
    local file
    file=$(policy keep <<< 'capabilities keep net_bind_service')
    assert_status 0 "$NETJAIL" -q -p "$file" cat /proc/self/status
    assert_equal "$(status_field CapEff)" 0000000000000400 CapEff
    assert_equal "$(status_field CapBnd)" 0000000000000400 CapBnd
}

# A command that takes another user is out of the reach of our signals, and ends all the same.
root_a_signal_ends_a_command_that_changed_its_user() {
    local file pid
    file=$(policy keep <<< 'capabilities keep setuid')
    "$NETJAIL" -q --wait-clean -p "$file" python3 -c 'import os, time; os.setuid(33); print("up", flush=True); time.sleep(100)' > "$T/out" &
    pid=$!
    wait_for 10 grep -q up "$T/out"
    kill "$pid"
    run wait "$pid"
    assert_equal "$status" 143
}

both_network_cannot_be_changed() {
    assert_fails "$NETJAIL" -q ip link add x0 type bridge
    assert_fails "$NETJAIL" -q ip address add 10.9.9.9/24 dev lo
    assert_fails "$NETJAIL" -q bash -c 'echo 1 > /proc/sys/net/ipv4/ip_forward'
    assert_fails "$NETJAIL" -q unshare -Ur true
    assert_fails "$NETJAIL" -q unshare -n true
}

both_sys_shows_the_jail_read_only() {
    assert_status 0 "$NETJAIL" -q ls /sys/class/net
    assert_equal "$out" lo
    assert_fails "$NETJAIL" -q bash -c 'echo 9000 > /sys/class/net/lo/mtu'
}

both_socket_families() {
    assert_status 0 "$NETJAIL" -q /usr/bin/python3 -c '
import errno, socket
def make(*a):
    try: socket.socket(*a).close(); return "made"
    except OSError as e: return errno.errorcode[e.errno]
print(make(socket.AF_INET), make(socket.AF_INET6), make(socket.AF_UNIX), make(socket.AF_NETLINK, socket.SOCK_RAW, 0))
print(make(socket.AF_PACKET, socket.SOCK_RAW, 0), make(38, socket.SOCK_SEQPACKET), make(40, socket.SOCK_STREAM))
print(make(socket.AF_NETLINK, socket.SOCK_RAW, 12))'
    assert_equal "$out" $'made made made made\nEAFNOSUPPORT EAFNOSUPPORT EAFNOSUPPORT\nEPROTONOSUPPORT'
}

both_families_statement() {
    local file
    file=$(policy families <<< 'families inet')
    assert_status 0 "$NETJAIL" -q -p "$file" /usr/bin/python3 -c '
import socket
socket.socket(socket.AF_INET).close()
for f in (socket.AF_INET6, socket.AF_UNIX, socket.AF_NETLINK):
    try: socket.socket(f); print("made", f)
    except OSError as e: print(e.errno)'
    assert_equal "$out" $'97\n97\n97'
}

both_inherited_sockets_are_closed() {
    assert_status 0 /usr/bin/python3 -c '
import os, socket, subprocess, sys
s = socket.create_server(("127.0.0.1", 0))
r, w = os.pipe()
os.set_inheritable(s.fileno(), True); os.set_inheritable(r, True)
print(s.fileno(), r, flush=True)
subprocess.run([sys.argv[1], "-q", "ls", "-l", "/proc/self/fd"], close_fds=False)' "$NETJAIL"
    assert_lacks "$out" socket:
    assert_contains "$out" pipe:
}

# Those numbers are netjail's own meanwhile.
both_a_descriptor_to_keep_must_be_there() {
    local n
    for ((n = 3; n < 24; n++)); do
        run bash -c "exec $n>&-; exec \"\$0\" -q --keep-fd $n echo ran" "$NETJAIL"
        assert_equal "$status:$out" 125: "with --keep-fd $n: $err"
        assert_contains "$err" "cannot keep descriptor $n: Bad file descriptor"
    done
    assert_status 0 bash -c 'exec 5< /etc; exec "$0" -q --keep-fd 5 readlink /proc/self/fd/5' "$NETJAIL"
    assert_equal "$out" /etc
}

both_command_sees_no_host_process() {
    tail -f /dev/null &
    local pid=$!
    assert_fails "$NETJAIL" -q bash -c "kill -0 $pid; ls -d /proc/$pid"
    kill "$pid"
    wait "$pid" || :
}

both_processes_shared() {
    local file
    file=$(policy shared <<< 'processes shared')
    assert_status 0 "$NETJAIL" -q -p "$file" readlink /proc/self/ns/pid
    assert_equal "$out" "$(readlink /proc/self/ns/pid)"
    assert_status 0 "$NETJAIL" -q readlink /proc/self/ns/pid
    [ "$out" != "$(readlink /proc/self/ns/pid)" ] || fail "the pid namespace is not the jail's own"
}

root_setuid_installation_is_refused() {
    cp "$(dirname "$NETJAIL")"/netjail* "$T/"
    chmod 4755 "$T/netjail"
    run setpriv --reuid="$TEST_UID" --regid="$TEST_UID" --clear-groups "$T/netjail" id
    assert_equal "$status" 125
    assert_lacks "$out" uid=
}

run_tests "$@"
