/* Sockets that init opens inside the jail for those outside. */
#pragma once

#include "base/diag.h"

/* Opens route, nftables and NFLOG netlink sockets and the network namespace's descriptor, and sends
 * them to the supervisor; `relays`: then those of enum relay_fd as well. */
int sockets_send(int control_fd, bool relays, struct error *error);

/* Answers one request of the service (service/protocol.h). Returns 0; -EPIPE at the end of the
 * channel, or when the other side does not take its answers. */
int sockets_serve(int service_fd);
