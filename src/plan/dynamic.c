/* The sets of names and of jails: made empty with the rules, filled while the jail runs. Pure. What
 * must not happen: two sets of one name, or one that grows without bound. */
#include "plan/dynamic.h"

#include "plan/rules_internal.h"

#include <stdio.h>

#define LONG_LIST 64 /* thousands of rules may share one of a million items: it is not counted */

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
                                   .has_timeout = kind == DYNAMIC_NAMES};
    dynamic_set_name(kind, number, family, set->name);
}

static uint32_t item_room(const struct set_item *item, enum dynamic_kind kind)
{
    if (item->kind == SET_SUFFIX && kind == DYNAMIC_NAMES)
        return DYNAMIC_SET_MAX;
    if (item->kind == SET_NAME && kind == DYNAMIC_NAMES)
        return DYNAMIC_NAME_MAX;
    return item->kind == SET_JAIL && kind == DYNAMIC_JAILS ? DYNAMIC_JAIL_MAX : 0;
}

/* Adds to the size of the rule's set (0: it has none) what its items may need. */
static void add_room(uint32_t *sizes, uint32_t number, const struct set *set,
                     enum dynamic_kind kind)
{
    uint32_t room = set->items_count > LONG_LIST ? DYNAMIC_SET_MAX : sizes[number];

    if (number == 0)
        return;
    for (size_t i = 0; i < set->items_count && room < DYNAMIC_SET_MAX; i++)
        room += item_room(&set->items[i], kind);
    sizes[number] = room < DYNAMIC_SET_MAX ? room : DYNAMIC_SET_MAX;
}

/* The sizes of the sets of a kind, by number. */
static uint32_t *set_sizes(const struct rules_context *context, enum dynamic_kind kind)
{
    const struct policy *policy = context->policy;
    uint32_t count = kind == DYNAMIC_NAMES ? policy->name_sets_count : policy->jail_sets_count;
    uint32_t *sizes = arena_alloc(context->emit.plan->arena, (count + 1) * sizeof *sizes);

    for (size_t i = 0; count > 0 && i < policy->rules_count; i++) {
        const struct rule *rule = &policy->rules[i];

        add_room(sizes, kind == DYNAMIC_NAMES ? rule->to_names : rule->to_jails, &rule->to, kind);
        if (kind == DYNAMIC_JAILS)
            add_room(sizes, rule->from_jails, &rule->from, kind);
    }
    return sizes;
}

static void emit_kind(const struct rules_context *context, enum dynamic_kind kind, uint32_t count)
{
    const uint32_t *sizes = set_sizes(context, kind);
    struct set_definition set;

    for (uint32_t number = 1; number <= count; number++) {
        define(kind, number, ADDR_V4, &set);
        set.size = sizes[number];
        emit_set(&context->emit, &set);
        define(kind, number, ADDR_V6, &set);
        set.size = sizes[number];
        emit_set(&context->emit, &set);
    }
}

void rules_emit_dynamic_sets(struct rules_context *context)
{
    const struct policy *policy = context->policy;
    struct plan *plan = context->emit.plan;

    emit_kind(context, DYNAMIC_NAMES, policy->name_sets_count);
    emit_kind(context, DYNAMIC_JAILS, policy->jail_sets_count);
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
