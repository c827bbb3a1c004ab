/* Messages between netjailctl, the supervisor and a program started in the jail.
 *
 * Used on all three sides, so nothing here needs privilege or waits unless it is told to. What must
 * not happen: a descriptor that came with a bad message and stays open, or a description of a
 * program whose strings end outside of it. */
#include "jail/request.h"

#include "base/cleanup.h"

#include <errno.h>
#include <stdalign.h>
#include <string.h>
#include <sys/socket.h>

static const size_t request_fds[REQUEST_KINDS] = {
    [REQUEST_NAMESPACE] = 0,
    [REQUEST_PROGRAM] = REQUEST_PROGRAM_FDS,
};

bool request_is_valid(const struct request *request, size_t length, size_t fds_count)
{
    return length == sizeof *request && request->magic == REQUEST_MAGIC && request->kind > 0 &&
           request->kind < REQUEST_KINDS && request_fds[request->kind] == fds_count;
}

int request_send(int fd, const void *data, size_t size, const int *fds, size_t fds_count)
{
    alignas(struct cmsghdr) char control[CMSG_SPACE(sizeof(int) * REQUEST_FDS_MAX)] = {0};
    struct iovec part = {.iov_base = (void *)(uintptr_t)data, .iov_len = size};
    struct msghdr header = {.msg_iov = &part, .msg_iovlen = 1};

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
    while (sendmsg(fd, &header, MSG_NOSIGNAL | MSG_DONTWAIT) < 0) {
        if (errno != EINTR)
            return -errno;
    }
    return 0;
}

static size_t take_fds(struct msghdr *header, int fds[REQUEST_FDS_MAX])
{
    size_t taken = 0;

    for (struct cmsghdr *cmsg = CMSG_FIRSTHDR(header); cmsg; cmsg = CMSG_NXTHDR(header, cmsg)) {
        size_t count = (cmsg->cmsg_len - CMSG_LEN(0)) / sizeof(int);

        if (cmsg->cmsg_level != SOL_SOCKET || cmsg->cmsg_type != SCM_RIGHTS)
            continue;
        for (size_t i = 0; i < count; i++) {
            int fd;

            memcpy(&fd, CMSG_DATA(cmsg) + i * sizeof fd, sizeof fd);
            if (taken < REQUEST_FDS_MAX)
                fds[taken++] = fd;
            else
                (void)close(fd); /* one too many, and nothing to lose */
        }
    }
    return taken;
}

int request_receive(int fd, void *data, size_t size, bool wait, int fds[REQUEST_FDS_MAX],
                    size_t *ret_fds_count)
{
    alignas(struct cmsghdr) char control[CMSG_SPACE(sizeof(int) * REQUEST_FDS_MAX)];
    struct iovec part = {.iov_base = data, .iov_len = size};
    struct msghdr header = {.msg_iov = &part,
                            .msg_iovlen = 1,
                            .msg_control = control,
                            .msg_controllen = sizeof control};
    ssize_t length;
    size_t count;

    *ret_fds_count = 0;
    do
        length = recvmsg(fd, &header, MSG_CMSG_CLOEXEC | (wait ? 0 : MSG_DONTWAIT));
    while (length < 0 && errno == EINTR);
    if (length < 0)
        return errno == ECONNRESET ? 0 : -errno;
    count = take_fds(&header, fds);
    if (header.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) {
        for (size_t i = 0; i < count; i++)
            (void)close(fds[i]); /* refused: nothing to lose */
        return -EPROTO;
    }
    *ret_fds_count = count;
    return (int)length;
}

bool program_header_is_valid(const struct program_header *header)
{
    return header->magic == PROGRAM_MAGIC && header->argc > 0 && header->argc <= PROGRAM_ARGS_MAX &&
           header->envc <= PROGRAM_ARGS_MAX && header->terminal_fds < 8 && header->umask <= 0777 &&
           header->cwd_length < sizeof header->cwd;
}

/* Takes `count` strings; NULL: there are fewer. */
static char *split_strings(char *at, const char *end, char **strings, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        char *nul = at < end ? memchr(at, '\0', (size_t)(end - at)) : NULL;

        if (!nul)
            return NULL;
        strings[i] = at;
        at = nul + 1;
    }
    strings[count] = NULL;
    return at;
}

bool program_split(const struct program_header *header, char *text, size_t length, char **argv,
                   char **envp)
{
    const char *end = text + length;
    char *at = split_strings(text, end, argv, header->argc);

    if (at)
        at = split_strings(at, end, envp, header->envc);
    if (at != end)
        return false;
    for (uint32_t i = 0; i < header->envc; i++) {
        if (envp[i][0] == '=' || !strchr(envp[i], '='))
            return false;
    }
    return true;
}
