/* The control socket of a jail: what the supervisor answers to netjailctl (jail/request.h). */
#pragma once

#include "base/diag.h"
#include "jail/events.h"

#define SERVER_CLIENTS_MAX 16

struct jail;
struct server;

/* A client that was accepted and has not said yet what it wants. */
struct server_client {
    struct event_source source; /* fd -1: a free place */
    struct server *server;
    uint64_t number; /* in the order of arrival */
};

struct server {
    struct jail *jail;
    struct events *events;
    struct event_source listener; /* fd -1: none */
    struct server_client clients[SERVER_CLIENTS_MAX];
    uint64_t arrivals;
    uint64_t netns_cookie; /* of this process: clients from another network namespace are refused */
};

/* Serves `listen_fd`, a listening SOCK_SEQPACKET socket of AF_UNIX that becomes the server's, as
 * long as the supervisor waits for `events`. `server` must stay where it is until server_stop(). */
int server_start(struct server *server, int listen_fd, struct jail *jail, struct events *events,
                 struct error *error);

/* Closes the socket and all clients. Safe on a zeroed server that was never started. */
void server_stop(struct server *server);
