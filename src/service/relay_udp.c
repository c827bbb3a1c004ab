/* UDP that the jail sends.
 *
 * Every datagram that the rules admit arrives at one transparent socket per family, with the
 * address that it was sent to. A flow is who sent to whom: it has a connected socket outside, whose
 * answers and errors are only those of the one it asked. An answer must come from the address that
 * was asked, so it leaves from a socket of the jail that is bound to that address (all addresses
 * are local there); flows to the same address share it.
 *
 * Bounded: flows by the limit (the longest idle one makes room), 60 s without a datagram end a
 * flow. No privilege; the jail and the network are hostile. What must not happen: a datagram sent
 * outside without reach_check() having allowed its flow; a reply socket that is connected or that
 * receives (tproxy would take it for the destination). */
#include "service/relay_udp.h"

#include "service/endpoint.h"
#include "service/limits.h"
#include "service/log.h"
#include "service/loop.h"
#include "service/reach.h"
#include "service/relay_errors.h"
#include "service/supply.h"
#include "service/udp.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/queue.h>
#include <sys/tree.h>
#include <unistd.h>

/* As many datagrams as are taken at once: one system call for a busy socket's, and one is enough
 * to see that there are no more. */
#define DATAGRAM_MAX  65536
#define DATAGRAMS     16
#define LISTENERS_MAX 2

#ifndef IPV6_FREEBIND
#define IPV6_FREEBIND 78 /* linux/in6.h */
#endif

union control {
    struct cmsghdr align;
    char bytes[CMSG_SPACE(sizeof(struct sockaddr_in6)) + CMSG_SPACE(64)];
};

/* What is taken from a socket at once; of the buffers only the pages that are used cost memory. */
struct relay_udp_batch {
    uint8_t datagrams[DATAGRAMS][DATAGRAM_MAX];
    struct endpoint from[DATAGRAMS];
    union control controls[DATAGRAMS];
    struct iovec parts[DATAGRAMS];
    struct mmsghdr headers[DATAGRAMS];
};

/* An address of the outside as the jail sees it, and the socket that answers from it. */
struct reply {
    struct addr addr;
    uint16_t port;
    struct relay_udp *relay;
    int fd; /* -1: not here yet */
    struct supply_wait wait;
    size_t users; /* flows */
    RB_ENTRY(reply) node;
};

struct relay_udp_listener {
    struct relay_udp *relay;
    struct loop_source source;
};

/* Compared with memcmp: zeroed before it is filled. */
struct relayed_key {
    struct addr source;
    struct addr destination;
    uint16_t source_port;
    uint16_t port;
};

struct relayed {
    struct relayed_key key;
    struct relay_udp *relay;
    struct loop_source outer; /* connected outside; fd -1: none */
    struct reply *reply;
    struct reach_targets targets;
    size_t target;
    uint64_t used_ms;
    RB_ENTRY(relayed) node;
    TAILQ_ENTRY(relayed) age;
};

RB_HEAD(reply_tree, reply);
RB_HEAD(relayed_tree, relayed);
TAILQ_HEAD(relayed_list, relayed);

struct relay_udp {
    struct loop *loop;
    struct supply *supply;
    struct reach *reach;
    struct relay_errors *errors;
    struct service_log *log;
    struct limits *limits;
    uint32_t count;
    struct relayed_tree flows;
    struct relayed_list ages; /* longest idle first */
    struct reply_tree replies;
    struct loop_timer timer;
    struct poll_budget answers;  /* from outside */
    struct poll_budget requests; /* the next from the jail, after an answer */
    struct loop_source *asked;   /* the listener that had the last one */
    struct relay_udp_listener listeners[LISTENERS_MAX];
    size_t listeners_count;
    struct relay_udp_batch batch;
};

static int relayed_compare(const struct relayed *a, const struct relayed *b)
{
    const void *key_a = &a->key;
    const void *key_b = &b->key;

    return memcmp(key_a, key_b, sizeof a->key);
}

static int reply_compare(const struct reply *a, const struct reply *b)
{
    int order = addr_compare(&a->addr, &b->addr);

    return order ? order : (int)a->port - (int)b->port;
}

RB_GENERATE_INTERNAL(relayed_tree, relayed, node, relayed_compare, static __attribute__((unused)))
RB_GENERATE_INTERNAL(reply_tree, reply, node, reply_compare, static __attribute__((unused)))

static void reply_release(struct reply *reply)
{
    struct relay_udp *relay = reply->relay;

    if (--reply->users > 0)
        return;
    supply_cancel(relay->supply, &reply->wait);
    if (reply->fd >= 0)
        (void)close(reply->fd); /* datagrams: nothing is owed */
    RB_REMOVE(reply_tree, &relay->replies, reply);
    free(reply);
}

static void close_outer(struct relayed *flow)
{
    if (flow->outer.fd < 0)
        return;
    loop_unwatch(flow->relay->loop, &flow->outer);
    (void)close(flow->outer.fd); /* the same */
    flow->outer.fd = -1;
}

static void flow_end(struct relayed *flow)
{
    struct relay_udp *relay = flow->relay;

    close_outer(flow);
    if (flow->reply)
        reply_release(flow->reply);
    RB_REMOVE(relayed_tree, &relay->flows, flow);
    TAILQ_REMOVE(&relay->ages, flow, age);
    relay->count--;
    limits_give(relay->limits);
    free(flow);
}

static void touch(struct relayed *flow)
{
    flow->used_ms = loop_now_ms(flow->relay->loop);
    TAILQ_REMOVE(&flow->relay->ages, flow, age);
    TAILQ_INSERT_TAIL(&flow->relay->ages, flow, age);
}

static void expire(void *context)
{
    struct relay_udp *relay = context;
    uint64_t now_ms = loop_now_ms(relay->loop);
    struct relayed *flow;

    while ((flow = TAILQ_FIRST(&relay->ages)) && flow->used_ms + UDP_IDLE_MS <= now_ms)
        flow_end(flow);
    if (flow)
        loop_arm(relay->loop, &relay->timer, flow->used_ms + UDP_IDLE_MS - now_ms);
}

static void tell(struct relay_udp *relay, const struct relayed_key *key, int refusal)
{
    const struct failed_packet failed = {.protocol = IPPROTO_UDP,
                                         .source = key->source,
                                         .destination = key->destination,
                                         .source_port = key->source_port,
                                         .port = key->port};

    relay_errors_send(relay->errors, &failed, refusal);
}

/* An earlier datagram came to nothing. The flow stays: the program may try again. */
static void outer_failed(struct relayed *flow, int error_number)
{
    int refusal = reach_refusal(error_number);

    if (refusal)
        tell(flow->relay, &flow->key, refusal);
    if (flow->targets.count < 2)
        return;
    close_outer(flow); /* host.netjail: the next datagram tries the other loopback address */
    flow->target = (flow->target + 1) % flow->targets.count;
}

/* A call on the socket has said so. What came to nothing with it is told by the same message. */
static void outer_refused(struct relayed *flow, int error_number)
{
    if (flow->outer.fd >= 0)
        (void)endpoint_take_errors(flow->outer.fd);
    outer_failed(flow, error_number);
}

static bool is_refusal(int code)
{
    return code == ECONNREFUSED || code == EHOSTUNREACH || code == ENETUNREACH || code == EACCES ||
           code == EPERM || code == EADDRNOTAVAIL || code == EHOSTDOWN || code == ENETDOWN;
}

/* Receives into the batch; the number of datagrams or -1 with errno. */
static int batch_receive(struct relay_udp_batch *batch, int fd, bool with_addresses)
{
    for (size_t i = 0; i < DATAGRAMS; i++) {
        struct msghdr *header = &batch->headers[i].msg_hdr;

        batch->parts[i] = (struct iovec){batch->datagrams[i], sizeof batch->datagrams[i]};
        *header = (struct msghdr){.msg_iov = &batch->parts[i], .msg_iovlen = 1};
        if (!with_addresses)
            continue;
        header->msg_name = &batch->from[i].any;
        header->msg_namelen = sizeof batch->from[i].v6;
        header->msg_control = &batch->controls[i];
        header->msg_controllen = sizeof batch->controls[i];
    }
    return recvmmsg(fd, batch->headers, DATAGRAMS, MSG_DONTWAIT, NULL);
}

/* Sends the batch's datagrams to the program. One that cannot be sent is lost, and those behind it
 * are tried all the same. */
static void answer(struct relayed *flow, int count)
{
    struct relay_udp_batch *batch = &flow->relay->batch;
    struct endpoint to = endpoint_of(&flow->key.source, flow->key.source_port);
    int at = 0;

    for (int i = 0; i < count; i++) {
        batch->parts[i].iov_len = batch->headers[i].msg_len;
        batch->headers[i].msg_hdr.msg_name = &to.any;
        batch->headers[i].msg_hdr.msg_namelen = to.length;
    }
    while (at < count) {
        int sent = sendmmsg(flow->reply->fd, batch->headers + at, (unsigned)(count - at),
                            MSG_DONTWAIT | MSG_NOSIGNAL);

        at += sent > 0 ? sent : 1;
    }
}

/* True: something came, be it a refusal. */
static bool outer_take(void *context)
{
    struct relayed *flow = context;
    struct relay_udp *relay = flow->relay;
    int count;

    if (flow->reply->fd < 0) {
        loop_unwatch(relay->loop, &flow->outer); /* watched again when it is there */
        return false;
    }
    count = batch_receive(&relay->batch, flow->outer.fd, false);
    if (count <= 0) {
        bool refused = count < 0 && is_refusal(errno);

        if (refused)
            outer_refused(flow, errno);
        return refused;
    }
    touch(flow);
    answer(flow, count);
    loop_expect(relay->loop, relay->asked, &relay->requests);
    return true;
}

static void outer_ready(void *context, uint32_t events)
{
    struct relayed *flow = context;
    int code;

    (void)outer_take(flow); /* level-triggered: what is left comes again */
    if (!(events & EPOLLERR) || flow->outer.fd < 0)
        return;
    code = endpoint_take_errors(flow->outer.fd); /* else they are reported for ever */
    if (is_refusal(code))
        outer_failed(flow, code);
}

static void watch_outer(struct relayed *flow)
{
    if (flow->outer.fd >= 0 && !flow->outer.watched &&
        loop_watch(flow->relay->loop, &flow->outer, EPOLLIN) < 0)
        close_outer(flow); /* the next datagram tries again */
}

/* Binds the socket to an address of the outside. IPv4 finds it local by the jail's routes; IPv6
 * wants to be told that it need not be on an interface. A server of the jail that has the port on
 * every address shares it only with who would share it, too. */
static bool reply_bind(const struct reply *reply)
{
    struct endpoint endpoint = endpoint_of(&reply->addr, reply->port);
    const int on = 1;

    /* Where it fails, so does bind() where it matters. */
    (void)setsockopt(reply->fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (reply->addr.family == ADDR_V6 &&
        setsockopt(reply->fd, IPPROTO_IPV6, IPV6_FREEBIND, &on, sizeof on) < 0)
        return false;
    return bind(reply->fd, &endpoint.any, endpoint.length) == 0;
}

static void reply_came(void *context, int fd)
{
    struct reply *reply = context;
    struct relayed *flow;

    reply->fd = fd >= 0 ? fd : -1;
    if (fd < 0 || !reply_bind(reply)) {
        if (fd >= 0)
            (void)close(fd); /* not bound: of no use; the next datagram tries again */
        reply->fd = -1;
        return;
    }
    /* Flows that have been waiting: few, since a reply socket is there within a round trip. */
    RB_FOREACH(flow, relayed_tree, &reply->relay->flows)
    if (flow->reply == reply)
        watch_outer(flow);
}

static void reply_ask(struct reply *reply)
{
    if (reply->fd < 0 && !reply->wait.queued)
        supply_take(reply->relay->supply, supply_kind(IPPROTO_UDP, reply->addr.family),
                    &reply->wait);
}

static struct reply *reply_get(struct relay_udp *relay, const struct relayed_key *key)
{
    struct reply wanted = {.addr = key->destination, .port = key->port};
    struct reply *reply = RB_FIND(reply_tree, &relay->replies, &wanted);

    if (!reply) {
        reply = calloc(1, sizeof *reply);
        if (!reply)
            return NULL;
        reply->addr = key->destination;
        reply->port = key->port;
        reply->relay = relay;
        reply->fd = -1;
        reply->users = 1;
        reply->wait = (struct supply_wait){.ready = reply_came, .context = reply};
        RB_INSERT(reply_tree, &relay->replies, reply);
    } else {
        reply->users++;
    }
    reply_ask(reply);
    return reply;
}

static bool open_outer(struct relayed *flow)
{
    const struct addr *addr = &flow->targets.addrs[flow->target];
    struct endpoint endpoint = endpoint_of(addr, flow->key.port);

    flow->outer.fd = socket(addr->family == ADDR_V4 ? AF_INET : AF_INET6,
                            SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (flow->outer.fd < 0)
        return false;
    if (connect(flow->outer.fd, &endpoint.any, endpoint.length) < 0) {
        int code = errno;

        close_outer(flow);
        errno = code;
        return false;
    }
    endpoint_want_errors(flow->outer.fd, addr->family);
    watch_outer(flow);
    return flow->outer.fd >= 0;
}

static struct relayed *flow_new(struct relay_udp *relay, const struct relayed_key *key,
                                const struct reach_targets *targets)
{
    struct relayed *flow;

    if (relay->count >= relay->limits->connections ||
        (relay->limits->places == 0 && relay->count > 0)) {
        service_log_limit(relay->log, "limit of UDP flows reached: the oldest one of %u ends",
                          relay->count);
        flow_end(TAILQ_FIRST(&relay->ages));
    }
    if (!limits_take(relay->limits, "UDP flow"))
        return NULL;
    flow = calloc(1, sizeof *flow);
    if (!flow) {
        limits_give(relay->limits);
        return NULL;
    }
    flow->key = *key;
    flow->relay = relay;
    flow->targets = *targets;
    flow->outer =
        (struct loop_source){.fd = -1, .ready = outer_ready, .take = outer_take, .context = flow};
    flow->used_ms = loop_now_ms(relay->loop);
    RB_INSERT(relayed_tree, &relay->flows, flow);
    TAILQ_INSERT_TAIL(&relay->ages, flow, age);
    relay->count++;
    if (!relay->timer.armed)
        loop_arm(relay->loop, &relay->timer, UDP_IDLE_MS);
    flow->reply = reply_get(relay, key);
    if (flow->reply)
        return flow;
    flow_end(flow);
    return NULL;
}

/* The flow of a datagram, made when the policy and the host's routes allow it. */
static struct relayed *flow_get(struct relay_udp *relay, const struct relayed_key *key)
{
    struct relayed wanted;
    struct relayed *flow;
    struct reach_targets targets;
    const struct packet packet = {.direction = DIRECTION_OUT,
                                  .protocol = IPPROTO_UDP,
                                  .source = key->source,
                                  .destination = key->destination,
                                  .port = key->port};
    int refusal;

    memset(&wanted, 0, sizeof wanted);
    wanted.key = *key;
    flow = RB_FIND(relayed_tree, &relay->flows, &wanted);
    if (flow) {
        reply_ask(flow->reply);
        return flow;
    }
    refusal = reach_check(relay->reach, &packet, &targets);
    if (refusal) {
        tell(relay, key, refusal);
        return NULL;
    }
    return flow_new(relay, key, &targets);
}

/* Sends it on. False, with errno: it was not, but it may be tried again. */
static bool outer_send(struct relayed *flow, const uint8_t *datagram, size_t length)
{
    if (flow->outer.fd < 0 && !open_outer(flow)) {
        outer_failed(flow, errno);
        return true;
    }
    if (send(flow->outer.fd, datagram, length, MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
        return false;
    loop_expect(flow->relay->loop, &flow->outer, &flow->relay->answers);
    return true;
}

static void carry(struct relay_udp *relay, const struct relayed_key *key, const uint8_t *datagram,
                  size_t length)
{
    struct relayed *flow = flow_get(relay, key);

    if (!flow)
        return;
    touch(flow);
    if (!outer_send(flow, datagram, length) && is_refusal(errno)) {
        /* Often that of the datagram before; then this one was not sent. Else it is told by now. */
        outer_refused(flow, errno);
        (void)outer_send(flow, datagram, length);
    }
}

/* Where the datagram was sent (IP_ORIGDSTADDR, ip(7)). */
static bool read_destination(struct msghdr *message, struct relayed_key *key)
{
    for (struct cmsghdr *c = CMSG_FIRSTHDR(message); c; c = CMSG_NXTHDR(message, c)) {
        struct endpoint endpoint = {.length = 0};

        if (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_ORIGDSTADDR &&
            c->cmsg_len >= CMSG_LEN(sizeof endpoint.v4))
            memcpy(&endpoint.v4, CMSG_DATA(c), sizeof endpoint.v4);
        else if (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_ORIGDSTADDR &&
                 c->cmsg_len >= CMSG_LEN(sizeof endpoint.v6))
            memcpy(&endpoint.v6, CMSG_DATA(c), sizeof endpoint.v6);
        else
            continue;
        return endpoint_read(&endpoint, &key->destination, &key->port);
    }
    return false;
}

/* From whom to whom the datagram is; false: it cannot be told. */
static bool read_key(struct relay_udp_batch *batch, int i, struct relayed_key *key)
{
    struct msghdr *header = &batch->headers[i].msg_hdr;

    memset(key, 0, sizeof *key);
    return header->msg_namelen > 0 && !(header->msg_flags & MSG_CTRUNC) &&
           endpoint_read(&batch->from[i], &key->source, &key->source_port) &&
           key->source_port != 0 && read_destination(header, key) && key->port != 0;
}

static bool listener_take(void *context)
{
    struct relay_udp_listener *listener = context;
    struct relay_udp *relay = listener->relay;
    int count = batch_receive(&relay->batch, listener->source.fd, true);

    relay->asked = &listener->source;
    for (int i = 0; i < count; i++) {
        struct relayed_key key;

        if (read_key(&relay->batch, i, &key))
            carry(relay, &key, relay->batch.datagrams[i], relay->batch.headers[i].msg_len);
    }
    return count > 0;
}

static void listener_ready(void *context, uint32_t events)
{
    (void)events; /* level-triggered: what is left comes again */
    (void)listener_take(context);
}

int relay_udp_listen(struct relay_udp *relay, int fd, struct error *error)
{
    struct relay_udp_listener *listener = &relay->listeners[relay->listeners_count];

    *listener = (struct relay_udp_listener){
        .relay = relay,
        .source = {.fd = fd, .ready = listener_ready, .take = listener_take, .context = listener}};
    relay->listeners_count++;
    if (loop_watch(relay->loop, &listener->source, EPOLLIN) < 0)
        return error_set(error, -EIO, "cannot watch descriptor %d", fd);
    return 0;
}

int relay_udp_new(struct loop *loop, struct supply *supply, struct reach *reach,
                  struct relay_errors *errors, struct service_log *log, struct limits *limits,
                  struct relay_udp **ret_relay, struct error *error)
{
    struct relay_udp *relay = calloc(1, sizeof *relay);

    if (!relay)
        return error_errno(error, -ENOMEM, "cannot start the relay");
    relay->loop = loop;
    relay->supply = supply;
    relay->reach = reach;
    relay->errors = errors;
    relay->log = log;
    relay->limits = limits;
    RB_INIT(&relay->flows);
    RB_INIT(&relay->replies);
    TAILQ_INIT(&relay->ages);
    relay->timer = (struct loop_timer){.due = expire, .context = relay};
    *ret_relay = relay;
    return 0;
}

void relay_udp_free(struct relay_udp *relay)
{
    struct relayed *flow;

    if (!relay)
        return;
    while ((flow = TAILQ_FIRST(&relay->ages)))
        flow_end(flow);
    while (relay->listeners_count > 0) {
        struct loop_source *source = &relay->listeners[--relay->listeners_count].source;

        loop_unwatch(relay->loop, source);
        (void)close(source->fd); /* datagrams: nothing is owed */
    }
    loop_disarm(relay->loop, &relay->timer);
    free(relay);
}
