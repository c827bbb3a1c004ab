/* Opens sockets in a jail for netjailctl.
 *
 * A child enters the jail's namespace, opens and sends; the parent keeps its own namespaces. With
 * CAP_SYS_ADMIN the network namespace is entered directly, else the user namespace first, which
 * only its owner may enter. Nothing runs in the jail. What must not happen: the child going on. */
#include "jail/namespace_enter.h"

#include "base/cleanup.h"
#include "jail/jail.h"

#include <assert.h>
#include <errno.h>
#include <linux/nsfs.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/wait.h>

static int enter(int netns_fd)
{
    if (!privs_over_host()) {
        int user_fd = ioctl(netns_fd, NS_GET_USERNS);

        if (user_fd < 0 || setns(user_fd, CLONE_NEWUSER) < 0)
            return -errno;
    }
    return setns(netns_fd, CLONE_NEWNET) < 0 ? -errno : 0;
}

_Noreturn static void child_run(int netns_fd, const struct namespace_socket *sockets, size_t count,
                                int channel)
{
    int fds[NAMESPACE_SOCKETS_MAX];
    int code = enter(netns_fd);
    size_t opened = 0;

    while (code == 0 && opened < count) {
        fds[opened] = socket(sockets[opened].family, sockets[opened].type | SOCK_CLOEXEC,
                             sockets[opened].protocol);
        if (fds[opened] < 0)
            code = -errno;
        else
            opened++;
    }
    (void)packet_send(channel, &code, sizeof code, fds, code == 0 ? count : 0, false);
    _exit(0);
}

int namespace_sockets(int netns_fd, const struct namespace_socket *sockets, size_t count,
                      int ret_fds[NAMESPACE_SOCKETS_MAX], struct error *error)
{
    int pair[2];
    int code = -EPROTO;
    size_t got = 0;
    pid_t child;

    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
        return error_errno(error, -errno, "cannot enter the jail's network");
    cleanup_fd int ours = pair[0];
    child = fork();
    if (child == 0)
        child_run(netns_fd, sockets, count, pair[1]);
    (void)close(pair[1]); /* the child's */
    if (child < 0)
        return error_errno(error, -errno, "cannot enter the jail's network");
    int length = packet_receive(ours, &code, sizeof code, true, ret_fds, &got);
    (void)waitpid(child, NULL, 0); /* it has said all that matters */
    if (length == (int)sizeof code && code == 0 && got == count)
        return 0;
    for (size_t i = 0; i < got; i++)
        (void)close(ret_fds[i]); /* not what was asked for */
    return error_errno(error, code < 0 ? code : -EPROTO, "cannot enter the jail's network");
}
