#!/usr/bin/env bash
# 200 starts and stops, 20 at a time: none fails, nothing is left.
. "$(dirname "$0")/lib.sh"
TEST_TIMEOUT=180

many() { # many CMD...: 200 times, 20 at a time; prints how many failed
    seq 200 | xargs -P 20 -I @NUMBER@ sh -c '"$@" > "$T/many-@NUMBER@" 2>&1 || echo @NUMBER@' - "$@" > "$T/failed"
    local first
    first=$(head -n1 "$T/failed")
    [ -z "$first" ] || fail "$(wc -l < "$T/failed") of 200 failed, e.g. $first: $(cat "$T/many-$first")"
    rm -f "$T"/many-*
}

root_200_jails_on_one_bridge() {
    policy many > /dev/null <<'POLICY'
network m_br { address 10.78.0.1/20 ; address fd00:78::1/64 ; nat }
link eth0 bridge m_br { address auto }
allow out tcp port 7
POLICY
    many "$NETJAIL" -q -p "$T/many.conf" true
    assert_status 0 "$NETJAIL" -q --wait-clean true
}

both_200_jails_without_a_policy() {
    many "$NETJAIL" -q true
}

user_200_jails_with_a_service() {
    seq 200 | xargs -P 20 -I @NUMBER@ \
        sh -c '"$1" -q -P $((10000 + @NUMBER@)):80 true > "$T/p-@NUMBER@" 2>&1 || echo @NUMBER@' - "$NETJAIL" > "$T/failed"
    assert_equal "$(wc -l < "$T/failed")" 0 "failed starts"
}

run_tests "$@"
