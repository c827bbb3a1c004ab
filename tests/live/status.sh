#!/bin/bash
# netjailctl status, top, log and the columns of list: what a running jail does.
# shellcheck disable=SC2154 # out, err and status are set by run
. "$(dirname "$0")/lib.sh"

root_counters_per_line() {
    policy web > /dev/null << 'END'
name web
network nb { address 10.99.0.1/24; address fd00:99:1::1/64; nat }
link eth0 bridge nb { address 10.99.0.5/24; address fd00:99:1::5/64 }
allow out tcp to 192.0.2.100 port 7000
deny out tcp to 192.0.2.100 port 7001
END
    serve_outside tcp 192.0.2.100 7000
    start_jail web -q -p "$T/web.conf" sh -c 'echo up; exec sleep 1000'
    wait_for_file "$T/jail-web.out"
    for i in 1 2 3; do "$NETJAILCTL" exec web -- "$NET" try tcp 192.0.2.100 7000 > /dev/null; done
    "$NETJAILCTL" exec web -- "$NET" try tcp 192.0.2.100 7001 > /dev/null || :
    "$NETJAILCTL" exec web -- "$NET" try tcp 192.0.2.100 7002 > /dev/null || :
    assert_status 0 "$NETJAILCTL" status --json web
    assert_equal "$(printf '%s' "$out" | jq '[.rules[] | select(.rule | endswith("web.conf:4")) | .packets] | add')" 3
    assert_equal "$(printf '%s' "$out" | jq '[.rules[] | select(.rule | endswith("web.conf:5")) | .packets] | add')" 1
    assert_equal "$(printf '%s' "$out" | jq -r '.name, .counters.denied >= 2')" $'web\ntrue'
    assert_status 0 "$NETJAILCTL" status web
    assert_contains "$out" "addresses  eth0 10.99.0.5/24 on nb"
    printf '%s\n' "$out" | grep -qE '^denied +[0-9]+ packets refused or dropped' || fail "no sum: $out"
    printf '%s\n' "$out" | grep -qE '^ +3 +[0-9]+  allow    out       .*web.conf:4$' || fail "no line for web.conf:4: $out"
    run "$NETJAILCTL" top --json
    assert_equal "$(printf '%s' "$out" | jq -r '.[0].counters.denied >= 2')" true
    # What the counters hang on is nothing that nft shows.
    assert_lacks "$(jail_exec web nft list ruleset)" comment
    end_jail web
}

# A user reads the counters of its own jail.
both_own_jail() {
    start_jail web -q --name web -e 'allow in' -P 8471:80 sh -c 'echo up; exec sleep 1000'
    wait_for_file "$T/jail-web.out"
    assert_status 0 "$NETJAILCTL" status web
    assert_contains "$out" "state      running, supervisor ${JAILS[web]} of user $(id -u)"
    assert_contains "$out" "PACKETS"
    assert_contains "$out" "loopback:8471/tcp (IPv4) leads to port 80"
    assert_contains "$out" "loopback:8471/tcp (IPv6) leads to port 80"
    assert_status 0 "$NETJAILCTL" top
    printf '%s\n' "$out" | grep -qE '^web +[0-9]+ .* 0B +0B +0$' || fail "top: $out"
    assert_status 1 "$NETJAILCTL" status nobody
    assert_contains "$err" "no jail 'nobody' is running"
    end_jail web
}

both_log() {
    start_jail quiet -q --name quiet sh -c 'echo up; exec sleep 1000'
    wait_for_file "$T/jail-quiet.out"
    assert_status 1 "$NETJAILCTL" log quiet
    assert_contains "$err" "has no denial log"
    assert_contains "$err" "log denied to file PATH"
    end_jail quiet
    start_jail loud -q --name loud --log stderr sh -c 'echo up; exec sleep 1000'
    wait_for_file "$T/jail-loud.out"
    assert_status 1 "$NETJAILCTL" log loud
    assert_contains "$err" "goes to its standard error"
    end_jail loud
    start_jail loud -q --name loud --log denied.log sh -c 'echo up; exec sleep 1000' # cwd is $T
    wait_for_file "$T/jail-loud.out"
    "$NETJAILCTL" log -f loud > "$T/followed" &
    local follower=$!
    echo "a line of the log" >> "$T/denied.log"
    wait_for 5 grep -q "a line of the log" "$T/followed"
    end_jail loud
    wait $follower || fail "log -f ended with $?"
}

# On a terminal long paths are cut so that a jail is a line; elsewhere nothing is cut.
both_list_columns() {
    local deep=$T/a-rather-long-directory/and-another-long-one
    mkdir -p "$deep"
    printf 'name web\n' > "$deep/web.conf"
    chmod -R go-w "$T"
    start_jail web -q -p "$deep/web.conf" sh -c 'echo up; exec sleep 1000'
    wait_for_file "$T/jail-web.out"
    assert_contains "$("$NETJAILCTL" list)" "$deep/web.conf"
    run script -qec "stty cols 90; $NETJAILCTL list" /dev/null
    assert_contains "$out" "web.conf"
    assert_lacks "$out" "$deep"
    assert_equal "$(printf '%s\n' "$out" | tr -d '\r' | awk 'length > 90' | wc -l)" 0
    end_jail web
}

# Messages as lines of JSON, whatever is wrong; -v says which protections are there.
both_json_messages() {
    run "$NETJAIL" --json -v --name web true
    assert_equal "$status" 0
    printf '%s\n' "$err" | jq -e . > /dev/null || fail "no JSON: $err"
    assert_contains "$(printf '%s\n' "$err" | jq -r .text)" "protections: no_new_privs, seccomp, no capability"
    run "$NETJAIL" --json -e 'allow out tpc to "a\"b"' true
    assert_equal "$status" 125
    assert_equal "$(printf '%s\n' "$err" | jq -r 'select(.text | test("tpc")) | [.severity, .file, .column, .hint] | join("|")')" \
        "error|option --statement|11|did you mean 'tcp'?"
    run "$NETJAIL" --json --nonsense
    assert_equal "$(printf '%s\n' "$err" | jq -r .severity)" error
    run "$NETJAIL" --json "$(printf 'no\e[31m"such\\')"
    assert_equal "$status" 127
    printf '%s\n' "$err" | jq -e . > /dev/null || fail "no JSON: $err"
}

# Names of files that are no text, or that a terminal would obey, are shown so that one sees it.
both_names_that_are_no_text() {
    local file=$T/$'a\e[31m\nb.conf' program=$T/$'c\xff\e]0;x\a' command
    printf 'allow in\n' > "$file"
    chmod 644 "$file"
    cp "$(command -v sleep)" "$program"
    start_jail odd -q --name odd -p "$file" -- "$program" 1000
    wait_for 10 eval '"$NETJAILCTL" list | grep -q odd'
    for command in list 'status odd' top; do
        # shellcheck disable=SC2086 # words
        assert_status 0 "$NETJAILCTL" $command
        [ "$(LC_ALL=C tr -d '\n\040-\176' <<< "$out" | wc -c)" = 0 ] || fail "$command: $(od -c <<< "$out")"
    done
    assert_status 0 "$NETJAILCTL" list --json
    assert_equal "$(jq -r '.[0].name, .[0].command' <<< "$out")" $'odd\n'"$T/"'c\xff\x1b]0;x\x07'
    assert_status 0 "$NETJAILCTL" status --json odd
    assert_equal "$(jq -r .name <<< "$out")" odd
    end_jail odd
}

# A lease is its user's word: root does not open for it what is somebody else's, nor what is no file.
root_logs_of_others() {
    local make own=$T/own
    install -d -m 700 -o "$TEST_UID" -g "$TEST_UID" "/run/user/$TEST_UID" "$own"
    setpriv --reuid="$TEST_UID" --regid="$TEST_UID" --clear-groups env XDG_RUNTIME_DIR="/run/user/$TEST_UID" \
        "$NETJAIL" -q --name loud --log "$own/log" -- sh -c 'echo up; exec tail -f /dev/null' > "$T/up" &
    remember_process $!
    wait_for_file "$T/up"
    echo 'a line' > "$own/log"
    assert_status 0 "$NETJAILCTL" log loud
    assert_equal "$out" 'a line'
    install -m 600 /dev/null "$own/secret"
    echo secret > "$own/secret"
    for make in 'ln -s secret' 'ln -s /dev/null' mkfifo 'ln -s nowhere' mkdir; do
        rm -rf "$own/log"
        $make "$own/log"
        run timeout 5 "$NETJAILCTL" log loud
        case $status in 1 | 4) ;; *) fail "with $make: status $status" ;; esac
        assert_equal "$out" ''
    done
    kill "${PROCESSES[-1]}"
    wait "${PROCESSES[-1]}" || :
    wait_for 10 eval '[ -z "$(ls "/run/user/$TEST_UID/netjail" 2> /dev/null)" ]'
    rm -rf "/run/user/$TEST_UID" "$own"
}

run_tests "$@"
