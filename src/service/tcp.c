/* The listening side of published TCP ports: counts, refuses, starts connections.
 *
 * At a limit a connection is accepted and reset at once, so that its client learns it now. No
 * privilege. */
#include "service/tcp.h"

#include "base/cleanup.h"
#include "service/endpoint.h"
#include "service/limits.h"
#include "service/log.h"
#include "service/tcp_relay.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>

struct tcp_listener {
    struct tcp_relay *relay;
    const struct service_listener *config;
    struct tcp_listener *next;
};

static void set_option(int fd, int level, int option, int value)
{
    /* Every one of them is an improvement that the connection works without. */
    (void)setsockopt(fd, level, option, &value, sizeof value);
}

void tcp_set_options(int fd)
{
    set_option(fd, IPPROTO_TCP, TCP_NODELAY, 1);
    set_option(fd, SOL_SOCKET, SO_OOBINLINE, 1);
}

void tcp_keep_alive(int fd)
{
    set_option(fd, SOL_SOCKET, SO_KEEPALIVE, 1);
    set_option(fd, IPPROTO_TCP, TCP_KEEPIDLE, 600);
    set_option(fd, IPPROTO_TCP, TCP_KEEPINTVL, 60);
    set_option(fd, IPPROTO_TCP, TCP_KEEPCNT, 5);
}

static void accepted(void *context, int fd, const struct endpoint *peer)
{
    const struct tcp_listener *listener = context;
    struct tcp_relay *relay = listener->relay;

    (void)peer; /* the policy was asked when the port was published: everybody may come */
    if (!tcp_relay_reserve(relay)) {
        endpoint_reset(fd);
    } else if (tcp_connection_start(relay, listener->config, fd) < 0) {
        service_log_limit(relay->log, "no memory is left: connection refused");
        tcp_relay_unreserve(relay);
        endpoint_reset(fd);
    }
}

int tcp_relay_accept(struct tcp_relay *relay, int fd,
                     void (*accepted_fn)(void *context, int fd, const struct endpoint *peer),
                     void *context, struct error *error)
{
    tcp_set_options(fd);
    tcp_keep_alive(fd);
    return acceptor_listen(&relay->acceptor, fd, accepted_fn, context, error);
}

int tcp_relay_listen(struct tcp_relay *relay, int fd, const struct service_listener *listener,
                     struct error *error)
{
    struct tcp_listener *added = calloc(1, sizeof *added);
    int code;

    if (!added) {
        (void)close(fd); /* holds no data */
        return error_errno(error, -ENOMEM, "cannot serve descriptor %d", fd);
    }
    added->relay = relay;
    added->config = listener;
    added->next = relay->listeners;
    relay->listeners = added;
    code = tcp_relay_accept(relay, fd, accepted, added, error);
    if (code == 0)
        supply_stock(relay->supply, supply_kind(IPPROTO_TCP, listener->targets[0].family));
    return code;
}

int tcp_relay_new(struct loop *loop, struct supply *supply, struct service_log *log,
                  struct limits *limits, uint32_t pipes, struct tcp_relay **ret_relay,
                  struct error *error)
{
    struct tcp_relay *relay = calloc(1, sizeof *relay);
    int code = relay ? acceptor_open(&relay->acceptor, loop, log) : -ENOMEM;

    if (code < 0) {
        free(relay);
        return error_errno(error, code, "cannot start the relay");
    }
    relay->loop = loop;
    relay->supply = supply;
    relay->log = log;
    relay->limits = limits;
    TAILQ_INIT(&relay->connections);
    TAILQ_INIT(&relay->connecting);
    pipes_init(&relay->pipes, pipes);
    relay->connect_timer = (struct loop_timer){.due = tcp_connection_timeout, .context = relay};
    relay->keep_timer = (struct loop_timer){.due = tcp_connection_keep, .context = relay};
    *ret_relay = relay;
    return 0;
}

void tcp_relay_close_listeners(struct tcp_relay *relay)
{
    struct tcp_listener *listener;

    acceptor_close_sockets(&relay->acceptor);
    while ((listener = relay->listeners)) {
        relay->listeners = listener->next;
        free(listener);
    }
}

void tcp_relay_abort(struct tcp_relay *relay)
{
    struct tcp_connection *connection;

    while (relay && (connection = TAILQ_FIRST(&relay->connections)))
        tcp_connection_abort(connection);
}

void tcp_relay_free(struct tcp_relay *relay)
{
    if (!relay)
        return;
    tcp_relay_abort(relay);
    tcp_relay_close_listeners(relay);
    acceptor_close(&relay->acceptor);
    loop_disarm(relay->loop, &relay->connect_timer);
    loop_disarm(relay->loop, &relay->keep_timer);
    pipes_close_idle(&relay->pipes);
    free(relay);
}

bool tcp_relay_reserve(struct tcp_relay *relay)
{
    if (relay->count >= relay->limits->connections) {
        service_log_limit(relay->log, "limit of %u connections reached: connection refused",
                          relay->limits->connections);
        return false;
    }
    if (!limits_take(relay->limits, "connection"))
        return false;
    relay->count++;
    return true;
}

void tcp_relay_unreserve(struct tcp_relay *relay)
{
    limits_give(relay->limits);
    relay->count--;
}

uint32_t tcp_relay_count(const struct tcp_relay *relay)
{
    return relay->count;
}
