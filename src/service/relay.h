/* What the jail makes and the service carries: the relay as a whole. */
#pragma once

#include "base/diag.h"

#include <stdbool.h>
#include <stdint.h>

struct denials;
struct judge;
struct limits;
struct loop;
struct relay;
struct service_log;
struct supply;
struct tcp_relay;

/* What a relay stands on; all of it stays the caller's and outlives it. */
struct relay_ground {
    struct loop *loop;
    struct supply *supply;
    struct service_log *log;
    struct judge *judge;
    struct denials *denials; /* NULL: nothing is logged */
    struct tcp_relay *tcp;
    struct limits *limits;
    int report_fd;
    bool queues;
};

/* `fds`: RELAY_FDS descriptors of the jail (enum relay_fd); `route_fd`: a NETLINK_ROUTE socket of
 * the host. All owned from here on, also on failure. */
int relay_new(const struct relay_ground *ground, const int *fds, int route_fd,
              struct relay **ret_relay, struct error *error);

void relay_free(struct relay *relay); /* NULL is allowed */
