#!/usr/bin/env bash
# Real programs: nginx as an ordinary uid on port 80, ping, curl.
. "$(dirname "$0")/lib.sh"

nginx_conf() {
    mkdir -p "$T/www"
    echo 'it works' > "$T/www/index.html"
    cat > "$T/nginx.conf" <<CONF
daemon off;
pid $T/nginx.pid;
error_log $T/error.log;
worker_processes 1;
events { worker_connections 64; }
http {
    access_log $T/access.log;
    client_body_temp_path $T/b; proxy_temp_path $T/p; fastcgi_temp_path $T/f;
    uwsgi_temp_path $T/u; scgi_temp_path $T/s;
    server { listen 80; listen [::]:80; root $T/www; }
}
CONF
    chmod -R a+rwX "$T/www"
    chmod 1777 "$T"
}

root_nginx_under_web_conf() {
    command -v nginx > /dev/null || skip "nginx is not installed"
    nginx_conf
    chown www-data "$T"
    local p="$TEST_TOP/policies"
    start_jail database -p "$p/database.conf" -- "$NET" serve tcp 0.0.0.0 5432 tcp :: 5432 tcp 0.0.0.0 5433
    wait_for 10 jail_listens database tcp 5432
    start_jail web -p "$p/web.conf" -- nginx -c "$T/nginx.conf"
    wait_for 10 jail_listens web tcp 80
    local a
    for a in "$HOST4" "[$HOST6]"; do
        assert_equal "$(outside curl -sS --max-time 5 "http://$a:8080/")" 'it works' "from outside by $a"
        assert_equal "$(curl -sS --max-time 5 "http://$a:8080/")" 'it works' "from the host by $a"
    done
    assert_equal "$(curl -sS --max-time 5 'http://127.0.0.1:8080/')" 'it works'
    assert_equal "$(curl -sS --max-time 5 'http://[::1]:8080/')" 'it works'
    assert_contains "$(cat "$T/access.log")" "$OUTSIDE4"
    assert_contains "$(cat "$T/access.log")" "$OUTSIDE6"
    # Its database and nothing else.
    assert_connect ok jail_exec web -- tcp 10.10.0.20 5432
    assert_connect ok jail_exec web -- tcp fd00:10:10::20 5432
    assert_connect refused jail_exec web -- tcp 10.10.0.20 5433
    assert_connect refused jail_exec web -- tcp 10.10.0.1 80
    assert_connect refused jail_exec web -- tcp "$OUTSIDE4" 80
    assert_connect refused jail_exec database -- tcp 10.10.0.10 80
    # The database is closed to the host and to the outside.
    assert_connect refused -- tcp 10.10.0.20 5432
    assert_connect refused -- tcp fd00:10:10::20 5432
    # nginx is an ordinary uid without capabilities.
    local pid
    pid=$(jail_command_pid web)
    for pid in $(descendants "${JAILS[web]}"); do
        [ "$(cat "/proc/$pid/comm" 2> /dev/null)" = nginx ] || continue
        assert_equal "$(awk '/^Uid/{print $2}' "/proc/$pid/status")" "$(id -u www-data)" "uid of nginx"
        assert_equal "$(awk '/^CapEff/{print $2}' "/proc/$pid/status")" 0000000000000000 "capabilities of nginx"
    done
    end_jail web
    end_jail database
}

user_nginx_published_without_privilege() {
    command -v nginx > /dev/null || skip "nginx is not installed"
    nginx_conf
    start_jail web -P 8080:80 -- nginx -c "$T/nginx.conf"
    wait_for 10 jail_listens web tcp 80
    assert_equal "$(curl -sS --max-time 5 'http://127.0.0.1:8080/')" 'it works'
    assert_equal "$(curl -sS --max-time 5 'http://[::1]:8080/')" 'it works'
    end_jail web
}

both_port_80_without_capabilities() {
    assert_status 0 "$NETJAIL" -q $( [ "$(id -u)" != 0 ] || echo --user=daemon ) bash -c '
        grep CapEff /proc/self/status
        timeout 5 socat -u TCP4-LISTEN:80 - & socat -u - TCP4:127.0.0.1:80,retry=20,interval=0.1 <<< hello; wait'
    assert_contains "$out" 0000000000000000
    assert_contains "$out" hello
}

both_iperf3_inside() {
    command -v iperf3 > /dev/null || skip "iperf3 is not installed"
    assert_status 0 "$NETJAIL" -q bash -c 'iperf3 -s -1 > /dev/null & until ss -Hnlt sport = :5201 | grep -q .; do read -rt 0.05 <> <(:); done; iperf3 -c ::1 -n 4M'
}

run_tests "$@"
