/* Sockets of the jail, passed out by SCM_RIGHTS.
 *
 * A socket belongs to the network namespace in which it was made, so those outside work inside with
 * what init hands them: the supervisor configures the jail, the service connects to it. The service
 * is unprivileged and talks to the network, so its requests are hostile: one byte out of a table,
 * answered without ever waiting. What must not happen: a socket kept open here. */
#include "jail/sockets.h"

#include "base/cleanup.h"
#include "jail/control.h"
#include "service/protocol.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/netlink.h>
#include <stdalign.h>
#include <string.h>
#include <sys/socket.h>

static int netlink_open(int protocol)
{
    return socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, protocol);
}

int sockets_send(int control_fd, struct error *error)
{
    cleanup_fd int route = netlink_open(NETLINK_ROUTE);
    cleanup_fd int nft = netlink_open(NETLINK_NETFILTER);
    int nft_errno = errno;
    cleanup_fd int nflog = nft < 0 ? -1 : netlink_open(NETLINK_NETFILTER);
    cleanup_fd int netns = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
    int fds[CONTROL_FDS] = {route, nft, nflog, netns};
    int status;

    if (route < 0)
        return error_errno(error, -errno, "cannot open a netlink socket in the jail");
    if (nft < 0 || nflog < 0) {
        (void)error_errno(error, -nft_errno, "cannot open an nftables socket in the jail");
        error_hint(error, "the kernel needs CONFIG_NF_TABLES (modprobe nf_tables)");
        return error->code;
    }
    if (netns < 0)
        return error_errno(error, -errno, "cannot open the jail's network namespace");
    status = control_send(control_fd, CONTROL_OPENED, 0, fds, CONTROL_FDS);
    return status < 0 ? error_errno(error, status, "cannot send the jail's sockets") : 0;
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
