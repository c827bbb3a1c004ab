#!/usr/bin/env bash
# Nothing left to take: memory, descriptors, processes, namespaces, bridge ports, disk. The jail is as strong as ever, or
# there is none, one sentence says why, and nothing is left.
. "$(dirname "$0")/lib.sh"
export TEST_TIMEOUT=170

make_probe() {
    XDG_RUNTIME_DIR="$T" "${CC:-cc}" -O1 -static -o "$T/probe" "$LIVE_DIR/probe.c" || fail probe.c
    chmod 755 "$T/probe"
}

# under LIMIT NETJAIL-OPTION...: one run with a `ulimit`; what the probe found, or how it was refused.
under() {
    local limit=$1
    shift
    rm -f "$T/result"
    run bash -c 'ulimit '"$limit"' 2> /dev/null; exec "$@"' - "$NETJAIL" -q --wait-clean "$@" "$T/probe" "$T/result" ${LINK:-}
    case $(cat "$T/result" 2> /dev/null):$status in
    strong:*) RAN=$((RAN + 1)) ;;
    # 126: the command's own exec; 127, 139: the loader's end before a line of ours.
    :125 | :126) REFUSED=$((REFUSED + 1)) && assert_contains "$err" netjail ;;
    :127 | :139 | :137) REFUSED=$((REFUSED + 1)) ;;
    *) fail "ulimit $limit: found '$(cat "$T/result")', status $status, $out $err" ;;
    esac
    case $err in *' left'* | *'gc'*) "$NETJAILCTL" gc > /dev/null || : ;; esac
    pgrep -x netjail > /dev/null && wait_for 5 eval '! pgrep -x netjail'
    :
}

sweep() { # sweep NETJAIL-OPTION...: through all limits, from nothing to enough
    local n
    RAN=0 REFUSED=0
    make_probe
    for n in 3 4 5 6 8 10 12 14 16 18 20 22 24 26 28 32 48 64; do under "-n $n" "$@"; done
    for n in 500 1000 2000 2500 3000 3500 4000 4500 5000 6000 7000 8000 10000 20000; do under "-v $n" "$@"; done
    for n in 0 40 80 120 160 200 300 400 800; do under "-d $n" "$@"; done
    for n in 16 64 100 128 200 256 512; do under "-s $n" "$@"; done
    [ "$(id -u)" = 0 ] || for n in 1 2 3 4 5 8 16; do under "-u $n" "$@"; done
    [ "$RAN" -ge 10 ] || fail "only $RAN runs had enough"
    [ "$REFUSED" -ge 10 ] || fail "only $REFUSED runs had too little"
}

both_every_limit() { sweep; }

# What netjail cannot work with it says, before it is in trouble.
both_small_stacks() {
    local n
    for n in 32 64 128 255; do
        assert_status 125 bash -c 'ulimit -s '$n'; exec "$@"' - "$NETJAIL" -P 8098:80 sh -c 'echo ran'
        assert_equal "$out" ''
        assert_contains "$err" 'the limit of the stack is below'
        run bash -c 'ulimit -s '$n'; exec "$@"' - "$NETJAILCTL" list
        assert_contains "$status: $err" '4: netjail: the limit of the stack is below'
    done
    assert_status 3 bash -c 'ulimit -s 256; exec "$@"' - "$NETJAIL" -q --wait-clean -P 8098:80 sh -c 'exit 3'
}

# Here the C library would crash before main().
both_small_data() {
    local n
    for n in 250 300 350; do
        assert_status 125 bash -c 'ulimit -d '$n'; exec "$@"' - "$NETJAIL" -q sh -c 'echo ran'
        assert_contains "$err" 'the limit of data is below'
        assert_equal "$out" ''
    done
}

both_nothing_runs_with_a_descriptor_too_few() {
    local n refused=0 args
    for args in '' '-P 8098:80'; do
        for n in {5..40}; do
            # shellcheck disable=SC2086 # options
            run bash -c 'ulimit -n '$n'; exec "$@"' - "$NETJAIL" -q --wait-clean $args echo ran
            case $status:$out in
            0:ran) ;;
            125:) refused=$((refused + 1)) ;;
            *) fail "with ulimit -n $n: $status $out $err" ;;
            esac
        done
    done
    [ "$refused" -ge 6 ] || fail "only $refused runs had too few"
}

# A lease that cannot be opened for want of them is no lease that is not there.
both_too_few_descriptors_hide_no_jail() {
    start_jail hidden -q --name hidden -- sh -c 'echo up; exec tail -f /dev/null'
    wait_for_file "$T/jail-hidden.out"
    wait_for 5 eval '"$NETJAILCTL" list | grep -q hidden'
    assert_status 4 bash -c 'ulimit -n 5; exec "$@"' - "$NETJAILCTL" list
    assert_contains "$err" "cannot read the lease 'hidden.lease': Too many open files"
    end_jail hidden
}

both_too_few_descriptors_have_a_name() {
    local n refused=0
    for n in 5 8 10 12 16 20 64; do
        run bash -c 'ulimit -n '$n'; exec "$@"' - "$NETJAIL" -q --wait-clean -P 8098:80 true
        [ "$status" != 0 ] || continue
        assert_equal "$status" 125 "with ulimit -n $n: $err"
        assert_contains "$err" 'Too many open files'
        assert_contains "$err" 'hint: the limit of open files is too low: ulimit -n'
        refused=$((refused + 1))
    done
    [ "$refused" -ge 3 ] || fail "only $refused runs had too few"
    assert_equal "$status" 0 'with 64 descriptors'
    [ "$(id -u)" != 0 ] || return 0 # who has no such limit
    assert_status 125 bash -c 'ulimit -u 1; exec "$@"' - "$NETJAIL" -q true
    assert_contains "$err" 'hint: the limit of processes is reached: see ulimit -u'
}

# Limits that are in nobody's way: the jail is as ever, and the command has them.
both_other_limits() {
    local limit
    make_probe
    for limit in '-c 0' '-l 0' '-i 0' '-q 0' '-t 5' '-R 100000' '-e 0' '-r 0' '-x 0' '-m 0'; do
        rm -f "$T/result"
        assert_status 0 bash -c "ulimit $limit"' || exit 77; exec "$@"' - "$NETJAIL" -q --wait-clean -P 8098:80 "$T/probe" "$T/result"
        assert_equal "$(cat "$T/result")" strong "with ulimit $limit"
        assert_equal "$(bash -c "ulimit $limit"'; exec "$@"' - "$NETJAIL" -q bash -c "ulimit ${limit% *}")" "${limit#* }"
    done
}

# No file may grow, which also a lease and a memfd are.
both_no_file_may_grow() {
    assert_status 3 bash -c 'ulimit -f 0; exec "$@" 2> >(cat)' - "$NETJAIL" -q --wait-clean sh -c 'exit 3'
    run bash -c '(ulimit -f 0; exec "$@" 2>&1) | cat; exit "${PIPESTATUS[0]}"' - "$NETJAIL" -q -P 8098:80 sh -c 'echo ran'
    assert_equal "$status" 125
    assert_contains "$out" 'netjail: '
    assert_contains "$out" 'File too large'
}
both_every_limit_with_a_service() { sweep -P 8098:80; }

root_every_limit_with_a_bridge() {
    local file
    file=$(policy limited <<'POLICY'
network l_br { address 10.81.0.1/24 ; address fd00:81::1/64 ; nat }
name limited
link eth0 bridge l_br { address 10.81.0.5/24 ; address fd00:81::5/64 }
publish any:8080 to 80
allow out tcp port 7
POLICY
    )
    LINK=eth0 sweep -p "$file"
}

# In a user namespace of its own, so that the limits are not this machine's.
user_namespaces_are_used_up() {
    local kind
    for kind in net pid mnt ipc; do
        run unshare -Ur bash -c 'echo 0 > /proc/sys/user/max_'$kind'_namespaces; exec "$0" -q sh -c "echo ran"' "$NETJAIL"
        assert_equal "$status:$out" 125: "without $kind namespaces: $err"
        assert_contains "$err" 'namespace'
    done
}

# Connections that the kernel cannot track any more, on the host or in the jail, are not taken for tracked ones.
root_full_conntrack_table() {
    local file how
    serve_outside tcp 0.0.0.0 7 tcp 0.0.0.0 8
    serve_host tcp 0.0.0.0 22
    file=$(policy full <<'POLICY'
network t_br { address 10.84.0.1/24 ; nat }
name full
link eth0 bridge t_br { address 10.84.0.5/24 }
publish 192.0.2.1:8080 to 80
allow out tcp to 192.0.2.100 port 7
POLICY
    )
    fill() { # fill [PREFIX CMD...]
        run "$@" "$LIVE_DIR/fill_conntrack.py"
        [ "$status" != 77 ] || skip "$out"
        assert_equal "$status" 0 "filling the table: $out $err"
    }
    nothing_is_open() { # what is allowed may work or not: an entry that just expired leaves room for one connection
        assert_no_connect jail_exec full -- tcp 192.0.2.100 8
        assert_no_connect jail_exec full -- tcp 10.84.0.1 22
        assert_no_connect jail_exec full -- tcp 192.0.2.1 22
        assert_no_connect -- tcp 10.84.0.5 81
        jail_runs_or_fail full
    }
    serve_in_jail full "$file" tcp 0.0.0.0 80 tcp 0.0.0.0 81
    assert_connect ok jail_exec full -- tcp 192.0.2.100 7
    assert_connect ok outside -- tcp 192.0.2.1 8080
    for how in "jail_exec full" env; do
        fill $how
        nothing_is_open
        [ "$how" = env ] || $how "$LIVE_DIR/fill_conntrack.py" empty
    done
    end_jail full
    # The host's table is full: a jail starts all the same, as closed as ever.
    assert_status 0 "$NETJAIL" -q --wait-clean -p "$file" true
    run "$NETJAIL" -q --wait-clean -p "$file" "$NET" try tcp 192.0.2.100 8
    case $out in refused | denied | unreachable | timeout) ;; *) fail "a start with a full table: $out $err" ;; esac
    "$LIVE_DIR/fill_conntrack.py" empty
    assert_connect ok "$NETJAIL" -q --wait-clean -p "$file" -- tcp 192.0.2.100 7
}

root_a_bridge_takes_1023_ports() {
    local file i
    ip link add full_br type bridge
    ip address add 10.82.0.1/24 dev full_br
    ip link set full_br up
    for i in $(seq 512); do
        printf 'link add pa%s type veth peer name pb%s\nlink set pa%s master full_br\n' "$i" "$i" "$i"
        [ "$i" = 512 ] || printf 'link set pb%s master full_br\n' "$i"
    done | ip -batch -
    assert_equal "$(ls /sys/class/net/full_br/brif | wc -l)" 1023
    file=$(policy full <<'POLICY'
network full_br { external }
link eth0 bridge full_br { address 10.82.0.5/24 ; gateway none }
POLICY
    )
    assert_status 125 "$NETJAIL" -q -p "$file" sh -c 'echo ran'
    assert_equal "$out" ''
    assert_contains "$err" 'full.conf:2:'
    ip link delete pb512
    ip link delete full_br
    for i in $(seq 511); do printf 'link delete pa%s\n' "$i"; done | ip -batch -
}

# ---- the state directory -----------------------------------------------------------------------------

state_policy() {
    policy state <<'POLICY'
network d_br { address 10.83.0.1/24 }
link eth0 bridge d_br { address auto }
POLICY
}

root_full_disk() {
    mkdir -m 700 /run/netjail
    mount -t tmpfs -o size=4k,nr_inodes=2,mode=700 tmpfs /run/netjail
    echo full > /run/netjail/full
    assert_status 125 "$NETJAIL" -q -p "$(state_policy)" sh -c 'echo ran'
    assert_equal "$out" ''
    assert_contains "$err" 'No space left'
    ! ip link show d_br 2> /dev/null || fail 'the bridge stayed'
    # A jail that changes nothing on the host can do without a record.
    assert_status 3 "$NETJAIL" -q sh -c 'exit 3'
    umount /run/netjail
    rmdir /run/netjail
}

root_read_only_run() {
    mount -o remount,ro /run
    assert_status 125 "$NETJAIL" -q -p "$(state_policy)" sh -c 'echo ran'
    assert_equal "$out" ''
    assert_contains "$err" 'Read-only'
    assert_status 3 "$NETJAIL" -q sh -c 'exit 3'
    mount -o remount,rw /run
}

# At the end root is no longer who may open everything: what cannot be recorded then is not begun.
root_state_directory_closed_to_its_owner() {
    mkdir -m 000 /run/netjail
    assert_status 125 "$NETJAIL" -q --wait-clean -p "$(state_policy)" sh -c 'echo ran'
    assert_equal "$out" ''
    assert_contains "$err" "hint: chmod u+rwx '/run/netjail'"
    ! ip link show d_br 2> /dev/null || fail 'the bridge stayed'
    assert_status 3 "$NETJAIL" -q sh -c 'exit 3'
    rmdir /run/netjail
}

# A lease that says it is of a process which is another by now, or is a second name of a file.
root_leases_that_lie() {
    local file
    file=$(state_policy)
    mkdir -m 700 /run/netjail
    start_jail one -q --name one -p "$file" -- sh -c 'echo up; exec tail -f /dev/null'
    wait_for_file "$T/jail-one.out"
    cp /run/netjail/one.lease "$T/kept"
    end_jail one
    wait_for 5 test ! -e /run/netjail # else the undo of the true one would remove ours
    mkdir -m 700 /run/netjail
    # Process 1 has this number now: a lease nobody locks is a dead jail's, whatever it says.
    sed -E "s/^(pid[ =]).*/\\11/" "$T/kept" > /run/netjail/one.lease
    echo secret > "$T/secret"
    chmod 600 "$T/secret"
    ln "$T/secret" /run/netjail/two.lease 2> /dev/null || cp "$T/secret" /run/netjail/two.lease
    assert_status 0 "$NETJAILCTL" gc
    kill -0 1 || fail 'process 1 is gone'
    assert_equal "$(cat "$T/secret")" secret
    assert_status 0 "$NETJAIL" -q --wait-clean --name one -p "$file" true
    rm -rf /run/netjail
}

# Whoever holds the lock for ever makes others fail in a time, not hang. (Only root can open the directory.)
root_a_stale_lock_is_waited_for_and_reported() {
    mkdir -m 700 /run/netjail
    flock /run/netjail tail -f /dev/null &
    local holder=$!
    remember_process "$holder"
    wait_for 5 eval '! flock -n /run/netjail true'
    assert_status 125 timeout 50 "$NETJAIL" -q -p "$(state_policy)" sh -c 'echo ran'
    assert_contains "$err" lock
    pkill -P "$holder"
    wait "$holder" || :
    rm -rf /run/netjail
}

run_tests "$@"
