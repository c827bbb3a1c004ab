/* Gives the pages of this program's file back, to be read again when they are needed. */
#pragma once

#include <stddef.h>

/* For a command that runs longer than this: for a short one reading them again costs more. */
#define MEMORY_TRIM_AFTER_MS 1000

/* How far below its caller's frame it looks for a stack that was used: what is there and is no
 * stack would be lost. */
#define MEMORY_TRIM_STACK ((size_t)512 * 1024)

void memory_trim(void);

/* The same for a stack on which nobody runs any more below this frame. */
void memory_trim_below(const void *frame);
