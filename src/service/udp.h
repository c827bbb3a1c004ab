/* Published UDP ports: one socket of the jail per flow. */
#pragma once

#include "base/diag.h"
#include "service/protocol.h"

#include <stdint.h>

struct loop;
struct supply;
struct limits;
struct service_log;
struct udp_relay;

#define UDP_IDLE_MS 60000 /* a flow ends when nothing was carried for so long */

/* `limits`: flows at once, over all listeners; above it the flow that was idle for longest ends. */
int udp_relay_new(struct loop *loop, struct supply *supply, struct service_log *log,
                  struct limits *limits, struct udp_relay **ret_relay, struct error *error);
void udp_relay_free(struct udp_relay *relay);

/* Serves the bound socket `fd` (owned from here on, also on failure); `listener` must outlive the
 * relay. */
int udp_relay_listen(struct udp_relay *relay, int fd, const struct service_listener *listener,
                     struct error *error);

/* Flows that exist now. */
uint32_t udp_relay_count(const struct udp_relay *relay);
