/* The listening side of published TCP ports: accepts, counts, refuses.
 *
 * At the limit a connection is accepted and reset at once: the client learns it now, and the
 * kernel's queue does not fill with clients that wait for nothing. When descriptors run out (which
 * the limit is chosen to prevent, but the system has limits of its own) a spare one is given up to
 * do the same, and where that fails too, accepting pauses: a listening socket that stays readable
 * must not become a busy loop. No privilege. */
#include "service/tcp.h"

#include "base/cleanup.h"
#include "service/endpoint.h"
#include "service/log.h"
#include "service/tcp_relay.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/epoll.h>

#define ACCEPTS_PER_ROUND 64
#define ACCEPT_PAUSE_MS   100

struct tcp_listener {
    struct loop_source source;
    struct tcp_relay *relay;
    const struct service_listener *config;
    struct tcp_listener *next;
};

static void resume_accepting(void *context)
{
    struct tcp_relay *relay = context;

    for (struct tcp_listener *listener = relay->listeners; listener; listener = listener->next) {
        if (listener->source.watched)
            continue;
        if (loop_watch(relay->loop, &listener->source, EPOLLIN) < 0)
            loop_arm(relay->loop, &relay->accept_timer, ACCEPT_PAUSE_MS);
    }
}

static void pause_accepting(struct tcp_listener *listener)
{
    loop_unwatch(listener->relay->loop, &listener->source);
    loop_arm(listener->relay->loop, &listener->relay->accept_timer, ACCEPT_PAUSE_MS);
}

/* No descriptor is left for the connection that waits: refuses it with the spare one. */
static bool refuse_without_descriptor(struct tcp_listener *listener)
{
    struct tcp_relay *relay = listener->relay;
    int fd;

    if (relay->spare_fd < 0)
        return false;
    (void)close(relay->spare_fd); /* an epoll instance: holds no data */
    fd = accept4(listener->source.fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (fd >= 0)
        endpoint_reset(fd);
    relay->spare_fd = epoll_create1(EPOLL_CLOEXEC);
    return fd >= 0;
}

/* accept4() has failed; true: try the next one. */
static bool accept_failed(struct tcp_listener *listener, int code)
{
    switch (code) {
    case EINTR:
    case ECONNABORTED:
    case EPROTO:
    case EPERM:
        return true; /* this connection has gone; there may be others (accept(2)) */
    case EAGAIN:
        return false;
    case EMFILE:
    case ENFILE:
        service_log_limit(listener->relay->log, "no descriptor is left: connection refused");
        if (refuse_without_descriptor(listener))
            return true;
        break;
    default:
        break;
    }
    pause_accepting(listener);
    return false;
}

static void start_or_refuse(struct tcp_listener *listener, int fd)
{
    struct tcp_relay *relay = listener->relay;

    if (relay->count >= relay->limit) {
        service_log_limit(relay->log, "limit of %u connections reached: connection refused",
                          relay->limit);
        endpoint_reset(fd);
    } else if (tcp_connection_start(relay, listener->config, fd) < 0) {
        service_log_limit(relay->log, "no memory is left: connection refused");
        endpoint_reset(fd);
    }
}

static void listener_ready(void *context, uint32_t events)
{
    struct tcp_listener *listener = context;

    (void)events; /* level-triggered: what is left comes again */
    for (int i = 0; i < ACCEPTS_PER_ROUND; i++) {
        int fd = accept4(listener->source.fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

        if (fd >= 0)
            start_or_refuse(listener, fd);
        else if (!accept_failed(listener, errno))
            return;
    }
}

static int socket_check(int fd, struct error *error)
{
    int type = 0;
    int listening = 0;
    socklen_t size = sizeof type;
    int flags = fcntl(fd, F_GETFL);

    if (flags < 0 || getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size) < 0 ||
        getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listening, &size) < 0)
        return error_errno(error, -errno, "cannot use descriptor %d", fd);
    if (type != SOCK_STREAM || !listening)
        return error_set(error, -EINVAL, "descriptor %d is no listening TCP socket", fd);
    if (fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0)
        return error_errno(error, -errno, "cannot use descriptor %d", fd);
    return 0;
}

int tcp_relay_listen(struct tcp_relay *relay, int owned_fd, const struct service_listener *listener,
                     struct error *error)
{
    cleanup_fd int fd = owned_fd;
    struct tcp_listener *added;
    int code = socket_check(fd, error);

    if (code < 0)
        return code;
    added = calloc(1, sizeof *added);
    if (!added)
        return error_errno(error, -ENOMEM, "cannot serve descriptor %d", fd);
    added->relay = relay;
    added->config = listener;
    added->source = (struct loop_source){.fd = fd, .ready = listener_ready, .context = added};
    code = loop_watch(relay->loop, &added->source, EPOLLIN);
    if (code < 0) {
        free(added);
        return error_errno(error, code, "cannot watch descriptor %d", fd);
    }
    (void)take_fd(&fd); /* in added->source now */
    added->next = relay->listeners;
    relay->listeners = added;
    supply_stock(relay->supply, supply_kind(IPPROTO_TCP, listener->targets[0].family));
    return 0;
}

int tcp_relay_new(struct loop *loop, struct supply *supply, struct service_log *log, uint32_t limit,
                  struct tcp_relay **ret_relay, struct error *error)
{
    struct tcp_relay *relay = calloc(1, sizeof *relay);

    if (!relay)
        return error_errno(error, -ENOMEM, "cannot start the relay");
    relay->spare_fd = epoll_create1(EPOLL_CLOEXEC);
    if (relay->spare_fd < 0) {
        int code = -errno;

        free(relay);
        return error_errno(error, code, "cannot start the relay");
    }
    relay->loop = loop;
    relay->supply = supply;
    relay->log = log;
    relay->limit = limit;
    TAILQ_INIT(&relay->connections);
    TAILQ_INIT(&relay->connecting);
    pipes_init(&relay->pipes);
    relay->connect_timer = (struct loop_timer){.due = tcp_connection_timeout, .context = relay};
    relay->accept_timer = (struct loop_timer){.due = resume_accepting, .context = relay};
    *ret_relay = relay;
    return 0;
}

void tcp_relay_close_listeners(struct tcp_relay *relay)
{
    struct tcp_listener *listener;

    while ((listener = relay->listeners)) {
        relay->listeners = listener->next;
        loop_unwatch(relay->loop, &listener->source);
        (void)close(listener->source.fd); /* holds no data */
        free(listener);
    }
    loop_disarm(relay->loop, &relay->accept_timer);
}

void tcp_relay_free(struct tcp_relay *relay)
{
    struct tcp_connection *connection;

    if (!relay)
        return;
    while ((connection = TAILQ_FIRST(&relay->connections)))
        tcp_connection_abort(connection);
    tcp_relay_close_listeners(relay);
    loop_disarm(relay->loop, &relay->connect_timer);
    pipes_close_idle(&relay->pipes);
    (void)close(relay->spare_fd);
    free(relay);
}

bool tcp_relay_reserve(struct tcp_relay *relay)
{
    if (relay->count >= relay->limit) {
        service_log_limit(relay->log, "limit of %u connections reached: connection refused",
                          relay->limit);
        return false;
    }
    relay->count++;
    return true;
}

void tcp_relay_unreserve(struct tcp_relay *relay)
{
    relay->count--;
}

uint32_t tcp_relay_count(const struct tcp_relay *relay)
{
    return relay->count;
}
