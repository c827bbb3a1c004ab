/* The supervisor's additional event sources.
 *
 * A source keeps its place for as long as it is watched; a place that becomes free, or gets a new
 * source, during a round has nothing to report in that round. So callbacks may add and remove
 * whatever they like. No privilege. What must not happen: a callback for a source that has been
 * removed (its owner may have closed the descriptor, and another has got the number). */
#include "jail/events.h"

#include <errno.h>

static const struct pollfd nobody = {.fd = -1};

void events_init(struct events *events)
{
    *events = (struct events){0};
    for (size_t i = 0; i < EVENTS_RESERVED + EVENTS_MAX; i++)
        events->polls[i] = nobody;
}

int events_add(struct events *events, struct event_source *source)
{
    for (size_t i = 0; i < EVENTS_MAX; i++) {
        if (events->sources[i])
            continue;
        events->sources[i] = source;
        events->polls[EVENTS_RESERVED + i] =
            (struct pollfd){.fd = source->fd, .events = source->events};
        if (i >= events->used)
            events->used = i + 1;
        return 0;
    }
    return -ENOSPC;
}

void events_remove(struct events *events, struct event_source *source)
{
    for (size_t i = 0; i < events->used; i++) {
        if (events->sources[i] != source)
            continue;
        events->sources[i] = NULL;
        events->polls[EVENTS_RESERVED + i] = nobody;
    }
    while (events->used > 0 && !events->sources[events->used - 1])
        events->used--;
}

size_t events_count(const struct events *events)
{
    return EVENTS_RESERVED + events->used;
}

void events_dispatch(struct events *events)
{
    for (size_t i = 0; i < events->used; i++) {
        struct event_source *source = events->sources[i];
        short revents = events->polls[EVENTS_RESERVED + i].revents;

        if (source && revents)
            source->ready(source->context, revents);
    }
}
