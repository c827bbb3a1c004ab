/* Open addressing with linear probing, at most half full; hash FNV-1a (64 bits).
 *
 * Pure memory, no privilege. The keys come from a policy, which its owner is trusted with: nobody
 * gains from choosing colliding ones. */
#include "base/map.h"

#include <stdint.h>
#include <string.h>

struct map_entry {
    const void *key; /* NULL: free */
    size_t length;
    size_t value;
    uint64_t hash;
};

static uint64_t hash_bytes(const void *key, size_t length)
{
    const unsigned char *bytes = key;
    uint64_t hash = 0xcbf29ce484222325u;

    for (size_t i = 0; i < length; i++)
        hash = (hash ^ bytes[i]) * 0x100000001b3u;
    return hash;
}

/* The entry of this key, or the free one where it would stand. */
static struct map_entry *entry_of(const struct map *map, const void *key, size_t length,
                                  uint64_t hash)
{
    size_t i = (size_t)hash & (map->capacity - 1);

    while (map->entries[i].key &&
           !(map->entries[i].hash == hash && map->entries[i].length == length &&
             memcmp(map->entries[i].key, key, length) == 0))
        i = (i + 1) & (map->capacity - 1);
    return &map->entries[i];
}

bool map_find(const struct map *map, const void *key, size_t length, size_t *ret_value)
{
    const struct map_entry *entry;

    if (map->capacity == 0)
        return false;
    entry = entry_of(map, key, length, hash_bytes(key, length));
    if (!entry->key)
        return false;
    *ret_value = entry->value;
    return true;
}

static void map_double(struct map *map)
{
    struct map old = *map;

    map->capacity = old.capacity ? old.capacity * 2 : 16;
    map->entries = arena_alloc(map->arena, map->capacity * sizeof *map->entries);
    for (size_t i = 0; i < old.capacity; i++) {
        const struct map_entry *entry = &old.entries[i];

        if (entry->key)
            *entry_of(map, entry->key, entry->length, entry->hash) = *entry;
    }
}

void map_add(struct map *map, const void *key, size_t length, size_t value)
{
    uint64_t hash = hash_bytes(key, length);

    if (map->count * 2 >= map->capacity)
        map_double(map);
    *entry_of(map, key, length, hash) = (struct map_entry){key, length, value, hash};
    map->count++;
}
