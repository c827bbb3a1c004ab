/* Maps the heap at once.
 *
 * The start of a jail with links, rules or a service writes some forty pages of a new heap, and
 * each of them would be a fault of its own: a twentieth of that start where the machine is a
 * virtual one. What was not needed after all goes back with memory_trim(). No privilege. */
#include "jail/prefault.h"

#include <malloc.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

/* The C library gives the end of its heap back from 128 KiB on, which is what we ask for. */
#define TRIM_BYTES (1024 * 1024)

/* Older kernels than 5.14 refuse: pages come one by one. */
static void populate(void *first, size_t size)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    size_t before = (size_t)((uintptr_t)first % page);

    (void)madvise((char *)first - before, before + size, MADV_POPULATE_WRITE);
}

void heap_prefault(size_t size)
{
    (void)mallopt(M_TRIM_THRESHOLD, TRIM_BYTES); /* where it fails, the heap shrinks and grows */
    void *room = malloc(size);

    if (room)
        populate(room, size);
    free(room);
}
