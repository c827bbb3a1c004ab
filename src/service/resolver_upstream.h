/* Asks the name servers outside. */
#pragma once

#include "base/diag.h"
#include "service/loop.h"
#include "service/resolver_message.h"
#include "service/resolver_servers.h"

#define DNS_ASKS_MAX 256 /* under way at a time */

struct upstream;

/* No server is known yet. The caller frees it. */
struct upstream *upstream_new(struct loop *loop); /* NULL: out of memory */
void upstream_free(struct upstream *upstream);

/* The servers from now on, in the order of asking. */
void upstream_set_servers(struct upstream *upstream, const struct addr *servers, size_t count);

/* One question under way; embedded in what waits for it, zero-initialised. */
struct upstream_ask {
    struct upstream *upstream;
    struct loop_source source; /* fd -1: none */
    struct loop_timer timer;
    struct loop_task task;
    bool active;
    struct dns_turns turns;
    bool by_tcp;
    bool tcp_wanted; /* the next attempt is by TCP, with the same server */
    bool tcp_sent;
    struct dns_name name;
    uint16_t type;
    size_t question_size;
    uint8_t question[DNS_UDP_MIN];
    uint8_t *stream; /* TCP: what has come, with its two bytes of length; owned */
    size_t stream_size;
    struct dns_answer answer; /* valid when done() says true */
    void (*done)(void *context, bool answered);
    void *context;
};

/* Asks for A or AAAA of a name. done() is called later, once, never from in here: true with
 * ask->answer, or false when no server gave one in time. */
void upstream_ask(struct upstream *upstream, struct upstream_ask *ask, const struct dns_name *name,
                  uint16_t type, void (*done)(void *context, bool answered), void *context);
/* done() is not called any more. Safe on one that is not under way. */
void upstream_cancel(struct upstream_ask *ask);
