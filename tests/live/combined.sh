#!/usr/bin/env bash
# Every kind of link in one jail, each with its own rules.
. "$(dirname "$0")/lib.sh"

root_all_links_in_one_jail() {
    local n
    policy red > /dev/null <<'POLICY'
name red
allow in tcp from { 10.3.0.2, fd00:3::2 } port 80
allow out tcp to { 10.3.0.2, fd00:3::2 } port 83
POLICY
    policy all > /dev/null <<'POLICY'
network c_br { address 10.1.0.1/24 ; address fd00:1::1/64 }
name all
link eth0 bridge c_br { address 10.1.0.2/24 ; address fd00:1::2/64 ; gateway none ; rate 1gbit }
link eth1 veth host {
    address 10.2.0.2/30
    address fd00:2::2/64
    peer-address 10.2.0.1/30
    peer-address fd00:2::1/64
    gateway none
}
link eth2 veth jail red {
    address 10.3.0.2/30
    address fd00:3::2/64
    peer-address 10.3.0.1/30
    peer-address fd00:3::1/64
}
link eth3 macvlan up0 {
    address 192.0.2.33/24
    address 2001:db8:1::33/64
    gateway 192.0.2.100
    gateway 2001:db8:1::100
}
lo { address 10.9.0.1/32 }
allow in tcp from { 10.1.0.1, fd00:1::1 } port 81
allow in tcp from { 10.2.0.1, fd00:2::1 } port 82
allow in tcp from { 10.3.0.1, fd00:3::1 } port 83
allow in tcp from { 192.0.2.0/24, 2001:db8:1::/64 } port 84
allow out tcp to { 10.3.0.1, fd00:3::1 } port 80
allow out tcp port 7
POLICY
    serve_outside tcp 0.0.0.0 7 tcp :: 7
    serve_in_jail red "$T/red.conf" tcp 0.0.0.0 80 tcp :: 80
    serve_in_jail all "$T/all.conf" tcp 0.0.0.0 81 tcp :: 81 tcp 0.0.0.0 82 tcp :: 82 \
        tcp 0.0.0.0 83 tcp :: 83 tcp 0.0.0.0 84 tcp :: 84
    for n in 10.1.0.2 fd00:1::2; do
        assert_connect ok -- tcp $n 81
        assert_connect refused -- tcp $n 82
    done
    for n in 10.2.0.2 fd00:2::2; do
        assert_connect ok -- tcp $n 82
        assert_connect refused -- tcp $n 81
    done
    for n in 10.3.0.2 fd00:3::2; do
        assert_connect ok jail_exec red -- tcp $n 83
        assert_connect refused jail_exec red -- tcp $n 82
    done
    for n in 192.0.2.33 2001:db8:1::33; do
        assert_connect ok outside -- tcp $n 84
        assert_connect refused outside -- tcp $n 83
    done
    assert_connect "ok hello from $INTERNET4 to 192.0.2.33" jail_exec all -- tcp "$INTERNET4" 7
    assert_connect "ok hello from $INTERNET6 to 2001:db8:1::33" jail_exec all -- tcp "$INTERNET6" 7
    assert_connect ok jail_exec all -- tcp 10.3.0.1 80
    end_jail all
    jail_runs_or_fail red
    end_jail red
}

run_tests "$@"
