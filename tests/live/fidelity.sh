#!/usr/bin/env bash
# netjail is the command, to those who start it and to the programs that start others: most is compared with the same
# thing done without netjail (fidelity.py).
. "$(dirname "$0")/lib.sh"

compare() {
    run /usr/bin/python3 "$LIVE_DIR/fidelity.py" "$NETJAIL" "$@"
    [ "$status" -eq 0 ] || fail "$* $out $err"
}

both_deaths_and_exits() { compare deaths core exits; }
both_what_a_process_inherits() { compare state argv0 storm; }
both_signals_arrive_once() { compare signals; }
both_stops_and_continues() { compare stops; }
both_terminal() { compare window sessions hangup; }
both_alarm() { compare alarm; }
both_processor_time_of_the_command() { compare usage; }
both_pipes_end() { compare pipes; }

both_programs_that_start_others() {
    local file
    assert_status 124 timeout 0.5 "$NETJAIL" -q tail -f /dev/null
    assert_status 137 timeout -s KILL 0.5 "$NETJAIL" -q tail -f /dev/null
    assert_status 124 "$NETJAIL" -q timeout 0.5 tail -f /dev/null
    assert_status 3 nohup "$NETJAIL" -q sh -c 'kill -HUP $$; exit 3'
    assert_status 3 "$NETJAIL" -q nohup sh -c 'kill -HUP $$; exit 3'
    assert_status 3 setsid -w "$NETJAIL" -q sh -c 'exit 3'
    assert_status 3 "$NETJAIL" -q setsid -w sh -c 'exit 3'
    assert_status 3 script -qec "$NETJAIL -q sh -c 'tty; exit 3'" /dev/null
    assert_contains "$out" /dev/pts
    assert_status 3 "$NETJAIL" -q script -qec 'tty; exit 3' /dev/null
    assert_contains "$out" /dev/pts
    assert_equal "$(seq 40 | xargs -P 8 -I{} "$NETJAIL" -q echo {} | sort -n | md5sum)" "$(seq 40 | md5sum)" 'xargs -P'
    run "$NETJAIL" -q xargs -P 4 -n 1 sh -c 'exit 255' < <(seq 3)
    assert_equal "$status" 124 'xargs whose command exits with 255'
    assert_equal "$("$NETJAIL" -q nice -n 5 nice)" "$(nice -n 5 nice)" nice
    assert_equal "$(nice -n 5 "$NETJAIL" -q nice)" "$(nice -n 5 nice)" nice
    # A script without #! is no program to exec(2), but a shell and env(1) run it.
    printf 'exit 5\n' > "$T/script"
    chmod 755 "$T/script"
    assert_status 5 "$NETJAIL" -q "$T/script"
    # What PATH hides is not found, what may not be run is found.
    mkdir -m 0 "$T/closed"
    assert_status 127 env PATH="$T/closed:$PATH" "$NETJAIL" -q no-such-command
    assert_contains "$err" "command 'no-such-command' not found"
    assert_status 126 env PATH="$T/closed:/etc" "$NETJAIL" -q passwd
    assert_status 126 env PATH="/etc:$T/closed" "$NETJAIL" -q passwd
    printf '#!/no/such/interpreter\n' > "$T/script"
    assert_status 127 "$NETJAIL" -q "$T/script"
    assert_contains "$err" 'hint: the file is there'
    file=$(policy waits <<< 'on-exit wait')
    assert_status 3 "$NETJAIL" -q -p "$file" sh -c '(exec tail -f /dev/null) & exec sh -c "kill \$0; exit 3" $!'
}

both_debuggers() {
    command -v strace > /dev/null || skip 'strace is not installed'
    assert_status 3 strace -f -o "$T/trace" "$NETJAIL" -q sh -c 'exit 3'
    assert_status 3 "$NETJAIL" -q strace -f -o "$T/trace" sh -c 'exit 3'
    grep -q 'exited with 3' "$T/trace" || fail 'strace in the jail saw nothing'
    assert_status 143 "$NETJAIL" -q strace -o "$T/trace" sh -c 'kill -TERM $$'
    command -v gdb > /dev/null || skip 'gdb is not installed'
    run "$NETJAIL" -q gdb -q -nx -batch -ex run -ex 'print $_exitcode' --args sh -c 'exit 3'
    assert_contains "$out" '= 3'
}

# A jobserver's descriptors, as pipes and as a fifo, from outside and of a make in the jail.
both_make_jobserver() {
    command -v make > /dev/null || skip 'make is not installed'
    cat > "$T/Makefile" <<'MAKE'
all: a b c d
a b c d:
	@echo $@ >> log
sub:
	+@$(PREFIX) $(MAKE) --no-print-directory all
MAKE
    mkdir "$T/m"
    cp "$T/Makefile" "$T/m"
    local style options=('')
    make --help | grep -q jobserver-style && options=(--jobserver-style=pipe --jobserver-style=fifo)
    for style in "${options[@]}"; do
        rm -f "$T/m/log"
        # shellcheck disable=SC2086 # one or none
        assert_status 0 make -C "$T/m" $style -j3 sub PREFIX="$NETJAIL -q"
        assert_lacks "$err" jobserver
        assert_equal "$(wc -l < "$T/m/log")" 4
        # shellcheck disable=SC2086
        assert_status 0 "$NETJAIL" -q make -C "$T/m" $style -j3 sub PREFIX=
        assert_lacks "$err" jobserver
        assert_equal "$(wc -l < "$T/m/log")" 8
    done
}

# A shell's job control, around netjail and inside of it.
both_job_control_without_a_terminal() {
    assert_status 7 bash -c 'set -m; "$0" -q sh -c "exit 7" & wait $!' "$NETJAIL"
    assert_status 7 "$NETJAIL" -q bash -c 'set -m; sh -c "kill -STOP \$\$; exit 7" & while ! jobs -s | grep -q Stopped; do :; done; kill -CONT %1; wait %1'
    assert_status 143 bash -c 'set -m; "$0" -q sh -c "echo > \$0; exec tail -f /dev/null" "$1" & until [ -s "$1" ]; do :; done
        kill -STOP %1; kill -CONT %1; kill %1; wait %1' "$NETJAIL" "$T/up"
}

both_left_grandchildren() {
    local options
    for options in '' 'processes shared'; do
        assert_status 3 "$NETJAIL" -q ${options:+-e "$options"} sh -c 'setsid sh -c "trap : TERM HUP INT; while :; do sleep 0.1; done" & exit 3'
        wait_for 5 eval '! pgrep -f "trap : TERM HU[P]"'
        assert_status 3 "$NETJAIL" -q ${options:+-e "$options"} -e 'on-exit wait' sh -c \
            'setsid sh -c "sleep 0.4; echo late > \"\$0\"" "$0" & exit 3' "$T/late"
        assert_equal "$(cat "$T/late")" late
        rm "$T/late"
        # A stop signal that comes while it waits reaches those who are left.
        "$NETJAIL" -q ${options:+-e "$options"} -e 'on-exit wait' sh -c 'sh -c "echo > \"\$0\"; exec tail -f /dev/null" "$0" & exit 3' "$T/up" &
        local pid=$! code=0
        wait_for_file "$T/up"
        kill -TERM "$pid"
        wait "$pid" || code=$?
        assert_equal "$code" 3
        rm "$T/up"
    done
}

# netjail in netjail: as strong, or refused with a reason.
both_inside_another_jail() {
    run "$NETJAIL" -q "$NETJAIL" -q sh -c 'echo ran'
    assert_equal "$status" 125 "$out $err"
    assert_contains "$err" 'netjail: '
    assert_contains "$err" 'hint: this is inside the jail '
    run "$NETJAIL" -q -e 'namespaces allow' "$NETJAIL" -q sh -c 'echo ran'
    assert_equal "$status" 125 "$out $err"
}

# The caller's environment decides nothing: loader variables, locales, the runtime directory of another.
root_hostile_environment() {
    mkdir -m 700 "$T/theirs" "$T/theirs/netjail"
    chown -R "$TEST_UID" "$T/theirs"
    assert_status 3 env LD_PRELOAD=/nowhere.so LD_LIBRARY_PATH="$T" LD_AUDIT=/nowhere LC_ALL=xx LANGUAGE=../.. \
        XDG_RUNTIME_DIR="$T/theirs" TMPDIR=/nowhere IFS=x PS4='$(id)' BASH_ENV="$T/theirs" SHELL=/nowhere \
        "$NETJAIL" -q sh -c 'exit 3'
    [ -z "$(ls "$T/theirs/netjail")" ] || fail "written to another's directory: $(ls "$T/theirs/netjail")"
    setpriv --reuid=1234 --regid=1234 --clear-groups env XDG_RUNTIME_DIR="$T/theirs" "$NETJAIL" -q true ||
        fail 'with the runtime directory of another'
    [ -z "$(ls "$T/theirs/netjail")" ] || fail 'written to another'"'"'s directory'
}

# Limits too small for it: it fails closed, and with those of a normal command's size it works.
both_tiny_limits() {
    local limit
    for limit in '-n 5' '-n 12' '-v 2000' '-d 0' '-l 0' '-s 64' '-f 0' '-t 1' '-i 0' '-q 0' '-u 3'; do
        run bash -c "ulimit $limit; exec \"\$0\" -q sh -c 'echo ran; ip -o link | wc -l'" "$NETJAIL"
        case $status:$out in
        # (153: with -f 0 the command itself dies of its own output.)
        0:$'ran\n1' | 125: | 127: | 139: | 137: | 153: | 2:ran | 2:) ;;
        *) fail "with ulimit $limit: $status $out $err" ;;
        esac
    done
    assert_status 0 bash -c 'ulimit -n 64; exec "$0" -q true' "$NETJAIL"
    assert_status 0 bash -c 'ulimit -s 256; exec "$0" -q true' "$NETJAIL"
}

root_process_1_of_a_container() {
    local number
    for number in 1 9 15 11 40; do
        assert_status $((128 + number)) unshare -pf --mount-proc "$NETJAIL" -q sh -c "ulimit -c 0; kill -$number \$\$"
    done
    assert_status 7 unshare -pf --mount-proc "$NETJAIL" -q --wait-clean sh -c 'setsid -f tail -f /dev/null; exit 7'
    assert_status 125 unshare -p "$NETJAIL" -q true # its children would be in there, it is not
    assert_contains "$err" 'hint: the children of this process are born in another pid namespace'
    # Orphans of the container are not netjail's children to wait for, but do not disturb it.
    assert_status 7 unshare -pf --mount-proc sh -c 'setsid -f sh -c "sleep 0.1; exit 5"; exec "$0" -q sh -c "sleep 0.3; exit 7"' "$NETJAIL"
    # SIGTERM to a container's process 1, as docker stop does.
    unshare -pf --mount-proc --kill-child "$NETJAIL" -q sh -c 'trap "exit 9" TERM; echo up > "$0"; while :; do sleep 0.1; done' "$T/up" &
    local parent=$! code=0
    wait_for_file "$T/up"
    kill -TERM "$(cat "/proc/$parent/task/$parent/children")"
    wait "$parent" || code=$?
    assert_equal "$code" 9
}

run_tests "$@"
