/* One UDP flow: a client outside and a connected socket in the jail.
 *
 * A connected socket lets the kernel see to it that only the target's datagrams come back, and
 * tells a refusal (ICMP port unreachable) as ECONNREFUSED; before the first answer the next target
 * is then tried with the first datagram, which is kept for that. Flows are found in a balanced
 * tree, whose cost no choice of addresses can spoil. Bounded: flows by the limit (the longest idle
 * one makes room), kept datagrams by HELD_BYTES_MAX. No privilege; both sides are hostile. */
#include "service/udp_relay.h"

#include "service/endpoint.h"
#include "service/log.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#define HELD_BYTES_MAX    ((size_t)4 * 1024 * 1024)
#define REPLIES_PER_ROUND 32

static void try_target(struct udp_flow *flow);

static int flow_compare(const struct udp_flow *a, const struct udp_flow *b)
{
    const void *key_a = &a->key; /* padding and the unused parts are zero */
    const void *key_b = &b->key;

    return memcmp(key_a, key_b, sizeof a->key);
}

RB_GENERATE_INTERNAL(flow_tree, udp_flow, node, flow_compare, static __attribute__((unused)))

static void drop_first(struct udp_flow *flow)
{
    flow->relay->held_bytes -= flow->first_length;
    free(flow->first);
    flow->first = NULL;
    flow->first_length = 0;
}

static void hold_first(struct udp_flow *flow, size_t length)
{
    struct udp_relay *relay = flow->relay;

    if (flow->first || flow->is_answered || length > HELD_BYTES_MAX - relay->held_bytes)
        return;
    flow->first = malloc(length ? length : 1);
    if (!flow->first)
        return; /* a datagram less: UDP may lose it */
    memcpy(flow->first, relay->datagram, length);
    flow->first_length = length;
    relay->held_bytes += length;
}

static void close_socket(struct udp_flow *flow)
{
    if (flow->source.fd < 0)
        return;
    loop_unwatch(flow->relay->loop, &flow->source);
    (void)close(flow->source.fd); /* datagrams: nothing is owed */
    flow->source.fd = -1;
}

void udp_flow_end(struct udp_flow *flow)
{
    struct udp_relay *relay = flow->relay;

    supply_cancel(relay->supply, &flow->wait);
    close_socket(flow);
    drop_first(flow);
    RB_REMOVE(flow_tree, &relay->flows, flow);
    TAILQ_REMOVE(&relay->ages, flow, age);
    relay->count--;
    limits_give(relay->limits);
    free(flow);
}

static void touch(struct udp_flow *flow)
{
    flow->used_ms = loop_now_ms(flow->relay->loop);
    TAILQ_REMOVE(&flow->relay->ages, flow, age);
    TAILQ_INSERT_TAIL(&flow->relay->ages, flow, age);
}

void udp_flow_expire(void *context)
{
    struct udp_relay *relay = context;
    uint64_t now_ms = loop_now_ms(relay->loop);
    struct udp_flow *flow;

    while ((flow = TAILQ_FIRST(&relay->ages)) && flow->used_ms + UDP_IDLE_MS <= now_ms)
        udp_flow_end(flow);
    if (flow)
        loop_arm(relay->loop, &relay->timer, flow->used_ms + UDP_IDLE_MS - now_ms);
}

/* The present target is not to be had. A flow that has been answered ends: the client's next
 * datagram starts again with the first target. */
static void next_target(struct udp_flow *flow)
{
    close_socket(flow);
    flow->target++;
    if (flow->is_answered || flow->target >= flow->key.listener->config->target_count)
        udp_flow_end(flow);
    else
        try_target(flow);
}

/* A refusal of an earlier datagram is reported once, instead of what was asked. */
static bool is_refusal(int code)
{
    return code == ECONNREFUSED || code == EHOSTUNREACH || code == ENETUNREACH || code == EACCES ||
           code == EPERM || code == EADDRNOTAVAIL;
}

static void jail_ready(void *context, uint32_t events)
{
    struct udp_flow *flow = context;
    struct udp_relay *relay = flow->relay;

    (void)events; /* recv() tells errors, too */
    for (int i = 0; i < REPLIES_PER_ROUND; i++) {
        ssize_t got = recv(flow->source.fd, relay->datagram, sizeof relay->datagram, MSG_DONTWAIT);

        if (got < 0 && is_refusal(errno)) {
            next_target(flow);
            return;
        }
        if (got < 0)
            return;
        flow->is_answered = true;
        drop_first(flow);
        touch(flow);
        udp_reply(&flow->key, relay->datagram, (size_t)got);
    }
}

static bool connect_jail(struct udp_flow *flow)
{
    const struct service_listener *listener = flow->key.listener->config;
    struct endpoint endpoint = endpoint_of(&listener->targets[flow->target], listener->jail_port);

    if (connect(flow->source.fd, &endpoint.any, endpoint.length) < 0)
        return false;
    return loop_watch(flow->relay->loop, &flow->source, EPOLLIN) == 0;
}

/* Sends; a full buffer loses the datagram, as anywhere. False: the target refuses. */
static bool send_datagram(const struct udp_flow *flow, const uint8_t *bytes, size_t length)
{
    return send(flow->source.fd, bytes, length, MSG_DONTWAIT | MSG_NOSIGNAL) >= 0 ||
           !is_refusal(errno);
}

static void socket_came(void *context, int fd)
{
    struct udp_flow *flow = context;

    flow->source.fd = fd >= 0 ? fd : -1;
    if (fd < 0 || !connect_jail(flow) ||
        (flow->first && !send_datagram(flow, flow->first, flow->first_length)))
        next_target(flow);
}

static void try_target(struct udp_flow *flow)
{
    uint8_t family = flow->key.listener->config->targets[flow->target].family;

    supply_take(flow->relay->supply, supply_kind(IPPROTO_UDP, family), &flow->wait);
}

static struct udp_flow *flow_new(struct udp_relay *relay, const struct udp_key *key)
{
    struct udp_flow *flow;

    if (relay->count >= relay->limits->connections ||
        (relay->limits->places == 0 && relay->count > 0)) {
        service_log_limit(relay->log, "limit of UDP flows reached: the oldest one of %u ends",
                          relay->count);
        udp_flow_end(TAILQ_FIRST(&relay->ages));
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
    flow->source = (struct loop_source){.fd = -1, .ready = jail_ready, .context = flow};
    flow->wait = (struct supply_wait){.ready = socket_came, .context = flow};
    flow->used_ms = loop_now_ms(relay->loop);
    RB_INSERT(flow_tree, &relay->flows, flow);
    TAILQ_INSERT_TAIL(&relay->ages, flow, age);
    relay->count++;
    if (!relay->timer.armed)
        loop_arm(relay->loop, &relay->timer, UDP_IDLE_MS);
    return flow;
}

struct udp_flow *udp_flow_get(struct udp_relay *relay, const struct udp_key *key)
{
    struct udp_flow wanted;
    struct udp_flow *found;

    memset(&wanted, 0, sizeof wanted);
    wanted.key = *key;
    found = RB_FIND(flow_tree, &relay->flows, &wanted);
    return found ? found : flow_new(relay, key);
}

void udp_flow_send(struct udp_flow *flow, size_t length)
{
    touch(flow);
    hold_first(flow, length);
    if (flow->source.fd >= 0) {
        if (!send_datagram(flow, flow->relay->datagram, length))
            next_target(flow);
    } else if (!flow->wait.queued) {
        try_target(flow); /* sends what is held */
    }
}
