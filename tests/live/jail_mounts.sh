#!/usr/bin/env bash
# What the jail's mounts hide and lock: /run without the host's sockets, /proc and /sys of the jail, read-only
# sysctls, a current directory in what is covered.
. "$(dirname "$0")/lib.sh"

# A socket file at each path, as its daemon would make it.
make_sockets() {
    python3 - "$@" << 'PY'
import os, socket, sys
for path in sys.argv[1:]:
    os.makedirs(os.path.dirname(path), exist_ok=True)
    socket.socket(socket.AF_UNIX).bind(path)
PY
}

MASKED=(/run/docker.sock /run/containerd/containerd.sock /run/podman/podman.sock /run/crio/crio.sock
    /run/dbus/system_bus_socket /run/systemd/private /run/systemd/notify /run/systemd/resolve/io.systemd.Resolve
    /run/nscd/socket /run/avahi-daemon/socket)

root_host_sockets_are_hidden() {
    local path
    make_sockets "${MASKED[@]}" /run/systemd/journal/socket /run/other.sock
    mkdir -p /run/user/1000/podman /run/app
    make_sockets /run/user/1000/bus /run/user/1000/podman/podman.sock /run/user/1000/wayland-0
    make_sockets /run/user/1000/{pulse/native,emacs/server,nvim.9.0,sway-ipc.1.sock,foot-wayland-1.sock} /run/chrony/chronyd.sock
    make_sockets /run/user/1000/{gnupg/{S.dirmngr,S.gpg-agent,d.1/S.dirmngr},gvfsd/socket-1,.dbus-proxy/bus-1,snapd-session-agent.socket}
    make_sockets /run/WSL/1_interop /run/{multipass_socket,cri-dockerd.sock,mullvad-vpn,netbird.sock,lldpd.socket}
    make_sockets /run/user/1000/{shpool/shpool.socket,pueue_user.socket,kakoune/1,kitty-1}
    echo data > /run/app/file
    ln -s app /run/link
    for path in "${MASKED[@]}" /run/user/1000/{bus,podman,pulse,emacs,nvim.9.0,sway-ipc.1.sock,foot-wayland-1.sock} /run/chrony/chronyd.sock \
        /run/user/1000/{gnupg/{S.dirmngr,d.1/S.dirmngr},gvfsd,.dbus-proxy,snapd-session-agent.socket} \
        /run/{WSL,multipass_socket,cri-dockerd.sock,mullvad-vpn,netbird.sock,lldpd.socket} \
        /run/user/1000/{shpool,pueue_user.socket,kakoune,kitty-1}; do
        assert_status 1 "$NETJAIL" -q test -e "$path"
    done
    for path in /run/systemd/journal/socket /run/other.sock /run/user/1000/{wayland-0,gnupg/S.gpg-agent}; do
        assert_status 0 "$NETJAIL" -q test -S "$path"
    done
    assert_status 0 "$NETJAIL" -q cat /run/link/file
    assert_equal "$out" data
    assert_status 0 "$NETJAIL" -q -e 'unix-sockets host' test -S /run/docker.sock
    rm -rf /run/docker.sock /run/containerd /run/podman /run/crio /run/dbus /run/systemd /run/nscd \
        /run/avahi-daemon /run/chrony /run/{WSL,multipass_socket,cri-dockerd.sock,mullvad-vpn,netbird.sock,lldpd.socket} /run/app /run/link /run/other.sock /run/user/1000
}

# A switch of the host's radio is a file: who may write to it takes the network from everybody.
root_switch_of_the_radio() {
    cat > "$T/radio" << 'END'
mount -t tmpfs -o mode=755 tmpfs /dev && mkdir /dev/pts && ln -s /proc/self/fd /dev/fd
mknod -m 666 /dev/null c 1 3; mknod -m 666 /dev/urandom c 1 9; mknod -m 666 /dev/tty c 5 0; mknod -m 666 /dev/rfkill c 10 242
exec "$@"
END
    assert_status 0 unshare -m --propagation private bash "$T/radio" "$NETJAIL" -q stat -c '%t:%T' /dev/rfkill
    assert_equal "$out" 1:3
}

# An IPC namespace of one's own is no use where the host's queues are files.
root_message_queues_are_the_jails() {
    cat > "$T/queue.py" << 'PY'
import ctypes, os
os.umask(0)
assert ctypes.CDLL(None).mq_open(b"/jails", os.O_RDWR | os.O_CREAT, 0o666, None) >= 0
print(*sorted(os.listdir("/dev/mqueue") + os.listdir(".")))
PY
    cat > "$T/queues" << 'END'
mount -t tmpfs -o mode=755 tmpfs /dev && mkdir /dev/mqueue /dev/pts && mount -t mqueue mqueue /dev/mqueue && ln -s /proc/self/fd /dev/fd
mknod -m 666 /dev/null c 1 3; mknod -m 666 /dev/urandom c 1 9; mknod -m 666 /dev/tty c 5 0
: > /dev/mqueue/hosts
cd /dev/mqueue || exit 1
"$@"
setpriv --reuid="$TEST_UID" --regid="$TEST_UID" --clear-groups env XDG_RUNTIME_DIR= "$@"
END
    assert_status 0 unshare -mi --propagation private bash "$T/queues" "$NETJAIL" -q /usr/bin/python3 "$T/queue.py"
    assert_equal "$out" $'jails jails\njails jails'
}

# Outside of /run: what acts for whoever asks, in its usual place or where the environment says.
root_sockets_elsewhere_are_hidden() {
    local path
    mount -t tmpfs -o mode=755 tmpfs /mnt
    mkdir /mnt/own /mnt/programs
    mount --bind "$(dirname "$NETJAIL")" /mnt/programs # which may be below /tmp
    local NETJAIL=/mnt/programs/netjail
    mount --bind "$T" /mnt/own
    mount -t tmpfs -o mode=1777 tmpfs /tmp
    mkdir -p "$T"
    mount --bind /mnt/own "$T"
    umount /mnt/own
    make_sockets /tmp/.X11-unix/X0 /tmp/tmux-0/default "/tmp/tmux-$TEST_UID/default" /mnt/rt/bus /mnt/rt/podman/podman.sock \
        /mnt/rt/wayland-0 /mnt/home/.screen/1.tty /mnt/engine.sock /mnt/tmux/own /mnt/bus /mnt/agent /mnt/kitty \
        /mnt/rt/pulse/native /tmp/emacs0/server /mnt/rt/gnupg/S.dirmngr /mnt/bus2 /mnt/home/.gnupg/S.dirmngr /mnt/home/.gnupg/S.gpg-agent \
        /mnt/home/.ssh/git@host:22 /mnt/home/.ssh/cm/1 /mnt/home/.ansible/cp/2 /tmp/org.chromium.1/SingletonSocket
    mkdir -p /mnt/home/.config/chromium
    ln -s /tmp/org.chromium.1/SingletonSocket /mnt/home/.config/chromium/SingletonSocket
    echo key > /mnt/home/.ssh/id
    mount -t tmpfs tmpfs /var/lib
    make_sockets /var/lib/incus/unix.socket
    echo data > /mnt/file
    # shellcheck disable=SC2054
    local run=(env XDG_RUNTIME_DIR=/mnt/rt HOME=/mnt/home DOCKER_HOST=unix:///mnt/engine.sock TMUX=/mnt/tmux/own,1,0
        KITTY_LISTEN_ON=unix:/mnt/kitty 'DBUS_SESSION_BUS_ADDRESS=unix:guid=1,path=/mnt/bus,x=y;unix:path=/mnt/bus2,guid=1' CONTAINER_HOST=unix:///mnt/file "$NETJAIL" -q)
    for path in /tmp/.X11-unix/X0 /tmp/tmux-0/default /mnt/rt/bus /mnt/rt/podman/podman.sock /mnt/home/.screen/1.tty \
        /mnt/engine.sock /mnt/tmux/own /mnt/bus /mnt/kitty /mnt/rt/pulse/native /tmp/emacs0/server /mnt/rt/gnupg/S.dirmngr /mnt/bus2 \
        /mnt/home/{.gnupg/S.dirmngr,.ssh/git@host:22,.ssh/cm/1,.ansible/cp/2} /tmp/org.chromium.1/SingletonSocket /var/lib/incus/unix.socket; do
        assert_status 1 "${run[@]}" test -S "$path"
        assert_status 0 "${run[@]}" -e 'unix-sockets host' test -S "$path"
    done
    assert_status 1 "${run[@]}" -e "user $TEST_UID:$TEST_UID" test -S "/tmp/tmux-$TEST_UID/default"
    for path in /mnt/rt/wayland-0 /mnt/agent /mnt/home/.gnupg/S.gpg-agent; do assert_status 0 "${run[@]}" test -S "$path"; done
    assert_status 0 "${run[@]}" cat /mnt/file # no socket, whatever a variable says
    assert_equal "$out" data
    assert_equal "$("${run[@]}" cat /mnt/home/.ssh/id)" key
    # A socket made anew in a covered directory, and the way by the current directory.
    (cd /tmp/.X11-unix && assert_status 1 "${run[@]}" sh -c 'cd . && test -S X0')
    (cd /tmp/tmux-0 && assert_status 1 "${run[@]}" test -S default)
    umount "$T" /tmp /mnt/programs /mnt /var/lib
}

# As in a container: what is covered in /sys may not be uncovered by mounting another.
root_an_old_sys_is_told() {
    mount -t tmpfs tmpfs /sys/firmware 2> /dev/null || mount -t tmpfs tmpfs /sys/kernel
    local as_user=(setpriv "--reuid=$TEST_UID" "--regid=$TEST_UID" --clear-groups env -u XDG_RUNTIME_DIR)
    assert_status 0 "${as_user[@]}" "$NETJAIL" ls /sys/class/net
    assert_equal "$out" ''
    assert_contains "$err" 'warning: a new /sys is refused here'
    assert_status 0 "${as_user[@]}" "$NETJAIL" -q true
    assert_equal "$err" ''
    umount /sys/firmware 2> /dev/null || umount /sys/kernel
}

# A daemon that comes back makes its socket anew: it must stay hidden.
root_a_new_socket_stays_hidden() {
    make_sockets /run/docker.sock
    mkfifo "$T/go"
    "$NETJAIL" -q sh -c 'echo up; read -r line; test ! -e /run/docker.sock' < "$T/go" > "$T/out" &
    local pid=$! code=0
    remember_process "$pid"
    exec 9> "$T/go"
    wait_for_file "$T/out"
    rm /run/docker.sock
    make_sockets /run/docker.sock
    echo go >&9
    exec 9>&-
    wait "$pid" || code=$?
    rm /run/docker.sock
    assert_equal "$code" 0 "the new socket is hidden"
}

# From a current directory below /run the covered one must not be reached.
root_current_directory_is_the_jails() {
    make_sockets /run/docker.sock
    mkdir -p /run/app
    cd /run/app || fail "cannot enter /run/app"
    run "$NETJAIL" -q sh -c 'ls ..; pwd'
    cd / && rm -r /run/app /run/docker.sock
    assert_equal "$status" 0
    assert_lacks "$out" docker.sock
    assert_contains "$out" /run/app
}

# Nor one that is covered elsewhere.
both_current_directory_that_is_covered() {
    mkdir -p "$T/runtime/podman"
    make_sockets "$T/runtime/podman/podman.sock"
    cd "$T/runtime/podman" || fail "cannot enter $T/runtime/podman"
    assert_status 0 env XDG_RUNTIME_DIR="$T/runtime" "$NETJAIL" -q sh -c 'ls; pwd -P'
    cd "$T" || fail "cannot enter $T"
    assert_equal "$out" "$T/runtime/podman"
}

# `..` leads on from a directory that has no path any more.
both_current_directory_that_was_removed() {
    local below=${XDG_RUNTIME_DIR:-/run}
    mkdir "$below/gone" "$T/gone"
    cd "$below/gone" || fail "cannot enter $below/gone"
    rmdir "$below/gone"
    assert_status 125 "$NETJAIL" -q ls ..
    assert_equal "$out" ''
    assert_contains "$err" 'the current directory has been removed'
    cd "$T/gone" || fail "cannot enter $T/gone"
    rmdir "$T/gone"
    assert_status 0 "$NETJAIL" -q ls ..
    cd "$T" || fail "cannot enter $T"
}

root_current_directory_of_another_tree() {
    ip link add gone0 type veth peer name gone1
    cd /proc/sys/net/ipv4/conf/gone0 || fail 'cannot enter the settings of an interface'
    ip link delete gone0
    # shellcheck disable=SC2016 # the jail's shell expands it
    assert_status 125 "$NETJAIL" -q sh -c ': >> "$1"' sh ../../../../kernel/core_pattern
    mkdir "$T/m"
    mount -t proc proc "$T/m"
    cd "$T/m/sys" || fail 'cannot enter another /proc'
    umount -l "$T/m"
    assert_status 125 "$NETJAIL" -q sh -c ': >> kernel/core_pattern'
    assert_contains "$err" 'is in no file system that is mounted here'
    cd "$T" || fail "cannot enter $T"
}

# Nor the host's /proc and /sys from one below them, where they are writable.
root_current_directory_is_read_only() {
    local place
    for place in /proc/sys/net/ipv4:ip_forward /proc/sys/kernel:core_pattern /sys/class/net/lo:mtu; do
        cd "${place%:*}" || fail "cannot enter ${place%:*}"
        assert_status 0 "$NETJAIL" -q sh -c '[ -r "$1" ] && [ "$PWD" = "$2" ]' sh "${place#*:}" "${place%:*}"
        # shellcheck disable=SC2016 # the jail's shell expands it
        assert_fails "$NETJAIL" -q sh -c ': >> "$1"' sh "${place#*:}"
    done
    cd "$T" || fail "cannot enter $T"
}

both_sysctls_are_read_only() {
    assert_fails "$NETJAIL" -q sh -c 'echo 1 > /proc/sys/net/ipv4/ip_forward'
    assert_fails "$NETJAIL" -q sh -c 'echo x > /proc/sys/kernel/hostname'
}

root_no_magic_file_is_writable() {
    assert_fails "$NETJAIL" -q sh -c ': > /proc/sysrq-trigger'
    assert_fails "$NETJAIL" -q sh -c ': > /sys/kernel/uevent_seqnum'
}

# Another /proc has the same sysctls: uid 0 needs no capability to write them.
root_nor_one_of_a_second_mount() {
    local file become='import os; os.setuid(0); open("/proc/irq/default_smp_affinity", "w")'
    mkdir -p "$T/a b/proc" "$T/a b/sys"
    mount -t proc proc "$T/a b/proc"
    mount -t sysfs sysfs "$T/a b/sys"
    for file in proc/sys/kernel/core_pattern proc/irq/default_smp_affinity sys/class/net/lo/mtu; do
        [ -e "$T/a b/$file" ] || continue
        ( : >> "$T/a b/$file") || fail "$file cannot be written without a jail"
        assert_fails "$NETJAIL" -q sh -c ': >> "$1"' sh "$T/a b/$file"
    done
    assert_fails "$NETJAIL" -q -e "user $TEST_UID:$TEST_UID" -e 'capabilities keep setuid' /usr/bin/python3 -c "$become"
    umount "$T/a b/proc" "$T/a b/sys"
    # Through which one ends the host's other mounts.
    mount -t fusectl fusectl "$T/a b/sys" || skip 'no fusectl here'
    assert_status 0 "$NETJAIL" -q findmnt -no OPTIONS "$T/a b/sys"
    umount "$T/a b/sys"
    assert_contains "$out" ro,
}

both_init_cannot_be_looked_into() {
    assert_fails "$NETJAIL" -q cat /proc/1/environ
    assert_fails "$NETJAIL" -q readlink /proc/1/exe
    assert_status 0 "$NETJAIL" -q sh -c 'kill -KILL 1 2> /dev/null; exit 0'
}

both_no_new_namespaces() {
    assert_fails "$NETJAIL" -q unshare --user true
    assert_fails "$NETJAIL" -q unshare --net true
    assert_fails "$NETJAIL" -q mount -t tmpfs none /tmp
}

run_tests "$@"
