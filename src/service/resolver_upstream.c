/* Questions to the name servers outside the jail.
 *
 * Servers are asked in the order of resolver_servers. Every attempt has a socket of its own (so a
 * port of the kernel's choice), connected to the server (so the kernel lets only its answers in), a
 * random id and random case of letters (0x20); an answer must repeat all of these, or it is not
 * one. A server that does not keep the case is asked again by TCP, as for a truncated answer.
 * SERVFAIL, REFUSED and the like from one server: the next is asked.
 *
 * What must not happen: an answer to another question believed; a question that nobody ends. No
 * privilege; the sockets are in the host's network. */
#include "service/resolver_upstream.h"

#include "base/cleanup.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/random.h>
#include <sys/socket.h>

#define DNS_PORT 53

struct upstream {
    struct loop *loop;
    struct dns_servers servers;
    unsigned asks;
    uint8_t message[DNS_MESSAGE_MAX];
};

struct upstream *upstream_new(struct loop *loop)
{
    struct upstream *upstream = calloc(1, sizeof *upstream);

    if (upstream)
        upstream->loop = loop;
    return upstream;
}

void upstream_free(struct upstream *upstream)
{
    free(upstream);
}

void upstream_set_servers(struct upstream *upstream, const struct addr *servers, size_t count)
{
    servers_set(&upstream->servers, servers, count);
}

static void close_attempt(struct upstream_ask *ask)
{
    loop_disarm(ask->upstream->loop, &ask->timer);
    if (ask->source.fd >= 0) {
        loop_unwatch(ask->upstream->loop, &ask->source);
        (void)close(ask->source.fd); /* what it holds is of no interest */
    }
    ask->source.fd = -1;
    free(ask->stream);
    ask->stream = NULL;
    ask->stream_size = 0;
}

static void finish(struct upstream_ask *ask, bool answered)
{
    close_attempt(ask);
    loop_cancel(ask->upstream->loop, &ask->task);
    ask->active = false;
    ask->upstream->asks--;
    ask->done(ask->context, answered);
}

void upstream_cancel(struct upstream_ask *ask)
{
    if (!ask->active)
        return;
    close_attempt(ask);
    loop_cancel(ask->upstream->loop, &ask->task);
    ask->active = false;
    ask->upstream->asks--;
}

static void turn(struct upstream_ask *ask)
{
    turns_next(&ask->turns, &ask->upstream->servers, loop_now_ms(ask->upstream->loop));
    ask->by_tcp = ask->tcp_wanted = false;
}

static bool attempt_begin(struct upstream_ask *ask);

/* Attempts, until one is under way or none is left. */
static void attempt_next(void *context)
{
    struct upstream_ask *ask = context;

    while (turns_server(&ask->turns)) {
        if (attempt_begin(ask))
            return;
        turn(ask);
    }
    finish(ask, false);
}

/* This attempt is over without an answer. */
static void attempt_failed(struct upstream_ask *ask, bool blame)
{
    if (blame)
        servers_blame(&ask->upstream->servers, turns_server(&ask->turns),
                      loop_now_ms(ask->upstream->loop));
    close_attempt(ask);
    turn(ask);
    attempt_next(ask);
}

static void attempt_late(void *context)
{
    attempt_failed(context, true);
}

static void again_by_tcp(struct upstream_ask *ask)
{
    close_attempt(ask);
    ask->tcp_wanted = true;
    attempt_next(ask);
}

static void take_reply(struct upstream_ask *ask, const uint8_t *bytes, size_t size)
{
    enum dns_match match = dns_reply_match(ask->question, ask->question_size, bytes, size);

    if (match == DNS_MATCH_NO && !ask->by_tcp)
        return; /* the right one may still come */
    if (match == DNS_MATCH_BUT_CASE && !ask->by_tcp) {
        again_by_tcp(ask);
        return;
    }
    if (match == DNS_MATCH_NO ||
        !dns_reply_parse(bytes, size, &ask->name, ask->type, &ask->answer)) {
        attempt_failed(ask, false);
        return;
    }
    if (ask->answer.is_truncated && !ask->by_tcp)
        again_by_tcp(ask);
    else if (ask->answer.is_truncated ||
             (ask->answer.rcode != DNS_NOERROR && ask->answer.rcode != DNS_NXDOMAIN))
        attempt_failed(ask, false);
    else
        finish(ask, true);
}

static void udp_ready(struct upstream_ask *ask)
{
    struct upstream *upstream = ask->upstream;
    ssize_t size = recv(ask->source.fd, upstream->message, sizeof upstream->message, MSG_DONTWAIT);

    if (size >= 0)
        take_reply(ask, upstream->message, (size_t)size);
    else if (errno != EAGAIN && errno != EINTR)
        attempt_failed(ask, true); /* nobody listens there, or there is no way */
}

static void tcp_read(struct upstream_ask *ask)
{
    uint8_t *stream = realloc(ask->stream, 2 + DNS_MESSAGE_MAX);
    ssize_t size;
    size_t wanted;

    if (!stream) {
        attempt_failed(ask, false);
        return;
    }
    ask->stream = stream;
    size = recv(ask->source.fd, stream + ask->stream_size, 2 + DNS_MESSAGE_MAX - ask->stream_size,
                MSG_DONTWAIT);
    if (size < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (size <= 0) {
        attempt_failed(ask, true);
        return;
    }
    ask->stream_size += (size_t)size;
    wanted = ask->stream_size >= 2 ? 2u + (size_t)(stream[0] << 8 | stream[1]) : SIZE_MAX;
    if (ask->stream_size >= wanted) {
        cleanup_free uint8_t *whole = ask->stream;

        ask->stream = NULL;
        take_reply(ask, whole + 2, wanted - 2);
    }
}

static void tcp_ready(struct upstream_ask *ask, uint32_t events)
{
    uint8_t bytes[2 + DNS_UDP_MIN];
    int code = 0;
    socklen_t size = sizeof code;

    if (ask->tcp_sent) {
        tcp_read(ask);
        return;
    }
    if (getsockopt(ask->source.fd, SOL_SOCKET, SO_ERROR, &code, &size) < 0 || code != 0) {
        attempt_failed(ask, true);
        return;
    }
    if (!(events & EPOLLOUT))
        return;
    bytes[0] = (uint8_t)(ask->question_size >> 8);
    bytes[1] = (uint8_t)ask->question_size;
    memcpy(bytes + 2, ask->question, ask->question_size);
    if (send(ask->source.fd, bytes, 2 + ask->question_size, MSG_NOSIGNAL | MSG_DONTWAIT) !=
        (ssize_t)(2 + ask->question_size)) {
        attempt_failed(ask, true);
        return;
    }
    ask->tcp_sent = true;
    loop_unwatch(ask->upstream->loop, &ask->source);
    if (loop_watch(ask->upstream->loop, &ask->source, EPOLLIN) < 0)
        attempt_failed(ask, false);
}

static void attempt_ready(void *context, uint32_t events)
{
    struct upstream_ask *ask = context;

    if (ask->by_tcp)
        tcp_ready(ask, events);
    else
        udp_ready(ask);
}

static int connect_to(int fd, const struct addr *addr)
{
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_port = htons(DNS_PORT)};
    struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_port = htons(DNS_PORT)};

    memcpy(&v6.sin6_addr, addr->bytes, sizeof v6.sin6_addr);
    memcpy(&v4.sin_addr, addr->bytes, sizeof v4.sin_addr);
    return addr->family == ADDR_V4 ? connect(fd, (const struct sockaddr *)&v4, sizeof v4)
                                   : connect(fd, (const struct sockaddr *)&v6, sizeof v6);
}

static bool write_question(struct upstream_ask *ask)
{
    struct {
        uint16_t id;
        uint8_t mixed[DNS_NAME_MAX / 8 + 1];
    } random;

    if (getrandom(&random, sizeof random, 0) != (ssize_t)sizeof random)
        return false;
    ask->question_size =
        dns_question_write(random.id, &ask->name, ask->type, random.mixed, ask->question);
    return true;
}

static bool attempt_begin(struct upstream_ask *ask)
{
    const struct addr *addr = turns_server(&ask->turns);
    int type = (ask->tcp_wanted ? SOCK_STREAM : SOCK_DGRAM) | SOCK_NONBLOCK | SOCK_CLOEXEC;
    cleanup_fd int fd = socket(addr->family == ADDR_V4 ? AF_INET : AF_INET6, type, 0);

    if (fd < 0 || !write_question(ask) || (connect_to(fd, addr) < 0 && errno != EINPROGRESS))
        return false;
    ask->by_tcp = ask->tcp_wanted;
    ask->tcp_wanted = ask->tcp_sent = false;
    if (!ask->by_tcp &&
        send(fd, ask->question, ask->question_size, MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
        return false;
    ask->source = (struct loop_source){.fd = fd, .ready = attempt_ready, .context = ask};
    if (loop_watch(ask->upstream->loop, &ask->source, ask->by_tcp ? EPOLLOUT : EPOLLIN) < 0) {
        ask->source.fd = -1;
        return false;
    }
    (void)take_fd(&fd); /* in ask->source now */
    loop_arm(ask->upstream->loop, &ask->timer, turns_limit_ms(&ask->turns));
    return true;
}

static void too_many(void *context)
{
    finish(context, false);
}

void upstream_ask(struct upstream *upstream, struct upstream_ask *ask, const struct dns_name *name,
                  uint16_t type, void (*done)(void *context, bool answered), void *context)
{
    bool full = upstream->asks >= DNS_ASKS_MAX;

    ask->upstream = upstream;
    ask->source.fd = -1;
    ask->timer = (struct loop_timer){.due = attempt_late, .context = ask};
    ask->task = (struct loop_task){.run = full ? too_many : attempt_next, .context = ask};
    ask->active = true;
    turns_begin(&ask->turns, &upstream->servers, loop_now_ms(upstream->loop));
    ask->by_tcp = ask->tcp_wanted = false;
    ask->name = *name;
    ask->type = type;
    ask->done = done;
    ask->context = context;
    upstream->asks++;
    loop_defer(upstream->loop, &ask->task);
}
