#!/usr/bin/env bash
# netjailctl: check, list, gc, doctor.
. "$(dirname "$0")/lib.sh"

both_check() {
    local ready # those with a parameter: policies.sh
    mapfile -t ready < <(grep -L "^param " "$TEST_TOP"/policies/*.conf)
    assert_status 0 "$NETJAILCTL" check "${ready[@]}"
    printf 'allow out tpc\nallow up\n' > "$T/bad.conf"
    run "$NETJAILCTL" check "$T/bad.conf"
    assert_equal "$status" 3 "exit status for policy errors"
    assert_contains "$out$err" bad.conf:1:11
    assert_contains "$out$err" bad.conf:2:7
    assert_status 2 "$NETJAILCTL" check
    assert_status 2 "$NETJAILCTL" nosuchcommand
    assert_status 2 "$NETJAILCTL"
}

# One value for several policies: one of them has to take it.
both_values_for_several_policies() {
    local pair=("$TEST_TOP/policies/pip.conf" "$TEST_TOP/policies/npm.conf")
    assert_status 0 "$NETJAILCTL" check -D registry=registry.example.org "${pair[@]}"
    assert_status 1 "$NETJAILCTL" diff -D registry=registry.example.org "${pair[@]}"
    assert_contains "$out" registry.example.org
    assert_status 3 "$NETJAILCTL" check -D registry=registry.example.org -D regitry=x "${pair[@]}"
    assert_contains "$err" "-D regitry: none of the policies"
    [[ $err != *"-D registry:"* ]] || fail "$err"
    assert_status 3 "$NETJAILCTL" diff -D registry=x "${pair[0]}" "${pair[0]}"
    assert_status 3 "$NETJAILCTL" plan -D registry=x "${pair[0]}"
    assert_contains "$err" "-D registry: the policy has no such"
}

both_list() {
    assert_status 0 "$NETJAILCTL" list --json
    jq -e 'length == 0' <<< "$out" > /dev/null || fail "no jail, but: $out"
    start_jail one -q --name one -- bash -c 'echo up; exec tail -f /dev/null'
    wait_for_file "$T/jail-one.out"
    wait_for 5 eval '"$NETJAILCTL" list | grep -q one'
    assert_status 0 "$NETJAILCTL" list
    assert_contains "$out" one
    assert_contains "$out" "$JAIL_PID"
    assert_status 0 "$NETJAILCTL" list --json
    assert_equal "$(jq -r '.[0].name' <<< "$out")" one
    assert_equal "$(jq -r '.[0].pid' <<< "$out")" "$JAIL_PID"
    end_jail one
    wait_for 5 eval '[ "$("$NETJAILCTL" list --json | jq length)" = 0 ]'
}

root_list_shows_addresses_and_policy() {
    start_jail web -q -p "$TEST_TOP/policies/web.conf" -- bash -c 'echo up; exec tail -f /dev/null'
    wait_for_file "$T/jail-web.out"
    assert_status 0 "$NETJAILCTL" list
    assert_contains "$out" 10.10.0.10
    assert_contains "$out" fd00:10:10::10
    assert_contains "$out" web.conf
    end_jail web
}

both_name_of_a_running_jail_is_taken() {
    start_jail one -q --name one -- bash -c 'echo up; exec tail -f /dev/null'
    wait_for_file "$T/jail-one.out"
    assert_status 125 "$NETJAIL" -q --name one true
    assert_contains "$err" one
    end_jail one
    assert_status 0 "$NETJAIL" -q --name one true
}

both_gc_without_anything_to_do() {
    assert_status 0 "$NETJAILCTL" gc
}

both_doctor() {
    run "$NETJAILCTL" doctor
    [ "$status" -le 1 ] || fail "doctor: exit status $status: $err"
    assert_contains "$out" kernel
    # Jails run here, as every other test shows: so it has to find.
    assert_contains "$out" 'ok         jail without network'
    [ "$(id -u)" != 0 ] || assert_contains "$out" 'ok         bridge, veth, NAT, publish'
    run "$NETJAILCTL" doctor --json
    jq -e . <<< "$out" > /dev/null || fail "not JSON: $out"
}

both_help() {
    assert_status 0 "$NETJAILCTL" help
    assert_contains "$out" 'usage: netjailctl'
}

# Each message a line, whatever the command.
both_errors_as_json() {
    local p
    p=$(policy wrong <<< 'allow out tpc')
    for command in "plan $p" "why $p 'out tcp 10.0.0.1 80'" "diff $p $p" 'plan missing.conf' 'status nobody'; do
        run eval "\"\$NETJAILCTL\" $command --json"
        [ "$status" != 0 ] || fail "$command succeeded"
        jq -es 'length > 0 and all(.severity == "error" and .text != "")' <<< "$err" > /dev/null || fail "$command: $err"
    done
}

root_dry_run_changes_nothing() {
    assert_status 0 "$NETJAIL" -q -n -p "$TEST_TOP/policies/none.conf" echo ran
    assert_lacks "$out" $'\nran'
    run "$NETJAIL" -n -p "$TEST_TOP/policies/web.conf" echo ran
    assert_contains "$out" app_br
    ! ip link show app_br > /dev/null 2>&1 || fail "a dry run made the bridge"
}

run_tests "$@"
