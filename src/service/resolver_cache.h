/* Answers that may be given again. Bounded: the least recently used goes first. */
#pragma once

#include "service/resolver_message.h"

struct dns_cache;

#define DNS_CACHE_ENTRIES 4096
#define DNS_CACHE_BYTES   ((size_t)8 * 1024 * 1024)

struct dns_cache *dns_cache_new(void); /* NULL: out of memory */
void dns_cache_free(struct dns_cache *cache);

/* Copies the answer to *ret_answer with the TTL that is left; false: it is not there. */
bool dns_cache_find(struct dns_cache *cache, const struct dns_name *name, uint16_t type,
                    uint64_t now_ms, struct dns_answer *ret_answer);

/* Keeps a copy for ttl_s seconds (0: does not), in the place of an older one. */
void dns_cache_put(struct dns_cache *cache, const struct dns_name *name, uint16_t type,
                   uint64_t now_ms, const struct dns_answer *answer);
