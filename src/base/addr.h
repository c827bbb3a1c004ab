/* IPv4 and IPv6 addresses, prefixes and ranges as plain values: parse, print, compare, compute.
 * Text forms: RFC 4291 section 2.2 and RFC 5952 (canonical IPv6 text), RFC 4632 (prefixes). */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum addr_family {
    ADDR_NONE = 0,
    ADDR_V4 = 4,
    ADDR_V6 = 6,
};

/* The unused tail of `bytes` is always zero, so that addresses compare with memcmp. */
struct addr {
    uint8_t family;    /* enum addr_family */
    uint8_t bytes[16]; /* network byte order; IPv4 in the first four */
};

struct prefix {
    struct addr addr; /* may have host bits: an interface address is a prefix too */
    uint8_t length;   /* 0..32 or 0..128 */
};

/* All addresses first..last, of one family, first <= last. */
struct addr_range {
    struct addr first;
    struct addr last;
};

struct mac {
    uint8_t bytes[6];
};

#define ADDR_TEXT_SIZE   46 /* INET6_ADDRSTRLEN */
#define PREFIX_TEXT_SIZE 50
#define MAC_TEXT_SIZE    18

/* Parsers take exactly `length` bytes, return 0 or -EINVAL, and leave *ret_x alone on failure.
 * IPv4 is four decimal numbers without leading zeros; IPv6 has no zone (%eth0). An IPv4-mapped
 * IPv6 address (::ffff:a.b.c.d) is refused: it would be a second name for an IPv4 address. */
int addr_parse(const char *text, size_t length, struct addr *ret_addr);
int prefix_parse(const char *text, size_t length, struct prefix *ret_prefix);   /* ADDR/LEN only */
int range_parse(const char *text, size_t length, struct addr_range *ret_range); /* ADDR-ADDR */
int mac_parse(const char *text, size_t length, struct mac *ret_mac); /* aa:bb:cc:dd:ee:ff */

/* Printers write the canonical text and return `text`. */
const char *addr_print(const struct addr *addr, char text[ADDR_TEXT_SIZE]);
const char *prefix_print(const struct prefix *prefix, char text[PREFIX_TEXT_SIZE]);
const char *mac_print(const struct mac *mac, char text[MAC_TEXT_SIZE]);

/* Number of bytes (4, 16) and bits (32, 128) of an address of this family. */
size_t addr_size(uint8_t family);
unsigned addr_bits(uint8_t family);

/* Order by family, then by value: <0, 0, >0. */
int addr_compare(const struct addr *a, const struct addr *b);
bool addr_equal(const struct addr *a, const struct addr *b);

/* addr + 1 and addr - 1; false (and *ret untouched) where that would leave the family. */
bool addr_next(const struct addr *addr, struct addr *ret_addr);
bool addr_previous(const struct addr *addr, struct addr *ret_addr);
/* addr + offset; false on overflow. */
bool addr_add(const struct addr *addr, uint64_t offset, struct addr *ret_addr);

/* The range that a prefix covers (host bits ignored), a single address as a range, and back:
 * true when the range is exactly one prefix. */
struct addr_range prefix_range(const struct prefix *prefix);
struct addr_range addr_range_of(const struct addr *addr);
bool range_prefix(const struct addr_range *range, struct prefix *ret_prefix);
bool prefix_has_host_bits(const struct prefix *prefix);
struct prefix prefix_network(const struct prefix *prefix); /* host bits cleared */

bool range_contains(const struct addr_range *range, const struct addr *addr);
bool range_covers(const struct addr_range *outer, const struct addr_range *inner);
bool range_overlaps(const struct addr_range *a, const struct addr_range *b);
bool prefix_contains(const struct prefix *prefix, const struct addr *addr);
bool prefixes_contain(const struct prefix *prefixes, size_t count, const struct addr *addr);
