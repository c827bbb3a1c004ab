#!/usr/bin/env bash
# expose: a port of the host's loopback is reachable as host.netjail, and by nothing else; the host
# itself is reachable only where a rule names it.
. "$(dirname "$0")/lib.sh"

HOST_NETJAIL4=192.0.0.1 HOST_NETJAIL6=fd6e:6574:6a61:696c::1

prepare() {
    serve_host tcp 127.0.0.1 8080 tcp ::1 8080 tcp 127.0.0.1 8081 udp 127.0.0.1 8080 tcp 0.0.0.0 22 tcp :: 22
    outside ip -6 route add local 64:ff9b::/32 dev lo # as if a translator were there
    serve_outside tcp :: 7
}

both_only_the_exposed_port() {
    local file
    file=$(policy exposed <<< 'expose 8080; expose 8080 udp; allow out tcp to any')
    assert_connect "ok hello from 127.0.0.1 to 127.0.0.1" "$NETJAIL" -p "$file" -- tcp $HOST_NETJAIL4 8080
    assert_connect "ok hello from ::1 to ::1" "$NETJAIL" -p "$file" -- tcp $HOST_NETJAIL6 8080
    assert_connect "ok hello from 127.0.0.1 to 127.0.0.1" "$NETJAIL" -p "$file" -- udp $HOST_NETJAIL4 8080
    assert_connect refused "$NETJAIL" -p "$file" -- tcp $HOST_NETJAIL4 8081
    assert_connect refused "$NETJAIL" -p "$file" -- tcp $HOST_NETJAIL6 8081
    assert_connect refused "$NETJAIL" -p "$file" -- tcp $HOST_NETJAIL4 22
}

# Only one of the host's two loopback addresses has the service.
both_the_other_family_serves_too() {
    local file
    file=$(policy exposed <<< 'expose 8081')
    assert_connect "ok hello from 127.0.0.1 to 127.0.0.1" "$NETJAIL" -p "$file" -- tcp $HOST_NETJAIL6 8081
}

# Every address that means this host, with a rule that admits all of them.
both_the_host_is_closed_by_any_spelling() {
    local file a word
    file=$(policy open <<< 'link relay; allow out to any')
    for a in $HOST4 $HOST6 0.0.0.0 :: ::ffff:127.0.0.1 ::ffff:$HOST4 ::127.0.0.1 127.0.0.1 ::1 127.1.2.3 \
        64:ff9b::7f00:1 64:ff9b::c000:201 2002:7f00:1::1 2002:c000:201::1 192.0.0.1 192.0.0.3 \
        fd6e:6574:6a61:696c::1 fd6e:6574:6a61:696c::3; do
        word=$("$NETJAIL" -q -p "$file" -- "$NET" try tcp "$a" 22 3) || :
        case $word in ok*) fail "the host was reached as $a: $word" ;; esac
        word=$("$NETJAIL" -q -p "$file" -- "$NET" try tcp "$a" 1 3) || :
        case $word in ok*) fail "the relay's listener was reached as $a: $word" ;; esac
    done
}

# Who wonders why is told what would open it.
both_the_log_says_how() {
    local file
    file=$(policy logged <<< 'expose 8080; allow out to any; log denied')
    assert_status 0 "$NETJAIL" -q -p "$file" "$NET" try tcp $HOST_NETJAIL4 8080
    assert_equal "$err" ''
    run "$NETJAIL" -q -p "$file" "$NET" try tcp $HOST_NETJAIL6 8081
    assert_contains "$err" 'hint: expose 8081'
    run "$NETJAIL" -q -p "$file" "$NET" try udp $HOST_NETJAIL4 53
    assert_contains "$err" 'hint: expose 53 udp'
    file=$(policy logged <<< 'link relay; allow out to any; log denied')
    run "$NETJAIL" -q -p "$file" "$NET" try tcp $HOST6 22
    assert_contains "$err" "-> [$HOST6]:22 (an address of this host)"
    assert_contains "$err" 'hint: allow out tcp to host port 22 before logged.conf:1'
    run "$NETJAIL" -q -p "$(policy json <<< 'link relay; allow out to any; log denied json')" "$NET" try udp $HOST4 22
    assert_equal "$(jq -r '"\(.protocol) \(.destination) \(.port) \(.rule) \(.text): \(.hint)"' <<< "$err")" \
        "udp $HOST4 22 json.conf:1 an address of this host: allow out udp to host port 22"
    file=$(policy opened <<< 'link relay; allow out tcp to host; allow out to any; log denied')
    assert_status 0 "$NETJAIL" -q -p "$file" "$NET" try tcp $HOST6 22
    assert_equal "$err" ''
}

# What is denied by its IPv4 address is denied behind a translator, too; what is not, is not.
both_denied_addresses_behind_a_translator() {
    local file
    file=$(policy translated <<< "link relay; deny out to { metadata, private, $INTERNET4 }; allow out to any")
    assert_connect ok "$NETJAIL" -q -p "$file" -- tcp 64:ff9b::c633:640b 7
    assert_no_connect "$NETJAIL" -q -p "$file" -- tcp 64:ff9b::a9fe:a9fe 7
    assert_no_connect "$NETJAIL" -q -p "$file" -- tcp 64:ff9b::c633:640a 7
    assert_no_connect "$NETJAIL" -q -p "$file" -- tcp 64:ff9b:1::a00:1 7
    # A rule before it that speaks of the translated address decides.
    file=$(policy first <<< "link relay; allow out to 64:ff9b::/96; deny out to $INTERNET4")
    assert_connect ok "$NETJAIL" -q -p "$file" -- tcp 64:ff9b::c633:640a 7
}

# An address that the host gets while the jail runs is its own from then on.
root_new_addresses_of_the_host() {
    local file
    outside ip address add 203.0.113.7/32 dev lo
    nsenter --net=/run/netns/outside "$NET" serve tcp 203.0.113.7 22 > "$T/serve" 2>&1 &
    remember_process $!
    wait_for_port tcp 22 outside
    file=$(policy open <<< 'link relay; allow out to any')
    start_jail one -q -p "$file" --name one -- bash -c 'echo up; exec tail -f /dev/null'
    wait_for_file "$T/jail-one.out"
    assert_equal "$(jail_exec one "$NET" try tcp 203.0.113.7 22)" "ok hello from 203.0.113.7 to $HOST4"
    ip address add 203.0.113.7/32 dev lo
    assert_lacks "$(jail_exec one "$NET" try tcp 203.0.113.7 22 3)" ok
    end_jail one
    ip address del 203.0.113.7/32 dev lo
}

both_a_rule_that_names_the_host_opens_it() {
    local file
    file=$(policy named <<< "link relay; allow out tcp to $HOST4 port 22")
    assert_connect "ok hello from $HOST4 to $HOST4" "$NETJAIL" -p "$file" -- tcp $HOST4 22
    file=$(policy crowd <<< "link relay; allow out tcp to 192.0.2.0/24 port 22")
    assert_no_connect "$NETJAIL" -p "$file" -- tcp $HOST4 22
}

run_tests "$@"
