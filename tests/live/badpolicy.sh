#!/usr/bin/env bash
# Bad policies: each refused with one message, exit status 125, at once, and the command never runs.
. "$(dirname "$0")/lib.sh"

refused() { # refused FILE PART-OF-MESSAGE...
    local file=$1 start=$SECONDS
    shift
    assert_status 125 timeout 20 "$NETJAIL" -p "$file" echo ran
    assert_equal "$out" "" "output of a command that must not run"
    [ $((SECONDS - start)) -le 10 ] || fail "it took $((SECONDS - start)) s"
    for part in "$@"; do
        assert_contains "$err" "$part"
    done
    case $file in "$T"/*)
        assert_status 3 timeout 20 "$NETJAILCTL" check "$file" || : ;;
    esac
}

refused_by_netjail() { # the same without asking netjailctl check
    assert_status 125 timeout 20 "$NETJAIL" -p "$1" echo ran
    assert_equal "$out" ""
    [ -z "${2:-}" ] || assert_contains "$err" "$2"
}

both_missing() { refused_by_netjail "$T/missing.conf" missing.conf; }
both_directory() { mkdir "$T/dir.conf"; refused_by_netjail "$T/dir.conf" dir.conf; }
both_fifo() { mkfifo "$T/fifo.conf"; refused_by_netjail "$T/fifo.conf" fifo.conf; }
both_dev_zero() { refused_by_netjail /dev/zero /dev/zero; }
both_dev_null_is_no_regular_file() { refused_by_netjail /dev/null /dev/null; }

both_pipe() {
    refused_by_netjail <(echo 'name x') "'/dev/fd/"
    assert_contains "$err" 'is a pipe, or has been removed'
}

both_one_gibibyte() {
    truncate -s 1G "$T/big.conf"
    chmod 644 "$T/big.conf"
    refused_by_netjail "$T/big.conf" big.conf
    assert_contains "$err" 16
}

user_unreadable() {
    policy secret > /dev/null <<< 'allow out'
    chmod 000 "$T/secret.conf"
    refused_by_netjail "$T/secret.conf" secret.conf
}

both_nul_byte() {
    printf 'name a\nallow \0out\n' > "$T/nul.conf"
    refused "$T/nul.conf" nul.conf:2:7
}

both_invalid_utf8() {
    printf 'name a\nallow \xff\xfe out\n' > "$T/utf.conf"
    refused "$T/utf.conf" utf.conf:2:7
}

both_control_characters_are_not_printed_raw() {
    printf 'name \033[31mred\n' > "$T/escape.conf"
    refused "$T/escape.conf" escape.conf:1:6
    assert_lacks "$err" $'\033'
}

both_crlf_is_accepted_or_named() {
    printf 'name crlf\r\nallow out tcp port 80\r\n' > "$T/crlf.conf"
    run "$NETJAIL" -q -p "$T/crlf.conf" true
    if [ "$status" -ne 0 ]; then
        assert_equal "$status" 125
        assert_contains "$err" crlf.conf:1
    fi
}

both_no_final_newline() {
    printf 'name last' > "$T/last.conf"
    assert_status 0 "$NETJAIL" -q -p "$T/last.conf" printenv NETJAIL_NAME
    assert_equal "$out" last
}

# What a script hands over as a port, a name or a rule ends no statement to begin another.
both_an_option_is_one_statement() {
    local option
    for option in '-P=80:80/tcp; allow out' $'-P=80:80/tcp\nallow out' '--allow=out tcp; default out allow' '--deny=out udp; default in allow' \
        '--dns=192.0.2.1 }; default out allow; dns { search a.b' '--allow=out tcp log "a\\"; default out allow'; do
        assert_status 125 "$NETJAIL" -q -e 'link relay' "${option%%=*}" "${option#*=}" true
        assert_contains "$err" "this is more than one statement"
    done
    # In quotes it is text, and -e is for whoever may say anything.
    assert_status 0 "$NETJAIL" -q -n --allow 'out tcp log "a\"; b"' true
    assert_status 0 "$NETJAIL" -q -n -e 'link relay; allow out tcp' true
}

both_include_loop() {
    echo 'include b.conf' > "$T/a.conf"
    echo 'include a.conf' > "$T/b.conf"
    refused "$T/a.conf" a.conf
}

both_include_of_itself() {
    echo 'include a.conf' > "$T/a.conf"
    refused "$T/a.conf" a.conf:1
}

both_include_missing() {
    echo 'include nowhere.conf' > "$T/a.conf"
    refused "$T/a.conf" a.conf:1:9 nowhere.conf
}

# One file may be included as often as a text says so: neither time nor memory is spent on it.
both_includes_without_end() {
    echo '# x' > "$T/once.conf"
    yes 'include once.conf' | head -n 100000 > "$T/many.conf"
    (ulimit -v 500000; refused "$T/many.conf" 'many.conf:1001:9: error: more than 1000 files')
    assert_equal "$(ulimit -v 500000; "$NETJAIL" -p "$T/many.conf" true 2>&1 | grep -c error:)" 1 'errors'
    head -c 16000000 /dev/zero | tr '\0' '#' > "$T/large.conf"
    yes 'include large.conf' | head -n 100 > "$T/many.conf"
    (ulimit -v 500000; refused "$T/many.conf" 'many.conf:3:9: error: more than 16 MiB are included')
    truncate -s 0 "$T/large.conf"
    head -c 67000000 /dev/zero | tr '\0' '#' > "$T/list"
    seq -f 'define l%g file list' 100 > "$T/many.conf"
    chmod 644 "$T/list"
    (ulimit -v 2000000; refused "$T/many.conf" 'the lists are larger than 256 MiB together')
}

both_syntax_errors_with_position() {
    local text expected n=0
    while IFS='|' read -r text expected; do
        n=$((n + 1))
        printf '%b\n' "$text" > "$T/e$n.conf"
        refused "$T/e$n.conf" "e$n.conf:$expected"
    done <<'CASES'
allow out tpc to 10.0.0.5 port 5432|1:11
allow out tcp port 0|1:20
allow out tcp port 65536|1:20
allow out to 10.0.0.1/8|1:14
allow out to 10.0.0.256|1:14
nonsense|1:1
name a\nname b|2:
link abcdefghijklmnop bridge br0 { address auto }|1:6
allow out to $nothing|1:14
capabilities keep fly|1:19
link eth0 bridge br0 {|1:
CASES
}

both_all_errors_of_a_file_in_one_run() {
    printf 'allow out tpc\nallow up\ndefault in maybe\n' > "$T/three.conf"
    run "$NETJAIL" -p "$T/three.conf" true
    assert_contains "$err" three.conf:1:11
    assert_contains "$err" three.conf:2:7
    assert_contains "$err" three.conf:3:12
}

# The word or the letter that is none of the options, not its neighbours; and what it may have meant.
both_unknown_option_is_named() {
    local word named words
    while IFS='|' read -r word named; do
        read -ra words <<< "$word"
        assert_status 125 "$NETJAIL" "${words[@]}" true
        assert_contains "$err" "unknown option '$named'"
    done << 'END'
-ntrue|-t
-q -nzv|-z
--json -zq|-z
-x|-x
--polcy=x|--polcy=x
END
    assert_contains "$err" "did you mean '--policy'?"
    assert_status 2 "$NETJAILCTL" list -zj
    assert_contains "$err" "unknown option '-z'"
    assert_status 125 "$NETJAIL" -q --net nosuch true
    assert_contains "$err" "none, relay, a"
}

# -D gives what some policy asks for, and is an error where there is none.
both_value_that_nobody_takes() {
    local words
    for words in '' '--net relay' '-e name_x'; do
        assert_status 125 "$NETJAIL" -q -D registry=x ${words//_/ } true
        assert_contains "$err" "-D registry: the policy has no such"
    done
    assert_status 0 "$NETJAIL" -q -D registry=x -e 'param registry' true
}

# An option is a statement in another spelling; its errors show what was typed.
both_options_show_what_was_typed() {
    local option typed under
    while IFS='|' read -r option typed under; do
        assert_status 125 "$NETJAIL" -q "$option" "$typed" true
        assert_contains "$err" "option $option: error: "
        assert_contains "$err" $'\n'"$typed"$'\n'"$under"
    done <<'END'
--publish|99999:80|^~~~~ a number
--publish|127.0.0.1:80:70000/udp|             ^~~~~ a number
--publish|80:80/sctp|      ^~~~ one of
--name|a/b|^~~ letters
--allow|out tpc|    ^~~ did you mean
--name|x; allow out|^~~~~~~~~~~~ letters
END
}

# Without quotes the rule would be "allow out", and "tcp" the command.
both_a_rule_without_quotes() {
    assert_status 125 "$NETJAIL" -q --allow out tcp to www.example.org port 443 true
    assert_contains "$err" "'out tcp ...': a rule is one argument"
    assert_contains "$err" "hint: it stands in quotes: --allow 'out tcp"
    assert_status 125 "$NETJAIL" -q --allow 'out tcp' --deny out to 192.0.2.1 true
    assert_status 0 "$NETJAIL" -q --allow out true
}

both_published_ports_that_are_none() {
    local typed
    for typed in -1 80- 80:-5 :80 ::80 80-81:90- '' 80: 80:81:82; do
        assert_status 125 "$NETJAIL" -q -P "$typed" true
        assert_contains "$err" "--publish '$typed': not [ADDR:]HOSTPORT"
    done
}

both_ten_thousand_rules() {
    local i
    for i in $(seq 10000); do echo "allow out tcp to 10.$((i / 60000)).$((i / 250)).$((i % 250)) port $i"; done > "$T/10000.conf"
    run timeout 20 "$NETJAIL" -q -p "$T/10000.conf" true
    assert_equal "$status" 0 "exit status with 10,000 rules ($err)"
}

both_writable_by_others() {
    policy open > /dev/null <<< 'allow out'
    chmod 666 "$T/open.conf"
    refused_by_netjail "$T/open.conf" open.conf
    chmod 664 "$T/open.conf"
    refused_by_netjail "$T/open.conf" open.conf
    chmod 644 "$T/open.conf"
    assert_status 0 "$NETJAIL" -q -p "$T/open.conf" true
    mkdir "$T/dir"
    cp "$T/open.conf" "$T/dir/"
    chmod 777 "$T/dir"
    refused_by_netjail "$T/dir/open.conf"
    chmod 1777 "$T/dir" # sticky: the entry's owner counts
    assert_status 0 "$NETJAIL" -q -p "$T/dir/open.conf" true
}

root_owned_by_somebody_else() {
    policy alien > /dev/null <<< 'allow out'
    chown 1234 "$T/alien.conf"
    refused_by_netjail "$T/alien.conf" alien.conf
}

root_symbolic_link_is_judged_by_its_target() {
    policy real > /dev/null <<< 'name real'
    ln -s real.conf "$T/link.conf"
    assert_status 0 "$NETJAIL" -q -p "$T/link.conf" true
    mkdir "$T/open"
    chmod 777 "$T/open"
    cp "$T/real.conf" "$T/open/"
    ln -s open/real.conf "$T/link2.conf"
    refused_by_netjail "$T/link2.conf"
}

both_policy_by_name() {
    mkdir -p "$T/config/netjail"
    chmod 755 "$T/config" "$T/config/netjail"
    echo 'name found' > "$T/config/netjail/byname.conf"
    XDG_CONFIG_HOME=$T/config assert_status 0 "$NETJAIL" -q -p byname printenv NETJAIL_NAME
    assert_equal "$out" found
    refused_by_netjail nosuchpolicy nosuchpolicy
}

run_tests "$@"
