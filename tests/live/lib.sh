# shellcheck shell=bash
# The live tests' library: every test function runs in a host of its own made of namespaces.
#
# A test file sources this, defines functions and ends with `run_tests "$@"`. A function's name says who
# runs it: root_x as root, user_x as an ordinary user, both_x once as each. Each call gets a
# fresh fake host (network, mount, pid and ipc namespaces, an empty /run), so that nothing a test does reaches
# this machine, and a killed test leaves nothing. The test's shell is inside that host: `ip`, `nft`,
# netjail act on it directly; `outside CMD` runs in the network behind its uplink.
#
#     outside                                    the fake host
#     out0 192.0.2.100/24, 2001:db8:1::100/64 -- up0 192.0.2.1/24, 2001:db8:1::1/64, default route
#     lo   198.51.100.10, 2001:db8:100::10 (the internet), 172.31.255.10, fd00:99::10 (private)
#
# A file that defines `prepare` has it called as root in each fake host before the function, also where
# that runs as an ordinary user: for servers in the outside.
#
# After the function the fake host must be what it was before: links, addresses, routes, rules, mounts,
# processes, sysctls, /run. That comparison is part of every test. Runner and tests talk in lines:
# `ok NAME`, `FAIL NAME`, `skip NAME: reason`; a file that is skipped whole exits with 77.
#
# No sleeps as synchronisation: wait_for polls a condition and fails the test when its time is over.
# WAIT_FACTOR makes such times so many times longer, on a slow machine (tests/vm).

LIVE_DIR=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
TEST_TOP=${TEST_TOP:-$(cd "$LIVE_DIR/../.." && pwd)}
: "${NETJAIL:=$TEST_TOP/build/netjail}" "${NETJAILCTL:=$TEST_TOP/build/netjailctl}"
: "${TEST_UID:=64321}" # the ordinary user: an id without an account, as in a container
PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin # the caller's may be closed to the user
export TEST_TOP NETJAIL NETJAILCTL TEST_UID PATH
NET=$LIVE_DIR/net.py

HOST4=192.0.2.1 HOST6=2001:db8:1::1
OUTSIDE4=192.0.2.100 OUTSIDE6=2001:db8:1::100
INTERNET4=198.51.100.10 INTERNET6=2001:db8:100::10
PRIVATE4=172.31.255.10 PRIVATE6=fd00:99::10
# shellcheck disable=SC2034 # used by the test files
readonly HOST4 HOST6 OUTSIDE4 OUTSIDE6 INTERNET4 INTERNET6 PRIVATE4 PRIVATE6

# ---- assertions -------------------------------------------------------------------------------

fail() {
    printf 'FAILED: %s\n' "$*" >&2
    local i
    for ((i = 1; i < ${#FUNCNAME[@]}; i++)); do
        case ${FUNCNAME[i]} in root_* | user_* | both_*)
            printf '  at %s line %s\n' "${FUNCNAME[i]}" "${BASH_LINENO[i - 1]}" >&2 ;;
        esac
    done
    local err
    for err in "${T:-/nonexistent}"/jail-*.err; do # what its jails said
        [ ! -s "$err" ] || tail -n 3 "$err" | sed "s|^|  ${err##*/}: |" >&2
    done
    exit 1
}

skip() { # skip REASON: this test cannot be done here
    printf '%s\n' "$*" > "$T/skip-reason"
    exit 77
}

assert_equal() { # assert_equal GOT EXPECTED [WHAT]
    [ "$1" = "$2" ] || fail "${3:-value}: got '$1', expected '$2'"
}

assert_contains() { # assert_contains TEXT PART
    case $1 in *"$2"*) ;; *) fail "'$2' is missing in: $1" ;; esac
}

assert_lacks() { # assert_lacks TEXT PART
    case $1 in *"$2"*) fail "'$2' must not be in: $1" ;; esac
}

# run CMD...: stdout in $out, stderr in $err, exit status in $status; never fails by itself.
# shellcheck disable=SC2034
run() {
    status=0
    "$@" > "$T/out" 2> "$T/err" || status=$?
    out=$(cat "$T/out") err=$(cat "$T/err")
}

assert_status() { # assert_status N CMD...: as run, and the exit status is N
    local expected=$1
    shift
    run "$@"
    [ "$status" -eq "$expected" ] ||
        fail "exit status $status, expected $expected: $*"$'\n'"stdout: $out"$'\n'"stderr: $err"
}

# assert_fails CMD...: it runs and fails by itself: a netjail that could not start it proves nothing.
assert_fails() {
    run "$@"
    case $status in
    0) fail "it succeeded: $*"$'\n'"stdout: $out" ;;
    125 | 126 | 127) fail "it did not run at all (status $status): $*"$'\n'"stderr: $err" ;;
    esac
}

# wait_for SECONDS CMD...: polls until CMD succeeds.
wait_for() {
    local end=$((SECONDS + $1 * ${WAIT_FACTOR:-1}))
    shift
    until "$@" > /dev/null 2>&1; do
        [ "$SECONDS" -le "$end" ] || fail "timed out waiting for: $*"
        read -rt 0.05 <> <(:) || :
    done
}

listens() { # listens tcp|udp PORT: something in this network namespace listens there
    [ -n "$(ss -Hnl"${1:0:1}" "sport = :$2")" ]
}

wait_for_port() { # wait_for_port tcp|udp PORT [PREFIX CMD...]: there, e.g. `outside`
    local protocol=$1 port=$2
    shift 2
    if [ $# -gt 0 ]; then
        wait_for 10 listens_in "$protocol" "$port" "$@"
    else
        wait_for 10 listens "$protocol" "$port"
    fi
}

listens_in() {
    local protocol=$1 port=$2
    shift 2
    [ -n "$("$@" ss -Hnl"${protocol:0:1}" "sport = :$port")" ]
}

wait_for_file() { wait_for 10 test -s "$1"; }

# connect tcp|udp ADDR PORT: prints what a client sees: "ok PEER..", "refused", "denied",
# "unreachable", "timeout" (after 1.5 s); see net.py.
connect() { "$NET" try "$@"; }

assert_connect() { # assert_connect EXPECTED [PREFIX CMD...] -- PROTO ADDR PORT
    local expected=$1 got prefix=()
    shift
    while [ "$1" != -- ]; do
        prefix+=("$1")
        shift
    done
    shift
    got=$("${prefix[@]}" "$NET" try "$@") || :
    case $got in
    "$expected" | "$expected "*) ;;
    *) fail "connect $*: got '$got', expected '$expected'" ;;
    esac
}

# assert_no_connect [PREFIX CMD...] -- PROTO ADDR PORT: however it is refused, there is no answer.
assert_no_connect() {
    local got prefix=()
    while [ "$1" != -- ]; do
        prefix+=("$1")
        shift
    done
    shift
    got=$("${prefix[@]}" "$NET" try "$@") || :
    case $got in
    refused | denied | unreachable | timeout) ;;
    *) fail "connect $*: got '$got', expected a refusal" ;;
    esac
}

# ---- the network around the fake host -----------------------------------------------------------

outside() { nsenter --net=/run/netns/outside "$@"; }

# serve_outside PROTO ADDR PORT...: a server in the outside that answers with its client's address.
serve_outside() {
    nsenter --net=/run/netns/outside "$NET" serve "$@" < /dev/null > "$T/serve-outside" 2>&1 &
    remember_process $!
    while [ $# -ge 3 ]; do
        wait_for_port "$1" "$3" outside
        shift 3
    done
}

serve_host() { # the same on the fake host itself
    "$NET" serve "$@" < /dev/null > "$T/serve-host" 2>&1 &
    remember_process $!
    while [ $# -ge 3 ]; do
        wait_for_port "$1" "$3"
        shift 3
    done
}

PROCESSES=()
remember_process() { PROCESSES+=("$1"); }

stop_processes() { # ends what the test started and is still there
    local pid
    for pid in "${PROCESSES[@]}"; do
        kill -KILL "$pid" 2> /dev/null || :
        wait "$pid" 2> /dev/null || :
    done
    PROCESSES=()
}

# ---- jails --------------------------------------------------------------------------------------

# policy NAME: writes stdin as a policy; prints its path.
policy() {
    cat > "$T/$1.conf"
    chmod 644 "$T/$1.conf"
    printf '%s\n' "$T/$1.conf"
}

# start_jail NAME ARGS...: netjail in the background; its pid in $JAIL_PID and ${JAILS[NAME]}.
declare -A JAILS
start_jail() {
    local name=$1
    shift
    rm -f "$T/jail-$name.out" "$T/jail-$name.err" # what an earlier one of this name said answers no wait
    "$NETJAIL" "$@" < /dev/null > "$T/jail-$name.out" 2> "$T/jail-$name.err" &
    JAIL_PID=$!
    JAILS[$name]=$JAIL_PID
    remember_process "$JAIL_PID"
}

idle_jail() { # idle_jail NAME POLICY: a jail that does nothing; returns when its command runs
    start_jail "$1" -q -p "$2" -- bash -c 'echo up; exec tail -f /dev/null'
    wait_for 10 eval "test -s '$T/jail-$1.out' || ! kill -0 ${JAILS[$1]}"
    jail_runs_or_fail "$1"
}

# jail_exec NAME CMD...: runs CMD in the network (only that) of a jail started with start_jail, as
# the test's user.
jail_exec() {
    local pid
    pid=$(jail_command_pid "$1") || fail "jail $1 has no command: $(cat "$T/jail-$1.err")"
    shift
    nsenter --net="/proc/$pid/ns/net" "$@"
}

# The first process in a network namespace other than ours below netjail: init or the command.
jail_command_pid() {
    local pid=${JAILS[$1]} own child
    own=$(readlink /proc/self/ns/net)
    for child in $(descendants "$pid"); do
        if [ "$(readlink "/proc/$child/ns/net" 2> /dev/null)" != "$own" ]; then
            printf '%s\n' "$child"
            return
        fi
    done
    return 1
}

descendants() {
    local child
    for child in $(cat "/proc/$1/task/$1/children" 2> /dev/null); do
        printf '%s\n' "$child"
        descendants "$child"
    done
}

jail_listens() { # jail_listens NAME PROTO PORT
    local pid
    pid=$(jail_command_pid "$1") || return 1
    # As a user one cannot enter the jail, but read its tables: state 0A is LISTEN, 07 an unconnected UDP socket.
    grep -qE "^ *[0-9]+: [0-9A-F]+:$(printf %04X "$3") [0-9A-F]+:0000 0[A7] " "/proc/$pid/net/$2" "/proc/$pid/net/${2}6"
}

jail_runs_or_fail() {
    kill -0 "${JAILS[$1]}" 2> /dev/null ||
        fail "jail $1 ended: $(cat "$T/jail-$1.err" "$T/jail-$1.out")"
}

# serve_in_jail NAME POLICY PROTO ADDR PORT...: a jail whose command is the test server; returns when it listens.
serve_in_jail() {
    local name=$1 policy=$2 end=$((SECONDS + 10)) options=()
    shift 2
    grep -q '^name ' "$policy" || options=(--name "$name")
    start_jail "$name" -q -p "$policy" "${options[@]}" -- "$NET" serve "$@"
    while [ $# -ge 3 ]; do
        until jail_listens "$name" "$1" "$3"; do
            jail_runs_or_fail "$name"
            [ "$SECONDS" -le "$end" ] || fail "jail $name does not listen: $(cat "$T/jail-$name.err")"
            read -rt 0.05 <> <(:) || :
        done
        shift 3
    done
}

end_jail() { # end_jail NAME: SIGTERM, waits for its end
    kill -TERM "${JAILS[$1]}" 2> /dev/null || :
    wait "${JAILS[$1]}" 2> /dev/null || :
    unset "JAILS[$1]"
}

# ---- the host before and after ------------------------------------------------------------------

# What netjail may change on a host, as text. Counters, timers and handles are left out.
host_snapshot() {
    {
        ip -4 route show table all
        ip -6 route show table all
    } | sed -E 's/ expires [0-9]+sec//' | sort
    ip -4 rule show
    ip -6 rule show
    ip -d address show | sed -E '/valid_lft/d; s/gc_timer +[0-9.]+//'
    if [ "$(id -u)" = 0 ]; then
        nft -s list ruleset 2>&1
        nsenter --net=/run/netns/outside ip -o link show
    fi
    cut -d' ' -f3- /proc/self/mountinfo
    ps -eo comm=,args= | grep -vE '^(ps|bash|grep|sort|kworker.*) ' | sort
    # The state directory itself stays (it holds the lock), but nothing in it.
    find /run /run/netns "${XDG_RUNTIME_DIR:-/nonexistent}" -mindepth 1 -maxdepth 1 ! -name netjail 2> /dev/null | sort
    find /run/netjail "${XDG_RUNTIME_DIR:-/nonexistent}/netjail" -mindepth 1 ! -name lock 2> /dev/null
    sysctl_snapshot
}

sysctl_snapshot() {
    grep -rs . /proc/sys/net/ipv4/ip_forward /proc/sys/net/ipv4/conf/*/{forwarding,route_localnet,rp_filter} \
        /proc/sys/net/ipv6/conf/*/{forwarding,force_forwarding,accept_ra,disable_ipv6} \
        /proc/sys/net/bridge /proc/sys/user/max_* 2> /dev/null || [ $? -eq 2 ] # not every kernel has each
}

# assert_host_clean: the fake host is as it was when the test function began. Clean-up may
# still be under way in the background (netjail gives the prompt back first): up to 5 s, or $1.
assert_host_clean() {
    local end=$((SECONDS + ${1:-5} * ${WAIT_FACTOR:-1}))
    while :; do
        host_snapshot > "$T/after" 2>&1
        cmp -s "$T/before" "$T/after" && return
        [ "$SECONDS" -le "$end" ] || break
        read -rt 0.1 <> <(:) || :
    done
    diff -u "$T/before" "$T/after" >&2 || :
    fail "the host is not as it was before"
}

# ---- running ------------------------------------------------------------------------------------

make_host() { # as root, in fresh namespaces
    mount --make-rprivate /
    mount -t tmpfs -o mode=755,size=64m tmpfs /run
    mount -t sysfs sysfs /sys 2> /dev/null || :
    mkdir -p /run/netns /run/user /run/lock
    ip link set lo up
    ip netns add outside
    outside ip link set lo up
    ip link add up0 type veth peer name out0 netns outside
    local a
    for a in default all up0; do
        printf 0 > /proc/sys/net/ipv6/conf/$a/accept_dad
        printf 0 > /proc/sys/net/ipv6/conf/$a/router_solicitations 2> /dev/null || :
    done
    ip address add 192.0.2.1/24 dev up0
    ip address add 2001:db8:1::1/64 dev up0 nodad
    outside ip address add 192.0.2.100/24 dev out0
    outside ip address add 2001:db8:1::100/64 dev out0 nodad
    for a in 198.51.100.10/32 172.31.255.10/32 2001:db8:100::10/128 fd00:99::10/128; do
        outside ip address add "$a" dev lo nodad 2> /dev/null || outside ip address add "$a" dev lo
    done
    outside sysctl -qw net.ipv6.conf.out0.accept_dad=0
    ip link set up0 up
    outside ip link set out0 up
    ip route add default via 192.0.2.100
    ip -6 route add default via 2001:db8:1::100
    # Link-local addresses appear with the carrier: the host is ready when both ends have theirs.
    wait_for 5 eval '[ -n "$(ip -6 -o address show dev up0 scope link -tentative)" ]'
    wait_for 5 eval '[ -n "$(outside ip -6 -o address show dev out0 scope link -tentative)" ]'
    export FAKE_HOST=1
}

# In the fake host: one test function, as the user it asks for.
inside() { # inside FUNCTION WHO
    local function=$1 who=$2
    if declare -F prepare > /dev/null; then
        prepare
        PROCESSES=() # they stay until the host goes
    fi
    if [ "$who" = root ]; then
        HOME=/root XDG_RUNTIME_DIR='' run_function "$function"
        return
    fi
    mkdir -p "/run/user/$TEST_UID"
    chown "$TEST_UID:$TEST_UID" "/run/user/$TEST_UID" "$T"
    chmod 700 "/run/user/$TEST_UID"
    exec setpriv --reuid="$TEST_UID" --regid="$TEST_UID" --clear-groups \
        env HOME="$T" XDG_RUNTIME_DIR="/run/user/$TEST_UID" USER=tester LOGNAME=tester \
        bash "$0" --function "$function"
}

run_function() {
    cd "$T" || exit 1
    umask 022
    host_snapshot > "$T/before" 2>&1
    set -eE
    trap 'fail "a command failed (status $?): $BASH_COMMAND"' ERR
    "$1"
    trap - ERR
    set +eE
    stop_processes
    assert_host_clean
}

test_functions() { declare -F | awk '{print $3}' | grep -E '^(root|user|both)_' | sort; }

run_one() { # run_one FUNCTION root|user
    local function=$1 who=$2 name status=0
    name="${0##*/}"
    name="${name%.sh}: ${function#*_} ($who)"
    T=$(mktemp -d "${TEST_TMP:-/tmp}/live.XXXXXX")
    chmod 755 "$T"
    export T
    if [ "$(id -u)" = 0 ]; then
        unshare --net --mount --pid --ipc --fork --mount-proc --kill-child=KILL \
            bash -c 'timeout -k 5 "$0" bash "$@" & wait $!' $((${TEST_TIMEOUT:-120} * ${WAIT_FACTOR:-1})) \
            "$0" --host "$function" "$who" > "$T.log" 2>&1 < /dev/null || status=$?
    elif [ "$who" = root ]; then
        printf 'root is needed for it\n' > "$T/skip-reason"
        status=77
    else
        timeout -k 5 $((${TEST_TIMEOUT:-120} * ${WAIT_FACTOR:-1})) bash "$0" --function "$function" > "$T.log" 2>&1 < /dev/null ||
            status=$?
    fi
    case $status in
    0)
        printf 'ok %s\n' "$name"
        [ ! -e "$T/figures" ] || cat "$T/figures" # what a test measured
        ;;
    77) printf 'skip %s: %s\n' "$name" "$(cat "$T/skip-reason" 2> /dev/null)" ;;
    *)
        printf 'FAIL %s (status %s)\n' "$name" "$status"
        sed 's/^/    | /' "$T.log"
        ;;
    esac
    rm -rf "$T" "$T.log"
    [ "$status" = 0 ] || [ "$status" = 77 ]
}

run_tests() { # run_tests [PATTERN]: all test functions of the file, or those whose name matches
    case ${1:-} in
    --host) # pid 1 of the fake host is a shell, which reaps what netjail leaves to it
        make_host
        inside "$2" "$3"
        exit
        ;;
    --function)
        run_function "$2"
        exit
        ;;
    esac
    local function failed=0
    for function in $(test_functions); do
        [[ -z ${1:-} || $function =~ $1 ]] || continue
        case $function in
        root_*) run_one "$function" root || failed=1 ;;
        user_*) run_one "$function" user || failed=1 ;;
        both_*)
            run_one "$function" root || failed=1
            run_one "$function" user || failed=1
            ;;
        esac
    done
    exit "$failed"
}
