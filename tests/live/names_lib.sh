# shellcheck shell=bash
# A name server in the outside for the tests of names: nsd with the zones below `test.`, at the outside's own
# addresses; the fake host's resolv.conf names it.

# outside_names RECORDS...: zone lines of `test.` beside the usual ones.
outside_names() {
    local dir=$T/nsd
    mkdir -p "$dir"
    cat > "$dir/zone" <<- Z
		\$ORIGIN test.
		\$TTL 300
		@ IN SOA ns.test. root.test. 1 3600 600 86400 60
		@ IN NS ns.test.
		ns A $OUTSIDE4
		www A $INTERNET4
		www AAAA $INTERNET6
		four A $INTERNET4
		six AAAA $INTERNET6
		alias CNAME middle.test.
		middle CNAME www.test.
		a.many A $INTERNET4
		intra A $PRIVATE4
		Z
    printf '%s\n' "$@" >> "$dir/zone"
    cat > "$dir/nsd.conf" <<- C
		server:
		  ip-address: $OUTSIDE4
		  ip-address: $OUTSIDE6
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
		  name: "test."
		  zonefile: "$dir/zone"
		C
    nsenter --net=/run/netns/outside unshare --pid --fork --kill-child=KILL nsd -d -c "$dir/nsd.conf" > "$dir/out" 2>&1 &
    remember_process $!
    wait_for_port udp 53 outside
    wait_for_port tcp 53 outside
    wait_for 10 pgrep -x 'nsd: server 1' # the one that answers is forked behind that
}

# own_resolv SERVER...: the fake host's /etc/resolv.conf, until end_resolv.
own_resolv() {
    printf 'nameserver %s\n' "$@" > "$T/resolv.conf"
    mount --bind "$T/resolv.conf" /etc/resolv.conf
}

end_resolv() { umount /etc/resolv.conf; }

# names_policy NAME: a policy with a way out and the rules on stdin.
names_policy() {
    {
        printf 'link eth0 veth host { address 10.9.0.2/24 ; address fd00:9::2/64 ; peer-address 10.9.0.1/24 ; peer-address fd00:9::1/64 ; nat }\n'
        cat
    } | policy "$1"
}
