#!/usr/bin/env bash
# Names over link relay, as an ordinary user and as root: what they admit, what they do not, and a network that changes.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/names_lib.sh"

TRY="$NET try tcp"

prepare() {
    serve_outside tcp "$INTERNET4" 443 tcp "$INTERNET6" 443 tcp "$INTERNET4" 80 tcp "$PRIVATE4" 443 udp "$INTERNET4" 443
    outside_names "rebind A $HOST4" 'metadata A 169.254.169.254' 'loop A 127.0.0.1' 'loop AAAA ::1' \
        'round CNAME roundabout' 'roundabout CNAME round'
    own_resolv "$OUTSIDE4"
}

# An /etc of the test's own, with resolv.conf as a plain file, to be changed at will.
own_etc() {
    mkdir "$T/etc"
    cp -a /etc/passwd /etc/group /etc/hosts /etc/nsswitch.conf /etc/ld.so.* "$T/etc/"
    mount -t tmpfs -o mode=755 tmpfs /etc
    cp -a "$T"/etc/* /etc/
    printf 'nameserver %s\n' "$OUTSIDE4" > /etc/resolv.conf
}

relayed() { { echo 'link relay'; cat; } | policy relayed; }

both_name_admits_its_addresses_and_port() {
    local p
    p=$(relayed <<< 'allow out tcp to www.test port 443')
    assert_status 1 "$NETJAIL" -q -p "$p" $TRY "$INTERNET4" 443
    assert_status 0 "$NETJAIL" -q -p "$p" sh -c "getent ahosts www.test > /dev/null && $TRY $INTERNET4 443 && $TRY $INTERNET6 443"
    assert_contains "$out" "ok hello from $INTERNET6"
    assert_status 1 "$NETJAIL" -q -p "$p" sh -c "getent ahosts www.test > /dev/null; $TRY $INTERNET4 80"
    assert_equal "$out" refused
    assert_status 1 "$NETJAIL" -q -p "$p" sh -c "getent ahosts www.test > /dev/null; $NET try udp $INTERNET4 443"
    assert_status 0 "$NETJAIL" -q -p "$p" dig +short alias.test AAAA
    assert_equal "$out" '' 'a name that is not admitted'
}

both_command_line_is_enough() {
    assert_status 0 "$NETJAIL" -q --allow 'out tcp to www.test port 443' sh -c "getent ahosts www.test > /dev/null && $TRY $INTERNET4 443"
    assert_status 2 "$NETJAIL" -q --allow 'out tcp to www.test port 443' getent hosts four.test
}

# What was asked for by name is hinted at by name: where a rule is missing, and where there is none at all.
both_hints_speak_of_names() {
    local p
    p=$(relayed <<< 'allow out tcp to www.test port 443
		log denied')
    run "$NETJAIL" -q -p "$p" sh -c "getent ahosts www.test > /dev/null; $TRY $INTERNET4 80; $TRY $PRIVATE4 80"
    assert_contains "$err" 'hint: allow out tcp to www.test port 80'
    assert_contains "$err" "hint: allow out tcp to $PRIVATE4 port 80"
    run "$NETJAIL" -q --net relay -e 'log denied' getent ahostsv4 www.test
    assert_contains "$err" "-> $OUTSIDE4:53 asking for www.test (default deny out)"
    assert_contains "$err" 'hint: allow out tcp to www.test port 443'
    assert_lacks "$err" "to $OUTSIDE4 port 53"
    run "$NETJAIL" -q -p "$p" getent hosts host.netjail
    assert_contains "$err" 'hint: expose PORT'
    # Who has a resolver and asks another one is told of that one.
    run "$NETJAIL" -q -p "$p" dig +tries=1 +timeout=1 "@$OUTSIDE4" www.test
    assert_contains "$err" "hint: allow out udp to $OUTSIDE4 port 53"
}

# Nobody else would say why a name that is admitted does not resolve.
both_no_answer_is_told() {
    run "$NETJAIL" -q --allow 'out tcp to www.test port 443' --dns "$INTERNET4" -e 'log denied' getent hosts www.test
    assert_contains "$err" "no name server answers: www.test does not resolve (asked: $INTERNET4)"
}

both_log_of_the_command_line_replaces_that_of_the_policy() {
    local p
    p=$(relayed <<< $'allow out tcp to www.test port 443\nlog denied json')
    assert_status 2 "$NETJAIL" -q -p "$p" --log "$T/denied" getent hosts four.test
    assert_equal "$err" ''
    assert_contains "$(cat "$T/denied")" 'hint: allow out tcp to four.test port 443'
    assert_status 125 "$NETJAIL" -q --log "$T/denied" --log stderr true
    assert_contains "$err" "'log denied' is given twice"
}

root_missing_name_server_is_told() {
    own_etc
    rm /etc/resolv.conf
    ln -s ../run/nowhere/resolv.conf /etc/resolv.conf
    run "$NETJAIL" -q --allow 'out tcp to www.test port 443' -e 'log denied' getent hosts www.test
    assert_contains "$err" 'no name server answers: www.test does not resolve (asked: 127.0.0.1)' # as the C library
    assert_status 0 "$NETJAIL" -q --dns "$OUTSIDE4" --allow 'out tcp to www.test port 443' getent hosts www.test
    umount /etc
}

# A question for a service, as apt asks before each host, is about the host: empty where that is admitted, else told.
both_services_are_their_hosts() {
    local p
    p=$(relayed <<< $'allow out tcp to www.test port 443\nlog denied')
    assert_status 0 "$NETJAIL" -q -p "$p" dig _http._tcp.www.test SRV
    assert_contains "$out" 'status: NOERROR'
    assert_contains "$out" 'ANSWER: 0'
    assert_equal "$err" ''
    assert_status 0 "$NETJAIL" -q -p "$p" dig _http._tcp.four.test SRV
    assert_contains "$out" 'status: REFUSED'
    assert_contains "$err" 'hint: allow out tcp to four.test port 443'
    assert_status 0 "$NETJAIL" -q -p "$p" dig _http._tcp.www.test A # would be asked outside
    assert_contains "$out" 'status: REFUSED'
}

# No address is no answer: it was not found out.
both_loop_of_aliases_fails() {
    assert_status 0 "$NETJAIL" -q --allow 'out tcp to round.test port 443' dig round.test
    assert_contains "$out" 'status: SERVFAIL'
    assert_status 0 "$NETJAIL" -q --allow 'out tcp to alias.test port 443' dig alias.test MX
    assert_contains "$out" 'status: NOERROR'
}

both_suffix_chain_and_define() {
    local p
    p=$(relayed <<< 'define servers { *.many.test, alias.test }
		allow out tcp to $servers port 443')
    assert_status 0 "$NETJAIL" -q -p "$p" sh -c "getent ahosts alias.test && $TRY $INTERNET4 443 && getent hosts a.many.test"
    assert_status 2 "$NETJAIL" -q -p "$p" getent hosts many.test
    assert_status 2 "$NETJAIL" -q -p "$p" getent hosts middle.test
}

both_two_names_on_one_address() {
    local p
    p=$(relayed <<< 'allow out tcp to www.test port 443
		allow out tcp to four.test port 80')
    assert_status 1 "$NETJAIL" -q -p "$p" sh -c "getent hosts four.test > /dev/null; $TRY $INTERNET4 443"
    assert_status 0 "$NETJAIL" -q -p "$p" sh -c "getent hosts four.test > /dev/null; $TRY $INTERNET4 80"
}

both_deny_by_name_is_named_in_the_log() {
    local p
    p=$(relayed <<< 'deny out to www.test
		allow out tcp to *.test port 443
		log denied')
    assert_status 2 "$NETJAIL" -q -p "$p" getent hosts www.test
    assert_contains "$err" 'denied name www.test ('
    assert_contains "$err" 'relayed.conf:2'
    assert_status 0 "$NETJAIL" -q -p "$p" getent hosts four.test
}

both_any_resolves_everything() {
    local p
    p=$(relayed <<< 'allow out tcp to any port 443')
    assert_status 0 "$NETJAIL" -q -p "$p" sh -c "getent hosts four.test && $TRY $INTERNET4 443"
}

both_rebinding_is_refused() {
    local p name
    p=$(relayed <<< 'allow out tcp to *.test port 1-65535')
    for name in intra rebind metadata loop; do
        assert_status 2 "$NETJAIL" -q -p "$p" getent ahosts "$name.test"
    done
    p=$(relayed <<< 'dns { private intra.test }
		allow out tcp to *.test port 443')
    assert_status 0 "$NETJAIL" -q -p "$p" sh -c "getent hosts intra.test > /dev/null && $TRY $PRIVATE4 443"
    assert_status 2 "$NETJAIL" -q -p "$p" getent ahosts rebind.test
}

# Data in labels goes nowhere: the server outside never hears of the name.
both_no_question_for_another_name() {
    local p
    p=$(relayed <<< 'allow out tcp to www.test port 443')
    assert_status 0 "$NETJAIL" -q -p "$p" dig +tries=1 0123456789abcdef0123456789abcdef.secret.test
    assert_contains "$out" 'status: REFUSED'
    # Another server than the jail's own is out of reach, by its address and by what it is called.
    for server in "$OUTSIDE4" "$OUTSIDE6"; do
        assert_fails "$NETJAIL" -q -p "$p" dig +time=2 +tries=1 "@$server" secret.test
        assert_fails "$NETJAIL" -q -p "$p" dig +tcp +time=2 +tries=1 "@$server" www.test
    done
}

# speak LINE: the jail's shell runs it; its answer, until the line `end`, is in $said.
begin_shell() { # begin_shell ARGS...: a jail whose shell does what `speak` says
    mkfifo "$T/to" "$T/from"
    "$NETJAIL" "$@" bash -c 'while read -r line; do eval "$line" 2>&1; echo end; done' < "$T/to" > "$T/from" 2> "$T/shell.err" &
    SHELL_PID=$!
    remember_process "$SHELL_PID"
    exec 8> "$T/to" 9< "$T/from"
}

speak() {
    local line
    said=
    printf '%s\n' "$*" >&8
    while IFS= read -rt 30 line <&9 || fail "no answer to: $* ($(cat "$T/shell.err"))"; do
        [ "$line" != end ] || return 0
        said+="${said:+ }$line"
    done
}

end_shell() {
    exec 8>&- 9<&-
    wait "$SHELL_PID" || :
}

both_killed_service_opens_nothing() {
    local p service
    p=$(relayed <<< 'allow out tcp to { four.test, www.test } port 443')
    begin_shell -q -p "$p"
    speak "getent hosts four.test | cut -c1-13; $TRY $INTERNET4 443"
    assert_contains "$said" "$INTERNET4 ok"
    service=$(descendants "$SHELL_PID" | while read -r pid; do
        case $(tr '\0' ' ' < "/proc/$pid/cmdline") in netjail-service*) echo "$pid" ;; esac
    done)
    kill -KILL "$service"
    wait_for 10 grep -q 'netjail-service ended unexpectedly' "$T/shell.err"
    # What was pinned, what was not, the server itself: all closed, at once.
    speak "$TRY $INTERNET4 443; getent hosts www.test; $TRY $OUTSIDE4 53"
    assert_equal "$said" 'refused refused'
    end_shell
}

# Killed while a name is being asked for: the program gets an error, not an answer.
root_service_killed_in_the_middle_of_a_question() {
    local p
    "$LIVE_DIR/dns_liar.py" 127.0.0.77 silent > "$T/asked" 2>&1 &
    remember_process $!
    wait_for_port udp 53
    p=$(relayed <<< 'dns { upstream 127.0.0.77 }
		allow out tcp to www.test port 443')
    begin_shell -q -p "$p"
    printf 'getent hosts www.test; echo "status $?"\n' >&8
    wait_for_file "$T/asked"
    pkill -KILL -P "$SHELL_PID" netjail-service
    speak true
    assert_contains "$said" 'status 2'
    speak true # the answer to the one before
    wait_for 10 grep -q 'netjail-service ended unexpectedly' "$T/shell.err"
    end_shell
}

# No IPv6 on the host: IPv4 works, IPv6 is unreachable at once, and programs that try both are served.
root_host_without_ipv6() {
    local p
    sysctl -qw net.ipv6.conf.all.disable_ipv6=1 net.ipv6.conf.default.disable_ipv6=1
    printf 'nameserver %s\n' "$OUTSIDE6" "$OUTSIDE4" > /etc/resolv.conf
    p=$(relayed <<< 'allow out tcp to www.test port 443')
    assert_status 0 "$NETJAIL" -q -p "$p" sh -c "getent ahosts www.test > /dev/null && $TRY $INTERNET4 443"
    assert_status 1 "$NETJAIL" -q -p "$p" sh -c "getent ahosts www.test > /dev/null; $TRY $INTERNET6 443"
    case $out in denied | unreachable) ;; *) fail "IPv6 without IPv6: $out" ;; esac
    assert_status 0 "$NETJAIL" -q -p "$p" nc -vN www.test 443
    assert_contains "$out" 'hello from'
    assert_status 0 "$NETJAIL" -q -p "$p" python3 -c 'import socket; print(socket.create_connection(("www.test", 443), 5).recv(99).decode())'
    assert_contains "$out" "to $HOST4"
    sysctl -qw net.ipv6.conf.all.disable_ipv6=0 net.ipv6.conf.default.disable_ipv6=0
    restore_ipv6
}

# What disable_ipv6 and a link that goes down take away.
restore_ipv6() {
    ip address replace 2001:db8:1::1/64 dev up0 nodad
    ip -6 route replace default via 2001:db8:1::100
    wait_for 5 eval '[ -n "$(ip -6 -o address show dev up0 scope link -tentative)" ]'
}

restore_ipv4() {
    ip address replace 192.0.2.1/24 dev up0
    ip route replace default via 192.0.2.100
}

# The outside is reached by one family only; the other way is down without an error (nobody answers).
root_outside_by_ipv6_only() {
    local p
    ip route del default
    ip address del 192.0.2.1/24 dev up0
    printf 'nameserver %s\n' "$OUTSIDE4" "$OUTSIDE6" > /etc/resolv.conf
    p=$(relayed <<< 'allow out tcp to www.test port 443')
    assert_status 0 "$NETJAIL" -q -p "$p" sh -c "getent ahosts www.test > /dev/null && $TRY $INTERNET6 443"
    assert_status 1 "$NETJAIL" -q -p "$p" sh -c "getent ahosts www.test > /dev/null; $TRY $INTERNET4 443"
    assert_status 0 "$NETJAIL" -q -p "$p" nc -vN www.test 443
    assert_contains "$out" 'hello from'
    restore_ipv4
}

root_ipv6_that_answers_nothing() {
    local p
    outside ip6tables -I INPUT -d "$INTERNET6" -j DROP 2> /dev/null || outside nft -f - <<- N
		table ip6 hole { chain input { type filter hook input priority 0; ip6 daddr $INTERNET6 drop; }; }
		N
    p=$(relayed <<< 'allow out tcp to www.test port 443')
    # curl gives IPv6 200 ms and then begins with IPv4, too (RFC 8305).
    run "$NETJAIL" -q -p "$p" curl -sv --max-time 20 --http0.9 http://www.test:443/
    assert_contains "$err" "Connected to www.test ($INTERNET4)"
}

# Addresses, default route and name server change while the jail runs: what is new is used, nothing opens up.
root_network_changes_while_the_jail_runs() {
    local p
    own_etc
    p=$(relayed <<< 'allow out tcp to { www.test, four.test, six.test } port 443
		deny out to host
		allow out tcp to any port 80')
    begin_shell -q -p "$p"
    speak "getent ahosts www.test > /dev/null; $TRY $INTERNET4 443; $TRY $INTERNET6 443"
    assert_equal "$said" "ok hello from $INTERNET4 to $HOST4 ok hello from $INTERNET6 to $HOST6"
    # Without a way out: unreachable, and it is said at once.
    ip route del default
    ip -6 route del default
    speak "$TRY $INTERNET4 443; $TRY $INTERNET6 443"
    case $said in 'denied denied' | 'unreachable unreachable') ;; *) fail "without a way out: $said" ;; esac
    # Another address, as after a change of the network; the old one is nobody's.
    ip address del 192.0.2.1/24 dev up0
    ip address add 192.0.2.7/24 dev up0
    ip address del 2001:db8:1::1/64 dev up0
    ip address add 2001:db8:1::7/64 dev up0 nodad
    ip route add default via 192.0.2.100
    ip -6 route add default via 2001:db8:1::100
    speak "$TRY $INTERNET4 443; $TRY $INTERNET6 443"
    assert_equal "$said" "ok hello from $INTERNET4 to 192.0.2.7 ok hello from $INTERNET6 to 2001:db8:1::7"
    # The host's new address is the host all the same.
    serve_host tcp 192.0.2.7 80 8>&- 9<&- # else it would hold the shell's input open
    speak "$TRY 192.0.2.7 80"
    case $said in denied | refused) ;; *) fail "the host's new address: $said" ;; esac
    # Another name server, written in place.
    printf 'nameserver %s\n' "$OUTSIDE6" > /etc/resolv.conf
    outside ip address del "$OUTSIDE4/24" dev out0
    speak "for i in 1 2 3 4 5 6 7 8 9; do getent hosts six.test > /dev/null && break; done; $TRY $INTERNET6 443"
    assert_contains "$said" 'ok hello'
    end_shell
    outside ip address add "$OUTSIDE4/24" dev out0
    ip address del 192.0.2.7/24 dev up0
    ip address del 2001:db8:1::7/64 dev up0
    restore_ipv4
    restore_ipv6
    umount /etc
}

# The host puts another file in the place of a plain /etc/resolv.conf: the kernel takes the jail's own away. Names
# fail there, nothing opens up, and netjail says so; written in place, nothing happens.
root_plain_resolv_conf_is_replaced() {
    local p
    own_etc
    p=$(relayed <<< 'allow out tcp to { www.test, four.test } port 443')
    begin_shell -q -p "$p"
    printf '# in place\nnameserver %s\n' "$OUTSIDE4" > /etc/resolv.conf
    speak "getent hosts www.test > /dev/null; $TRY $INTERNET6 443"
    assert_contains "$said" 'ok hello'
    printf '# new\nnameserver %s\n' "$OUTSIDE4" > /etc/new
    mv /etc/new /etc/resolv.conf
    wait_for 10 grep -q 'the host has replaced /etc/resolv.conf' "$T/shell.err"
    speak "getent hosts four.test; $TRY $INTERNET6 443; $TRY $INTERNET4 80"
    assert_equal "$said" "ok hello from $INTERNET6 to $HOST6 refused" 'what was admitted stays, no more'
    speak 'grep -v "^#" /etc/resolv.conf'
    assert_equal "$said" "nameserver $OUTSIDE4"
    end_shell
    assert_equal "$(grep -c 'the host has replaced' "$T/shell.err")" 1
    # A new jail has its own again.
    assert_status 0 "$NETJAIL" -q -p "$p" getent hosts four.test
    umount /etc
}

# Does on the host what the arguments say, as soon as somebody writes to $T/now.
when_told() {
    mkfifo "$T/now"
    { read -r _ < "$T/now" && "$@"; } > /dev/null 2>&1 &
    remember_process $!
}

# What changes in the first moments of a jail, before its files are watched, is seen as well.
root_resolv_conf_changes_at_the_start() {
    local p
    own_etc
    p=$(relayed <<< 'allow out tcp to { www.test, four.test } port 443')
    mkdir /run/resolvconf
    echo 'nameserver 127.0.0.99' > /run/resolvconf/resolv.conf
    printf 'nameserver %s\n' "$OUTSIDE4" > /run/resolvconf/new
    ln -sf ../run/resolvconf/resolv.conf /etc/resolv.conf
    when_told mv /run/resolvconf/new /run/resolvconf/resolv.conf
    assert_status 0 "$NETJAIL" -q -p "$p" sh -c "echo > $T/now; for i in \$(seq 50); do
        getent ahostsv4 four.test && exit; sleep 0.1; done; exit 1"
    rm -r "$T/now" /run/resolvconf /etc/resolv.conf
    printf '# plain\nnameserver %s\n' "$OUTSIDE4" | tee /etc/resolv.conf > /etc/new
    when_told mv /etc/new /etc/resolv.conf
    assert_status 0 "$NETJAIL" -q -p "$p" sh -c "echo > $T/now; sleep 1"
    assert_contains "$err" 'the host has replaced /etc/resolv.conf'
    rm "$T/now"
    # Written in place it is the same file.
    when_told cp /etc/hosts /etc/resolv.conf
    assert_status 0 "$NETJAIL" -q -p "$p" sh -c "echo > $T/now; sleep 1"
    assert_equal "$err" ''
    umount /etc
}

# Links and files that are not there: what the host makes of them does not touch the jail's own.
root_resolv_conf_that_is_safe_from_the_host() {
    local p
    own_etc
    p=$(relayed <<< 'allow out tcp to { www.test, four.test } port 443')
    mkdir /run/resolvconf
    cp /etc/resolv.conf /run/resolvconf/resolv.conf
    ln -sf ../run/resolvconf/resolv.conf /etc/resolv.conf
    begin_shell -q -p "$p"
    cp /etc/resolv.conf /run/resolvconf/new
    mv /run/resolvconf/new /run/resolvconf/resolv.conf
    ln -s ../run/resolvconf/resolv.conf /etc/new
    mv /etc/new /etc/resolv.conf # the same link
    speak "getent ahostsv4 four.test | head -1 | cut -d' ' -f1"
    assert_equal "$said" "$INTERNET4"
    end_shell
    assert_equal "$(cat "$T/shell.err")" ''
    rm -r "$T/to" "$T/from" /run/resolvconf /etc/resolv.conf
    p=$({ echo "dns { upstream $OUTSIDE4 }"; cat "$p"; } | policy upstream)
    begin_shell -q -p "$p"
    printf 'nameserver %s\n' "$OUTSIDE4" > /etc/resolv.conf
    speak "getent ahostsv4 four.test | head -1 | cut -d' ' -f1"
    assert_equal "$said" "$INTERNET4"
    end_shell
    assert_equal "$(cat "$T/shell.err")" ''
    umount /etc
}

run_tests "$@"
