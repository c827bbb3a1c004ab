#!/usr/bin/env bash
# Hostile commands, callers and bystanders: ways out of the jail, ways to outlive it, ways to be believed.
. "$(dirname "$0")/lib.sh"

command -v "${CC:-cc}" > /dev/null || {
    printf 'a C compiler is not installed\n'
    exit 77
}

make_attack() {
    "${CC:-cc}" -O1 -static -o "$T/attack" "$LIVE_DIR/attack.c" 2> /dev/null ||
        "${CC:-cc}" -O1 -o "$T/attack" "$LIVE_DIR/attack.c"
    chmod 755 "$T/attack"
}

assert_withstands() { # assert_withstands NETJAIL-ARGS... -- ATTACK-ARGS...
    local options=()
    while [ "$1" != -- ]; do
        options+=("$1")
        shift
    done
    shift
    run "$NETJAIL" -q "${options[@]}" "$T/attack" "$@" < /dev/null
    [ "$status" -eq 0 ] || fail "status $status: $out $err"
    assert_contains "$out" ', 0 through'
}

# ---- from inside ------------------------------------------------------------------------------

both_ways_out() {
    make_attack
    if [ "$(id -u)" != 0 ]; then # root's would succeed
        run "$T/attack" < /dev/null
        assert_equal "$status" 3 "the attacks outside of a jail: $out"
    fi
    assert_withstands --
}

root_ways_out_as_another_user() {
    make_attack
    assert_withstands --user "$TEST_UID:$TEST_UID" --
}

# The command is in its caller's process group; priorities of a group are set in all process namespaces.
both_priority_of_the_callers_group() {
    local before
    cat > "$T/slow.py" << 'PY'
import ctypes, os
for action in (lambda: os.setpriority(os.PRIO_PGRP, 0, 7), lambda: os.setpriority(os.PRIO_USER, os.getuid(), 8),
               lambda: ctypes.CDLL(None).syscall(251, 2, 0, 3 << 13)):
    try:
        action()
    except OSError:
        pass
os.setpriority(os.PRIO_PROCESS, 0, 9)
print(os.getpriority(os.PRIO_PROCESS, 0))
PY
    tail -f /dev/null < /dev/null > /dev/null 2>&1 &
    remember_process $!
    before=$(ps -o pgid=,ni= -p $! && ionice -p $!)
    assert_status 0 "$NETJAIL" -q /usr/bin/python3 "$T/slow.py"
    assert_equal "$out" 9
    assert_equal "$(ps -o pgid=,ni= -p $! && ionice -p $!)" "$before" "priority of a process outside"
}

# In a namespace of control groups the command could mount them anew, writable, and write to cgroup.kill of its own group,
# in which netjail is, too, and whoever else was there.
both_namespaces_without_one_of_control_groups() {
    assert_status 0 "$NETJAIL" -q -e 'namespaces allow' unshare --user --mount true
    assert_fails "$NETJAIL" -q -e 'namespaces allow' unshare --user --cgroup true
    assert_fails "$NETJAIL" -q -e 'namespaces allow' unshare --user --map-root-user --mount mount -t cgroup2 cgroup2 /mnt
}

both_processes_outside_are_out_of_reach() {
    make_attack
    tail -f /dev/null < /dev/null > /dev/null 2>&1 &
    local victim=$!
    remember_process "$victim"
    assert_withstands -e 'processes shared' -- outside "$victim"
    kill -0 "$victim" || fail "the process outside is gone"
}

both_a_peers_process_is_out_of_reach() {
    local option
    make_attack
    python3 -c 'import socket; s = socket.socket(socket.AF_UNIX); s.bind("peer.sock"); s.listen()
while True: kept = s.accept()' < /dev/null > /dev/null 2>&1 &
    local victim=$!
    remember_process "$victim"
    wait_for 10 test -S peer.sock
    for option in 'processes private' 'processes shared'; do
        assert_withstands -e "$option" -- peer "$T/peer.sock"
        kill -0 "$victim" || fail "the process outside is gone"
    done
    run "$T/attack" peer "$T/peer.sock"
    assert_contains "$out" THROUGH # without a jail
}

both_inherited_descriptors() {
    make_attack
    cat > "$T/inherit.py" <<'PY'
import ctypes, os, socket, sys
libc = ctypes.CDLL(None)
first, second = socket.socketpair()
fds = [os.open(p, os.O_RDONLY) for p in ("/", "/proc", "/proc/self/ns/net", "/proc/self/ns/mnt", "/proc/sys/kernel/hostname")]
fds += [os.open("/", os.O_PATH), os.open("/proc/self/mem", os.O_RDWR), os.pidfd_open(os.getpid())]
fds += [s.detach() for s in (socket.socket(), socket.socket(socket.AF_INET, socket.SOCK_DGRAM), first,
                             socket.socket(socket.AF_NETLINK, socket.SOCK_RAW))]
fds += [os.eventfd(0), os.openpty()[0], libc.epoll_create1(0), libc.timerfd_create(1, 0), libc.inotify_init1(0),
        libc.syscall(425, 4, (ctypes.c_ubyte * 120)()), libc.signalfd(-1, (ctypes.c_ubyte * 128)(), 0), libc.fanotify_init(0, 0),
        libc.syscall(444, (ctypes.c_uint64 * 1)(1), 8, 0)]
if os.path.exists("/proc/sys/fs/binfmt_misc/status"):
    fds.append(os.open("/proc/sys/fs/binfmt_misc/status", os.O_RDONLY))
for i, fd in enumerate(fds):
    if fd >= 0:
        os.dup2(fd, 3000 + i, inheritable=True)
        os.dup2(fd, 400 + i, inheritable=True)
os.dup2(os.open("/etc/passwd", os.O_RDONLY), 3900, inheritable=True)
os.execv(sys.argv[1], sys.argv[1:])
PY
    ulimit -n 4096
    run /usr/bin/python3 "$T/inherit.py" "$T/attack" fds
    assert_equal "$status" 3 "without netjail the descriptors come through"
    run /usr/bin/python3 "$T/inherit.py" "$NETJAIL" -q "$T/attack" fds
    assert_equal "$status" 0 "descriptors: $out $err"
    assert_status 0 /usr/bin/python3 "$T/inherit.py" "$NETJAIL" -q test -e /proc/self/fd/3900
}

# A directory at 0, 1 or 2 leads around the mounts as well as one at 3.
both_directories_as_standard_streams() {
    local look='readlink /proc/self/fd/0'
    assert_equal "$("$NETJAIL" -q sh -c "$look" < /run)" /dev/null
    # shellcheck disable=SC2016 # $0 is for the inner shell
    assert_status 0 bash -c '"$0" -q sh -c "test -c /proc/self/fd/2" 2< /run' "$NETJAIL"
    assert_equal "$(echo text | "$NETJAIL" -q cat)" text
    start_jail web -q --name web sh -c 'echo up; exec tail -f /dev/null'
    wait_for_file "$T/jail-web.out"
    assert_equal "$("$NETJAILCTL" exec web -- sh -c "$look" < /run)" /dev/null
    end_jail web
}

# The records of jails are nobody's business in there, however the sockets of /run are treated.
both_records_of_jails_are_hidden() {
    local sockets state=/run/netjail
    [ "$(id -u)" = 0 ] || state=$XDG_RUNTIME_DIR/netjail
    start_jail web -q --name web -e 'default in deny' -- sh -c 'echo up; exec tail -f /dev/null'
    wait_for_file "$T/jail-web.out"
    [ "$(id -u)" != 0 ] || ip netns add vpn
    for sockets in masked none host; do
        "$NETJAIL" -q -e "unix-sockets $sockets" sh -c 'rm -f "$1"/*; echo x > "$1/y.lease"; rm -f /run/netns/*' sh "$state" 2> /dev/null || :
        assert_equal "$(cd "$state" && echo *)" 'web.lease web.sock' "with unix-sockets $sockets"
        [ "$(id -u)" != 0 ] || [ -e /run/netns/vpn ] || fail "a jail removed /run/netns/vpn with unix-sockets $sockets"
    done
    [ "$(id -u)" != 0 ] || ip netns delete vpn
    end_jail web
}

# What is neither read from nor written to is a handle on the host, also at 0, 1 or 2.
both_kernel_objects_as_standard_streams() {
    cat > "$T/standard.py" <<'PY'
import ctypes, os, socket, sys
libc = ctypes.CDLL(None)
def sock(*args): return lambda: socket.socket(*args).detach()
def path(name, flags): return lambda: os.open(name, flags)
socket.socket(socket.AF_UNIX).bind("path.sock")
kinds = {"namespace": path("/proc/self/ns/net", os.O_RDONLY), "pidfd": lambda: os.pidfd_open(os.getpid()), "memory": path("/proc/self/mem", os.O_RDWR),
         "O_PATH of a socket": path("path.sock", os.O_PATH), "packets": sock(socket.AF_PACKET, socket.SOCK_RAW, 0), "vsock": sock(40, socket.SOCK_STREAM),
         "raw": sock(socket.AF_INET, socket.SOCK_RAW, 255), "netlink": sock(socket.AF_NETLINK, socket.SOCK_RAW, 12), "master": lambda: os.openpty()[0],
         "tun": path("/dev/net/tun", os.O_RDWR), "macvtap": path("tap", os.O_RDWR), "epoll": lambda: libc.epoll_create1(0), "eventfd": lambda: libc.eventfd(0, 0),
         "io_uring": lambda: libc.syscall(425, 4, (ctypes.c_ubyte * 120)()), "sysctl": path("/proc/sys/net/ipv4/ip_forward", os.O_RDWR)}
plain = {"file": path("/etc/passwd", os.O_RDONLY), "pipe": lambda: os.pipe()[0], "proc file": path("/proc/self/status", os.O_RDONLY),
         "TCP": sock(socket.AF_INET), "UNIX": sock(socket.AF_UNIX), "terminal": lambda: os.openpty()[1], "memfd": lambda: os.memfd_create("x", 0)}
look = 'for i in 0 2; do readlink /proc/self/fd/$i || echo gone; done'
tried = 0
for name, make in list(kinds.items()) + list(plain.items()):
    try:
        fd = make()
    except OSError as problem:
        assert name not in plain and (os.getuid() or name in ("vsock", "tun", "macvtap")), (name, problem)
        continue
    if fd < 0:
        continue
    for way in (sys.argv[1:], [sys.argv[1] + "ctl", "exec", "web", "--"]):
        if way[1] == "exec" and os.isatty(fd):
            continue  # netjailctl makes a terminal of its own then
        reading, writing = os.pipe()
        pid = os.fork()
        if pid == 0:
            os.dup2(writing, 1)
            os.dup2(fd, 0)
            os.dup2(fd, 2)
            os.execv(way[0], way + ["sh", "-c", look])
        os.close(writing)
        with open(reading) as answer:
            said = answer.read().split("\n")[:-1]
        status = os.waitpid(pid, 0)[1]
        if way[1] == "exec" and name == "io_uring" and status == 125 << 8:
            continue  # the kernel hands none over
        assert status == 0 and len(said) == 2, (name, way, status, said)
        assert (said == ["/dev/null"] * 2) == (name in kinds), (name, way, said)
        tried += 1
    os.close(fd)
print(tried)
PY
    if [ "$(id -u)" = 0 ] && ip link add link up0 name tap0 type macvtap 2> /dev/null; then
        ip link set tap0 up
        tr : ' ' < "$(echo /sys/class/net/tap0/macvtap/tap*/dev)" | xargs mknod tap c
    fi
    start_jail web -q --name web sh -c 'echo up; exec tail -f /dev/null'
    wait_for_file "$T/jail-web.out"
    assert_status 0 /usr/bin/python3 "$T/standard.py" "$NETJAIL" -q
    [ "$out" -ge 30 ] || fail "only $out were tried"
    end_jail web
    [ ! -e tap ] || ip link delete tap0
}

no_process_left() { ! pgrep -x tail > /dev/null && ! pgrep netjail > /dev/null && ! pgrep -x netjail-service > /dev/null; }

both_daemons_end_with_the_command() {
    local options
    for options in '' 'processes shared'; do
        assert_status 4 "$NETJAIL" -q ${options:+-e "$options"} bash -c \
            '(setsid bash -c "setsid tail -f /dev/null & tail -f /dev/null" &); setsid -f tail -f /dev/null; exit 4' \
            < /dev/null
        wait_for 5 no_process_left
    done
}

# As another user neither signals nor the parent-death signal reach init without CAP_KILL.
root_command_of_another_user_ends_with_netjail() {
    local init
    start_jail one -q --user "$TEST_UID:$TEST_UID" -- bash -c 'setsid -f tail -f /dev/null; echo up; exec tail -f /dev/null'
    wait_for_file "$T/jail-one.out"
    init=$(jail_command_pid one)
    kill -STOP "$init" # cannot read the end of its channel
    kill -KILL "$JAIL_PID"
    wait "$JAIL_PID" || :
    wait_for 5 no_process_left
    "$NETJAILCTL" gc > /dev/null
}

both_killed_init_is_a_failure() {
    start_jail one -q -- bash -c 'setsid -f tail -f /dev/null; echo up; exec tail -f /dev/null'
    wait_for_file "$T/jail-one.out"
    kill -KILL "$(jail_command_pid one)"
    local code=0
    wait "$JAIL_PID" || code=$?
    assert_equal "$code" 125
    wait_for 5 no_process_left
}

# A storm of orphans keeps init busy reaping; it must see the end of netjail all the same.
root_orphans_do_not_shield_the_command() {
    start_jail one -q --user "$TEST_UID:$TEST_UID" -- bash -c \
        'echo up; for i in 1 2 3 4; do while :; do (true & true &) ; done & done; exec tail -f /dev/null'
    wait_for_file "$T/jail-one.out"
    kill -KILL "$JAIL_PID"
    wait "$JAIL_PID" || :
    wait_for 5 no_process_left
    "$NETJAILCTL" gc > /dev/null
}

# ---- the service ------------------------------------------------------------------------------

service_policy() {
    policy served <<'POLICY'
network s_br { address 10.78.0.1/24 }
link eth0 bridge s_br { address auto }
publish any:8080 to 80
POLICY
}

# Without a pid namespace, processes that fork and end as fast as they can are ended all the same.
both_a_storm_of_shared_processes_ends() {
    cat > "$T/storm.c" <<'C'
#include <unistd.h>
int main(void)
{
    for (int i = 0; i < 20; i++) {
        if (fork() != 0)
            continue;
        (void)setsid();
        while (fork() == 0)
            ;
        _exit(0);
    }
    (void)usleep(100000);
    return 7;
}
C
    "${CC:-cc}" -o "$T/storm" "$T/storm.c"
    assert_status 7 timeout -k 1 60 "$NETJAIL" -q -e 'processes shared' "$T/storm"
    assert_fails pgrep -x storm
}

# Without a pid namespace the command can kill the jail's init, with kill -1 too.
both_a_killed_init_of_shared_processes_leaves_nothing() {
    local command options
    # shellcheck disable=SC2016 # the jail's shell expands it
    for command in 'tail -f /dev/null & kill -KILL $PPID; wait' \
        '(setsid tail -f /dev/null &); kill -KILL $PPID; exec tail -f /dev/null' \
        '(kill -KILL -1; exec tail -f /dev/null) & wait'; do
        for options in '' '-P 8098:80'; do
            # shellcheck disable=SC2086 # none or two words
            assert_status 125 timeout -k 1 60 "$NETJAIL" -q -e 'processes shared' $options -- bash -c "$command"
            assert_fails pgrep -x tail
        done
    done
}

root_service_holds_nothing() {
    local file service text
    file=$(service_policy)
    start_jail one -q -p "$file" -- bash -c 'echo up; exec tail -f /dev/null'
    wait_for_file "$T/jail-one.out"
    service=$(pgrep -x netjail-service)
    text=$(cat "/proc/$service/status")
    for line in Uid:$'\t'61180 CapPrm:$'\t'0000000000000000 CapEff:$'\t'0000000000000000 CapBnd:$'\t'0000000000000000 \
        NoNewPrivs:$'\t'1 Seccomp:$'\t'2; do
        assert_contains "$text" "$line"
    done
    ! setpriv --reuid="$TEST_UID" --regid="$TEST_UID" --clear-groups kill -0 "$service" 2> /dev/null ||
        fail "another user may signal the service"
    end_jail one
    wait_for 5 no_process_left
    ! listens tcp 8080 || fail "somebody still listens on the published port"
}

# It has another uid: a supervisor without CAP_KILL would wait for it for ever.
root_stopped_service_does_not_hold_netjail() {
    local file
    file=$(service_policy)
    start_jail one -q --wait-clean -p "$file" -- bash -c 'echo up; read -r line < "$0"; exit 5' "$(mkfifo "$T/go"; echo "$T/go")"
    wait_for_file "$T/jail-one.out"
    kill -STOP "$(pgrep -x netjail-service)"
    echo go > "$T/go"
    wait_for 10 no_process_left
    local code=0
    wait "$JAIL_PID" || code=$?
    assert_equal "$code" 5
}

# But one that ends by itself, as it should, is not called stuck.
root_service_of_a_root_without_cap_kill() {
    run setpriv --bounding-set=-kill --inh-caps=-kill "$NETJAIL" -q -P 8098:80 -- bash -c 'exit 9'
    assert_equal "$status: $err" '9: '
}

# ---- the caller -------------------------------------------------------------------------------

root_setuid_copy_reads_nothing() {
    local mode
    cp "$NETJAIL" "$T/netjail"
    cp "$NETJAILCTL" "$T/netjailctl"
    printf 'topsecret\n' > "$T/secret"
    chmod 600 "$T/secret"
    for mode in 4755 2755; do
        chmod "$mode" "$T/netjail" "$T/netjailctl"
        assert_status 125 setpriv --reuid="$TEST_UID" --regid="$TEST_UID" --clear-groups "$T/netjail" -p "$T/secret" true
        assert_lacks "$err" topsecret
        assert_contains "$err" set-user-ID
        assert_status 4 setpriv --reuid="$TEST_UID" --regid="$TEST_UID" --clear-groups "$T/netjailctl" check "$T/secret"
        assert_lacks "$err" topsecret
    done
}

root_file_capabilities_take_root_owned_policies_only() {
    local option
    command -v setcap > /dev/null || skip 'setcap is not installed'
    mkdir "$T/bin"
    cp "$NETJAIL" "$(dirname "$NETJAIL")/netjail-service" "$T/bin"
    setcap cap_net_admin,cap_sys_admin+ep "$T/bin/netjail"
    echo 'default out deny' > "$T/own.conf"
    chown "$TEST_UID" "$T/own.conf"
    for option in '-p '"$T/own.conf" '-e lo' '--net none' '-P 80' '--user root' '-D a=b' '--log /x' '--name x'; do
        # shellcheck disable=SC2086 # option and argument
        assert_status 125 setpriv --reuid="$TEST_UID" --regid="$TEST_UID" --clear-groups "$T/bin/netjail" $option true
    done
}

# A hard link of it, in a directory of the caller's, finds no helpers there to lend its capabilities to.
root_file_capabilities_are_not_lent_to_the_callers_programs() {
    local statement name
    command -v setcap > /dev/null || skip 'setcap is not installed'
    install -d -o "$TEST_UID" -g "$TEST_UID" "$T/theirs"
    cp "$NETJAIL" "$T/theirs/netjail"
    setcap cap_net_admin,cap_sys_admin,cap_setuid,cap_setgid,cap_setpcap+ep "$T/theirs/netjail"
    for name in netjail-lookup netjail-service; do
        printf '#!/bin/sh\n: > "%s"\nexit 1\n' "$T/theirs/ran" | install -m 755 -o "$TEST_UID" /dev/stdin "$T/theirs/$name"
    done
    for statement in 'user daemon' 'publish 8080'; do
        echo "$statement" > "$T/roots.conf"
        run setpriv --reuid="$TEST_UID" --regid="$TEST_UID" --clear-groups "$T/theirs/netjail" -p "$T/roots.conf" true
        [ ! -e "$T/theirs/ran" ] || fail "a program of the caller's was started for '$statement'"
    done
    # Without a capability to lend it is the caller's business.
    cp "$NETJAIL" "$T/theirs/netjail"
    run setpriv --reuid="$TEST_UID" --regid="$TEST_UID" --clear-groups "$T/theirs/netjail" -p "$T/roots.conf" true
    [ -e "$T/theirs/ran" ] || fail "the helper beside netjail was not started: $err"
}

both_failures_before_exec_are_125() {
    assert_status 125 bash -c 'ulimit -n 5; exec "$0" -q true' "$NETJAIL"
    assert_contains "$err" netjail:
    [ "$(id -u)" = 0 ] || assert_status 125 bash -c 'ulimit -u 1; exec "$0" -q true' "$NETJAIL"
}

both_odd_circumstances() {
    local directory
    assert_status 0 bash -c 'umask 0777; exec "$0" -q true' "$NETJAIL"
    assert_status 0 bash -c 'ulimit -f 0; exec "$0" -q true' "$NETJAIL"
    assert_status 0 bash -c 'ulimit -s 256; exec "$0" -q true' "$NETJAIL"
    assert_status 0 bash -c 'mkdir gone; cd gone; rmdir ../gone; exec "$0" -q true' "$NETJAIL"
    assert_status 0 bash -c "trap '' TERM INT PIPE CHLD HUP; exec \"\$0\" -q true" "$NETJAIL"
    assert_status 9 bash -c 'exec "$0" -q sh -c "exit 9" <&- >&- 2>&-' "$NETJAIL"
    assert_status 0 env -i "$NETJAIL" -q /bin/true
    assert_status 0 env LD_LIBRARY_PATH=/nowhere HOME= PATH= "$NETJAIL" -q /bin/true
    for directory in /proc /root /nonexistent /dev/null relative ''; do
        assert_status 0 env XDG_RUNTIME_DIR="$directory" "$NETJAIL" -q true
    done
    for directory in garbage 4294967295 1000x -1; do
        assert_equal "$(SUDO_UID=$directory SUDO_GID=0 "$NETJAIL" -q id -u)" "$(id -u)" "uid with SUDO_UID=$directory"
    done
}

root_as_process_1() {
    assert_status 7 unshare -pf --mount-proc "$NETJAIL" -q sh -c 'exit 7'
    assert_status 143 unshare -pf --mount-proc "$NETJAIL" -q sh -c 'kill -TERM $$'
}

# ---- state directory and policies of others -----------------------------------------------------

root_state_directory_of_others() {
    mkdir "$T/elsewhere"
    ln -s "$T/elsewhere" /run/netjail
    assert_status 125 "$NETJAIL" -q true
    rm /run/netjail
    mkfifo /run/netjail
    assert_status 125 "$NETJAIL" -q true
    rm /run/netjail
    mkdir -m 777 /run/netjail
    assert_status 125 "$NETJAIL" -q true
    chmod 700 /run/netjail
    chown "$TEST_UID" /run/netjail
    assert_status 125 "$NETJAIL" -q true
    rmdir /run/netjail
    [ -z "$(ls "$T/elsewhere")" ] || fail "something was written through the link"
}

root_leases_of_others() {
    local file before
    file=$(service_policy)
    mkdir -m 700 /run/netjail
    mkfifo /run/netjail/a.lease
    truncate -s 9000000 /run/netjail/b.lease
    ln -s /etc/passwd /run/netjail/c.lease
    ln -s /etc/shadow /run/netjail/one.lease.new
    mkdir /run/netjail/d.lease
    echo garbage > /run/netjail/e.lease
    echo garbage > /run/netjail/f.lease
    chown "$TEST_UID" /run/netjail/f.lease
    before=$(sha256sum /etc/passwd /etc/shadow)
    assert_status 0 timeout 20 "$NETJAIL" -q --wait-clean --name one -p "$file" true
    assert_status 0 timeout 20 "$NETJAILCTL" gc
    assert_equal "$(sha256sum /etc/passwd /etc/shadow)" "$before" "files behind links"
    rm -rf /run/netjail
}

root_policies_of_others() {
    local path
    mkdir "$T/p" "$T/p/theirs" "$T/p/open"
    echo 'default out deny' > "$T/p/good.conf"
    cp "$T/p/good.conf" "$T/p/theirs"
    cp "$T/p/good.conf" "$T/p/open"
    cp "$T/p/good.conf" "$T/p/foreign.conf"
    cp "$T/p/good.conf" "$T/p/group.conf"
    chown "$TEST_UID" "$T/p/foreign.conf" "$T/p/theirs"
    chmod 664 "$T/p/group.conf"
    chmod 777 "$T/p/open"
    mkfifo "$T/p/fifo.conf"
    ln -s theirs/good.conf "$T/p/link.conf"
    ln -s good.conf "$T/p/theirlink.conf"
    chown -h "$TEST_UID" "$T/p/theirlink.conf"
    ln -s loop.conf "$T/p/loop.conf"
    assert_status 0 "$NETJAIL" -q -p "$T/p/good.conf" true
    for path in foreign.conf group.conf fifo.conf theirs/good.conf theirs/../good.conf open/good.conf link.conf \
        theirlink.conf loop.conf /dev/zero /dev/tty .; do
        case $path in /*) ;; *) path=$T/p/$path ;; esac
        assert_status 125 timeout 10 "$NETJAIL" -q -p "$path" true
        [ "$path" = "$T/p/." ] && continue
        printf 'include "%s"\n' "$path" > "$T/p/include.conf"
        assert_status 125 timeout 10 "$NETJAIL" -q -p "$T/p/include.conf" true
        printf 'define X file "%s"\nallow out tcp to $X\n' "$path" > "$T/p/define.conf"
        assert_status 125 timeout 10 "$NETJAIL" -q -p "$T/p/define.conf" true
    done
}

run_tests "$@"
