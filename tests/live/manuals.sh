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

# The commands of netjail-examples(7), section by section, as they are written. Servers go into the
# background; commands with a placeholder (HOST, ./server, A#) are for the reader to fill in.
examples_commands() { # prints "SECTION<TAB>COMMAND"
    awk '/^\.S[sh] /{section = $0}
        /^\.Dl [#$] /{
            sub(/^\.Dl /, ""); gsub(/\\&/, "")
            print section "\t" substr($0, 3)
        }' "$TEST_TOP/man/netjail-examples.7" |
        sed "s|/usr/local/share/netjail/policies|$TEST_TOP/policies|g"
}

run_section() { # run_section COMMAND...: one after the other; what it started is ended
    local command pid pids=()
    for command; do
        case $command in
        *http.server* | *TCP6-LISTEN*)
            (eval "exec $command") > "$T/server" 2>&1 < /dev/null &
            pid=$!
            pids+=("$pid")
            JAILS[server]=$pid
            wait_for 15 eval 'jail_listens server tcp 80 || jail_listens server tcp 5432'
            ;;
        *'sleep infinity')
            (eval "exec $command") > "$T/server" 2>&1 < /dev/null &
            pids+=("$!")
            wait_for 15 eval "'$NETJAILCTL' list | grep -q near"
            ;;
        *) assert_status 0 timeout 20 bash -c "$command" < /dev/null ;;
        esac
    done
    for pid in "${pids[@]}"; do
        kill "$pid"
        wait "$pid" || :
    done
}

root_every_command_of_the_examples() {
    local section last='' command count=0 commands=()
    export PATH="${NETJAIL%/*}:$PATH"
    cd "$TEST_TOP/policies/examples" || fail "there are no examples"
    while IFS=$'\t' read -r section command; do
        case $command in *HOST* | *HERE* | *./server* | 'ip link '* | 'sysctl '* | 'cd '*examples) continue ;; esac
        if [ "$section" != "$last" ]; then
            run_section "${commands[@]}"
            commands=()
            last=$section
        fi
        commands+=("$command")
        count=$((count + 1))
    done < <(examples_commands)
    run_section "${commands[@]}"
    [ "$count" -ge 12 ] || fail "only $count commands were found"
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
