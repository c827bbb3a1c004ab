/* Gives the pages of this program's file back, to be read again when they are needed. */
#pragma once

/* For a command that runs longer than this: for a short one reading them again costs more. */
#define MEMORY_TRIM_AFTER_MS 1000

void memory_trim(void);
