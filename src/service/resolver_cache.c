/* The resolver's cache: a hash table of entries of exact size, and a list by use.
 *
 * What must not happen: memory that grows with what the jail asks. Entries and bytes are bounded,
 * and names that were never admitted never come here. */
#include "service/resolver_cache.h"

#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#define BUCKETS 4096 /* a power of two */

struct entry {
    LIST_ENTRY(entry) in_bucket;
    TAILQ_ENTRY(entry) by_use; /* the least recently used first */
    struct dns_name name;
    uint16_t type;
    uint64_t end_ms;
    size_t size;
    enum dns_rcode rcode;
    uint8_t chain_count;
    uint16_t addrs_count;
    uint8_t bytes[]; /* the chain behind the name itself: length, wire; then the addresses */
};

struct dns_cache {
    LIST_HEAD(cache_bucket, entry) buckets[BUCKETS];
    TAILQ_HEAD(cache_order, entry) by_use;
    size_t count;
    size_t bytes;
};

struct dns_cache *dns_cache_new(void)
{
    struct dns_cache *cache = calloc(1, sizeof *cache);

    if (cache)
        TAILQ_INIT(&cache->by_use);
    return cache;
}

static void entry_remove(struct dns_cache *cache, struct entry *entry)
{
    LIST_REMOVE(entry, in_bucket);
    TAILQ_REMOVE(&cache->by_use, entry, by_use);
    cache->count--;
    cache->bytes -= entry->size;
    free(entry);
}

void dns_cache_free(struct dns_cache *cache)
{
    while (cache && !TAILQ_EMPTY(&cache->by_use))
        entry_remove(cache, TAILQ_FIRST(&cache->by_use));
    free(cache);
}

/* FNV-1a */
static size_t bucket_of(const struct dns_name *name, uint16_t type)
{
    uint32_t hash = 2166136261u ^ type;

    for (size_t i = 0; i < name->length; i++)
        hash = (hash ^ name->wire[i]) * 16777619u;
    return (hash ^ hash >> 16) & (BUCKETS - 1);
}

static struct entry *find(struct dns_cache *cache, const struct dns_name *name, uint16_t type)
{
    struct entry *entry;

    LIST_FOREACH(entry, &cache->buckets[bucket_of(name, type)], in_bucket)
    {
        if (entry->type == type && dns_name_equal(&entry->name, name))
            return entry;
    }
    return NULL;
}

static void unpack(const struct entry *entry, struct dns_answer *answer)
{
    const uint8_t *at = entry->bytes;

    answer->rcode = entry->rcode;
    answer->chain_count = entry->chain_count;
    answer->addrs_count = entry->addrs_count;
    answer->is_open = answer->is_truncated = false;
    answer->pointer.length = 0;
    answer->chain[0] = entry->name;
    for (size_t i = 1; i < entry->chain_count; i++) {
        answer->chain[i].length = *at++;
        memcpy(answer->chain[i].wire, at, answer->chain[i].length);
        at += answer->chain[i].length;
    }
    memcpy(answer->addrs, at, entry->addrs_count * sizeof(struct addr));
}

bool dns_cache_find(struct dns_cache *cache, const struct dns_name *name, uint16_t type,
                    uint64_t now_ms, struct dns_answer *ret_answer)
{
    struct entry *entry = find(cache, name, type);

    if (!entry)
        return false;
    if (entry->end_ms <= now_ms) {
        entry_remove(cache, entry);
        return false;
    }
    TAILQ_REMOVE(&cache->by_use, entry, by_use);
    TAILQ_INSERT_TAIL(&cache->by_use, entry, by_use);
    unpack(entry, ret_answer);
    ret_answer->ttl_s = (uint32_t)((entry->end_ms - now_ms) / 1000);
    return true;
}

static size_t packed_size(const struct dns_answer *answer)
{
    size_t size = answer->addrs_count * sizeof(struct addr);

    for (size_t i = 1; i < answer->chain_count; i++)
        size += 1u + answer->chain[i].length;
    return size;
}

static void pack(const struct dns_answer *answer, uint8_t *at)
{
    for (size_t i = 1; i < answer->chain_count; i++) {
        *at++ = answer->chain[i].length;
        memcpy(at, answer->chain[i].wire, answer->chain[i].length);
        at += answer->chain[i].length;
    }
    memcpy(at, answer->addrs, answer->addrs_count * sizeof(struct addr));
}

void dns_cache_put(struct dns_cache *cache, const struct dns_name *name, uint16_t type,
                   uint64_t now_ms, const struct dns_answer *answer)
{
    struct entry *entry = find(cache, name, type);
    size_t size = sizeof *entry + packed_size(answer);

    if (entry)
        entry_remove(cache, entry);
    if (answer->ttl_s == 0)
        return;
    while (cache->count >= DNS_CACHE_ENTRIES ||
           (cache->count > 0 && cache->bytes + size > DNS_CACHE_BYTES))
        entry_remove(cache, TAILQ_FIRST(&cache->by_use));
    entry = calloc(1, size);
    if (!entry)
        return; /* it is asked for again */
    entry->name = *name;
    entry->type = type;
    entry->end_ms = now_ms + (uint64_t)answer->ttl_s * 1000;
    entry->size = size;
    entry->rcode = answer->rcode;
    entry->chain_count = answer->chain_count;
    entry->addrs_count = answer->addrs_count;
    pack(answer, entry->bytes);
    LIST_INSERT_HEAD(&cache->buckets[bucket_of(name, type)], entry, in_bucket);
    TAILQ_INSERT_TAIL(&cache->by_use, entry, by_use);
    cache->count++;
    cache->bytes += size;
}
