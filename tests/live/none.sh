#!/usr/bin/env bash
# No policy, no network: lo and nothing else.
. "$(dirname "$0")/lib.sh"

both_only_lo_exists_and_is_up() {
    assert_status 0 "$NETJAIL" ip -o link show
    assert_equal "$(grep -c . "$T/out")" 1 "number of interfaces"
    assert_contains "$out" "lo: <LOOPBACK,UP,LOWER_UP>"
    assert_status 0 "$NETJAIL" ip -o address show
    assert_contains "$out" "inet 127.0.0.1/8"
    assert_contains "$out" "inet6 ::1/128"
    assert_status 0 "$NETJAIL" ip route show
    assert_equal "$out" "" "IPv4 routes"
    assert_status 0 "$NETJAIL" ls /sys/class/net
    assert_equal "$out" lo "/sys/class/net"
    assert_status 0 "$NETJAIL" cat /proc/net/dev
    assert_lacks "$out" up0
}

both_loopback_works_inside() {
    assert_status 0 "$NETJAIL" bash -c '
        "$1" serve tcp 127.0.0.1 80 tcp ::1 80 udp 127.0.0.1 53 udp ::1 53 > /dev/null &
        for i in $(seq 100); do [ -n "$(ss -Hnlu sport = :53)" ] && break; read -rt 0.05 <> <(:); done
        for a in 127.0.0.1 ::1; do "$1" try tcp $a 80; "$1" try udp $a 53; done' - "$NET"
    assert_equal "$(grep -c '^ok ' "$T/out")" 4 "answers on loopback ($out $err)"
}

root_nothing_outside_is_reachable() {
    serve_outside tcp 0.0.0.0 7 tcp :: 7 udp 0.0.0.0 7 udp :: 7
    serve_host tcp 0.0.0.0 7 tcp :: 7
    local a
    for a in "$OUTSIDE4" "$OUTSIDE6" "$HOST4" "$HOST6" "$INTERNET4" "$INTERNET6"; do
        assert_connect ok -- tcp "$a" 7
        assert_connect unreachable "$NETJAIL" -- tcp "$a" 7
        assert_connect unreachable "$NETJAIL" -- udp "$a" 7
    done
    # The host's loopback is another one than the jail's.
    assert_connect ok -- tcp 127.0.0.1 7
    assert_connect refused "$NETJAIL" -- tcp 127.0.0.1 7
    assert_connect refused "$NETJAIL" -- tcp ::1 7
}

user_host_loopback_is_not_reachable() {
    serve_host tcp 127.0.0.1 7007 tcp ::1 7007
    assert_connect ok -- tcp 127.0.0.1 7007
    assert_connect refused "$NETJAIL" -- tcp 127.0.0.1 7007
    assert_connect refused "$NETJAIL" -- tcp ::1 7007
}

both_environment_is_kept() {
    local before after
    before=$(env -i A=1 B='two words' PATH="$PATH" HOME="$HOME" XDG_RUNTIME_DIR="${XDG_RUNTIME_DIR:-}" env)
    after=$(env -i A=1 B='two words' PATH="$PATH" HOME="$HOME" XDG_RUNTIME_DIR="${XDG_RUNTIME_DIR:-}" \
        "$NETJAIL" env)
    assert_equal "$(grep -v '^NETJAIL_' <<< "$after")" "$before" environment
    assert_contains "$after" NETJAIL_NAME=
}

both_directory_umask_and_arguments_are_kept() {
    mkdir "$T/dir"
    cd "$T/dir"
    umask 027
    assert_status 0 "$NETJAIL" bash -c 'pwd; umask; printf "<%s>" "$@"' - "a b" "" '*'
    assert_equal "$out" "$T/dir"$'\n'"0027"$'\n'"<a b><><*>"
    cd "$T"
}

both_policy_none_is_the_same() {
    assert_status 0 "$NETJAIL" -p "$TEST_TOP/policies/none.conf" ip -o link show
    assert_equal "$(grep -c . "$T/out")" 1 "number of interfaces"
}

both_own_processes_only() {
    assert_status 0 "$NETJAIL" bash -c 'ls -d /proc/[0-9]* | wc -l; cat /proc/1/comm'
    [ "${out%%$'\n'*}" -lt 8 ] || fail "the jail sees ${out%%$'\n'*} processes"
}

run_tests "$@"
