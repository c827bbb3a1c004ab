/* The relay's addresses inside a jail, and which policies use it. Pure. */
#include "policy/relay.h"

#include <string.h>

static const struct prefix blocks[] = {
    {{ADDR_V4, {192, 0, 0, 0}}, 29},
    {{ADDR_V6, {0xfd, 'n', 'e', 't', 'j', 'a', 'i', 'l'}}, 64},
};

struct addr relay_addr(enum relay_role role, uint8_t family)
{
    struct addr addr = blocks[family == ADDR_V6].addr;

    addr.bytes[addr_size(addr.family) - 1] = (uint8_t)(role + 1);
    return addr;
}

bool relay_owns(const struct addr *addr)
{
    return prefix_contains(&blocks[0], addr) || prefix_contains(&blocks[1], addr);
}

const struct link *policy_relay_link(const struct policy *policy)
{
    for (size_t i = 0; i < policy->links_count; i++)
        if (policy->links[i].kind == LINK_RELAY)
            return &policy->links[i];
    return NULL;
}

bool policy_relays(const struct policy *policy)
{
    return policy->exposes_count > 0 || policy_relay_link(policy) != NULL;
}

static bool set_names_host(const struct set *set)
{
    for (size_t i = 0; i < set->items_count; i++)
        if (set->items[i].kind == SET_HOST)
            return true;
    return false;
}

bool policy_relays_to_host(const struct policy *policy)
{
    for (size_t i = 0; i < policy->rules_count && policy_relays(policy); i++)
        if (set_names_host(&policy->rules[i].to) || set_names_host(&policy->rules[i].from))
            return true;
    return false;
}
