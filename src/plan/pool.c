/* Choice of addresses, interface names and MAC addresses.
 *
 * An address starts at a place that the jail's name decides, so that a jail gets the same one
 * again, and goes on linearly past what is taken. Pure; called with a snapshot that was taken under
 * the pool's lock. What must not happen: an address that means something else (network, broadcast,
 * anycast), or one that is in use. */
#include "plan/pool.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* FNV-1a. */
static uint64_t hash_add(uint64_t hash, const char *name)
{
    for (; *name; name++)
        hash = (hash ^ (uint8_t)*name) * 0x100000001b3u;
    return hash;
}

/* Mixed: names that differ in one letter must not be neighbours. */
static uint64_t name_hash(const char *name)
{
    uint64_t hash = hash_add(0xcbf29ce484222325u, name);

    hash ^= hash >> 31;
    hash *= 0x9e3779b97f4a7c15u;
    return hash ^ (hash >> 29);
}

/* splitmix64: every value of the seed gives another one. */
static uint64_t seed_next(uint64_t *seed)
{
    uint64_t value = *seed += 0x9e3779b97f4a7c15u;

    value = (value ^ (value >> 30)) * 0xbf58476d1ce4e5b9u;
    value = (value ^ (value >> 27)) * 0x94d049bb133111ebu;
    return value ^ (value >> 31);
}

/* The offsets of the usable host addresses in a prefix: *ret_first, and how many follow. */
static uint64_t prefix_hosts(const struct prefix *network, uint64_t *ret_first)
{
    unsigned host_bits = addr_bits(network->addr.family) - network->length;
    uint64_t size;

    *ret_first = 0;
    if (host_bits <= 1) /* RFC 3021, RFC 6164, and the single address */
        return (uint64_t)1 << host_bits;
    *ret_first = 1;     /* 0 is the network or (RFC 4291 section 2.6.1) the subnet-router anycast */
    if (host_bits > 62) /* enough, and away from the anycast addresses at the end (RFC 2526) */
        return (uint64_t)1 << 62;
    size = (uint64_t)1 << host_bits;
    if (network->addr.family == ADDR_V4)
        return size - 2;
    return host_bits > 7 ? size - 1 - 128 : size - 1;
}

static int addr_compare_items(const void *a, const void *b)
{
    return addr_compare(a, b);
}

int pool_choose_address(const struct prefix *network, const struct addr *used, size_t used_count,
                        const char *name, struct addr *ret_addr)
{
    struct addr base = prefix_network(network).addr;
    uint64_t first;
    uint64_t count = prefix_hosts(network, &first);
    uint64_t offset = name_hash(name) % count;
    uint64_t tries = count <= used_count ? count : (uint64_t)used_count + 1;

    for (; tries > 0; tries--, offset = (offset + 1) % count) {
        struct addr addr;

        if (!addr_add(&base, first + offset, &addr))
            continue;
        if (used_count > 0 && bsearch(&addr, used, used_count, sizeof *used, addr_compare_items))
            continue;
        *ret_addr = addr;
        return 0;
    }
    return -ENOSPC;
}

static bool ifname_taken(const struct facts *facts, const char *name)
{
    for (size_t i = 0; i < facts->links_count; i++)
        if (strcmp(facts->links[i].name, name) == 0)
            return true;
    for (size_t i = 0; i < facts->others_count; i++)
        for (size_t k = 0; k < facts->others[i]->links_count; k++)
            if (strcmp(facts->others[i]->links[k].name, name) == 0)
                return true;
    return false;
}

void pool_choose_ifname(const struct facts *facts, uint64_t *seed, char name[IFNAME_SIZE])
{
    do {
        (void)snprintf(name, IFNAME_SIZE, "nj-%08x", (unsigned)(seed_next(seed) >> 32));
    } while (ifname_taken(facts, name));
}

struct mac pool_choose_mac(uint64_t *seed)
{
    uint64_t value = seed_next(seed);
    struct mac mac;

    memcpy(mac.bytes, &value, sizeof mac.bytes);
    mac.bytes[0] = (uint8_t)((mac.bytes[0] & 0xfcu) | 0x02u);
    return mac;
}

struct mac pool_stable_mac(uint64_t machine, const char *jail, const char *ifname,
                           const char *target)
{
    uint64_t seed = 0xcbf29ce484222325u ^ machine;

    seed = hash_add(hash_add(seed, jail), "/"); /* in no name */
    seed = hash_add(hash_add(seed, ifname), "/");
    seed = hash_add(seed, target);
    return pool_choose_mac(&seed);
}

struct addr mac_link_local(const struct mac *mac)
{
    struct addr addr = {.family = ADDR_V6, .bytes = {0xfe, 0x80}};

    memcpy(addr.bytes + 8, mac->bytes, 3);
    addr.bytes[8] ^= 0x02;
    addr.bytes[11] = 0xff;
    addr.bytes[12] = 0xfe;
    memcpy(addr.bytes + 13, mac->bytes + 3, 3);
    return addr;
}
