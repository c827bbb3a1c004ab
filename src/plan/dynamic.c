/* The sets of names and of jails: made empty with the rules, filled while the jail runs. Pure. What
 * must not happen: two sets of one name, or one that grows without bound. */
#include "plan/dynamic.h"

#include "plan/rules_internal.h"

#include <stdio.h>

void dynamic_set_name(enum dynamic_kind kind, uint32_t number, uint8_t family,
                      char name[NFT_NAME_SIZE])
{
    (void)snprintf(name, NFT_NAME_SIZE, "%s%u_%u", kind == DYNAMIC_NAMES ? "names" : "jails",
                   number, family); /* fits */
}

static void define(enum dynamic_kind kind, uint32_t number, uint8_t family,
                   struct set_definition *set)
{
    *set = (struct set_definition){.family = NFT_INET,
                                   .key = {1, {(uint8_t)field_daddr(family)}},
                                   .has_timeout = kind == DYNAMIC_NAMES,
                                   .size = DYNAMIC_SET_MAX};
    dynamic_set_name(kind, number, family, set->name);
}

static void emit_kind(const struct emit *emit, enum dynamic_kind kind, uint32_t count)
{
    struct set_definition set;

    for (uint32_t number = 1; number <= count; number++) {
        define(kind, number, ADDR_V4, &set);
        emit_set(emit, &set);
        define(kind, number, ADDR_V6, &set);
        emit_set(emit, &set);
    }
}

void rules_emit_dynamic_sets(struct rules_context *context)
{
    const struct policy *policy = context->policy;
    struct plan *plan = context->emit.plan;

    emit_kind(&context->emit, DYNAMIC_NAMES, policy->name_sets_count);
    emit_kind(&context->emit, DYNAMIC_JAILS, policy->jail_sets_count);
    plan->name_sets_count = policy->name_sets_count;
    plan->jail_sets_count = policy->jail_sets_count;
}

void dynamic_elements(struct plan *plan, bool add, enum dynamic_kind kind, uint32_t number,
                      uint32_t timeout_ms, const struct addr *addrs, size_t count)
{
    const struct emit emit = {.plan = plan, .where = WHERE_JAIL, .family = NFT_INET};
    struct set_definition set;

    define(kind, number, addrs[0].family, &set);
    emit_elements(&emit, &set, timeout_ms);
    if (!add)
        plan->ops[plan->ops_count - 1].kind = OP_NFT_ELEMENTS_DELETE;
    for (size_t i = 0; i < count; i++) {
        element_addr(plan, &addrs[i]);
        element_end(plan);
    }
}
