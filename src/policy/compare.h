/* What one policy admits that another does not: `netjailctl diff`. Pure. */
#pragma once

#include "policy/policy.h"

/* Where a flow comes from or goes to: a range of addresses, or what only the running jail could
 * resolve (a name, a jail, gateway, host, broadcast). */
struct place {
    const struct set_item *symbol; /* NULL: `range` */
    struct addr_range range;
};

/* Flows that both policies treat alike throughout. */
struct region {
    enum direction direction;
    uint8_t family; /* ADDR_NONE: both, where there is no other difference */
    struct place from;
    struct place to;
    uint16_t protocol_first; /* IPPROTO_*, 0..255 */
    uint16_t protocol_last;
    uint16_t detail_first; /* one of tcp, udp, sctp: ports; icmp, icmpv6: types; else unused */
    uint16_t detail_last;
    struct position where; /* of the statement that admits it */
};

struct comparison {
    struct region *regions;
    size_t regions_count, regions_capacity;
    const struct publish **publishes; /* those of `a` that `b` has not */
    size_t publishes_count, publishes_capacity;
    bool is_cut; /* there is more than COMPARISON_MAX */
};

#define COMPARISON_MAX 10000

/* What `a` admits and `b` does not. Memory comes from the arena; symbols point into the policies.
 * Rules with `rate` count as within their rate. */
void policy_compare(const struct policy *a, const struct policy *b, struct arena *arena,
                    struct comparison *ret_comparison);

/* Do two regions differ only in the place that matters most (`to`, for `in` `from`), and come from
 * the same statement? Then they read as one. */
bool regions_alike(const struct region *a, const struct region *b);

/* "out tcp to { 10.0.0.5, 10.0.0.7 } port 5432": regions that are all alike, in the words of a
 * rule. */
struct buf;
void regions_print(const struct region *const *regions, size_t count, struct buf *out);
