/* Pings of the jail.
 *
 * An echo request that the rules admit comes back to lo, where it waits in the queue. It is sent
 * again by a ping socket of the host (net.ipv4.ping_group_range, icmp(7)), one for each program
 * and address, whose answers are only those of the one it asked; the packet itself ends here. The
 * answer goes into the jail with the program's own identifier. Where the host does not let us have
 * a ping socket, the request is refused at once, and the denial log says so.
 *
 * Bounded: the flow that was idle for longest makes room; 20 s without a ping end one. No
 * privilege; the jail and the network are hostile. What must not happen: a request sent outside
 * without reach_check() having allowed it; a packet of the queue without a verdict. */
#include "service/relay_echo.h"

#include "service/endpoint.h"
#include "service/loop.h"
#include "service/queue_packet.h"
#include "service/reach.h"
#include "service/relay_errors.h"
#include "service/verdicts.h"

#include <errno.h>
#include <netinet/icmp6.h>
#include <netinet/in.h>
#include <netinet/ip_icmp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/queue.h>
#include <unistd.h>

#define IDLE_MS     20000
#define HEADER_SIZE 8
#define MESSAGE_MAX (HEADER_SIZE + QUEUE_COPY_BYTES)

struct echo_flow {
    struct relay_echo *relay;
    struct addr source;
    struct addr destination;
    uint16_t identifier; /* the program's */
    uint16_t sequence;   /* of the last request */
    struct loop_source outer;
    uint64_t used_ms;
    TAILQ_ENTRY(echo_flow) age;
};

TAILQ_HEAD(echo_list, echo_flow);

struct relay_echo {
    struct loop *loop;
    struct reach *reach;
    struct verdicts *verdicts;
    struct relay_errors *errors;
    struct echo_list flows; /* longest idle first */
    size_t count;
    struct loop_timer timer;
};

static bool is_echo(const struct queue_packet *packet)
{
    return packet->icmp_type == (packet->protocol == IPPROTO_ICMP ? ICMP_ECHO : ICMP6_ECHO_REQUEST);
}

static void flow_end(struct echo_flow *flow)
{
    struct relay_echo *relay = flow->relay;

    loop_forget(relay->loop, &flow->outer);
    (void)close(flow->outer.fd); /* pings: nothing is owed */
    TAILQ_REMOVE(&relay->flows, flow, age);
    relay->count--;
    free(flow);
}

static void expire(void *context)
{
    struct relay_echo *relay = context;
    uint64_t now_ms = loop_now_ms(relay->loop);
    struct echo_flow *flow;

    while ((flow = TAILQ_FIRST(&relay->flows)) && flow->used_ms + IDLE_MS <= now_ms)
        flow_end(flow);
    if (flow)
        loop_arm(relay->loop, &relay->timer, flow->used_ms + IDLE_MS - now_ms);
}

/* Builds an echo message without its checksum; its length. */
static size_t message_build(uint8_t *bytes, uint8_t type, uint16_t identifier, uint16_t sequence,
                            const uint8_t *payload, size_t length)
{
    memset(bytes, 0, HEADER_SIZE);
    bytes[0] = type;
    bytes[4] = (uint8_t)(identifier >> 8);
    bytes[5] = (uint8_t)identifier;
    bytes[6] = (uint8_t)(sequence >> 8);
    bytes[7] = (uint8_t)sequence;
    memcpy(bytes + HEADER_SIZE, payload, length);
    return HEADER_SIZE + length;
}

static void answered(const struct echo_flow *flow, const uint8_t *bytes, size_t length)
{
    bool is_v4 = flow->source.family == ADDR_V4;
    uint8_t type = is_v4 ? ICMP_ECHOREPLY : ICMP6_ECHO_REPLY;
    uint8_t message[MESSAGE_MAX];

    if (length < HEADER_SIZE || length > sizeof message || bytes[0] != type)
        return;
    length = message_build(message, type, flow->identifier, (uint16_t)(bytes[6] << 8 | bytes[7]),
                           bytes + HEADER_SIZE, length - HEADER_SIZE);
    relay_errors_pass(flow->relay->errors, &flow->destination, &flow->source, message, length);
}

/* A request came to nothing: the last one, and those before it with it. */
static void failed(const struct echo_flow *flow, int error_number)
{
    int refusal = reach_refusal(error_number);
    const struct failed_packet packet = {
        .protocol = flow->source.family == ADDR_V4 ? IPPROTO_ICMP : IPPROTO_ICMPV6,
        .source = flow->source,
        .destination = flow->destination,
        .source_port = flow->identifier,
        .port = flow->sequence,
    };

    if (refusal)
        relay_errors_send(flow->relay->errors, &packet, refusal);
}

static void outer_ready(void *context, uint32_t events)
{
    const struct echo_flow *flow = context;
    uint8_t bytes[MESSAGE_MAX + 1];
    ssize_t got = recv(flow->outer.fd, bytes, sizeof bytes, MSG_DONTWAIT);
    int code = 0;
    int queued = 0;

    if (got >= 0) /* level-triggered: what is left comes again */
        answered(flow, bytes, (size_t)got);
    else if (errno != EAGAIN && errno != EINTR)
        code = errno;
    if (code != 0 || events & EPOLLERR)
        queued = endpoint_take_errors(flow->outer.fd);
    if (code != 0 || queued != 0)
        failed(flow, code != 0 ? code : queued);
}

static struct echo_flow *flow_find(struct relay_echo *relay, const struct queue_packet *packet)
{
    struct echo_flow *flow;

    TAILQ_FOREACH(flow, &relay->flows, age)
    {
        if (flow->identifier == packet->source_port && addr_equal(&flow->source, &packet->source) &&
            addr_equal(&flow->destination, &packet->destination))
            return flow;
    }
    return NULL;
}

/* A ping socket that is connected to the destination, or a negative errno. */
static int ping_open(const struct relay_echo *relay, const struct packet *asked)
{
    bool is_v4 = asked->destination.family == ADDR_V4;
    struct endpoint endpoint = endpoint_of(&asked->destination, 0);
    int fd = socket(is_v4 ? AF_INET : AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK,
                    is_v4 ? IPPROTO_ICMP : IPPROTO_ICMPV6);
    int code = fd < 0 ? -errno : fd;

    if (code == -EACCES) /* ping_group_range; connect() has other reasons */
        reach_tell_no_ping(relay->reach, asked);
    if (fd >= 0 && connect(fd, &endpoint.any, endpoint.length) < 0) {
        code = -errno;
        (void)close(fd); /* of no use */
    }
    if (code >= 0)
        endpoint_want_errors(fd, asked->destination.family);
    return code;
}

/* 0 or a negative errno. */
static int flow_new(struct relay_echo *relay, const struct queue_packet *packet,
                    const struct packet *asked, struct echo_flow **ret_flow)
{
    struct echo_flow *flow = calloc(1, sizeof *flow);
    int fd = flow ? ping_open(relay, asked) : -ENOMEM;

    if (fd < 0) {
        free(flow);
        return fd;
    }
    if (relay->count == RELAY_ECHO_FLOWS_MAX)
        flow_end(TAILQ_FIRST(&relay->flows));
    *flow = (struct echo_flow){
        .relay = relay,
        .source = packet->source,
        .destination = packet->destination,
        .identifier = packet->source_port,
        .outer = {.fd = fd, .ready = outer_ready, .context = flow},
    };
    TAILQ_INSERT_TAIL(&relay->flows, flow, age);
    relay->count++;
    if (loop_watch(relay->loop, &flow->outer, EPOLLIN) < 0) {
        flow_end(flow);
        return -ENOMEM;
    }
    if (!relay->timer.armed)
        loop_arm(relay->loop, &relay->timer, IDLE_MS);
    *ret_flow = flow;
    return 0;
}

/* Sends the request on: 0 or a negative errno. */
static int carry(struct relay_echo *relay, const struct queue_packet *packet,
                 const struct packet *asked)
{
    struct echo_flow *flow = flow_find(relay, packet);
    uint8_t message[MESSAGE_MAX];
    size_t length;
    int code = flow ? 0 : flow_new(relay, packet, asked, &flow);

    if (code < 0)
        return code;
    flow->used_ms = loop_now_ms(relay->loop);
    flow->sequence = packet->port;
    TAILQ_REMOVE(&relay->flows, flow, age);
    TAILQ_INSERT_TAIL(&relay->flows, flow, age);
    /* The kernel puts in its own identifier and the checksum. */
    length = message_build(message, packet->icmp_type, 0, packet->port, packet->payload,
                           packet->payload_length);
    return send(flow->outer.fd, message, length, MSG_DONTWAIT | MSG_NOSIGNAL) < 0 ? -errno : 0;
}

void relay_echo_packet(struct relay_echo *relay, const struct queue_packet *packet)
{
    const struct packet asked = {.direction = DIRECTION_OUT,
                                 .protocol = packet->protocol,
                                 .source = packet->source,
                                 .destination = packet->destination,
                                 .icmp_type = packet->icmp_type};
    struct reach_targets targets;
    int refusal = RELAY_PROHIBITED;
    int code;

    if (is_echo(packet) && !packet->is_cut && packet->payload_length <= QUEUE_COPY_BYTES)
        refusal = reach_check(relay->reach, &asked, &targets);
    if (refusal == 0) {
        code = carry(relay, packet, &asked);
        if (code < 0 && code != -EAGAIN)
            refusal = reach_refusal(-code);
    }
    if (refusal == 0) /* it was sent, or is lost as on any network */
        verdicts_drop(relay->verdicts, packet->id);
    else /* a reset is for TCP */
        verdicts_send(relay->verdicts, packet->id,
                      refusal == RELAY_REFUSED ? RELAY_PROHIBITED : refusal);
}

int relay_echo_new(struct loop *loop, struct reach *reach, struct verdicts *verdicts,
                   struct relay_errors *errors, struct relay_echo **ret_relay, struct error *error)
{
    struct relay_echo *relay = calloc(1, sizeof *relay);

    if (!relay)
        return error_errno(error, -ENOMEM, "cannot start the relay");
    relay->loop = loop;
    relay->reach = reach;
    relay->verdicts = verdicts;
    relay->errors = errors;
    TAILQ_INIT(&relay->flows);
    relay->timer = (struct loop_timer){.due = expire, .context = relay};
    *ret_relay = relay;
    return 0;
}

void relay_echo_free(struct relay_echo *relay)
{
    struct echo_flow *flow;

    if (!relay)
        return;
    while ((flow = TAILQ_FIRST(&relay->flows)))
        flow_end(flow);
    loop_disarm(relay->loop, &relay->timer);
    free(relay);
}
