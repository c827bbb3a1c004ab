/* The real kernel behind struct kernel.
 *
 * In the jail: the sockets that init opened there and lent us; as owner of the jail's user
 * namespace, or as root, the supervisor has the capabilities for them. On the host: sockets of our
 * own, opened only when the plan needs them. An op for a place whose sockets were not opened is
 * refused: nothing is done on the host by mistake. */
#include "kernel/real.h"

#include "base/cleanup.h"
#include "kernel/flows.h"
#include "kernel/listen.h"
#include "kernel/nft.h"
#include "kernel/nft_docker.h"
#include "kernel/peers.h"
#include "kernel/rtnl.h"
#include "kernel/sysctl.h"

#include <errno.h>
#include <linux/netlink.h>
#include <stdlib.h>

struct kernel_real *kernel_real(struct kernel *kernel)
{
    return (struct kernel_real *)kernel; /* base is its first member */
}

static int pick(struct nl *jail, struct nl *host, enum where where, struct nl **ret_nl,
                struct error *error)
{
    struct nl *nl = where == WHERE_JAIL ? jail : host;
    if (where == WHERE_SERVICE || where == WHERE_PEER || nl->fd < 0)
        return error_set(error, -ENOTCONN, "there is no socket to configure the %s",
                         where == WHERE_JAIL ? "jail" : "host");
    *ret_nl = nl;
    return 0;
}

int kernel_route(struct kernel *kernel, enum where where, struct nl **ret_nl, struct error *error)
{
    struct kernel_real *real = kernel_real(kernel);
    return pick(&real->jail_route, &real->host_route, where, ret_nl, error);
}

int kernel_nft(struct kernel *kernel, enum where where, struct nl **ret_nl, struct error *error)
{
    struct kernel_real *real = kernel_real(kernel);
    return pick(&real->jail_nft, &real->host_nft, where, ret_nl, error);
}

static int peer_route(const struct kernel_real *real, uint16_t peer, struct nl **ret_nl,
                      struct error *error)
{
    if (!real->peers || peer >= real->peers->count)
        return error_set(error, -ENOTCONN, "there is no socket to configure the other jail");
    *ret_nl = &real->peers->routes[peer];
    return 0;
}

static int real_link_op(struct kernel *kernel, const struct plan *plan, const struct op *op,
                        struct error *error)
{
    struct kernel_real *real = kernel_real(kernel);
    struct nl *nl = NULL;
    bool is_flows = op->kind == OP_FLOWS_FORGET;
    bool is_docker = op->kind == OP_DOCKER_ACCEPT || op->kind == OP_DOCKER_FORGET;
    int r;
    if (op->where == WHERE_PEER)
        r = peer_route(real, op->peer, &nl, error);
    else
        r = is_flows || is_docker ? kernel_nft(kernel, op->where, &nl, error)
                                  : kernel_route(kernel, op->where, &nl, error);
    if (r < 0)
        return r;
    if (is_flows)
        return flows_op(nl, plan, op, error);
    if (is_docker)
        return nft_docker_op(nl, plan, op, error);
    /* Settings are those of this namespace: another jail has made its own. */
    bool has_ipv6 = real->has_ipv6 && op->where == WHERE_HOST;
    return rtnl_op(nl, plan, op, real->netns_fd, has_ipv6, error);
}

static int real_nft_batch(struct kernel *kernel, const struct plan *plan, size_t first,
                          size_t count, size_t *ret_failed, struct error *error)
{
    struct kernel_real *real = kernel_real(kernel);
    struct nl *nl = NULL;
    int r = kernel_nft(kernel, plan->ops[first].where, &nl, error);
    if (r < 0) {
        *ret_failed = first;
        return r;
    }
    return nft_transaction(nl, plan, first, count, &real->lacks_destroy, ret_failed, error);
}

static int real_sysctl_op(struct kernel *kernel, const struct op *op, struct error *error)
{
    struct nl *nl = NULL;
    /* /proc/sys shows the present namespace: the host's, and only where we may touch it. */
    int r = kernel_route(kernel, WHERE_HOST, &nl, error);
    if (r < 0)
        return r;
    if (op->where != WHERE_HOST)
        return error_set(error, -EINVAL, "settings of the jail are init's work");
    return sysctl_op(op, error);
}

static int real_listen_op(struct kernel *kernel, const struct op *op, int *ret_fd,
                          struct error *error)
{
    (void)kernel; /* a socket needs nothing of it */
    return listen_op(op, ret_fd, error);
}

static const struct kernel_functions real_functions = {
    .link_op = real_link_op,
    .nft_batch = real_nft_batch,
    .sysctl_op = real_sysctl_op,
    .listen_op = real_listen_op,
};

static int open_jail(struct kernel_real *real, const struct jail_sockets *jail, struct error *error)
{
    int r = 0;
    if (jail->route_fd >= 0)
        r = nl_adopt(jail->route_fd, &real->jail_route, error);
    if (r == 0 && jail->nft_fd >= 0)
        r = nl_adopt(jail->nft_fd, &real->jail_nft, error);
    real->netns_fd = jail->netns_fd;
    real->peers = jail->peers;
    return r;
}

static int open_host(struct kernel_real *real, struct error *error)
{
    char value[SYSCTL_VALUE_SIZE];
    real->has_ipv6 = sysctl_read("net/ipv6/conf/all/forwarding", value) == 0;
    int r = nl_open(NETLINK_ROUTE, &real->host_route, error);
    return r < 0 ? r : nl_open(NETLINK_NETFILTER, &real->host_nft, error);
}

int kernel_open(const struct jail_sockets *jail, bool use_host, struct kernel **ret_kernel,
                struct error *error)
{
    struct kernel_real *real = calloc(1, sizeof *real);
    if (!real)
        return error_set(error, -ENOMEM, "out of memory");
    real->base.functions = &real_functions;
    real->jail_route = real->jail_nft = real->host_route = real->host_nft = NL_CLOSED;
    real->netns_fd = -1;
    int r = jail ? open_jail(real, jail, error) : 0;
    if (r == 0 && use_host)
        r = open_host(real, error);
    if (r < 0) {
        kernel_close(&real->base);
        return r;
    }
    *ret_kernel = &real->base;
    return 0;
}

void kernel_close(struct kernel *kernel)
{
    if (!kernel)
        return;
    struct kernel_real *real = kernel_real(kernel);
    nl_close(&real->jail_route);
    nl_close(&real->jail_nft);
    nl_close(&real->host_route);
    nl_close(&real->host_nft);
    free(real);
}
