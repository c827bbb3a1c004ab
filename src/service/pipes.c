/* Pipes between two sockets. A connection holds a pipe only while bytes are in it, so that a
 * thousand idle connections cost no pipes.
 *
 * A pipe starts with what the kernel gives (64 KiB, and 8 KiB when the user has many) and is made 1
 * MiB when a connection fills it: the kernel counts a user's pipe pages (pipe-user-pages-soft, 64
 * MiB by default, pipe(7)), and large pipes for connections that do not need them would leave those
 * that do with two pages. No privilege. */
#include "service/pipes.h"

#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

void pipes_init(struct pipes *pipes, size_t count_max)
{
    pipes->count = 0;
    pipes->count_max = count_max;
    TAILQ_INIT(&pipes->idle);
    pipes->idle_count = 0;
    pipes->grown_count = 0;
}

static void pipe_close(struct pipes *pipes, struct relay_pipe *relay_pipe)
{
    if (relay_pipe->capacity >= PIPE_CAPACITY_MAX)
        pipes->grown_count--;
    (void)close(relay_pipe->read_fd); /* pipes hold nothing that close could lose */
    (void)close(relay_pipe->write_fd);
    free(relay_pipe);
    pipes->count--;
}

void pipes_close_idle(struct pipes *pipes)
{
    struct relay_pipe *relay_pipe;

    while ((relay_pipe = TAILQ_FIRST(&pipes->idle))) {
        TAILQ_REMOVE(&pipes->idle, relay_pipe, entry);
        pipe_close(pipes, relay_pipe);
    }
    pipes->idle_count = 0;
}

struct relay_pipe *pipes_take(struct pipes *pipes)
{
    struct relay_pipe *relay_pipe = TAILQ_FIRST(&pipes->idle);
    int ends[2];
    int capacity;

    if (relay_pipe) {
        TAILQ_REMOVE(&pipes->idle, relay_pipe, entry);
        pipes->idle_count--;
        return relay_pipe;
    }
    relay_pipe = pipes->count < pipes->count_max ? calloc(1, sizeof *relay_pipe) : NULL;
    if (!relay_pipe)
        return NULL;
    if (pipe2(ends, O_CLOEXEC | O_NONBLOCK) < 0) {
        free(relay_pipe);
        return NULL;
    }
    pipes->count++;
    capacity = fcntl(ends[0], F_GETPIPE_SZ);
    relay_pipe->read_fd = ends[0];
    relay_pipe->write_fd = ends[1];
    relay_pipe->capacity = capacity > 0 ? (size_t)capacity : 4096;
    if (relay_pipe->capacity >= PIPE_CAPACITY_MAX)
        pipes->grown_count++;
    return relay_pipe;
}

void pipes_give(struct pipes *pipes, struct relay_pipe *relay_pipe, bool is_empty)
{
    if (!is_empty || pipes->idle_count >= PIPES_IDLE_MAX) {
        pipe_close(pipes, relay_pipe);
        return;
    }
    /* Last in, first out: its pages are the warm ones, and a grown one is used again. */
    TAILQ_INSERT_HEAD(&pipes->idle, relay_pipe, entry);
    pipes->idle_count++;
}

void pipes_grow(struct pipes *pipes, struct relay_pipe *relay_pipe)
{
    int capacity;

    if (relay_pipe->is_final || pipes->grown_count >= PIPES_GROWN_MAX)
        return;
    relay_pipe->is_final = true;
    if (relay_pipe->capacity >= PIPE_CAPACITY_MAX)
        return;
    capacity = fcntl(relay_pipe->write_fd, F_SETPIPE_SZ, (int)PIPE_CAPACITY_MAX);
    if (capacity < 0)
        return; /* EPERM: the user's quota; the pipe stays as it is */
    relay_pipe->capacity = (size_t)capacity;
    pipes->grown_count++;
}
