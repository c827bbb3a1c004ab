#!/usr/bin/env bash
# link relay, TCP: what the rules admit is carried, with the outcome of the outside, and nothing else is.
. "$(dirname "$0")/lib.sh"

prepare() {
    serve_outside tcp 0.0.0.0 7 tcp :: 7 tcp 0.0.0.0 8 tcp :: 8
}

relayed() { # relayed RULE...: a policy with link relay and these rules
    { echo 'link relay'; printf '%s\n' "$@"; } | policy relayed
}

both_carries_what_the_rules_admit() {
    local file
    file=$(relayed 'allow out tcp port 7')
    assert_connect "ok hello from $INTERNET4 to $HOST4" "$NETJAIL" -p "$file" -- tcp "$INTERNET4" 7
    assert_connect "ok hello from $INTERNET6 to $HOST6" "$NETJAIL" -p "$file" -- tcp "$INTERNET6" 7
    assert_connect refused "$NETJAIL" -p "$file" -- tcp "$INTERNET4" 8
    assert_connect refused "$NETJAIL" -p "$file" -- tcp "$INTERNET6" 8
}

run_tests "$@"
