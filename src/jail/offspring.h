/* All descendants of a child subreaper, where no pid namespace holds them together. */
#pragma once

#include <stdbool.h>

/* Has this process a child? Orphans are ours as soon as their parent has ended: whoever has no
 * child has no descendant. */
bool offspring_exists(void);

/* Kills every descendant and reaps it. Returns when there is none. */
void offspring_kill(void);

/* Sends a signal to every direct child (orphans are among them). */
void offspring_signal(int signal);
