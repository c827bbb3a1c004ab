/* Plans against the real kernel, in two network namespaces of the test's own: a fake host and a
 * jail. What the kernel then has is read with nft(8) and ip(8), which know nothing of netjail.
 * Skipped where namespaces cannot be made or these programs are missing. */
#include "base/cleanup.h"
#include "kernel/collect.h"
#include "kernel/real.h"
#include "plan/emit.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <netinet/in.h>

#include <linux/netfilter.h>

#include <sched.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <setjmp.h>

#include <cmocka.h>

struct world {
    int host_ns, jail_ns, route_fd, nft_fd;
    struct kernel *kernel;
    struct plan *plan;
};

static void must(int r, const struct error *error)
{
    if (r < 0)
        fail_msg("%d: %s (%s)", r, error->text, error->hint);
}

static struct plan *new_plan(void)
{
    struct arena *arena = arena_new();
    struct plan *plan = arena_alloc(arena, sizeof *plan);
    plan->arena = arena;
    return plan;
}

static bool can_run(void)
{
    return geteuid() == 0 && system("command -v nft >/dev/null && command -v ip >/dev/null") == 0;
}

static int set_up(void **state)
{
    struct world *world = calloc(1, sizeof *world);
    *state = world;
    if (!can_run() || unshare(CLONE_NEWNET) < 0)
        return 0;
    world->host_ns = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
    assert_int_equal(unshare(CLONE_NEWNET), 0);
    world->jail_ns = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
    world->route_fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
    world->nft_fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_NETFILTER);
    assert_int_equal(setns(world->host_ns, CLONE_NEWNET), 0);
    struct jail_sockets sockets = {
        .route_fd = world->route_fd, .nft_fd = world->nft_fd, .netns_fd = world->jail_ns};
    struct error error = {0};
    must(kernel_open(&sockets, true, &world->kernel, &error), &error);
    world->plan = new_plan();
    return 0;
}

static int tear_down(void **state)
{
    struct world *world = *state;
    if (world->kernel) {
        kernel_close(world->kernel);
        (void)close(world->route_fd);
        (void)close(world->nft_fd);
        (void)close(world->host_ns);
        (void)close(world->jail_ns);
        plan_free(world->plan);
    }
    free(world);
    return 0;
}

static struct world *need(void **state)
{
    struct world *world = *state;
    if (!world->kernel)
        skip();
    return world;
}

/* Output of a command run in the jail or on the fake host; the caller frees it. */
static char *output(struct world *world, bool in_jail, const char *command)
{
    char *text = calloc(1, 1 << 20);
    assert_int_equal(setns(in_jail ? world->jail_ns : world->host_ns, CLONE_NEWNET), 0);
    FILE *pipe = popen(command, "re");
    assert_non_null(pipe);
    size_t length = fread(text, 1, (1 << 20) - 1, pipe);
    text[length] = '\0';
    assert_int_equal(pclose(pipe), 0);
    assert_int_equal(setns(world->host_ns, CLONE_NEWNET), 0);
    return text;
}

static void expect(struct world *world, bool in_jail, const char *command, const char *const *parts)
{
    cleanup_free char *text = output(world, in_jail, command);
    for (; *parts; parts++)
        if (!strstr(text, *parts))
            fail_msg("`%s` lacks `%s`:\n%s", command, *parts, text);
}

static void run_in(struct world *world, bool in_jail, const char *command)
{
    free(output(world, in_jail, command));
}

static struct addr addr_of(const char *text)
{
    struct addr addr;
    assert_int_equal(addr_parse(text, strlen(text), &addr), 0);
    return addr;
}

static struct prefix prefix_of(const char *text)
{
    struct prefix prefix;
    assert_int_equal(prefix_parse(text, strlen(text), &prefix), 0);
    return prefix;
}

static void apply(struct world *world)
{
    struct applied applied = {0};
    struct error error = {0};
    int r = apply_plan(world->kernel, world->plan, 0, world->plan->ops_count, &applied, &error);
    applied_free(&applied);
    must(r, &error);
}

static const struct set_definition addresses = {
    .family = NFT_INET,
    .name = "addresses",
    .key = {1, {FIELD_IP_SADDR}},
    .is_interval = true,
    .has_counter = true,
};
static const struct set_definition services = {
    .family = NFT_INET,
    .name = "services",
    .key = {3, {FIELD_IP6_DADDR, FIELD_L4PROTO, FIELD_TH_DPORT}},
    .is_interval = true,
    .has_counter = true,
};
static const struct set_definition dispatch = {
    .family = NFT_INET,
    .name = "dispatch",
    .key = {1, {FIELD_IIFNAME}},
    .data = SET_DATA_VERDICT,
};
static const struct set_definition publish4 = {
    .family = NFT_INET,
    .name = "publish4",
    .key = {3, {FIELD_IP_DADDR, FIELD_L4PROTO, FIELD_TH_DPORT}},
    .has_timeout = true,
    .data = SET_DATA_ADDR4_PORT,
};
static const struct set_definition publish6 = {
    .family = NFT_INET,
    .name = "publish6",
    .key = {2, {FIELD_L4PROTO, FIELD_TH_DPORT}},
    .has_timeout = true,
    .data = SET_DATA_ADDR6_PORT,
};
static const struct set_definition pins = {
    .family = NFT_BRIDGE,
    .name = "pins",
    .key = {3, {FIELD_IIFNAME, FIELD_ETHER_SADDR, FIELD_IP_SADDR}},
    .is_interval = true,
    .has_timeout = true,
};

static void add_range(struct plan *plan, const char *first, const char *last)
{
    struct addr a = addr_of(first), b = addr_of(last);
    element_addr(plan, &a);
    element_addr(plan, &b);
    element_end(plan);
}

static void add_sets(const struct emit *emit)
{
    struct plan *plan = emit->plan;
    struct addr from = addr_of("2001:db8::"), to = addr_of("2001:db8::ffff"),
                four = addr_of("192.0.2.1"), server = addr_of("10.0.0.2"),
                server6 = addr_of("fd00::2");
    emit_set(emit, &addresses);
    emit_elements(emit, &addresses, 0);
    add_range(plan, "10.0.0.0", "10.255.255.255");
    add_range(plan, "192.168.1.5", "192.168.1.9");
    add_range(plan, "192.168.1.10", "192.168.1.10");
    add_range(plan, "240.0.0.0", "255.255.255.255");
    emit_set(emit, &services);
    emit_elements(emit, &services, 0);
    element_addr(plan, &from);
    element_byte(plan, IPPROTO_TCP);
    element_port(plan, 80);
    element_addr(plan, &to);
    element_byte(plan, IPPROTO_TCP);
    element_port(plan, 90);
    element_end(plan);
    emit_set(emit, &dispatch);
    emit_elements(emit, &dispatch, 0);
    struct nft_verdict_data jump = {.kind = NFT_JUMP_CHAIN, .chain = "extra"};
    struct nft_verdict_data drop = {.kind = NFT_DROP_PACKET};
    element_ifname(plan, "eth0");
    element_bytes(plan, &jump, sizeof jump);
    element_end(plan);
    element_ifname(plan, "eth1");
    element_bytes(plan, &drop, sizeof drop);
    element_end(plan);
    emit_set(emit, &publish4);
    emit_elements(emit, &publish4, 90000);
    element_addr(plan, &four);
    element_byte(plan, IPPROTO_TCP);
    element_port(plan, 8080);
    element_addr(plan, &server);
    element_port(plan, 80);
    element_end(plan);
    emit_set(emit, &publish6);
    emit_elements(emit, &publish6, 90000);
    element_byte(plan, IPPROTO_UDP);
    element_port(plan, 53);
    element_addr(plan, &server6);
    element_port(plan, 5353);
    element_end(plan);
}

static void accept_rule(struct plan *plan)
{
    term_simple(plan, TERM_COUNTER);
    term_verdict(plan, NFT_ACCEPT_PACKET, NULL);
}

static void add_prefix_rule(const struct emit *emit)
{
    struct term *term;
    emit_rule(emit, "input");
    term_match_byte(emit->plan, FIELD_NFPROTO, NFPROTO_IPV4);
    struct addr net = addr_of("172.16.0.0"), mask = addr_of("255.240.0.0");
    term_match(emit->plan, FIELD_IP_SADDR, MATCH_PREFIX, net.bytes, mask.bytes);
    term = &emit->plan->terms[emit->plan->terms_count - 1];
    assert_int_equal(term->match.op, MATCH_PREFIX);
    term_verdict(emit->plan, NFT_DROP_PACKET, NULL);
}

static void add_rules(const struct emit *emit)
{
    struct plan *plan = emit->plan;
    struct addr ll = addr_of("fe80::"), ll_end = addr_of("fe80::ffff");
    emit_rule(emit, "input");
    term_match_word(plan, FIELD_CT_STATE, MATCH_ANY_BIT, 6); /* established, related */
    accept_rule(plan);
    emit_rule(emit, "input");
    term_match_word(plan, FIELD_CT_STATUS, MATCH_NO_BIT, 32); /* dnat */
    accept_rule(plan);
    emit_rule(emit, "input");
    term_match_ifname(plan, FIELD_IIFNAME, "lo");
    accept_rule(plan);
    emit_rule(emit, "input");
    term_match_word(plan, FIELD_IIFGROUP, MATCH_NOT_EQUAL, 77);
    term_match_word(plan, FIELD_FIB_DADDR_TYPE, MATCH_EQUAL, RTN_LOCAL);
    accept_rule(plan);
    add_prefix_rule(emit);
    emit_rule(emit, "input");
    term_match_byte(plan, FIELD_NFPROTO, NFPROTO_IPV6);
    term_match(plan, FIELD_IP6_SADDR, MATCH_RANGE, ll.bytes, ll_end.bytes);
    term_verdict(plan, NFT_GOTO_CHAIN, "extra");
    emit_rule(emit, "input");
    term_match_byte(plan, FIELD_NFPROTO, NFPROTO_IPV4);
    term_lookup(plan, &addresses.key, addresses.name, false);
    accept_rule(plan);
    emit_rule(emit, "input");
    term_match_byte(plan, FIELD_NFPROTO, NFPROTO_IPV4);
    term_lookup(plan, &addresses.key, addresses.name, true);
    term_verdict(plan, NFT_RETURN_CHAIN, NULL);
    emit_rule(emit, "input");
    term_match_byte(plan, FIELD_NFPROTO, NFPROTO_IPV6);
    term_lookup(plan, &services.key, services.name, false);
    accept_rule(plan);
    emit_rule(emit, "input");
    term_lookup(plan, &dispatch.key, dispatch.name, false);
    plan->terms[plan->terms_count - 1].kind = TERM_VERDICT_MAP;
    emit_rule(emit, "input");
    term_match_byte(plan, FIELD_L4PROTO, IPPROTO_TCP);
    uint16_t p1 = htons(1), p2 = htons(9);
    term_match(plan, FIELD_TH_DPORT, MATCH_NOT_RANGE, &p1, &p2);
    term_limit(plan, 5, 60, 7);
    term_log(plan, "hello");
    term_simple(plan, TERM_REJECT_RESET);
    emit_rule(emit, "input");
    term_match_byte(plan, FIELD_NFPROTO, NFPROTO_IPV4);
    term_match_byte(plan, FIELD_L4PROTO, IPPROTO_ICMP);
    term_match_byte(plan, FIELD_ICMP_TYPE, 8);
    accept_rule(plan);
    emit_rule(emit, "input");
    term_match_byte(plan, FIELD_PKTTYPE, 1);
    term_verdict(plan, NFT_JUMP_CHAIN, "extra");
    emit_rule(emit, "input");
    term_simple(plan, TERM_REJECT_PROHIBITED);
    emit_rule(emit, "pre");
    term_match_byte(plan, FIELD_NFPROTO, NFPROTO_IPV4);
    term_dnat(plan, &publish4.key, publish4.name, ADDR_V4);
    emit_rule(emit, "pre");
    term_match_byte(plan, FIELD_NFPROTO, NFPROTO_IPV6);
    term_dnat(plan, &publish6.key, publish6.name, ADDR_V6);
    emit_rule(emit, "post");
    term_simple(plan, TERM_MASQUERADE);
}

static void make_rules(struct world *world, enum where where)
{
    struct emit emit = {.plan = world->plan, .where = where, .family = NFT_INET};
    emit_table(&emit);
    emit_chain(&emit, "extra");
    emit_base_chain(&emit, "input", "filter", NF_INET_LOCAL_IN, 0, true);
    emit_base_chain(&emit, "pre", "nat", NF_INET_PRE_ROUTING, -100, false);
    emit_base_chain(&emit, "post", "nat", NF_INET_POST_ROUTING, 100, false);
    add_sets(&emit);
    add_rules(&emit);
}

static const char *const ruleset[] = {
    "type filter hook input priority filter; policy drop;",
    "type nat hook prerouting priority dstnat; policy accept;",
    "ct state established,related counter packets 0 bytes 0 accept",
    "ct status ! dnat counter packets 0 bytes 0 accept",
    "iifname \"lo\" counter",
    "iifgroup != 77 fib daddr type local counter",
    "ip saddr 172.16.0.0/12 drop",
    "ip6 saddr fe80::-fe80::ffff goto extra",
    "ip saddr @addresses counter",
    "ip saddr != @addresses return",
    "ip6 daddr . meta l4proto . th dport @services counter",
    "iifname vmap @dispatch",
    "tcp dport != 1-9 limit rate 5/minute burst 7 packets log prefix \"hello\" group 1 reject with "
    "tcp reset",
    "icmp type echo-request counter",
    "meta pkttype broadcast jump extra",
    "reject with icmpx admin-prohibited",
    "dnat ip to ip daddr . meta l4proto . th dport map @publish4",
    "dnat ip6 to meta l4proto . th dport map @publish6",
    "masquerade",
    "10.0.0.0/8 counter packets 0 bytes 0",
    "192.168.1.5-192.168.1.9 counter",
    "192.168.1.10 counter",
    "240.0.0.0/4 counter",
    "2001:db8::/112 . tcp . 80-90 counter",
    "type ipv4_addr",
    "flags interval",
    "type ifname : verdict",
    "\"eth0\" : jump extra",
    "\"eth1\" : drop",
    "type ipv4_addr . inet_proto . inet_service : ipv4_addr . inet_service",
    "192.0.2.1 . tcp . 8080",
    ": 10.0.0.2 . 80",
    ": fd00::2 . 5353",
    NULL,
};

static void test_jail_rules(void **state)
{
    struct world *world = need(state);
    struct error error = {0};
    make_rules(world, WHERE_JAIL);
    apply(world);
    expect(world, true, "nft list ruleset", ruleset);
    must(verify_rules(world->kernel, world->plan, &error), &error);
}

static void test_verify_notices_sabotage(void **state)
{
    static const char *const sabotage[] = {
        "nft add rule inet netjail input accept",
        "nft insert rule inet netjail extra accept",
        "nft add table ip other",
        "nft add chain inet netjail more",
        "nft add set inet netjail more '{ type ipv4_addr; }'",
        "nft add element inet netjail addresses '{ 1.2.3.4 }'",
        "nft delete element inet netjail addresses '{ 10.0.0.0/8 }'",
        "nft delete element inet netjail addresses '{ 10.0.0.0/8 }'; "
        "nft add element inet netjail addresses '{ 11.0.0.0/8 }'",
        "nft delete element inet netjail dispatch '{ \"eth1\" }'; "
        "nft add element inet netjail dispatch '{ \"eth1\" : accept }'",
        "nft chain inet netjail input '{ policy accept; }'",
        "nft flush chain inet netjail pre",
        "nft 'table inet netjail { flags dormant; }'",
        "nft flush ruleset",
    };
    struct world *world = need(state);
    make_rules(world, WHERE_JAIL);
    for (size_t i = 0; i < ARRAY_LENGTH(sabotage); i++) {
        struct error error = {0};
        run_in(world, true, "nft flush ruleset");
        apply(world);
        must(verify_rules(world->kernel, world->plan, &error), &error);
        run_in(world, true, sabotage[i]);
        if (verify_rules(world->kernel, world->plan, &error) != -EUCLEAN)
            fail_msg("not noticed: %s (%s)", sabotage[i], error.text);
    }
}

static void make_host(struct world *world)
{
    struct emit emit = {.plan = world->plan, .where = WHERE_HOST, .family = NFT_BRIDGE};
    struct plan *plan = world->plan;
    make_rules(world, WHERE_HOST);
    emit_table(&emit);
    emit_base_chain(&emit, "ports", "filter", NF_INET_PRE_ROUTING, -300, false);
    emit_set(&emit, &pins);
    emit_elements(&emit, &pins, 90000);
    struct mac mac = {{2, 0, 0, 0, 0, 9}};
    struct addr addr = addr_of("10.1.0.5");
    for (int i = 0; i < 2; i++) {
        element_ifname(plan, "nj-1");
        element_bytes(plan, mac.bytes, sizeof mac.bytes);
        element_addr(plan, &addr);
    }
    element_end(plan);
    emit_rule(&emit, "ports");
    uint16_t arp = htons(0x0806);
    term_match(plan, FIELD_PROTOCOL, MATCH_EQUAL, &arp, NULL);
    struct nft_key key = {3, {FIELD_IIFNAME, FIELD_ARP_SADDR_ETHER, FIELD_ARP_SADDR_IP}};
    term_lookup(plan, &key, pins.name, false);
    term_verdict(plan, NFT_ACCEPT_PACKET, NULL);
    emit_rule(&emit, "ports");
    uint16_t vlan = htons(0x8100);
    term_match(plan, FIELD_ETHER_TYPE, MATCH_EQUAL, &vlan, NULL);
    term_verdict(plan, NFT_DROP_PACKET, NULL);
    emit_rule(&emit, "ports");
    term_match(plan, FIELD_ETHER_SADDR, MATCH_NOT_EQUAL, mac.bytes, NULL);
    term_verdict(plan, NFT_DROP_PACKET, NULL);
}

static const char *const bridge_rules[] = {"type ifname . ether_addr . ipv4_addr",
                                           "flags interval,timeout",
                                           "\"nj-1\" . 02:00:00:00:00:09 . 10.1.0.5 timeout 1m30s",
                                           "iifname . arp saddr ether . arp saddr ip @pins accept",
                                           "ether type 8021q drop",
                                           "ether saddr != 02:00:00:00:00:09 drop",
                                           NULL};

/* Left-overs of a dead jail with other data are replaced; renewing and deleting work; all of it
 * also on a kernel without the DESTROY messages. */
static void check_host_elements(struct world *world)
{
    static const char *const other[] = {"192.0.2.1 . tcp . 8080", "10.0.0.2 . 80", NULL};
    struct error error = {0};
    make_host(world);
    apply(world);
    expect(world, false, "nft list ruleset", ruleset);
    expect(world, false, "nft list table bridge netjail", bridge_rules);
    run_in(world, false,
           "nft delete element inet netjail publish4 '{ 192.0.2.1 . tcp . 8080 }'; nft add element "
           "inet netjail publish4 '{ 192.0.2.1 . tcp . 8080 timeout 5s : 10.9.9.9 . 9 }'");
    struct plan *running = plan_running(world->plan);
    must(apply_renew(world->kernel, running, &error), &error);
    expect(world, false, "nft list map inet netjail publish4", other);
    must(apply_renew(world->kernel, running, &error), &error);
    plan_free(running);
    struct plan *undo = new_plan();
    for (int twice = 0; twice < 2; twice++)
        for (size_t i = 0; i < world->plan->ops_count; i++)
            if (world->plan->ops[i].kind == OP_NFT_ELEMENTS_ADD) {
                *plan_push(undo, OP_NFT_ELEMENTS_DELETE, WHERE_HOST, (struct position){0}) =
                    world->plan->ops[i];
                undo->ops[undo->ops_count - 1].kind = OP_NFT_ELEMENTS_DELETE;
            }
    undo->bytes = world->plan->bytes;
    must(apply_undo(world->kernel, undo, &error), &error);
    cleanup_free char *text = output(world, false, "nft list ruleset");
    assert_null(strstr(text, "elements"));
    size_t tables = undo->ops_count = 0;
    for (; tables < 4; tables++)
        plan_push(undo, OP_NFT_TABLE_DELETE, WHERE_HOST, (struct position){0})->table.family =
            tables % 2 ? NFT_INET : NFT_BRIDGE;
    must(apply_undo(world->kernel, undo, &error), &error);
    cleanup_free char *empty = output(world, false, "nft list ruleset");
    assert_string_equal(empty, "");
    plan_free(undo);
}

static void test_host_elements(void **state)
{
    check_host_elements(need(state));
}

static void test_host_elements_old_kernel(void **state)
{
    struct world *world = need(state);
    kernel_real(world->kernel)->lacks_destroy = true;
    check_host_elements(world);
}

static struct op *push(struct world *world, enum op_kind kind, enum where where)
{
    return plan_push(world->plan, kind, where, (struct position){1, 2, 3, 4});
}

static void push_address(struct world *world, enum where where, const char *ifname,
                         const char *prefix)
{
    struct op *op = push(world, OP_ADDRESS_ADD, where);
    (void)snprintf(op->address.ifname, IFNAME_SIZE, "%s", ifname);
    op->address.prefix = prefix_of(prefix);
}

static void push_up(struct world *world, enum where where, enum op_kind kind, const char *ifname)
{
    (void)snprintf(push(world, kind, where)->ifname, IFNAME_SIZE, "%s", ifname);
}

static void push_route(struct world *world, const char *prefix, const char *via)
{
    struct op *op = push(world, OP_ROUTE_ADD, WHERE_JAIL);
    (void)snprintf(op->route.ifname, IFNAME_SIZE, "eth0");
    op->route.prefix = prefix_of(prefix);
    op->route.via = addr_of(via);
}

static void make_links(struct world *world)
{
    struct op *op = push(world, OP_BRIDGE_ADD, WHERE_HOST);
    (void)snprintf(op->bridge.name, IFNAME_SIZE, "app");
    (void)snprintf(op->bridge.alias, LINK_ALIAS_SIZE, "netjail network app");
    op->bridge.mac = (struct mac){{2, 0, 0, 0, 0, 0xa}};
    push_address(world, WHERE_HOST, "app", "10.1.0.1/16");
    push_address(world, WHERE_HOST, "app", "fd00:1::1/64");
    push_up(world, WHERE_HOST, OP_LINK_UP, "app");
    op = push(world, OP_VETH_ADD, WHERE_HOST);
    (void)snprintf(op->veth.host_name, IFNAME_SIZE, "nj-1");
    (void)snprintf(op->veth.jail_name, IFNAME_SIZE, "eth0");
    (void)snprintf(op->veth.master, IFNAME_SIZE, "app");
    (void)snprintf(op->veth.alias, LINK_ALIAS_SIZE, "netjail web");
    op->veth.group = GROUP_PORT;
    op->veth.mtu = 1400;
    op->veth.host_mac = (struct mac){{2, 0, 0, 0, 0, 1}};
    op->veth.jail_mac = (struct mac){{2, 0, 0, 0, 0, 9}};
    op->veth.isolated = true;
    push_address(world, WHERE_JAIL, "eth0", "10.1.0.5/16");
    push_address(world, WHERE_JAIL, "eth0", "fd00:1::5/64");
    push_up(world, WHERE_HOST, OP_LINK_UP, "nj-1");
    push_up(world, WHERE_JAIL, OP_LINK_UP, "lo");
    push_up(world, WHERE_JAIL, OP_LINK_UP, "eth0");
    push_route(world, "0.0.0.0/0", "10.1.0.1");
    push_route(world, "::/0", "fd00:1::1");
    push_up(world, WHERE_JAIL, OP_LINK_CHECK, "eth0");
}

static const char *const host_links[] = {"alias netjail network app",
                                         "forward_delay 0 ",
                                         "mcast_snooping 0",
                                         "group 1852440577",
                                         "link/ether 02:00:00:00:00:0a",
                                         "alias netjail web",
                                         "isolated on",
                                         "mtu 1400",
                                         "02:00:00:00:00:01",
                                         "addrgenmode none",
                                         "group 1852440578",
                                         "numtxqueues 1 ",
                                         NULL};
static const char *const jail_addresses[] = {"10.1.0.5/16", "fd00:1::5/64 scope global nodad",
                                             "02:00:00:00:00:09", NULL};
static const char *const jail_routes[] = {"default via 10.1.0.1", "10.1.0.0/16", NULL};

static void test_links(void **state)
{
    struct world *world = need(state);
    struct error error = {0};
    make_links(world);
    apply(world);
    expect(world, false, "ip -d link", host_links);
    expect(world, true, "ip addr", jail_addresses);
    expect(world, true, "ip route", jail_routes);
    expect(world, true, "ip -6 route", (const char *const[]){"default via fd00:1::1", NULL});
    /* Nothing is tentative: the first packet passes, both families. */
    cleanup_free char *tentative = output(world, false, "ip -6 addr show tentative");
    assert_string_equal(tentative, "");
    run_in(world, true, "ping -c1 -W1 10.1.0.1 && ping -c1 -W1 fd00:1::1");
    must(verify_links(world->kernel, world->plan, &error), &error);
}

static void test_links_sabotage(void **state)
{
    static const char *const sabotage[][2] = {
        {"ip addr add 10.9.9.9/32 dev eth0", "ip addr del 10.9.9.9/32 dev eth0"},
        {"ip route add 10.7.0.0/16 via 10.1.0.1", "ip route del 10.7.0.0/16"},
        {"ip link add foreign type veth peer name foreign2", "ip link del foreign"},
        {"ip link set eth0 address 02:00:00:00:00:77",
         "ip link set eth0 address 02:00:00:00:00:09"},
        {"ip -6 route del default", "ip -6 route add default via fd00:1::1 dev eth0"},
        {"ip link set lo down", "ip link set lo up"},
        {"ip addr del 10.1.0.5/16 dev eth0", "true"},
    };
    struct world *world = need(state);
    make_links(world);
    apply(world);
    for (size_t i = 0; i < ARRAY_LENGTH(sabotage); i++) {
        struct error error = {0};
        must(verify_links(world->kernel, world->plan, &error), &error);
        run_in(world, true, sabotage[i][0]);
        if (verify_links(world->kernel, world->plan, &error) != -EUCLEAN)
            fail_msg("not noticed: %s (%s)", sabotage[i][0], error.text);
        run_in(world, true, sabotage[i][1]);
    }
}

static void test_link_errors_and_undo(void **state)
{
    struct world *world = need(state);
    struct error error = {0};
    struct applied applied = {0};
    make_links(world);
    apply(world);
    int r = apply_plan(world->kernel, world->plan, 0, world->plan->ops_count, &applied, &error);
    applied_free(&applied);
    assert_int_equal(r, -EEXIST);
    assert_int_equal(error.where.line, 2);
    assert_non_null(strstr(error.hint, "external"));
    run_in(world, false, "ip link add mine type veth peer name mine2");
    struct plan *undo = new_plan();
    static const char *const names[] = {"nj-1", "app", "mine", "absent"};
    for (size_t i = 0; i < ARRAY_LENGTH(names); i++) {
        struct op *op = plan_push(undo, OP_LINK_DELETE, WHERE_HOST, (struct position){0});
        (void)snprintf(op->link_delete.name, IFNAME_SIZE, "%s", names[i]);
        op->link_delete.group = i == 1 ? GROUP_NETWORK : GROUP_PORT;
    }
    error = (struct error){0};
    must(apply_undo(world->kernel, undo, &error), &error);
    plan_free(undo);
    cleanup_free char *text = output(world, false, "ip -o link");
    assert_null(strstr(text, "nj-1"));
    assert_null(strstr(text, "app"));
    assert_non_null(strstr(text, "mine")); /* another group: not ours */
}

static void test_sysctl_and_facts(void **state)
{
    struct world *world = need(state);
    struct error error = {0};
    make_links(world);
    struct op *op = push(world, OP_SYSCTL_SET, WHERE_HOST);
    (void)snprintf(op->sysctl.path, SYSCTL_PATH_SIZE, "net/ipv4/conf/app/forwarding");
    (void)snprintf(op->sysctl.value, SYSCTL_VALUE_SIZE, "1");
    apply(world);
    run_in(world, false,
           "ip link add up0 type veth peer name up1 && ip addr add 192.0.2.1/24 dev up0 && ip link "
           "set up0 up && nft add table inet netjail");
    struct facts *facts = facts_new();
    must(facts_collect(world->kernel, facts, &error), &error);
    assert_true(facts->has_inet_table);
    assert_false(facts->has_bridge_table);
    size_t found = 0;
    for (size_t i = 0; i < facts->links_count; i++) {
        const struct fact_link *link = &facts->links[i];
        if (strcmp(link->name, "app") == 0) {
            found++;
            assert_true(link->is_bridge && !link->is_uplink && link->forwarding4 == 1);
            assert_int_equal(link->group, GROUP_NETWORK);
        }
        if (strcmp(link->name, "up0") == 0) {
            found++;
            assert_true(link->is_uplink && link->is_up && link->forwarding4 == 0);
            assert_int_equal(link->accept_ra, 1);
        }
    }
    assert_int_equal(found, 2);
    facts_free(facts);
    op->kind = OP_SYSCTL_RESTORE;
    (void)snprintf(op->sysctl.was, SYSCTL_VALUE_SIZE, "0");
    must(world->kernel->functions->sysctl_op(world->kernel, op, &error), &error);
    expect(world, false, "cat /proc/sys/net/ipv4/conf/app/forwarding",
           (const char *const[]){"0\n", NULL});
    (void)snprintf(op->sysctl.path, SYSCTL_PATH_SIZE, "net/../kernel/hostname");
    assert_int_equal(world->kernel->functions->sysctl_op(world->kernel, op, &error), -EINVAL);
}

static void test_listen(void **state)
{
    struct world *world = need(state);
    struct error error = {0};
    run_in(world, false, "ip link set lo up");
    struct op *op = push(world, OP_LISTEN, WHERE_SERVICE);
    op->listen.protocol = IPPROTO_TCP;
    op->listen.port = 8080;
    op->listen.addr = addr_of("127.0.0.1");
    int fd = -1, second = -1;
    must(world->kernel->functions->listen_op(world->kernel, op, &fd, &error), &error);
    assert_int_equal(fcntl(fd, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
    assert_int_equal(fcntl(fd, F_GETFL) & O_NONBLOCK, O_NONBLOCK);
    assert_int_equal(world->kernel->functions->listen_op(world->kernel, op, &second, &error),
                     -EADDRINUSE);
    assert_int_equal(second, -1);
    char pid[32];
    (void)snprintf(pid, sizeof pid, "(pid %d)", getpid());
    if (!strstr(error.text, pid))
        fail_msg("the holder is not named: %s", error.text);
    (void)close(fd);
}

/* A set larger than one message and than the default send buffer, in one transaction. */
static void test_large_set(void **state)
{
    struct world *world = need(state);
    struct error error = {0};
    struct emit emit = {.plan = world->plan, .where = WHERE_JAIL, .family = NFT_INET};
    emit_table(&emit);
    emit_set(&emit, &addresses);
    emit_elements(&emit, &addresses, 0);
    for (uint32_t i = 0; i < 20000; i++) {
        struct addr addr = {.family = ADDR_V4, .bytes = {10, (uint8_t)(i >> 8), (uint8_t)i, 0}};
        element_addr(world->plan, &addr);
        addr.bytes[3] = 127;
        element_addr(world->plan, &addr);
        element_end(world->plan);
    }
    apply(world);
    must(verify_rules(world->kernel, world->plan, &error), &error);
    cleanup_free char *text = output(world, true, "nft list ruleset | tr , '\\n' | grep -c /25");
    assert_string_equal(text, "20000\n");
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(test_jail_rules),
        TEST(test_verify_notices_sabotage),
        TEST(test_host_elements),
        TEST(test_host_elements_old_kernel),
        TEST(test_links),
        TEST(test_links_sabotage),
        TEST(test_link_errors_and_undo),
        TEST(test_sysctl_and_facts),
        TEST(test_listen),
        TEST(test_large_set),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
