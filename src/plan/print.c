/* A plan as a shell script, and its ops in words.
 *
 * Pure. The script runs under sh as root, in the order of the ops; neighbouring nft ops are one
 * transaction, as they are for the kernel. Names come from checked policies and contain nothing
 * that a shell would read (interface names are quoted nevertheless). What must not happen: a script
 * that goes on behind a failure, hence `set -e`. */
#include "plan/print_internal.h"

#include "base/buf.h"
#include "base/cleanup.h"

#include <netinet/in.h>
#include <string.h>

/* A word for sh, in single quotes. */
static void quote(const char *text, struct buf *out)
{
    buf_puts(out, "'");
    for (; *text; text++)
        if (*text == '\'')
            buf_puts(out, "'\\''");
        else
            buf_append(out, text, 1);
    buf_puts(out, "'");
}

static void quoted(const char *before, const char *text, struct buf *out)
{
    buf_puts(out, before);
    quote(text, out);
}

/* The policy line that asked for the op, unless it is that of the op before. */
static void print_comment(const struct plan *plan, const struct op *op, struct position *last,
                          struct buf *out)
{
    const struct source *source;
    const char *line;
    const char *end;

    if (!plan->sources || op->position.source == 0 ||
        op->position.source > plan->sources->list_count ||
        (op->position.source == last->source && op->position.line == last->line))
        return;
    *last = op->position;
    source = &plan->sources->list[op->position.source - 1];
    line = source->text;
    end = source->text + source->length;
    for (uint32_t number = 1; number < op->position.line && line < end; number++) {
        const char *newline = memchr(line, '\n', (size_t)(end - line));

        line = newline ? newline + 1 : end;
    }
    if (line < end && memchr(line, '\n', (size_t)(end - line)))
        end = memchr(line, '\n', (size_t)(end - line));
    while (line < end && (*line == ' ' || *line == '\t'))
        line++;
    buf_puts(out, "\n# ");
    buf_put_visible(out, source->name, strlen(source->name));
    if (!source->is_option)
        buf_printf(out, ":%u", op->position.line);
    buf_puts(out, ": ");
    buf_put_visible(out, line, (size_t)(end - line));
    buf_puts(out, "\n");
}

/* What a command in the jail, or in another one, begins with. */
static void prefix_where(const struct op *op, const char *netns, struct buf *out)
{
    if (op->where == WHERE_JAIL || op->where == WHERE_PEER) {
        quoted("ip netns exec ", netns, out);
        buf_puts(out, " ");
    }
}

static void print_sysctl(const struct op *op, const char *netns, const char *value, struct buf *out)
{
    if (op->sysctl.optional)
        buf_printf(out, "[ ! -e '/proc/sys/%s' ] || ", op->sysctl.path);
    prefix_where(op, netns, out);
    if (strcmp(value, "caller") == 0)
        buf_printf(out, "sh -c 'echo \"$(id -g) $(id -g)\" > /proc/sys/%s'\n", op->sysctl.path);
    else
        buf_printf(out, "sh -c 'echo %s > /proc/sys/%s'\n", value, op->sysctl.path);
}

static void print_bridge(const struct op *op, struct buf *out)
{
    char mac[MAC_TEXT_SIZE];

    quoted("ip link add name ", op->bridge.name, out);
    buf_printf(out, " address %s type bridge no_linklocal_learn 1\n",
               mac_print(&op->bridge.mac, mac));
    quoted("ip link set dev ", op->bridge.name, out);
    buf_printf(out, " group 0x%08x alias ", GROUP_NETWORK);
    quote(op->bridge.alias, out);
    buf_puts(out, "\n");
}

static void print_veth(const struct op *op, const char *outer, const char *netns, struct buf *out)
{
    char mac[MAC_TEXT_SIZE];

    prefix_where(op, outer, out);
    quoted("ip link add name ", op->veth.host_name, out);
    if (op->veth.mtu)
        buf_printf(out, " mtu %u", op->veth.mtu);
    buf_printf(out, " address %s type veth peer name ", mac_print(&op->veth.host_mac, mac));
    quote(op->veth.jail_name, out);
    buf_printf(out, " address %s", mac_print(&op->veth.jail_mac, mac));
    if (op->veth.mtu)
        buf_printf(out, " mtu %u", op->veth.mtu);
    quoted(" netns ", netns, out);
    buf_puts(out, "\n");
    prefix_where(op, outer, out);
    quoted("ip link set dev ", op->veth.host_name, out);
    buf_printf(out, " group 0x%08x alias ", op->veth.group);
    quote(op->veth.alias, out);
    buf_puts(out, "\n");
    if (op->veth.jail_group) {
        quoted("ip -n ", netns, out);
        quoted(" link set dev ", op->veth.jail_name, out);
        buf_printf(out, " group 0x%08x\n", op->veth.jail_group);
    }
    if (op->veth.master[0]) {
        quoted("ip link set dev ", op->veth.host_name, out);
        quoted(" master ", op->veth.master, out);
        buf_puts(out, "\n");
    }
    if (op->veth.isolated) {
        quoted("bridge link set dev ", op->veth.host_name, out);
        buf_puts(out, " isolated on\n");
    }
    if (op->veth.hairpin) {
        quoted("bridge link set dev ", op->veth.host_name, out);
        buf_puts(out, " hairpin on\n");
    }
}

static void print_child(const struct op *op, const char *netns, struct buf *out)
{
    char mac[MAC_TEXT_SIZE];

    quoted("ip link add link ", op->child.parent, out);
    quoted(" name ", op->child.name, out);
    quoted(" netns ", netns, out);
    if (op->child.has_mac)
        buf_printf(out, " address %s", mac_print(&op->child.mac, mac));
    if (op->child.mtu)
        buf_printf(out, " mtu %u", op->child.mtu);
    buf_printf(out, " type %s mode %s\n", op->child.kind, op->child.mode);
}

static void print_device(const struct op *op, const char *netns, struct buf *out)
{
    quoted("ip link set dev ", op->device.name, out);
    quoted(" down alias ", op->device.mark, out);
    if (op->device.mtu)
        buf_printf(out, " mtu %u", op->device.mtu);
    quoted("\nip link set dev ", op->device.name, out);
    quoted(" netns ", netns, out);
    quoted(" name ", op->device.jail_name, out);
    buf_puts(out, "\n");
}

static void print_qdisc(const struct op *op, const char *netns, struct buf *out)
{
    prefix_where(op, netns, out);
    quoted("tc qdisc add dev ", op->qdisc.ifname, out);
    buf_printf(out, " root tbf rate %llubit burst %u limit %u\n",
               (unsigned long long)op->qdisc.rate_bit_s, op->qdisc.burst, op->qdisc.limit);
}

static void print_address(const struct op *op, const char *netns, struct buf *out)
{
    char text[PREFIX_TEXT_SIZE];

    prefix_where(op, netns, out);
    buf_printf(out, "ip address %s %s dev ", op->kind == OP_ADDRESS_ADD ? "add" : "del",
               prefix_print(&op->address.prefix, text));
    quote(op->address.ifname, out);
    buf_puts(out, op->address.prefix.addr.family == ADDR_V6 && op->kind == OP_ADDRESS_ADD
                      ? " nodad\n"
                      : "\n");
}

static void print_route(const struct op *op, const char *netns, struct buf *out)
{
    char prefix[PREFIX_TEXT_SIZE];
    char via[ADDR_TEXT_SIZE];

    prefix_where(op, netns, out);
    buf_printf(out, "ip route add %s%s", op->route.is_local ? "local " : "",
               prefix_print(&op->route.prefix, prefix));
    if (op->route.via.family != ADDR_NONE)
        buf_printf(out, " via %s", addr_print(&op->route.via, via));
    quoted(" dev ", op->route.ifname, out);
    if (op->route.is_local)
        buf_printf(out, " src %s%s", addr_print(&op->route.source, via),
                   op->route.prefix.addr.family == ADDR_V6 ? " table main" : "");
    buf_puts(out, "\n");
}

static void print_listen(const struct op *op, struct buf *out)
{
    char text[ADDR_TEXT_SIZE];

    (void)addr_print(&op->listen.addr, text); /* returns text */
    buf_printf(out,
               "# netjail-service listens on %s%s%s:%u/%s and connects to port %u in the jail\n",
               op->listen.addr.family == ADDR_V6 ? "[" : "", text,
               op->listen.addr.family == ADDR_V6 ? "]" : "", op->listen.port,
               op->listen.protocol == IPPROTO_TCP ? "tcp" : "udp", op->listen.jail_port);
}

static void print_docker(const struct op *op, struct buf *out)
{
    const char *family = op->docker.family == ADDR_V4 ? "ip" : "ip6";
    static const char *const fields[] = {"iifname", "oifname"};

    for (size_t i = 0; i < 2; i++)
        buf_printf(out,
                   "nft 'insert rule %s filter DOCKER-USER %s \"%s\" counter accept comment "
                   "\"netjail %s\"'\n",
                   family, fields[i], op->docker.ifname, op->docker.ifname);
}

static void print_link_command(const struct op *op, const char *netns, struct buf *out)
{
    char text[ADDR_TEXT_SIZE];

    switch (op->kind) {
    case OP_LINK_UP:
        prefix_where(op, netns, out);
        quoted("ip link set dev ", op->ifname, out);
        buf_puts(out, " up\n");
        return;
    case OP_LINK_CHECK:
        prefix_where(op, netns, out);
        quoted("ip link show dev ", op->ifname, out);
        buf_puts(out, " > /dev/null\n");
        return;
    case OP_LINK_DELETE:
        quoted("ip link delete dev ", op->link_delete.name, out);
        buf_puts(out, "\n");
        return;
    case OP_DOCKER_ACCEPT:
        print_docker(op, out);
        return;
    case OP_DOCKER_FORGET:
        buf_printf(out, "# the rules of '%s' in Docker's chain DOCKER-USER go\n",
                   op->docker.ifname);
        return;
    case OP_FLOWS_FORGET:
        (void)addr_print(&op->flows.addr, text); /* returns text */
        buf_printf(out, "conntrack -D -s %s\nconntrack -D -r %s\n", text, text);
        return;
    default:
        return;
    }
}

static void print_op(const struct plan *plan, const struct op *op, const char *jail,
                     struct buf *out)
{
    const char *netns = op->where == WHERE_PEER ? plan->peers[op->peer].name : jail;

    switch (op->kind) {
    case OP_SYSCTL_SET:
        print_sysctl(op, netns, op->sysctl.value, out);
        return;
    case OP_SYSCTL_RESTORE:
        print_sysctl(op, netns, op->sysctl.was, out);
        return;
    case OP_BRIDGE_ADD:
        print_bridge(op, out);
        return;
    case OP_VETH_ADD:
        print_veth(op, netns, jail, out);
        return;
    case OP_CHILD_ADD:
        print_child(op, jail, out);
        return;
    case OP_DEVICE_MOVE:
        print_device(op, jail, out);
        return;
    case OP_QDISC_ADD:
        print_qdisc(op, netns, out);
        return;
    case OP_ADDRESS_ADD:
    case OP_ADDRESS_DELETE:
        print_address(op, netns, out);
        return;
    case OP_ROUTE_ADD:
        print_route(op, netns, out);
        return;
    case OP_LISTEN:
        print_listen(op, out);
        return;
    default:
        print_link_command(op, netns, out);
        return;
    }
}

/* The nft ops from `first` on, of one place, as one transaction; returns the index behind them. */
static size_t print_transaction(const struct plan *plan, size_t first, const char *netns,
                                struct buf *out)
{
    enum where where = plan->ops[first].where;
    struct position last = {0};
    size_t i;

    buf_puts(out, "\n");
    prefix_where(&plan->ops[first], netns, out);
    buf_puts(out, "nft -f - << 'END'\n");
    for (i = first; i < plan->ops_count; i++) {
        if (!op_is_nft(&plan->ops[i]) || plan->ops[i].where != where)
            break;
        print_comment(plan, &plan->ops[i], &last, out);
        print_nft_op(plan, &plan->ops[i], out);
    }
    buf_puts(out, "END\n");
    return i;
}

static bool plan_has_timeouts(const struct plan *plan)
{
    for (size_t i = 0; i < plan->ops_count; i++)
        if (plan->ops[i].kind == OP_NFT_ELEMENTS_ADD && plan->ops[i].elements.timeout_ms)
            return true;
    return false;
}

void plan_print(const struct plan *plan, const char *netns, struct buf *out)
{
    struct position last = {0};

    buf_puts(out, "#!/bin/sh\nset -e\n");
    if (plan_has_timeouts(plan))
        buf_puts(out, "# Elements with a timeout are renewed by netjail while the jail runs.\n");
    for (size_t i = 0; i < plan->peers_count; i++) {
        quoted("# The running jail's network must have a name: ip netns attach ",
               plan->peers[i].name, out);
        buf_puts(out, " PID (of a process in it)\n");
    }
    if (plan->joins) {
        quoted("# The command runs in a network that exists: ip netns exec ", plan->joined.name,
               out);
        buf_puts(out, " COMMAND\n");
        return;
    }
    quoted("ip netns add ", netns, out);
    buf_puts(out, "\n");
    for (size_t i = 0; i < plan->ops_count;) {
        if (op_is_nft(&plan->ops[i])) {
            i = print_transaction(plan, i, netns, out);
            continue;
        }
        print_comment(plan, &plan->ops[i], &last, out);
        print_op(plan, &plan->ops[i], netns, out);
        i++;
    }
}

static void describe_nft(const struct op *op, struct buf *out)
{
    switch (op->kind) {
    case OP_NFT_TABLE_ADD:
        buf_puts(out, "add the nftables table '" NFT_TABLE_NAME "'");
        return;
    case OP_NFT_CHAIN_ADD:
        buf_printf(out, "add the nftables chain '%s'", op->chain.name);
        return;
    case OP_NFT_SET_ADD:
        buf_printf(out, "add the nftables set '%s'", op->set.name);
        return;
    case OP_NFT_RULE_ADD:
        buf_printf(out, "add a rule to the nftables chain '%s'", op->rule.chain);
        return;
    case OP_NFT_ELEMENTS_ADD:
        buf_printf(out, "add elements to the nftables set '%s'", op->elements.set);
        return;
    case OP_NFT_ELEMENTS_DELETE:
        buf_printf(out, "delete elements of the nftables set '%s'", op->elements.set);
        return;
    default:
        buf_puts(out, "delete the nftables table '" NFT_TABLE_NAME "'");
        return;
    }
}

static void describe_place(const struct op *op, struct buf *out)
{
    char prefix[PREFIX_TEXT_SIZE];

    switch (op->kind) {
    case OP_ADDRESS_ADD:
    case OP_ADDRESS_DELETE:
        buf_printf(out, "%s address %s %s '%s'", op->kind == OP_ADDRESS_ADD ? "add" : "delete",
                   prefix_print(&op->address.prefix, prefix),
                   op->kind == OP_ADDRESS_ADD ? "to" : "of", op->address.ifname);
        return;
    case OP_ROUTE_ADD:
        buf_printf(out, "add the route to %s on '%s'", prefix_print(&op->route.prefix, prefix),
                   op->route.ifname);
        return;
    case OP_LISTEN:
        buf_printf(out, "listen on port %u/%s of %s", op->listen.port,
                   op->listen.protocol == IPPROTO_TCP ? "tcp" : "udp",
                   addr_print(&op->listen.addr, prefix));
        return;
    case OP_DOCKER_ACCEPT:
    case OP_DOCKER_FORGET:
        buf_printf(out, "%s '%s' in Docker's chain DOCKER-USER",
                   op->kind == OP_DOCKER_ACCEPT ? "accept" : "forget", op->docker.ifname);
        return;
    case OP_FLOWS_FORGET:
        buf_printf(out, "forget the tracked connections of %s",
                   addr_print(&op->flows.addr, prefix));
        return;
    default:
        describe_nft(op, out);
        return;
    }
}

void op_describe(const struct plan *plan, const struct op *op, struct buf *out)
{
    (void)plan; /* no op needs its parts to be named */
    switch (op->kind) {
    case OP_SYSCTL_SET:
        buf_printf(out, "set sysctl %s to %s", op->sysctl.path, op->sysctl.value);
        return;
    case OP_SYSCTL_RESTORE:
        buf_printf(out, "restore sysctl %s to %s", op->sysctl.path, op->sysctl.was);
        return;
    case OP_BRIDGE_ADD:
        buf_printf(out, "create bridge '%s'", op->bridge.name);
        return;
    case OP_VETH_ADD:
        buf_printf(out, "create link '%s'", op->veth.jail_name);
        return;
    case OP_CHILD_ADD:
        buf_printf(out, "create %s '%s' of '%s'", op->child.kind, op->child.name, op->child.parent);
        return;
    case OP_DEVICE_MOVE:
        buf_printf(out, "move '%s' into the jail", op->device.name);
        return;
    case OP_QDISC_ADD:
        buf_printf(out, "limit '%s' to %llu bit/s", op->qdisc.ifname,
                   (unsigned long long)op->qdisc.rate_bit_s);
        return;
    case OP_LINK_UP:
        buf_printf(out, "bring up '%s'", op->ifname);
        return;
    case OP_LINK_CHECK:
        buf_printf(out, "find link '%s'", op->ifname);
        return;
    case OP_LINK_DELETE:
        buf_printf(out, "delete link '%s'", op->link_delete.name);
        return;
    default:
        describe_place(op, out);
        return;
    }
}
