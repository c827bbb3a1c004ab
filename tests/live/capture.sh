#!/bin/bash
# netjailctl capture: the packets of one jail and no others, in a file that tcpdump reads.
# shellcheck disable=SC2154 # out, err and status are set by run
. "$(dirname "$0")/lib.sh"

start_capture() { # start_capture FILE ARGS...: in the background; its pid in $CAPTURE; returns when it listens
    local file=$1
    shift
    "$NETJAILCTL" capture "$@" -w "$file" 2> "$T/capture.err" &
    CAPTURE=$!
    remember_process $CAPTURE
    wait_for 10 eval '[ "$(stat -c %s "'"$file"'" 2> /dev/null || echo 0)" -ge 24 ]'
}

end_capture() {
    kill -INT $CAPTURE
    wait $CAPTURE || fail "capture ended with $?: $(cat "$T/capture.err")"
}

shows() { # shows FILE PATTERN: tcpdump reads the file and shows it
    tcpdump -nr "$1" 2> /dev/null | grep -qE "$2"
}

# A user's own jail, by way of its user namespace: what goes over its loopback.
both_loopback() {
    serve_in_jail own "$(printf 'name own\n' | policy own)" tcp 127.0.0.1 7000 tcp ::1 7001
    start_capture "$T/own.pcap" own
    assert_equal "$("$NETJAILCTL" exec own -- "$NET" try tcp 127.0.0.1 7000 | cut -d' ' -f1)" ok
    assert_equal "$("$NETJAILCTL" exec own -- "$NET" try tcp ::1 7001 | cut -d' ' -f1)" ok
    wait_for 5 shows "$T/own.pcap" 'IP6 ::1\..* > ::1\.7001: .*\[F'
    end_capture
    shows "$T/own.pcap" 'IP 127\.0\.0\.1\.[0-9]+ > 127\.0\.0\.1\.7000: Flags \[S\]' || fail "no SYN: $(tcpdump -nr "$T/own.pcap" 2>&1)"
    # Each packet once.
    assert_equal "$(tcpdump -nr "$T/own.pcap" 'dst port 7000 and tcp[tcpflags] == tcp-syn' 2> /dev/null | wc -l)" 1
    assert_equal "$(stat -c %a "$T/own.pcap")" 600
    # One interface as plain Ethernet, to a pipe.
    "$NETJAILCTL" capture -i lo own 2> /dev/null | tcpdump -c 1 -nr - 'dst port 7000' > "$T/piped" 2> "$T/piped.err" &
    local pipe=$!
    wait_for 10 eval '"$NETJAILCTL" exec own -- "$NET" try tcp 127.0.0.1 7000 > /dev/null && grep -q 7000 "$T/piped"'
    wait $pipe
    grep -q 'link-type EN10MB' "$T/piped.err"
    end_jail own
}

# A file that somebody else has laid there would show him the packets; one of our own shows them to nobody else.
root_file_of_somebody_else() {
    serve_in_jail own "$(printf 'name own\n' | policy own)" tcp 127.0.0.1 7000
    echo before > "$T/theirs.pcap"
    chown "$TEST_UID" "$T/theirs.pcap"
    assert_status 4 timeout 5 "$NETJAILCTL" capture -w "$T/theirs.pcap" own
    assert_contains "$err" "belongs to user $TEST_UID"
    assert_equal "$(cat "$T/theirs.pcap")" before
    head -c 10000 /dev/zero > "$T/ours.pcap"
    chmod 666 "$T/ours.pcap"
    "$NETJAILCTL" capture -w "$T/ours.pcap" own 2> "$T/capture.err" &
    CAPTURE=$!
    wait_for 5 eval '[ "$(stat -c "%a %s" "$T/ours.pcap")" = "600 24" ]'
    end_capture
    end_jail own
}

root_link_and_nobody_else() {
    policy left > /dev/null << 'END'
network nb { address 10.99.0.1/24; address fd00:99:1::1/64; nat }
name left
link eth0 bridge nb { address 10.99.0.5/24; address fd00:99:1::5/64 }
allow out tcp to any port 7000
END
    sed 's/left/right/; s/\.5\//.6\//; s/::5\//::6\//' "$T/left.conf" | policy right > /dev/null
    start_jail left -q -p "$T/left.conf" sh -c 'echo up; exec sleep 1000'
    start_jail right -q -p "$T/right.conf" sh -c 'echo up; exec sleep 1000'
    wait_for_file "$T/jail-left.out"
    wait_for_file "$T/jail-right.out"
    serve_outside tcp 192.0.2.100 7000 tcp 2001:db8:1::100 7000
    start_capture "$T/left.pcap" left
    "$NETJAILCTL" exec right -- "$NET" try tcp 192.0.2.100 7000 > /dev/null
    "$NETJAILCTL" exec left -- "$NET" try tcp 192.0.2.100 7000 > /dev/null
    "$NETJAILCTL" exec left -- "$NET" try tcp 2001:db8:1::100 7000 > /dev/null
    wait_for 5 shows "$T/left.pcap" 'IP6 fd00:99:1::5\.[0-9]+ > 2001:db8:1::100\.7000'
    # It ends with the jail.
    end_jail left
    wait $CAPTURE || fail "capture ended with $?"
    shows "$T/left.pcap" 'Out IP 10\.99\.0\.5\.[0-9]+ > 192\.0\.2\.100\.7000: Flags \[S\]' ||
        fail "not shown: $(tcpdump -nr "$T/left.pcap" 2>&1 | head)"
    ! shows "$T/left.pcap" '10\.99\.0\.6\.[0-9]+ >' || fail "packets of another jail are in it"
    end_jail right
}

both_mistakes() {
    assert_status 1 "$NETJAILCTL" capture nobody
    assert_contains "$err" "no jail 'nobody' is running"
    start_jail web -q --name web sh -c 'echo up; exec sleep 1000'
    wait_for_file "$T/jail-web.out"
    assert_status 4 "$NETJAILCTL" capture -i eth7 web -w "$T/x.pcap"
    assert_contains "$err" "the jail has no interface 'eth7'"
    assert_status 4 "$NETJAILCTL" capture web -w /nonexistent/x.pcap
    run script -qec "$NETJAILCTL capture web" /dev/null
    assert_contains "$out" "packets are nothing for a terminal"
    end_jail web
}

# The jail's own processes cannot capture, with netjailctl or without.
both_not_from_inside() {
    start_jail web -q --name web -e 'unix-sockets host' sh -c "$NETJAILCTL capture web > $T/inside.pcap; echo status \$?; exec sleep 1000"
    wait_for_file "$T/jail-web.out"
    assert_lacks "$(cat "$T/jail-web.out")" "status 0"
    [ ! -s "$T/inside.pcap" ] || fail "the jail's command captured"
    end_jail web
}

run_tests "$@"
