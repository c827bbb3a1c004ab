#!/usr/bin/env bash
# Jails find each other: `to jail NAME` and `from jail NAME` in rules, NAME.jail, true as they come and go.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/names_lib.sh"

member() { # member NAME SUFFIX RULES: a jail on a common bridge
    policy "$1" <<- E
		network v_net { address 10.10.0.1/16 ; address fd00:10::1/64 }
		name $1
		link eth0 bridge v_net { address 10.10.0.$2/16 ; address fd00:10::$2/64 }
		$3
		E
}

root_to_jail_follows_it() {
    local web db other
    db=$(member db 20 'allow in tcp from jail web port 5432')
    other=$(member other 30 'allow in')
    web=$(member web 10 'allow out tcp to jail db port 5432')
    mkfifo "$T/go"
    "$NETJAIL" -q -p "$web" sh -c "echo up; read -r line; $NET try tcp 10.10.0.20 5432; $NET try tcp fd00:10::20 5432; getent ahosts db.jail | grep STREAM | sort; getent hosts nobody.jail; echo mark; read -r line; $NET try tcp 10.10.0.20 5432; getent hosts db.jail; echo end" < "$T/go" > "$T/out" 2>&1 &
    local jail=$!
    remember_process "$jail"
    exec 9> "$T/go"
    wait_for_file "$T/out"
    serve_in_jail db "$db" tcp 0.0.0.0 5432 tcp :: 5432
    serve_in_jail other "$other" tcp 0.0.0.0 5432
    echo go >&9
    wait_for 20 grep -q mark "$T/out"
    end_jail db
    serve_in_jail taken "$(member taken 20 'allow in')" tcp 0.0.0.0 5432 # its address, another jail
    echo go >&9
    exec 9>&-
    wait "$jail" || :
    assert_contains "$(cat "$T/out")" $'up\nok hello from 10.10.0.20 to 10.10.0.10\nok hello from fd00:10::20 to fd00:10::10\n10.10.0.20'
    assert_contains "$(cat "$T/out")" 'fd00:10::20     STREAM db.jail'
    assert_contains "$(cat "$T/out")" $'mark\nrefused\nend'
    end_jail taken
    end_jail other
}

run_tests "$@"
