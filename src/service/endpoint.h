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

/* The address and port of a socket address of IPv4 or IPv6; false: it is of another family. An
 * IPv4-mapped IPv6 address is one of IPv4. */
bool endpoint_read(const struct endpoint *endpoint, struct addr *ret_addr, uint16_t *ret_port);

/* getsockname(2) and getpeername(2); false: it failed. */
bool endpoint_local(int fd, struct addr *ret_addr, uint16_t *ret_port);
bool endpoint_peer(int fd, struct addr *ret_addr, uint16_t *ret_port);

/* Closes a TCP socket with a reset instead of a FIN (SO_LINGER with 0 s, socket(7)): the other end
 * learns that the connection failed, and no TIME_WAIT is left. */
void endpoint_reset(int fd);

/* Lets a connected datagram socket hear also what may pass by itself, and what the kernel tells
 * only those who ask for it: no neighbour, no route (IP_RECVERR, ip(7)). Each is reported twice: by
 * the next call on the socket, as ever, and in a queue; until that is empty epoll reports EPOLLERR.
 */
void endpoint_want_errors(int fd, uint8_t family);
/* Takes what is in that queue, a limited number; the errno of the last one, 0: there was none. */
int endpoint_take_errors(int fd);

/* Puts one control message at the head of message->msg_control, which has room for it, and sets
 * msg_controllen (cmsg(3)). */
void endpoint_put_control(struct msghdr *message, int level, int type, const void *data,
                          size_t size);
