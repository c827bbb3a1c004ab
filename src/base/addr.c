/* Addresses as values. Everything works on the big-endian byte array, so that IPv4 and IPv6 take
 * the same path and no byte order can be forgotten.
 *
 * Pure, no privilege. What must not happen: two texts for one address being taken as two addresses
 * (leading zeros, IPv4-mapped IPv6), or a computation that leaves the family silently. */
#include "base/addr.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

size_t addr_size(uint8_t family)
{
    return family == ADDR_V4 ? 4 : 16;
}

unsigned addr_bits(uint8_t family)
{
    return family == ADDR_V4 ? 32 : 128;
}

int addr_parse(const char *text, size_t length, struct addr *ret_addr)
{
    char copy[ADDR_TEXT_SIZE];
    struct addr addr = {0};
    bool is_v6;

    if (length == 0 || length >= sizeof copy || memchr(text, '\0', length))
        return -EINVAL;
    memcpy(copy, text, length);
    copy[length] = '\0';
    is_v6 = memchr(text, ':', length) != NULL;
    addr.family = is_v6 ? ADDR_V6 : ADDR_V4;
    if (inet_pton(is_v6 ? AF_INET6 : AF_INET, copy, addr.bytes) != 1)
        return -EINVAL;
    if (is_v6) {
        static const uint8_t mapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

        if (memcmp(addr.bytes, mapped, sizeof mapped) == 0)
            return -EINVAL;
    }
    *ret_addr = addr;
    return 0;
}

/* A decimal number of one to three digits without leading zeros and not above `maximum`. */
static int length_parse(const char *text, size_t length, unsigned maximum, uint8_t *ret_length)
{
    unsigned value = 0;

    if (length == 0 || length > 3 || (length > 1 && text[0] == '0'))
        return -EINVAL;
    for (size_t i = 0; i < length; i++) {
        if (text[i] < '0' || text[i] > '9')
            return -EINVAL;
        value = value * 10 + (unsigned)(text[i] - '0');
    }
    if (value > maximum)
        return -EINVAL;
    *ret_length = (uint8_t)value;
    return 0;
}

int prefix_parse(const char *text, size_t length, struct prefix *ret_prefix)
{
    const char *slash = memchr(text, '/', length);
    struct prefix prefix = {0};
    size_t before;

    if (!slash)
        return -EINVAL;
    before = (size_t)(slash - text);
    if (addr_parse(text, before, &prefix.addr) < 0 ||
        length_parse(slash + 1, length - before - 1, addr_bits(prefix.addr.family),
                     &prefix.length) < 0)
        return -EINVAL;
    *ret_prefix = prefix;
    return 0;
}

int range_parse(const char *text, size_t length, struct addr_range *ret_range)
{
    const char *dash = memchr(text, '-', length);
    struct addr_range range = {0};
    size_t before;

    if (!dash)
        return -EINVAL;
    before = (size_t)(dash - text);
    if (addr_parse(text, before, &range.first) < 0 ||
        addr_parse(dash + 1, length - before - 1, &range.last) < 0)
        return -EINVAL;
    if (range.first.family != range.last.family || addr_compare(&range.first, &range.last) > 0)
        return -EINVAL;
    *ret_range = range;
    return 0;
}

static int hex_value(char digit)
{
    if (digit >= '0' && digit <= '9')
        return digit - '0';
    if (digit >= 'a' && digit <= 'f')
        return digit - 'a' + 10;
    if (digit >= 'A' && digit <= 'F')
        return digit - 'A' + 10;
    return -1;
}

int mac_parse(const char *text, size_t length, struct mac *ret_mac)
{
    struct mac mac;

    if (length != MAC_TEXT_SIZE - 1)
        return -EINVAL;
    for (size_t i = 0; i < sizeof mac.bytes; i++) {
        int high = hex_value(text[3 * i]);
        int low = hex_value(text[3 * i + 1]);

        if (high < 0 || low < 0 || (i < 5 && text[3 * i + 2] != ':'))
            return -EINVAL;
        mac.bytes[i] = (uint8_t)(high * 16 + low);
    }
    *ret_mac = mac;
    return 0;
}

const char *addr_print(const struct addr *addr, char text[ADDR_TEXT_SIZE])
{
    int family = addr->family == ADDR_V4 ? AF_INET : AF_INET6;

    if (!inet_ntop(family, addr->bytes, text, ADDR_TEXT_SIZE))
        text[0] = '\0'; /* cannot be: the family is known and the buffer large enough */
    return text;
}

const char *prefix_print(const struct prefix *prefix, char text[PREFIX_TEXT_SIZE])
{
    char addr_text[ADDR_TEXT_SIZE];

    (void)snprintf(text, PREFIX_TEXT_SIZE, "%s/%u", addr_print(&prefix->addr, addr_text),
                   prefix->length); /* PREFIX_TEXT_SIZE is the longest */
    return text;
}

const char *mac_print(const struct mac *mac, char text[MAC_TEXT_SIZE])
{
    const uint8_t *b = mac->bytes;

    (void)snprintf(text, MAC_TEXT_SIZE, "%02x:%02x:%02x:%02x:%02x:%02x", b[0], b[1], b[2], b[3],
                   b[4], b[5]); /* always 17 characters */
    return text;
}

int addr_compare(const struct addr *a, const struct addr *b)
{
    if (a->family != b->family)
        return a->family < b->family ? -1 : 1;
    return memcmp(a->bytes, b->bytes, sizeof a->bytes);
}

bool addr_equal(const struct addr *a, const struct addr *b)
{
    return addr_compare(a, b) == 0;
}

bool addr_add(const struct addr *addr, uint64_t offset, struct addr *ret_addr)
{
    struct addr sum = *addr;
    uint64_t carry = offset;

    for (size_t i = addr_size(addr->family); i-- > 0;) {
        uint64_t digit = (carry & 0xff) + sum.bytes[i];

        sum.bytes[i] = (uint8_t)digit;
        carry = (carry >> 8) + (digit >> 8);
    }
    if (carry)
        return false;
    *ret_addr = sum;
    return true;
}

bool addr_next(const struct addr *addr, struct addr *ret_addr)
{
    return addr_add(addr, 1, ret_addr);
}

bool addr_previous(const struct addr *addr, struct addr *ret_addr)
{
    struct addr less = *addr;

    for (size_t i = addr_size(addr->family); i-- > 0;) {
        if (less.bytes[i]-- != 0) {
            *ret_addr = less;
            return true;
        }
    }
    return false;
}

/* Bit `bit` (0 is the highest) set to `value` in every bit from `from` on. */
static void bits_fill(struct addr *addr, unsigned from, bool value)
{
    size_t size = addr_size(addr->family);

    for (size_t i = from / 8; i < size; i++) {
        unsigned keep = i == from / 8 ? from % 8 : 0;
        uint8_t mask = (uint8_t)(0xffu >> keep);

        addr->bytes[i] = (uint8_t)(value ? addr->bytes[i] | mask : addr->bytes[i] & ~mask);
    }
}

struct addr_range prefix_range(const struct prefix *prefix)
{
    struct addr_range range = {prefix->addr, prefix->addr};

    bits_fill(&range.first, prefix->length, false);
    bits_fill(&range.last, prefix->length, true);
    return range;
}

struct addr_range addr_range_of(const struct addr *addr)
{
    return (struct addr_range){*addr, *addr};
}

bool range_prefix(const struct addr_range *range, struct prefix *ret_prefix)
{
    struct prefix prefix = {.addr = range->first};
    struct addr_range covered;
    unsigned bits = addr_bits(range->first.family);
    unsigned length = 0;

    while (length < bits && !((range->first.bytes[length / 8] ^ range->last.bytes[length / 8]) &
                              0x80u >> length % 8))
        length++;
    prefix.length = (uint8_t)length;
    covered = prefix_range(&prefix);
    if (!addr_equal(&covered.first, &range->first) || !addr_equal(&covered.last, &range->last))
        return false;
    *ret_prefix = prefix;
    return true;
}

struct prefix prefix_network(const struct prefix *prefix)
{
    struct prefix network = *prefix;

    bits_fill(&network.addr, network.length, false);
    return network;
}

bool prefix_has_host_bits(const struct prefix *prefix)
{
    struct prefix network = prefix_network(prefix);

    return !addr_equal(&network.addr, &prefix->addr);
}

bool range_contains(const struct addr_range *range, const struct addr *addr)
{
    return range->first.family == addr->family && addr_compare(&range->first, addr) <= 0 &&
           addr_compare(addr, &range->last) <= 0;
}

bool range_covers(const struct addr_range *outer, const struct addr_range *inner)
{
    return range_contains(outer, &inner->first) && range_contains(outer, &inner->last);
}

bool range_overlaps(const struct addr_range *a, const struct addr_range *b)
{
    return range_contains(a, &b->first) || range_contains(b, &a->first);
}

bool prefix_contains(const struct prefix *prefix, const struct addr *addr)
{
    struct addr_range range = prefix_range(prefix);

    return range_contains(&range, addr);
}

bool prefixes_contain(const struct prefix *prefixes, size_t count, const struct addr *addr)
{
    for (size_t i = 0; i < count; i++)
        if (prefix_contains(&prefixes[i], addr))
            return true;
    return false;
}
