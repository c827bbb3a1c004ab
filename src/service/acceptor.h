/* Listening TCP sockets of the service. */
#pragma once

#include "base/diag.h"
#include "service/loop.h"

struct acceptor_socket;
struct endpoint;
struct service_log;

/* Embedded in what it belongs to. */
struct acceptor {
    struct loop *loop;
    struct service_log *log;
    int spare_fd; /* given up for a moment to refuse a connection when descriptors run out */
    struct loop_timer timer;
    struct acceptor_socket *sockets;
};

/* 0 or a negative errno. `loop` and `log` stay the caller's. */
int acceptor_open(struct acceptor *acceptor, struct loop *loop, struct service_log *log);
/* Closes the listening sockets; nothing is accepted any more. */
void acceptor_close_sockets(struct acceptor *acceptor);
void acceptor_close(struct acceptor *acceptor);

/* Serves the listening socket `fd` (owned from here on, also on failure): `accepted` gets each
 * connection, as its own, and whose it is. */
int acceptor_listen(struct acceptor *acceptor, int fd,
                    void (*accepted)(void *context, int fd, const struct endpoint *peer),
                    void *context, struct error *error);
