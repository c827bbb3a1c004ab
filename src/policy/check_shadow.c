/* Rules that never match because one earlier rule takes all that they would. Pure.
 *
 * Only one rule is held against one rule (that several together cover one is not found), and the
 * work is bounded, so that 10,000 rules take no time: equal rules are found by a hash of what they
 * match; beyond that each rule is compared with those before it as long as the budget lasts, then
 * only with the few that match widely, which are the ones that shadow in practice. It is a warning:
 * what is not found does no harm. */
#include "policy/check.h"

#include "base/buf.h"
#include "base/map.h"

#include <string.h>

#define PAIRS_MAX     20000000
#define SET_PAIRS_MAX 4096
#define WIDE_MAX      64

static bool item_covers(const struct set_item *outer, const struct set_item *inner)
{
    const struct addr_range *ranges;
    size_t count;

    if (outer->kind == SET_ANY)
        return true;
    if (outer->kind == SET_RANGE && inner->kind == SET_RANGE)
        return range_covers(&outer->range, &inner->range);
    if (outer->kind == inner->kind)
        return !outer->name || strcmp(outer->name, inner->name) == 0;
    if (inner->kind == SET_RANGE && outer->kind != SET_BROADCAST) {
        count = set_builtin_ranges(outer->kind, &ranges);
        for (size_t i = 0; i < count; i++) {
            if (range_covers(&ranges[i], &inner->range))
                return true;
        }
    }
    return false;
}

bool set_covers(const struct set *outer, const struct set *inner)
{
    if (!outer->given)
        return true;
    if (!inner->given)
        return outer->items_count > 0 && outer->items[0].kind == SET_ANY;
    if (outer->items == inner->items && outer->items_count == inner->items_count)
        return true;
    if (outer->items_count > SET_PAIRS_MAX || inner->items_count > SET_PAIRS_MAX ||
        outer->items_count * inner->items_count > SET_PAIRS_MAX)
        return false;
    for (size_t i = 0; i < inner->items_count; i++) {
        bool covered = false;

        for (size_t j = 0; j < outer->items_count && !covered; j++)
            covered = item_covers(&outer->items[j], &inner->items[i]);
        if (!covered)
            return false;
    }
    return true;
}

static bool protocols_cover(const struct rule *outer, const struct rule *inner)
{
    if (outer->protocols_count == 0)
        return true;
    if (inner->protocols_count == 0)
        return false;
    for (size_t i = 0; i < inner->protocols_count; i++) {
        const struct protocol *b = &inner->protocols[i];
        bool covered = false;

        for (size_t j = 0; j < outer->protocols_count && !covered; j++) {
            const struct protocol *a = &outer->protocols[j];

            covered = a->number == b->number &&
                      (!a->has_type || (b->has_type && a->icmp_type == b->icmp_type));
        }
        if (!covered)
            return false;
    }
    return true;
}

static bool ports_cover(const struct ports *outer, const struct ports *inner)
{
    size_t j = 0;

    if (!outer->given)
        return true;
    if (!inner->given)
        return false;
    for (size_t i = 0; i < inner->ranges_count; i++) {
        while (j < outer->ranges_count && outer->ranges[j].last < inner->ranges[i].last)
            j++;
        if (j == outer->ranges_count || outer->ranges[j].first > inner->ranges[i].first)
            return false;
    }
    return true;
}

static bool rule_covers(const struct rule *outer, const struct rule *inner)
{
    return outer->direction == inner->direction && !outer->rate.given &&
           protocols_cover(outer, inner) && ports_cover(&outer->ports, &inner->ports) &&
           set_covers(&outer->to, &inner->to) && set_covers(&outer->from, &inner->from);
}

/* A rule that matches wide ranges of traffic: no address on either side. */
static bool rule_is_wide(const struct rule *rule)
{
    return !rule->rate.given && (!rule->to.given || rule->to.items[0].kind == SET_ANY) &&
           (!rule->from.given || rule->from.items[0].kind == SET_ANY);
}

static void key_set(struct buf *key, const struct set *set)
{
    buf_append(key, set->given ? "S" : "-", 1);
    for (size_t i = 0; i < set->items_count && i < SET_PAIRS_MAX; i++) {
        const struct set_item *item = &set->items[i];

        buf_append(key, &item->kind, sizeof item->kind);
        if (item->kind == SET_RANGE)
            buf_append(key, &item->range, sizeof item->range);
        if (item->name)
            buf_append(key, item->name, strlen(item->name) + 1);
    }
}

/* What the rule matches, as bytes: equal rules have equal keys. */
static void rule_key(const struct rule *rule, struct buf *key)
{
    buf_append(key, &rule->direction, sizeof rule->direction);
    for (size_t i = 0; i < rule->protocols_count; i++) {
        const struct protocol *protocol = &rule->protocols[i];
        uint8_t bytes[3] = {protocol->number, protocol->has_type, protocol->icmp_type};

        buf_append(key, bytes, sizeof bytes);
    }
    buf_append(key, "|", 1);
    buf_append(key, rule->ports.ranges, rule->ports.ranges_count * sizeof *rule->ports.ranges);
    key_set(key, &rule->from);
    key_set(key, &rule->to);
}

struct shadow {
    const struct policy *policy;
    struct map equal; /* key of a rule: its number */
    size_t wide[WIDE_MAX];
    size_t wide_count;
    size_t pairs;
};

/* The earlier rule with the same key that takes all, if there is one; notes the rule. */
static const struct rule *find_equal(struct shadow *shadow, size_t number, struct diags *diags)
{
    const struct rule *rule = &shadow->policy->rules[number];
    cleanup_buf struct buf key = {0};
    size_t found;

    if (rule->from.items_count + rule->to.items_count > SET_PAIRS_MAX)
        return NULL;
    rule_key(rule, &key);
    if (map_find(&shadow->equal, key.data, key.length, &found))
        return &shadow->policy->rules[found];
    if (!rule->rate.given)
        map_add(&shadow->equal, arena_strndup(diags->arena, key.data, key.length), key.length,
                number);
    return NULL;
}

/* What comparing two sets may cost, in comparisons of rules. */
static size_t work_of(const struct set *a, const struct set *b)
{
    size_t pairs = a->items_count > SET_PAIRS_MAX || b->items_count > SET_PAIRS_MAX
                       ? 0 /* set_covers() does not look at them */
                       : a->items_count * b->items_count;

    return (pairs > SET_PAIRS_MAX ? 0 : pairs) / 8;
}

static const struct rule *find_shadowing(struct shadow *shadow, size_t number)
{
    const struct rule *rules = shadow->policy->rules;
    const struct rule *rule = &rules[number];

    for (size_t i = 0; i < shadow->wide_count; i++) {
        if (rule_covers(&rules[shadow->wide[i]], rule))
            return &rules[shadow->wide[i]];
    }
    for (size_t i = 0; i < number && shadow->pairs < PAIRS_MAX; i++) {
        shadow->pairs +=
            1 + work_of(&rules[i].to, &rule->to) + work_of(&rules[i].from, &rule->from);
        if (rule_covers(&rules[i], rule))
            return &rules[i];
    }
    return NULL;
}

void check_shadowed(const struct policy *policy, struct diags *diags)
{
    struct shadow shadow = {.policy = policy, .equal = {.arena = diags->arena}};

    for (size_t i = 0; i < policy->rules_count; i++) {
        const struct rule *rule = &policy->rules[i];
        const struct rule *earlier = find_equal(&shadow, i, diags);
        struct diag *diag;

        if (!earlier)
            earlier = find_shadowing(&shadow, i);
        if (earlier) {
            diag = diag_warning(diags, rule->where, "this rule never matches");
            diag_hint(diags, diag, "the first rule that matches decides");
            diag_other(diags, diag, earlier->where, "this one takes all that it would%s",
                       earlier->verdict == rule->verdict ? "" : ", with another verdict");
        }
        if (!earlier && rule_is_wide(rule) && shadow.wide_count < WIDE_MAX)
            shadow.wide[shadow.wide_count++] = i;
    }
}
