/* Starts the command, in init's child. */
#pragma once

#include "jail/jail.h"

struct spawn {
    const struct jail_setup *setup;
    pid_t netjail_pid; /* what LISTEN_PID and WATCHDOG_PID named from the caller's side */
    bool own_group;    /* give the command a process group of its own */
    /* Called in the child, when all is prepared: returns on release, true when the command's group
     * shall get the terminal. */
    bool (*wait_release)(void *context);
    void *context;
};

/* Forks the command, which waits for its release, and waits until its exec() succeeded. On failure
 * the child is reaped and *error says why. *ret_refused tells whether it was execve(2) that failed
 * (-ENOENT, -EACCES...) or something before it; it is written in any case. */
int spawn_command(const struct spawn *spawn, pid_t *ret_pid, bool *ret_refused,
                  struct error *error);

/* execvpe(3), which returns a negative errno when it fails: -ENOENT when no directory of PATH that
 * may be searched has the command. */
int command_execute(char *const *argv);

/* Makes process group `group` the terminal's foreground group; nothing without a terminal. */
void terminal_give(pid_t group);

/* Is this process's group the foreground group of its terminal? */
bool terminal_is_ours(void);

/* /dev/null in the place of what must not be at 0, 1 or 2: a directory leads around the jail's
 * mounts, a namespace or a socket of the kernel's around its network. */
int standard_close(struct error *error);

/* Closes the inherited descriptors that the command must not have (see descriptors.c). */
int descriptors_close(const struct jail_setup *setup, pid_t netjail_pid, struct error *error);

/* Closes what this process has inherited from 3 on, so that the caller's pipes end when the command
 * closes them. What cannot be listed (no /proc) stays open. Allocates nothing. */
void descriptors_forget(void);

/* NETJAIL_NAME and NETJAIL_POLICY: before init is made, which inherits them for the command. */
int environment_name(const struct jail_setup *setup, struct error *error);

/* LISTEN_PID and WATCHDOG_PID, where they name netjail: rewritten for this process. */
int environment_pids(pid_t netjail_pid, struct error *error);
