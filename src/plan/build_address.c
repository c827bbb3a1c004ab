/* Addresses and gateways of a link: given ones are checked, missing ones chosen.
 *
 * Pure; the snapshot in facts was taken under the pool's lock, which is held until the record is
 * written, so that two starts cannot choose the same. What must not happen: one address at two
 * places. */
#include "plan/build_internal.h"

#include "policy/relay.h"

#include "plan/pool.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Whom an address belongs to already. */
struct holder {
    const struct record *record; /* another jail */
    const char *ifname;          /* else: an interface of the host, or of this jail */
    bool own;
};

static bool find_in_records(const struct build *build, const struct link_plan *link,
                            const struct addr *addr, struct holder *holder)
{
    const char *network = link->network ? link->network->name : "";

    for (size_t i = 0; i < build->facts->others_count; i++) {
        const struct record *other = build->facts->others[i];

        for (size_t k = 0; k < other->addresses_count; k++) {
            const struct record_address *theirs = &other->addresses[k];

            if (strcmp(theirs->ifname, "lo") != 0 && strcmp(theirs->network, network) == 0 &&
                addr_equal(&theirs->prefix.addr, addr)) {
                holder->record = other;
                return true;
            }
        }
    }
    return false;
}

/* What a device has on the host it may have in the jail. */
static bool is_own_device(const struct link_plan *link, const char *ifname)
{
    return link->link->kind == LINK_DEVICE && strcmp(link->link->target, ifname) == 0;
}

static bool find_in_host(const struct build *build, const struct link_plan *link,
                         const struct addr *addr, struct holder *holder)
{
    for (size_t i = 0; i < build->facts->addresses_count; i++)
        if (addr_equal(&build->facts->addresses[i].prefix.addr, addr) &&
            !is_own_device(link, build->facts->addresses[i].ifname)) {
            holder->ifname = build->facts->addresses[i].ifname;
            return true;
        }
    return false;
}

static bool prefixes_have_addr(const struct prefixes *prefixes, const struct addr *addr)
{
    for (size_t i = 0; i < prefixes->list_count; i++)
        if (addr_equal(&prefixes->list[i].addr, addr))
            return true;
    return false;
}

/* Links that come after `link` have no addresses yet. */
static bool find_in_links(const struct build *build, const struct link_plan *link,
                          const struct addr *addr, struct holder *holder)
{
    for (size_t i = 0; i < build->links_count; i++) {
        const struct link_plan *other = &build->links[i];

        if (prefixes_have_addr(&other->outer_addresses, addr)) {
            holder->ifname = other->outer_name[0] ? other->outer_name : "host";
            return true;
        }
        if (other != link && prefixes_have_addr(&other->addresses, addr)) {
            holder->ifname = other->link->ifname;
            holder->own = true;
            return true;
        }
    }
    return false;
}

static void check_free(struct build *build, const struct link_plan *link, const struct addr *addr,
                       struct position where)
{
    struct holder holder = {0};
    char text[ADDR_TEXT_SIZE];

    (void)addr_print(addr, text); /* returns text */
    if (find_in_links(build, link, addr, &holder) ||
        (!link->is_peer && find_in_host(build, link, addr, &holder)))
        (void)build_error(build, NULL, where, "%s is the address of %s'%s' already", text,
                          holder.own ? "this jail's " : "the host's ", holder.ifname);
    else if (!link->is_peer && find_in_records(build, link, addr, &holder))
        (void)build_error(build, holder.record, where, "%s is the address of jail '%s' already",
                          text, holder.record->name);
}

/* On a network: inside one of its prefixes, when it has any (an external one may be unknown). */
static bool fits_network(const struct link_plan *link, const struct prefix *prefix)
{
    bool known = false;

    if (!link->network)
        return true;
    for (size_t i = 0; i < link->outer_addresses.list_count; i++) {
        const struct prefix *outer = &link->outer_addresses.list[i];

        known = true;
        if (outer->addr.family == prefix->addr.family && prefix_contains(outer, &prefix->addr))
            return true;
    }
    return !known;
}

static void add_given(struct build *build, struct link_plan *link,
                      const struct link_address *address)
{
    char text[PREFIX_TEXT_SIZE];

    if (!fits_network(link, &address->prefix)) {
        (void)build_error(build, NULL, address->where,
                          "%s is in none of the prefixes of network '%s'",
                          prefix_print(&address->prefix, text), link->network->name);
        return;
    }
    check_free(build, link, &address->prefix.addr, address->where);
    *ARENA_PUSH(build->scratch, &link->addresses, list) = address->prefix;
}

static int compare_addrs(const void *a, const void *b)
{
    return addr_compare(a, b);
}

/* Every address that anybody is known to have, sorted. */
static void collect_used(const struct build *build, struct addrs *used)
{
    const struct facts *facts = build->facts;

    for (size_t i = 0; i < facts->others_count; i++)
        for (size_t k = 0; k < facts->others[i]->addresses_count; k++)
            *ARENA_PUSH(build->scratch, used, list) = facts->others[i]->addresses[k].prefix.addr;
    for (size_t i = 0; i < facts->addresses_count; i++)
        *ARENA_PUSH(build->scratch, used, list) = facts->addresses[i].prefix.addr;
    for (size_t i = 0; i < build->links_count; i++) {
        const struct link_plan *link = &build->links[i];

        for (size_t k = 0; k < link->addresses.list_count; k++)
            *ARENA_PUSH(build->scratch, used, list) = link->addresses.list[k].addr;
        for (size_t k = 0; k < link->outer_addresses.list_count; k++)
            *ARENA_PUSH(build->scratch, used, list) = link->outer_addresses.list[k].addr;
        for (size_t k = 0; k < link->link->gateways_count; k++)
            *ARENA_PUSH(build->scratch, used, list) = link->link->gateways[k];
        for (size_t k = 0; k < link->link->addresses_count; k++)
            if (!link->link->addresses[k].automatic)
                *ARENA_PUSH(build->scratch, used, list) = link->link->addresses[k].prefix.addr;
    }
    if (used->list_count > 0)
        qsort(used->list, used->list_count, sizeof *used->list, compare_addrs);
}

/* A jail that is ending and has an address in this prefix: it will make room. */
static const struct record *find_ending(const struct build *build, const struct prefix *prefix)
{
    for (size_t i = 0; i < build->facts->others_count; i++) {
        const struct record *other = build->facts->others[i];

        for (size_t k = 0; other->state == RECORD_ENDING && k < other->addresses_count; k++)
            if (prefix_contains(prefix, &other->addresses[k].prefix.addr))
                return other;
    }
    return NULL;
}

static void add_automatic(struct build *build, struct link_plan *link, uint8_t family,
                          struct position where)
{
    const struct prefix *outer = NULL;
    struct addrs used = {0};
    struct prefix chosen;
    char text[PREFIX_TEXT_SIZE];
    char name[JAIL_NAME_MAX + 1 + IFNAME_SIZE + 1];

    for (size_t i = 0; i < link->outer_addresses.list_count && !outer; i++)
        if (link->outer_addresses.list[i].addr.family == family)
            outer = &link->outer_addresses.list[i];
    if (!outer || prefixes_have(&link->addresses, family))
        return;
    collect_used(build, &used);
    chosen = *outer;
    (void)snprintf(name, sizeof name, "%s %s", build->name, link->link->ifname); /* fits */
    if (pool_choose_address(outer, used.list, used.list_count, name, &chosen.addr) < 0) {
        (void)build_error(build, find_ending(build, outer), where,
                          "no address is free in %s of network '%s'", prefix_print(outer, text),
                          link->network->name);
        return;
    }
    *ARENA_PUSH(build->scratch, &link->addresses, list) = chosen;
}

void build_choose_addresses(struct build *build, struct link_plan *link)
{
    bool automatic = link->link->addresses_count == 0 && link->network;
    struct position where = link->link->where;

    for (size_t i = 0; i < link->link->addresses_count; i++) {
        const struct link_address *address = &link->link->addresses[i];

        if (address->keep) {
            build_keep_addresses(build, link);
        } else if (address->automatic) {
            automatic = true;
            where = address->where;
            if (link->outer_addresses.list_count == 0 || !link->network)
                (void)build_error(build, NULL, where,
                                  "there is no network with an address to choose one from");
        } else {
            add_given(build, link, address);
        }
    }
    if (link->link->addresses_count == 0 && link->link->kind == LINK_DEVICE)
        build_keep_addresses(build, link);
    if (automatic && link->network) {
        add_automatic(build, link, ADDR_V4, where);
        add_automatic(build, link, ADDR_V6, where);
    }
}

static bool on_link(const struct link_plan *link, const struct addr *addr)
{
    for (size_t i = 0; i < link->addresses.list_count; i++)
        if (link->addresses.list[i].addr.family == addr->family &&
            prefix_contains(&link->addresses.list[i], addr))
            return true;
    return false;
}

/* The default: the first own address of the network (or peer) of each family that the jail has. */
static void add_default_gateway(struct build *build, struct link_plan *link, uint8_t family)
{
    if (!prefixes_have(&link->addresses, family))
        return;
    for (size_t i = 0; i < link->outer_addresses.list_count; i++) {
        const struct addr *addr = &link->outer_addresses.list[i].addr;

        if (addr->family != family || (link->network && !on_link(link, addr)))
            continue;
        *ARENA_PUSH(build->scratch, &link->gateways, list) = *addr;
        return;
    }
}

void build_choose_gateways(struct build *build, struct link_plan *link)
{
    char text[ADDR_TEXT_SIZE];

    /* The relay is the way to everything that no link leads to. */
    if (link->link->gateway == GATEWAY_DEFAULT && link->on_host &&
        !policy_relay_link(build->policy)) {
        add_default_gateway(build, link, ADDR_V4);
        add_default_gateway(build, link, ADDR_V6);
    }
    for (size_t i = 0; link->link->gateway == GATEWAY_GIVEN && i < link->link->gateways_count;
         i++) {
        const struct addr *addr = &link->link->gateways[i];

        if (!on_link(link, addr) && link->network)
            (void)build_error(build, NULL, link->link->where,
                              "the gateway %s is not in a prefix of '%s'", addr_print(addr, text),
                              link->link->ifname);
        *ARENA_PUSH(build->scratch, &link->gateways, list) = *addr;
    }
}
