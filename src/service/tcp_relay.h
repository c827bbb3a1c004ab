/* What tcp.c (listening) and tcp_connection.c (one connection) share. */
#pragma once

#include "service/acceptor.h"
#include "service/limits.h"
#include "service/loop.h"
#include "service/pipes.h"
#include "service/pump.h"
#include "service/supply.h"
#include "service/tcp.h"

enum tcp_side {
    SIDE_CLIENT, /* whose end made the connection: outside of a published port, else in the jail */
    SIDE_TARGET,
};

struct tcp_connection {
    struct tcp_relay *relay;
    const struct service_listener *listener; /* NULL: joined by tcp_relay_join() */
    struct loop_source sides[2];             /* fd -1: none yet */
    struct pump pumps[2];                    /* by the side that the bytes come from */
    struct supply_wait wait;
    struct loop_task task;
    bool target_is_shared; /* init may still have a copy of the target's descriptor */
    bool is_connected;
    bool is_connecting; /* in relay->connecting */
    bool is_kept;       /* its target has keepalives, as its client has */
    uint8_t target;     /* the one that is tried */
    uint64_t due_ms;    /* of the attempt */
    TAILQ_ENTRY(tcp_connection) entry;
    TAILQ_ENTRY(tcp_connection) connecting;
};

TAILQ_HEAD(connection_list, tcp_connection);

struct tcp_relay {
    struct loop *loop;
    struct supply *supply;
    struct service_log *log;
    struct pipes pipes;
    struct limits *limits;
    uint32_t count;
    struct acceptor acceptor;
    struct connection_list connections;
    struct connection_list connecting; /* in the order of their due time */
    struct loop_timer connect_timer;
    struct loop_timer keep_timer;
    struct poll_budget answers; /* to a little that was passed on */
    struct tcp_listener *listeners;
};

/* Takes over the accepted socket `fd` and starts to connect it. 0 or a negative errno, `fd` still
 * the caller's, as is the place that was reserved. */
int tcp_connection_start(struct tcp_relay *relay, const struct service_listener *listener, int fd);

/* Ends a connection with a reset on both sides and frees it. */
void tcp_connection_abort(struct tcp_connection *connection);

/* The relay's connect_timer: gives up attempts that take too long. */
void tcp_connection_timeout(void *relay);
/* The relay's keep_timer: those that are there for a while get keepalives. */
void tcp_connection_keep(void *relay);
