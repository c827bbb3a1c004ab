#!/usr/bin/env bash
# SIGKILL of netjail at any moment: the command ends with it, and the next start or gc removes the rest.
. "$(dirname "$0")/lib.sh"

killed_policy() {
    policy killed <<'POLICY'
network k_br { address 10.75.0.1/24 ; address fd00:75::1/64 ; nat }
name killed
link eth0 bridge k_br { address 10.75.0.5/24 ; address fd00:75::5/64 }
publish any:8080 to 80
allow out tcp port 7
POLICY
}

no_jail_process() { ! pgrep -x tail > /dev/null && ! pgrep netjail > /dev/null; }

root_running_jail_then_gc() {
    start_jail one -q -p "$(killed_policy)" -- bash -c 'echo up; exec tail -f /dev/null'
    wait_for_file "$T/jail-one.out"
    ip link show k_br > /dev/null
    kill -KILL "$JAIL_PID"
    wait "$JAIL_PID" || :
    wait_for 5 no_jail_process
    assert_status 0 "$NETJAILCTL" gc
    ! ip link show k_br > /dev/null 2>&1 || fail "gc left the bridge"
    assert_equal "$(nft list ruleset)" "" "ruleset of the host after gc"
    assert_equal "$(cat /proc/sys/net/ipv4/conf/up0/forwarding)" 0 "forwarding of the uplink"
}

root_running_jail_then_the_same_again() {
    local i
    for i in 1 2 3; do
        start_jail one -q -p "$(killed_policy)" -- bash -c 'echo up; exec tail -f /dev/null'
        wait_for 10 eval "grep -q up '$T/jail-one.out' || ! kill -0 $JAIL_PID"
        jail_runs_or_fail one
        kill -KILL "$JAIL_PID"
        wait "$JAIL_PID" || :
    done
    wait_for 5 no_jail_process
    assert_status 0 "$NETJAIL" -q --wait-clean -p "$(killed_policy)" true
}

root_another_jails_start_cleans_up() {
    start_jail one -q -p "$(killed_policy)" -- bash -c 'echo up; exec tail -f /dev/null'
    wait_for_file "$T/jail-one.out"
    kill -KILL "$JAIL_PID"
    wait "$JAIL_PID" || :
    wait_for 5 no_jail_process
    policy next > /dev/null <<'POLICY'
network n_br { address 10.76.0.1/24 }
link eth0 bridge n_br { address auto }
POLICY
    assert_status 0 "$NETJAIL" -q --wait-clean -p "$T/next.conf" true
}

# Who dies while a start cleans up after another was alive when it looked, and is not there when it looks again. strace
# makes the start slow at that place.
root_one_dies_while_another_is_cleaned_up() {
    command -v strace > /dev/null || skip 'strace is not installed'
    local pid code=0
    printf 'network k_br { address 10.75.0.1/24 }\nlink eth0 bridge k_br { address auto }\n' | policy storm > /dev/null
    idle_jail one "$T/storm.conf"
    idle_jail two "$T/storm.conf"
    kill -KILL "${JAILS[one]}"
    wait "${JAILS[one]}" || :
    wait_for 5 eval '[ "$(pgrep -xc tail)" = 1 ]'
    strace -qq -o /dev/null -e trace=unlinkat -e inject=unlinkat:delay_enter=1000000 "$NETJAIL" -q -p "$T/storm.conf" true 2> "$T/third" &
    pid=$!
    remember_process "$pid"
    wait_for 5 eval '[ "$(find /run/netjail -type s | wc -l)" = 1 ]' # the first of three things is removed
    kill -KILL "${JAILS[two]}"
    wait "${JAILS[two]}" || :
    wait "$pid" || code=$?
    assert_equal "$code $(cat "$T/third")" '0 ' 'the start that cleaned up'
    "$NETJAILCTL" gc > /dev/null
}

root_a_living_jail_on_the_same_network_is_unharmed() {
    local file
    file=$(killed_policy)
    sed 's/^name killed/name living/; s/75\.0\.5/75.0.6/; s/75::5/75::6/; /^publish/d; s/^allow.*/allow in tcp port 80/' \
        "$file" > "$T/living.conf"
    serve_in_jail living "$T/living.conf" tcp 0.0.0.0 80
    start_jail one -q -p "$file" -- bash -c 'echo up; exec tail -f /dev/null'
    wait_for_file "$T/jail-one.out"
    kill -KILL "$JAIL_PID"
    wait "$JAIL_PID" || :
    assert_status 0 "$NETJAILCTL" gc
    assert_connect ok -- tcp 10.75.0.6 80
    end_jail living
}

# The moment of the kill wanders over start and run: delays are in steps of a start's own length.
root_random_moments() {
    local file i delay
    file=$(killed_policy)
    for i in $(seq 40); do
        delay=$(awk -v i="$i" 'BEGIN { printf "%.4f", i * 0.0008 + (i % 7) * 0.0001 }')
        "$NETJAIL" -q -p "$file" tail -f /dev/null > /dev/null 2>&1 &
        local pid=$!
        read -rt "$delay" <> <(:) || :
        kill -KILL "$pid" 2> /dev/null || :
        wait "$pid" 2> /dev/null || :
        wait_for 5 no_jail_process
    done
    assert_status 0 "$NETJAILCTL" gc
    assert_status 0 "$NETJAIL" -q --wait-clean -p "$file" true
}

user_random_moments() {
    local i delay pid
    for i in $(seq 30); do
        delay=$(awk -v i="$i" 'BEGIN { printf "%.4f", i * 0.0006 }')
        "$NETJAIL" -q -P 8080:80 tail -f /dev/null > /dev/null 2>&1 &
        pid=$!
        read -rt "$delay" <> <(:) || :
        kill -KILL "$pid" 2> /dev/null || :
        wait "$pid" 2> /dev/null || :
        wait_for 5 no_jail_process
    done
    assert_status 0 "$NETJAILCTL" gc
    assert_status 0 "$NETJAIL" -q -P 8080:80 true
}

root_killed_service_opens_nothing() {
    start_jail one -q -p "$(killed_policy)" -- "$NET" serve tcp 0.0.0.0 80
    wait_for 10 jail_listens one tcp 80
    assert_connect ok -- tcp 127.0.0.1 8080
    local pid
    pid=$(pgrep netjail-service) || pid=$(pgrep -f netjail-service)
    kill -KILL $pid
    wait_for 5 eval "! kill -0 ${pid%%$'\n'*}"
    assert_no_connect -- tcp 127.0.0.1 8080
    end_jail one
}

run_tests "$@"
