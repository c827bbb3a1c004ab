/* Names of the things that policies consist of: directions, verdicts, protocols, ICMP types; and
 * the constant sets of addresses. Tables only. No system call, no privilege. */
#include "base/cleanup.h"
#include "policy/icmp.h"

#include <netinet/in.h>

const char *direction_name(enum direction direction)
{
    static const char *const names[DIRECTION_COUNT] = {
        [DIRECTION_IN] = "in",
        [DIRECTION_OUT] = "out",
        [DIRECTION_FORWARD] = "forward",
    };

    return names[direction];
}

const char *verdict_name(enum verdict verdict)
{
    static const char *const names[] = {
        [VERDICT_ALLOW] = "allow",
        [VERDICT_DENY] = "deny",
        [VERDICT_DROP] = "drop",
    };

    return names[verdict];
}

const char *protocol_name(uint8_t number)
{
    switch (number) {
    case IPPROTO_ICMP:
        return "icmp";
    case IPPROTO_TCP:
        return "tcp";
    case IPPROTO_UDP:
        return "udp";
    case IPPROTO_ICMPV6:
        return "icmpv6";
    case IPPROTO_SCTP:
        return "sctp";
    default:
        return NULL;
    }
}

static const struct keyword icmp_types[] = {
    {"destination-unreachable", NULL, 3},
    {"echo-reply", NULL, 0},
    {"echo-request", NULL, 8},
    {"parameter-problem", NULL, 12},
    {"redirect", NULL, 5},
    {"router-advertisement", NULL, 9},
    {"router-solicitation", NULL, 10},
    {"source-quench", NULL, 4},
    {"time-exceeded", NULL, 11},
    {"timestamp-reply", NULL, 14},
    {"timestamp-request", NULL, 13},
};

static const struct keyword icmpv6_types[] = {
    {"destination-unreachable", NULL, 1}, {"echo-reply", NULL, 129},
    {"echo-request", NULL, 128},          {"mld-listener-done", NULL, 132},
    {"mld-listener-query", NULL, 130},    {"mld-listener-report", NULL, 131},
    {"mld2-listener-report", NULL, 143},  {"neighbor-advertisement", NULL, 136},
    {"neighbor-solicitation", NULL, 135}, {"packet-too-big", NULL, 2},
    {"parameter-problem", NULL, 4},       {"redirect", NULL, 137},
    {"router-advertisement", NULL, 134},  {"router-solicitation", NULL, 133},
    {"time-exceeded", NULL, 3},
};

struct keywords icmp_type_keywords(uint8_t protocol)
{
    if (protocol == IPPROTO_ICMP)
        return KEYWORDS(icmp_types, "ICMP type");
    return KEYWORDS(icmpv6_types, "ICMPv6 type");
}

#define V4(a, b, c, d)                                                                             \
    {                                                                                              \
        .family = ADDR_V4, .bytes = {(a), (b), (c), (d) }                                          \
    }
#define V6(...)                                                                                    \
    {                                                                                              \
        .family = ADDR_V6, .bytes = { __VA_ARGS__ }                                                \
    }
#define ONES12 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255

/* RFC 1918, RFC 6598 (shared address space: not reachable from the internet, and used by overlay
 * networks and clouds for inner services), RFC 4193. */
static const struct addr_range private_ranges[] = {
    {V4(10, 0, 0, 0), V4(10, 255, 255, 255)},    {V4(100, 64, 0, 0), V4(100, 127, 255, 255)},
    {V4(172, 16, 0, 0), V4(172, 31, 255, 255)},  {V4(192, 168, 0, 0), V4(192, 168, 255, 255)},
    {V6(0xfc), V6(0xfd, 255, 255, 255, ONES12)},
};

/* RFC 3927, RFC 4291 section 2.5.6. */
static const struct addr_range link_local_ranges[] = {
    {V4(169, 254, 0, 0), V4(169, 254, 255, 255)},
    {V6(0xfe, 0x80), V6(0xfe, 0xbf, 255, 255, ONES12)},
};

/* RFC 5771, RFC 4291 section 2.7. */
static const struct addr_range multicast_ranges[] = {
    {V4(224, 0, 0, 0), V4(239, 255, 255, 255)},
    {V6(0xff), V6(255, 255, 255, 255, ONES12)},
};

/* RFC 919: the limited broadcast; those of the links are known when the jail starts. */
static const struct addr_range broadcast_ranges[] = {
    {V4(255, 255, 255, 255), V4(255, 255, 255, 255)},
};

/* Where clouds answer questions about the machine, credentials included. */
static const struct addr_range metadata_ranges[] = {
    {V4(100, 100, 100, 200), V4(100, 100, 100, 200)}, /* Alibaba */
    {V4(168, 63, 129, 16), V4(168, 63, 129, 16)},     /* Azure's wire server */
    {V4(169, 254, 169, 254), V4(169, 254, 169, 254)}, /* AWS, Azure, Google, OpenStack, ... */
    {V4(169, 254, 170, 2), V4(169, 254, 170, 2)},     /* AWS ECS credentials */
    {V4(169, 254, 170, 23), V4(169, 254, 170, 23)},   /* AWS EKS credentials */
    {V4(192, 0, 0, 192), V4(192, 0, 0, 192)},         /* Oracle */
    {V6(0xfd, 0x00, 0x0e, 0xc2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x23),
     V6(0xfd, 0x00, 0x0e, 0xc2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x23)}, /* AWS EKS */
    {V6(0xfd, 0x00, 0x0e, 0xc2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x02, 0x54),
     V6(0xfd, 0x00, 0x0e, 0xc2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x02, 0x54)}, /* AWS */
    {V6(0xfd, 0x20, 0, 0xce, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x02, 0x54),
     V6(0xfd, 0x20, 0, 0xce, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x02, 0x54)}, /* Google */
};

size_t set_builtin_ranges(enum set_kind kind, const struct addr_range **ret_ranges)
{
    switch (kind) {
    case SET_LINK_LOCAL:
        *ret_ranges = link_local_ranges;
        return ARRAY_LENGTH(link_local_ranges);
    case SET_PRIVATE:
        *ret_ranges = private_ranges;
        return ARRAY_LENGTH(private_ranges);
    case SET_MULTICAST:
        *ret_ranges = multicast_ranges;
        return ARRAY_LENGTH(multicast_ranges);
    case SET_BROADCAST:
        *ret_ranges = broadcast_ranges;
        return ARRAY_LENGTH(broadcast_ranges);
    case SET_METADATA:
        *ret_ranges = metadata_ranges;
        return ARRAY_LENGTH(metadata_ranges);
    default:
        return 0;
    }
}
