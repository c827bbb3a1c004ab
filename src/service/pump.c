/* One direction of a connection: socket -> pipe -> socket, no byte through user space.
 *
 * Backpressure is that of the kernel: what the destination does not take stays in the pipe, a full
 * pipe leaves the rest in the source's receive buffer, whose window then closes. The end of the
 * source is passed on as an end (half-close) when the pipe is empty. EAGAIN of a splice from the
 * socket means "nothing there" only when the pipe is empty, else it may mean "pipe full"; so the
 * pipe is emptied and the socket asked again before we wait, which is what edge-triggered epoll
 * needs. No privilege. */
#include "service/pump.h"

#include "service/pipes.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>

/* Bytes and steps of one turn: a fast connection keeps the others waiting a few ms at most, also
 * when its peer sends single bytes. */
#define TURN_BYTES ((size_t)2 * 1024 * 1024)
#define TURN_STEPS 64

void pump_close(struct pump *pump, struct pipes *pipes)
{
    if (pump->pipe)
        pipes_give(pipes, pump->pipe, pump->pending == 0);
    pump->pipe = NULL;
    pump->pending = 0;
}

/* Source to pipe. PUMP_MORE: go on with the pipe. */
static enum pump_result fill(struct pump *pump, struct pipes *pipes, int source)
{
    ssize_t moved;

    if (pump->source_ended)
        return PUMP_MORE;
    if (!pump->pipe)
        pump->pipe = pipes_take(pipes);
    if (!pump->pipe)
        return PUMP_ERROR;
    moved = splice(source, NULL, pump->pipe->write_fd, NULL, PIPE_CAPACITY_MAX,
                   SPLICE_F_NONBLOCK | SPLICE_F_MOVE);
    if (moved > 0) {
        pump->pending += (size_t)moved;
        if (pump->pending >= pump->pipe->capacity / 2)
            pipes_grow(pipes, pump->pipe);
    } else if (moved == 0) {
        pump->source_ended = true;
    } else if (errno == EAGAIN) {
        return pump->pending == 0 ? PUMP_WAIT : PUMP_MORE;
    } else if (errno != EINTR) {
        return PUMP_ERROR;
    }
    return PUMP_MORE;
}

/* Pipe to destination. PUMP_MORE: it took something. */
static enum pump_result drain(struct pump *pump, int destination, size_t *moved_total)
{
    ssize_t moved;

    if (pump->pending == 0)
        return PUMP_MORE;
    moved = splice(pump->pipe->read_fd, NULL, destination, NULL, pump->pending,
                   SPLICE_F_NONBLOCK | SPLICE_F_MOVE);
    if (moved > 0) {
        pump->pending -= (size_t)moved;
        *moved_total += (size_t)moved;
        return PUMP_MORE;
    }
    if (moved < 0 && errno == EINTR)
        return PUMP_MORE;
    return moved < 0 && errno == EAGAIN ? PUMP_WAIT : PUMP_ERROR;
}

static enum pump_result pass_on_end(struct pump *pump, struct pipes *pipes, int destination)
{
    pump_close(pump, pipes);
    if (shutdown(destination, SHUT_WR) < 0)
        return PUMP_ERROR;
    pump->done = true;
    return PUMP_DONE;
}

enum pump_result pump_run(struct pump *pump, struct pipes *pipes, int source, int destination)
{
    size_t moved = 0;

    if (pump->done)
        return PUMP_DONE;
    for (int step = 0; step < TURN_STEPS && moved < TURN_BYTES; step++) {
        enum pump_result result = fill(pump, pipes, source);

        if (result == PUMP_WAIT)
            pump_close(pump, pipes);
        if (result == PUMP_MORE)
            result = drain(pump, destination, &moved);
        if (result != PUMP_MORE)
            return result;
        if (pump->source_ended && pump->pending == 0)
            return pass_on_end(pump, pipes, destination);
    }
    return PUMP_MORE;
}
