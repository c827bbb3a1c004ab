#!/usr/bin/env bash
# make try: the guided tour runs to its end, as root and as an ordinary user.
. "$(dirname "$0")/lib.sh"

both_tour() {
    assert_status 0 bash "$TEST_TOP/tests/try" "$(dirname "$NETJAIL")"
    assert_contains "$out" 'all as before'
    assert_contains "$out" 'hello from'
    assert_contains "$out" refused
    assert_contains "$out" 'table inet netjail'
}

run_tests "$@"
