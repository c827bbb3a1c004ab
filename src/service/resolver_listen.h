/* The resolver's sockets in the jail: UDP and TCP at port 53. */
#pragma once

#include "base/diag.h"
#include "service/resolver_message.h"
#include "service/supply.h"

struct listen;
struct tcp_client;

/* Who asked: kept by whoever answers later. */
struct dns_client {
    struct dns_query query;
    int udp_fd;       /* -1: by TCP */
    uint8_t peer[32]; /* struct sockaddr_in of a UDP client */
    uint32_t peer_size;
    struct tcp_client *tcp; /* NULL: by UDP, or it is gone */
};

struct listen_calls {
    /* All sockets listen. */
    void (*ready)(void *context);
    void (*failed)(void *context, int code);
    /* A query to be answered, now or later, with listen_answer(), or given up with
     * listen_forget(). The client is the callee's to copy; its `tcp` counts as one holder. */
    void (*query)(void *context, const struct dns_client *client);
    void *context;
};

/* Takes sockets of the jail from `supply` and binds them at each of the addresses (IPv4). */
int listen_new(struct loop *loop, struct supply *supply, const struct addr *addrs,
               size_t addrs_count, const struct listen_calls *calls, struct listen **ret_listen,
               struct error *error);
void listen_free(struct listen *listen);

/* Answers and lets go of the client. */
void listen_answer(struct listen *listen, struct dns_client *client,
                   const struct dns_answer *answer);
void listen_forget(struct listen *listen, struct dns_client *client);
