/* Which source addresses a link may send from.
 *
 * A jail has the addresses of the link. Behind a cable to the host it may also have what a
 * `peer-route` leads to: addresses of its lo, and when it is a router, whole networks. A router on
 * a bridge speaks for the networks of its other links, but never for a neighbour or the host. Pure.
 * What must not happen: a jail without `forward` that speaks for a network, or one address in both
 * lists, since their elements would overlap in one set. */
#include "plan/build_internal.h"

static void add_prefix(const struct build *build, struct spans *spans, const struct prefix *prefix,
                       uint8_t family)
{
    struct addr_range range = prefix_range(prefix);

    if (prefix->addr.family == family)
        spans_add(build->scratch, spans, span_of(&range));
}

static void add_addr(const struct build *build, struct spans *spans, const struct addr *addr)
{
    struct addr_range range = addr_range_of(addr);

    spans_add(build->scratch, spans, span_of(&range));
}

static bool routed_to(const struct link *link, const struct addr *addr)
{
    for (size_t i = 0; i < link->peer_routes_count; i++)
        if (link->peer_routes[i].prefix.addr.family == addr->family &&
            prefix_contains(&link->peer_routes[i].prefix, addr))
            return true;
    return false;
}

struct spans link_own_sources(const struct build *build, const struct link_plan *link,
                              uint8_t family)
{
    struct spans spans = {0};

    for (size_t i = 0; i < link->addresses.list_count; i++)
        if (link->addresses.list[i].addr.family == family)
            add_addr(build, &spans, &link->addresses.list[i].addr);
    for (size_t i = 0; i < build->policy->lo_addresses_count; i++) {
        const struct addr *addr = &build->policy->lo_addresses[i].prefix.addr;

        if (addr->family == family && routed_to(link->link, addr))
            add_addr(build, &spans, addr);
    }
    spans_normalise(&spans, family);
    return spans;
}

/* What is left of `spans` without `without`. */
static struct spans subtract(const struct build *build, const struct spans *spans,
                             const struct spans *without, uint8_t family)
{
    struct spans outside = spans_complement(build->scratch, spans, family);

    for (size_t i = 0; i < without->list_count; i++)
        spans_add(build->scratch, &outside, without->list[i]);
    spans_normalise(&outside, family);
    return spans_complement(build->scratch, &outside, family);
}

/* What a router reaches by this link. */
static void add_reached(const struct build *build, struct spans *spans,
                        const struct link_plan *link, uint8_t family)
{
    for (size_t i = 0; i < link->addresses.list_count; i++)
        add_prefix(build, spans, &link->addresses.list[i], family);
    for (size_t i = 0; i < link->link->routes_count; i++)
        add_prefix(build, spans, &link->link->routes[i].prefix, family);
    for (size_t i = 0; i < link->gateways.list_count; i++)
        if (link->gateways.list[i].family == family)
            spans_add(build->scratch, spans, span_full(family));
}

/* The host's own, those that this plan gives it included. */
static void add_host(const struct build *build, struct spans *spans, uint8_t family)
{
    for (size_t i = 0; i < build->facts->addresses_count; i++)
        if (build->facts->addresses[i].prefix.addr.family == family)
            add_addr(build, spans, &build->facts->addresses[i].prefix.addr);
    for (size_t i = 0; i < build->links_count; i++) {
        const struct prefixes *outer = &build->links[i].outer_addresses;

        for (size_t k = 0; build->links[i].on_host && k < outer->list_count; k++)
            if (outer->list[k].addr.family == family)
                add_addr(build, spans, &outer->list[k].addr);
    }
}

/* Neighbours on the network and the host, whom nobody else speaks for. */
static struct spans wire_prefixes(const struct build *build, const struct link_plan *link,
                                  uint8_t family)
{
    static const struct prefix link_local[] = {{{ADDR_V4, {169, 254}}, 16},
                                               {{ADDR_V6, {0xfe, 0x80}}, 10}};
    struct spans spans = {0};

    for (size_t i = 0; i < link->outer_addresses.list_count; i++)
        add_prefix(build, &spans, &link->outer_addresses.list[i], family);
    for (size_t i = 0; i < link->addresses.list_count; i++)
        add_prefix(build, &spans, &link->addresses.list[i], family);
    for (size_t i = 0; i < 2; i++)
        add_prefix(build, &spans, &link_local[i], family);
    add_host(build, &spans, family);
    spans_normalise(&spans, family);
    return spans;
}

struct spans link_forwarded_sources(const struct build *build, const struct link_plan *link,
                                    uint8_t family)
{
    struct spans own = {0};
    struct spans spans = {0};

    if (!build->policy->forward)
        return spans;
    for (size_t i = 0; i < link->link->peer_routes_count; i++)
        add_prefix(build, &spans, &link->link->peer_routes[i].prefix, family);
    for (size_t i = 0; link->network && i < build->links_count; i++)
        if (&build->links[i] != link)
            add_reached(build, &spans, &build->links[i], family);
    if (spans.list_count == 0)
        return spans;
    spans_normalise(&spans, family);
    own =
        link->network ? wire_prefixes(build, link, family) : link_own_sources(build, link, family);
    return subtract(build, &spans, &own, family);
}
