/* Sorted, disjoint, merged address ranges.
 *
 * Pure. Cost: one sort (none when the list is in order already, as big lists usually are) and one
 * pass. What must not happen: two ranges of a result that touch, since the kernel's interval sets
 * refuse overlaps. */
#include "plan/spans.h"

#include <stdlib.h>

struct span_key span_key_of(const struct addr *addr)
{
    struct span_key key = {0};

    if (addr->family == ADDR_V4) {
        for (size_t i = 0; i < 4; i++)
            key.low = key.low << 8 | addr->bytes[i];
        return key;
    }
    for (size_t i = 0; i < 8; i++) {
        key.high = key.high << 8 | addr->bytes[i];
        key.low = key.low << 8 | addr->bytes[i + 8];
    }
    return key;
}

struct addr span_addr(struct span_key key, uint8_t family)
{
    struct addr addr = {.family = family};

    if (family == ADDR_V4) {
        for (size_t i = 0; i < 4; i++)
            addr.bytes[i] = (uint8_t)(key.low >> (24 - 8 * i));
        return addr;
    }
    for (size_t i = 0; i < 8; i++) {
        addr.bytes[i] = (uint8_t)(key.high >> (56 - 8 * i));
        addr.bytes[i + 8] = (uint8_t)(key.low >> (56 - 8 * i));
    }
    return addr;
}

struct span span_of(const struct addr_range *range)
{
    return (struct span){span_key_of(&range->first), span_key_of(&range->last)};
}

struct span span_full(uint8_t family)
{
    if (family == ADDR_V4)
        return (struct span){{0, 0}, {0, UINT32_MAX}};
    return (struct span){{0, 0}, {UINT64_MAX, UINT64_MAX}};
}

void spans_add(struct arena *arena, struct spans *spans, struct span span)
{
    *ARENA_PUSH(arena, spans, list) = span;
}

static int span_compare(const void *a, const void *b)
{
    const struct span *left = a;
    const struct span *right = b;

    return span_key_compare(left->first, right->first);
}

static bool spans_sorted(const struct spans *spans)
{
    for (size_t i = 1; i < spans->list_count; i++)
        if (span_compare(&spans->list[i - 1], &spans->list[i]) > 0)
            return false;
    return true;
}

/* key + 1; the highest key stays, which is then adjacent to nothing. */
static struct span_key key_next(struct span_key key)
{
    if (key.low != UINT64_MAX)
        return (struct span_key){key.high, key.low + 1};
    return key.high == UINT64_MAX ? key : (struct span_key){key.high + 1, 0};
}

static struct span_key key_previous(struct span_key key)
{
    if (key.low != 0)
        return (struct span_key){key.high, key.low - 1};
    return (struct span_key){key.high - 1, UINT64_MAX};
}

void spans_normalise(struct spans *spans, uint8_t family)
{
    struct span full = span_full(family);
    size_t kept = 0;

    if (spans->list_count > 1 && !spans_sorted(spans))
        qsort(spans->list, spans->list_count, sizeof *spans->list, span_compare);
    for (size_t i = 0; i < spans->list_count; i++) {
        struct span *last = kept > 0 ? &spans->list[kept - 1] : NULL;
        const struct span *span = &spans->list[i];

        if (last && span_key_compare(span->first, key_next(last->last)) <= 0) {
            if (span_key_compare(span->last, last->last) > 0)
                last->last = span->last;
        } else {
            spans->list[kept++] = *span;
        }
    }
    spans->list_count = kept;
    spans->is_any = kept == 1 && span_key_compare(spans->list[0].first, full.first) == 0 &&
                    span_key_compare(spans->list[0].last, full.last) == 0;
}

struct spans spans_complement(struct arena *arena, const struct spans *spans, uint8_t family)
{
    struct span full = span_full(family);
    struct spans result = {0};
    struct span_key next = full.first;

    for (size_t i = 0; i < spans->list_count; i++) {
        const struct span *span = &spans->list[i];

        if (span_key_compare(next, span->first) < 0)
            spans_add(arena, &result, (struct span){next, key_previous(span->first)});
        if (span_key_compare(span->last, full.last) == 0)
            return result;
        next = key_next(span->last);
    }
    spans_add(arena, &result, (struct span){next, full.last});
    return result;
}
