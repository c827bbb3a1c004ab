/* Facts about processes. */
#pragma once

#include <stdint.h>
#include <sys/types.h>

/* Start time of a process in clock ticks since boot (field 22 of /proc/PID/stat, proc(5)), which
 * with the pid tells it from a later process of the same number; 0 when there is no such process.
 */
uint64_t process_start_time(pid_t pid);

/* The real user of the process whose directory below /proc is open. -ESRCH: the process is gone. */
int process_user(int process_fd, uid_t *ret_uid);

/* The parent of the process whose directory below /proc is open. -ESRCH: the process is gone. */
int process_parent(int process_fd, pid_t *ret_parent);
