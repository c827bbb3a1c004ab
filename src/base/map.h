/* A table from byte strings to numbers, in an arena: which item of an array has this name. */
#pragma once

#include "base/arena.h"

#include <stdbool.h>
#include <stddef.h>

struct map_entry;

/* Zero-initialised but for `arena`. */
struct map {
    struct arena *arena;
    struct map_entry *entries;
    size_t capacity;
    size_t count;
};

/* True and the number, or false when the key is not there. */
bool map_find(const struct map *map, const void *key, size_t length, size_t *ret_value);

/* Adds a key, which must not be there yet. The bytes are not copied: they must live as long. */
void map_add(struct map *map, const void *key, size_t length, size_t value);
