/* Packets with descriptors: what init, supervisor and netjailctl speak with each other by.
 *
 * No allocation. Mustn't: leave open a descriptor that the caller does not learn of. */
#include "jail/packet.h"

#include <errno.h>
#include <stdalign.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

int packet_send(int fd, const void *data, size_t size, const int *fds, size_t fds_count, bool wait)
{
    alignas(struct cmsghdr) char control[CMSG_SPACE(sizeof(int) * PACKET_FDS_MAX)] = {0};
    struct iovec part = {.iov_base = (void *)(uintptr_t)data, .iov_len = size};
    struct msghdr header = {.msg_iov = &part, .msg_iovlen = 1};

    if (fds_count > PACKET_FDS_MAX)
        return -E2BIG;
    if (fds_count > 0) {
        struct cmsghdr *cmsg;

        header.msg_control = control;
        header.msg_controllen = CMSG_SPACE(sizeof(int) * fds_count);
        cmsg = CMSG_FIRSTHDR(&header);
        cmsg->cmsg_level = SOL_SOCKET;
        cmsg->cmsg_type = SCM_RIGHTS;
        cmsg->cmsg_len = CMSG_LEN(sizeof(int) * fds_count);
        memcpy(CMSG_DATA(cmsg), fds, sizeof(int) * fds_count);
    }
    while (sendmsg(fd, &header, MSG_NOSIGNAL | (wait ? 0 : MSG_DONTWAIT)) < 0) {
        if (errno != EINTR)
            return -errno;
    }
    return 0;
}

static size_t take_fds(struct msghdr *header, int fds[PACKET_FDS_MAX])
{
    size_t taken = 0;

    for (struct cmsghdr *cmsg = CMSG_FIRSTHDR(header); cmsg; cmsg = CMSG_NXTHDR(header, cmsg)) {
        size_t count = (cmsg->cmsg_len - CMSG_LEN(0)) / sizeof(int);

        if (cmsg->cmsg_level != SOL_SOCKET || cmsg->cmsg_type != SCM_RIGHTS)
            continue;
        for (size_t i = 0; i < count; i++) {
            int fd;

            memcpy(&fd, CMSG_DATA(cmsg) + i * sizeof fd, sizeof fd);
            if (taken < PACKET_FDS_MAX)
                fds[taken++] = fd;
            else
                (void)close(fd); /* one too many, and nothing to lose */
        }
    }
    return taken;
}

int packet_receive(int fd, void *data, size_t size, bool wait, int fds[PACKET_FDS_MAX],
                   size_t *ret_fds_count)
{
    alignas(struct cmsghdr) char control[CMSG_SPACE(sizeof(int) * PACKET_FDS_MAX)];
    struct iovec part = {.iov_base = data, .iov_len = size};
    struct msghdr header = {.msg_iov = &part,
                            .msg_iovlen = 1,
                            .msg_control = control,
                            .msg_controllen = sizeof control};
    ssize_t length;

    *ret_fds_count = 0;
    /* That the peer ended without reading all of ours is told once, before what it sent. */
    do
        length = recvmsg(fd, &header, MSG_CMSG_CLOEXEC | (wait ? 0 : MSG_DONTWAIT));
    while (length < 0 && (errno == EINTR || errno == ECONNRESET));
    if (length < 0)
        return -errno;
    size_t count = take_fds(&header, fds);
    if (header.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) {
        for (size_t i = 0; i < count; i++)
            (void)close(fds[i]); /* refused: nothing to lose */
        /* Cut before its place ended: this process may not have more (unix(7)). */
        return header.msg_flags & MSG_TRUNC || count == PACKET_FDS_MAX ? -EPROTO : -EMFILE;
    }
    *ret_fds_count = count;
    return (int)length;
}
