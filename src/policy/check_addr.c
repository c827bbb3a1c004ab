/* Addresses against each other, gateways and routes against addresses.
 *
 * All given addresses of the policy are put into one list with what they belong to, and each is
 * held against those before it: bounded, since networks, links and addresses are. Pure. */
#include "policy/check.h"

#include <string.h>

/* An address with its owner. */
struct owned {
    const struct link_address *address;
    const struct link *link;       /* or */
    const struct network *network; /* or neither: lo */
};

struct owned_list {
    struct owned *items;
    size_t items_count;
    size_t items_capacity;
};

static bool network_is_known(const struct policy *policy, const struct link *link)
{
    return link->kind == LINK_BRIDGE && link->network < policy->networks_count;
}

/* The addresses that decide what the link is connected to. */
static const struct link_address *connected(const struct policy *policy, const struct link *link,
                                            size_t *ret_count)
{
    if (network_is_known(policy, link) && link->addresses_count > 0 &&
        link->addresses[0].automatic) {
        *ret_count = policy->networks[link->network].addresses_count;
        return policy->networks[link->network].addresses;
    }
    *ret_count = link->addresses_count;
    return link->addresses;
}

bool link_reaches(const struct policy *policy, const struct link *link, const struct addr *addr)
{
    static const uint8_t link_local[2] = {0xfe, 0x80};
    size_t count;
    const struct link_address *addresses = connected(policy, link, &count);

    if (addr->family == ADDR_V6 && addr->bytes[0] == link_local[0] &&
        (addr->bytes[1] & 0xc0) == link_local[1])
        return true; /* every IPv6 interface reaches fe80::/10 */
    for (size_t i = 0; i < count; i++) {
        if (addresses[i].keep || prefix_contains(&addresses[i].prefix, addr))
            return true; /* `keep`: known when the jail starts */
    }
    return false;
}

bool link_has_family(const struct policy *policy, const struct link *link, uint8_t family)
{
    size_t count;
    const struct link_address *addresses = connected(policy, link, &count);

    for (size_t i = 0; i < count; i++) {
        if (!addresses[i].keep && addresses[i].prefix.addr.family == family)
            return true;
    }
    return false;
}

/* An address that no interface can have. */
static const char *addr_fault(const struct prefix *prefix, bool on_lo)
{
    const struct addr_range range = prefix_range(prefix);
    const struct addr *addr = &prefix->addr;
    static const uint8_t zero[16];
    bool is_v4 = addr->family == ADDR_V4;

    if (memcmp(addr->bytes, zero, sizeof zero) == 0)
        return "the unspecified address is no address of an interface";
    if (is_v4 ? addr->bytes[0] >= 224 : addr->bytes[0] == 0xff)
        return "a multicast or reserved address is no address of an interface";
    if (is_v4 && addr->bytes[0] == 0)
        return "addresses that begin with 0 are no addresses of an interface";
    if (!on_lo && (is_v4 ? addr->bytes[0] == 127
                         : memcmp(addr->bytes, zero, 15) == 0 && addr->bytes[15] == 1))
        return "a loopback address belongs to 'lo'";
    if (is_v4 && prefix->length < 31 && addr_equal(addr, &range.first))
        return "this is the address of the network itself";
    if (is_v4 && prefix->length < 31 && addr_equal(addr, &range.last))
        return "this is the broadcast address of the network";
    return NULL;
}

/* "10.0.0.1/24", in the arena. */
static const char *prefix_text(struct diags *diags, const struct prefix *prefix)
{
    char text[PREFIX_TEXT_SIZE];

    return arena_printf(diags->arena, "%s", prefix_print(prefix, text));
}

static bool check_one(struct diags *diags, const struct owned *owned)
{
    const struct prefix *prefix = &owned->address->prefix;
    const char *fault = addr_fault(prefix, !owned->link && !owned->network);
    struct prefix network = prefix_network(prefix);
    struct diag *diag;

    if (!fault)
        return true;
    diag = diag_error(diags, owned->address->where, "'%s' cannot be an interface's address",
                      prefix_text(diags, prefix));
    diag_hint(diags, diag, "%s", fault);
    if (!owned->link && owned->network && addr_equal(&network.addr, &prefix->addr) &&
        prefix->addr.family == ADDR_V4 && prefix->length > 0) {
        struct addr first;

        if (addr_next(&network.addr, &first)) {
            network.addr = first;
            diag_hint(diags, diag, "%s; the first of a host is %s", fault,
                      prefix_text(diags, &network));
        }
    }
    return false;
}

/* May these two be of one wire? A link and its network or peer, two addresses of one owner. */
static bool on_one_wire(const struct policy *policy, const struct owned *a, const struct owned *b)
{
    if (a->link == b->link && a->network == b->network)
        return true;
    if (a->link && b->network && network_is_known(policy, a->link))
        return &policy->networks[a->link->network] == b->network;
    if (b->link && a->network && network_is_known(policy, b->link))
        return &policy->networks[b->link->network] == a->network;
    return false;
}

/* `later` against an address that stands before it. */
static bool check_pair(const struct policy *policy, struct diags *diags, const struct owned *later,
                       const struct owned *first)
{
    const struct prefix *a = &later->address->prefix;
    const struct prefix *b = &first->address->prefix;
    struct addr_range range_a = prefix_range(a), range_b = prefix_range(b);
    struct diag *diag;

    if (addr_equal(&a->addr, &b->addr)) {
        diag = diag_error(diags, later->address->where, "the address %s is given twice",
                          prefix_text(diags, a));
        diag_other(diags, diag, first->address->where, "it was given here first");
        return true;
    }
    if (!range_overlaps(&range_a, &range_b))
        return false;
    if (on_one_wire(policy, later, first)) {
        if (a->length == b->length || a->length == addr_bits(a->addr.family) ||
            b->length == addr_bits(b->addr.family))
            return false;
        diag = diag_error(diags, later->address->where,
                          "%s and %s are on one network with different prefix lengths",
                          prefix_text(diags, a), prefix_text(diags, b));
    } else {
        diag = diag_error(diags, later->address->where, "%s overlaps with %s",
                          prefix_text(diags, a), prefix_text(diags, b));
        diag_hint(diags, diag, "two networks need different prefixes");
    }
    diag_other(diags, diag, first->address->where, "the other address is here");
    return true;
}

static void own(struct arena *arena, struct owned_list *list, struct owned owned,
                const struct link_address *addresses, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (addresses[i].automatic || addresses[i].keep)
            continue;
        owned.address = &addresses[i];
        *ARENA_PUSH(arena, list, items) = owned;
    }
}

/* An address of a bridge link must be in a prefix of its network, if that has one of the family. */
static void check_inside(const struct policy *policy, struct diags *diags, const struct link *link)
{
    const struct network *network = &policy->networks[link->network];

    for (size_t i = 0; i < link->addresses_count; i++) {
        const struct link_address *address = &link->addresses[i];
        const struct link_address *of_family = NULL;
        bool inside = false;
        struct diag *diag;

        if (address->automatic)
            continue;
        for (size_t j = 0; j < network->addresses_count; j++) {
            const struct prefix *prefix = &network->addresses[j].prefix;

            if (prefix->addr.family != address->prefix.addr.family)
                continue;
            of_family = &network->addresses[j];
            inside = inside || prefix_contains(prefix, &address->prefix.addr);
        }
        if (!of_family || inside)
            continue;
        diag = diag_error(diags, address->where, "'%s' is outside of network '%s'",
                          prefix_text(diags, &address->prefix), network->name);
        diag_other(diags, diag, of_family->where, "the network's address is here");
    }
}

void check_addresses(const struct policy *policy, struct diags *diags)
{
    struct owned_list list = {0};

    for (size_t i = 0; i < policy->networks_count; i++) {
        const struct network *network = &policy->networks[i];

        own(diags->arena, &list, (struct owned){.network = network}, network->addresses,
            network->addresses_count);
    }
    for (size_t i = 0; i < policy->links_count; i++) {
        const struct link *link = &policy->links[i];

        own(diags->arena, &list, (struct owned){.link = link}, link->addresses,
            link->addresses_count);
        own(diags->arena, &list, (struct owned){.link = link}, link->peer_addresses,
            link->peer_addresses_count);
        if (network_is_known(policy, link))
            check_inside(policy, diags, link);
    }
    own(diags->arena, &list, (struct owned){0}, policy->lo_addresses, policy->lo_addresses_count);
    for (size_t i = 0; i < list.items_count; i++) {
        if (!check_one(diags, &list.items[i]))
            continue; /* one complaint about an address is enough */
        for (size_t j = 0; j < i; j++) {
            if (check_pair(policy, diags, &list.items[i], &list.items[j]))
                break;
        }
    }
}
