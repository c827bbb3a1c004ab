/* SETs of a policy as address ranges, and as sets of the jail's table.
 *
 * A set is made out of its items once: results are cached by the item array, which rules that name
 * the same define share. Pure. What must not happen: a symbolic set that silently covers more than
 * it says; a kind that is not known here covers nothing. */
#include "plan/rules_internal.h"
#include "policy/names.h"

#include <string.h>

struct cached_set {
    const struct set_item *items; /* NULL: free */
    size_t items_count;
    uint8_t family;
    char name[NFT_NAME_SIZE]; /* "": not made yet */
    struct spans spans;
};

/* Open addressing; the capacity is a power of two and at most half full. */
struct rules_cache {
    struct cached_set **slots;
    size_t capacity;
    size_t count;
};

static size_t cache_slot(const struct rules_cache *cache, const struct set *set, uint8_t family)
{
    uint64_t hash = ((uintptr_t)set->items ^ set->items_count) * 0x9e3779b97f4a7c15u + family;
    size_t slot = (size_t)(hash >> 20) & (cache->capacity - 1);

    while (cache->slots[slot] && (cache->slots[slot]->items != set->items ||
                                  cache->slots[slot]->items_count != set->items_count ||
                                  cache->slots[slot]->family != family))
        slot = (slot + 1) & (cache->capacity - 1);
    return slot;
}

static void cache_grow(struct rules_context *context)
{
    struct rules_cache old = *context->cache;

    context->cache->capacity = old.capacity ? old.capacity * 2 : 64;
    context->cache->slots =
        arena_alloc(context->scratch, context->cache->capacity * sizeof(struct cached_set *));
    for (size_t i = 0; i < old.capacity; i++) {
        struct cached_set *entry = old.slots[i];
        struct set set;

        if (!entry)
            continue;
        set = (struct set){.items = NULL, .items_count = entry->items_count};
        memcpy(&set.items, &entry->items, sizeof set.items);
        context->cache->slots[cache_slot(context->cache, &set, entry->family)] = entry;
    }
}

static void spans_add_ranges(struct arena *arena, struct spans *spans,
                             const struct addr_range *ranges, size_t count, uint8_t family)
{
    for (size_t i = 0; i < count; i++)
        if (ranges[i].first.family == family)
            spans_add(arena, spans, span_of(&ranges[i]));
}

static void spans_add_symbol(struct rules_context *context, struct spans *spans,
                             const struct symbol_ranges *symbol, uint8_t family)
{
    spans_add_ranges(context->scratch, spans, symbol->ranges, symbol->ranges_count, family);
}

/* Names whose addresses the policy itself says. */
static void spans_add_records(struct rules_context *context, struct spans *spans,
                              const struct set_item *item, uint8_t family)
{
    const struct dns *dns = &context->policy->dns;

    for (size_t i = 0; i < dns->records_count; i++) {
        struct addr_range range = addr_range_of(&dns->records[i].addr);

        if (name_matches(item, dns->records[i].name, strlen(dns->records[i].name)))
            spans_add_ranges(context->scratch, spans, &range, 1, family);
    }
}

static void spans_add_item(struct rules_context *context, struct spans *spans,
                           const struct set_item *item, uint8_t family)
{
    const struct addr_range *ranges = NULL;
    size_t count = 0;

    switch (item->kind) {
    case SET_ANY:
        spans_add(context->scratch, spans, span_full(family));
        return;
    case SET_RANGE:
        spans_add_ranges(context->scratch, spans, &item->range, 1, family);
        return;
    case SET_GATEWAY:
        spans_add_symbol(context, spans, &context->symbols->gateway, family);
        return;
    case SET_HOST:
        spans_add_symbol(context, spans, &context->symbols->host, family);
        return;
    case SET_BROADCAST:
        spans_add_symbol(context, spans, &context->symbols->broadcast, family);
        break;
    case SET_NAME:
    case SET_SUFFIX:
        spans_add_records(context, spans, item, family);
        return;
    case SET_JAIL:
        return;
    case SET_LINK_LOCAL:
    case SET_PRIVATE:
    case SET_MULTICAST:
    case SET_METADATA:
        break;
    }
    count = set_builtin_ranges(item->kind, &ranges);
    spans_add_ranges(context->scratch, spans, ranges, count, family);
}

static const struct spans *any_spans(uint8_t family)
{
    static struct span full[2];
    static const struct spans any[2] = {{.list = &full[0], .list_count = 1, .is_any = true},
                                        {.list = &full[1], .list_count = 1, .is_any = true}};
    size_t i = family == ADDR_V6;

    full[i] = span_full(family);
    return &any[i];
}

static struct cached_set *cache_find(struct rules_context *context, const struct set *set,
                                     uint8_t family)
{
    struct cached_set *entry;
    size_t slot;

    if (!context->cache)
        context->cache = arena_alloc(context->scratch, sizeof *context->cache);
    if (context->cache->count * 2 >= context->cache->capacity)
        cache_grow(context);
    slot = cache_slot(context->cache, set, family);
    if (context->cache->slots[slot])
        return context->cache->slots[slot];
    entry = arena_alloc(context->scratch, sizeof *entry);
    entry->items = set->items;
    entry->items_count = set->items_count;
    entry->family = family;
    for (size_t i = 0; i < set->items_count; i++)
        spans_add_item(context, &entry->spans, &set->items[i], family);
    spans_normalise(&entry->spans, family);
    context->cache->slots[slot] = entry;
    context->cache->count++;
    return entry;
}

const struct spans *rules_set_spans(struct rules_context *context, const struct set *set,
                                    uint8_t family)
{
    static const struct spans nothing;

    if (!set->given)
        return any_spans(family);
    return set->items_count > 0 ? &cache_find(context, set, family)->spans : &nothing;
}

void rules_emit_addresses(struct rules_context *context, const struct spans *spans, uint8_t family,
                          char name[NFT_NAME_SIZE])
{
    struct plan *plan = context->emit.plan;
    struct set_definition set = {
        .family = NFT_INET, .key = {1, {(uint8_t)field_daddr(family)}}, .is_interval = true};

    rules_set_name(context, "addresses", set.name);
    memcpy(name, set.name, NFT_NAME_SIZE);
    emit_set(&context->emit, &set);
    emit_elements(&context->emit, &set, 0);
    for (size_t i = 0; i < spans->list_count; i++) {
        struct addr first = span_addr(spans->list[i].first, family);
        struct addr last = span_addr(spans->list[i].last, family);

        element_addr(plan, &first);
        element_addr(plan, &last);
        element_end(plan);
    }
}

const char *rules_named_set(struct rules_context *context, const struct set *set, uint8_t family)
{
    struct cached_set *entry = cache_find(context, set, family);

    if (!entry->name[0])
        rules_emit_addresses(context, &entry->spans, family, entry->name);
    return entry->name;
}
