/* A region of memory that is freed as a whole. Everything a policy or a plan consists of lives in
 * one arena, so that freeing it is one call and no pointer in it can outlive another. */
#pragma once

#include <stddef.h>

struct arena;

/* A new empty arena, or NULL when out of memory. The caller frees it with arena_free(). */
struct arena *arena_new(void);

/* Frees the arena and all that was allocated from it; NULL is allowed. */
void arena_free(struct arena *arena);

/* `size` zeroed bytes, aligned for any type; never NULL: out of memory ends the process with a
 * message and exit status 125 (nothing has been touched while an arena is being filled). */
void *arena_alloc(struct arena *arena, size_t size);

/* A copy of the `length` bytes at `text` with a NUL appended. */
char *arena_strndup(struct arena *arena, const char *text, size_t length);

/* printf into the arena. */
char *arena_printf(struct arena *arena, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Makes room for one more item at the end of an array that lives in the arena: doubles the capacity
 * when `count` has reached it. Returns the (possibly moved) array. */
void *arena_grow(struct arena *arena, void *array, size_t count, size_t *capacity,
                 size_t item_size);

/* Appends a zeroed item to `array` (members array, array##_count, array##_capacity of `owner`) and
 * evaluates to a pointer to it. */
#define ARENA_PUSH(arena, owner, array)                                                            \
    ((owner)->array = arena_grow((arena), (owner)->array, (owner)->array##_count,                  \
                                 &(owner)->array##_capacity, sizeof *(owner)->array),              \
     &(owner)->array[(owner)->array##_count++])
