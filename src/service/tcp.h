/* TCP connections that are carried: of published ports, accepted outside and connected in the jail;
 * and those that relay_tcp.c joins. */
#pragma once

#include "base/diag.h"
#include "service/protocol.h"

#include <stdbool.h>
#include <stdint.h>

struct endpoint;
struct limits;
struct loop;
struct loop_source;
struct supply;
struct service_log;
struct tcp_relay;

/* `limits`: over all listeners; what comes above is reset at once. `pipes`: at most so many at a
 * time; connections that find none are carried, too, at a higher price. */
int tcp_relay_new(struct loop *loop, struct supply *supply, struct service_log *log,
                  struct limits *limits, uint32_t pipes, struct tcp_relay **ret_relay,
                  struct error *error);
/* Accepts nothing any more; connections go on. */
void tcp_relay_close_listeners(struct tcp_relay *relay);
/* Resets all connections. */
void tcp_relay_abort(struct tcp_relay *relay);
/* The same, and closes the listeners. */
void tcp_relay_free(struct tcp_relay *relay);

/* Serves the listening socket `fd` (owned from here on, also on failure). `listener` stays the
 * caller's and must outlive the relay. */
int tcp_relay_listen(struct tcp_relay *relay, int fd, const struct service_listener *listener,
                     struct error *error);
/* The same for one whose connections are the caller's business (service/acceptor.h). */
int tcp_relay_accept(struct tcp_relay *relay, int fd,
                     void (*accepted)(void *context, int fd, const struct endpoint *peer),
                     void *context, struct error *error);

/* Carries the bytes between two connected sockets, whose place was reserved; both are owned from
 * here on, also on failure: then both were reset. `client` is the one whose end made the
 * connection; `target` has its options and may be watched by *watched. Nobody else has a copy of
 * either descriptor. */
void tcp_relay_join(struct tcp_relay *relay, int client, int target, struct loop_source *watched);

/* Takes or gives back a place under the limits, for a connection that is not joined yet. False: a
 * limit is reached, which the log says. */
bool tcp_relay_reserve(struct tcp_relay *relay);
void tcp_relay_unreserve(struct tcp_relay *relay);

/* As little delay as without us; urgent bytes stay in the stream. Accepted sockets have the options
 * of their listener, also the next. */
void tcp_set_options(int fd);
/* Peers that vanish are found (tcp(7)): after 15 minutes. */
void tcp_keep_alive(int fd);

/* Connections that exist now. */
uint32_t tcp_relay_count(const struct tcp_relay *relay);
