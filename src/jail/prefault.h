/* Maps what is about to be used at once, instead of one page fault after the other. */
#pragma once

#include <stddef.h>

/* The next `size` bytes of the heap, at most 120 KiB. Nothing is promised: where it does nothing,
 * pages come as ever. See MADV_POPULATE_WRITE in madvise(2). */
void heap_prefault(size_t size);
