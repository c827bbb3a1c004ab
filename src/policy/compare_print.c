/* A region of flows in the words of a rule. Pure. */
#include "base/buf.h"
#include "policy/compare.h"

#include <netinet/in.h>

static void symbol_print(const struct set_item *item, struct buf *out)
{
    static const char *const words[] = {
        [SET_GATEWAY] = "gateway", [SET_HOST] = "host", [SET_BROADCAST] = "broadcast"};

    if (item->kind == SET_NAME)
        buf_puts(out, item->name);
    else if (item->kind == SET_SUFFIX)
        buf_printf(out, "*.%s", item->name);
    else if (item->kind == SET_JAIL)
        buf_printf(out, "jail %s", item->name);
    else
        buf_puts(out, words[item->kind]);
}

static void range_print(const struct addr_range *range, struct buf *out)
{
    struct prefix prefix;
    char first[PREFIX_TEXT_SIZE], last[ADDR_TEXT_SIZE];

    if (addr_equal(&range->first, &range->last))
        buf_puts(out, addr_print(&range->first, first));
    else if (range_prefix(range, &prefix))
        buf_puts(out, prefix_print(&prefix, first));
    else
        buf_printf(out, "%s-%s", addr_print(&range->first, first), addr_print(&range->last, last));
}

static bool is_whole(const struct place *place)
{
    struct prefix prefix;

    return !place->symbol && range_prefix(&place->range, &prefix) && prefix.length == 0;
}

static void one_place_print(const struct place *place, struct buf *out)
{
    if (place->symbol)
        symbol_print(place->symbol, out);
    else
        range_print(&place->range, out);
}

static const struct place *main_place(const struct region *region)
{
    return region->direction == DIRECTION_IN ? &region->from : &region->to;
}

static const struct place *other_place(const struct region *region)
{
    return region->direction == DIRECTION_IN ? &region->to : &region->from;
}

/* The place that matters most in a direction also tells the family. */
static void main_print(const struct region *const *regions, size_t count, struct buf *out)
{
    if (count == 1 && regions[0]->family == ADDR_NONE && is_whole(main_place(regions[0])))
        return;
    buf_puts(out, regions[0]->direction == DIRECTION_IN ? " from " : " to ");
    if (count > 1)
        buf_puts(out, "{ ");
    for (size_t i = 0; i < count; i++) {
        buf_puts(out, i > 0 ? ", " : "");
        one_place_print(main_place(regions[i]), out);
    }
    if (count > 1)
        buf_puts(out, " }");
}

/* The other one only where it narrows. */
static void other_print(const struct region *region, struct buf *out)
{
    if (is_whole(other_place(region)))
        return;
    buf_puts(out, region->direction == DIRECTION_IN ? " to " : " from ");
    one_place_print(other_place(region), out);
}

static bool place_equal(const struct place *a, const struct place *b)
{
    if (a->symbol || b->symbol)
        return a->symbol == b->symbol;
    return (is_whole(a) && is_whole(b)) || (addr_equal(&a->range.first, &b->range.first) &&
                                            addr_equal(&a->range.last, &b->range.last));
}

bool regions_alike(const struct region *a, const struct region *b)
{
    return a->direction == b->direction && a->protocol_first == b->protocol_first &&
           a->protocol_last == b->protocol_last && a->detail_first == b->detail_first &&
           a->detail_last == b->detail_last && a->where.source == b->where.source &&
           a->where.line == b->where.line && a->family != ADDR_NONE && b->family != ADDR_NONE &&
           place_equal(other_place(a), other_place(b));
}

static void protocol_print(const struct region *region, struct buf *out)
{
    const char *name = region->protocol_first == region->protocol_last
                           ? protocol_name((uint8_t)region->protocol_first)
                           : NULL;

    if (region->protocol_first == 0 && region->protocol_last == 255)
        return;
    if (name)
        buf_printf(out, " %s", name);
    else if (region->protocol_first == region->protocol_last)
        buf_printf(out, " %u", region->protocol_first);
    else
        buf_printf(out, " protocols %u-%u", region->protocol_first, region->protocol_last);
}

static void detail_print(const struct region *region, bool is_type, struct buf *out)
{
    const char *word = is_type ? "" : " port";
    uint16_t whole = is_type ? 255 : UINT16_MAX;

    if (region->detail_first == 0 && region->detail_last == whole)
        return;
    if (region->detail_first == region->detail_last)
        buf_printf(out, "%s %u", word, region->detail_first);
    else
        buf_printf(out, "%s %u-%u", word, region->detail_first, region->detail_last);
}

void regions_print(const struct region *const *regions, size_t count, struct buf *out)
{
    const struct region *region = regions[0];
    bool is_single = region->protocol_first == region->protocol_last;
    uint16_t protocol = region->protocol_first;
    bool has_ports = is_single && (protocol == IPPROTO_TCP || protocol == IPPROTO_UDP ||
                                   protocol == IPPROTO_SCTP);
    bool has_types = is_single && (protocol == IPPROTO_ICMP || protocol == IPPROTO_ICMPV6);

    buf_puts(out, direction_name(region->direction));
    protocol_print(region, out);
    if (has_types)
        detail_print(region, true, out);
    if (region->direction != DIRECTION_IN)
        other_print(region, out);
    main_print(regions, count, out);
    if (region->direction == DIRECTION_IN)
        other_print(region, out);
    if (has_ports)
        detail_print(region, false, out);
}
