/* Gives back the memory of the start.
 *
 * What netjail has mapped of its own file counts as its memory, although it is the page cache's:
 * most of it was needed once, before the command ran. Dropped pages come back by themselves when
 * they are touched, from the cache. Of the heap the free pages go, of the stack those below the
 * present frame, which the start has used. No privilege, no allocation. */
#include "jail/trim.h"

#include <link.h>
#include <malloc.h>
#include <stddef.h>
#include <sys/mman.h>
#include <unistd.h>

#define RANGES_MAX 16
#define PIECE      ((uintptr_t)64 * 1024) /* what a fault maps around itself anyhow */
#define STACK_KEPT ((uintptr_t)2048)      /* for what we call here */

struct ranges {
    struct {
        uintptr_t from, to;
    } list[RANGES_MAX];
    size_t count;
    uintptr_t page;
};

static int object_note(struct dl_phdr_info *object, size_t size, void *context)
{
    struct ranges *ranges = context;

    (void)size;
    for (unsigned i = 0; i < object->dlpi_phnum && ranges->count < RANGES_MAX; i++) {
        const ElfW(Phdr) *part = &object->dlpi_phdr[i];
        uintptr_t from = object->dlpi_addr + part->p_vaddr;
        uintptr_t to = (from + part->p_memsz) / ranges->page * ranges->page;

        from = (from + ranges->page - 1) / ranges->page * ranges->page;
        if (part->p_type != PT_LOAD || (part->p_flags & PF_W) || from >= to)
            continue;
        ranges->list[ranges->count].from = from;
        ranges->list[ranges->count++].to = to;
    }
    return 0;
}

/* Pages below that are not there, or end the stack, are no harm: the kernel keeps a gap of 1 MiB
 * between a stack and what is mapped below it, and init's own is large enough (stack.c). */
void memory_trim_below(const void *frame)
{
    uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
    uintptr_t end = (uintptr_t)frame / page * page;

    (void)madvise((void *)(end - MEMORY_TRIM_STACK), MEMORY_TRIM_STACK, MADV_DONTNEED);
}

__attribute__((noinline)) static void stack_trim(void)
{
    memory_trim_below((const void *)((uintptr_t)__builtin_frame_address(0) - STACK_KEPT));
}

/* Cuts a mapping in pieces. Linux 6.18 answers a fault with the whole folio that the page cache
 * holds there, if that lies within the mapping: of a program that was just written or read this may
 * be half of it. The advice itself, for every other piece, says what is so already: what is a
 * file's is not dumped. */
static void range_cut(uintptr_t from, uintptr_t to)
{
    for (; from < to; from += 2 * PIECE)
        (void)madvise((void *)from, to - from < PIECE ? to - from : PIECE, MADV_DONTDUMP);
}

/* All ranges are found before the first is dropped: what runs in between would come back. */
void memory_trim(void)
{
    struct ranges ranges = {.page = (uintptr_t)sysconf(_SC_PAGESIZE)};

    (void)malloc_trim(0);
    (void)dl_iterate_phdr(object_note, &ranges); /* ends with what object_note() returns */
    for (size_t i = 0; i < ranges.count; i++) {  /* else it stays: no harm */
        uintptr_t from = ranges.list[i].from;
        uintptr_t to = ranges.list[i].to;

        range_cut(from, to);
        (void)madvise((void *)from, to - from, MADV_DONTNEED);
    }
    stack_trim();
}
