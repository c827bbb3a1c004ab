/* Sockets that init opens inside the jail for those outside. */
#pragma once

#include "base/diag.h"

struct plan;

/* Opens a route netlink socket and the network namespace's descriptor, and sends them to the
 * supervisor; then, where `plan` (NULL: a trial) has rules, sockets for nftables and NFLOG; then,
 * where it relays, those of enum relay_fd. */
int sockets_send(int control_fd, const struct plan *plan, struct error *error);

/* Answers one request of the service (service/protocol.h). Returns 0; -EPIPE at the end of the
 * channel, or when the other side does not take its answers. */
int sockets_serve(int service_fd);
