/* struct addr to struct sockaddr, the way to close a connection that failed, and what the network
 * reports to a datagram socket. No privilege. */
#include "service/endpoint.h"

#include <arpa/inet.h>
#include <linux/errqueue.h>
#include <string.h>
#include <unistd.h>

#define ERRORS_MAX 16 /* taken at once */

struct endpoint endpoint_of(const struct addr *addr, uint16_t port)
{
    struct endpoint endpoint;

    memset(&endpoint, 0, sizeof endpoint);
    if (addr->family == ADDR_V4) {
        endpoint.v4.sin_family = AF_INET;
        endpoint.v4.sin_port = htons(port);
        memcpy(&endpoint.v4.sin_addr, addr->bytes, sizeof endpoint.v4.sin_addr);
        endpoint.length = sizeof endpoint.v4;
    } else {
        endpoint.v6.sin6_family = AF_INET6;
        endpoint.v6.sin6_port = htons(port);
        memcpy(&endpoint.v6.sin6_addr, addr->bytes, sizeof endpoint.v6.sin6_addr);
        endpoint.length = sizeof endpoint.v6;
    }
    return endpoint;
}

bool endpoint_read(const struct endpoint *endpoint, struct addr *ret_addr, uint16_t *ret_port)
{
    struct addr addr = {0};

    if (endpoint->any.sa_family == AF_INET) {
        addr.family = ADDR_V4;
        memcpy(addr.bytes, &endpoint->v4.sin_addr, sizeof endpoint->v4.sin_addr);
        *ret_port = ntohs(endpoint->v4.sin_port);
    } else if (endpoint->any.sa_family == AF_INET6) {
        bool mapped = IN6_IS_ADDR_V4MAPPED(&endpoint->v6.sin6_addr);
        const uint8_t *bytes = endpoint->v6.sin6_addr.s6_addr;

        addr.family = mapped ? ADDR_V4 : ADDR_V6;
        memcpy(addr.bytes, mapped ? bytes + 12 : bytes, addr_size(addr.family));
        *ret_port = ntohs(endpoint->v6.sin6_port);
    } else {
        return false;
    }
    *ret_addr = addr;
    return true;
}

bool endpoint_local(int fd, struct addr *ret_addr, uint16_t *ret_port)
{
    struct endpoint endpoint = {.length = sizeof endpoint.v6};

    return getsockname(fd, &endpoint.any, &endpoint.length) == 0 &&
           endpoint_read(&endpoint, ret_addr, ret_port);
}

bool endpoint_peer(int fd, struct addr *ret_addr, uint16_t *ret_port)
{
    struct endpoint endpoint = {.length = sizeof endpoint.v6};

    return getpeername(fd, &endpoint.any, &endpoint.length) == 0 &&
           endpoint_read(&endpoint, ret_addr, ret_port);
}

void endpoint_reset(int fd)
{
    const struct linger at_once = {.l_onoff = 1, .l_linger = 0};

    /* Where it fails the connection ends with a FIN, which is as closed. */
    (void)setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
    (void)close(fd); /* nothing is written behind it */
}

void endpoint_want_errors(int fd, uint8_t family)
{
    const int on = 1;

    /* Where it fails the socket hears of the refusals of the other end all the same. */
    if (family == ADDR_V4)
        (void)setsockopt(fd, IPPROTO_IP, IP_RECVERR, &on, sizeof on);
    else
        (void)setsockopt(fd, IPPROTO_IPV6, IPV6_RECVERR, &on, sizeof on);
}

static int read_error(struct msghdr *message)
{
    struct sock_extended_err error = {0};

    for (struct cmsghdr *c = CMSG_FIRSTHDR(message); c; c = CMSG_NXTHDR(message, c)) {
        if (((c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_RECVERR) ||
             (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_RECVERR)) &&
            c->cmsg_len >= CMSG_LEN(sizeof error))
            memcpy(&error, CMSG_DATA(c), sizeof error);
    }
    return (int)error.ee_errno;
}

int endpoint_take_errors(int fd)
{
    union {
        struct cmsghdr align;
        char bytes[CMSG_SPACE(sizeof(struct sock_extended_err) + sizeof(struct sockaddr_in6))];
    } controls[ERRORS_MAX];
    struct mmsghdr headers[ERRORS_MAX];
    int count;

    /* Not the datagrams that they are about. */
    for (size_t i = 0; i < ERRORS_MAX; i++)
        headers[i].msg_hdr =
            (struct msghdr){.msg_control = &controls[i], .msg_controllen = sizeof controls[i]};
    count = recvmmsg(fd, headers, ERRORS_MAX, MSG_ERRQUEUE | MSG_DONTWAIT, NULL);
    return count > 0 ? read_error(&headers[count - 1].msg_hdr) : 0;
}

void endpoint_put_control(struct msghdr *message, int level, int type, const void *data,
                          size_t size)
{
    struct cmsghdr *c = CMSG_FIRSTHDR(message);

    c->cmsg_level = level;
    c->cmsg_type = type;
    c->cmsg_len = CMSG_LEN(size);
    memcpy(CMSG_DATA(c), data, size);
    message->msg_controllen = CMSG_SPACE(size);
}
