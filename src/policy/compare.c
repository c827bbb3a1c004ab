/* Comparing two policies by cutting the space of all flows into regions.
 *
 * A region is a box: direction, family, two places, protocols, ports or types. Rules are asked in
 * their order: one that covers the region decides it, one that misses it is passed over, and one
 * that overlaps it in part cuts the region at its own borders, and each piece is asked again. So
 * only as much is cut as the rules make differences. Names and other symbols are places of their
 * own: a rule covers one when it names it (or a suffix of it, or any address). Pure. */
#include "policy/compare.h"

#include "policy/names.h"

#include <netinet/in.h>
#include <string.h>

#define CUTS_MAX 200000

struct walk {
    const struct policy *a;
    const struct policy *b;
    struct arena *arena;
    struct comparison *comparison;
    size_t cuts;
};

enum relation { RELATION_MISS, RELATION_COVER, RELATION_CUT };

/* How a rule cuts a region: the part of one dimension that it covers. */
enum dimension { CUT_FROM, CUT_TO, CUT_PROTOCOL, CUT_DETAIL };
struct cut {
    enum dimension dimension;
    struct addr_range range;
    uint16_t first;
    uint16_t last;
};

static bool has_ports(const struct region *region)
{
    uint16_t protocol = region->protocol_first;

    return protocol == region->protocol_last &&
           (protocol == IPPROTO_TCP || protocol == IPPROTO_UDP || protocol == IPPROTO_SCTP);
}

static bool has_types(const struct region *region)
{
    uint16_t protocol = region->protocol_first;

    return protocol == region->protocol_last &&
           (protocol == IPPROTO_ICMP || protocol == IPPROTO_ICMPV6);
}

/* ---- one dimension at a time ---- */

static enum relation numbers_relate(uint16_t first, uint16_t last, uint16_t from, uint16_t to)
{
    if (last < from || to < first)
        return RELATION_MISS;
    return from <= first && last <= to ? RELATION_COVER : RELATION_CUT;
}

static bool symbol_is_in(const struct set_item *symbol, const struct set_item *item)
{
    if (item->kind == SET_ANY)
        return true;
    if (item->kind == SET_SUFFIX && symbol->kind == SET_NAME)
        return name_matches(item, symbol->name, strlen(symbol->name));
    if (item->kind == SET_SUFFIX && symbol->kind == SET_SUFFIX)
        return strcmp(item->name, symbol->name) == 0 ||
               name_matches(item, symbol->name, strlen(symbol->name));
    return item->kind == symbol->kind && (!item->name || strcmp(item->name, symbol->name) == 0);
}

static enum relation range_relate(const struct addr_range *place, const struct addr_range *range,
                                  struct cut *cut)
{
    if (place->first.family != range->first.family || !range_overlaps(place, range))
        return RELATION_MISS;
    if (range_covers(range, place))
        return RELATION_COVER;
    cut->range = *range;
    return RELATION_CUT;
}

static enum relation item_relate(const struct place *place, const struct set_item *item,
                                 struct cut *cut)
{
    enum relation found = RELATION_MISS;
    const struct addr_range *ranges;
    size_t count;

    if (place->symbol)
        return symbol_is_in(place->symbol, item) ? RELATION_COVER : RELATION_MISS;
    if (item->kind == SET_ANY)
        return RELATION_COVER;
    if (item->kind == SET_RANGE)
        return range_relate(&place->range, &item->range, cut);
    count = set_builtin_ranges(item->kind, &ranges);
    for (size_t i = 0; i < count && found != RELATION_COVER; i++) {
        enum relation one = range_relate(&place->range, &ranges[i], cut);

        found = one == RELATION_MISS ? found : one;
    }
    return found;
}

static enum relation set_relate(const struct place *place, const struct set *set, struct cut *cut)
{
    enum relation found = RELATION_MISS;

    if (!set->given)
        return RELATION_COVER;
    for (size_t i = 0; i < set->items_count && found != RELATION_COVER; i++) {
        enum relation one = item_relate(place, &set->items[i], cut);

        found = one == RELATION_MISS ? found : one;
    }
    return found;
}

static enum relation protocol_relate(const struct region *region, const struct rule *rule,
                                     struct cut *cut)
{
    enum relation found = RELATION_MISS;

    if (rule->protocols_count == 0)
        return RELATION_COVER;
    for (size_t i = 0; i < rule->protocols_count; i++) {
        uint8_t number = rule->protocols[i].number;
        enum relation one =
            numbers_relate(region->protocol_first, region->protocol_last, number, number);

        if ((number == IPPROTO_ICMP && region->family != ADDR_V4) ||
            (number == IPPROTO_ICMPV6 && region->family != ADDR_V6))
            continue;
        if (one == RELATION_CUT)
            cut->first = cut->last = number;
        if (one == RELATION_COVER)
            return RELATION_COVER;
        found = one == RELATION_MISS ? found : one;
    }
    return found;
}

static enum relation port_relate(const struct region *region, const struct rule *rule,
                                 struct cut *cut)
{
    enum relation found = RELATION_MISS;

    if (!rule->ports.given)
        return RELATION_COVER;
    for (size_t i = 0; i < rule->ports.ranges_count && found != RELATION_COVER; i++) {
        const struct port_range *range = &rule->ports.ranges[i];
        enum relation one =
            numbers_relate(region->detail_first, region->detail_last, range->first, range->last);

        if (one == RELATION_CUT) {
            cut->first = range->first;
            cut->last = range->last;
        }
        found = one == RELATION_MISS ? found : one;
    }
    return found;
}

static enum relation type_relate(const struct region *region, const struct rule *rule,
                                 struct cut *cut)
{
    enum relation found = RELATION_MISS;

    if (rule->protocols_count == 0)
        return RELATION_COVER;
    for (size_t i = 0; i < rule->protocols_count && found != RELATION_COVER; i++) {
        const struct protocol *protocol = &rule->protocols[i];
        enum relation one;

        if (protocol->number != region->protocol_first)
            continue;
        if (!protocol->has_type)
            return RELATION_COVER;
        one = numbers_relate(region->detail_first, region->detail_last, protocol->icmp_type,
                             protocol->icmp_type);
        if (one == RELATION_CUT)
            cut->first = cut->last = protocol->icmp_type;
        found = one == RELATION_MISS ? found : one;
    }
    return found;
}

static enum relation detail_relate(const struct region *region, const struct rule *rule,
                                   struct cut *cut)
{
    if (has_ports(region))
        return port_relate(region, rule, cut);
    return has_types(region) ? type_relate(region, rule, cut) : RELATION_COVER;
}

/* A cut counts only when no dimension is missed altogether. */
static enum relation rule_relate(const struct region *region, const struct rule *rule,
                                 struct cut *ret_cut)
{
    struct cut cuts[] = {{.dimension = CUT_PROTOCOL},
                         {.dimension = CUT_TO},
                         {.dimension = CUT_FROM},
                         {.dimension = CUT_DETAIL}};
    enum relation relations[4];
    enum relation found = RELATION_COVER;

    if (rule->direction != region->direction)
        return RELATION_MISS;
    relations[0] = protocol_relate(region, rule, &cuts[0]);
    relations[1] = set_relate(&region->to, &rule->to, &cuts[1]);
    relations[2] = set_relate(&region->from, &rule->from, &cuts[2]);
    relations[3] = detail_relate(region, rule, &cuts[3]);
    for (size_t i = 0; i < 4; i++) {
        if (relations[i] == RELATION_MISS)
            return RELATION_MISS;
        if (relations[i] == RELATION_CUT && found == RELATION_COVER) {
            found = RELATION_CUT;
            *ret_cut = cuts[i];
        }
    }
    return found;
}

/* ---- cutting ---- */

static void split(struct walk *walk, struct region *region);

static void split_numbers(struct walk *walk, const struct region *region, const struct cut *cut)
{
    bool is_protocol = cut->dimension == CUT_PROTOCOL;
    uint16_t first = is_protocol ? region->protocol_first : region->detail_first;
    uint16_t last = is_protocol ? region->protocol_last : region->detail_last;
    uint16_t from = cut->first > first ? cut->first : first;
    uint16_t to = cut->last < last ? cut->last : last;
    const uint32_t ends[3][2] = {{first, from ? from - 1u : 0}, {from, to}, {to + 1u, last}};

    for (size_t i = 0; i < 3; i++) {
        struct region piece = *region;

        if (ends[i][0] > ends[i][1] || (i == 0 && from == first))
            continue;
        if (is_protocol) {
            piece.protocol_first = (uint16_t)ends[i][0];
            piece.protocol_last = (uint16_t)ends[i][1];
            piece.detail_first = 0;
            piece.detail_last = has_types(&piece) ? 255 : UINT16_MAX;
        } else {
            piece.detail_first = (uint16_t)ends[i][0];
            piece.detail_last = (uint16_t)ends[i][1];
        }
        split(walk, &piece);
    }
}

static void split_addresses(struct walk *walk, const struct region *region, const struct cut *cut)
{
    struct region piece = *region;
    struct addr_range *range = cut->dimension == CUT_TO ? &piece.to.range : &piece.from.range;
    struct addr_range whole = *range;
    struct addr border;

    if (addr_compare(&whole.first, &cut->range.first) < 0 &&
        addr_previous(&cut->range.first, &border)) {
        range->first = whole.first;
        range->last = border;
        split(walk, &piece);
        whole.first = cut->range.first;
    }
    if (addr_compare(&cut->range.last, &whole.last) < 0 && addr_next(&cut->range.last, &border)) {
        range->first = border;
        range->last = whole.last;
        split(walk, &piece);
        whole.last = cut->range.last;
    }
    *range = whole;
    split(walk, &piece);
}

/* The policy's verdict on the whole region; false: *ret_cut says where it must be cut first. */
static bool decide(const struct policy *policy, const struct region *region, bool *ret_admits,
                   struct position *ret_where, struct cut *ret_cut)
{
    for (size_t i = 0; i < policy->rules_count; i++) {
        enum relation relation = rule_relate(region, &policy->rules[i], ret_cut);

        if (relation == RELATION_CUT)
            return false;
        if (relation == RELATION_MISS)
            continue;
        *ret_admits = policy->rules[i].verdict == VERDICT_ALLOW;
        *ret_where = policy->rules[i].where;
        return true;
    }
    *ret_admits = policy->defaults[region->direction] == VERDICT_ALLOW;
    *ret_where = policy->defaults_where[region->direction];
    return true;
}

static void split(struct walk *walk, struct region *region)
{
    bool admits_a = false, admits_b = false;
    struct position where_a = {0}, where_b = {0};
    struct comparison *comparison = walk->comparison;
    struct cut cut = {0};

    if (comparison->regions_count >= COMPARISON_MAX || ++walk->cuts > CUTS_MAX) {
        comparison->is_cut = true;
        return;
    }
    if (decide(walk->a, region, &admits_a, &where_a, &cut)) {
        if (!admits_a)
            return;
        if (decide(walk->b, region, &admits_b, &where_b, &cut)) {
            if (admits_b)
                return;
            region->where = where_a;
            *ARENA_PUSH(walk->arena, comparison, regions) = *region;
            return;
        }
    }
    if (cut.dimension == CUT_FROM || cut.dimension == CUT_TO)
        split_addresses(walk, region, &cut);
    else
        split_numbers(walk, region, &cut);
}

/* ---- the whole space ---- */

static struct addr_range whole_range(uint8_t family)
{
    struct prefix all = {.addr = {.family = family}};

    return prefix_range(&all);
}

struct symbols_seen {
    const struct set_item **list;
    size_t list_count, list_capacity;
};

static void symbols_collect(struct arena *arena, const struct set *set, struct symbols_seen *seen)
{
    for (size_t i = 0; set->given && i < set->items_count; i++) {
        const struct set_item *item = &set->items[i];
        const struct addr_range *ranges;
        bool known = item->kind == SET_ANY || item->kind == SET_RANGE ||
                     (item->kind != SET_BROADCAST && set_builtin_ranges(item->kind, &ranges) > 0);

        for (size_t k = 0; !known && k < seen->list_count; k++)
            known = item->kind == seen->list[k]->kind &&
                    (!item->name || strcmp(item->name, seen->list[k]->name) == 0);
        if (!known)
            *ARENA_PUSH(arena, seen, list) = item;
    }
}

static void symbols_of(struct arena *arena, const struct policy *policy, enum direction direction,
                       struct symbols_seen *from, struct symbols_seen *to)
{
    for (size_t i = 0; i < policy->rules_count; i++) {
        if (policy->rules[i].direction != direction)
            continue;
        symbols_collect(arena, &policy->rules[i].from, from);
        symbols_collect(arena, &policy->rules[i].to, to);
    }
}

static void compare_places(struct walk *walk, const struct region *whole,
                           const struct symbols_seen *from, const struct symbols_seen *to)
{
    for (size_t i = 0; i <= from->list_count; i++)
        for (size_t k = 0; k <= to->list_count; k++) {
            struct region region = *whole;

            region.from.symbol = i < from->list_count ? from->list[i] : NULL;
            region.to.symbol = k < to->list_count ? to->list[k] : NULL;
            split(walk, &region);
        }
}

static void compare_direction(struct walk *walk, enum direction direction)
{
    static const uint8_t families[] = {ADDR_V4, ADDR_V6};
    struct symbols_seen from = {0}, to = {0};

    symbols_of(walk->arena, walk->a, direction, &from, &to);
    symbols_of(walk->arena, walk->b, direction, &from, &to);
    for (size_t i = 0; i < 2; i++) {
        struct region whole = {.direction = direction,
                               .family = families[i],
                               .from.range = whole_range(families[i]),
                               .to.range = whole_range(families[i]),
                               .protocol_last = 255,
                               .detail_last = UINT16_MAX};

        compare_places(walk, &whole, &from, &to);
    }
}

static bool publish_equal(const struct publish *a, const struct publish *b)
{
    return a->kind == b->kind && a->protocol == b->protocol && a->jail_port == b->jail_port &&
           a->host_ports.first == b->host_ports.first && a->host_ports.last == b->host_ports.last &&
           (a->kind != PUBLISH_ADDRESS || addr_equal(&a->addr, &b->addr));
}

static void compare_publishes(const struct walk *walk)
{
    for (size_t i = 0; i < walk->a->publishes_count; i++) {
        bool found = false;

        for (size_t k = 0; k < walk->b->publishes_count; k++)
            found = found || publish_equal(&walk->a->publishes[i], &walk->b->publishes[k]);
        if (!found)
            *ARENA_PUSH(walk->arena, walk->comparison, publishes) = &walk->a->publishes[i];
    }
}

/* ---- putting together again what reads as one ---- */

static bool place_equal(const struct place *a, const struct place *b)
{
    if (a->symbol || b->symbol)
        return a->symbol == b->symbol;
    return addr_equal(&a->range.first, &b->range.first) &&
           addr_equal(&a->range.last, &b->range.last);
}

static bool place_is_whole(const struct place *place)
{
    struct addr_range whole = whole_range(place->range.first.family);

    return place->symbol || (addr_equal(&place->range.first, &whole.first) &&
                             addr_equal(&place->range.last, &whole.last));
}

static bool numbers_equal(const struct region *a, const struct region *b)
{
    return a->direction == b->direction && a->protocol_first == b->protocol_first &&
           a->protocol_last == b->protocol_last && a->detail_first == b->detail_first &&
           a->detail_last == b->detail_last;
}

/* One is the same as the other for the other family. */
static bool families_join(struct region *a, const struct region *b)
{
    if (a->family == b->family || !numbers_equal(a, b) || a->from.symbol != b->from.symbol ||
        a->to.symbol != b->to.symbol || !place_is_whole(&a->from) || !place_is_whole(&b->from) ||
        !place_is_whole(&a->to) || !place_is_whole(&b->to))
        return false;
    a->family = ADDR_NONE;
    return true;
}

/* Neighbours in `to`, in `from`, in the port. */
static bool ranges_join(struct place *a, const struct place *b)
{
    struct addr next;

    if (a->symbol || b->symbol || !addr_next(&a->range.last, &next) ||
        !addr_equal(&next, &b->range.first))
        return false;
    a->range.last = b->range.last;
    return true;
}

static bool regions_join(struct region *a, const struct region *b)
{
    if (families_join(a, b))
        return true;
    if (a->family != b->family)
        return false;
    if (numbers_equal(a, b) && place_equal(&a->from, &b->from) && ranges_join(&a->to, &b->to))
        return true;
    if (numbers_equal(a, b) && place_equal(&a->to, &b->to) && ranges_join(&a->from, &b->from))
        return true;
    if (a->direction == b->direction && place_equal(&a->from, &b->from) &&
        place_equal(&a->to, &b->to) && a->protocol_first == b->protocol_first &&
        a->protocol_last == b->protocol_last && a->detail_last + 1 == b->detail_first) {
        a->detail_last = b->detail_last;
        return true;
    }
    return false;
}

#define JOIN_MAX 1000 /* regions; comparing each with each takes its time */

static void join_all(struct comparison *comparison)
{
    bool again = comparison->regions_count <= JOIN_MAX;

    while (again) {
        again = false;
        for (size_t i = 0; i < comparison->regions_count; i++)
            for (size_t k = 0; k < comparison->regions_count; k++) {
                if (i == k || !regions_join(&comparison->regions[i], &comparison->regions[k]))
                    continue;
                comparison->regions_count--;
                memmove(&comparison->regions[k], &comparison->regions[k + 1],
                        (comparison->regions_count - k) * sizeof *comparison->regions);
                again = true;
                i -= i > k;
                k--;
            }
    }
}

void policy_compare(const struct policy *a, const struct policy *b, struct arena *arena,
                    struct comparison *ret_comparison)
{
    struct comparison comparison = {0};
    struct walk walk = {.a = a, .b = b, .arena = arena, .comparison = &comparison};

    for (int i = 0; i < DIRECTION_COUNT; i++)
        compare_direction(&walk, (enum direction)i);
    compare_publishes(&walk);
    join_all(&comparison);
    *ret_comparison = comparison;
}
