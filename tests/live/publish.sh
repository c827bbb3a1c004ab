#!/usr/bin/env bash
# publish: reach the jail's server from outside, from the host's loopback, from other jails.
. "$(dirname "$0")/lib.sh"

NETWORK='network p_br { address 10.72.0.1/24 ; address fd00:72::1/64 }'

server() { # server NAME SUFFIX PUBLISH-STATEMENT...: prints the policy's path
    local name=$1 suffix=$2
    shift 2
    {
        printf '%s\nname %s\n' "$NETWORK" "$name"
        printf 'link eth0 bridge p_br { address 10.72.0.%s/24 ; address fd00:72::%s/64 }\n' "$suffix" "$suffix"
        printf '%s\n' "$@"
    } | policy "$name"
}

root_from_outside_the_server_sees_the_client() {
    serve_in_jail web "$(server web 10 'publish any:8080 to 80')" tcp 0.0.0.0 80 tcp :: 80
    assert_connect "ok hello from 10.72.0.10 to $OUTSIDE4" outside -- tcp "$HOST4" 8080
    assert_connect "ok hello from fd00:72::10 to $OUTSIDE6" outside -- tcp "$HOST6" 8080
    assert_connect refused outside -- tcp "$HOST4" 80
    end_jail web
    assert_connect refused outside -- tcp "$HOST4" 8080
}

root_port_of_a_users_jail_names_it() {
    setpriv --reuid="$TEST_UID" --regid="$TEST_UID" --clear-groups \
        env -u XDG_RUNTIME_DIR "$NETJAIL" -q --name holder -P 8080 sleep 1000 &
    remember_process $!
    wait_for 10 listens tcp 8080
    assert_status 125 "$NETJAIL" -q --name other -P 8080 true
    assert_contains "$err" "in use by jail 'holder' (pid "
}

root_from_the_hosts_loopback() {
    serve_in_jail web "$(server web 10 'publish 8080 to 80' 'publish 8053 to 53 udp')" \
        tcp 0.0.0.0 80 tcp :: 80 udp 0.0.0.0 53 udp :: 53
    assert_connect ok -- tcp 127.0.0.1 8080
    assert_connect ok -- tcp ::1 8080
    assert_connect ok -- udp 127.0.0.1 8053
    assert_connect ok -- udp ::1 8053
    # The default address is loopback: nobody else gets in.
    assert_connect refused outside -- tcp "$HOST4" 8080
    assert_connect refused -- tcp "$HOST4" 8080
    assert_equal "$(cat /proc/sys/net/ipv4/conf/all/route_localnet)" 0 route_localnet
    end_jail web
    assert_connect refused -- tcp 127.0.0.1 8080
}

root_any_is_loopback_and_own_address_too() {
    serve_in_jail web "$(server web 10 'publish any:8080 to 80')" tcp 0.0.0.0 80 tcp :: 80
    local a
    for a in 127.0.0.1 ::1 "$HOST4" "$HOST6"; do
        assert_connect ok -- tcp "$a" 8080
    done
    end_jail web
}

root_udp_from_outside() {
    serve_in_jail names "$(server names 11 'publish any:5353 to 53 udp')" udp 0.0.0.0 53 udp :: 53
    assert_connect "ok hello from 10.72.0.11 to $OUTSIDE4" outside -- udp "$HOST4" 5353
    assert_connect "ok hello from fd00:72::11 to $OUTSIDE6" outside -- udp "$HOST6" 5353
    end_jail names
}

root_one_address_only() {
    ip address add 192.0.2.2/24 dev up0
    serve_in_jail web "$(server web 10 "publish 192.0.2.2:8080 to 80")" tcp 0.0.0.0 80 tcp :: 80
    assert_connect ok outside -- tcp 192.0.2.2 8080
    assert_connect refused outside -- tcp "$HOST4" 8080
    assert_connect refused outside -- tcp "$HOST6" 8080
    end_jail web
    ip address del 192.0.2.2/24 dev up0
}

root_ranges() {
    serve_in_jail web "$(server web 10 'publish any:8000-8002 to 90')" \
        tcp 0.0.0.0 90 tcp 0.0.0.0 91 tcp 0.0.0.0 92
    local i
    for i in 0 1 2; do
        assert_connect ok outside -- tcp "$HOST4" 800$i
        assert_connect ok -- tcp 127.0.0.1 800$i
    done
    assert_connect refused outside -- tcp "$HOST4" 8003
    end_jail web
}

# Both ways through one bridge: another jail's published port, and its own.
published_between_jails() {
    serve_in_jail web "$(server web 10 'publish any:8080 to 80' 'allow out tcp port 8080')" tcp 0.0.0.0 80 tcp :: 80
    local client a
    client=$(server client 20 'allow out tcp port 8080')
    for a in "$HOST4" "$HOST6" 10.72.0.1 fd00:72::1; do
        assert_connect ok "$NETJAIL" -q -p "$client" -- tcp "$a" 8080
        assert_connect ok jail_exec web -- tcp "$a" 8080
    done
    end_jail web
}

bridge_netfilter() { # bridge_netfilter 0|1; 1 is what a new network namespace begins with
    [ ! -e /proc/sys/net/bridge ] ||
        sysctl -qw net.bridge.bridge-nf-call-iptables="$1" net.bridge.bridge-nf-call-ip6tables="$1"
}

root_other_jails_and_itself() {
    bridge_netfilter 0
    published_between_jails
    bridge_netfilter 1
}

root_other_jails_and_itself_with_bridge_netfilter() {
    modprobe br_netfilter 2> /dev/null || :
    [ -e /proc/sys/net/bridge/bridge-nf-call-iptables ] || skip "this kernel has no br_netfilter"
    bridge_netfilter 1
    published_between_jails
}

root_jails_on_one_bridge_with_bridge_netfilter() {
    modprobe br_netfilter 2> /dev/null || :
    [ -e /proc/sys/net/bridge/bridge-nf-call-iptables ] || skip "this kernel has no br_netfilter"
    bridge_netfilter 1
    serve_in_jail web "$(server web 10 'allow in tcp port 80')" tcp 0.0.0.0 80
    assert_connect ok "$NETJAIL" -q -p "$(server client 20 'allow out tcp port 80')" -- tcp 10.72.0.10 80
    end_jail web
}

root_port_in_use_by_a_program() {
    serve_host tcp 0.0.0.0 8080
    assert_status 125 "$NETJAIL" -p "$(server web 10 'publish any:8080 to 80')" true
    assert_contains "$err" 8080
    assert_contains "$err" web.conf:4
    stop_processes
    assert_status 0 "$NETJAIL" -q -p "$T/web.conf" true
}

root_port_in_use_by_a_jail_names_it() {
    serve_in_jail web "$(server web 10 'publish any:8080 to 80')" tcp 0.0.0.0 80
    assert_status 125 "$NETJAIL" -p "$(server second 20 'publish any:8080 to 80')" true
    assert_contains "$err" 8080
    assert_contains "$err" web
    assert_contains "$err" second.conf:4
    # And the first one is unharmed by the second one's failure.
    assert_connect ok outside -- tcp "$HOST4" 8080
    assert_connect ok -- tcp 127.0.0.1 8080
    end_jail web
}

root_rules_still_decide() {
    serve_in_jail web "$(server web 10 'publish any:8080 to 80' "deny in tcp from $OUTSIDE4 port 80")" \
        tcp 0.0.0.0 80 tcp :: 80
    assert_connect refused outside -- tcp "$HOST4" 8080
    assert_connect ok outside -- tcp "$HOST6" 8080
    end_jail web
}

root_option_reads_as_in_podman() {
    local file
    file=$(server web 10)
    start_jail web -p "$file" -P 8081:80 -P 8054:53/udp -- "$NET" serve tcp 0.0.0.0 80 udp 0.0.0.0 53
    wait_for 10 jail_listens web udp 53
    assert_connect ok -- tcp 127.0.0.1 8081
    assert_connect ok -- udp 127.0.0.1 8054
    end_jail web
}

root_same_port_again_at_once() {
    local i file
    file=$(server web 10 'publish any:8080 to 80')
    for i in 1 2 3; do
        serve_in_jail web "$file" tcp 0.0.0.0 80
        assert_connect ok outside -- tcp "$HOST4" 8080
        end_jail web
    done
}

root_only_the_published_port_is_open() {
    serve_in_jail web "$(server web 10 'publish any:8080 to 80')" tcp 0.0.0.0 80 tcp 0.0.0.0 81 udp 0.0.0.0 80
    outside ip route add 10.72.0.0/24 via "$HOST4"
    assert_no_connect outside -- tcp 10.72.0.10 81
    assert_no_connect outside -- udp "$HOST4" 8080
    assert_no_connect outside -- tcp 10.72.0.10 80  # not by the published address
    assert_connect refused -- tcp 10.72.0.10 81
    end_jail web
    outside ip route del 10.72.0.0/24
}

user_low_port_says_what_to_do() {
    assert_status 125 "$NETJAIL" -q -P 80 true
    assert_contains "$err" 'cannot listen on TCP port 127.0.0.1:80: Permission denied'
    assert_contains "$err" 'publish a higher one, for example 8080, run netjail as root'
}

user_publish_without_a_link() {
    local file
    file=$(policy web <<'POLICY'
name web
publish 8080 to 80
publish 8053 to 53 udp
POLICY
    )
    serve_in_jail web "$file" tcp 127.0.0.1 80 tcp ::1 80 udp 127.0.0.1 53
    assert_connect ok -- tcp 127.0.0.1 8080
    assert_connect ok -- tcp ::1 8080
    assert_connect ok -- udp 127.0.0.1 8053
    end_jail web
    assert_connect refused -- tcp 127.0.0.1 8080
}

user_large_transfer_through_the_service() {
    start_jail web -P 8080:80 -- bash -c "head -c 67108864 /dev/zero | socat -u - TCP4-LISTEN:80,reuseaddr; exec tail -f /dev/null"
    wait_for 10 jail_listens web tcp 80
    assert_equal "$(socat -u TCP4:127.0.0.1:8080 - | wc -c)" 67108864 "bytes received"
    end_jail web
}

run_tests "$@"
