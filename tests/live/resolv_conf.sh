#!/usr/bin/env bash
# The jail's own /etc/resolv.conf, /etc/hosts and /etc/nsswitch.conf, whatever the host has there; `dns direct`.
. "$(dirname "$0")/lib.sh"

# An /etc of the test's own, to be changed at will.
own_etc() {
    mkdir "$T/etc"
    cp -a /etc/passwd /etc/group /etc/hosts /etc/nsswitch.conf /etc/ld.so.* "$T/etc/"
    mount -t tmpfs -o mode=755 tmpfs /etc
    cp -a "$T"/etc/* /etc/
    printf 'nameserver 192.0.2.53\n' > /etc/resolv.conf
}

as_user() {
    mkdir -p "/run/user/$TEST_UID"
    chown "$TEST_UID:$TEST_UID" "/run/user/$TEST_UID"
    setpriv --reuid="$TEST_UID" --regid="$TEST_UID" --clear-groups \
        env "XDG_RUNTIME_DIR=/run/user/$TEST_UID" "$@"
    rm -rf "/run/user/$TEST_UID"
}

direct() { # the files in a jail, as root and as a user
    local p who
    p=$(policy direct <<- 'E'
		dns { direct 10.0.0.53 2001:db8::53 ; search example.org corp.test ; record db.example.org 10.9.9.9 }
		E
    )
    for who in env as_user; do
        assert_status 0 "$who" "$NETJAIL" -q -p "$p" sh -c 'cat /etc/resolv.conf; echo hosts; cat /etc/hosts; getent hosts db.example.org'
        assert_contains "$out" $'nameserver 10.0.0.53\nnameserver 2001:db8::53\nsearch example.org corp.test\n'
        assert_lacks "$out" 192.0.2.53
        assert_contains "$out" '10.9.9.9 db.example.org'
        assert_contains "$out" '10.9.9.9        db.example.org'
    done
    # Without a `dns` statement the host's files stay.
    assert_status 0 "$NETJAIL" -q sh -c 'cat /etc/resolv.conf || :'
    assert_lacks "$out" 10.0.0.53
}

root_a_plain_file() {
    own_etc
    direct
    assert_equal "$(cat /etc/resolv.conf)" 'nameserver 192.0.2.53'
    umount /etc
}

root_a_link_into_run() {
    own_etc
    mkdir -p /run/systemd/resolve
    printf 'nameserver 127.0.0.53\n' > /run/systemd/resolve/stub-resolv.conf
    ln -sf ../run/systemd/resolve/stub-resolv.conf /etc/resolv.conf
    direct
    assert_equal "$(cat /run/systemd/resolve/stub-resolv.conf)" 'nameserver 127.0.0.53'
    assert_equal "$(ls /run/systemd/resolve)" stub-resolv.conf
    rm -r /run/systemd
    direct # dangling: nothing may be made on the host
    test ! -e /run/systemd || fail 'something was made on the host'
    umount /etc
}

# systemd-resolved and NetworkManager replace their file: the jail's stays.
root_a_link_whose_target_is_replaced() {
    own_etc
    mkdir -p /run/NetworkManager
    printf 'nameserver 127.0.0.1\n' > /run/NetworkManager/resolv.conf
    ln -sf /run/NetworkManager/resolv.conf /etc/resolv.conf
    mkfifo "$T/go"
    "$NETJAIL" -q -e 'dns { direct 10.0.0.53 }' sh -c 'echo up; read -r line; cat /etc/resolv.conf' < "$T/go" > "$T/out" 2> "$T/err" &
    local pid=$!
    remember_process "$pid"
    exec 9> "$T/go"
    wait_for_file "$T/out"
    printf 'nameserver 127.0.0.1\n' > /run/NetworkManager/new
    mv /run/NetworkManager/new /run/NetworkManager/resolv.conf
    echo go >&9
    exec 9>&-
    wait "$pid"
    assert_contains "$(cat "$T/out")" 10.0.0.53
    rm -r /run/NetworkManager
    umount /etc
}

root_a_link_to_elsewhere() {
    own_etc
    mkdir /etc/net
    printf 'nameserver 192.0.2.53\n' > /etc/net/resolv
    ln -sf net/resolv /etc/resolv.conf
    direct
    rm /etc/net/resolv
    direct
    test ! -e /etc/net/resolv || fail 'something was made on the host'
    umount /etc
}

root_missing() {
    own_etc
    rm /etc/resolv.conf
    direct
    rm /etc/hosts
    direct
    assert_status 0 "$NETJAIL" -q -e 'dns { direct 10.0.0.53 }' sh -c 'echo new >> /etc/nsswitch.conf; touch /etc/made; cat /etc/passwd'
    assert_contains "$out" root:
    assert_contains "$(cat /etc/nsswitch.conf)" new # as everywhere: it is a network jail
    test ! -e /etc/resolv.conf || fail 'something was made on the host'
    test ! -e /etc/hosts || fail 'something was made on the host'
    umount /etc
}

root_read_only() {
    own_etc
    mount -o remount,ro /etc
    direct
    umount /etc
    own_etc_again() { rm -rf "${T:?}/etc" && own_etc; }
    own_etc_again
    rm /etc/resolv.conf
    mount -o remount,ro /etc
    direct
    umount /etc
}

root_sockets_left_to_the_host() {
    own_etc
    mkdir -p /run/systemd/resolve
    printf 'nameserver 127.0.0.53\n' > /run/systemd/resolve/stub-resolv.conf
    ln -sf ../run/systemd/resolve/stub-resolv.conf /etc/resolv.conf
    assert_status 0 "$NETJAIL" -q -e 'unix-sockets host' -e 'dns { direct 10.0.0.53 }' cat /etc/resolv.conf
    assert_contains "$out" 10.0.0.53
    rm -r /run/systemd
    assert_status 0 "$NETJAIL" -q -e 'unix-sockets host' -e 'dns { direct 10.0.0.53 }' cat /etc/resolv.conf
    assert_contains "$out" 10.0.0.53
    test ! -e /run/systemd || fail 'something was made on the host'
    umount /etc
}

# Modules that ask a daemon of the host for names are left out; the rest of the file stays.
root_name_service_modules() {
    own_etc
    printf 'passwd: files systemd\nhosts: files mdns4_minimal [NOTFOUND=return] resolve [!UNAVAIL=return] dns # x\nnetworks: files\n' > /etc/nsswitch.conf
    assert_status 0 "$NETJAIL" -q -e 'dns { direct 10.0.0.53 }' cat /etc/nsswitch.conf
    assert_equal "$out" $'passwd: files systemd\nhosts: files dns\nnetworks: files'
    printf 'hosts:files [SUCCESS=merge] dns myhostname\n' > /etc/nsswitch.conf
    assert_status 0 "$NETJAIL" -q -e 'dns { direct 10.0.0.53 }' cat /etc/nsswitch.conf
    assert_equal "$out" 'hosts:files [SUCCESS=merge] dns myhostname'
    umount /etc
}

# The caller's umask is not the files'.
root_readable_by_every_user() {
    own_etc
    umask 077
    assert_status 0 "$NETJAIL" -q --user daemon -e 'dns { direct 10.0.0.53 }' cat /etc/resolv.conf /etc/hosts
    assert_contains "$out" 10.0.0.53
    umount /etc
}

# The direct server is asked by the command itself, and only where a rule lets it out.
root_direct_server_answers() {
    serve_outside udp "$OUTSIDE4" 53
    local p
    p=$(policy net <<- E
		link eth0 veth host { address 10.9.0.2/24 ; peer-address 10.9.0.1/24 ; nat }
		dns { direct $OUTSIDE4 }
		allow out tcp,udp to $OUTSIDE4 port 53
		E
    )
    assert_status 0 "$NETJAIL" -q -p "$p" "$NET" try udp "$OUTSIDE4" 53
    assert_status 0 "$NETJAIL" -q -p "$p" cat /etc/resolv.conf
    assert_contains "$out" "nameserver $OUTSIDE4"
    assert_status 0 "$NETJAIL" -q --wait-clean -p "$p" ss -Hnlu # no resolver of ours
    assert_equal "$out" ''
}

run_tests "$@"
