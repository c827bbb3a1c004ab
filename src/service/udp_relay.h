/* What udp.c (listening) and udp_flow.c (one flow) share. */
#pragma once

#include "service/limits.h"
#include "service/loop.h"
#include "service/supply.h"
#include "service/udp.h"

#include <netinet/in.h>
#include <sys/queue.h>
#include <sys/tree.h>

#define DATAGRAM_MAX                                                                               \
    65536 /* UDP's largest payload is 65,527 bytes (RFC 8200, section 4.5 aside)                   \
           */

struct udp_listener {
    struct loop_source source;
    struct udp_relay *relay;
    const struct service_listener *config;
    struct udp_listener *next;
};

/* A flow: who sent to which address of ours. Compared with memcmp: zeroed before it is filled. */
struct udp_key {
    const struct udp_listener *listener;
    union {
        struct sockaddr_in v4;
        struct sockaddr_in6 v6;
    } client;
    union {
        struct in_addr v4;
        struct in6_addr v6;
    } local;          /* the address the client used */
    uint32_t ifindex; /* where it came in: for link-local addresses */
    uint32_t family;
};

struct udp_flow {
    struct udp_key key;
    struct udp_relay *relay;
    struct loop_source source; /* the jail's socket; fd -1: not here yet */
    struct supply_wait wait;
    uint8_t target;
    bool is_answered;
    uint64_t used_ms;
    uint8_t *first; /* the first datagram, until the flow is answered: it is sent again to the next
                       target when this one refuses. NULL: none */
    size_t first_length;
    RB_ENTRY(udp_flow) node;
    TAILQ_ENTRY(udp_flow) age;
};

RB_HEAD(flow_tree, udp_flow);
TAILQ_HEAD(flow_list, udp_flow);

struct udp_relay {
    struct loop *loop;
    struct supply *supply;
    struct service_log *log;
    struct limits *limits;
    uint32_t count;
    size_t held_bytes; /* of first datagrams */
    struct flow_tree flows;
    struct flow_list ages; /* longest idle first */
    struct loop_timer timer;
    struct udp_listener *listeners;
    uint8_t datagram[DATAGRAM_MAX];
};

/* The flow with this key, made when there is none; NULL: no memory. It may be gone after the next
 * call on the relay. */
struct udp_flow *udp_flow_get(struct udp_relay *relay, const struct udp_key *key);

/* Sends relay->datagram on to the jail. May end the flow. */
void udp_flow_send(struct udp_flow *flow, size_t length);

void udp_flow_end(struct udp_flow *flow);

/* The relay's timer: ends idle flows. */
void udp_flow_expire(void *relay);

/* Sends relay->datagram to the client, from the address it had used (udp.c). */
void udp_reply(const struct udp_key *key, const uint8_t *bytes, size_t length);
