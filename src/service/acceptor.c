/* Listening TCP sockets: accepts what comes, and never becomes a busy loop.
 *
 * When descriptors run out (which service/limits.h prevents, but the system has limits of its own)
 * a spare one is given up to accept a connection and reset it: the client learns it now, and the
 * kernel's queue does not fill with clients that wait for nothing. Where that fails, too, accepting
 * pauses: a listening socket stays readable. No privilege. */
#include "service/acceptor.h"

#include "base/cleanup.h"
#include "service/endpoint.h"
#include "service/log.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/epoll.h>

#define ACCEPTS_PER_ROUND 64
#define ACCEPT_PAUSE_MS   100

struct acceptor_socket {
    struct loop_source source;
    struct acceptor *acceptor;
    void (*accepted)(void *context, int fd, const struct endpoint *peer);
    void *context;
    struct acceptor_socket *next;
};

static void resume(void *context)
{
    struct acceptor *acceptor = context;

    for (struct acceptor_socket *one = acceptor->sockets; one; one = one->next) {
        if (!one->source.watched && loop_watch(acceptor->loop, &one->source, EPOLLIN) < 0)
            loop_arm(acceptor->loop, &acceptor->timer, ACCEPT_PAUSE_MS);
    }
}

static void pause_accepting(struct acceptor_socket *one)
{
    loop_unwatch(one->acceptor->loop, &one->source);
    loop_arm(one->acceptor->loop, &one->acceptor->timer, ACCEPT_PAUSE_MS);
}

static int accept_one(const struct acceptor_socket *one, struct endpoint *ret_peer)
{
    ret_peer->length = sizeof ret_peer->v6;
    return accept4(one->source.fd, &ret_peer->any, &ret_peer->length, SOCK_CLOEXEC | SOCK_NONBLOCK);
}

/* No descriptor is left for the connection that waits: refuses it with the spare one. */
static bool refuse_without_descriptor(const struct acceptor_socket *one)
{
    struct acceptor *acceptor = one->acceptor;
    struct endpoint peer;
    int fd;

    if (acceptor->spare_fd < 0)
        return false;
    (void)close(acceptor->spare_fd); /* an epoll instance: holds no data */
    fd = accept_one(one, &peer);
    if (fd >= 0)
        endpoint_reset(fd);
    acceptor->spare_fd = epoll_create1(EPOLL_CLOEXEC);
    return fd >= 0;
}

/* accept4() has failed; true: try the next one. */
static bool accept_failed(struct acceptor_socket *one, int code)
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
        service_log_limit(one->acceptor->log, "no descriptor is left: connection refused");
        if (refuse_without_descriptor(one))
            return true;
        break;
    default:
        break;
    }
    pause_accepting(one);
    return false;
}

static void socket_ready(void *context, uint32_t events)
{
    struct acceptor_socket *one = context;

    (void)events; /* level-triggered: what is left comes again */
    for (int i = 0; i < ACCEPTS_PER_ROUND; i++) {
        struct endpoint peer;
        int fd = accept_one(one, &peer);

        if (fd >= 0)
            one->accepted(one->context, fd, &peer);
        else if (!accept_failed(one, errno))
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

int acceptor_listen(struct acceptor *acceptor, int owned_fd,
                    void (*accepted)(void *context, int fd, const struct endpoint *peer),
                    void *context, struct error *error)
{
    cleanup_fd int fd = owned_fd;
    cleanup_free struct acceptor_socket *added = NULL;
    int code = socket_check(fd, error);

    if (code < 0)
        return code;
    added = calloc(1, sizeof *added);
    if (!added)
        return error_errno(error, -ENOMEM, "cannot serve descriptor %d", fd);
    added->acceptor = acceptor;
    added->accepted = accepted;
    added->context = context;
    added->source = (struct loop_source){.fd = fd, .ready = socket_ready, .context = added};
    code = loop_watch(acceptor->loop, &added->source, EPOLLIN);
    if (code < 0)
        return error_errno(error, code, "cannot watch descriptor %d", fd);
    (void)take_fd(&fd); /* in added->source now */
    added->next = acceptor->sockets;
    acceptor->sockets = take_ptr(&added);
    return 0;
}

int acceptor_open(struct acceptor *acceptor, struct loop *loop, struct service_log *log)
{
    *acceptor =
        (struct acceptor){.loop = loop, .log = log, .timer = {.due = resume, .context = acceptor}};
    acceptor->spare_fd = epoll_create1(EPOLL_CLOEXEC);
    return acceptor->spare_fd < 0 ? -errno : 0;
}

void acceptor_close_sockets(struct acceptor *acceptor)
{
    struct acceptor_socket *one;

    while ((one = acceptor->sockets)) {
        acceptor->sockets = one->next;
        loop_unwatch(acceptor->loop, &one->source);
        (void)close(one->source.fd); /* holds no data */
        free(one);
    }
    loop_disarm(acceptor->loop, &acceptor->timer);
}

void acceptor_close(struct acceptor *acceptor)
{
    acceptor_close_sockets(acceptor);
    if (acceptor->spare_fd >= 0)
        (void)close(acceptor->spare_fd); /* the same */
    acceptor->spare_fd = -1;
}
