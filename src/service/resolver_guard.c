/* DNS rebinding: the owner of a public name may give it any address, also one that only the jail's
 * host can reach. Pure. The ranges are those of RFC 6890 and its registries, and metadata services
 * of clouds. What must not happen: an IPv4 address of such a range in IPv6 clothes. */
#include "service/resolver_guard.h"

#include "base/cleanup.h"
#include "policy/policy.h"

#include <string.h>

/* The IPv4 address behind a translator (64:ff9b::/96, RFC 6052), as a host with only IPv6 gets it
 * from its DNS64. */
static bool is_translated(const struct addr *addr, struct addr *ret_addr)
{
    static const struct prefix translated = {{ADDR_V6, {0, 0x64, 0xff, 0x9b}}, 96};
    struct addr inner = {.family = ADDR_V4};

    if (!prefix_contains(&translated, addr))
        return false;
    memcpy(inner.bytes, addr->bytes + 12, 4);
    *ret_addr = inner;
    return true;
}

bool guard_is_never(const struct addr *addr)
{
    static const struct prefix never[] = {
        {{ADDR_V4, {0}}, 8},
        {{ADDR_V4, {224}}, 3},                        /* multicast, reserved, broadcast */
        {{ADDR_V6, {0}}, 96},                         /* ::, ::1 aside, IPv4-compatible */
        {{ADDR_V6, {[10] = 0xff, 0xff}}, 96},         /* IPv4-mapped */
        {{ADDR_V6, {[8] = 0xff, 0xff}}, 96},          /* IPv4-translated, RFC 2765 */
        {{ADDR_V6, {0, 0x64, 0xff, 0x9b, 0, 1}}, 48}, /* RFC 8215 */
        {{ADDR_V6, {0x20, 0x02}}, 16},                /* 6to4 */
        {{ADDR_V6, {0x20, 0x01}}, 32},                /* Teredo */
        {{ADDR_V6, {0xff}}, 8},                       /* multicast */
    };
    static const struct addr loopback6 = {.family = ADDR_V6, .bytes = {[15] = 1}};

    struct addr inner;

    if (is_translated(addr, &inner))
        return guard_is_never(&inner);
    return !addr_equal(addr, &loopback6) && prefixes_contain(never, ARRAY_LENGTH(never), addr);
}

bool guard_is_private(const struct addr *addr)
{
    static const struct prefix ours[] = {
        {{ADDR_V4, {127}}, 8},
        {{ADDR_V4, {192, 0, 0}}, 24},        /* IETF protocol assignments */
        {{ADDR_V4, {198, 18}}, 15},          /* benchmarks: networks of one's own */
        {{ADDR_V6, {0x20, 0x01, 0, 2}}, 48}, /* the same */
        {{ADDR_V6, {0x5f}}, 16},             /* segment routing in one domain, RFC 9602 */
        {{ADDR_V6, {1}}, 64},                /* discard only, RFC 6666 */
        {{ADDR_V6, {[15] = 1}}, 128},
        {{ADDR_V6, {0xfe, 0xc0}}, 10}, /* site-local, as it was */
    };
    static const enum set_kind kinds[] = {SET_PRIVATE, SET_LINK_LOCAL, SET_METADATA};
    struct addr inner;

    if (is_translated(addr, &inner))
        return guard_is_private(&inner);

    for (size_t i = 0; i < ARRAY_LENGTH(kinds); i++) {
        const struct addr_range *ranges;
        size_t count = set_builtin_ranges(kinds[i], &ranges);

        for (size_t k = 0; k < count; k++) {
            if (range_contains(&ranges[k], addr))
                return true;
        }
    }
    return prefixes_contain(ours, ARRAY_LENGTH(ours), addr);
}
