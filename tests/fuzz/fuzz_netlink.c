/* What netjail reads from the kernel's netlink sockets: acknowledgements with extended acks (first
 * byte even), links, addresses and routes (odd). The kernel is trusted, but a message may be cut,
 * or come from a newer kernel. */
#include "kernel/rtnl.h"

#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

static void check(bool condition)
{
    if (!condition)
        __builtin_trap();
}

static void check_terminated(const char *text, size_t size)
{
    check(memchr(text, '\0', size) != NULL);
}

static void check_prefix(const struct prefix *prefix)
{
    check(prefix->addr.family == ADDR_V4 || prefix->addr.family == ADDR_V6);
    check(prefix->length <= addr_bits(prefix->addr.family));
}

static void try_failure(const struct nlmsghdr *message)
{
    struct nl_failure failure = {0};

    if (!nl_parse_error(message, &failure))
        return;
    check(failure.code <= 0 && failure.code > -4096);
    check_terminated(failure.text, sizeof failure.text);
}

static void try_objects(const struct nlmsghdr *message)
{
    struct rtnl_link link;
    struct rtnl_address address;
    struct rtnl_route route;

    if (rtnl_parse_link(message, &link)) {
        check_terminated(link.name, sizeof link.name);
        check_terminated(link.kind, sizeof link.kind);
    }
    if (rtnl_parse_address(message, &address))
        check_prefix(&address.prefix);
    if (rtnl_parse_route(message, &route)) {
        check_prefix(&route.prefix);
        check(route.indices_count <= sizeof route.indices / sizeof route.indices[0]);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct nlmsghdr *message;

    if (size < 1 + sizeof *message)
        return 0;
    /* In memory of exactly its size, so that one byte too far is noticed. The socket's reader has
     * seen to it that the length is that of what came. */
    message = malloc(size - 1);
    if (!message)
        return 0;
    memcpy(message, data + 1, size - 1);
    message->nlmsg_len = (uint32_t)(size - 1);
    if (data[0] & 1)
        try_objects(message);
    else
        try_failure(message);
    free(message);
    return 0;
}
