/* A loop, a supply with an init of our own, and sockets on loopback: for tests of the relays. */
#pragma once

#include "base/cleanup.h"
#include "service/log.h"
#include "service/loop.h"
#include "service/supply.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>

#include <cmocka.h>

struct host {
    struct loop *loop;
    struct supply *supply;
    struct service_log log;
    int init_fd; /* init's end */
    int refuse;  /* init answers with this errno */
    bool is_gone;
    struct error error;
};

static inline void host_gone(void *context)
{
    ((struct host *)context)->is_gone = true;
}

static inline void host_open(struct host *host)
{
    int fds[2];

    *host = (struct host){.log.fd = -1};
    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK, 0, fds), 0);
    host->init_fd = fds[1];
    assert_int_equal(loop_new(&host->loop, &host->error), 0);
    host->log.loop = host->loop;
    host->log.jail_name = "test";
    assert_int_equal(supply_open(host->loop, fds[0], host_gone, host, &host->supply, &host->error),
                     0);
}

static inline void host_close(struct host *host)
{
    supply_close(host->supply);
    loop_free(host->loop);
    close(host->init_fd);
}

/* Sends an answer with a descriptor (-1: none). */
static inline void host_send(const struct host *host, uint8_t answer, int fd)
{
    union {
        struct cmsghdr header;
        char bytes[CMSG_SPACE(sizeof(int))];
    } control = {0};
    struct iovec iovec = {.iov_base = &answer, .iov_len = 1};
    struct msghdr message = {.msg_iov = &iovec, .msg_iovlen = 1};

    if (fd >= 0) {
        control.header.cmsg_level = SOL_SOCKET;
        control.header.cmsg_type = SCM_RIGHTS;
        control.header.cmsg_len = CMSG_LEN(sizeof fd);
        memcpy(CMSG_DATA(&control.header), &fd, sizeof fd);
        message.msg_control = &control;
        message.msg_controllen = sizeof control;
    }
    assert_int_equal(sendmsg(host->init_fd, &message, 0), 1);
}

/* Answers what init was asked. */
static inline void host_answer(struct host *host)
{
    uint8_t kind;

    while (recv(host->init_fd, &kind, 1, MSG_DONTWAIT) == 1) {
        bool is_v4 = kind == INIT_SOCKET_TCP4 || kind == INIT_SOCKET_UDP4;
        bool is_tcp = kind == INIT_SOCKET_TCP4 || kind == INIT_SOCKET_TCP6;
        cleanup_fd int fd =
            host->refuse ? -1
                         : socket(is_v4 ? AF_INET : AF_INET6, is_tcp ? SOCK_STREAM : SOCK_DGRAM, 0);

        host_send(host, (uint8_t)host->refuse, fd);
    }
}

/* Lets service and init do what they have to do, until `fd` is readable or `turns` are over. */
static inline bool host_turn(struct host *host, int fd, int turns)
{
    struct pollfd pollfd = {.fd = fd, .events = POLLIN};

    for (int i = 0; i < turns; i++) {
        host_answer(host);
        assert_int_equal(loop_round(host->loop, 1, &host->error), 0);
        if (fd >= 0 && poll(&pollfd, 1, 0) == 1)
            return true;
    }
    return false;
}

/* A socket bound to a free port of 127.0.0.1; a TCP one listens. */
static inline int host_bound(int type, uint16_t *ret_port)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(0x7f000001)};
    socklen_t size = sizeof address;
    int fd = socket(AF_INET, type | SOCK_CLOEXEC, 0);

    assert_true(fd >= 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof address), 0);
    if (type == SOCK_STREAM)
        assert_int_equal(listen(fd, 128), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &size), 0);
    *ret_port = ntohs(address.sin_port);
    return fd;
}

static inline int host_connect(int type, uint16_t port)
{
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_addr.s_addr = htonl(0x7f000001), .sin_port = htons(port)};
    int fd = socket(AF_INET, type | SOCK_CLOEXEC, 0);

    assert_true(fd >= 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof address), 0);
    return fd;
}

static inline int open_descriptors(void)
{
    int count = 0;

    for (int fd = 0; fd < 1024; fd++)
        count += fcntl(fd, F_GETFD) >= 0;
    return count;
}
