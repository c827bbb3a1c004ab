/* A group of rules whose order does not matter, as sets.
 *
 * Boxes are sorted into buckets of one verdict and one shape: which of source, destination,
 * protocol and port they look at. A bucket of one box is a rule; of one dimension: a set of merged
 * ranges; of several: a concatenation. Sets of exact values and of ranges are kept apart, since the
 * kernel hashes the former. Boxes of one concatenation must be disjoint (the kernel answers
 * EEXIST): what overlaps goes into a further set. Pure. What must not happen: a match on th dport
 * in a shape without ports (it would not match a packet without a transport header, and a refusal
 * would be passed by). */
#include "plan/rules_internal.h"

#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#define SHAPE_FROM 1u
#define SHAPE_TO   2u

static unsigned box_shape(const struct box *box)
{
    return (box->any_from ? 0 : SHAPE_FROM) | (box->any_to ? 0 : SHAPE_TO);
}

static unsigned box_dimensions(const struct box *box)
{
    static const unsigned of_kind[] = {
        [MATCH_KIND_ANY] = 0, [MATCH_KIND_PLAIN] = 1, [MATCH_KIND_PORT] = 2, [MATCH_KIND_TYPE] = 1};

    return (box->any_from ? 0 : 1u) + (box->any_to ? 0 : 1u) + of_kind[box->proto.kind];
}

static bool box_is_ranged(const struct box *box)
{
    return (!box->any_from && !span_is_single(&box->from)) ||
           (!box->any_to && !span_is_single(&box->to)) ||
           (box->proto.kind == MATCH_KIND_PORT && box->proto.x_first != box->proto.x_last);
}

/* The bucket that a box belongs to, as a number. */
static uint32_t box_bucket(const struct box *box)
{
    uint32_t number = box->proto.kind == MATCH_KIND_TYPE ? box->proto.first : 0;
    uint32_t ranged = box_dimensions(box) > 1 && box_is_ranged(box);

    return (uint32_t)box->verdict << 24 | (uint32_t)box->proto.family << 20 |
           (uint32_t)box_shape(box) << 18 | (uint32_t)box->proto.kind << 16 | number << 8 | ranged;
}

static int span_order(const struct span *a, const struct span *b)
{
    int order = span_key_compare(a->first, b->first);

    return order ? order : span_key_compare(a->last, b->last);
}

/* By bucket, then by place: boxes that could overlap become neighbours. */
static int box_compare(const void *left, const void *right)
{
    const struct box *a = left;
    const struct box *b = right;
    uint32_t bucket_a = box_bucket(a);
    uint32_t bucket_b = box_bucket(b);
    int order;

    if (bucket_a != bucket_b)
        return bucket_a < bucket_b ? -1 : 1;
    order = a->any_to ? 0 : span_order(&a->to, &b->to);
    if (order == 0 && !a->any_from)
        order = span_order(&a->from, &b->from);
    if (order == 0)
        order = a->proto.first - b->proto.first;
    if (order == 0)
        order = a->proto.x_first - b->proto.x_first;
    return order ? order : a->proto.x_last - b->proto.x_last;
}

/* One bucket: boxes of one shape and verdict. */
struct bucket {
    const struct box *boxes;
    size_t count;
    const struct rule *first; /* in the order of the text */
    const struct rule *last;
};

static void bucket_key(const struct box *box, struct nft_key *key)
{
    uint8_t family = box->proto.family;

    *key = (struct nft_key){0};
    if (!box->any_from)
        key->fields[key->count++] = (uint8_t)field_saddr(family);
    if (!box->any_to)
        key->fields[key->count++] = (uint8_t)field_daddr(family);
    if (box->proto.kind == MATCH_KIND_PLAIN || box->proto.kind == MATCH_KIND_PORT)
        key->fields[key->count++] = FIELD_L4PROTO;
    if (box->proto.kind == MATCH_KIND_PORT)
        key->fields[key->count++] = FIELD_TH_DPORT;
    if (box->proto.kind == MATCH_KIND_TYPE)
        key->fields[key->count++] =
            box->proto.first == IPPROTO_ICMP ? FIELD_ICMP_TYPE : FIELD_ICMPV6_TYPE;
}

/* One end of a box as a packed key. */
static void element_corner(struct plan *plan, const struct box *box, bool last)
{
    if (!box->any_from) {
        struct addr addr = span_addr(last ? box->from.last : box->from.first, box->proto.family);
        element_addr(plan, &addr);
    }
    if (!box->any_to) {
        struct addr addr = span_addr(last ? box->to.last : box->to.first, box->proto.family);
        element_addr(plan, &addr);
    }
    if (box->proto.kind == MATCH_KIND_PLAIN || box->proto.kind == MATCH_KIND_PORT)
        element_byte(plan, box->proto.first);
    if (box->proto.kind == MATCH_KIND_PORT)
        element_port(plan, last ? box->proto.x_last : box->proto.x_first);
    if (box->proto.kind == MATCH_KIND_TYPE)
        element_byte(plan, (uint8_t)box->proto.x_first);
}

static void bucket_emit_rule(struct rules_context *context, const struct bucket *bucket,
                             enum direction direction, const char *chain, const char *set)
{
    const struct box *box = &bucket->boxes[0];
    struct plan *plan = context->emit.plan;
    struct nft_key key;

    emit_rule(&context->emit, chain);
    if (box->proto.family != ADDR_NONE)
        term_match_family(plan, box->proto.family);
    if (set) {
        bucket_key(box, &key);
        if (box->proto.kind == MATCH_KIND_TYPE)
            term_match_byte(plan, FIELD_L4PROTO, box->proto.first);
        term_lookup(plan, &key, set, false);
    } else {
        if (!box->any_from)
            term_match_span(plan, field_saddr(box->proto.family), &box->from, box->proto.family);
        if (!box->any_to)
            term_match_span(plan, field_daddr(box->proto.family), &box->to, box->proto.family);
        term_match_proto(plan, &box->proto);
    }
    rule_emit_end(context, (enum verdict)box->verdict, direction, bucket->first, bucket->last,
                  false);
}

/* Begins the set of a bucket and its elements op; the name stays valid in `set`. */
static void bucket_begin_set(struct rules_context *context, const struct box *box, bool is_interval,
                             const char *stem, struct set_definition *set)
{
    *set = (struct set_definition){
        .family = NFT_INET, .is_interval = is_interval, .has_counter = true};
    bucket_key(box, &set->key);
    rules_set_name(context, stem, set->name);
    emit_set(&context->emit, set);
    emit_elements(&context->emit, set, 0);
}

/* One address dimension: all ranges merged. */
static void bucket_emit_addresses(struct rules_context *context, const struct bucket *bucket,
                                  enum direction direction, const char *chain)
{
    uint8_t family = bucket->boxes[0].proto.family;
    bool is_from = !bucket->boxes[0].any_from;
    struct plan *plan = context->emit.plan;
    struct set_definition set;
    struct spans spans = {0};
    bool is_interval = false;

    for (size_t i = 0; i < bucket->count; i++)
        spans_add(context->scratch, &spans, is_from ? bucket->boxes[i].from : bucket->boxes[i].to);
    spans_normalise(&spans, family);
    for (size_t i = 0; i < spans.list_count; i++)
        is_interval |= !span_is_single(&spans.list[i]);
    bucket_begin_set(context, &bucket->boxes[0], is_interval, direction_name(direction), &set);
    for (size_t i = 0; i < spans.list_count; i++) {
        struct addr first = span_addr(spans.list[i].first, family);
        struct addr last = span_addr(spans.list[i].last, family);

        element_addr(plan, &first);
        if (is_interval)
            element_addr(plan, &last);
        element_end(plan);
    }
    bucket_emit_rule(context, bucket, direction, chain, set.name);
}

static bool box_equal(const struct box *a, const struct box *b)
{
    return box_compare(a, b) == 0;
}

/* Exact values: one hash set; equal ones are neighbours. */
static void bucket_emit_exact(struct rules_context *context, const struct bucket *bucket,
                              enum direction direction, const char *chain)
{
    struct plan *plan = context->emit.plan;
    struct set_definition set;

    bucket_begin_set(context, &bucket->boxes[0], false, direction_name(direction), &set);
    for (size_t i = 0; i < bucket->count; i++) {
        if (i > 0 && box_equal(&bucket->boxes[i - 1], &bucket->boxes[i]))
            continue;
        element_corner(plan, &bucket->boxes[i], false);
        element_end(plan);
    }
    bucket_emit_rule(context, bucket, direction, chain, set.name);
}

static bool boxes_overlap(const struct box *a, const struct box *b)
{
    return a->proto.first == b->proto.first && a->proto.x_first <= b->proto.x_last &&
           b->proto.x_first <= a->proto.x_last && (a->any_to || span_overlaps(&a->to, &b->to)) &&
           (a->any_from || span_overlaps(&a->from, &b->from));
}

/* The dimension that the boxes are sorted by: has `box` been left behind when `next` comes? */
static bool box_is_behind(const struct box *box, const struct box *next)
{
    if (!box->any_to)
        return span_key_compare(box->to.last, next->to.first) < 0;
    if (!box->any_from)
        return span_key_compare(box->from.last, next->from.first) < 0;
    return box->proto.first != next->proto.first || box->proto.x_last < next->proto.x_first;
}

/* One set of the boxes of this round that are disjoint; those that overlap one of them wait for the
 * next round (`pending` is rewritten). Returns how many wait. */
static size_t emit_layer(struct rules_context *context, const struct bucket *bucket,
                         const struct box **pending, size_t pending_count,
                         const struct box **active, enum direction direction, const char *chain)
{
    struct set_definition set;
    size_t active_count = 0;
    size_t waiting = 0;

    bucket_begin_set(context, &bucket->boxes[0], true, direction_name(direction), &set);
    for (size_t i = 0; i < pending_count; i++) {
        const struct box *box = pending[i];
        bool overlaps = false;
        size_t kept = 0;

        for (size_t k = 0; k < active_count; k++) {
            if (box_is_behind(active[k], box))
                continue;
            overlaps |= boxes_overlap(active[k], box);
            active[kept++] = active[k];
        }
        active_count = kept;
        if (overlaps) {
            pending[waiting++] = box;
            continue;
        }
        active[active_count++] = box;
        element_corner(context->emit.plan, box, false);
        element_corner(context->emit.plan, box, true);
        element_end(context->emit.plan);
    }
    bucket_emit_rule(context, bucket, direction, chain, set.name);
    return waiting;
}

/* Each round takes at least the first box, so this ends. Equal boxes are taken once. */
static void bucket_emit_ranges(struct rules_context *context, const struct bucket *bucket,
                               enum direction direction, const char *chain)
{
    const struct box **pending =
        arena_alloc(context->scratch, bucket->count * sizeof(struct box *));
    const struct box **active = arena_alloc(context->scratch, bucket->count * sizeof(struct box *));
    size_t count = 0;

    for (size_t i = 0; i < bucket->count; i++)
        if (i == 0 || !box_equal(&bucket->boxes[i - 1], &bucket->boxes[i]))
            pending[count++] = &bucket->boxes[i];
    while (count > 0)
        count = emit_layer(context, bucket, pending, count, active, direction, chain);
}

static void bucket_emit(struct rules_context *context, const struct bucket *bucket,
                        enum direction direction, const char *chain)
{
    const struct box *box = &bucket->boxes[0];
    unsigned dimensions = box_dimensions(box);

    context->emit.position = bucket->first->where;
    if (bucket->count == 1 || dimensions == 0)
        bucket_emit_rule(context, bucket, direction, chain, NULL);
    else if (dimensions == 1 && box_shape(box) != 0)
        bucket_emit_addresses(context, bucket, direction, chain);
    else if (box_bucket(box) & 1u)
        bucket_emit_ranges(context, bucket, direction, chain);
    else
        bucket_emit_exact(context, bucket, direction, chain);
}

void group_emit(struct rules_context *context, struct boxes *boxes, enum direction direction,
                const char *chain)
{
    const struct policy *policy = context->policy;

    qsort(boxes->list, boxes->list_count, sizeof *boxes->list, box_compare);
    for (size_t i = 0, end; i < boxes->list_count; i = end) {
        struct bucket bucket = {.boxes = &boxes->list[i]};
        uint32_t lowest = boxes->list[i].rule;
        uint32_t highest = lowest;

        for (end = i; end < boxes->list_count &&
                      box_bucket(&boxes->list[end]) == box_bucket(&boxes->list[i]);
             end++) {
            lowest = boxes->list[end].rule < lowest ? boxes->list[end].rule : lowest;
            highest = boxes->list[end].rule > highest ? boxes->list[end].rule : highest;
        }
        bucket.count = end - i;
        bucket.first = &policy->rules[lowest];
        bucket.last = &policy->rules[highest];
        bucket_emit(context, &bucket, direction, chain);
    }
}
