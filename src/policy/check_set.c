/* What a set consists of, in one pass over its items. Thousands of rules may name one list of a
 * million addresses: for long lists the answer is kept. Pure. */
#include "policy/check.h"

#define LONG_LIST 64

static void item_facts(const struct set_item *item, struct set_facts *facts)
{
    switch (item->kind) {
    case SET_RANGE:
        facts->families |= item->range.first.family == ADDR_V4 ? FAMILY_BIT_V4 : FAMILY_BIT_V6;
        if (!addr_equal(&item->range.first, &item->range.last))
            facts->broad = true;
        return;
    case SET_BROADCAST:
        facts->families |= FAMILY_BIT_V4;
        return;
    case SET_ANY:
        facts->broad = true;
        break;
    case SET_NAME:
    case SET_SUFFIX:
        if (!facts->name)
            facts->name = item;
        break;
    case SET_JAIL:
        if (!facts->jail)
            facts->jail = item;
        break;
    case SET_GATEWAY:
        if (!facts->gateway)
            facts->gateway = item;
        break;
    default:
        break;
    }
    facts->families |= FAMILY_BITS;
}

static struct set_facts compute(const struct set *set)
{
    struct set_facts facts = {.broad = set->items_count > LONG_LIST};

    for (size_t i = 0; i < set->items_count; i++)
        item_facts(&set->items[i], &facts);
    return facts;
}

struct set_facts set_facts_of(struct set_memo *memo, const struct set *set)
{
    const struct set_item **key;
    size_t number;

    if (!set->given)
        return (struct set_facts){.families = FAMILY_BITS, .broad = true};
    if (set->items_count <= LONG_LIST)
        return compute(set);
    if (map_find(&memo->numbers, &set->items, sizeof(set->items), &number))
        return memo->list[number];
    key = arena_alloc(memo->numbers.arena, sizeof *key);
    *key = set->items;
    map_add(&memo->numbers, key, sizeof *key, memo->list_count);
    *ARENA_PUSH(memo->numbers.arena, memo, list) = compute(set);
    return memo->list[memo->list_count - 1];
}
