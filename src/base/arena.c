/* Arenas: chunks in a list, newest first; small items are cut from the newest chunk, large ones get
 * a chunk of their own, so that a growing array of a million items can be resized in place by the
 * C library instead of being copied into ever larger holes. The first chunk is small, each further
 * one twice the last: most arenas hold little, and each page that is touched costs 3 to 18 us of
 * the start and again of every fork.
 *
 * Pure memory, no privilege. What must not happen: a NULL returned to a caller, or a size that
 * wraps around. Both end the process, which has touched nothing yet. */
#include "base/arena.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CHUNK_SIZE_MIN ((size_t)976) /* with the headers: four to a page */
#define CHUNK_SIZE_MAX ((size_t)64 * 1024)
#define LARGE_SIZE     (CHUNK_SIZE_MAX / 4)

struct chunk {
    struct chunk *next;
    struct chunk *previous;
    size_t size;
    size_t used;
    max_align_t data[];
};

struct arena {
    struct chunk *small; /* the last is the one that items are cut from */
    struct chunk *large;
};

static _Noreturn void out_of_memory(void)
{
    (void)fputs("netjail: out of memory\n", stderr); /* the process ends in any case */
    exit(125);
}

static size_t size_multiply(size_t a, size_t b)
{
    size_t product;

    if (__builtin_mul_overflow(a, b, &product))
        out_of_memory();
    return product;
}

static size_t size_align(size_t size)
{
    size_t rounded;

    if (__builtin_add_overflow(size, _Alignof(max_align_t) - 1, &rounded))
        out_of_memory();
    return rounded / _Alignof(max_align_t) * _Alignof(max_align_t);
}

static struct chunk *chunk_new(struct chunk **list, size_t size)
{
    size_t total;
    struct chunk *chunk;

    if (__builtin_add_overflow(sizeof *chunk, size, &total))
        out_of_memory();
    chunk = calloc(1, total);
    if (!chunk)
        out_of_memory();
    chunk->size = size;
    chunk->next = *list;
    if (*list)
        (*list)->previous = chunk;
    *list = chunk;
    return chunk;
}

/* The next chunk to cut from, with room for `size` < LARGE_SIZE. */
static struct chunk *chunk_grow(struct arena *arena, size_t size)
{
    size_t next = arena->small ? arena->small->size * 2 : CHUNK_SIZE_MIN;

    while (next < size)
        next *= 2;
    return chunk_new(&arena->small, next < CHUNK_SIZE_MAX ? next : CHUNK_SIZE_MAX);
}

static void chunks_free(struct chunk *chunk)
{
    while (chunk) {
        struct chunk *next = chunk->next;

        free(chunk);
        chunk = next;
    }
}

struct arena *arena_new(void)
{
    return calloc(1, sizeof(struct arena));
}

void arena_free(struct arena *arena)
{
    if (!arena)
        return;
    chunks_free(arena->small);
    chunks_free(arena->large);
    free(arena);
}

void *arena_alloc(struct arena *arena, size_t size)
{
    struct chunk *chunk = arena->small;
    char *item;

    size = size_align(size ? size : 1);
    if (size >= LARGE_SIZE)
        return chunk_new(&arena->large, size)->data;
    if (!chunk || chunk->size - chunk->used < size)
        chunk = chunk_grow(arena, size);
    item = (char *)chunk->data + chunk->used;
    chunk->used += size;
    return item;
}

char *arena_strndup(struct arena *arena, const char *text, size_t length)
{
    char *copy = arena_alloc(arena, length + 1);

    if (length)
        memcpy(copy, text, length);
    return copy;
}

char *arena_printf(struct arena *arena, const char *format, ...)
{
    va_list args;
    char *text = NULL;
    char *copy;
    int length;

    va_start(args, format);
    length = vasprintf(&text, format, args);
    va_end(args);
    if (length < 0)
        out_of_memory();
    copy = arena_strndup(arena, text, (size_t)length);
    free(text);
    return copy;
}

/* Resizes an item that has a chunk of its own; the new part is zeroed. */
static void *large_resize(struct arena *arena, void *item, size_t old_size, size_t new_size)
{
    struct chunk *chunk = (struct chunk *)((char *)item - offsetof(struct chunk, data));
    size_t total;

    if (__builtin_add_overflow(sizeof *chunk, new_size, &total))
        out_of_memory();
    chunk = realloc(chunk, total);
    if (!chunk)
        out_of_memory();
    chunk->size = new_size;
    memset((char *)chunk->data + old_size, 0, new_size - old_size);
    if (chunk->previous)
        chunk->previous->next = chunk;
    else
        arena->large = chunk;
    if (chunk->next)
        chunk->next->previous = chunk;
    return chunk->data;
}

void *arena_grow(struct arena *arena, void *array, size_t count, size_t *capacity, size_t item_size)
{
    size_t old_size = *capacity * item_size;
    size_t new_capacity;
    size_t new_size;
    void *grown;

    if (count < *capacity)
        return array;
    new_capacity = *capacity ? size_multiply(*capacity, 2) : 8;
    new_size = size_multiply(new_capacity, item_size);
    if (array && size_align(old_size) >= LARGE_SIZE) {
        grown = large_resize(arena, array, old_size, size_align(new_size));
    } else {
        grown = arena_alloc(arena, new_size);
        if (old_size)
            memcpy(grown, array, old_size);
    }
    *capacity = new_capacity;
    return grown;
}
