/* Finds the network namespace of another running jail and opens a socket there.
 *
 * The record names the supervisor by pid and start time. Everything is looked up through
 * descriptors of /proc directories, which belong to one process and fail when it is gone, never to
 * its successor; init is the child that has another network namespace than we. The supervisor is
 * still the same, and alive, when all is read: then what was its child is its child.
 *
 * A cable must not come before the rules: the table that init's supervisor loads in one transaction
 * is asked for first. Mustn't: take the word of a lease for a process that it does not belong to,
 * or keep the other namespace alive longer than the set-up takes. */
#include "kernel/peers.h"

#include "base/cleanup.h"
#include "kernel/explain.h"
#include "kernel/netns.h"
#include "kernel/nft.h"
#include "kernel/process.h"
#include "kernel/rtnl.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/netlink.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define CHILDREN_SIZE 4096

static int missing(const char *name, const char *what, struct error *error)
{
    return error_set(error, -ENOLINK, "jail '%s' %s", name, what);
}

static bool is_alive(int pidfd)
{
    struct pollfd process = {.fd = pidfd, .events = POLLIN};

    return poll(&process, 1, 0) == 0;
}

static int open_process(int32_t pid)
{
    char path[64];

    (void)snprintf(path, sizeof path, "/proc/%d", pid); /* fits */
    return open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
}

static int read_children(int process_fd, int32_t pid, char text[CHILDREN_SIZE])
{
    char path[64];

    (void)snprintf(path, sizeof path, "task/%d/children", pid); /* fits */
    cleanup_fd int fd = openat(process_fd, path, O_RDONLY | O_CLOEXEC);
    ssize_t length = fd < 0 ? -1 : read(fd, text, CHILDREN_SIZE - 1);
    if (length < 0)
        return -errno;
    text[length] = '\0';
    return 0;
}

/* The network namespace of this child, when it is one and not in the host's. -ENOENT: neither. */
static int child_netns(int32_t child, int32_t parent, int *ret_fd)
{
    int32_t found = 0;
    cleanup_fd int process = open_process(child);

    if (process < 0 || process_parent(process, &found) < 0 || found != parent)
        return -ENOENT;
    cleanup_fd int netns = openat(process, "ns/net", O_RDONLY | O_CLOEXEC);
    if (netns < 0)
        return errno == EACCES || errno == EPERM ? -errno : -ENOENT;
    int host = netns_is_host(netns);
    if (host != 0)
        return host < 0 ? host : -ENOENT;
    *ret_fd = take_fd(&netns);
    return 0;
}

static int find_init(int process_fd, int32_t pid, int *ret_fd)
{
    char children[CHILDREN_SIZE];
    int code = read_children(process_fd, pid, children);

    for (char *at = children; code == 0 && *at;) {
        int32_t child = (int32_t)strtol(at, &at, 10);

        while (isspace((unsigned char)*at))
            at++;
        code = child <= 0 ? -ENOENT : child_netns(child, pid, ret_fd);
        if (code == 0)
            return 0;
        if (code == -ENOENT && child > 0)
            code = 0;
    }
    return code < 0 ? code : -ENOENT;
}

int jail_netns_open(const struct plan_peer *peer, int *ret_fd, struct error *error)
{
    const char *name = peer->name;
    cleanup_fd int pidfd = (int)syscall(SYS_pidfd_open, peer->pid, 0u);
    cleanup_fd int process = pidfd < 0 ? -1 : open_process(peer->pid);
    cleanup_fd int netns = -1;
    uid_t uid;

    if (process < 0 || process_start_time(peer->pid) != peer->pid_start)
        return missing(name, "does not run any more", error);
    /* A lease can name any process; who wrote it may speak for his own only. */
    if (process_user(process, &uid) < 0 || uid != peer->uid)
        return missing(name, "does not run any more", error);
    int code = find_init(process, peer->pid, &netns);
    if (!is_alive(pidfd))
        return missing(name, "does not run any more", error);
    if (code == -ENOENT)
        return missing(name, "is not ready", error);
    if (code < 0) {
        (void)error_errno(error, code, "cannot look into jail '%s'", name);
        error_hint(error, "root can, and a unit that has CAP_SYS_PTRACE, too");
        return code;
    }
    *ret_fd = take_fd(&netns);
    return 0;
}

/* Are the rules of that jail in force? They come as a whole. */
static int check_rules(const char *name, int netns_fd, struct error *error)
{
    struct nl nft = NL_CLOSED;
    bool has = false;
    cleanup_fd int fd = -1;
    int code = netns_socket(netns_fd, NETLINK_NETFILTER, &fd, error);

    if (code == 0)
        code = nl_adopt(fd, &nft, error);
    if (code == 0)
        code = nft_has_table(&nft, NFT_INET, &has, error);
    nl_close(&nft);
    if (code == 0 && !has)
        code = missing(name, "is not ready: its rules are not loaded", error);
    return code;
}

static int open_peer(const struct plan_peer *peer, struct nl *ret_route, struct error *error)
{
    cleanup_fd int netns = -1;
    cleanup_fd int fd = -1;
    int code = jail_netns_open(peer, &netns, error);

    if (code == 0)
        code = check_rules(peer->name, netns, error);
    if (code == 0)
        code = netns_socket(netns, NETLINK_ROUTE, &fd, error);
    if (code == 0)
        code = nl_adopt(fd, ret_route, error);
    if (code == 0) {
        ret_route->owned = true;
        (void)take_fd(&fd); /* it belongs to *ret_route now */
    }
    return code;
}

int peers_open(const struct plan *plan, struct peers **ret_peers, struct error *error)
{
    int code = 0;

    *ret_peers = NULL;
    if (plan->peers_count == 0)
        return 0;
    struct peers *peers = calloc(1, sizeof *peers);
    if (peers)
        peers->routes = calloc(plan->peers_count, sizeof *peers->routes);
    if (!peers || !peers->routes) {
        free(peers);
        return error_set(error, -ENOMEM, "out of memory");
    }
    for (size_t i = 0; i < plan->peers_count && code == 0; i++) {
        peers->routes[i] = NL_CLOSED;
        peers->count++;
        code = open_peer(&plan->peers[i], &peers->routes[i], error);
    }
    if (code < 0) {
        peers_close(peers);
        return code;
    }
    *ret_peers = peers;
    return 0;
}

int peers_names_free(const struct plan *plan, const struct peers *peers, struct error *error)
{
    for (size_t i = 0; i < plan->ops_count; i++) {
        const struct op *op = &plan->ops[i];
        struct nl_failure failure = {0};
        struct rtnl_link link;

        if (op->kind != OP_VETH_ADD || op->where != WHERE_PEER)
            continue;
        int code = rtnl_get_link(&peers->routes[op->peer], op->veth.host_name, &link, &failure);
        if (code == 0) {
            failure = (struct nl_failure){.code = -EEXIST};
            (void)explain_op(plan, op, &failure, error);
            error->where = op->position;
            return -EAGAIN;
        }
        if (code != -ENODEV) {
            code = explain_op(plan, op, &failure, error);
            error->where = op->position;
            return code;
        }
    }
    return 0;
}

void peers_close(struct peers *peers)
{
    if (!peers)
        return;
    for (size_t i = 0; i < peers->count; i++)
        nl_close(&peers->routes[i]);
    free(peers->routes);
    free(peers);
}

int joined_open(const struct plan *plan, int *ret_fd, struct error *error)
{
    const struct plan_peer *joined = &plan->joined;
    cleanup_fd int fd = -1;
    int code;

    *ret_fd = -1;
    if (!plan->joins)
        return 0;
    if (joined->pid > 0) {
        code = jail_netns_open(joined, &fd, error);
        if (code == 0)
            code = check_rules(joined->name, fd, error);
        code = code == -ENOLINK ? -ESRCH : code; /* waiting is for cables */
    } else {
        code = netns_open_named(joined->name, &fd, error);
        if (code == -ENOENT) {
            (void)error_set(error, code, "there is no running jail '%s', nor /run/netns/%s",
                            joined->name, joined->name);
            error_hint(error, "`netjailctl list` and `ip netns list` show what there is");
        }
    }
    if (code < 0) {
        error->where = plan->joined_where;
        return code;
    }
    *ret_fd = take_fd(&fd);
    return 0;
}

int joined_verify(int joined_fd, int netns_fd, struct error *error)
{
    struct stat wanted, found;

    if (fstat(joined_fd, &wanted) < 0 || fstat(netns_fd, &found) < 0)
        return error_errno(error, -errno, "cannot examine the jail's network namespace");
    if (wanted.st_ino != found.st_ino || wanted.st_dev != found.st_dev)
        return error_set(error, -EUCLEAN, "the jail is not in the network that it joins");
    return 0;
}
