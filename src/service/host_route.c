/* One question to the host's routing table: is this address the host's own?
 *
 * The list of the host's addresses would not do: a local route can cover a whole prefix, and
 * addresses come and go. The kernel answers for the very address as connect(2) would find it. One
 * small message each way, no library: the service parses an answer of the kernel only. What must
 * not happen: an answer to an older question that is taken for this one. No privilege. */
#include "service/host_route.h"

#include "base/clock.h"
#include "service/netlink_view.h"

#include <errno.h>
#include <linux/rtnetlink.h>
#include <string.h>
#include <sys/socket.h>

#define LOOPBACK_INDEX 1 /* of lo, in every network namespace */
#define FRESH_US       1000

struct question {
    struct nlmsghdr header;
    struct rtmsg route;
    struct rtattr attribute;
    uint8_t addr[16];
};

static uint32_t last_sequence;

/* The last answer. Builds ask for one address again and again, and a question costs 3 us. What the
 * kernel says may have changed by the time of connect(2) anyway. */
static struct {
    uint64_t since_us; /* 0: there is none */
    int route_fd;
    struct addr addr;
    bool is_local;
    bool is_plain;
} known;

static int ask(int fd, const struct addr *addr)
{
    size_t size = addr_size(addr->family);
    struct question question = {
        .header = {.nlmsg_type = RTM_GETROUTE, .nlmsg_flags = NLM_F_REQUEST},
        .route = {.rtm_family = addr->family == ADDR_V4 ? AF_INET : AF_INET6,
                  .rtm_dst_len = (uint8_t)addr_bits(addr->family)},
        .attribute = {.rta_type = RTA_DST, .rta_len = (uint16_t)RTA_LENGTH(size)},
    };

    question.header.nlmsg_len = (uint32_t)(offsetof(struct question, addr) + size);
    question.header.nlmsg_seq = ++last_sequence;
    memcpy(question.addr, addr->bytes, size);
    return send(fd, &question, question.header.nlmsg_len, 0) < 0 ? -errno : 0;
}

/* The interface that a route leads to; 0: none is said. */
static uint32_t interface_of(struct view attributes)
{
    uint32_t index = 0;
    uint16_t type;
    struct view value;

    while (netlink_take_attribute(&attributes, &type, &value)) {
        if (type == RTA_OIF && value.length == sizeof index)
            memcpy(&index, value.bytes, sizeof index);
    }
    return index;
}

static int look(int route_fd, const struct addr *addr, bool *ret_is_local, bool *ret_is_plain)
{
    union {
        struct nlmsghdr header;
        uint8_t bytes[4096];
    } answer;
    int code = ask(route_fd, addr);

    while (code == 0) {
        ssize_t got = recv(route_fd, &answer, sizeof answer, 0);
        struct rtmsg route;
        struct view attributes;
        struct nlmsgerr failure;

        if (got < 0 && errno == EINTR)
            continue;
        if (got < (ssize_t)sizeof answer.header)
            return got < 0 ? -errno : -EPROTO;
        if (answer.header.nlmsg_seq != last_sequence)
            continue;
        if (answer.header.nlmsg_type == NLMSG_ERROR) {
            memcpy(&failure, NLMSG_DATA(&answer.header), sizeof failure);
            return failure.error < 0 ? failure.error : -EPROTO;
        }
        if (answer.header.nlmsg_type != RTM_NEWROUTE || answer.header.nlmsg_len > (size_t)got ||
            answer.header.nlmsg_len < NLMSG_LENGTH(sizeof route))
            return -EPROTO;
        memcpy(&route, NLMSG_DATA(&answer.header), sizeof route);
        attributes = (struct view){answer.bytes + NLMSG_LENGTH(sizeof route),
                                   answer.header.nlmsg_len - NLMSG_LENGTH(sizeof route)};
        /* What a route to other machines sends to lo comes to the host itself, too. */
        *ret_is_plain = route.rtm_type == RTN_UNICAST && interface_of(attributes) != LOOPBACK_INDEX;
        *ret_is_local =
            route.rtm_type == RTN_LOCAL || (route.rtm_type == RTN_UNICAST && !*ret_is_plain);
        return 0;
    }
    return code;
}

int host_route_look(int route_fd, const struct addr *addr, bool *ret_is_local, bool *ret_is_plain)
{
    uint64_t now_us = clock_now_us();

    if (!known.since_us || now_us - known.since_us >= FRESH_US || known.route_fd != route_fd ||
        !addr_equal(&known.addr, addr)) {
        int code;

        known.since_us = 0;
        code = look(route_fd, addr, &known.is_local, &known.is_plain);
        if (code < 0)
            return code;
        known.since_us = now_us;
        known.route_fd = route_fd;
        known.addr = *addr;
    }
    *ret_is_local = known.is_local;
    *ret_is_plain = known.is_plain;
    return 0;
}
