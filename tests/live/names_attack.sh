#!/usr/bin/env bash
# Names against their will: upstreams that lie, programs in the jail that carry data out in names or ask elsewhere.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/names_lib.sh"

TRY="$NET try tcp"

liar() { # liar MODE [ARG]: at the outside's address
    : > "$T/asked"
    nsenter --net=/run/netns/outside "$LIVE_DIR/dns_liar.py" "$OUTSIDE4" "$@" > "$T/asked" 2> "$T/liar.err" &
    LIAR=$!
    remember_process "$LIAR"
    wait_for_port udp 53 outside
}

end_liar() { kill -KILL "$LIAR" && wait "$LIAR" 2> /dev/null || :; }

root_lying_upstreams_are_not_believed() {
    own_resolv "$OUTSIDE4"
    local p mode
    p=$(names_policy n <<< 'allow out tcp to www.test port 443')
    for mode in id name source type tc-garbage garbage loop short silent refuse servfail; do
        liar "$mode"
        run "$NETJAIL" -q -p "$p" dig +time=12 +tries=1 www.test A
        assert_contains "$out" 'status: SERVFAIL'
        end_liar
    done
    end_resolv
}

root_honest_and_odd_upstreams() {
    own_resolv "$OUTSIDE4"
    serve_outside tcp "$INTERNET4" 443
    local p mode
    p=$(names_policy n <<< 'allow out tcp to www.test port 443')
    for mode in honest lower case truncate late; do
        liar "$mode" "$INTERNET4"
        run "$NETJAIL" -q -p "$p" sh -c "dig +short www.test A; $TRY $INTERNET4 443"
        assert_equal "$out" $'198.51.100.10\nok hello from 198.51.100.10 to 192.0.2.1' "$mode"
        end_liar
    done
    liar extra 198.51.100.66
    run "$NETJAIL" -q -p "$p" sh -c "dig +short www.test A; $TRY 198.51.100.66 443"
    assert_equal "$out" $'198.51.100.10\nrefused' 'an address of another name'
    end_liar
    end_resolv
}

root_rebinding() {
    own_resolv "$OUTSIDE4"
    serve_outside tcp "$PRIVATE4" 443
    local p q address
    p=$(names_policy n <<< 'allow out tcp to *.test port 443
		log denied')
    q=$(names_policy q <<< 'dns { private *.test }
		allow out tcp to *.test port 443')
    for address in 127.0.0.1 10.1.2.3 172.31.255.10 192.168.1.1 169.254.169.254 100.64.0.1 0.0.0.0 224.0.0.1 255.255.255.255 \
        "$HOST4" ::1 :: fe80::1 fd00:99::10 ::ffff:10.0.0.1 64:ff9b::a00:1 2002:a00:1::1 ff02::1 fd00:ec2::254; do
        liar private "$address"
        case $address in *:*) type=AAAA ;; *) type=A ;; esac
        run "$NETJAIL" -q -p "$p" dig a.test "$type"
        assert_contains "$out" 'status: REFUSED'
        assert_contains "$err" "it answers with"
        end_liar
    done
    liar private "$PRIVATE4"
    assert_status 0 "$NETJAIL" -q -p "$q" sh -c "getent ahostsv4 a.test && $TRY $PRIVATE4 443"
    end_liar
    end_resolv
}

# Nothing is asked upstream for a name that no rule admits, whatever its labels say.
root_no_tunnel_in_labels() {
    own_resolv "$OUTSIDE4"
    liar honest
    local p label i
    p=$(names_policy n <<< 'allow out tcp to { www.test, *.good.test } port 443')
    label=$(printf 'x%.0s' {1..60})
    run "$NETJAIL" -q -p "$p" sh -c "for t in A AAAA TXT PTR MX; do
        dig +tries=1 $label.$label.$label.tunnel.test \$t; dig +tcp $label.www.test \$t; dig data.www.test \$t; done
        dig -x 198.51.100.77; dig good.test; dig 'a\\.good.test'; dig +short www.test"
    assert_equal "$(grep -c 'status: REFUSED' <<< "$out")" 18
    assert_equal "$(cut -d' ' -f2 "$T/asked" | tr 'A-Z' 'a-z' | sort -u)" www.test
    end_liar
    end_resolv
}

root_other_name_servers_are_refused() {
    own_resolv "$OUTSIDE4"
    outside_names
    serve_outside udp "$INTERNET4" 53 tcp "$INTERNET4" 53 tcp "$INTERNET4" 443
    local p
    p=$(names_policy n <<< 'allow out tcp to six.test port 443')
    assert_connect denied "$NETJAIL" -q -p "$p" -- udp "$INTERNET4" 53
    assert_connect refused "$NETJAIL" -q -p "$p" -- tcp "$INTERNET4" 53
    assert_connect refused "$NETJAIL" -q -p "$p" -- tcp "$INTERNET4" 443
    run "$NETJAIL" -q -p "$p" dig "@$OUTSIDE4" www.test
    assert_lacks "$out" "$INTERNET4"
    end_resolv
}

root_hundred_addresses() {
    own_resolv "$OUTSIDE4"
    liar many 100
    local p
    p=$(names_policy n <<< 'allow out tcp to www.test port 443')
    run "$NETJAIL" -q -p "$p" sh -c 'dig +short www.test | sort -u | wc -l; dig +notcp +ignore www.test | grep flags; getent ahostsv4 www.test | grep -c STREAM'
    assert_equal "$(head -1 <<< "$out")" 100
    assert_equal "$(tail -1 <<< "$out")" 100
    end_liar
    end_resolv
}

# Every query another address: all are admitted, also beyond the limit of one name.
root_rotating_addresses() {
    own_resolv "$OUTSIDE4"
    liar rotate
    local p
    p=$(names_policy n <<< 'dns { private *.test }
		allow out tcp to *.test port 443')
    run "$NETJAIL" -q -p "$p" sh -c 'for i in 1 2 3; do dig +short a$i.test; done'
    assert_equal "$(sort -u <<< "$out" | wc -l)" 3
    end_liar
    end_resolv
}

# Malformed queries are answered or ignored, and the resolver lives on.
root_malformed_queries() {
    own_resolv "$OUTSIDE4"
    liar honest
    local p
    p=$(names_policy n <<< 'allow out tcp to www.test port 443')
    cat > "$T/bad.py" <<- 'E'
		import os, random, socket, struct
		server = ("127.0.0.53", 53)
		random.seed(7)
		s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
		head = struct.pack(">HHHHHH", 1, 0x100, 1, 0, 0, 0)
		good = head + b"\3www\4test\0\0\1\0\1"
		bad = [b"", b"\0", good[:11], head, good[:-1], head + b"\xc0\x0c\0\1\0\1", head + b"\x40" + b"a" * 64 + b"\0\0\1\0\1",
		       struct.pack(">HHHHHH", 1, 0x100, 65535, 65535, 65535, 65535), good + b"\0" * 2000, head + b"\x3f" * 300,
		       struct.pack(">HHHHHH", 1, 0x8180, 1, 1, 0, 0) + good[12:], struct.pack(">HHHHHH", 1, 0x2800, 1, 0, 0, 0) + good[12:]]
		for b in bad: s.sendto(b, server)
		for i in range(3000):
		    data = bytearray(good)
		    for _ in range(random.randrange(1, 6)): data[random.randrange(len(data))] = random.randrange(256)
		    s.sendto(bytes(data[:random.randrange(len(data) + 1)]), server)
		conns = []
		for i in range(80):
		    t = socket.socket(); t.settimeout(1)
		    try:
		        t.connect(server); t.send(struct.pack(">H", random.choice([0, 5, 65535, len(good)])) + os.urandom(20)); conns.append(t)
		    except OSError: pass
		del conns
		print(socket.getaddrinfo("www.test", 443, socket.AF_INET)[0][4][0])
		E
    assert_status 0 "$NETJAIL" -q -p "$p" python3 "$T/bad.py"
    assert_equal "$out" 198.51.100.10
    assert_equal "$err" ''
    end_liar
    end_resolv
}

# Everything else that a DNS message can say: no answer but for the one name, and upstream hears of nothing else.
root_odd_questions() {
    own_resolv "$OUTSIDE4"
    liar honest
    local p
    p=$(names_policy n <<< 'allow out tcp to { www.test, *.good.test } port 443')
    cat > "$T/odd.py" <<- 'E'
		import socket, struct
		server = ("127.0.0.53", 53)
		tried = 0
		def labels(*parts): return b"".join(bytes([len(p)]) + p for p in parts) + b"\0"
		def head(flags=0x100, counts=(1, 0, 0, 0)): return struct.pack(">HHHHHH", 4711, flags, *counts)
		def ask(what, message, admitted=False):
		    global tried
		    tried += 1
		    for kind in (socket.SOCK_DGRAM, socket.SOCK_STREAM):
		        with socket.socket(socket.AF_INET, kind) as s:
		            s.settimeout(0.3)
		            s.connect(server)
		            s.send(message if kind == socket.SOCK_DGRAM else struct.pack(">H", len(message)) + message)
		            try:
		                answer = s.recv(4096)[0 if kind == socket.SOCK_DGRAM else 2:]
		            except OSError:
		                continue
		            if len(answer) < 12: continue
		            _, flags, _, count, _, _ = struct.unpack(">HHHHHH", answer[:12])
		            if count and not admitted: print("ANSWERED", what, flags & 15, count)
		www, data = labels(b"www", b"test"), b"d" * 60
		tail = struct.pack(">HH", 1, 1)
		for kind in (0, 2, 5, 6, 10, 15, 16, 33, 41, 43, 48, 64, 65, 249, 250, 251, 252, 253, 254, 255, 256, 65535):
		    ask(f"type {kind}", head() + www + struct.pack(">HH", kind, 1))
		    ask(f"type {kind} of another name", head() + labels(data, b"test") + struct.pack(">HH", kind, 1))
		for number in (0, 2, 3, 4, 254, 255, 0x8001):
		    ask(f"class {number}", head() + www + struct.pack(">HH", 1, number))
		    ask(f"class {number}, version.bind", head() + labels(b"version", b"bind") + struct.pack(">HH", 16, number))
		for opcode in range(1, 16):
		    ask(f"opcode {opcode}", head(opcode << 11 | 0x100) + www + tail)
		    ask(f"opcode {opcode} with a record", head(opcode << 11, (1, 0, 1, 0)) + labels(b"test") + struct.pack(">HH", 6, 1) +
		        labels(data, b"test") + struct.pack(">HHIH4s", 1, 1, 60, 4, b"abcd"))
		names = {"NUL": labels(b"www\0", b"test"), "a dot": labels(b"www.test"), "dot inside": labels(b"a.good", b"test"), "star": labels(b"*", b"good", b"test"),
		         "escape": labels(b"\\119ww", b"test"), "space": labels(b"www ", b"test"), "UTF-8": labels("wwẃ".encode(), b"test"), "root": b"\0",
		         "behind": labels(b"www", b"test", b"evil"), "before": labels(b"evilgood", b"test"), "the suffix": labels(b"good", b"test"),
		         "long": labels(data, data, data, b"www", b"test"), "255": labels(data, data, data, data[:20], b"x" * 30, b"evil"), "PTR": labels(data, b"in-addr", b"arpa"),
		         "mdns": labels(data, b"local"), "jail": labels(data, b"jail"), "netjail": labels(b"other", b"netjail"), "colon": labels(b"www:443", b"test")}
		for name, wire in names.items():
		    for kind in (1, 28, 12, 16):
		        ask(f"{name}, type {kind}", head() + wire + struct.pack(">HH", kind, 1))
		option = struct.pack(">HH", 8, 40) + data[:40]
		for version in (0, 1, 255):
		    edns = b"\0" + struct.pack(">HHBBHH", 41, 65535, 0, version, 0x8000, len(option)) + option
		    ask(f"EDNS {version}", head(0x120, (1, 0, 0, 1)) + www + tail + edns, version == 0)
		more = labels(data, b"test") + struct.pack(">HHIH4s", 1, 1, 60, 4, b"abcd")
		for i, counts in enumerate(((1, 1, 0, 0), (1, 0, 1, 0), (1, 0, 0, 1))):
		    ask(f"a record too many {i}", head(0x100, counts) + www + tail + more, True)
		ask("two questions", head(0x100, (2, 0, 0, 0)) + www + tail + labels(data, b"test") + tail)
		ask("no question", head(0x100, (0, 0, 0, 0)))
		for bit in range(16):
		    ask(f"flag {bit}", head(1 << bit) + www + tail, True)
		print(tried, socket.getaddrinfo("www.test", 443, socket.AF_INET)[0][4][0])
		E
    assert_status 0 "$NETJAIL" -q -p "$p" python3 "$T/odd.py"
    assert_lacks "$out" ANSWERED
    assert_contains "$out" ' 198.51.100.10'
    [ "${out%% *}" -gt 150 ] || fail "only $out were tried"
    assert_equal "$(cut -d' ' -f2 "$T/asked" | tr 'A-Z' 'a-z' | sort -u)" www.test
    end_liar
    end_resolv
}

# The service ends: names fail, nothing opens up.
root_killed_service_opens_nothing() {
    own_resolv "$OUTSIDE4"
    outside_names
    serve_outside tcp "$INTERNET4" 443
    local p
    p=$(names_policy n <<< 'allow out tcp to four.test port 443')
    mkfifo "$T/go"
    "$NETJAIL" -q -p "$p" sh -c "echo up; read -r line; getent hosts four.test; $TRY $INTERNET4 443" < "$T/go" > "$T/out" 2> "$T/err" &
    local jail=$!
    remember_process "$jail"
    exec 9> "$T/go"
    wait_for_file "$T/out"
    pkill -KILL -P "$jail" netjail-service
    wait_for_file "$T/err"
    echo go >&9
    exec 9>&-
    wait "$jail" || :
    assert_equal "$(cat "$T/out")" $'up\nrefused'
    assert_contains "$(cat "$T/err")" 'names no longer resolve'
    end_resolv
}

run_tests "$@"
