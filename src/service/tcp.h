/* TCP connections that are carried: of published ports, accepted outside and connected in the jail;
 * and those that relay_tcp.c joins. */
#pragma once

#include "base/diag.h"
#include "service/protocol.h"

#include <stdbool.h>
#include <stdint.h>

struct loop;
struct supply;
struct service_log;
struct tcp_relay;

/* `limit`: connections at once, over all listeners; what comes above is reset at once. */
int tcp_relay_new(struct loop *loop, struct supply *supply, struct service_log *log, uint32_t limit,
                  struct tcp_relay **ret_relay, struct error *error);
/* Accepts nothing any more; connections go on. */
void tcp_relay_close_listeners(struct tcp_relay *relay);
/* Resets all connections and closes the listeners. */
void tcp_relay_free(struct tcp_relay *relay);

/* Serves the listening socket `fd` (owned from here on, also on failure). `listener` stays the
 * caller's and must outlive the relay. */
int tcp_relay_listen(struct tcp_relay *relay, int fd, const struct service_listener *listener,
                     struct error *error);

/* Carries the bytes between two connected sockets, which are owned from here on, also on failure:
 * then both were reset. `client` is the one whose end made the connection. */
void tcp_relay_join(struct tcp_relay *relay, int client, int target);

/* Takes or gives back a place under the limit, for a connection that is not joined yet. False: the
 * limit is reached. */
bool tcp_relay_reserve(struct tcp_relay *relay);
void tcp_relay_unreserve(struct tcp_relay *relay);

/* Connections that exist now. */
uint32_t tcp_relay_count(const struct tcp_relay *relay);
