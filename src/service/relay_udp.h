/* UDP that the jail sends and the service carries. */
#pragma once

#include "base/diag.h"

#include <stdint.h>

struct loop;
struct reach;
struct relay_errors;
struct relay_udp;
struct limits;
struct service_log;
struct supply;

/* `limits`: flows at once; above it the flow that was idle for longest ends. */
int relay_udp_new(struct loop *loop, struct supply *supply, struct reach *reach,
                  struct relay_errors *errors, struct service_log *log, struct limits *limits,
                  struct relay_udp **ret_relay, struct error *error);
void relay_udp_free(struct relay_udp *relay); /* NULL is allowed */

/* Serves the transparent socket `fd` (owned from here on, also on failure): first of IPv4, then of
 * IPv6. */
int relay_udp_listen(struct relay_udp *relay, int fd, struct error *error);
