/* Changes of links, addresses and routes: one op of a plan, one or two messages.
 *
 * A link is made with its final name, group, MTU, MAC, master, queues and peer namespace in one
 * message: moving or renaming later costs 25 ms. The group is there from the first moment, so that
 * clean-up recognises a link whose maker was killed right after. What the kernel does not take at
 * creation (alias, address generation mode, port isolation) follows in a second message, while the
 * link is still down.
 *
 * On the host IPv6 must not delay or distort anything: no duplicate address detection, no router
 * solicitation, no router advertisement taken from a jail, and no link-local address on a bridge
 * port. This is in force before the link goes up.
 *
 * Mustn't: touch a link by name that has another group than the op says. */
#include "kernel/rtnl.h"

#include "base/clock.h"

#include "kernel/device.h"
#include "kernel/explain.h"
#include "kernel/message.h"
#include "kernel/sysctl.h"

#include <errno.h>
#include <linux/if_addr.h>
#include <linux/if_bridge.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <linux/veth.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define MAC_WAIT_MS  2000
#define MAC_PAUSE_NS 2000000

/* GSO_MAX_SIZE of Linux 6.3 and later; lo takes as much. */
#define PIECE_MAX 524280
#define IFLA_GSO_IPV4_MAX_SIZE                                                                     \
    63 /* linux/if_link.h of Linux 6.3, which headers may be older than */

static struct ifinfomsg *link_request(struct rtnl_request *request, int flags)
{
    struct ifinfomsg *header = rtnl_request_init(request, RTM_NEWLINK, flags, sizeof *header);
    header->ifi_family = AF_UNSPEC;
    return header;
}

static int send_request(struct nl *nl, struct rtnl_request *request, struct nl_failure *failure)
{
    return nl_request(nl, request->message, NULL, NULL, failure);
}

struct link_reply {
    struct rtnl_link link;
    bool found;
};

static int take_link(const struct nlmsghdr *message, void *context)
{
    struct link_reply *reply = context;
    if (message->nlmsg_type != RTM_NEWLINK)
        return 0;
    if (!rtnl_parse_link(message, &reply->link))
        return -EPROTO;
    reply->found = true;
    return 0;
}

int rtnl_get_link(struct nl *nl, const char *name, struct rtnl_link *ret_link,
                  struct nl_failure *failure)
{
    struct rtnl_request request;
    struct ifinfomsg *header = rtnl_request_init(&request, RTM_GETLINK, 0, sizeof *header);
    header->ifi_family = AF_UNSPEC;
    mnl_attr_put_strz(request.message, IFLA_IFNAME, name);
    struct link_reply reply = {0};
    int r = nl_request(nl, request.message, take_link, &reply, failure);
    if (r < 0)
        return r;
    if (!reply.found)
        return failure->code = -EPROTO;
    *ret_link = reply.link;
    return 0;
}

/* Settings of a new link on the host. `is_port`: member of a bridge. */
static int quiet_ipv6(const char *name, struct nl_failure *failure)
{
    static const char *const settings[] = {"accept_dad", "accept_ra", "router_solicitations"};
    for (size_t i = 0; i < sizeof settings / sizeof settings[0]; i++) {
        char path[SYSCTL_PATH_SIZE];
        (void)snprintf(path, sizeof path, "net/ipv6/conf/%s/%s", name, settings[i]);
        int r = sysctl_write(path, "0");
        if (r == -ENOENT)
            return 0; /* no IPv6 on this link (MTU below 1280, or switched off): nothing to quiet */
        if (r < 0) {
            (void)snprintf(failure->text, sizeof failure->text, "writing %s", path);
            return failure->code = r;
        }
    }
    return 0;
}

static void put_no_link_local(struct nlmsghdr *message)
{
    struct nlattr *families = mnl_attr_nest_start(message, IFLA_AF_SPEC);
    struct nlattr *inet6 = mnl_attr_nest_start(message, AF_INET6);
    mnl_attr_put_u8(message, IFLA_INET6_ADDR_GEN_MODE, IN6_ADDR_GEN_MODE_NONE);
    mnl_attr_nest_end(message, inet6);
    mnl_attr_nest_end(message, families);
}

static void put_port(struct nlmsghdr *message, bool isolated, bool hairpin)
{
    struct nlattr *info = mnl_attr_nest_start(message, IFLA_LINKINFO);
    mnl_attr_put_strz(message, IFLA_INFO_SLAVE_KIND, "bridge");
    struct nlattr *data = mnl_attr_nest_start(message, IFLA_INFO_SLAVE_DATA);
    mnl_attr_put_u8(message, IFLA_BRPORT_ISOLATED, isolated);
    mnl_attr_put_u8(message, IFLA_BRPORT_MODE, hairpin);
    mnl_attr_nest_end(message, data);
    mnl_attr_nest_end(message, info);
}

struct link_details {
    const char *name;
    const char *alias;
    bool no_link_local;
    bool isolated;
    bool hairpin;
};

static int set_details(struct nl *nl, const struct link_details *details,
                       struct nl_failure *failure)
{
    struct rtnl_request request;
    link_request(&request, 0);
    mnl_attr_put_strz(request.message, IFLA_IFNAME, details->name);
    mnl_attr_put_strz(request.message, IFLA_IFALIAS, details->alias);
    if (details->isolated || details->hairpin)
        put_port(request.message, details->isolated, details->hairpin);
    if (details->no_link_local)
        put_no_link_local(request.message);
    return send_request(nl, &request, failure);
}

/* A link with an MTU below 1280 has no IPv6 and refuses settings of it. */
static int finish_link(struct nl *nl, struct link_details details, bool has_ipv6,
                       struct nl_failure *failure)
{
    details.no_link_local = details.no_link_local && has_ipv6;
    int r = set_details(nl, &details, failure);
    if (r == -EAFNOSUPPORT && details.no_link_local) {
        details.no_link_local = false;
        r = set_details(nl, &details, failure);
    }
    if (r < 0 || !has_ipv6)
        return r;
    return quiet_ipv6(details.name, failure);
}

/* The address is given at creation: a bridge without one takes over its lowest port's, and would
 * change it under the feet of the jails whenever one comes or goes. */
static int add_bridge(struct nl *nl, const struct op *op, bool has_ipv6, struct nl_failure *failure)
{
    /* Frames to reserved addresses pass no hook that would judge their source (LLDP's): they teach
     * nothing. */
    const struct br_boolopt_multi no_ll_learn = {.optval = 1u << BR_BOOLOPT_NO_LL_LEARN,
                                                 .optmask = 1u << BR_BOOLOPT_NO_LL_LEARN};
    struct rtnl_request request;
    link_request(&request, NLM_F_CREATE | NLM_F_EXCL);
    struct nlmsghdr *message = request.message;
    mnl_attr_put_strz(message, IFLA_IFNAME, op->bridge.name);
    mnl_attr_put_u32(message, IFLA_GROUP, GROUP_NETWORK);
    mnl_attr_put(message, IFLA_ADDRESS, sizeof op->bridge.mac.bytes, op->bridge.mac.bytes);
    struct nlattr *info = mnl_attr_nest_start(message, IFLA_LINKINFO);
    mnl_attr_put_strz(message, IFLA_INFO_KIND, "bridge");
    struct nlattr *data = mnl_attr_nest_start(message, IFLA_INFO_DATA);
    mnl_attr_put_u32(message, IFLA_BR_FORWARD_DELAY, 0);
    mnl_attr_put_u32(message, IFLA_BR_STP_STATE, 0);
    mnl_attr_put_u8(message, IFLA_BR_MCAST_SNOOPING, 0);
    mnl_attr_put(message, IFLA_BR_MULTI_BOOLOPT, sizeof no_ll_learn, &no_ll_learn);
    mnl_attr_nest_end(message, data);
    mnl_attr_nest_end(message, info);
    int r = send_request(nl, &request, failure);
    if (r < 0)
        return r;
    struct link_details details = {.name = op->bridge.name, .alias = op->bridge.alias};
    return finish_link(nl, details, has_ipv6, failure);
}

static void put_veth_end(struct nlmsghdr *message, const char *name, const struct mac *mac,
                         uint32_t mtu)
{
    mnl_attr_put_strz(message, IFLA_IFNAME, name);
    mnl_attr_put(message, IFLA_ADDRESS, sizeof mac->bytes, mac->bytes);
    mnl_attr_put_u32(message, IFLA_NUM_TX_QUEUES, 1);
    mnl_attr_put_u32(message, IFLA_NUM_RX_QUEUES, 1);
    if (mtu > 0)
        mnl_attr_put_u32(message, IFLA_MTU, mtu);
}

static void put_veth(struct nlmsghdr *message, const struct op *op, uint32_t mtu, int netns_fd)
{
    put_veth_end(message, op->veth.host_name, &op->veth.host_mac, mtu);
    mnl_attr_put_u32(message, IFLA_GROUP, op->veth.group);
    struct nlattr *info = mnl_attr_nest_start(message, IFLA_LINKINFO);
    mnl_attr_put_strz(message, IFLA_INFO_KIND, "veth");
    struct nlattr *data = mnl_attr_nest_start(message, IFLA_INFO_DATA);
    struct nlattr *peer = mnl_attr_nest_start(message, VETH_INFO_PEER);
    (void)mnl_nlmsg_put_extra_header(message, sizeof(struct ifinfomsg)); /* zeroed: the peer's */
    put_veth_end(message, op->veth.jail_name, &op->veth.jail_mac, mtu);
    mnl_attr_put_u32(message, IFLA_NET_NS_FD, (uint32_t)netns_fd);
    if (op->veth.jail_group)
        mnl_attr_put_u32(message, IFLA_GROUP, op->veth.jail_group);
    mnl_attr_nest_end(message, peer);
    mnl_attr_nest_end(message, data);
    mnl_attr_nest_end(message, info);
}

static int add_veth(struct nl *nl, const struct op *op, int netns_fd, bool has_ipv6,
                    struct nl_failure *failure)
{
    struct rtnl_link master = {0};
    bool is_port = op->veth.master[0] != '\0';
    if (is_port) {
        int r = rtnl_get_link(nl, op->veth.master, &master, failure);
        if (r < 0)
            return r;
    }
    struct rtnl_request request;
    link_request(&request, NLM_F_CREATE | NLM_F_EXCL);
    put_veth(request.message, op, op->veth.mtu > 0 ? op->veth.mtu : master.mtu, netns_fd);
    if (is_port)
        mnl_attr_put_u32(request.message, IFLA_MASTER, (uint32_t)master.index);
    int r = send_request(nl, &request, failure);
    if (r < 0)
        return r;
    struct link_details details = {.name = op->veth.host_name,
                                   .alias = op->veth.alias,
                                   .no_link_local = is_port,
                                   .isolated = op->veth.isolated,
                                   .hairpin = op->veth.hairpin};
    return finish_link(nl, details, has_ipv6, failure);
}

static void put_child_mode(struct nlmsghdr *message, const struct op *op)
{
    static const struct {
        const char *mode;
        uint32_t macvlan;
        uint16_t ipvlan;
    } modes[] = {
        {"bridge", MACVLAN_MODE_BRIDGE, 0}, {"private", MACVLAN_MODE_PRIVATE, 0},
        {"vepa", MACVLAN_MODE_VEPA, 0},     {"passthru", MACVLAN_MODE_PASSTHRU, 0},
        {"l2", 0, IPVLAN_MODE_L2},          {"l3", 0, IPVLAN_MODE_L3},
        {"l3s", 0, IPVLAN_MODE_L3S},
    };
    for (size_t i = 0; i < sizeof modes / sizeof modes[0]; i++) {
        if (strcmp(modes[i].mode, op->child.mode) != 0)
            continue;
        if (modes[i].macvlan)
            mnl_attr_put_u32(message, IFLA_MACVLAN_MODE, modes[i].macvlan);
        else
            mnl_attr_put_u16(message, IFLA_IPVLAN_MODE, modes[i].ipvlan);
    }
}

/* Made by the parent's namespace in the jail's, where it gets its name. */
static int add_child(struct nl *nl, const struct op *op, int netns_fd, struct nl_failure *failure)
{
    struct rtnl_link parent;
    int r = rtnl_get_link(nl, op->child.parent, &parent, failure);
    if (r < 0)
        return r;
    struct rtnl_request request;
    link_request(&request, NLM_F_CREATE | NLM_F_EXCL);
    struct nlmsghdr *message = request.message;
    mnl_attr_put_strz(message, IFLA_IFNAME, op->child.name);
    mnl_attr_put_u32(message, IFLA_LINK, (uint32_t)parent.index);
    mnl_attr_put_u32(message, IFLA_NET_NS_FD, (uint32_t)netns_fd);
    if (op->child.has_mac)
        mnl_attr_put(message, IFLA_ADDRESS, sizeof op->child.mac.bytes, op->child.mac.bytes);
    if (op->child.mtu > 0)
        mnl_attr_put_u32(message, IFLA_MTU, op->child.mtu);
    struct nlattr *info = mnl_attr_nest_start(message, IFLA_LINKINFO);
    mnl_attr_put_strz(message, IFLA_INFO_KIND, op->child.kind);
    struct nlattr *data = mnl_attr_nest_start(message, IFLA_INFO_DATA);
    put_child_mode(message, op);
    mnl_attr_nest_end(message, data);
    mnl_attr_nest_end(message, info);
    return send_request(nl, &request, failure);
}

static int change_address(struct nl *nl, const struct op *op, struct nl_failure *failure)
{
    struct rtnl_link link;
    int r = rtnl_get_link(nl, op->address.ifname, &link, failure);
    if (r < 0)
        return r;
    const struct addr *addr = &op->address.prefix.addr;
    bool is_add = op->kind == OP_ADDRESS_ADD;
    struct rtnl_request request;
    struct ifaddrmsg *header =
        rtnl_request_init(&request, is_add ? RTM_NEWADDR : RTM_DELADDR,
                          is_add ? NLM_F_CREATE | NLM_F_EXCL : 0, sizeof(struct ifaddrmsg));
    header->ifa_family = family_to_os(addr->family);
    header->ifa_prefixlen = op->address.prefix.length;
    header->ifa_index = (uint32_t)link.index;
    if (is_add && addr->family == ADDR_V6)
        header->ifa_flags = IFA_F_NODAD;
    if (addr->family == ADDR_V4 && addr->bytes[0] == 127)
        header->ifa_scope = RT_SCOPE_HOST;
    mnl_attr_put(request.message, IFA_LOCAL, addr_size(addr->family), addr->bytes);
    mnl_attr_put(request.message, IFA_ADDRESS, addr_size(addr->family), addr->bytes);
    return send_request(nl, &request, failure);
}

static int set_up_once(struct nl *nl, const struct op *op, struct nl_failure *failure)
{
    struct rtnl_request request;
    struct ifinfomsg *header = link_request(&request, 0);
    header->ifi_flags = IFF_UP;
    header->ifi_change = IFF_UP;
    mnl_attr_put_strz(request.message, IFLA_IFNAME, op->ifname);
    return send_request(nl, &request, failure);
}

/* A jail that starts again has the MAC it had, and two macvlans of an interface cannot have one:
 * the old one goes with its namespace, which the kernel takes apart some time after the last
 * process. */
static int set_up(struct nl *nl, const struct op *op, struct nl_failure *failure)
{
    const struct timespec pause = {.tv_nsec = MAC_PAUSE_NS};
    int64_t end_ms = clock_now_ms() + MAC_WAIT_MS;
    int r;

    while ((r = set_up_once(nl, op, failure)) == -EADDRINUSE && clock_now_ms() < end_ms) {
        *failure = (struct nl_failure){0};
        (void)nanosleep(&pause, NULL); /* a shorter pause does no harm */
    }
    return r;
}

/* A gateway of the other family (IPv4 through an IPv6 next hop, RFC 8950) has an attribute of its
 * own. */
static void put_gateway(struct nlmsghdr *message, const struct addr *via, uint8_t family)
{
    size_t size = addr_size(via->family);
    if (via->family == family) {
        mnl_attr_put(message, RTA_GATEWAY, size, via->bytes);
        return;
    }
    struct {
        uint16_t family;
        uint8_t bytes[16];
    } other = {.family = family_to_os(via->family)};
    memcpy(other.bytes, via->bytes, size);
    mnl_attr_put(message, RTA_VIA, sizeof other.family + size, &other);
}

/* IPv4 looks into the tables local and main as if they were one, so that a link's routes, which are
 * more specific, go before a local default; and bind(2) asks the table local. IPv6 asks the whole
 * table local first. */
uint8_t rtnl_route_table(const struct op *op)
{
    return op->route.is_local && op->route.prefix.addr.family == ADDR_V4 ? RT_TABLE_LOCAL
                                                                         : RT_TABLE_MAIN;
}

static int add_route(struct nl *nl, const struct op *op, struct nl_failure *failure)
{
    struct rtnl_link link;
    int r = rtnl_get_link(nl, op->route.ifname, &link, failure);
    if (r < 0)
        return r;
    struct prefix prefix = prefix_network(&op->route.prefix);
    bool has_gateway = op->route.via.family != ADDR_NONE;
    struct rtnl_request request;
    struct rtmsg *header =
        rtnl_request_init(&request, RTM_NEWROUTE, NLM_F_CREATE | NLM_F_EXCL, sizeof(struct rtmsg));
    header->rtm_family = family_to_os(prefix.addr.family);
    header->rtm_dst_len = prefix.length;
    header->rtm_table = rtnl_route_table(op);
    header->rtm_protocol = RTPROT_BOOT;
    header->rtm_type = op->route.is_local ? RTN_LOCAL : RTN_UNICAST;
    header->rtm_scope =
        has_gateway || prefix.addr.family == ADDR_V6 ? RT_SCOPE_UNIVERSE : RT_SCOPE_LINK;
    if (op->route.is_local && prefix.addr.family == ADDR_V4)
        header->rtm_scope = RT_SCOPE_HOST;
    if (prefix.length > 0)
        mnl_attr_put(request.message, RTA_DST, addr_size(prefix.addr.family), prefix.addr.bytes);
    if (has_gateway)
        put_gateway(request.message, &op->route.via, prefix.addr.family);
    if (op->route.is_local)
        mnl_attr_put(request.message, RTA_PREFSRC, addr_size(prefix.addr.family),
                     op->route.source.bytes);
    mnl_attr_put_u32(request.message, RTA_OIF, (uint32_t)link.index);
    return send_request(nl, &request, failure);
}

/* The first packet is safe once a GETLINK was answered behind the LINK_UP. */
static int check_link(struct nl *nl, const struct op *op, struct nl_failure *failure)
{
    struct rtnl_link link;
    int r = rtnl_get_link(nl, op->ifname, &link, failure);
    if (r < 0)
        return r;
    return link.flags & IFF_UP ? 0 : (failure->code = -ENETDOWN);
}

/* By index: between the look and the deletion the name may go to somebody else's link. */
static int delete_link(struct nl *nl, const struct op *op, struct nl_failure *failure)
{
    struct rtnl_link link;
    int r = rtnl_get_link(nl, op->link_delete.name, &link, failure);
    if (r == -ENODEV)
        return 0;
    if (r < 0)
        return r;
    if (link.group != op->link_delete.group)
        return 0; /* not ours (any more): nothing to take back */
    struct rtnl_request request;
    struct ifinfomsg *header = rtnl_request_init(&request, RTM_DELLINK, 0, sizeof *header);
    header->ifi_family = AF_UNSPEC;
    header->ifi_index = link.index;
    r = send_request(nl, &request, failure);
    return r == -ENODEV ? 0 : r;
}

static int delete_address(struct nl *nl, const struct op *op, struct nl_failure *failure)
{
    int r = change_address(nl, op, failure);
    return r == -ENODEV || r == -EADDRNOTAVAIL ? 0 : r;
}

/* Where a relay is, bulk data pass lo. In pieces of up to 512 KiB (BIG TCP, Linux 6.3 for IPv4) an
 * eighth as many pass the rules. A kernel that has it not only makes the relay slower. */
static void allow_big_pieces(struct nl *nl, const struct op *op)
{
    struct nl_failure ignored = {0};
    struct rtnl_request request;

    (void)link_request(&request, 0); /* no flag is changed */
    mnl_attr_put_strz(request.message, IFLA_IFNAME, op->ifname);
    mnl_attr_put_u32(request.message, IFLA_GSO_MAX_SIZE, PIECE_MAX);
    mnl_attr_put_u32(request.message, IFLA_GSO_IPV4_MAX_SIZE, PIECE_MAX);
    (void)send_request(nl, &request, &ignored); /* see above */
}

static int carry_out(struct nl *nl, const struct op *op, int netns_fd, bool has_ipv6,
                     struct nl_failure *failure)
{
    switch (op->kind) {
    case OP_BRIDGE_ADD:
        return add_bridge(nl, op, has_ipv6, failure);
    case OP_VETH_ADD:
        return add_veth(nl, op, netns_fd, has_ipv6, failure);
    case OP_CHILD_ADD:
        return add_child(nl, op, netns_fd, failure);
    case OP_DEVICE_MOVE:
        return device_move(nl, op, netns_fd, failure);
    case OP_QDISC_ADD:
        return rtnl_add_qdisc(nl, op, failure);
    case OP_ADDRESS_ADD:
        return change_address(nl, op, failure);
    case OP_LINK_UP:
        return set_up(nl, op, failure);
    case OP_ROUTE_ADD:
        return add_route(nl, op, failure);
    case OP_LINK_CHECK:
        return check_link(nl, op, failure);
    case OP_LINK_DELETE:
        return delete_link(nl, op, failure);
    case OP_ADDRESS_DELETE:
        return delete_address(nl, op, failure);
    default:
        return failure->code = -EINVAL;
    }
}

int rtnl_op(struct nl *nl, const struct plan *plan, const struct op *op, int netns_fd,
            bool has_ipv6, struct error *error)
{
    struct nl_failure failure = {0};
    int r = carry_out(nl, op, netns_fd, has_ipv6, &failure);
    if (r == 0 && plan->relays && op->kind == OP_LINK_UP && strcmp(op->ifname, "lo") == 0)
        allow_big_pieces(nl, op);
    if (r == 0)
        return 0;
    failure.code = r;
    return explain_op(plan, op, &failure, error);
}
