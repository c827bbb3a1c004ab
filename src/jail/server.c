/* The supervisor's side of the control socket.
 *
 * Who may ask: processes of the supervisor's own user and root, and only those in the network
 * namespace of the supervisor. That keeps the jails out, whose commands have the same user: a
 * socket that accept(2) gives belongs to the namespace in which the client made its own, a process
 * of a jail can make sockets only there, and SO_NETNS_COOKIE cannot be forged. No pid is looked at,
 * so none can be reused.
 *
 * What is answered needs no privilege: the namespace's descriptor (the client enters it by its own
 * right, or not at all), and programs, which are init's business: connection and descriptors are
 * handed on without a look inside. Nothing here waits, allocates, or keeps a client longer than
 * until its request is there; when all places are taken the client that has been silent for the
 * longest time loses its own. What must not happen: a descriptor kept after the answer. */
#include "jail/server.h"

#include "base/cleanup.h"
#include "jail/control.h"
#include "jail/jail.h"
#include "jail/packet.h"
#include "jail/request.h"

#include <errno.h>
#include <sys/socket.h>

#define ACCEPTS_MAX 16 /* in one round, so that a storm does not keep us from init and signals */

static void client_close(struct server_client *client)
{
    if (client->source.fd < 0)
        return;
    events_remove(client->server->events, &client->source);
    (void)close(client->source.fd); /* a socket: nothing to lose */
    client->source.fd = -1;
}

static void answer(int fd, int code, const int *fds, size_t fds_count)
{
    struct request_event event = {.kind = EVENT_ANSWER, .value = code};

    /* Who does not take the answer does not get it. */
    (void)packet_send(fd, &event, sizeof event, fds, fds_count, false);
}

/* To init: the connection, then what came with the request. */
static int hand_over(const struct server *server, int fd, const int *fds)
{
    int all[CONTROL_PROGRAM_FDS] = {fd};

    if (server->jail->state != JAIL_RUNNING)
        return -ESHUTDOWN;
    for (size_t i = 0; i < REQUEST_PROGRAM_FDS; i++)
        all[i + 1] = fds[i];
    return control_send_program(server->jail->control_fd, all);
}

static void serve(const struct server *server, int fd, const struct request *request,
                  const int *fds)
{
    int code;

    if (request->kind == REQUEST_NAMESPACE) {
        answer(fd, 0, &server->jail->netns_fd, 1);
        return;
    }
    code = hand_over(server, fd, fds);
    if (code < 0)
        answer(fd, code, NULL, 0);
}

/* True: the client is done with, one way or the other. */
static bool client_read(const struct server *server, int fd)
{
    struct request request = {0};
    int fds[PACKET_FDS_MAX];
    size_t count;
    int length = packet_receive(fd, &request, sizeof request, false, fds, &count);

    if (length == -EAGAIN)
        return false;
    if (length > 0 && request_is_valid(&request, (size_t)length, count))
        serve(server, fd, &request, fds);
    else if (length != 0)
        answer(fd, -EPROTO, NULL, 0);
    for (size_t i = 0; i < count; i++)
        (void)close(fds[i]); /* init has its own copies */
    return true;
}

static void client_ready(void *context, short revents)
{
    struct server_client *client = context;

    if (client_read(client->server, client->source.fd) || (revents & (POLLERR | POLLHUP)))
        client_close(client);
}

static bool is_welcome(const struct server *server, int fd)
{
    struct ucred peer = {.uid = (uid_t)-1};
    socklen_t length = sizeof peer;
    uint64_t cookie = 0;

    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &length) < 0)
        return false;
    length = sizeof cookie;
    if (getsockopt(fd, SOL_SOCKET, SO_NETNS_COOKIE, &cookie, &length) < 0)
        return false;
    return (peer.uid == 0 || peer.uid == geteuid()) && cookie == server->netns_cookie;
}

/* A free place, or that of the client that came first. */
static struct server_client *place_find(struct server *server)
{
    struct server_client *oldest = &server->clients[0];

    for (size_t i = 0; i < SERVER_CLIENTS_MAX; i++) {
        struct server_client *client = &server->clients[i];

        if (client->source.fd < 0)
            return client;
        if (client->number < oldest->number)
            oldest = client;
    }
    client_close(oldest);
    return oldest;
}

static void client_take(struct server *server, int fd)
{
    struct server_client *client;

    if (!is_welcome(server, fd)) {
        answer(fd, -EPERM, NULL, 0);
        (void)close(fd);
        return;
    }
    if (client_read(server, fd)) { /* who comes with its request needs no place */
        (void)close(fd);
        return;
    }
    client = place_find(server);
    *client = (struct server_client){
        .source = {.fd = fd, .events = POLLIN, .ready = client_ready, .context = client},
        .server = server,
        .number = ++server->arrivals};
    if (events_add(server->events, &client->source) < 0) {
        (void)close(fd); /* there is no place for it among all sources */
        client->source.fd = -1;
    }
}

static void listener_ready(void *context, short revents)
{
    struct server *server = context;

    (void)revents;
    for (int i = 0; i < ACCEPTS_MAX; i++) {
        int fd = accept4(server->listener.fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

        if (fd >= 0) {
            client_take(server, fd);
            continue;
        }
        /* Without descriptors the socket would be ready for ever: better no control than a busy
         * supervisor. */
        if (errno != EAGAIN && errno != EINTR && errno != ECONNABORTED)
            server_stop(server);
        return;
    }
}

int server_start(struct server *server, int listen_fd, struct jail *jail, struct events *events,
                 struct error *error)
{
    socklen_t length = sizeof server->netns_cookie;
    int status;

    *server = (struct server){.jail = jail, .events = events};
    server->listener = (struct event_source){
        .fd = listen_fd, .events = POLLIN, .ready = listener_ready, .context = server};
    for (size_t i = 0; i < SERVER_CLIENTS_MAX; i++)
        server->clients[i].source.fd = -1;
    if (getsockopt(listen_fd, SOL_SOCKET, SO_NETNS_COOKIE, &server->netns_cookie, &length) < 0)
        status = error_errno(error, -errno, "cannot tell the control socket's namespace");
    else
        status = events_add(events, &server->listener);
    if (status == -ENOSPC)
        (void)error_errno(error, status, "cannot serve the control socket");
    if (status < 0) {
        (void)close(listen_fd);
        *server = (struct server){0};
    }
    return status;
}

void server_stop(struct server *server)
{
    if (!server->events || server->listener.fd < 0)
        return;
    for (size_t i = 0; i < SERVER_CLIENTS_MAX; i++)
        client_close(&server->clients[i]);
    events_remove(server->events, &server->listener);
    (void)close(server->listener.fd); /* a socket: nothing to lose */
    server->listener.fd = -1;
}
