/* policy + facts -> plan.
 *
 * Pure. First everything is decided, with all errors (which addresses, names, who is in the way);
 * only then the ops are written, in the order in which they are to be done:
 *
 *   1. the jail's sysctls, its table, lo: nothing else of the jail exists yet
 *   2. sockets of published ports: a port in use is found before the host is touched
 *   3. shared tables and this jail's elements, guards included, so that nothing is forwarded or
 *      bridged before it is judged
 *   4. bridges, then the links, the jail's end first; routes when both ends are up
 *   5. forwarding, last: it opens
 *   6. a look at each link, which makes the first packet safe
 *
 * What must not happen: a plan that is returned together with an error, or an op on the host for a
 * caller without privilege. */
#include "plan/build_internal.h"

#include "base/buf.h"
#include "plan/host_tables.h"
#include "plan/pool.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

void plan_jail_name(const struct policy *policy, int32_t pid, char name[JAIL_NAME_MAX + 1])
{
    if (policy->name) {
        (void)snprintf(name, JAIL_NAME_MAX + 1, "%s", policy->name); /* its length was checked */
        return;
    }
    /* A base name is cut so that the number, which makes it unique, stays. */
    (void)snprintf(name, JAIL_NAME_MAX + 1, "%.48s-%d",
                   policy->file_base ? policy->file_base : "jail", pid);
}

struct diag *build_error(struct build *build, const struct record *holder, struct position where,
                         const char *format, ...)
{
    struct diag *diag;
    char text[768];
    va_list args;

    va_start(args, format);
    (void)vsnprintf(text, sizeof text, format, args); /* cut where it is too long */
    va_end(args);
    diag = diag_error(build->diags, where, "%s", text);
    build->errors++;
    if (holder && holder->state == RECORD_ENDING)
        build->errors_ending++;
    return diag;
}

bool prefixes_have(const struct prefixes *prefixes, uint8_t family)
{
    for (size_t i = 0; i < prefixes->list_count; i++)
        if (prefixes->list[i].addr.family == family)
            return true;
    return false;
}

bool build_has_host_link(const struct build *build)
{
    for (size_t i = 0; i < build->links_count; i++)
        if (build->links[i].on_host)
            return true;
    return false;
}

const struct prefix *build_first_address(const struct build *build, uint8_t family)
{
    for (size_t i = 0; i < build->links_count; i++)
        for (size_t k = 0; build->links[i].on_host && k < build->links[i].addresses.list_count; k++)
            if (build->links[i].addresses.list[k].addr.family == family)
                return &build->links[i].addresses.list[k];
    return NULL;
}

bool addr_is_loopback(const struct addr *addr)
{
    static const struct addr loopback6 = {ADDR_V6, {[15] = 1}};

    return addr->family == ADDR_V4 ? addr->bytes[0] == 127 : addr_equal(addr, &loopback6);
}

bool addr_is_link_local(const struct addr *addr)
{
    if (addr->family == ADDR_V4)
        return addr->bytes[0] == 169 && addr->bytes[1] == 254;
    return addr->bytes[0] == 0xfe && (addr->bytes[1] & 0xc0) == 0x80;
}

/* Does some rule, or the default, let the jail send ICMP? */
static bool policy_pings(const struct policy *policy)
{
    for (size_t i = 0; i < policy->rules_count; i++) {
        const struct rule *rule = &policy->rules[i];

        if (rule->direction != DIRECTION_OUT || rule->verdict != VERDICT_ALLOW)
            continue;
        if (rule->protocols_count == 0 && !rule->ports.given)
            return true;
        for (size_t k = 0; k < rule->protocols_count; k++)
            if (rule->protocols[k].number == IPPROTO_ICMP ||
                rule->protocols[k].number == IPPROTO_ICMPV6)
                return true;
    }
    return policy->defaults[DIRECTION_OUT] == VERDICT_ALLOW;
}

static void push_sysctl(struct build *build, const char *path, const char *value, bool optional,
                        struct position where)
{
    struct op *op = plan_push(build->plan, OP_SYSCTL_SET, WHERE_JAIL, where);

    (void)snprintf(op->sysctl.path, sizeof op->sysctl.path, "%s", path);    /* both fit: */
    (void)snprintf(op->sysctl.value, sizeof op->sysctl.value, "%s", value); /* constants */
    op->sysctl.optional = optional;
}

/* A new namespace has the IPv4 values of the initial one (devconf_inherit_init_net,
 * Documentation/admin-guide/sysctl/net.rst), whatever the host made of them. Forwarding first: a
 * change of it resets accept_redirects. */
static void build_forward_sysctls(struct build *build)
{
    const char *value = build->policy->forward ? "1" : "0";
    struct position where = build->policy->forward_where;

    push_sysctl(build, "net/ipv4/conf/all/forwarding", value, false, where);
    push_sysctl(build, "net/ipv4/conf/default/forwarding", value, false, where);
    if (build->policy->forward) {
        push_sysctl(build, "net/ipv6/conf/all/forwarding", value, true, where);
        push_sysctl(build, "net/ipv6/conf/default/forwarding", value, true, where);
    }
}

/* Neighbours outside may remember who had the address before: a new interface announces itself. */
static void build_notify_sysctls(struct build *build)
{
    for (size_t i = 0; i < build->links_count; i++) {
        if (!build->links[i].is_child)
            continue;
        push_sysctl(build, "net/ipv4/conf/default/arp_notify", "1", false,
                    build->links[i].link->where);
        push_sysctl(build, "net/ipv6/conf/default/ndisc_notify", "1", true,
                    build->links[i].link->where);
        return;
    }
}

/* Before any link exists. The link-local address stays what the MAC says (addr_gen_mode 0), since
 * that is what the host pins. */
static void build_link_sysctls(struct build *build)
{
    static const struct {
        const char *path;
        const char *value;
        bool optional;
    } sysctls[] = {
        {"net/ipv4/conf/all/route_localnet", "0", false},
        {"net/ipv4/conf/default/route_localnet", "0", false},
        {"net/ipv4/conf/all/proxy_arp", "0", false},
        {"net/ipv4/conf/default/proxy_arp", "0", false},
        {"net/ipv6/conf/all/accept_dad", "0", true},
        {"net/ipv6/conf/default/accept_dad", "0", true},
        {"net/ipv6/conf/all/accept_ra", "0", true},
        {"net/ipv6/conf/default/accept_ra", "0", true},
        {"net/ipv6/conf/all/accept_redirects", "0", true},
        {"net/ipv6/conf/default/accept_redirects", "0", true},
        {"net/ipv4/conf/all/accept_redirects", "0", false},
        {"net/ipv4/conf/default/accept_redirects", "0", false},
        {"net/ipv4/conf/all/send_redirects", "0", false},
        {"net/ipv4/conf/default/send_redirects", "0", false},
        {"net/ipv4/conf/all/accept_source_route", "0", false},
        {"net/ipv4/conf/default/accept_source_route", "0", false},
    };

    build_forward_sysctls(build);
    build_notify_sysctls(build);
    for (size_t i = 0; i < sizeof sysctls / sizeof sysctls[0]; i++)
        push_sysctl(build, sysctls[i].path, sysctls[i].value, sysctls[i].optional,
                    (struct position){0});
}

/* Servers bind any port without capabilities. What is about neighbours and routers is for links; lo
 * has none, and at 30 us each they would be a tenth of the start of a jail without links. */
static void build_jail_sysctls(struct build *build)
{
    push_sysctl(build, "net/ipv4/ip_unprivileged_port_start", "0", false, (struct position){0});
    if (build->policy->links_count > 0 ||
        (build->facts->privileged && !build_judges_nothing(build)))
        build_link_sysctls(build);
    build->plan->pings = policy_pings(build->policy);
    if (build->plan->pings)
        push_sysctl(build, "net/ipv4/ping_group_range", "caller", false, (struct position){0});
}

static void add_plan_address(struct build *build, const char *ifname, const char *network,
                             const struct prefix *prefix)
{
    struct plan_address *address = ARENA_PUSH(build->plan->arena, build->plan, addresses);

    memcpy(address->ifname, ifname, strnlen(ifname, IFNAME_MAX));
    memcpy(address->network, network, strnlen(network, IFNAME_MAX));
    address->prefix = *prefix;
}

/* The network that an address belongs to, for the record: addresses of one place must differ. A
 * cable to another jail is a place of its own. */
static const char *link_place(const struct link_plan *link)
{
    if (link->network)
        return link->network->name;
    return link->on_host ? "" : PLACE_ELSEWHERE;
}

/* What the jail's table, the record and the service want to know. */
static void build_plan_addresses(struct build *build)
{
    for (size_t i = 0; i < build->links_count; i++) {
        const struct link_plan *link = &build->links[i];

        for (size_t k = 0; k < link->addresses.list_count; k++)
            add_plan_address(build, link->link->ifname, link_place(link), &link->addresses.list[k]);
    }
    for (size_t i = 0; i < build->policy->lo_addresses_count; i++)
        add_plan_address(build, "lo", "", &build->policy->lo_addresses[i].prefix);
}

static void build_lo(struct build *build)
{
    for (size_t i = 0; i < build->policy->lo_addresses_count; i++) {
        const struct link_address *address = &build->policy->lo_addresses[i];
        struct op *op = plan_push(build->plan, OP_ADDRESS_ADD, WHERE_JAIL, address->where);

        memcpy(op->address.ifname, "lo", 3);
        op->address.prefix = address->prefix;
    }
    build_relay_addresses(build);
    memcpy(plan_push(build->plan, OP_LINK_UP, WHERE_JAIL, (struct position){0})->ifname, "lo", 3);
    build_relay_routes(build);
}

/* Host links need privilege: said once, at the first statement that asks for one. */
static bool check_privilege(struct build *build)
{
    for (size_t i = 0; i < build->policy->links_count; i++) {
        const struct link *link = &build->policy->links[i];
        struct diag *diag;

        if (link->kind == LINK_RELAY || build->facts->privileged)
            continue;
        if (link->kind == LINK_JOIN) {
            diag = build_error(build, NULL, link->where,
                               "joining another network needs privilege over the host's network");
            diag_hint(build->diags, diag,
                      "run netjail with sudo; a program in a running jail of your own: "
                      "netjailctl exec %s -- COMMAND",
                      link->target);
            return false;
        }
        if (link->kind == LINK_VETH_JAIL) {
            diag = build_error(build, NULL, link->where,
                               "a cable to another jail needs privilege over the host's network");
            diag_hint(build->diags, diag,
                      "the kernel lays none between the user namespaces of two jails, of which "
                      "neither owns the other: run both with sudo");
            return false;
        }
        diag = build_error(build, NULL, link->where,
                           "a link to the host needs privilege over the host's network");
        diag_hint(
            build->diags, diag,
            build->facts->is_root
                ? "this root lacks CAP_NET_ADMIN or CAP_SYS_ADMIN: give its container (podman "
                  "run --cap-add NET_ADMIN,SYS_ADMIN) or unit both"
                : "run netjail with sudo, or in a unit with "
                  "AmbientCapabilities=CAP_NET_ADMIN CAP_SYS_ADMIN");
        return false;
    }
    return true;
}

/* The jail's name is how its lease is found: it is unique among those that run. */
static void check_name(struct build *build)
{
    for (size_t i = 0; i < build->facts->others_count; i++) {
        const struct record *other = build->facts->others[i];

        if (strcmp(other->name, build->name) == 0)
            (void)build_error(build, other, build->policy->name_where,
                              "a jail '%s' is already running (pid %d)", other->name, other->pid);
    }
}

/* Everything that is decided and checked before the first op. */
static int build_decide(struct build *build)
{
    check_name(build);
    if (check_privilege(build)) {
        build_resolve_links(build);
        build_check_networks(build);
    }
    build_resolve_publishes(build);
    build_resolve_symbols(build);
    if (build->errors == 0)
        return 0;
    if (build->errors != build->errors_ending + build->errors_waiting)
        return -EINVAL;
    return build->errors_waiting > 0 ? -ENOLINK : -EAGAIN;
}

static int build_write(struct build *build)
{
    int code;

    if (build->plan->joins)
        return 0;
    build_plan_addresses(build);
    build_plan_known(build);
    build_jail_sysctls(build);
    code = build_jail_table(build);
    if (code < 0)
        return code;
    build_lo(build);
    build_publish_listen(build);
    if (build_has_host_link(build)) {
        build_host_tables(build);
        build_host_elements(build);
        build_guards(build);
        build_publish_elements(build);
        build_networks(build);
        build_pins(build);
    }
    build_links(build);
    return 0;
}

int plan_build(const struct policy *policy, const struct facts *facts, struct diags *diags,
               struct plan **ret_plan)
{
    struct build build = {.policy = policy, .facts = facts, .diags = diags, .seed = facts->seed};
    struct arena *arena = arena_new();
    int code;

    build.scratch = arena_new();
    if (!arena || !build.scratch) {
        arena_free(arena);
        arena_free(build.scratch);
        return -ENOMEM;
    }
    build.plan = arena_alloc(arena, sizeof *build.plan);
    build.plan->arena = arena;
    build.plan->sources = &policy->sources;
    plan_jail_name(policy, facts->pid, build.name);
    code = build_decide(&build);
    if (code == 0)
        code = build_write(&build);
    arena_free(build.scratch);
    if (code < 0) {
        plan_free(build.plan);
        return code;
    }
    *ret_plan = build.plan;
    return 0;
}
