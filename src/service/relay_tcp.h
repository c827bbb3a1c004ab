/* TCP connections that the jail makes and the service carries. */
#pragma once

#include "base/diag.h"

#include <stdbool.h>
#include <stdint.h>

struct loop;
struct queue_packet;
struct reach;
struct relay_tcp;
struct tcp_relay;
struct verdicts;

/* `tcp` carries what was joined and counts. `verdicts`: NULL where nothing waits in a queue. All of
 * them stay the caller's. */
int relay_tcp_new(struct loop *loop, struct tcp_relay *tcp, struct reach *reach,
                  struct verdicts *verdicts, struct relay_tcp **ret_relay, struct error *error);
void relay_tcp_free(struct relay_tcp *relay); /* NULL is allowed */

/* Serves the transparent listener `fd` (owned from here on, also on failure); `tcp` accepts for it.
 */
int relay_tcp_listen(struct relay_tcp *relay, int fd, struct error *error);

/* A first packet (SYN) that waits in the queue: its verdict comes when the outcome is known. */
void relay_tcp_packet(struct relay_tcp *relay, const struct queue_packet *packet);
