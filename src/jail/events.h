/* What else the supervisor waits for while the command runs, beside init and signals: descriptors
 * of those who serve something through it (the control socket, the service's messages, sd_notify).
 *
 * A fixed number of places: the supervisor allocates nothing once the command runs. */
#pragma once

#include <poll.h>
#include <stddef.h>

#define EVENTS_MAX      64
#define EVENTS_RESERVED 2 /* supervise()'s own, in front */

struct event_source {
    int fd;
    short events; /* as in poll(2) */
    /* Called when one of them, POLLHUP or POLLERR is there. Must not block, and must take away
     * what made it ready (read it, or remove the source): else it is called again at once. May add
     * and remove sources, itself included. */
    void (*ready)(void *context, short revents);
    void *context;
};

struct events {
    struct pollfd polls[EVENTS_RESERVED + EVENTS_MAX]; /* fd -1: a free place */
    struct event_source *sources[EVENTS_MAX];          /* NULL: a free place */
    size_t used;                                       /* places from here on are free */
};

void events_init(struct events *events);

/* Watches the source, which stays the caller's and must stay where it is until it is removed. May
 * be called before supervise() and out of a callback. -ENOSPC: EVENTS_MAX are watched already. */
int events_add(struct events *events, struct event_source *source);

/* Watches it no longer: ready() is not called any more, not even for what this round of poll(2) has
 * found. Its descriptor stays open. Nothing when it is not watched. */
void events_remove(struct events *events, struct event_source *source);

/* The number of places for poll(2), those in front included. */
size_t events_count(const struct events *events);

/* Calls ready() of each source that the last poll(2) on events->polls found ready. */
void events_dispatch(struct events *events);
