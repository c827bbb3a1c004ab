#!/usr/bin/env bash
# `link IF veth host`: a routed cable between host and jail, no bridge.
. "$(dirname "$0")/lib.sh"

cable() {
    policy cable <<'POLICY'
name cable
link eth0 veth host {
    address 10.248.179.2/30
    address fd00:248::2/64
    peer-name tojail
    peer-address 10.248.179.1/30
    peer-address fd00:248::1/64
    gateway 10.248.179.1
    gateway fd00:248::1
}
allow in tcp port 80
allow out tcp to { 10.248.179.1, fd00:248::1 } port 22
POLICY
}

root_both_ends_talk() {
    serve_host tcp 0.0.0.0 22 tcp :: 22
    local file
    file=$(cable)
    serve_in_jail cable "$file" tcp 0.0.0.0 80 tcp :: 80 tcp 0.0.0.0 81
    assert_connect ok -- tcp 10.248.179.2 80
    assert_connect ok -- tcp fd00:248::2 80
    assert_connect refused -- tcp 10.248.179.2 81
    assert_connect ok jail_exec cable -- tcp 10.248.179.1 22
    assert_connect ok jail_exec cable -- tcp fd00:248::1 22
    run ip -o address show dev tojail
    assert_contains "$out" 10.248.179.1/30
    end_jail cable
    wait_for 5 eval '! ip link show tojail'
}

root_nat_to_the_outside() {
    serve_outside tcp 0.0.0.0 7 tcp :: 7
    local file
    file=$(policy natted <<'POLICY'
link eth0 veth host {
    address 10.248.179.2/30
    address fd00:248::2/64
    peer-address 10.248.179.1/30
    peer-address fd00:248::1/64
    nat
}
allow out tcp port 7
POLICY
    )
    assert_connect "ok hello from $INTERNET4 to $HOST4" "$NETJAIL" -p "$file" -- tcp "$INTERNET4" 7
    assert_connect "ok hello from $INTERNET6 to $HOST6" "$NETJAIL" -p "$file" -- tcp "$INTERNET6" 7
}

root_two_cables_two_jails() {
    policy c1 > /dev/null <<'POLICY'
link eth0 veth host { address 10.1.1.2/30 ; peer-address 10.1.1.1/30 }
allow in tcp port 80
POLICY
    policy c2 > /dev/null <<'POLICY'
link eth0 veth host { address 10.1.2.2/30 ; peer-address 10.1.2.1/30 }
allow in tcp port 80
POLICY
    serve_in_jail one "$T/c1.conf" tcp 0.0.0.0 80
    serve_in_jail two "$T/c2.conf" tcp 0.0.0.0 80
    assert_connect ok -- tcp 10.1.1.2 80
    assert_connect ok -- tcp 10.1.2.2 80
    end_jail one
    assert_connect ok -- tcp 10.1.2.2 80
    end_jail two
}

root_spoofing_over_the_cable_is_dropped() {
    local file
    file=$(cable)
    echo 'allow out' >> "$file" # so that the host's end has to refuse it
    serve_in_jail cable "$file" tcp 0.0.0.0 80
    "$NET" count 4444 2 > "$T/count" &
    local counter=$!
    wait_for_port udp 4444
    jail_exec cable "$NET" spoof eth0 10.0.0.99 10.248.179.1 4444
    jail_exec cable "$NET" spoof eth0 127.0.0.1 10.248.179.1 4444
    wait "$counter"
    assert_equal "$(tail -n1 "$T/count")" 0 "spoofed datagrams that reached the host"
    end_jail cable
}

run_tests "$@"
