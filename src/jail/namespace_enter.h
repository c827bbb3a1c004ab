/* Sockets in the network namespace of a running jail, for a caller who may. */
#pragma once

#include "base/diag.h"
#include "jail/packet.h"

#include <stddef.h>

struct namespace_socket {
    int family; /* as in socket(2) */
    int type;
    int protocol;
};

#define NAMESPACE_SOCKETS_MAX PACKET_FDS_MAX

/* Opens them (close-on-exec) in the namespace, out of a child that enters it: root by its own
 * right, an ordinary user by way of the user namespace that owns it. -EPERM: neither. */
int namespace_sockets(int netns_fd, const struct namespace_socket *sockets, size_t count,
                      int ret_fds[NAMESPACE_SOCKETS_MAX], struct error *error);
