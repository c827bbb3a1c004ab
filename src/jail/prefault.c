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

void heap_prefault(size_t size)
{
    uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
    (void)mallopt(M_TRIM_THRESHOLD, TRIM_BYTES); /* where it fails, the heap shrinks and grows */
    char *room = malloc(size);
    uintptr_t from = (uintptr_t)room / page * page;

    if (room) /* older than 5.14: pages come one by one */
        (void)madvise((void *)from, (uintptr_t)room + size - from, MADV_POPULATE_WRITE);
    free(room);
}
