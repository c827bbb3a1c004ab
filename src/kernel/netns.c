/* Sockets in other network namespaces.
 *
 * A socket belongs to the namespace in which it was made, so somebody has to be there. This process
 * never changes its own: a child that shares memory and descriptors with it (as after vfork(2), we
 * wait) enters the namespace, opens the socket into our table and ends. Should: nothing but these
 * two system calls in the child. Mustn't: a child that stays, or a signal about its end that
 * somebody else waits for. */
#include "kernel/netns.h"

#include "base/cleanup.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/nsfs.h>
#include <sched.h>
#include <signal.h>
#include <stdalign.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define CHILD_STACK_SIZE 16384

struct visit {
    int netns_fd;
    int protocol;
    int result; /* the socket, or a negative errno */
};

static int visit_child(void *context)
{
    struct visit *visit = context;

    if (setns(visit->netns_fd, CLONE_NEWNET) < 0) {
        visit->result = -errno;
        return 0;
    }
    visit->result = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, visit->protocol);
    if (visit->result < 0)
        visit->result = -errno;
    return 0;
}

int netns_socket(int netns_fd, int protocol, int *ret_fd, struct error *error)
{
    alignas(16) char stack[CHILD_STACK_SIZE];
    struct visit visit = {.netns_fd = netns_fd, .protocol = protocol, .result = -ECANCELED};
    sigset_t all, before;
    int status;

    /* Nobody's handler may run on the child's stack. */
    (void)sigfillset(&all);
    (void)sigprocmask(SIG_SETMASK, &all, &before);
    pid_t pid =
        clone(visit_child, stack + sizeof stack, CLONE_VM | CLONE_VFORK | CLONE_FILES, &visit);
    int code = pid < 0 ? -errno : 0;
    while (pid > 0 && waitpid(pid, &status, __WALL) < 0 && errno == EINTR)
        ;
    (void)sigprocmask(SIG_SETMASK, &before, NULL);
    if (code < 0)
        return error_errno(error, code, "cannot start a process in another network namespace");
    if (visit.result < 0)
        return error_errno(error, visit.result, "cannot enter another network namespace");
    *ret_fd = visit.result;
    return 0;
}

/* 1: `path` is the same namespace; 0: another; or a negative errno. */
static int is_same(const char *path, const struct stat *namespace)
{
    struct stat state;

    if (stat(path, &state) < 0)
        return -errno;
    return state.st_ino == namespace->st_ino && state.st_dev == namespace->st_dev;
}

/* Who runs netjail in another namespace (ip netns exec, PrivateNetwork=) has not left the host:
 * process 1 has its network. A unit with few capabilities may not look at process 1; what can be
 * told by its own namespace is told then, too. */
int netns_is_host(int netns_fd)
{
    struct stat namespace;
    int own, first;

    if (fstat(netns_fd, &namespace) < 0)
        return -errno;
    own = is_same("/proc/self/ns/net", &namespace);
    first = is_same("/proc/1/ns/net", &namespace);
    return own < 0 ? own : own == 1 || first == 1;
}

int netns_owner(int netns_fd, uid_t *ret_owner)
{
    if (ioctl(netns_fd, NS_GET_NSTYPE) != CLONE_NEWNET)
        return -EINVAL;
    cleanup_fd int user_fd = ioctl(netns_fd, NS_GET_USERNS);
    if (user_fd < 0)
        return errno == EINVAL ? -EPERM : -errno;
    return ioctl(user_fd, NS_GET_OWNER_UID, ret_owner) < 0 ? -EPERM : 0;
}

int netns_open_named(const char *name, int *ret_fd, struct error *error)
{
    char path[128];

    (void)snprintf(path, sizeof path, "/run/netns/%s", name); /* a jail's name fits */
    cleanup_fd int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (fd < 0)
        return error_errno(error, -errno, "cannot open '%s'", path);
    if (ioctl(fd, NS_GET_NSTYPE) != CLONE_NEWNET)
        return error_set(error, -EINVAL, "'%s' is no network namespace", path);
    int host = netns_is_host(fd);
    if (host < 0)
        return error_errno(error, host, "cannot examine '%s'", path);
    if (host > 0)
        return error_set(error, -EINVAL, "'%s' is the network of the host, not of a jail", path);
    *ret_fd = take_fd(&fd);
    return 0;
}
