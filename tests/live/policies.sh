#!/usr/bin/env bash
# Every file of policies/ does what its comments say. web.conf and database.conf together: web.sh;
# those of package tools and git: tools.sh.
. "$(dirname "$0")/lib.sh"

P=$TEST_TOP/policies

root_every_policy_starts() {
    local file
    local options
    for file in "$P"/*.conf; do
        options=()
        case $file in */npm.conf | */apt-build.conf) options=(-D registry=registry.test) ;; esac
        assert_status 0 "$NETJAILCTL" check "${options[@]}" "$file"
        assert_equal "$err" '' "a shipped policy has no warnings"
        assert_status 0 "$NETJAIL" -q --wait-clean "${options[@]}" -p "$file" true
    done
    assert_equal "$(cd "$P" && echo *.conf) " "agent.conf apt-build.conf build-offline.conf build.conf cargo.conf database.conf git-ssh.conf github.conf go.conf \
internet.conf lan-only.conf no-lan.conf none.conf npm.conf pip.conf web.conf " \
        "a new policy needs a test here"
}

user_policies_without_links_start() {
    assert_status 0 "$NETJAIL" -p "$P/none.conf" true
    assert_status 0 "$NETJAIL" -p "$P/build-offline.conf" true
}

# What the policies of tools share lets nothing out by itself.
both_build() {
    assert_connect refused "$NETJAIL" -q -p "$P/build.conf" -- tcp "$INTERNET4" 443
    assert_status 2 "$NETJAIL" -q -p "$P/build.conf" getent hosts example.org
}

root_internet() {
    serve_outside tcp 0.0.0.0 80 tcp :: 80 udp 0.0.0.0 53 udp :: 53
    serve_host tcp 0.0.0.0 22 tcp :: 22
    local f="$P/internet.conf" a
    for a in $INTERNET4; do
        assert_connect ok "$NETJAIL" -q -p "$f" -- tcp "$a" 80
        assert_connect ok "$NETJAIL" -q -p "$f" -- udp "$a" 53
        assert_status 0 "$NETJAIL" -q -p "$f" --user daemon ping -nqc1 -W2 "$a"
    done
    assert_connect ok "$NETJAIL" -q -p "$f" -- tcp "$INTERNET6" 80
    assert_connect ok "$NETJAIL" -q -p "$f" -- udp "$INTERNET6" 53
    for a in "$PRIVATE4" "$PRIVATE6" 169.254.169.254 10.77.0.1 fd00:77::1 "$HOST4" "$HOST6"; do
        assert_connect refused "$NETJAIL" -q -p "$f" -- tcp "$a" 80
        assert_connect refused "$NETJAIL" -q -p "$f" -- tcp "$a" 22
    done
}

both_build_offline() {
    command -v make > /dev/null || skip "make is not installed"
    mkdir "$T/project"
    printf 'all: out\nout: in\n\tcp in out\ncheck:\n\t%s try tcp 127.0.0.1 9\n' "$NET" > "$T/project/Makefile"
    echo x > "$T/project/in"
    assert_status 0 "$NETJAIL" -q -p "$P/build-offline.conf" make -C "$T/project"
    assert_equal "$(cat "$T/project/out")" x
    assert_connect unreachable "$NETJAIL" -q -p "$P/build-offline.conf" -- tcp "$INTERNET4" 80
    run "$NETJAIL" -q -p "$P/build-offline.conf" make -C "$T/project" check
    assert_contains "$out" refused # the jail's own loopback is there, and nobody listens
}

root_relay_policies() {
    serve_outside tcp 0.0.0.0 80 tcp :: 80 tcp 0.0.0.0 25 tcp :: 25 udp 0.0.0.0 53 udp :: 53
    serve_host tcp 0.0.0.0 81 tcp :: 81
    local a
    for a in "$INTERNET4 $PRIVATE4" "$INTERNET6 $PRIVATE6"; do
        set -- $a
        assert_contains "$(net -p "$P/no-lan.conf" -- "$NET" try tcp "$1" 25)" "ok hello"
        assert_lacks "$(net -p "$P/no-lan.conf" -- "$NET" try tcp "$2" 80)" ok
        assert_lacks "$(net -p "$P/lan-only.conf" -- "$NET" try tcp "$1" 80)" ok
        assert_contains "$(net -p "$P/lan-only.conf" -- "$NET" try tcp "$2" 80)" "ok hello"
        assert_lacks "$(net -p "$P/lan-only.conf" -- "$NET" try udp "$2" 53)" ok
        assert_contains "$(net -p "$P/no-lan.conf" -- "$NET" try udp "$1" 53)" ok
        assert_contains "$(net -p "$P/agent.conf" -- "$NET" try tcp "$1" 80)" "ok hello"
        assert_lacks "$(net -p "$P/agent.conf" -- "$NET" try tcp "$1" 25)" ok
        assert_lacks "$(net -p "$P/agent.conf" -- "$NET" try tcp "$2" 80)" ok
    done
    for a in "$HOST4" "$HOST6"; do
        for policy in agent lan-only no-lan; do
            assert_lacks "$(net -p "$P/$policy.conf" -- "$NET" try tcp "$a" 81)" ok
        done
    done
}
net() { "$NETJAIL" -q "$@" 2> /dev/null || :; }

run_tests "$@"
