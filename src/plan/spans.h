/* Sets of addresses of one family as sorted, disjoint, merged ranges of 128-bit numbers: the form
 * in which rules are compared and compiled, quick for millions of prefixes. Pure. */
#pragma once

#include "base/addr.h"
#include "base/arena.h"

/* An address as a number; IPv4 in `low`. */
struct span_key {
    uint64_t high;
    uint64_t low;
};

struct span {
    struct span_key first;
    struct span_key last; /* inclusive */
};

struct spans {
    struct span *list;
    size_t list_count, list_capacity;
    bool is_any; /* covers the whole family */
};

static inline int span_key_compare(struct span_key a, struct span_key b)
{
    if (a.high != b.high)
        return a.high < b.high ? -1 : 1;
    return a.low < b.low ? -1 : a.low > b.low;
}

static inline bool span_overlaps(const struct span *a, const struct span *b)
{
    return span_key_compare(a->first, b->last) <= 0 && span_key_compare(b->first, a->last) <= 0;
}

static inline bool span_is_single(const struct span *span)
{
    return span_key_compare(span->first, span->last) == 0;
}

struct span_key span_key_of(const struct addr *addr);
struct addr span_addr(struct span_key key, uint8_t family);
struct span span_of(const struct addr_range *range);
struct span span_full(uint8_t family);

/* Appends a range; spans_normalise() is to follow. */
void spans_add(struct arena *arena, struct spans *spans, struct span span);
/* Sorts, merges what overlaps or is adjacent, and sets is_any. */
void spans_normalise(struct spans *spans, uint8_t family);
/* All that is not in `spans` (normalised). */
struct spans spans_complement(struct arena *arena, const struct spans *spans, uint8_t family);
