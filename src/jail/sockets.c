/* Sockets of the jail, passed out by SCM_RIGHTS.
 *
 * A socket belongs to the network namespace in which it was made, so those outside work inside with
 * what init hands them: the supervisor configures the jail, the service connects to it. The service
 * is unprivileged and talks to the network, so its requests are hostile: one byte out of a table,
 * answered without ever waiting. What must not happen: a socket kept open here. */
#include "jail/sockets.h"

#include "base/cleanup.h"
#include "jail/control.h"
#include "plan/plan.h"
#include "policy/relay.h"
#include "service/protocol.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/netlink.h>
#include <netinet/in.h>
#include <stdalign.h>
#include <string.h>
#include <sys/socket.h>

static int netlink_open(int protocol)
{
    return socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, protocol);
}

static int set_option(int fd, int level, int option)
{
    const int on = 1;

    return setsockopt(fd, level, option, &on, sizeof on);
}

/* A transparent socket at the relay's address; for TCP it listens, for UDP it tells where each
 * datagram was sent. Only CAP_NET_ADMIN or CAP_NET_RAW may make one (ip(7)). */
static int transparent_open(uint8_t family, int type)
{
    bool is_v4 = family == ADDR_V4;
    struct addr addr = relay_addr(RELAY_LISTENER, family);
    struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_port = htons(RELAY_PORT)};
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_port = htons(RELAY_PORT)};
    cleanup_fd int fd = socket(is_v4 ? AF_INET : AF_INET6, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    memcpy(&v4.sin_addr, addr.bytes, sizeof v4.sin_addr);
    memcpy(&v6.sin6_addr, addr.bytes, sizeof v6.sin6_addr);
    if (fd < 0 || set_option(fd, is_v4 ? IPPROTO_IP : IPPROTO_IPV6,
                             is_v4 ? IP_TRANSPARENT : IPV6_TRANSPARENT))
        return -errno;
    if (!is_v4 && set_option(fd, IPPROTO_IPV6, IPV6_V6ONLY) < 0)
        return -errno;
    if (type == SOCK_DGRAM && set_option(fd, is_v4 ? IPPROTO_IP : IPPROTO_IPV6,
                                         is_v4 ? IP_RECVORIGDSTADDR : IPV6_RECVORIGDSTADDR) < 0)
        return -errno;
    if (is_v4 ? bind(fd, (struct sockaddr *)&v4, sizeof v4) < 0
              : bind(fd, (struct sockaddr *)&v6, sizeof v6) < 0)
        return -errno;
    if (type == SOCK_STREAM && listen(fd, SOMAXCONN) < 0)
        return -errno;
    return take_fd(&fd);
}

static int relay_open(enum relay_fd which)
{
    int fd;

    switch (which) {
    case RELAY_FD_QUEUE:
        fd = netlink_open(NETLINK_NETFILTER);
        break;
    case RELAY_FD_TCP4:
        return transparent_open(ADDR_V4, SOCK_STREAM);
    case RELAY_FD_TCP6:
        return transparent_open(ADDR_V6, SOCK_STREAM);
    case RELAY_FD_UDP4:
        return transparent_open(ADDR_V4, SOCK_DGRAM);
    case RELAY_FD_UDP6:
        return transparent_open(ADDR_V6, SOCK_DGRAM);
    case RELAY_FD_ICMP4:
        fd = socket(AF_INET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, IPPROTO_ICMP);
        break;
    default:
        fd = socket(AF_INET6, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, IPPROTO_ICMPV6);
    }
    return fd < 0 ? -errno : fd;
}

static int relay_send(int control_fd, struct error *error)
{
    int fds[RELAY_FDS];
    int status = 0;
    size_t count = 0;

    for (; count < RELAY_FDS && status == 0; count++) {
        fds[count] = relay_open((enum relay_fd)count);
        status = fds[count] < 0 ? fds[count] : 0;
    }
    if (status < 0)
        (void)error_errno(error, status, "cannot open the relay's sockets in the jail");
    else
        status = control_send(control_fd, CONTROL_RELAY, 0, fds, RELAY_FDS);
    for (size_t i = 0; i < count; i++)
        if (fds[i] >= 0)
            (void)close(fds[i]); /* sent, or of no use */
    return status;
}

static int rules_send(int control_fd, struct error *error)
{
    cleanup_fd int nft = netlink_open(NETLINK_NETFILTER);
    cleanup_fd int nflog = nft < 0 ? -1 : netlink_open(NETLINK_NETFILTER);
    int fds[CONTROL_FDS] = {nft, nflog};

    if (nflog < 0) {
        (void)error_errno(error, -errno, "cannot open an nftables socket in the jail");
        error_hint(error, "the kernel needs CONFIG_NF_TABLES (modprobe nf_tables)");
        return error->code;
    }
    return control_send(control_fd, CONTROL_RULES, 0, fds, CONTROL_FDS);
}

int sockets_send(int control_fd, const struct plan *plan, struct error *error)
{
    cleanup_fd int route = netlink_open(NETLINK_ROUTE);
    cleanup_fd int netns = route < 0 ? -1 : open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
    int fds[CONTROL_FDS] = {route, netns};
    int status;

    if (route < 0)
        return error_errno(error, -errno, "cannot open a netlink socket in the jail");
    if (netns < 0)
        return error_errno(error, -errno, "cannot open the jail's network namespace");
    status = control_send(control_fd, CONTROL_OPENED, 0, fds, CONTROL_FDS);
    if (status == 0 && (!plan || plan->has_rules))
        status = rules_send(control_fd, error);
    if (status < 0)
        return error->code ? status : error_errno(error, status, "cannot send the jail's sockets");
    return plan && plan->relays ? relay_send(control_fd, error) : 0;
}

static int request_open(uint8_t request)
{
    static const struct {
        int family;
        int type;
    } kinds[] = {
        [INIT_SOCKET_TCP4] = {AF_INET, SOCK_STREAM},
        [INIT_SOCKET_TCP6] = {AF_INET6, SOCK_STREAM},
        [INIT_SOCKET_UDP4] = {AF_INET, SOCK_DGRAM},
        [INIT_SOCKET_UDP6] = {AF_INET6, SOCK_DGRAM},
    };
    int fd;

    if (request >= ARRAY_LENGTH(kinds) || kinds[request].family == 0)
        return -EINVAL;
    fd = socket(kinds[request].family, kinds[request].type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    return fd < 0 ? -errno : fd;
}

static int answer(int service_fd, int opened)
{
    alignas(struct cmsghdr) char control[CMSG_SPACE(sizeof(int))] = {0};
    uint8_t byte = opened < 0 ? (uint8_t)-opened : 0;
    struct iovec part = {.iov_base = &byte, .iov_len = 1};
    struct msghdr header = {.msg_iov = &part, .msg_iovlen = 1};

    if (opened >= 0) {
        struct cmsghdr *cmsg;

        header.msg_control = control;
        header.msg_controllen = sizeof control;
        cmsg = CMSG_FIRSTHDR(&header);
        cmsg->cmsg_level = SOL_SOCKET;
        cmsg->cmsg_type = SCM_RIGHTS;
        cmsg->cmsg_len = CMSG_LEN(sizeof(int));
        memcpy(CMSG_DATA(cmsg), &opened, sizeof opened);
    }
    return sendmsg(service_fd, &header, MSG_NOSIGNAL | MSG_DONTWAIT) == 1 ? 0 : -EPIPE;
}

int sockets_serve(int service_fd)
{
    uint8_t request[2];
    ssize_t length = recv(service_fd, request, sizeof request, MSG_DONTWAIT);

    if (length < 0)
        return errno == EAGAIN || errno == EINTR ? 0 : -EPIPE;
    if (length == 0)
        return -EPIPE;
    cleanup_fd int opened = length == 1 ? request_open(request[0]) : -EINVAL;
    return answer(service_fd, opened);
}
