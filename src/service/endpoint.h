/* Addresses with ports as the kernel wants them. */
#pragma once

#include "base/addr.h"

#include <netinet/in.h>
#include <sys/socket.h>

struct endpoint {
    union {
        struct sockaddr any;
        struct sockaddr_in v4;
        struct sockaddr_in6 v6;
    };
    socklen_t length;
};

struct endpoint endpoint_of(const struct addr *addr, uint16_t port);

/* Closes a TCP socket with a reset instead of a FIN (SO_LINGER with 0 s, socket(7)): the other end
 * learns that the connection failed, and no TIME_WAIT is left. */
void endpoint_reset(int fd);
