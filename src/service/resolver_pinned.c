/* The table of names and their addresses: what policy_decide() in the service is told about names,
 * what PTR answers, and the limit of addresses that a name may have.
 *
 * What must not happen: the service refusing what the kernel has admitted (entries live a little
 * longer than the kernel's); memory that grows with what the jail asks or a server answers. */
#include "service/resolver_pinned.h"

#include "policy/names.h"

#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#define BUCKETS  4096 /* a power of two */
#define SWEEP_MS 10000

struct entry {
    LIST_ENTRY(entry) in_bucket; /* by address */
    LIST_ENTRY(entry) of_name;   /* by name */
    struct addr addr;
    uint64_t end_ms;
    struct dns_name name;
};

struct pinned {
    LIST_HEAD(pinned_bucket, entry) buckets[BUCKETS];
    LIST_HEAD(pinned_names, entry) names[BUCKETS];
    size_t count;
    uint64_t swept_ms;
};

struct pinned *pinned_new(void)
{
    return calloc(1, sizeof(struct pinned));
}

static void entry_remove(struct pinned *pinned, struct entry *entry)
{
    LIST_REMOVE(entry, in_bucket);
    LIST_REMOVE(entry, of_name);
    pinned->count--;
    free(entry);
}

void pinned_free(struct pinned *pinned)
{
    for (size_t i = 0; pinned && i < BUCKETS; i++) {
        while (!LIST_EMPTY(&pinned->buckets[i]))
            entry_remove(pinned, LIST_FIRST(&pinned->buckets[i]));
    }
    free(pinned);
}

static size_t hash(const uint8_t *bytes, size_t length)
{
    uint32_t value = 2166136261u; /* FNV-1a */

    for (size_t i = 0; i < length; i++)
        value = (value ^ bytes[i]) * 16777619u;
    return (value ^ value >> 16) & (BUCKETS - 1);
}

static void sweep(struct pinned *pinned, uint64_t now_ms)
{
    if (now_ms - pinned->swept_ms < SWEEP_MS)
        return;
    pinned->swept_ms = now_ms;
    for (size_t i = 0; i < BUCKETS; i++) {
        struct entry *next;

        for (struct entry *entry = LIST_FIRST(&pinned->buckets[i]); entry; entry = next) {
            next = LIST_NEXT(entry, in_bucket);
            if (entry->end_ms <= now_ms)
                entry_remove(pinned, entry);
        }
    }
}

bool pinned_note(struct pinned *pinned, const struct dns_name *name, const struct addr *addr,
                 uint32_t seconds, uint64_t now_ms)
{
    size_t bucket = hash(name->wire, name->length);
    uint64_t end_ms = now_ms + (uint64_t)seconds * 1000 + PINNED_GRACE_MS;
    struct entry *entry, *next;
    size_t count = 0;

    sweep(pinned, now_ms);
    for (entry = LIST_FIRST(&pinned->names[bucket]); entry; entry = next) {
        next = LIST_NEXT(entry, of_name);
        if (!dns_name_equal(&entry->name, name))
            continue;
        if (addr_equal(&entry->addr, addr)) {
            if (entry->end_ms < end_ms)
                entry->end_ms = end_ms;
            return true;
        }
        if (entry->end_ms <= now_ms)
            entry_remove(pinned, entry);
        else
            count++;
    }
    if (count >= PINNED_PER_NAME || pinned->count >= PINNED_MAX ||
        !(entry = calloc(1, sizeof *entry)))
        return false;
    entry->name = *name;
    entry->addr = *addr;
    entry->end_ms = end_ms;
    LIST_INSERT_HEAD(&pinned->names[bucket], entry, of_name);
    LIST_INSERT_HEAD(&pinned->buckets[hash((const uint8_t *)addr, sizeof *addr)], entry, in_bucket);
    pinned->count++;
    return true;
}

bool pinned_item_has(const struct pinned *pinned, const struct set_item *item,
                     const struct addr *addr, uint64_t now_ms)
{
    const struct entry *entry;
    char text[DNS_NAME_MAX];

    LIST_FOREACH(entry, &pinned->buckets[hash((const uint8_t *)addr, sizeof *addr)], in_bucket)
    {
        if (entry->end_ms > now_ms && addr_equal(&entry->addr, addr) &&
            dns_name_text(&entry->name, text) && name_matches(item, text, strlen(text)))
            return true;
    }
    return false;
}

bool pinned_name_of(const struct pinned *pinned, const struct addr *addr, uint64_t now_ms,
                    struct dns_name *ret_name)
{
    const struct entry *entry;

    LIST_FOREACH(entry, &pinned->buckets[hash((const uint8_t *)addr, sizeof *addr)], in_bucket)
    {
        if (entry->end_ms > now_ms + PINNED_GRACE_MS && addr_equal(&entry->addr, addr)) {
            *ret_name = entry->name;
            return true;
        }
    }
    return false;
}

size_t pinned_some_of(const struct pinned *pinned, const struct dns_name *name, uint8_t family,
                      uint64_t now_ms, struct addr *ret_addrs, size_t max)
{
    const struct entry *entry;
    size_t count = 0;

    LIST_FOREACH(entry, &pinned->names[hash(name->wire, name->length)], of_name)
    {
        if (count < max && entry->end_ms > now_ms && entry->addr.family == family &&
            dns_name_equal(&entry->name, name))
            ret_addrs[count++] = entry->addr;
    }
    return count;
}
