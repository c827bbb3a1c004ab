#!/usr/bin/env bash
# Every example of README.md and the manuals. Policies stand between `.Bd -literal -compact` (manuals) or
# ```conf (README) and the end of the block; each must pass `netjailctl check` and be startable by root.
. "$(dirname "$0")/lib.sh"

extract_policies() { # extract_policies FILE: writes $T/example-FILE-N.conf
    awk -v out="$T/example-$(basename "$1")" '
        /^```conf/ || /^\.\\" policy$/ { n++; inside = 1; next }
        inside && (/^```/ || /^\.Ed/) { inside = 0 }
        inside && /^\.Bd/ { next }
        inside {
            gsub(/\\&/, ""); gsub(/\\-/, "-"); gsub(/\\e/, "\\")
            print > (out "-" n ".conf")
        }' "$1"
}

root_every_policy_of_the_documents() {
    local document file count=0
    for document in "$TEST_TOP/README.md" "$TEST_TOP"/man/*.[1-8]; do
        extract_policies "$document"
    done
    for file in "$T"/example-*.conf; do
        count=$((count + 1))
        assert_status 0 "$NETJAILCTL" check "$file"
        assert_status 0 "$NETJAIL" -q --wait-clean -p "$file" true
    done
    [ "$count" -ge 5 ] || fail "only $count examples were found"
}

both_every_option_of_the_manual_exists() {
    local option
    run "$NETJAIL" --help
    for option in $(grep -oE '^\.It Fl [-A-Za-z, ]+' "$TEST_TOP/man/netjail.1" | grep -oE 'Fl -[a-z-]+' | grep -v json | sed 's/Fl -/--/' | sort -u); do
        assert_contains "$out" "$option"
    done
}

both_every_statement_of_the_manual_is_known() {
    local word
    for word in $(sed -n '/^\.Sh STATEMENTS/,/^\.Sh /p' "$TEST_TOP/man/netjail.conf.5" | awk '/^\.Bl/{depth++} /^\.El/{depth--} depth == 1 && /^\.It Cm/{print $3}' | sort -u); do
        echo "$word" > "$T/word.conf"
        run "$NETJAILCTL" check "$T/word.conf"
        assert_lacks "$out$err" "unknown statement"
    done
}

run_tests "$@"
