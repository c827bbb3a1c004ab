#!/bin/bash
# Attacks by a member of the group `netjail`, who may write leases, on what is not his: names in /run/netns, processes, jails.
# shellcheck disable=SC2154 # out, err and status are set by run
. "$(dirname "$0")/lib.sh"

readonly GROUP=64999

# The state directory as tmpfiles.d makes it for units with User=.
shared_directory() {
    cp /etc/group "$T/group"
    echo "netjail:x:$GROUP:" >> "$T/group"
    mount --bind "$T/group" /etc/group
    install -d -m 0775 -g $GROUP /run/netjail
}
not_shared() {
    umount /etc/group
    rm -rf /run/netjail
}

as_member() { setpriv --reuid="$TEST_UID" --regid=$GROUP --clear-groups "$@"; }

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

run_tests "$@"
