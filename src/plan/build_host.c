/* What one jail adds to the shared tables: elements.
 *
 * Elements about a network (no timeout) are the same for each of its jails and are written by each:
 * the last one takes them away. Elements about the jail itself expire unless its supervisor renews
 * them. Pure. What must not happen: two elements of one set that overlap, which the kernel refuses.
 */
#include "plan/build_internal.h"
#include "plan/host_tables.h"
#include "plan/pool.h"

#include <string.h>

static struct emit host_emit(const struct build *build, enum host_set set, struct position where)
{
    return (struct emit){build->plan, WHERE_HOST, host_set(set)->family, where};
}

static void emit_ifname_element(const struct build *build, enum host_set set, const char *ifname,
                                struct position where)
{
    struct emit emit = host_emit(build, set, where);

    emit_elements(&emit, host_set(set), 0);
    for (size_t i = 0; i < host_set(set)->key.count; i++)
        element_ifname(build->plan, ifname);
    element_end(build->plan);
}

/* Is this the first link of the policy on its outer interface? */
static bool link_is_first(const struct build *build, const struct link_plan *link)
{
    for (const struct link_plan *other = build->links; other < link; other++)
        if (strcmp(other->outer_name, link->outer_name) == 0)
            return false;
    return true;
}

/* The network's prefixes, for nobody outside to come from. */
static void emit_inside(const struct build *build, const struct link_plan *link, uint8_t family)
{
    enum host_set set = family == ADDR_V4 ? HOST_SET_INSIDE4 : HOST_SET_INSIDE6;
    struct emit emit = host_emit(build, set, link->network->where);
    struct spans spans = {0};

    for (size_t i = 0; i < link->outer_addresses.list_count; i++) {
        struct addr_range range = prefix_range(&link->outer_addresses.list[i]);

        if (range.first.family == family)
            spans_add(build->scratch, &spans, span_of(&range));
    }
    spans_normalise(&spans, family);
    for (size_t i = 0; i < spans.list_count; i++) {
        const struct addr first = span_addr(spans.list[i].first, family);
        const struct addr last = span_addr(spans.list[i].last, family);

        emit_elements(&emit, host_set(set), 0);
        element_addr(build->plan, &first);
        element_addr(build->plan, &last);
        element_end(build->plan);
    }
}

static void emit_network_elements(const struct build *build, const struct link_plan *link)
{
    bool nat = link->network ? link->network->nat : link->link->nat;
    struct position nat_where = link->network ? link->network->nat_where : link->link->nat_where;

    if (!link->network || !link->network->external)
        emit_ifname_element(build, HOST_SET_NETS, link->outer_name, link->link->where);
    if (link->network && !link->network->external) {
        emit_inside(build, link, ADDR_V4);
        emit_inside(build, link, ADDR_V6);
    }
    emit_ifname_element(build, HOST_SET_SAME, link->outer_name, link->link->where);
    if (nat)
        emit_ifname_element(build, HOST_SET_NAT, link->outer_name, nat_where);
    if (link->network && link->network->isolate)
        emit_ifname_element(build, HOST_SET_ISOLATED, link->outer_name, link->network->where);
}

static void emit_guest(const struct build *build, const struct link_plan *link,
                       const struct addr *addr)
{
    enum host_set set = addr->family == ADDR_V4 ? HOST_SET_GUESTS4 : HOST_SET_GUESTS6;
    struct emit emit = host_emit(build, set, link->link->where);

    emit_elements(&emit, host_set(set), 0);
    element_ifname(build->plan, link->outer_name);
    element_addr(build->plan, addr);
    element_end(build->plan);
}

/* A jail on an external bridge, by its addresses. They restrict it, so they do not expire. */
static void emit_guest_elements(const struct build *build, const struct link_plan *link)
{
    struct addr local = mac_link_local(&link->jail_mac);

    for (size_t i = 0; i < link->addresses.list_count; i++)
        emit_guest(build, link, &link->addresses.list[i].addr);
    if (prefixes_have(&link->addresses, ADDR_V6))
        emit_guest(build, link, &local);
}

static void emit_cable_spans(const struct build *build, const struct link_plan *link,
                             const struct spans *spans, uint8_t family)
{
    enum host_set set = family == ADDR_V4 ? HOST_SET_CABLE4 : HOST_SET_CABLE6;
    struct emit emit = host_emit(build, set, link->link->where);

    for (size_t i = 0; i < spans->list_count; i++) {
        const struct addr first = span_addr(spans->list[i].first, family);
        const struct addr last = span_addr(spans->list[i].last, family);

        emit_elements(&emit, host_set(set), HOST_ELEMENT_TIMEOUT_MS);
        element_ifname(build->plan, link->host_name);
        element_addr(build->plan, &first);
        element_ifname(build->plan, link->host_name);
        element_addr(build->plan, &last);
        element_end(build->plan);
    }
}

/* Source addresses that a cable may send from. */
static void emit_cable_elements(const struct build *build, const struct link_plan *link)
{
    static const uint8_t families[] = {ADDR_V4, ADDR_V6};

    for (size_t i = 0; i < 2; i++) {
        struct spans own = link_own_sources(build, link, families[i]);
        struct spans forwarded = link_forwarded_sources(build, link, families[i]);

        emit_cable_spans(build, link, &own, families[i]);
        emit_cable_spans(build, link, &forwarded, families[i]);
    }
}

/* The ports of the host that the rules open to the jail, for one protocol each. */
struct opening {
    bool all;                /* every protocol */
    bool has[256];           /* the whole protocol */
    struct spans ports[256]; /* else: these ports */
    struct position where;
    bool given;
};

/* Does the address set name the host itself: host, gateway, or exactly one address of it? */
static bool set_names_host(const struct build *build, const struct set *set, uint8_t family)
{
    const struct symbol_ranges *host = &build->symbols.host;

    for (size_t i = 0; i < set->items_count; i++) {
        const struct set_item *item = &set->items[i];

        if (item->kind == SET_HOST || item->kind == SET_GATEWAY)
            return true;
        if (item->kind != SET_RANGE || item->range.first.family != family ||
            !addr_equal(&item->range.first, &item->range.last))
            continue;
        for (size_t k = 0; k < host->ranges_count; k++)
            if (addr_equal(&host->ranges[k].first, &item->range.first))
                return true;
    }
    return false;
}

static void opening_add(struct build *build, struct opening *opening, const struct rule *rule)
{
    if (!opening->given)
        opening->where = rule->where;
    opening->given = true;
    if (rule->protocols_count == 0 && !rule->ports.given)
        opening->all = true;
    for (size_t i = 0; i < rule->protocols_count; i++) {
        uint8_t number = rule->protocols[i].number;

        if (!rule->ports.given)
            opening->has[number] = true;
        for (size_t k = 0; rule->ports.given && k < rule->ports.ranges_count; k++)
            spans_add(
                build->scratch, &opening->ports[number],
                (struct span){{0, rule->ports.ranges[k].first}, {0, rule->ports.ranges[k].last}});
    }
}

static void emit_host_element(const struct build *build, const struct opening *opening,
                              const struct link_plan *link, const struct addr sources[2],
                              const uint8_t protocols[2], const uint16_t ports[2])
{
    enum host_set set = sources[0].family == ADDR_V4 ? HOST_SET_HOST4 : HOST_SET_HOST6;
    struct emit emit = host_emit(build, set, opening->where);

    emit_elements(&emit, host_set(set), HOST_ELEMENT_TIMEOUT_MS);
    for (int end = 0; end < 2; end++) {
        element_ifname(build->plan, link->outer_name);
        element_addr(build->plan, &sources[end]);
        element_byte(build->plan, protocols[end]);
        element_port(build->plan, ports[end]);
    }
    element_end(build->plan);
}

static void emit_opening(const struct build *build, const struct opening *opening,
                         const struct link_plan *link, const struct addr sources[2])
{
    static const uint8_t all_protocols[2] = {0, UINT8_MAX};
    static const uint16_t all_ports[2] = {0, UINT16_MAX};

    if (opening->all) {
        emit_host_element(build, opening, link, sources, all_protocols, all_ports);
        return;
    }
    for (unsigned number = 0; number < 256; number++) {
        const uint8_t protocols[2] = {(uint8_t)number, (uint8_t)number};
        const struct spans *spans = &opening->ports[number];

        if (opening->has[number])
            emit_host_element(build, opening, link, sources, protocols, all_ports);
        for (size_t i = 0; !opening->has[number] && i < spans->list_count; i++) {
            const uint16_t ports[2] = {(uint16_t)spans->list[i].first.low,
                                       (uint16_t)spans->list[i].last.low};
            emit_host_element(build, opening, link, sources, protocols, ports);
        }
    }
}

static void emit_openings(const struct build *build, const struct opening *opening,
                          const struct link_plan *link, const struct spans *spans, uint8_t family)
{
    for (size_t i = 0; i < spans->list_count; i++) {
        const struct addr sources[2] = {span_addr(spans->list[i].first, family),
                                        span_addr(spans->list[i].last, family)};
        emit_opening(build, opening, link, sources);
    }
}

/* What rules of this direction open on the host: `out` to the jail's own addresses, `forward` to
 * those behind it. */
static void emit_host_family(struct build *build, enum direction direction, uint8_t family)
{
    struct opening *opening = arena_alloc(build->scratch, sizeof *opening);

    for (size_t i = 0; i < build->policy->rules_count; i++) {
        const struct rule *rule = &build->policy->rules[i];

        if (rule->direction == direction && rule->verdict == VERDICT_ALLOW &&
            set_names_host(build, &rule->to, family))
            opening_add(build, opening, rule);
    }
    if (!opening->given)
        return;
    for (unsigned number = 0; number < 256; number++)
        spans_normalise(&opening->ports[number], ADDR_V4);
    for (size_t i = 0; i < build->links_count; i++) {
        const struct link_plan *link = &build->links[i];
        struct spans sources;

        if (!link->on_host)
            continue;
        sources = direction == DIRECTION_OUT ? link_own_sources(build, link, family)
                                             : link_forwarded_sources(build, link, family);
        emit_openings(build, opening, link, &sources, family);
    }
}

void build_host_elements(struct build *build)
{
    for (size_t i = 0; i < build->links_count; i++) {
        const struct link_plan *link = &build->links[i];

        if (!link->on_host)
            continue;
        if (link_is_first(build, link))
            emit_network_elements(build, link);
        if (!link->network)
            emit_cable_elements(build, link);
        else if (link->network->external)
            emit_guest_elements(build, link);
    }
    emit_host_family(build, DIRECTION_OUT, ADDR_V4);
    emit_host_family(build, DIRECTION_OUT, ADDR_V6);
    emit_host_family(build, DIRECTION_FORWARD, ADDR_V4);
    emit_host_family(build, DIRECTION_FORWARD, ADDR_V6);
}

static void emit_pin(const struct build *build, const struct link_plan *link,
                     const struct addr *addr)
{
    enum host_set set = addr->family == ADDR_V4 ? HOST_SET_PIN4 : HOST_SET_PIN6;
    struct emit emit = host_emit(build, set, link->link->where);

    emit_elements(&emit, host_set(set), HOST_ELEMENT_TIMEOUT_MS);
    element_ifname(build->plan, link->host_name);
    element_bytes(build->plan, link->jail_mac.bytes, sizeof link->jail_mac.bytes);
    element_addr(build->plan, addr);
    element_end(build->plan);
    if (addr->family != ADDR_V6)
        return;
    emit = host_emit(build, HOST_SET_TARGET6, link->link->where);
    emit_elements(&emit, host_set(HOST_SET_TARGET6), HOST_ELEMENT_TIMEOUT_MS);
    element_ifname(build->plan, link->host_name);
    element_addr(build->plan, addr);
    element_end(build->plan);
}

static void emit_router_pins(const struct build *build, const struct link_plan *link,
                             uint8_t family)
{
    enum host_set set = family == ADDR_V4 ? HOST_SET_ROUTER4 : HOST_SET_ROUTER6;
    struct emit emit = host_emit(build, set, build->policy->forward_where);
    struct spans spans = link_forwarded_sources(build, link, family);

    for (size_t i = 0; i < spans.list_count; i++) {
        emit_elements(&emit, host_set(set), HOST_ELEMENT_TIMEOUT_MS);
        for (int end = 0; end < 2; end++) {
            const struct span *span = &spans.list[i];
            const struct addr addr = span_addr(end == 0 ? span->first : span->last, family);

            element_ifname(build->plan, link->host_name);
            element_bytes(build->plan, link->jail_mac.bytes, sizeof link->jail_mac.bytes);
            element_addr(build->plan, &addr);
        }
        element_end(build->plan);
    }
}

void build_pins(struct build *build)
{
    for (size_t i = 0; i < build->links_count; i++) {
        const struct link_plan *link = &build->links[i];
        struct addr local = mac_link_local(&link->jail_mac);

        if (!link->network)
            continue;
        for (size_t k = 0; k < link->addresses.list_count; k++)
            emit_pin(build, link, &link->addresses.list[k].addr);
        if (prefixes_have(&link->addresses, ADDR_V6))
            emit_pin(build, link, &local);
        emit_router_pins(build, link, ADDR_V4);
        emit_router_pins(build, link, ADDR_V6);
    }
}

static bool others_use_tables(const struct facts *facts)
{
    for (size_t i = 0; i < facts->others_count; i++)
        if (facts->others[i]->uses_host_tables)
            return true;
    return false;
}

/* Tables that nobody uses are left-overs, perhaps of another version: they are made anew. */
static void build_host_table(struct build *build, enum nft_family family, bool exists)
{
    const struct link_plan *link = build->links;
    struct position where;

    while (!link->on_host) /* there is one: else there are no tables to make */
        link++;
    where = link->link->where;
    if (exists && others_use_tables(build->facts))
        return;
    if (exists)
        plan_push(build->plan, OP_NFT_TABLE_DELETE, WHERE_HOST, where)->table.family = family;
    host_table_emit(build->plan, where, family);
}

void build_host_tables(struct build *build)
{
    build_host_table(build, NFT_INET, build->facts->has_inet_table);
    build_host_table(build, NFT_BRIDGE, build->facts->has_bridge_table);
}
