/* sd_notify(3) across the jail's border: a socket in the jail, a relay in the supervisor. */
#pragma once

#include "base/diag.h"
#include "jail/notify_text.h"

#include <pthread.h>
#include <stdatomic.h>
#include <sys/socket.h>
#include <sys/un.h>

struct jail_setup;

#define NOTIFY_FDS_MAX 253 /* SCM_MAX_FD of the kernel */

/* The relay; zeroed but for the descriptors, which are -1. Must stay where it is while it runs. */
struct notify {
    struct sockaddr_un manager; /* the caller's NOTIFY_SOCKET */
    socklen_t manager_length;
    int manager_fd; /* connected to it */
    int jail_fd;    /* what init opened in the jail; owned once notify_begin() has it */
    uint64_t jail_cookie;
    pthread_t thread;
    bool runs;
    atomic_bool ending;
    bool told; /* refused() was called */
    void (*refused)(void *context);
    void *context;
    char text[NOTIFY_TEXT_MAX + 1];
    int fds[NOTIFY_FDS_MAX];
};

/* Connects to the caller's NOTIFY_SOCKET `address` ("/path" or "@abstract"). Negative errno when
 * there is nobody; -EAFNOSUPPORT for another kind of address. Prints nothing. */
int notify_connect(struct notify *notify, const char *address);

/* Relays from now on what arrives at `jail_fd` (taken over), by a thread that is made here: after
 * the supervisor's last change of capabilities, before the command runs. refused() is called once,
 * by that thread, when descriptors that may not leave the jail were held back. */
int notify_begin(struct notify *notify, int jail_fd, void (*refused)(void *context), void *context,
                 struct error *error);

/* Relays what is still queued, for at most a second, and ends the relay. For after the command's
 * end; safe when it never began. */
void notify_end(struct notify *notify);

/* Init: opens the jail's socket and puts it into NOTIFY_SOCKET of its own environment, which the
 * command inherits; without setup->notify takes a NOTIFY_SOCKET that leads nowhere away.
 * `run_covered`: /run is the jail's own. Returns with *ret_fd -1 when none is wanted. */
int notify_open(const struct jail_setup *setup, bool run_covered, int *ret_fd, struct error *error);
