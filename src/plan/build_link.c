/* Links: what they are called, and the ops that make them.
 *
 * Pure. A veth is made with its peer directly in the jail; addresses never need duplicate address
 * detection. Routes come when both ends are up, since the kernel refuses a gateway over a link that
 * is down. What must not happen: a kind of link that runs as if it were not there. */
#include "plan/build_internal.h"

#include "plan/pool.h"

#include <stdio.h>
#include <string.h>

static void name_copy(char target[IFNAME_SIZE], const char *name)
{
    memset(target, 0, IFNAME_SIZE);
    memcpy(target, name, strnlen(name, IFNAME_MAX));
}

/* A name that was asked for must be free. */
static void check_host_name(struct build *build, const struct link_plan *link)
{
    for (size_t i = 0; i < build->facts->others_count; i++) {
        const struct record *other = build->facts->others[i];

        for (size_t k = 0; k < other->links_count; k++)
            if (strcmp(other->links[k].name, link->host_name) == 0) {
                (void)build_error(build, other, link->link->where,
                                  "jail '%s' has the interface name '%s' on the host already",
                                  other->name, link->host_name);
                return;
            }
    }
    for (size_t i = 0; i < build->facts->links_count; i++)
        if (strcmp(build->facts->links[i].name, link->host_name) == 0)
            (void)build_error(build, NULL, link->link->where,
                              "the host has an interface '%s' already", link->host_name);
    for (const struct link_plan *other = build->links; other < link; other++)
        if (strcmp(other->host_name, link->host_name) == 0)
            (void)build_error(build, NULL, link->link->where,
                              "two links have the name '%s' on the host", link->host_name);
    for (size_t i = 0; i < build->policy->networks_count; i++)
        if (strcmp(build->policy->networks[i].name, link->host_name) == 0)
            (void)build_error(build, NULL, link->link->where,
                              "'%s' is the name of a network already", link->host_name);
}

static bool name_is_taken(const struct build *build, const struct link_plan *link)
{
    for (size_t i = 0; i < build->links_count; i++)
        if (&build->links[i] != link &&
            (strcmp(build->links[i].host_name, link->host_name) == 0 ||
             (build->links[i].link->host_ifname &&
              strcmp(build->links[i].link->host_ifname, link->host_name) == 0)))
            return true;
    return false;
}

static void choose_names(struct build *build, struct link_plan *link)
{
    if (link->link->host_ifname) {
        name_copy(link->host_name, link->link->host_ifname);
        check_host_name(build, link);
    } else {
        do {
            pool_choose_ifname(build->facts, &build->seed, link->host_name);
        } while (name_is_taken(build, link));
    }
    name_copy(link->outer_name, link->network ? link->network->name : link->host_name);
    link->host_mac = pool_choose_mac(&build->seed);
    link->jail_mac = link->link->has_mac ? link->link->mac : pool_choose_mac(&build->seed);
}

static void add_link(struct build *build, const struct link *link)
{
    struct link_plan *entry = ARENA_PUSH(build->scratch, build, links);
    const struct link_address *outer = link->peer_addresses;
    size_t outer_count = link->peer_addresses_count;

    entry->link = link;
    if (link->kind == LINK_BRIDGE) {
        entry->network = &build->policy->networks[link->network];
        outer = entry->network->addresses;
        outer_count = entry->network->addresses_count;
    }
    for (size_t i = 0; i < outer_count; i++)
        *ARENA_PUSH(build->scratch, &entry->outer_addresses, list) = outer[i].prefix;
}

void build_resolve_links(struct build *build)
{
    for (size_t i = 0; i < build->policy->links_count; i++) {
        const struct link *link = &build->policy->links[i];

        if (link->kind == LINK_BRIDGE || link->kind == LINK_VETH_HOST)
            add_link(build, link);
        else
            (void)build_error(build, NULL, link->where, "this kind of link is not available yet");
    }
    for (size_t i = 0; i < build->links_count; i++) {
        choose_names(build, &build->links[i]);
        if (!build->links[i].network)
            build_check_cable(build, &build->links[i]);
        build_choose_addresses(build, &build->links[i]);
        build_choose_gateways(build, &build->links[i]);
    }
}

static void emit_address(struct build *build, enum where where, const char *ifname,
                         const struct prefix *prefix, struct position position)
{
    struct op *op = plan_push(build->plan, OP_ADDRESS_ADD, where, position);

    name_copy(op->address.ifname, ifname);
    op->address.prefix = *prefix;
}

static void emit_up(struct build *build, enum where where, const char *ifname,
                    struct position position)
{
    name_copy(plan_push(build->plan, OP_LINK_UP, where, position)->ifname, ifname);
}

static void emit_route(struct build *build, enum where where, const char *ifname,
                       const struct prefix *prefix, const struct addr *via,
                       struct position position)
{
    struct op *op = plan_push(build->plan, OP_ROUTE_ADD, where, position);

    name_copy(op->route.ifname, ifname);
    op->route.prefix = *prefix;
    if (via)
        op->route.via = *via;
}

static void emit_accept_dad(struct build *build, const struct link_plan *link)
{
    struct op *op = plan_push(build->plan, OP_SYSCTL_SET, WHERE_HOST, link->link->where);

    (void)snprintf(op->sysctl.path, sizeof op->sysctl.path,
                   "net/ipv6/conf/%s/accept_dad", /* fits */
                   link->host_name);
    memcpy(op->sysctl.value, "0", 2);
    op->sysctl.optional = true;
}

static void emit_veth(struct build *build, const struct link_plan *link)
{
    const struct link *text = link->link;
    struct op *op = plan_push(build->plan, OP_VETH_ADD, WHERE_HOST, text->where);

    name_copy(op->veth.host_name, link->host_name);
    name_copy(op->veth.jail_name, text->ifname);
    if (link->network)
        name_copy(op->veth.master, link->network->name);
    (void)snprintf(op->veth.alias, sizeof op->veth.alias, "netjail %s %s", build->name, /* fits */
                   text->ifname);
    op->veth.group = link->network ? GROUP_PORT : GROUP_CABLE;
    op->veth.mtu = text->mtu;
    op->veth.host_mac = link->host_mac;
    op->veth.jail_mac = link->jail_mac;
    op->veth.isolated = link->network && link->network->isolate;
    op->veth.hairpin = link->network && publishes_outside(build);
    for (size_t i = 0; i < text->peer_addresses_count; i++)
        emit_address(build, WHERE_HOST, link->host_name, &text->peer_addresses[i].prefix,
                     text->peer_addresses[i].where);
    if (!link->network)
        emit_accept_dad(build, link);
}

static bool prefixes_cover(const struct prefixes *prefixes, const struct addr *addr)
{
    for (size_t i = 0; i < prefixes->list_count; i++)
        if (prefixes->list[i].addr.family == addr->family &&
            prefix_contains(&prefixes->list[i], addr))
            return true;
    return false;
}

static struct prefix whole(const struct addr *addr)
{
    return (struct prefix){*addr, (uint8_t)addr_bits(addr->family)};
}

static void emit_jail_routes(struct build *build, const struct link_plan *link)
{
    const struct link *text = link->link;

    for (size_t i = 0; i < link->gateways.list_count; i++) {
        const struct addr *gateway = &link->gateways.list[i];
        struct prefix everything = {.addr = {.family = gateway->family}};
        struct prefix host = whole(gateway);

        if (!prefixes_cover(&link->addresses, gateway))
            emit_route(build, WHERE_JAIL, text->ifname, &host, NULL, text->where);
        emit_route(build, WHERE_JAIL, text->ifname, &everything, gateway, text->where);
    }
    for (size_t i = 0; i < text->routes_count; i++)
        emit_route(build, WHERE_JAIL, text->ifname, &text->routes[i].prefix, &text->routes[i].via,
                   text->routes[i].where);
}

/* A cable's jail is reached by routes of the host, where the peer's prefix does not cover it. */
static void emit_host_routes(struct build *build, const struct link_plan *link)
{
    const struct link *text = link->link;

    for (size_t i = 0; !link->network && i < link->addresses.list_count; i++) {
        struct prefix host = whole(&link->addresses.list[i].addr);

        if (!prefixes_cover(&link->outer_addresses, &host.addr))
            emit_route(build, WHERE_HOST, link->host_name, &host, NULL, text->where);
    }
    for (size_t i = 0; i < text->peer_routes_count; i++)
        emit_route(build, WHERE_HOST, link->host_name, &text->peer_routes[i].prefix,
                   &text->peer_routes[i].via, text->peer_routes[i].where);
}

void build_links(struct build *build)
{
    for (size_t i = 0; i < build->links_count; i++)
        emit_veth(build, &build->links[i]);
    for (size_t i = 0; i < build->links_count; i++) {
        const struct link_plan *link = &build->links[i];

        for (size_t k = 0; k < link->addresses.list_count; k++)
            emit_address(build, WHERE_JAIL, link->link->ifname, &link->addresses.list[k],
                         link->link->where);
        emit_up(build, WHERE_JAIL, link->link->ifname, link->link->where);
    }
    for (size_t i = 0; i < build->links_count; i++)
        emit_up(build, WHERE_HOST, build->links[i].host_name, build->links[i].link->where);
    for (size_t i = 0; i < build->links_count; i++)
        emit_jail_routes(build, &build->links[i]);
    for (size_t i = 0; i < build->links_count; i++)
        emit_host_routes(build, &build->links[i]);
    build_firewalls(build);
    build_forwarding(build);
    for (size_t i = 0; i < build->links_count; i++)
        name_copy(
            plan_push(build->plan, OP_LINK_CHECK, WHERE_HOST, build->links[i].link->where)->ifname,
            build->links[i].host_name);
}
