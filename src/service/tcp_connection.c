/* One connection, from the accepted socket to its end.
 *
 * Order: a socket of the jail is asked from init; it is connected to the listener's targets, one
 * after the other, each with a socket of its own; then two pumps carry the bytes until both
 * directions have ended. Whatever fails on one side is a reset on both: a failure must look like a
 * failure, and a reset leaves no TIME_WAIT. The client's socket is watched from the beginning, so
 * that a client that has gone frees its place at once. No privilege; both sides are hostile.
 *
 * What must not happen: an event on a freed connection (loop_unwatch() and loop_cancel() see to
 * it), a connection that nothing will ever wake (each pump ends in EAGAIN, an end, or a deferred
 * task). */
#include "service/tcp_relay.h"

#include "service/endpoint.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

#define CONNECT_TIMEOUT_MS 30000
#define KEEP_MS            60000 /* the first keepalive comes ten minutes later */

static void try_target(struct tcp_connection *connection);

static void leave_connecting(struct tcp_connection *connection)
{
    if (connection->is_connecting)
        TAILQ_REMOVE(&connection->relay->connecting, connection, connecting);
    connection->is_connecting = false;
}

static void close_side(struct tcp_connection *connection, int side, bool reset)
{
    struct loop_source *source = &connection->sides[side];

    if (source->fd < 0)
        return;
    if (side == SIDE_TARGET && connection->target_is_shared)
        loop_unwatch(connection->relay->loop, source);
    else
        loop_forget(connection->relay->loop, source);
    if (reset)
        endpoint_reset(source->fd);
    else
        (void)close(source->fd); /* both directions have ended: nothing is left to lose */
    source->fd = -1;
}

static void connection_end(struct tcp_connection *connection, bool reset)
{
    struct tcp_relay *relay = connection->relay;

    supply_cancel(relay->supply, &connection->wait);
    loop_cancel(relay->loop, &connection->task);
    leave_connecting(connection);
    for (int side = 0; side < 2; side++) {
        close_side(connection, side, reset);
        pump_close(&connection->pumps[side], &relay->pipes);
    }
    TAILQ_REMOVE(&relay->connections, connection, entry);
    tcp_relay_unreserve(relay);
    free(connection);
}

void tcp_connection_abort(struct tcp_connection *connection)
{
    connection_end(connection, true);
}

static enum pump_result run_pump(struct tcp_connection *connection, int from)
{
    /* Who still has a copy of a socket keeps it open when it is closed here. */
    bool close_tells =
        connection->pumps[!from].done && !(from == SIDE_CLIENT && connection->target_is_shared);

    return pump_run(&connection->pumps[from], &connection->relay->pipes, connection->sides[from].fd,
                    connection->sides[!from].fd, close_tells);
}

/* One turn for each direction that is asked for, by the side that its bytes come from. */
static void carry_from(struct tcp_connection *connection, const bool from[2])
{
    bool more = false;

    for (int side = 0; side < 2; side++) {
        enum pump_result result = from[side] ? run_pump(connection, side) : PUMP_WAIT;

        if (result == PUMP_ERROR) {
            connection_end(connection, true);
            return;
        }
        more = more || result == PUMP_MORE;
    }
    if (connection->pumps[0].done && connection->pumps[1].done)
        connection_end(connection, false);
    else if (more)
        loop_defer(connection->relay->loop, &connection->task);
}

static void carry(void *context)
{
    carry_from(context, (const bool[2]){true, true});
}

/* What an event of one side says: it has something for the other, or takes something again. While
 * the other takes nothing, what comes stays where it is: it is looked at when there is room.
 * A little is a question or an answer, and an end is followed by the next connection: where these
 * come quickly the next one is polled for. */
static void carry_event(struct tcp_connection *connection, int side, uint32_t events)
{
    bool from[2];

    from[side] =
        !connection->pumps[side].is_blocked && (events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP));
    from[!side] = connection->pumps[!side].is_blocked && (events & (EPOLLOUT | EPOLLHUP));
    if (from[side] && !connection->pumps[side].is_bulk && !connection->pumps[side].done)
        loop_expect_any(connection->relay->loop, &connection->relay->answers);
    if (from[0] || from[1])
        carry_from(connection, from);
}

/* A side that was reset may still have bytes for us that came before the reset: they are passed on
 * as far as the other side takes them now. */
static void side_failed(struct tcp_connection *connection, int side)
{
    if (connection->is_connected)
        (void)run_pump(connection, side); /* whatever comes of it, the connection ends here */
    connection_end(connection, true);
}

static void client_ready(void *context, uint32_t events)
{
    struct tcp_connection *connection = context;

    if (events & EPOLLERR)
        side_failed(connection, SIDE_CLIENT);
    else if (connection->is_connected)
        carry_event(connection, SIDE_CLIENT, events);
}

static void next_target(struct tcp_connection *connection)
{
    leave_connecting(connection);
    close_side(connection, SIDE_TARGET, true);
    connection->target++;
    if (connection->target < connection->listener->target_count)
        try_target(connection);
    else
        connection_end(connection, true);
}

/* The attempt of connect() has an outcome. */
static void connect_finished(struct tcp_connection *connection)
{
    int code = ECONNREFUSED;
    socklen_t size = sizeof code;

    if (getsockopt(connection->sides[SIDE_TARGET].fd, SOL_SOCKET, SO_ERROR, &code, &size) < 0 ||
        code != 0) {
        next_target(connection);
        return;
    }
    leave_connecting(connection);
    connection->is_connected = true;
    carry(connection);
}

static void jail_ready(void *context, uint32_t events)
{
    struct tcp_connection *connection = context;

    if (!connection->is_connected)
        connect_finished(connection);
    else if (events & EPOLLERR)
        side_failed(connection, SIDE_TARGET);
    else
        carry_event(connection, SIDE_TARGET, events);
}

/* Starts to connect the jail's socket; false: this target is not to be had. */
static bool connect_jail(struct tcp_connection *connection)
{
    const struct service_listener *listener = connection->listener;
    struct loop_source *side = &connection->sides[SIDE_TARGET];
    struct endpoint endpoint =
        endpoint_of(&listener->targets[connection->target], listener->jail_port);

    tcp_set_options(side->fd);
    if (connect(side->fd, &endpoint.any, endpoint.length) < 0 && errno != EINPROGRESS)
        return false;
    return loop_watch(connection->relay->loop, side, EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET) ==
           0;
}

static void socket_came(void *context, int fd)
{
    struct tcp_connection *connection = context;
    struct tcp_relay *relay = connection->relay;

    if (fd >= 0) {
        connection->sides[SIDE_TARGET].fd = fd;
        if (connect_jail(connection)) {
            connection->due_ms = loop_now_ms(relay->loop) + CONNECT_TIMEOUT_MS;
            connection->is_connecting = true;
            TAILQ_INSERT_TAIL(&relay->connecting, connection, connecting);
            if (!relay->connect_timer.armed)
                loop_arm(relay->loop, &relay->connect_timer, CONNECT_TIMEOUT_MS);
            return;
        }
    }
    next_target(connection);
}

static void try_target(struct tcp_connection *connection)
{
    const struct service_listener *listener = connection->listener;

    supply_take(connection->relay->supply,
                supply_kind(IPPROTO_TCP, listener->targets[connection->target].family),
                &connection->wait);
}

/* Most connections end long before they need keepalives, which take four system calls. */
void tcp_connection_keep(void *context)
{
    struct tcp_relay *relay = context;
    struct tcp_connection *connection;

    TAILQ_FOREACH(connection, &relay->connections, entry)
    {
        if (connection->is_connected && !connection->is_kept) {
            tcp_keep_alive(connection->sides[SIDE_TARGET].fd);
            connection->is_kept = true;
        } else if (!connection->is_kept && !relay->keep_timer.armed) {
            loop_arm(relay->loop, &relay->keep_timer, KEEP_MS);
        }
    }
}

static void add(struct tcp_connection *connection)
{
    struct tcp_relay *relay = connection->relay;

    TAILQ_INSERT_TAIL(&relay->connections, connection, entry);
    if (!relay->keep_timer.armed)
        loop_arm(relay->loop, &relay->keep_timer, KEEP_MS);
}

void tcp_connection_timeout(void *context)
{
    struct tcp_relay *relay = context;
    uint64_t now_ms = loop_now_ms(relay->loop);
    struct tcp_connection *connection;

    while ((connection = TAILQ_FIRST(&relay->connecting)) && connection->due_ms <= now_ms)
        next_target(connection);
    if (connection)
        loop_arm(relay->loop, &relay->connect_timer, connection->due_ms - now_ms);
}

static struct tcp_connection *connection_new(struct tcp_relay *relay, int client, int jail)
{
    struct tcp_connection *connection = calloc(1, sizeof *connection);

    if (!connection)
        return NULL;
    connection->relay = relay;
    connection->sides[SIDE_CLIENT] =
        (struct loop_source){.fd = client, .ready = client_ready, .context = connection};
    connection->sides[SIDE_TARGET] =
        (struct loop_source){.fd = jail, .ready = jail_ready, .context = connection};
    connection->wait = (struct supply_wait){.ready = socket_came, .context = connection};
    connection->task = (struct loop_task){.run = carry, .context = connection};
    return connection;
}

void tcp_relay_join(struct tcp_relay *relay, int client, int target, struct loop_source *watched)
{
    const uint32_t events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET;
    struct tcp_connection *connection = connection_new(relay, client, target);

    if (!connection) {
        loop_forget(relay->loop, watched);
        endpoint_reset(client);
        endpoint_reset(target);
        tcp_relay_unreserve(relay);
        return;
    }
    add(connection);
    connection->is_connected = true;
    if (loop_hand_over(relay->loop, watched, &connection->sides[SIDE_TARGET], events) < 0 ||
        loop_watch(relay->loop, &connection->sides[SIDE_CLIENT], events) < 0) {
        loop_forget(relay->loop, watched); /* its descriptor is closed now */
        connection_end(connection, true);
    }
}

int tcp_connection_start(struct tcp_relay *relay, const struct service_listener *listener, int fd)
{
    struct tcp_connection *connection = connection_new(relay, fd, -1);
    int code;

    if (!connection)
        return -ENOMEM;
    connection->listener = listener;
    connection->target_is_shared = true;
    code = loop_watch(relay->loop, &connection->sides[SIDE_CLIENT],
                      EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET);
    if (code < 0) {
        free(connection);
        return code;
    }
    add(connection);
    try_target(connection);
    return 0;
}
