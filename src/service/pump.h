/* Carries the bytes of one direction of a connection with splice(2). */
#pragma once

#include <stdbool.h>
#include <stddef.h>

struct pipes;
struct relay_pipe;

struct pump {
    struct relay_pipe *pipe; /* held only while bytes are in it */
    size_t pending;          /* bytes in the pipe */
    bool is_blocked;         /* the destination took no more when it was asked last */
    bool is_bulk;            /* there was much the last time */
    bool source_ended;
    bool done; /* and the end was passed on */
};

enum pump_result {
    PUMP_WAIT,  /* the source has nothing or the destination takes nothing: epoll will tell */
    PUMP_MORE,  /* it could go on, but others are to have their turn */
    PUMP_DONE,  /* the source ended and the destination knows */
    PUMP_ERROR, /* one of them failed: the connection is to be reset */
};

/* Moves what can be moved without waiting from `source` to `destination`, both non-blocking TCP
 * sockets watched edge-triggered. `close_tells`: the caller closes both when this has ended, which
 * tells the destination as well. */
enum pump_result pump_run(struct pump *pump, struct pipes *pipes, int source, int destination,
                          bool close_tells);

/* Gives the pipe back. */
void pump_close(struct pump *pump, struct pipes *pipes);
