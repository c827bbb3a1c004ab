/* Gateways and routes: each must be reachable over the link that names it, and no two may claim the
 * same destination. Pure. */
#include "policy/check.h"

#include "policy/relay.h"

#include "base/map.h"

#include <string.h>

static const char *addr_text(struct diags *diags, const struct addr *addr)
{
    char text[ADDR_TEXT_SIZE];

    return arena_printf(diags->arena, "%s", addr_print(addr, text));
}

static void report_unreachable(struct diags *diags, struct position where, const char *what,
                               const struct addr *addr, const struct link *link)
{
    struct diag *diag = diag_error(diags, where, "%s %s is not reachable over link '%s'", what,
                                   addr_text(diags, addr), link->ifname);

    diag_hint(diags, diag, "it must be in a prefix of the link's addresses");
}

/* Has one of the link's own addresses this value? */
static bool is_own(const struct link *link, const struct addr *addr)
{
    for (size_t i = 0; i < link->addresses_count; i++) {
        const struct link_address *address = &link->addresses[i];

        if (!address->automatic && !address->keep && addr_equal(&address->prefix.addr, addr))
            return true;
    }
    return false;
}

static void check_via(const struct policy *policy, struct diags *diags, const struct link *link,
                      const char *what, const struct addr *via, struct position where)
{
    struct diag *diag;

    if (!link_reaches(policy, link, via)) {
        report_unreachable(diags, where, what, via, link);
    } else if (is_own(link, via)) {
        diag = diag_error(diags, where, "%s %s is the link's own address", what,
                          addr_text(diags, via));
        diag_hint(diags, diag, "it must be another machine's, as the host's end of the link");
    }
}

/* The address that `gateway` by default means for this family, or NULL. */
static const struct link_address *default_gateway(const struct policy *policy,
                                                  const struct link *link, uint8_t family)
{
    const struct link_address *list = link->peer_addresses;
    size_t count = link->peer_addresses_count;

    if (link->gateway != GATEWAY_DEFAULT || policy_relay_link(policy))
        return NULL; /* the relay is the way to everything that no link leads to */
    if (link->kind == LINK_BRIDGE) {
        list = policy->networks[link->network].addresses;
        count = policy->networks[link->network].addresses_count;
    } else if (link->kind != LINK_VETH_HOST) {
        return NULL;
    }
    for (size_t i = 0; i < count; i++) {
        if (list[i].prefix.addr.family == family)
            return &list[i];
    }
    return NULL;
}

/* Where the link's default route of this family is said; false: it has none. */
static bool default_route(const struct policy *policy, const struct link *link, uint8_t family,
                          struct position *ret_where)
{
    for (size_t i = 0; i < link->gateways_count; i++) {
        if (link->gateways[i].family == family) {
            *ret_where = link->gateway_where[family == ADDR_V6];
            return true;
        }
    }
    if (!default_gateway(policy, link, family) || !link_has_family(policy, link, family))
        return false;
    *ret_where = link->where;
    return true;
}

static void check_one_default(const struct policy *policy, struct diags *diags, uint8_t family)
{
    const struct link *relay = policy_relay_link(policy);
    struct position first = relay ? relay->where : (struct position){0};

    for (size_t i = 0; i < policy->links_count; i++) {
        const struct link *link = &policy->links[i];
        struct position where;
        struct diag *diag;

        if (link->network == SIZE_MAX || !default_route(policy, link, family, &where))
            continue;
        if (first.source == 0) {
            first = where;
            continue;
        }
        diag = diag_error(diags, where, "a second default gateway for %s", family_name(family));
        if (relay)
            diag_hint(diags, diag,
                      "'link relay' is the way to everything that no link leads to; "
                      "name what this one is for with 'route PREFIX via ADDRESS'");
        else
            diag_hint(diags, diag, "write 'gateway none' in one of the links");
        diag_other(diags, diag, first, "the first is here");
    }
}

/* The routes of one side of a link; `seen` has all routes of that side of the policy. */
static void check_routes(const struct policy *policy, struct diags *diags, const struct link *link,
                         struct map *seen, struct position *places, size_t *places_count)
{
    for (size_t i = 0; i < link->routes_count; i++) {
        const struct route *route = &link->routes[i];
        size_t number;
        struct diag *diag;

        check_via(policy, diags, link, "gateway", &route->via, route->where);
        if (map_find(seen, &route->prefix, sizeof route->prefix, &number)) {
            diag = diag_error(diags, route->where, "a second route to the same prefix");
            diag_other(diags, diag, places[number], "the first is here");
            continue;
        }
        map_add(seen, &route->prefix, sizeof route->prefix, *places_count);
        places[(*places_count)++] = route->where;
    }
}

/* `route 0.0.0.0/0` says the same as a gateway. */
static void check_default_routes(const struct policy *policy, struct diags *diags,
                                 const struct link *link)
{
    for (size_t i = 0; i < link->routes_count; i++) {
        const struct route *route = &link->routes[i];
        struct position where;
        struct diag *diag;

        if (route->prefix.length > 0)
            continue;
        for (size_t j = 0; j < policy->links_count; j++) {
            const struct link *other = &policy->links[j];

            if (other->network == SIZE_MAX ||
                !default_route(policy, other, route->prefix.addr.family, &where))
                continue;
            diag = diag_error(diags, route->where,
                              "a default route beside the default gateway of link '%s'",
                              other->ifname);
            diag_hint(diags, diag, "write 'gateway %s', or 'gateway none' in that link",
                      addr_text(diags, &route->via));
            diag_other(diags, diag, where, "the gateway comes from here");
        }
    }
}

/* The link's own addresses are reached where no prefix covers them, too: by a route of their own.
 */
static bool peer_reaches(const struct link *link, const struct addr *addr)
{
    if (is_own(link, addr))
        return true;
    for (size_t i = 0; i < link->peer_addresses_count; i++) {
        if (prefix_contains(&link->peer_addresses[i].prefix, addr))
            return true;
    }
    return addr->family == ADDR_V6 && addr->bytes[0] == 0xfe && (addr->bytes[1] & 0xc0) == 0x80;
}

static void check_peer_routes(struct diags *diags, const struct link *link)
{
    for (size_t i = 0; i < link->peer_routes_count; i++) {
        const struct route *route = &link->peer_routes[i];
        struct diag *diag;

        if (peer_reaches(link, &route->via))
            continue;
        diag = diag_error(diags, route->where,
                          "gateway %s is not reachable from the other end of link '%s'",
                          addr_text(diags, &route->via), link->ifname);
        diag_hint(diags, diag, "it must be in a prefix of a 'peer-address'");
    }
}

/* The host's end of a veth link is the default gateway: it must be on the same wire. */
static void check_peer_gateway(const struct policy *policy, struct diags *diags,
                               const struct link *link)
{
    static const uint8_t families[] = {ADDR_V4, ADDR_V6};

    for (size_t i = 0; i < 2 && link->kind == LINK_VETH_HOST; i++) {
        const struct link_address *peer = default_gateway(policy, link, families[i]);
        struct diag *diag;

        if (!peer || !link_has_family(policy, link, families[i]) ||
            link_reaches(policy, link, &peer->prefix.addr))
            continue;
        diag = diag_error(diags, peer->where,
                          "the host's end %s is not in a prefix of the link's addresses",
                          addr_text(diags, &peer->prefix.addr));
        diag_hint(diags, diag, "use one prefix on both ends, or write 'gateway none'");
    }
}

void check_gateways(const struct policy *policy, struct diags *diags)
{
    struct map seen = {.arena = diags->arena};
    size_t places_count = 0;
    size_t total = 0;
    struct position *places;

    for (size_t i = 0; i < policy->links_count; i++)
        total += policy->links[i].routes_count;
    places = arena_alloc(diags->arena, (total + 1) * sizeof *places);
    for (size_t i = 0; i < policy->links_count; i++) {
        const struct link *link = &policy->links[i];

        if (link->network == SIZE_MAX)
            continue; /* its network is unknown: that is said */
        for (size_t j = 0; j < link->gateways_count; j++)
            check_via(policy, diags, link, "gateway", &link->gateways[j],
                      link->gateway_where[link->gateways[j].family == ADDR_V6]);
        check_routes(policy, diags, link, &seen, places, &places_count);
        check_default_routes(policy, diags, link);
        check_peer_routes(diags, link);
        check_peer_gateway(policy, diags, link);
    }
    check_one_default(policy, diags, ADDR_V4);
    check_one_default(policy, diags, ADDR_V6);
}
