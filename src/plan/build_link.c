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
        if (other->on_host && strcmp(other->host_name, link->host_name) == 0)
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
        if (&build->links[i] != link && build->links[i].on_host &&
            (strcmp(build->links[i].host_name, link->host_name) == 0 ||
             (build->links[i].link->host_ifname &&
              strcmp(build->links[i].link->host_ifname, link->host_name) == 0)))
            return true;
    return false;
}

/* In the other jail a cable is called after this one, where that fits. */
static void choose_peer_name(struct build *build, struct link_plan *link)
{
    if (link->link->host_ifname)
        name_copy(link->host_name, link->link->host_ifname);
    else if (strlen(build->name) <= IFNAME_MAX - 3)
        (void)snprintf(link->host_name, sizeof link->host_name, "to-%.12s", build->name);
    else
        pool_choose_ifname(build->facts, &build->seed, link->host_name);
    for (const struct link_plan *other = build->links; other < link; other++)
        if (other->is_peer && other->peer == link->peer &&
            strcmp(other->host_name, link->host_name) == 0) {
            struct diag *diag =
                build_error(build, NULL, link->link->where, "two cables have the name '%s' in '%s'",
                            link->host_name, link->link->target);
            diag_hint(build->diags, diag, "give this one another name there: peer-name");
        }
}

/* The jail's MAC stays from start to start. The host's end of a veth is nobody's neighbour; it is
 * high, since a bridge without a MAC of its own takes the lowest of its ports. */
static void choose_macs(struct build *build, struct link_plan *link)
{
    const struct link *text = link->link;
    const char *target = link->network ? link->network->name : text->target ? text->target : "host";

    link->host_mac = pool_choose_mac(&build->seed);
    link->host_mac.bytes[0] = 0xfe;
    link->jail_mac =
        text->has_mac ? text->mac
                      : pool_stable_mac(build->facts->machine, build->name, text->ifname, target);
}

static void choose_names(struct build *build, struct link_plan *link)
{
    if (link->is_peer) {
        choose_peer_name(build, link);
    } else if (!link->on_host) {
        ; /* all of it is in the jail */
    } else if (link->link->host_ifname) {
        name_copy(link->host_name, link->link->host_ifname);
        check_host_name(build, link);
    } else {
        do {
            pool_choose_ifname(build->facts, &build->seed, link->host_name);
        } while (name_is_taken(build, link));
    }
    name_copy(link->outer_name, link->network ? link->network->name : link->host_name);
    choose_macs(build, link);
    if (link->link->kind == LINK_DEVICE)
        link->jail_mac = build_device_mac(build, link);
}

static void add_link(struct build *build, const struct link *link)
{
    struct link_plan *entry = ARENA_PUSH(build->scratch, build, links);
    const struct link_address *outer = link->peer_addresses;
    size_t outer_count = link->peer_addresses_count;

    entry->link = link;
    entry->on_host = link->kind == LINK_BRIDGE || link->kind == LINK_VETH_HOST;
    entry->is_child =
        link->kind == LINK_MACVLAN || link->kind == LINK_IPVLAN || link->kind == LINK_DEVICE;
    entry->has_mac = link->kind != LINK_IPVLAN && link->kind != LINK_DEVICE &&
                     !(link->kind == LINK_MACVLAN && link->mode && !strcmp(link->mode, "passthru"));
    if (link->kind == LINK_DEVICE)
        build_check_device(build, entry);
    else if (entry->is_child)
        build_check_child(build, entry);
    if (link->kind == LINK_VETH_JAIL)
        build_resolve_peer(build, entry);
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

        if (link->kind == LINK_JOIN)
            build_resolve_join(build, link);
        else if (link->kind != LINK_RELAY) /* relay.c */
            add_link(build, link);
    }
    for (size_t i = 0; i < build->links_count; i++) {
        choose_names(build, &build->links[i]);
        if (build->links[i].link->kind == LINK_VETH_HOST)
            build_check_cable(build, &build->links[i]);
        build_choose_addresses(build, &build->links[i]);
        build_choose_gateways(build, &build->links[i]);
    }
}

/* An op at the outer end of a link: on the host, or in the other jail. */
static struct op *push_outer(struct build *build, const struct link_plan *link, enum op_kind kind,
                             struct position position)
{
    struct op *op = plan_push(build->plan, kind, link->is_peer ? WHERE_PEER : WHERE_HOST, position);

    op->peer = link->peer;
    return op;
}

static void fill_route(struct op *op, const char *ifname, const struct prefix *prefix,
                       const struct addr *via)
{
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

static void emit_outer_addresses(struct build *build, const struct link_plan *link)
{
    const struct link *text = link->link;

    for (size_t i = 0; i < text->peer_addresses_count; i++) {
        struct op *op = push_outer(build, link, OP_ADDRESS_ADD, text->peer_addresses[i].where);

        name_copy(op->address.ifname, link->host_name);
        op->address.prefix = text->peer_addresses[i].prefix;
    }
}

static void emit_veth(struct build *build, const struct link_plan *link)
{
    const struct link *text = link->link;
    struct op *op = push_outer(build, link, OP_VETH_ADD, text->where);

    name_copy(op->veth.host_name, link->host_name);
    name_copy(op->veth.jail_name, text->ifname);
    if (link->network)
        name_copy(op->veth.master, link->network->name);
    (void)snprintf(op->veth.alias, sizeof op->veth.alias, "netjail %s %s", build->name, /* fits */
                   text->ifname);
    op->veth.group = link->network ? GROUP_PORT : GROUP_CABLE;
    op->veth.jail_group = link->is_peer ? GROUP_CABLE : 0;
    op->veth.mtu = text->mtu;
    op->veth.host_mac = link->host_mac;
    op->veth.jail_mac = link->jail_mac;
    op->veth.isolated = link->network && link->network->isolate;
    op->veth.hairpin = link->network && publishes_outside(build);
    emit_outer_addresses(build, link);
    if (!link->network && link->on_host)
        emit_accept_dad(build, link);
}

static void emit_link(struct build *build, const struct link_plan *link)
{
    if (link->link->kind == LINK_DEVICE)
        build_device(build, link);
    else if (link->is_child)
        build_child(build, link);
    else
        emit_veth(build, link);
    build_rate(build, link);
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

static void emit_jail_route(struct build *build, const struct link_plan *link,
                            const struct prefix *prefix, const struct addr *via,
                            struct position position)
{
    fill_route(plan_push(build->plan, OP_ROUTE_ADD, WHERE_JAIL, position), link->link->ifname,
               prefix, via);
}

static void emit_jail_routes(struct build *build, const struct link_plan *link)
{
    const struct link *text = link->link;

    /* The other jail's addresses, where the prefix of this end does not cover them. */
    for (size_t i = 0; link->is_peer && i < link->outer_addresses.list_count; i++) {
        struct prefix host = whole(&link->outer_addresses.list[i].addr);

        if (!prefixes_cover(&link->addresses, &host.addr))
            emit_jail_route(build, link, &host, NULL, text->where);
    }
    for (size_t i = 0; i < link->gateways.list_count; i++) {
        const struct addr *gateway = &link->gateways.list[i];
        struct prefix everything = {.addr = {.family = gateway->family}};
        struct prefix host = whole(gateway);

        if (!prefixes_cover(&link->addresses, gateway))
            emit_jail_route(build, link, &host, NULL, text->where);
        emit_jail_route(build, link, &everything, gateway, text->where);
    }
    for (size_t i = 0; i < text->routes_count; i++)
        emit_jail_route(build, link, &text->routes[i].prefix, &text->routes[i].via,
                        text->routes[i].where);
}

/* A cable's jail is reached by routes of the other end, where its prefix does not cover it. */
static void emit_outer_routes(struct build *build, const struct link_plan *link)
{
    const struct link *text = link->link;

    for (size_t i = 0; !link->network && !link->is_child && i < link->addresses.list_count; i++) {
        struct prefix host = whole(&link->addresses.list[i].addr);

        if (!prefixes_cover(&link->outer_addresses, &host.addr))
            fill_route(push_outer(build, link, OP_ROUTE_ADD, text->where), link->host_name, &host,
                       NULL);
    }
    for (size_t i = 0; i < text->peer_routes_count; i++)
        fill_route(push_outer(build, link, OP_ROUTE_ADD, text->peer_routes[i].where),
                   link->host_name, &text->peer_routes[i].prefix, &text->peer_routes[i].via);
}

static void emit_jail_end(struct build *build, const struct link_plan *link)
{
    const struct link *text = link->link;

    for (size_t k = 0; k < link->addresses.list_count; k++) {
        struct op *op = plan_push(build->plan, OP_ADDRESS_ADD, WHERE_JAIL, text->where);

        name_copy(op->address.ifname, text->ifname);
        op->address.prefix = link->addresses.list[k];
    }
    name_copy(plan_push(build->plan, OP_LINK_UP, WHERE_JAIL, text->where)->ifname, text->ifname);
}

static void emit_outer_op(struct build *build, const struct link_plan *link, enum op_kind kind)
{
    if (link->on_host || link->is_peer)
        name_copy(push_outer(build, link, kind, link->link->where)->ifname, link->host_name);
}

void build_links(struct build *build)
{
    for (size_t i = 0; i < build->links_count; i++)
        emit_link(build, &build->links[i]);
    for (size_t i = 0; i < build->links_count; i++)
        emit_jail_end(build, &build->links[i]);
    for (size_t i = 0; i < build->links_count; i++)
        emit_outer_op(build, &build->links[i], OP_LINK_UP);
    for (size_t i = 0; i < build->links_count; i++)
        emit_jail_routes(build, &build->links[i]);
    for (size_t i = 0; i < build->links_count; i++)
        emit_outer_routes(build, &build->links[i]);
    build_firewalls(build);
    build_forwarding(build);
    for (size_t i = 0; i < build->links_count; i++)
        emit_outer_op(build, &build->links[i], OP_LINK_CHECK);
}
