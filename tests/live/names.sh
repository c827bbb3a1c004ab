#!/usr/bin/env bash
# Names in rules: what they admit in the kernel, for how long, and what they do not. The jail's way out is a cable.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/names_lib.sh"

TRY="$NET try tcp"

root_name_admits_its_addresses_and_port() {
    outside_names
    own_resolv "$OUTSIDE4"
    serve_outside tcp "$INTERNET4" 443 tcp "$INTERNET6" 443 tcp "$INTERNET4" 80 tcp "$PRIVATE4" 443
    local p
    p=$(names_policy n <<< 'allow out tcp to www.test port 443')
    # Before the name was asked for, its address is not admitted.
    assert_status 1 "$NETJAIL" -q -p "$p" $TRY "$INTERNET4" 443
    assert_status 0 "$NETJAIL" -q -p "$p" sh -c "getent ahosts www.test && $TRY $INTERNET4 443 && $TRY $INTERNET6 443"
    assert_contains "$out" "$INTERNET4"
    assert_contains "$out" "ok hello from $INTERNET6"
    # The rule's port only.
    assert_status 1 "$NETJAIL" -q -p "$p" sh -c "getent ahosts www.test > /dev/null; $TRY $INTERNET4 80"
    assert_contains "$out" refused
    end_resolv
}

root_suffix_and_its_bare_name() {
    outside_names 'deep.www A 198.51.100.10'
    own_resolv "$OUTSIDE4"
    serve_outside tcp "$INTERNET4" 443
    local p
    p=$(names_policy n <<< 'allow out tcp to *.many.test port 443
		allow out tcp to *.www.test port 443')
    assert_status 0 "$NETJAIL" -q -p "$p" sh -c "getent hosts a.many.test && $TRY $INTERNET4 443"
    assert_status 2 "$NETJAIL" -q -p "$p" getent hosts www.test
    assert_status 2 "$NETJAIL" -q -p "$p" getent hosts many.test
    assert_status 0 "$NETJAIL" -q -p "$p" getent hosts deep.www.test
    end_resolv
}

root_names_in_a_define_beside_addresses() {
    outside_names
    own_resolv "$OUTSIDE4"
    serve_outside tcp "$INTERNET4" 443 tcp "$PRIVATE4" 443
    local p
    p=$(names_policy n <<< "define servers { four.test, $PRIVATE4 }
		allow out tcp to \$servers port 443")
    assert_status 0 "$NETJAIL" -q -p "$p" sh -c "$TRY $PRIVATE4 443 && getent hosts four.test && $TRY $INTERNET4 443"
    assert_status 1 "$NETJAIL" -q -p "$p" $TRY "$INTERNET4" 443
    end_resolv
}

root_cname_chain() {
    outside_names
    own_resolv "$OUTSIDE4"
    serve_outside tcp "$INTERNET4" 443
    local p
    p=$(names_policy n <<< 'allow out tcp to alias.test port 443')
    assert_status 0 "$NETJAIL" -q -p "$p" sh -c "dig +short alias.test A && $TRY $INTERNET4 443"
    assert_contains "$out" $'middle.test.\nwww.test.\n198.51.100.10'
    # The names in between are not admitted by themselves.
    assert_status 2 "$NETJAIL" -q -p "$p" getent hosts middle.test
    end_resolv
}

root_deny_by_name() {
    outside_names
    own_resolv "$OUTSIDE4"
    serve_outside tcp "$INTERNET4" 443
    local p
    p=$(names_policy n <<< 'deny out to www.test
		allow out tcp to *.test port 443
		log denied')
    run "$NETJAIL" -q -p "$p" getent hosts www.test
    assert_equal "$status" 2
    assert_contains "$err" 'denied name www.test ('
    assert_contains "$err" 'n.conf:2'
    assert_status 0 "$NETJAIL" -q -p "$p" getent hosts four.test
    end_resolv
}

# The first mention decides.
root_first_mention_decides() {
    outside_names
    own_resolv "$OUTSIDE4"
    local p
    p=$(names_policy n <<< 'allow out tcp to www.test port 443
		deny out to *.test')
    assert_status 0 "$NETJAIL" -q -p "$p" getent hosts www.test
    assert_status 2 "$NETJAIL" -q -p "$p" getent hosts four.test
    end_resolv
}

root_any_resolves_everything() {
    outside_names
    own_resolv "$OUTSIDE4"
    serve_outside tcp "$INTERNET4" 443
    local p
    p=$(names_policy n <<< 'allow out tcp to any port 443')
    assert_status 0 "$NETJAIL" -q -p "$p" sh -c "getent hosts four.test && $TRY $INTERNET4 443"
    p=$(names_policy m <<< "dns { any }
		allow out tcp to $INTERNET4 port 443")
    assert_status 0 "$NETJAIL" -q -p "$p" sh -c "getent hosts four.test && $TRY $INTERNET4 443"
    end_resolv
}

root_records_of_the_policy() {
    serve_outside tcp "$INTERNET4" 443
    local p
    p=$(names_policy n <<< "dns { record db.example.org $INTERNET4 ; upstream 127.0.0.99 }
		allow out tcp to db.example.org port 443")
    assert_status 0 "$NETJAIL" -q -p "$p" sh -c "$TRY $INTERNET4 443; getent hosts db.example.org; dig +short db.example.org"
    assert_contains "$out" ok
    assert_contains "$out" $'\n198.51.100.10'
}

# One address, two names, two ports.
root_two_names_on_one_address() {
    outside_names
    own_resolv "$OUTSIDE4"
    serve_outside tcp "$INTERNET4" 443 tcp "$INTERNET4" 80
    local p
    p=$(names_policy n <<< 'allow out tcp to www.test port 443
		allow out tcp to four.test port 80')
    assert_status 1 "$NETJAIL" -q -p "$p" sh -c "getent hosts four.test > /dev/null; $TRY $INTERNET4 443"
    assert_status 0 "$NETJAIL" -q -p "$p" sh -c "getent hosts four.test > /dev/null; $TRY $INTERNET4 80"
    assert_status 0 "$NETJAIL" -q -p "$p" sh -c "getent ahosts www.test; getent hosts four.test; $TRY $INTERNET4 443 && $TRY $INTERNET4 80"
    end_resolv
}

# The element's time is the TTL's, at least 30 s; established connections outlive it.
root_pins_have_the_time_of_the_ttl() {
    outside_names 'short 1 A 198.51.100.10' 'long 600 A 198.51.100.10'
    own_resolv "$OUTSIDE4"
    local p jail
    p=$(names_policy n <<< 'allow out tcp to short.test port 443
		allow out tcp to long.test port 444')
    mkfifo "$T/go"
    "$NETJAIL" -q -p "$p" --name n sh -c 'getent hosts short.test; getent hosts long.test; echo up > up; read -r line' < "$T/go" > "$T/out" 2>&1 &
    jail=$!
    remember_process "$jail"
    exec 9> "$T/go"
    wait_for_file "$T/up"
    JAILS[n]=$jail
    run jail_exec n nft list set inet netjail names1_4
    assert_contains "$out" '198.51.100.10 timeout 30s'
    run jail_exec n nft list set inet netjail names2_4
    assert_contains "$out" '198.51.100.10 timeout 10m'
    echo go >&9
    exec 9>&-
    wait "$jail"
    end_resolv
}

root_established_connections_outlive_the_pin() {
    outside_names
    own_resolv "$OUTSIDE4"
    serve_outside tcp "$INTERNET4" 443
    local p jail
    p=$(names_policy n <<< 'allow out tcp to four.test port 443')
    mkfifo "$T/go"
    cat > "$T/client.py" <<- 'E'
		import socket, sys
		s = socket.create_connection(("four.test", 443), 5)
		print(s.recv(200).decode().strip(), flush=True)
		sys.stdin.readline()
		s.sendall(b"again\n")
		print(s.recv(200).decode().strip(), flush=True)
		t = socket.socket(); t.settimeout(2)
		print(t.connect_ex((s.getpeername()[0], 443)) != 0)
		E
    "$NETJAIL" -q -p "$p" --name n python3 "$T/client.py" < "$T/go" > "$T/out" 2>&1 &
    jail=$!
    remember_process "$jail"
    exec 9> "$T/go"
    wait_for_file "$T/out"
    JAILS[n]=$jail
    jail_exec n nft flush set inet netjail names1_4
    echo go >&9
    exec 9>&-
    wait "$jail" || fail "$(cat "$T/out")"
    assert_contains "$(cat "$T/out")" $'again\nTrue'
    end_resolv
}

# With rate, log and several protocols; both families; order is kept.
root_rules_around_names() {
    outside_names
    own_resolv "$OUTSIDE4"
    serve_outside tcp "$INTERNET4" 443 udp "$INTERNET4" 443 tcp "$INTERNET4" 80
    local p
    p=$(names_policy n <<< "deny out tcp to 198.51.100.0/24 port 80
		allow out tcp,udp to { www.test, four.test } port 1-1000 rate 5/minute burst 2 log")
    assert_status 0 "$NETJAIL" -q -p "$p" sh -c "getent ahosts www.test > /dev/null; $TRY $INTERNET4 443 && $NET try udp $INTERNET4 443; $TRY $INTERNET4 80; $TRY $INTERNET4 443; true"
    assert_equal "$out" $'ok hello from 198.51.100.10 to 192.0.2.1\nok hello from 198.51.100.10 to 192.0.2.1\nrefused\nrefused' 'rate, port'
    end_resolv
}

root_pointer_of_pinned_addresses_only() {
    outside_names
    own_resolv "$OUTSIDE4"
    local p
    p=$(names_policy n <<< 'allow out tcp to www.test port 443')
    run "$NETJAIL" -q -p "$p" sh -c "dig -x $INTERNET4 | grep status; getent ahosts www.test > /dev/null; dig +short -x $INTERNET4; dig +short -x $INTERNET6; dig -x $PRIVATE4 | grep status"
    assert_contains "$out" REFUSED
    assert_contains "$out" $'www.test.\nwww.test.'
    assert_equal "$(grep -c REFUSED <<< "$out")" 2
    end_resolv
}

root_other_types() {
    outside_names 'www TXT "secret"' 'www MX 1 mx.test.'
    own_resolv "$OUTSIDE4"
    local p type
    p=$(names_policy n <<< 'allow out tcp to www.test port 443')
    for type in TXT MX HTTPS SVCB SRV NS SOA CAA ANY; do
        run "$NETJAIL" -q -p "$p" dig +tcp www.test "$type"
        assert_contains "$out" 'status: NOERROR'
        assert_contains "$out" 'ANSWER: 0'
        run "$NETJAIL" -q -p "$p" dig evil.test "$type"
        assert_contains "$out" 'status: REFUSED'
    done
    run "$NETJAIL" -q -p "$p" dig www.test CH A
    assert_contains "$out" 'status: REFUSED'
    run "$NETJAIL" -q -p "$p" dig nosuch.www.test
    assert_contains "$out" 'status: REFUSED'
    p=$(names_policy m <<< 'allow out tcp to *.test port 443')
    run "$NETJAIL" -q -p "$p" dig nosuch.test
    assert_contains "$out" 'status: NXDOMAIN'
    run "$NETJAIL" -q -p "$p" dig four.test AAAA
    assert_contains "$out" 'status: NOERROR'
    end_resolv
}

root_upstream_of_the_policy() {
    outside_names
    own_resolv 127.0.0.99
    local p
    p=$(names_policy n <<< "dns { upstream $OUTSIDE6 }
		allow out tcp to www.test port 443")
    assert_status 0 "$NETJAIL" -q -p "$p" getent hosts www.test
    end_resolv
}

# The host's resolv.conf changes while the jail runs: as a link whose target is replaced, and in place.
root_host_changes_its_name_server() {
    outside_names
    mkdir "$T/etc"
    cp -a /etc/passwd /etc/group /etc/nsswitch.conf /etc/hosts /etc/ld.so.* "$T/etc/"
    mount -t tmpfs -o mode=755 tmpfs /etc
    cp -a "$T"/etc/* /etc/
    mkdir /run/resolvconf
    echo 'nameserver 127.0.0.99' > /run/resolvconf/resolv.conf
    ln -s ../run/resolvconf/resolv.conf /etc/resolv.conf
    local p jail
    p=$(names_policy n <<< 'allow out tcp to { four.test, www.test } port 443')
    mkfifo "$T/go"
    "$NETJAIL" -q -p "$p" sh -c 'for name in four.test www.test; do
        getent ahostsv4 $name; echo up > up; read -r line
        for i in 1 2 3 4 5 6 7 8 9; do getent ahostsv4 $name && break; done; done' < "$T/go" > "$T/out" 2>&1 &
    jail=$!
    remember_process "$jail"
    exec 9> "$T/go"
    wait_for_file "$T/up"
    echo "nameserver $OUTSIDE4" > /run/resolvconf/new
    mv /run/resolvconf/new /run/resolvconf/resolv.conf
    rm "$T/up"
    echo go >&9
    wait_for_file "$T/up"
    exec 9>&-
    wait "$jail" || :
    umount /etc
    rm -r /run/resolvconf
    assert_contains "$(cat "$T/out")" four.test
    assert_contains "$(cat "$T/out")" www.test
}

# A resolver on the host's loopback (systemd-resolved, dnsmasq) is asked like any other.
root_upstream_on_the_hosts_loopback() {
    own_resolv 127.0.0.53
    "$LIVE_DIR/dns_liar.py" 127.0.0.53 honest "$INTERNET4" > "$T/liar" 2>&1 &
    remember_process $!
    wait_for_port udp 53
    local p
    p=$(names_policy n <<< 'allow out tcp to four.test port 443')
    assert_status 0 "$NETJAIL" -q -p "$p" getent hosts four.test
    end_resolv
}

# A command of its own user, without capabilities; the pins come all the same.
root_as_another_user() {
    outside_names
    own_resolv "$OUTSIDE4"
    serve_outside tcp "$INTERNET4" 443
    local p
    p=$(names_policy n <<< 'allow out tcp to four.test port 443
		user daemon')
    assert_status 0 "$NETJAIL" -q -p "$p" sh -c "getent hosts four.test && $TRY $INTERNET4 443 && id -un"
    assert_contains "$out" daemon
    end_resolv
}

# Static programs (musl; Go's own resolver) read the same resolv.conf.
root_static_programs() {
    outside_names
    own_resolv "$OUTSIDE4"
    serve_outside tcp "$INTERNET4" 443
    local p
    p=$(names_policy n <<< 'allow out tcp to four.test port 443')
    command -v musl-gcc > /dev/null || skip 'musl-gcc is not installed (musl-tools)'
    cat > "$T/connect.c" <<- 'E'
		#include <netdb.h>
		#include <stdio.h>
		#include <sys/socket.h>
		int main(int argc, char **argv) {
		    struct addrinfo *found, hints = {.ai_socktype = SOCK_STREAM};
		    int code = getaddrinfo(argv[1], argv[2], &hints, &found);
		    if (code) return puts(gai_strerror(code)), 2;
		    int fd = socket(found->ai_family, SOCK_STREAM, 0);
		    return connect(fd, found->ai_addr, found->ai_addrlen) ? (perror("connect"), 1) : (puts("connected"), 0);
		}
		E
    musl-gcc -static -o "$T/connect" "$T/connect.c"
    assert_status 0 "$NETJAIL" -q -p "$p" "$T/connect" four.test 443
    assert_equal "$out" connected
    assert_status 2 "$NETJAIL" -q -p "$p" "$T/connect" evil.test 443
    if command -v go > /dev/null; then
        cat > "$T/main.go" <<- 'E'
			package main

			import (
				"fmt"
				"net"
				"os"
			)

			func main() {
				c, err := net.Dial("tcp", os.Args[1])
				fmt.Println(c != nil, err)
			}
			E
        (cd "$T" && HOME=$T GOCACHE=$T/go-cache GOFLAGS=-mod=mod CGO_ENABLED=0 go build -o dial main.go)
        assert_status 0 "$NETJAIL" -q -p "$p" "$T/dial" four.test:443
        assert_contains "$out" 'true <nil>'
        assert_status 0 "$NETJAIL" -q -p "$p" "$T/dial" evil.test:443
        assert_contains "$out" false
    fi
    end_resolv
}

run_tests "$@"
