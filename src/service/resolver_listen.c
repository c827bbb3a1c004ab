/* Queries from the jail, by UDP and TCP.
 *
 * The sockets were made in the jail by init; they are bound here, which any process may since the
 * jail's ip_unprivileged_port_start is 0. SO_REUSEADDR lets a name server in the jail have the
 * wildcard address beside ours (by UDP; the kernel prefers the exact one). Whoever takes our
 * address in the jail deceives the jail itself and nobody else: addresses are admitted by us alone.
 *
 * What must not happen: a client that sends nothing, reads nothing or sends without end holding
 * more than one of TCP_CLIENTS_MAX places with bounded buffers for IDLE_MS. */
#include "service/resolver_listen.h"

#include "base/cleanup.h"
#include "service/loop.h"

#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#define DNS_PORT        53
#define ADDRS_MAX       2
#define READS_PER_ROUND 64
#define TCP_CLIENTS_MAX 64
#define TCP_QUERY_MAX   2048
#define TCP_OUT_MAX     ((size_t)256 * 1024)
#define IDLE_MS         10000

struct endpoint_socket {
    struct listen *listen;
    struct supply_wait wait;
    struct loop_source source; /* fd -1: not there yet */
    struct addr addr;
    bool is_tcp;
};

struct tcp_client {
    LIST_ENTRY(tcp_client) entry;
    struct listen *listen;
    struct loop_source source;
    struct loop_timer timer;
    unsigned holders; /* queries without an answer */
    bool is_gone;     /* closed; freed by the last holder */
    size_t in_size;
    uint8_t in[2 + TCP_QUERY_MAX];
    uint8_t *out; /* what could not be sent yet; owned */
    size_t out_size;
};

struct listen {
    struct loop *loop;
    struct supply *supply;
    struct listen_calls calls;
    struct endpoint_socket sockets[2 * ADDRS_MAX];
    size_t sockets_count;
    size_t ready_count;
    LIST_HEAD(client_list, tcp_client) clients;
    size_t clients_count;
    uint8_t message[DNS_MESSAGE_MAX + 2];
};

static void tcp_release(struct tcp_client *client)
{
    if (client->is_gone && client->holders == 0) {
        free(client->out);
        free(client);
    }
}

static void tcp_close(struct tcp_client *client)
{
    struct listen *listen = client->listen;

    if (client->is_gone)
        return;
    loop_unwatch(listen->loop, &client->source);
    loop_disarm(listen->loop, &client->timer);
    (void)close(client->source.fd); /* what it holds is of no interest */
    LIST_REMOVE(client, entry);
    listen->clients_count--;
    client->is_gone = true;
    tcp_release(client);
}

static void tcp_idle(void *context)
{
    tcp_close(context);
}

static void tcp_rewatch(struct tcp_client *client)
{
    uint32_t events = client->out_size > 0 ? EPOLLOUT : EPOLLIN;

    loop_unwatch(client->listen->loop, &client->source);
    if (loop_watch(client->listen->loop, &client->source, events) < 0)
        tcp_close(client);
}

/* Sends what waits; false: the client has been closed. */
static bool tcp_flush(struct tcp_client *client)
{
    ssize_t sent =
        send(client->source.fd, client->out, client->out_size, MSG_NOSIGNAL | MSG_DONTWAIT);

    if (sent < 0 && errno != EAGAIN && errno != EINTR) {
        tcp_close(client);
        return false;
    }
    if (sent > 0) {
        client->out_size -= (size_t)sent;
        memmove(client->out, client->out + sent, client->out_size);
        loop_arm(client->listen->loop, &client->timer, IDLE_MS);
    }
    if (client->out_size == 0)
        tcp_rewatch(client);
    return true;
}

static void tcp_send(struct tcp_client *client, const uint8_t *bytes, size_t size)
{
    bool was_empty = client->out_size == 0;
    uint8_t *out;

    if (client->is_gone)
        return;
    if (client->out_size + size > TCP_OUT_MAX ||
        !(out = realloc(client->out, client->out_size + size))) {
        tcp_close(client);
        return;
    }
    client->out = out;
    memcpy(out + client->out_size, bytes, size);
    client->out_size += size;
    loop_arm(client->listen->loop, &client->timer, IDLE_MS);
    if (was_empty && tcp_flush(client) && client->out_size > 0)
        tcp_rewatch(client);
}

static void reply(struct listen *listen, struct dns_client *client, const struct dns_answer *answer)
{
    size_t size;

    if (client->udp_fd >= 0) {
        size = dns_answer_write(&client->query, answer, client->query.udp_size, listen->message);
        (void)sendto(client->udp_fd, listen->message, size, MSG_NOSIGNAL | MSG_DONTWAIT,
                     (const struct sockaddr *)(const void *)client->peer,
                     client->peer_size); /* a lost answer is asked for again */
        return;
    }
    if (!client->tcp)
        return;
    size = dns_answer_write(&client->query, answer, DNS_MESSAGE_MAX, listen->message + 2);
    listen->message[0] = (uint8_t)(size >> 8);
    listen->message[1] = (uint8_t)size;
    tcp_send(client->tcp, listen->message, size + 2);
}

void listen_forget(struct listen *listen, struct dns_client *client)
{
    (void)listen; /* for symmetry */
    if (!client->tcp)
        return;
    client->tcp->holders--;
    tcp_release(client->tcp);
    client->tcp = NULL;
}

void listen_answer(struct listen *listen, struct dns_client *client,
                   const struct dns_answer *answer)
{
    reply(listen, client, answer);
    listen_forget(listen, client);
}

/* A message from the jail; client->tcp is held for it. */
static void take_message(struct listen *listen, struct dns_client *client, const uint8_t *bytes,
                         size_t size)
{
    int code = dns_query_parse(bytes, size, &client->query);

    if (client->tcp)
        client->tcp->holders++;
    if (code == DNS_NOERROR) {
        listen->calls.query(listen->calls.context, client);
    } else if (code < 0) {
        listen_forget(listen, client);
    } else {
        static struct dns_answer refusal;

        refusal = (struct dns_answer){.rcode = (enum dns_rcode)code};
        listen_answer(listen, client, &refusal);
    }
}

static void udp_ready(void *context, uint32_t events)
{
    struct endpoint_socket *socket = context;
    struct listen *listen = socket->listen;
    uint8_t bytes[TCP_QUERY_MAX];

    (void)events; /* receiving tells */
    for (int i = 0; i < READS_PER_ROUND; i++) {
        struct dns_client client = {.udp_fd = socket->source.fd};
        struct sockaddr_in peer;
        socklen_t peer_size = sizeof peer;
        ssize_t size = recvfrom(socket->source.fd, bytes, sizeof bytes, MSG_DONTWAIT,
                                (struct sockaddr *)&peer, &peer_size);

        if (size < 0 && errno != ECONNREFUSED)
            return;
        if (size < 0 || peer_size > sizeof client.peer)
            continue;
        memcpy(client.peer, &peer, peer_size);
        client.peer_size = peer_size;
        take_message(listen, &client, bytes, (size_t)size);
    }
}

/* The whole messages at the beginning of what has come. */
static void tcp_take(struct tcp_client *client)
{
    while (!client->is_gone && client->in_size >= 2) {
        struct dns_client asked = {.udp_fd = -1, .tcp = client};
        size_t size = (size_t)(client->in[0] << 8 | client->in[1]);

        if (size > TCP_QUERY_MAX) {
            tcp_close(client);
            return;
        }
        if (client->in_size < 2 + size)
            return;
        take_message(client->listen, &asked, client->in + 2, size);
        if (client->is_gone)
            return;
        client->in_size -= 2 + size;
        memmove(client->in, client->in + 2 + size, client->in_size);
    }
}

static void tcp_ready(void *context, uint32_t events)
{
    struct tcp_client *client = context;
    ssize_t size;

    if (client->out_size > 0) {
        if (events & (EPOLLOUT | EPOLLERR | EPOLLHUP))
            (void)tcp_flush(client); /* closed or not: nothing more to do */
        return;
    }
    size = recv(client->source.fd, client->in + client->in_size,
                sizeof client->in - client->in_size, MSG_DONTWAIT);
    if (size < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (size <= 0) {
        tcp_close(client);
        return;
    }
    client->in_size += (size_t)size;
    loop_arm(client->listen->loop, &client->timer, IDLE_MS);
    client->holders++; /* an answer at once may close it */
    tcp_take(client);
    if (!client->is_gone && client->in_size == sizeof client->in)
        tcp_close(client); /* more questions than it may have without an answer */
    client->holders--;
    tcp_release(client);
}

static void tcp_accept(void *context, uint32_t events)
{
    struct endpoint_socket *socket = context;
    struct listen *listen = socket->listen;
    cleanup_fd int fd = accept4(socket->source.fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    struct tcp_client *client;

    (void)events; /* accepting tells */
    if (fd < 0)
        return;
    if (listen->clients_count >= TCP_CLIENTS_MAX || !(client = calloc(1, sizeof *client)))
        return; /* closed: the client asks again */
    client->listen = listen;
    client->timer = (struct loop_timer){.due = tcp_idle, .context = client};
    client->source = (struct loop_source){.fd = fd, .ready = tcp_ready, .context = client};
    if (loop_watch(listen->loop, &client->source, EPOLLIN) < 0) {
        free(client);
        return;
    }
    (void)take_fd(&fd); /* in client->source now */
    loop_arm(listen->loop, &client->timer, IDLE_MS);
    LIST_INSERT_HEAD(&listen->clients, client, entry);
    listen->clients_count++;
}

static int socket_bind(struct endpoint_socket *socket, int fd)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(DNS_PORT)};

    memcpy(&address.sin_addr, socket->addr.bytes, sizeof address.sin_addr);
    if (!socket->is_tcp && setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &(int){1}, sizeof(int)) < 0)
        return -errno;
    if (bind(fd, (const struct sockaddr *)&address, sizeof address) < 0 ||
        (socket->is_tcp && listen(fd, TCP_CLIENTS_MAX) < 0))
        return -errno;
    socket->source = (struct loop_source){
        .fd = fd, .ready = socket->is_tcp ? tcp_accept : udp_ready, .context = socket};
    return loop_watch(socket->listen->loop, &socket->source, EPOLLIN);
}

static void socket_came(void *context, int fd)
{
    struct endpoint_socket *socket = context;
    struct listen *listen = socket->listen;
    int code = fd < 0 ? fd : socket_bind(socket, fd);

    if (code < 0) {
        if (fd >= 0)
            (void)close(fd); /* it has no name */
        socket->source.fd = -1;
        listen->calls.failed(listen->calls.context, code);
    } else if (++listen->ready_count == listen->sockets_count) {
        listen->calls.ready(listen->calls.context);
    }
}

int listen_new(struct loop *loop, struct supply *supply, const struct addr *addrs,
               size_t addrs_count, const struct listen_calls *calls, struct listen **ret_listen,
               struct error *error)
{
    struct listen *listen = calloc(1, sizeof *listen);

    if (!listen || addrs_count > ADDRS_MAX) {
        free(listen);
        return error_errno(error, -ENOMEM, "cannot start the resolver");
    }
    listen->loop = loop;
    listen->supply = supply;
    listen->calls = *calls;
    listen->sockets_count = 2 * addrs_count;
    *ret_listen = listen;
    for (size_t i = 0; i < listen->sockets_count; i++) {
        struct endpoint_socket *socket = &listen->sockets[i];

        socket->listen = listen;
        socket->source.fd = -1;
        socket->addr = addrs[i / 2];
        socket->is_tcp = i % 2;
        socket->wait = (struct supply_wait){.ready = socket_came, .context = socket};
    }
    for (size_t i = 0; i < listen->sockets_count; i++)
        supply_take_once(supply, i % 2 ? INIT_SOCKET_TCP4 : INIT_SOCKET_UDP4,
                         &listen->sockets[i].wait);
    return 0;
}

void listen_free(struct listen *listen)
{
    if (!listen)
        return;
    for (size_t i = 0; i < listen->sockets_count; i++) {
        struct endpoint_socket *socket = &listen->sockets[i];

        supply_cancel(listen->supply, &socket->wait);
        if (socket->source.fd < 0)
            continue;
        loop_unwatch(listen->loop, &socket->source);
        (void)close(socket->source.fd); /* only served */
    }
    while (!LIST_EMPTY(&listen->clients))
        tcp_close(LIST_FIRST(&listen->clients));
    free(listen);
}
