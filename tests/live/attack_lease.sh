#!/bin/bash
# Attacks by a member of the group `netjail`, who may write leases, on what is not his: names in /run/netns, processes, jails;
# and by a user in his own runtime directory, whose leases root reads.
# shellcheck disable=SC2154 # out, err and status are set by run
. "$(dirname "$0")/lib.sh"

readonly GROUP=64999

# The state directory as tmpfiles.d makes it for units with User=.
shared_directory() {
    cp /etc/group "$T/group"
    echo "netjail:x:$GROUP:" >> "$T/group"
    mount --bind "$T/group" /etc/group
    install -d -m 2775 -g $GROUP /run/netjail
}
not_shared() {
    umount /etc/group
    rm -rf /run/netjail
}

as_member() { setpriv --reuid="$TEST_UID" --regid=$GROUP --clear-groups "$@"; }

# A network that a member's unit and root share stays until the last of both ends, whoever that is.
root_a_network_of_root_and_a_member() {
    local file first second
    shared_directory
    file=$(policy common <<'POLICY'
network common_br { address 10.62.0.1/24 }
link eth0 bridge common_br { address auto }
POLICY
    )
    local unit=(setpriv --reuid="$TEST_UID" --regid="$TEST_UID" --groups="$GROUP"
        "--inh-caps=+net_admin,+sys_admin" "--ambient-caps=+net_admin,+sys_admin")
    first=("${unit[@]}") second=(env)
    for _ in 1 2; do
        "${first[@]}" "$NETJAIL" -q --wait-clean --name first -p "$file" sh -c 'echo up; exec tail -f /dev/null' > "$T/up" &
        remember_process $!
        wait_for_file "$T/up"
        assert_status 0 "${second[@]}" "$NETJAIL" -q --wait-clean --name second -p "$file" true
        ip link show common_br > /dev/null || fail "the network of a running jail is gone (the first one: ${first[0]})"
        kill "${PROCESSES[-1]}"
        wait "${PROCESSES[-1]}" || :
        wait_for 5 eval '! ip link show common_br'
        rm "$T/up"
        first=(env) second=("${unit[@]}")
    done
    not_shared
}

# Else root's lease has root's group: the member could not read that its network is still used.
root_a_directory_without_a_common_group_is_refused() {
    shared_directory
    chmod g-s /run/netjail
    run "$NETJAIL" -q --allow 'out to any' -e 'network common_br { address 10.62.0.1/24 }' -e 'link eth0 bridge common_br' true
    assert_equal "$status" 125
    assert_contains "$err" 'is not set-group-ID'
    assert_contains "$err" 'chmod g+s'
    ! ip link show common_br 2> /dev/null || fail 'the network was made'
    not_shared
}

# A lease of a named jail, to make others from.
template() {
    "$NETJAILCTL" create template
    cp /run/netjail/template.lease "$T/template"
    chmod 644 "$T/template"
    "$NETJAILCTL" delete template
}

# plant NAME SED...: the member's own file, with a record that says what it likes.
plant() {
    local name=$1
    shift
    sed -E "s/^name .*/name $name/" "$T/template" | sed -E "$@" > "$T/planted"
    chmod 644 "$T/planted"
    as_member cp "$T/planted" "/run/netjail/$name.lease"
}
hold() { # as a jail that runs: the lease is locked
    setpriv --reuid="$TEST_UID" --regid=$GROUP --clear-groups flock --no-fork "/run/netjail/$1.lease" tail -f /dev/null &
    remember_process $!
    wait_for 5 eval "! flock -n /run/netjail/$1.lease true"
}

root_a_name_of_somebody_else() {
    local uid
    shared_directory
    template
    ip netns add vpn
    for uid in 0 "$TEST_UID"; do
        plant vpn "s/^uid .*/uid $uid/; s/^named .*/named $(stat -c %i /run/netns/vpn)/"
        run "$NETJAILCTL" gc
        run "$NETJAIL" -q --wait-clean true
        run "$NETJAILCTL" delete vpn
        [ -e /run/netns/vpn ] || fail "a planted lease of uid $uid removed /run/netns/vpn"
    done
    ip netns delete vpn
    not_shared
}

root_a_process_of_somebody_else() {
    local victim start uid
    shared_directory
    template
    tail -f /dev/null &
    victim=$!
    remember_process $victim
    start=$(sed -E 's/.*\) //' "/proc/$victim/stat" | cut -d' ' -f20)
    for uid in 0 "$TEST_UID"; do
        plant office "s/^uid .*/uid $uid/; s/^pid .*/pid $victim/; s/^pid-start .*/pid-start $start/"
        hold office
        run timeout 8 "$NETJAILCTL" delete office
        kill -0 $victim || fail "a planted lease of uid $uid ended a process of root"
        kill "${PROCESSES[-1]}"
        wait "${PROCESSES[-1]}" || :
    done
    not_shared
}

# A lease that says "mine" about root's jail opens neither cable nor network of it.
root_a_jail_of_somebody_else() {
    local uid blue joiner
    shared_directory
    template
    start_jail red -q --name red -e 'default in deny' -- sh -c 'echo up; exec tail -f /dev/null'
    wait_for_file "$T/jail-red.out"
    joiner=$(policy joiner <<< 'link join planted')
    blue=$(policy blue <<< 'link eth0 veth jail planted { address 10.4.4.2/24; peer-address 10.4.4.1/24 }')
    for uid in 0 "$TEST_UID"; do
        plant planted "/^(pid|pid-start) /d; s/^uid .*/uid $uid/; s/^name .*/&\n$(grep '^pid ' /run/netjail/red.lease)\n$(grep '^pid-start ' /run/netjail/red.lease)/"
        hold planted
        assert_status 125 "$NETJAIL" -q -p "$joiner" true
        assert_status 125 "$NETJAIL" -q -p "$blue" true
        kill "${PROCESSES[-1]}"
        wait "${PROCESSES[-1]}" || :
    done
    end_jail red
    not_shared
}

# A lease that gives its jail an address of somebody else does not open that address.
root_an_address_of_somebody_else() {
    local line joined
    serve_outside tcp 0.0.0.0 7
    shared_directory
    joined=$(policy joined <<'POLICY'
network shared_br { address 10.61.0.1/24; nat }
link eth0 bridge shared_br { address auto }
allow out tcp to jail db
POLICY
    )
    start_jail db -q --name db -p "$joined" -- sh -c 'echo up; exec tail -f /dev/null'
    wait_for_file "$T/jail-db.out"
    cp /run/netjail/db.lease "$T/template"
    end_jail db
    wait_for 10 test ! -e /run/netjail/db.lease # its clean-up goes on in the background
    line=$(grep '^address ' "$T/template")
    assert_contains "$line" 10.61.0.
    plant db "s/^uid .*/uid $TEST_UID/; s|^(address .*)10\\.61\\.0\\.[0-9]+/24|\\1$INTERNET4/24|"
    assert_contains "$(cat /run/netjail/db.lease)" "$INTERNET4"
    hold db
    assert_no_connect "$NETJAIL" -q --wait-clean -p "$joined" -- tcp "$INTERNET4" 7
    kill "${PROCESSES[-1]}"
    wait "${PROCESSES[-1]}" || :
    "$NETJAILCTL" gc > /dev/null
    not_shared
}

as_user() { setpriv --reuid="$TEST_UID" --regid="$TEST_UID" --clear-groups "$@"; }

# What a user has put where his leases are is his word about his own jails: root is not held up, told lies or used by it.
root_a_directory_of_a_user() {
    local victim start command own=/run/user/$TEST_UID/netjail
    template
    tail -f /dev/null &
    victim=$!
    remember_process $victim
    start=$(sed -E 's/.*\) //' "/proc/$victim/stat" | cut -d' ' -f20)
    install -d -m 700 -o "$TEST_UID" -g "$TEST_UID" "/run/user/$TEST_UID" "$own"
    cp "$T/template" "$T/own"
    chmod 644 "$T/own"
    as_user mkfifo "$own/fifo.lease"
    as_user ln -s /etc/shadow "$own/link.lease"
    as_user mkdir "$own/directory.lease"
    as_user truncate -s 9000000 "$own/large.lease"
    as_user dd if=/dev/urandom of="$own/noise.lease" bs=4096 count=100 2> /dev/null
    mine() { # mine NAME SED...: a lease that is held as that of a running jail
        local name=$1
        shift
        sed -E "s/^name .*/name $name/; s/^pid .*/pid $victim/; s/^pid-start .*/pid-start $start/" "$T/own" | sed -E "$@" | as_user tee "$own/$name.lease" > /dev/null
        setpriv --reuid="$TEST_UID" --regid="$TEST_UID" --clear-groups flock --no-fork "$own/$name.lease" tail -f /dev/null &
        remember_process $!
        wait_for 5 eval "! flock -n $own/$name.lease true"
    }
    mine roots 's/^uid .*/uid 0/'
    mine theirs "s/^uid .*/uid $TEST_UID/; s/^policy .*/policy %1b[31m/; s/^command .*/command %0a%0d%ff/"
    # Links to a socket that is somebody else's.
    as_user ln -s /run/other "$own/theirs.sock"
    /usr/bin/python3 -c 'import socket, time; s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET); s.bind("/run/other"); s.listen(); time.sleep(1000)' &
    remember_process $!
    wait_for 5 test -S /run/other
    assert_status 0 timeout 10 "$NETJAILCTL" list
    assert_contains "$out" theirs
    assert_lacks "$out" roots
    [ "$(LC_ALL=C tr -d '\n\040-\176' <<< "$out" | wc -c)" = 0 ] || fail "list: $(od -c <<< "$out")"
    assert_status 0 timeout 10 "$NETJAILCTL" list --json
    for command in 'status theirs' 'exec theirs -- true' 'capture theirs' 'log theirs' 'delete theirs' 'delete roots'; do
        # shellcheck disable=SC2086 # words
        run timeout 20 "$NETJAILCTL" $command < /dev/null
        case $status in 0 | 124 | 139) fail "$command: status $status, $out $err" ;; esac
        kill -0 $victim || fail "$command ended a process of root"
    done
    assert_status 0 timeout 20 "$NETJAILCTL" gc
    assert_equal "$(stat -c %u "$own/noise.lease")" "$TEST_UID"
    assert_status 0 timeout 20 "$NETJAIL" -q --wait-clean --name theirs true
    stop_processes
    rm -rf "/run/user/$TEST_UID" /run/other
}

run_tests "$@"
