/* TCP connections that the jail makes.
 *
 * Two orders lead to the same: with a queue the SYN comes first and waits; the connection outside
 * is tried; only when it stands does the SYN go on, and the accepted socket finds its flow by
 * addresses and ports. Without a queue the accepted socket comes first, and a failure outside is a
 * reset. Both sockets together become a connection of tcp_connection.c.
 *
 * A flow is CONNECTING (outside), then READY (waits to be accepted) or gone. Its place under the
 * limit is taken when it begins. No privilege; the jail and the network are hostile. What must not
 * happen: a socket that is carried although reach_check() did not allow its destination (each is
 * asked about here, whoever came first); a packet of the queue without a verdict. */
#include "service/relay_tcp.h"

#include "base/cleanup.h"
#include "service/endpoint.h"
#include "service/loop.h"
#include "service/queue_packet.h"
#include "service/reach.h"
#include "service/tcp.h"
#include "service/verdicts.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/queue.h>
#include <sys/tree.h>
#include <unistd.h>

#define ACCEPT_WAIT_MS 10000 /* a flow that is ready and not accepted: the program gave up */

/* Compared with memcmp: zeroed before it is filled. */
struct flow_key {
    struct addr source;
    struct addr destination;
    uint16_t source_port;
    uint16_t port;
};

struct tcp_flow {
    struct flow_key key;
    struct relay_tcp *relay;
    struct loop_source outer; /* the socket outside; fd -1: none */
    int jail_fd;              /* accepted; -1: not yet */
    uint32_t packet_id;
    bool waits; /* packet_id waits in the queue */
    bool is_ready;
    struct reach_targets targets;
    size_t target;
    uint64_t due_ms; /* when is_ready */
    RB_ENTRY(tcp_flow) node;
    TAILQ_ENTRY(tcp_flow) entry; /* in relay->ready */
};

RB_HEAD(tcp_flow_tree, tcp_flow);
TAILQ_HEAD(tcp_flow_list, tcp_flow);

struct relay_tcp {
    struct loop *loop;
    struct tcp_relay *tcp;
    struct reach *reach;
    struct verdicts *verdicts;
    struct tcp_flow_tree flows;
    struct tcp_flow_list ready; /* the one that is due first in front */
    struct loop_timer timer;
    struct loop_task task;
    struct poll_budget accepts; /* after a verdict */
    int spares[2];              /* sockets for the next connection outside, IPv4, IPv6; < 0: none */
    bool spare_is_v6;           /* the one that was used last */
};

static int flow_compare(const struct tcp_flow *a, const struct tcp_flow *b)
{
    const void *key_a = &a->key;
    const void *key_b = &b->key;

    return memcmp(key_a, key_b, sizeof a->key);
}

RB_GENERATE_INTERNAL(tcp_flow_tree, tcp_flow, node, flow_compare, static __attribute__((unused)))

static struct tcp_flow *flow_find(struct relay_tcp *relay, const struct flow_key *key)
{
    struct tcp_flow wanted;

    memset(&wanted, 0, sizeof wanted);
    wanted.key = *key;
    return RB_FIND(tcp_flow_tree, &relay->flows, &wanted);
}

/* Takes the flow away; its sockets and its place are the caller's business from here on. */
static void flow_forget(struct tcp_flow *flow)
{
    struct relay_tcp *relay = flow->relay;

    loop_forget(relay->loop, &flow->outer);
    if (flow->is_ready)
        TAILQ_REMOVE(&relay->ready, flow, entry);
    RB_REMOVE(tcp_flow_tree, &relay->flows, flow);
    free(flow);
}

static void flow_end(struct tcp_flow *flow)
{
    int outer = flow->outer.fd;
    int jail = flow->jail_fd;

    tcp_relay_unreserve(flow->relay->tcp);
    flow_forget(flow);
    if (outer >= 0)
        endpoint_reset(outer);
    if (jail >= 0)
        endpoint_reset(jail);
}

/* It will not be: the program is told why as far as that is possible. */
static void flow_fail(struct tcp_flow *flow, int error_number)
{
    int refusal = reach_refusal(error_number);

    if (flow->waits && refusal)
        verdicts_send(flow->relay->verdicts, flow->packet_id, refusal);
    else if (flow->waits)
        verdicts_drop(flow->relay->verdicts, flow->packet_id);
    flow_end(flow);
}

static int open_outer(bool is_v6)
{
    int fd = socket(is_v6 ? AF_INET6 : AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    if (fd < 0)
        return -errno;
    tcp_set_options(fd);
    return fd;
}

/* A socket for a connection outside: the spare one, or a new one. Negative errno. */
static int take_outer(struct relay_tcp *relay, bool is_v6)
{
    int spare = relay->spares[is_v6];

    relay->spares[is_v6] = -1;
    relay->spare_is_v6 = is_v6;
    return spare >= 0 ? spare : open_outer(is_v6);
}

/* Behind the verdict, when the program is awaited anyway. */
static void prepare(void *context)
{
    struct relay_tcp *relay = context;
    int *spare = &relay->spares[relay->spare_is_v6];

    if (*spare < 0)
        *spare = open_outer(relay->spare_is_v6); /* where it fails the next flow hears why */
}

static void flow_join(struct tcp_flow *flow)
{
    /* A socket of the same addresses was accepted before this flow's SYN went on: it is sent again.
     */
    if (flow->waits)
        verdicts_drop(flow->relay->verdicts, flow->packet_id);
    tcp_relay_join(flow->relay->tcp, flow->jail_fd, flow->outer.fd, &flow->outer);
    flow_forget(flow);
}

/* The connection outside stands. */
static void flow_ready(struct tcp_flow *flow)
{
    struct relay_tcp *relay = flow->relay;

    if (flow->jail_fd >= 0) {
        flow_join(flow);
        return;
    }
    flow->is_ready = true;
    flow->due_ms = loop_now_ms(relay->loop) + ACCEPT_WAIT_MS;
    TAILQ_INSERT_TAIL(&relay->ready, flow, entry);
    if (!relay->timer.armed)
        loop_arm(relay->loop, &relay->timer, ACCEPT_WAIT_MS);
    if (flow->waits) {
        verdicts_send(relay->verdicts, flow->packet_id, 0);
        loop_expect_any(relay->loop, &relay->accepts);
    }
    flow->waits = false;
    loop_defer(relay->loop, &relay->task); /* behind the verdicts */
}

static void expire(void *context)
{
    struct relay_tcp *relay = context;
    uint64_t now_ms = loop_now_ms(relay->loop);
    struct tcp_flow *flow;

    while ((flow = TAILQ_FIRST(&relay->ready)) && flow->due_ms <= now_ms)
        flow_end(flow);
    if (flow)
        loop_arm(relay->loop, &relay->timer, flow->due_ms - now_ms);
}

static void try_target(struct tcp_flow *flow);

/* The present target is not to be had. */
static void next_target(struct tcp_flow *flow, int error_number)
{
    loop_forget(flow->relay->loop, &flow->outer);
    if (flow->outer.fd >= 0)
        endpoint_reset(flow->outer.fd);
    flow->outer.fd = -1;
    if (++flow->target < flow->targets.count)
        try_target(flow);
    else
        flow_fail(flow, error_number);
}

static void outer_ready(void *context, uint32_t events)
{
    struct tcp_flow *flow = context;
    int code = ECONNREFUSED;
    socklen_t size = sizeof code;

    (void)events; /* the socket's error tells */
    if (flow->is_ready)
        return; /* what comes now is told again when it is joined */
    if (getsockopt(flow->outer.fd, SOL_SOCKET, SO_ERROR, &code, &size) < 0 || code != 0)
        next_target(flow, code ? code : ECONNREFUSED);
    else
        flow_ready(flow);
}

/* Begins to connect. 0: it stands; -EINPROGRESS or another negative errno. Who is near has answered
 * before connect() returns, which tells only who asks again (connect(2)). */
static int begin_connect(int fd, const struct endpoint *endpoint)
{
    if (connect(fd, &endpoint->any, endpoint->length) == 0)
        return 0;
    if (errno != EINPROGRESS)
        return -errno;
    if (connect(fd, &endpoint->any, endpoint->length) == 0)
        return 0;
    return errno == EALREADY ? -EINPROGRESS : -errno;
}

static void try_target(struct tcp_flow *flow)
{
    const struct addr *addr = &flow->targets.addrs[flow->target];
    struct endpoint endpoint = endpoint_of(addr, flow->key.port);
    int code;

    flow->outer.fd = take_outer(flow->relay, addr->family == ADDR_V6);
    if (flow->outer.fd < 0) {
        next_target(flow, -flow->outer.fd);
        return;
    }
    code = begin_connect(flow->outer.fd, &endpoint);
    if (code == 0) {
        flow_ready(flow);
        return;
    }
    if (code == -EINPROGRESS)
        code = loop_watch(flow->relay->loop, &flow->outer, EPOLLOUT | EPOLLET);
    if (code < 0)
        next_target(flow, -code);
}

/* A new flow with its place under the limit; NULL: there is none. */
static struct tcp_flow *flow_new(struct relay_tcp *relay, const struct flow_key *key)
{
    struct tcp_flow *flow;

    if (!tcp_relay_reserve(relay->tcp))
        return NULL;
    flow = calloc(1, sizeof *flow);
    if (!flow) {
        tcp_relay_unreserve(relay->tcp);
        return NULL;
    }
    flow->key = *key;
    flow->relay = relay;
    flow->jail_fd = -1;
    flow->outer = (struct loop_source){.fd = -1, .ready = outer_ready, .context = flow};
    RB_INSERT(tcp_flow_tree, &relay->flows, flow);
    return flow;
}

static int check(struct relay_tcp *relay, const struct flow_key *key,
                 struct reach_targets *ret_targets)
{
    const struct packet packet = {.direction = DIRECTION_OUT,
                                  .protocol = IPPROTO_TCP,
                                  .source = key->source,
                                  .destination = key->destination,
                                  .port = key->port};

    return reach_check(relay->reach, &packet, ret_targets);
}

void relay_tcp_packet(struct relay_tcp *relay, const struct queue_packet *packet)
{
    struct flow_key key;
    struct reach_targets targets;
    struct tcp_flow *flow;
    int refusal;

    memset(&key, 0, sizeof key);
    key.source = packet->source;
    key.destination = packet->destination;
    key.source_port = packet->source_port;
    key.port = packet->port;
    flow = flow_find(relay, &key);
    if (flow && flow->is_ready) {
        verdicts_send(relay->verdicts, packet->id, 0);
        return;
    }
    if (flow) {
        verdicts_drop(relay->verdicts, packet->id); /* sent again: the first one waits */
        return;
    }
    refusal = check(relay, &key, &targets);
    if (refusal == 0 && !(flow = flow_new(relay, &key)))
        refusal = RELAY_REFUSED;
    if (refusal) {
        verdicts_send(relay->verdicts, packet->id, refusal);
        return;
    }
    flow->packet_id = packet->id;
    flow->waits = true;
    flow->targets = targets;
    try_target(flow);
}

/* An accepted socket that no packet announced. */
static void accept_unannounced(struct relay_tcp *relay, const struct flow_key *key, int fd)
{
    struct reach_targets targets;
    struct tcp_flow *flow;

    if (check(relay, key, &targets) != 0 || !(flow = flow_new(relay, key))) {
        endpoint_reset(fd);
        return;
    }
    flow->jail_fd = fd;
    flow->targets = targets;
    try_target(flow);
}

static void accepted(void *context, int fd, const struct endpoint *peer)
{
    struct relay_tcp *relay = context;
    struct flow_key key;
    struct tcp_flow *flow;

    memset(&key, 0, sizeof key);
    if (!endpoint_read(peer, &key.source, &key.source_port) ||
        !endpoint_local(fd, &key.destination, &key.port)) {
        endpoint_reset(fd);
        return;
    }
    flow = flow_find(relay, &key);
    if (!flow) {
        accept_unannounced(relay, &key, fd);
        return;
    }
    if (flow->jail_fd >= 0)
        endpoint_reset(flow->jail_fd); /* the same addresses and ports once more: it was given up */
    flow->jail_fd = fd;
    if (flow->is_ready)
        flow_join(flow);
}

int relay_tcp_listen(struct relay_tcp *relay, int fd, struct error *error)
{
    return tcp_relay_accept(relay->tcp, fd, accepted, relay, error);
}

int relay_tcp_new(struct loop *loop, struct tcp_relay *tcp, struct reach *reach,
                  struct verdicts *verdicts, struct relay_tcp **ret_relay, struct error *error)
{
    struct relay_tcp *relay = calloc(1, sizeof *relay);

    if (!relay)
        return error_errno(error, -ENOMEM, "cannot start the relay");
    relay->loop = loop;
    relay->tcp = tcp;
    relay->reach = reach;
    relay->verdicts = verdicts;
    relay->spares[0] = relay->spares[1] = -1;
    RB_INIT(&relay->flows);
    TAILQ_INIT(&relay->ready);
    relay->timer = (struct loop_timer){.due = expire, .context = relay};
    relay->task = (struct loop_task){.run = prepare, .context = relay};
    *ret_relay = relay;
    return 0;
}

void relay_tcp_free(struct relay_tcp *relay)
{
    struct tcp_flow *flow;

    if (!relay)
        return;
    while ((flow = RB_MIN(tcp_flow_tree, &relay->flows)))
        flow_end(flow);
    loop_disarm(relay->loop, &relay->timer);
    loop_cancel(relay->loop, &relay->task);
    for (int i = 0; i < 2; i++) {
        if (relay->spares[i] >= 0)
            (void)close(relay->spares[i]); /* never connected */
    }
    free(relay);
}
