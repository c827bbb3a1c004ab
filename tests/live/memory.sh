#!/usr/bin/env bash
# What a running jail costs: supervisor and init together take at most 400 kB (PSS, where several jails
# run), and the supervisor allocates nothing while the command runs.
. "$(dirname "$0")/lib.sh"

pss_kb() { awk '/^Pss:/ { sum += $2 } END { print sum }' "/proc/$1/smaps_rollup"; }

# Together of all that run: what they share of the program's file counts once.
pss_of_all() {
    local pid sum=0
    for pid in $(pgrep -x netjail); do
        sum=$((sum + $(pss_kb "$pid")))
    done
    printf '%s\n' "$sum"
}

# at_most KB COUNT WHAT: COUNT jails, which give back what only the start needed (after a second). One measurement
# decides: of two, the first may find a jail that has just begun.
at_most() {
    local end=$((SECONDS + 15)) each
    until each=$(($(pss_of_all) / $2)) && [ "$each" -le "$1" ]; do
        [ "$SECONDS" -le "$end" ] || fail "$3: $each kB for each of $2 jails"
        read -rt 0.2 <> <(:) || :
    done
    printf '%s: %s kB per jail\n' "$3" "$each" >> "${MEMORY_LOG:-/dev/null}"
    assert_equal "$(pgrep -cx netjail)" $((2 * $2)) 'supervisors and inits'
}

start_jails() { # start_jails COUNT [OPTIONS...]: their commands run
    local i
    for ((i = 1; i <= $1; i++)); do
        start_jail "$i" -q "${@:2}" -- sh -c 'echo up; exec tail -f /dev/null'
        wait_for_file "$T/jail-$i.out"
    done
}

end_jails() {
    local i
    for ((i = 1; i <= $1; i++)); do end_jail "$i"; done
}

root_supervisor_and_init_are_small() {
    local file
    start_jails 8
    at_most 300 8 'no policy'
    end_jails 8
    file=$(policy small <<'POLICY'
network m_br { address 10.79.0.1/24 ; nat }
link eth0 bridge m_br { address auto }
allow out tcp port 7
POLICY
    )
    start_jails 4 -p "$file"
    at_most 400 4 'bridge and NAT'
    end_jails 4
}

# Written in pieces of 256 kB the page cache has the program in folios of that size, each of which one page would bring
# back whole.
root_a_program_just_written_is_small_too() {
    dd if="$NETJAIL" of="$T/netjail" bs=256k status=none
    chmod 755 "$T/netjail"
    NETJAIL=$T/netjail
    start_jails 8
    at_most 260 8 'just written'
    end_jails 8
}

# brk(2), mmap(2) and mremap(2) of the supervisor between the command's start and its end: none but a brk(2) that
# gives back, which it does after a second.
both_nothing_is_allocated_while_it_runs() {
    command -v strace > /dev/null || skip 'strace is not installed'
    assert_status 0 strace -f -o "$T/trace" -e trace=execve,brk,mmap,mremap,exit_group "$NETJAIL" -q --wait-clean \
        bash -c 'for i in 1 2 3; do (exit $i); setsid sleep 1.5 & done; wait; exit 0'
    # The supervisor is the first process of the trace; the command's exec is that of bash. What it gave back before
    # the command ended it takes again for the clean-up.
    local supervisor
    supervisor=$(awk 'NR == 1 { print $1 }' "$T/trace")
    awk -v pid="$supervisor" '/execve\("[^"]*bash"/ { runs = 1; command = $1 } $1 == command && /exit_group/ { runs = 0 }
        $1 == pid && $2 ~ /^brk\(0x/ { gives = $2 < last; last = $2 }
        runs && $1 == pid && $2 ~ /^(brk|mmap|mremap)/ && !($2 ~ /^brk\(0x/ && gives) { print }' \
        "$T/trace" > "$T/allocated"
    [ ! -s "$T/allocated" ] || fail "the supervisor allocates: $(cat "$T/allocated")"
    grep -q '^'"$supervisor"' ' "$T/trace" || fail 'nothing was traced'
}

run_tests "$@"
