/* What the symbolic sets of a policy stand for: gateway, host, broadcast. Pure. What must not
 * happen: `host` covering the loopback addresses, which inside the jail are the jail's own. */
#include "plan/build_internal.h"

#include "policy/relay.h"
#include "policy/transcript.h"

#include <string.h>

static void symbol_add(struct build *build, struct symbol_ranges *symbol, const struct addr *addr)
{
    *ARENA_PUSH(build->scratch, symbol, ranges) = addr_range_of(addr);
}

/* The last address of a prefix, where that means all of its hosts (RFC 3021: not in a /31). */
static void add_broadcast(struct build *build, const struct prefix *prefix)
{
    struct addr_range range = prefix_range(prefix);

    if (prefix->addr.family == ADDR_V4 && prefix->length < 31)
        symbol_add(build, &build->symbols.broadcast, &range.last);
}

static void know(struct build *build, enum known_kind kind, const struct addr_range *range)
{
    struct known_range *known = ARENA_PUSH(build->plan->arena, build->plan, known);

    known->kind = (uint8_t)kind;
    known->range = *range;
}

static void know_symbol(struct build *build, enum known_kind kind,
                        const struct symbol_ranges *symbol)
{
    for (size_t i = 0; i < symbol->ranges_count; i++)
        know(build, kind, &symbol->ranges[i]);
}

void build_plan_known(struct build *build)
{
    build->plan->decides = policy_asks_service(build->policy);
    build->plan->needs_service |= build->policy->needs_resolver;
    if (!build->plan->decides)
        return;
    build->plan->needs_service = true;
    know_symbol(build, KNOWN_GATEWAY, &build->symbols.gateway);
    know_symbol(build, KNOWN_HOST, &build->symbols.host);
    know_symbol(build, KNOWN_BROADCAST, &build->symbols.broadcast);
    for (size_t i = 0; i < 2 && policy_relays(build->policy); i++) {
        struct addr addr = relay_addr(RELAY_JAIL, i ? ADDR_V6 : ADDR_V4);
        struct addr_range range = addr_range_of(&addr);

        know(build, KNOWN_JAIL, &range);
    }
    for (size_t i = 0; i < build->plan->addresses_count; i++) {
        const struct plan_address *address = &build->plan->addresses[i];
        struct addr_range own = addr_range_of(&address->prefix.addr);
        struct addr_range connected = prefix_range(&address->prefix);

        know(build, KNOWN_JAIL, &own);
        if (strcmp(address->ifname, "lo") != 0)
            know(build, KNOWN_LINK, &connected);
    }
}

void build_resolve_symbols(struct build *build)
{
    struct symbols *symbols = &build->symbols;

    for (size_t i = 0; i < build->links_count; i++) {
        const struct link_plan *link = &build->links[i];

        for (size_t k = 0; k < link->gateways.list_count; k++) {
            symbol_add(build, &symbols->gateway, &link->gateways.list[k]);
            symbol_add(build, &symbols->host, &link->gateways.list[k]);
        }
        for (size_t k = 0; k < link->outer_addresses.list_count; k++)
            symbol_add(build, &symbols->host, &link->outer_addresses.list[k].addr);
        for (size_t k = 0; k < link->addresses.list_count; k++)
            add_broadcast(build, &link->addresses.list[k]);
    }
    for (size_t i = 0; i < build->facts->addresses_count; i++) {
        const struct addr *addr = &build->facts->addresses[i].prefix.addr;

        if (!addr_is_loopback(addr) && !addr_is_link_local(addr))
            symbol_add(build, &symbols->host, addr);
    }
}
