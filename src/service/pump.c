/* One direction of a connection: socket -> pipe -> socket, bulk not through user space.
 *
 * Backpressure is that of the kernel: what the destination does not take stays in the pipe, a full
 * pipe leaves the rest in the source's receive buffer, whose window then closes. The end of the
 * source is passed on as an end (half-close) when the pipe is empty. EAGAIN of a splice from the
 * socket means "nothing there" only when the pipe is empty, else it may mean "pipe full"; so the
 * pipe is emptied and the socket asked again before we wait, which is what edge-triggered epoll
 * needs.
 *
 * Little is copied: a pipe would take more system calls than that costs. The pipe is there all the
 * same, for what the destination does not take.
 *
 * Without a pipe (peers that do not read may hold all there are) bytes are copied: they are looked
 * at, sent, and only what was sent is taken from the source. So nothing has to be kept here, and
 * nothing is lost. No privilege. */
#include "service/pump.h"

#include "service/pipes.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <sys/socket.h>
#include <unistd.h>

/* Bytes and steps of one turn: a fast connection keeps the others waiting a few ms at most, also
 * when its peer sends single bytes. */
#define TURN_BYTES ((size_t)2 * 1024 * 1024)
#define TURN_STEPS 64

#define COPY_BYTES   65536
#define LITTLE_BYTES 8192 /* up to here two copies cost less than a pipe's system calls */

void pump_close(struct pump *pump, struct pipes *pipes)
{
    if (pump->pipe)
        pipes_give(pipes, pump->pipe, pump->pending == 0);
    pump->pipe = NULL;
    pump->pending = 0;
}

/* The pipe is empty, and no smaller than what is kept. */
static bool keep(struct pump *pump, const uint8_t *bytes, size_t count)
{
    if (write(pump->pipe->write_fd, bytes, count) != (ssize_t)count)
        return false; /* no memory */
    pump->pending = count;
    return true;
}

/* A little, without the pipe, which takes what the destination does not. PUMP_MORE: go on. */
static enum pump_result pass_little(struct pump *pump, int source, int destination,
                                    size_t *moved_total)
{
    static uint8_t buffer[LITTLE_BYTES]; /* one thread */
    size_t room = pump->pipe->capacity < sizeof buffer ? pump->pipe->capacity : sizeof buffer;
    ssize_t got = recv(source, buffer, room, MSG_DONTWAIT);
    ssize_t sent;

    if (got == 0)
        pump->source_ended = true;
    if (got == 0 || (got < 0 && errno == EINTR))
        return PUMP_MORE;
    if (got < 0)
        return errno == EAGAIN ? PUMP_WAIT : PUMP_ERROR;
    pump->is_bulk = (size_t)got == room;
    sent = send(destination, buffer, (size_t)got, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (sent < 0 && errno != EAGAIN && errno != EINTR)
        return PUMP_ERROR;
    sent = sent < 0 ? 0 : sent;
    *moved_total += (size_t)sent;
    return sent == got || keep(pump, buffer + sent, (size_t)(got - sent)) ? PUMP_MORE : PUMP_ERROR;
}

/* Source to pipe. PUMP_MORE: go on with the pipe. */
static enum pump_result fill(struct pump *pump, int source, struct pipes *pipes)
{
    ssize_t moved;

    if (pump->source_ended)
        return PUMP_MORE;
    moved = splice(source, NULL, pump->pipe->write_fd, NULL, PIPE_CAPACITY_MAX,
                   SPLICE_F_NONBLOCK | SPLICE_F_MOVE);
    if (moved > 0) {
        pump->pending += (size_t)moved;
        pump->is_bulk = (size_t)moved >= LITTLE_BYTES;
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
    pump->is_blocked = moved < 0 && errno == EAGAIN;
    if (moved > 0) {
        pump->pending -= (size_t)moved;
        *moved_total += (size_t)moved;
        return PUMP_MORE;
    }
    if (moved < 0 && errno == EINTR)
        return PUMP_MORE;
    return moved < 0 && errno == EAGAIN ? PUMP_WAIT : PUMP_ERROR;
}

/* Takes `count` bytes that were looked at from the source. */
static bool discard(int source, uint8_t *buffer, size_t count)
{
    while (count > 0) {
        ssize_t gone = recv(source, buffer, count, MSG_DONTWAIT | MSG_TRUNC);

        if (gone <= 0)
            return false;
        count -= (size_t)gone;
    }
    return true;
}

/* Socket to socket without a pipe. PUMP_MORE: something was moved, or the source has ended. */
static enum pump_result copy(struct pump *pump, int source, int destination, size_t *moved_total)
{
    static uint8_t buffer[COPY_BYTES]; /* one thread */
    ssize_t there = recv(source, buffer, sizeof buffer, MSG_DONTWAIT | MSG_PEEK);
    ssize_t sent;

    if (there == 0)
        pump->source_ended = true;
    if (there == 0 || (there < 0 && errno == EINTR))
        return PUMP_MORE;
    if (there < 0)
        return errno == EAGAIN ? PUMP_WAIT : PUMP_ERROR;
    pump->is_bulk = there >= LITTLE_BYTES;
    sent = send(destination, buffer, (size_t)there, MSG_DONTWAIT | MSG_NOSIGNAL);
    pump->is_blocked = sent < 0 && errno == EAGAIN;
    if (sent < 0)
        return errno == EINTR ? PUMP_MORE : errno == EAGAIN ? PUMP_WAIT : PUMP_ERROR;
    *moved_total += (size_t)sent;
    return discard(source, buffer, (size_t)sent) ? PUMP_MORE : PUMP_ERROR;
}

/* One step: as much as fits at once. */
static enum pump_result step(struct pump *pump, struct pipes *pipes, int source, int destination,
                             size_t *moved_total)
{
    enum pump_result result;

    if (!pump->pipe && !pump->source_ended)
        pump->pipe = pipes_take(pipes);
    if (!pump->pipe)
        return copy(pump, source, destination, moved_total);
    if (pump->pending > 0 || pump->source_ended || pump->is_bulk) {
        result = fill(pump, source, pipes);
        if (result == PUMP_MORE)
            return drain(pump, destination, moved_total);
    } else {
        result = pass_little(pump, source, destination, moved_total);
    }
    if (result == PUMP_WAIT)
        pump_close(pump, pipes);
    return result;
}

static enum pump_result pass_on_end(struct pump *pump, struct pipes *pipes, int destination,
                                    bool close_tells)
{
    pump_close(pump, pipes);
    if (!close_tells && shutdown(destination, SHUT_WR) < 0)
        return PUMP_ERROR;
    pump->done = true;
    return PUMP_DONE;
}

enum pump_result pump_run(struct pump *pump, struct pipes *pipes, int source, int destination,
                          bool close_tells)
{
    size_t moved = 0;

    if (pump->done)
        return PUMP_DONE;
    pump->is_blocked = false; /* until it is found out */
    for (int steps = 0; steps < TURN_STEPS && moved < TURN_BYTES; steps++) {
        enum pump_result result = step(pump, pipes, source, destination, &moved);

        if (result != PUMP_MORE)
            return result;
        if (pump->source_ended && pump->pending == 0)
            return pass_on_end(pump, pipes, destination, close_tells);
    }
    return PUMP_MORE;
}
