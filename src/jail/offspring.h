/* All descendants of a child subreaper, where no pid namespace holds them together. */
#pragma once

/* Kills every descendant and reaps it. Returns when there is none. */
void offspring_kill(void);

/* Sends a signal to every direct child (orphans are among them). */
void offspring_signal(int signal);
