/* What the kernel says about links, addresses and routes: parsing of its messages and dumps.
 *
 * Attributes are checked for their length before they are read; an unknown one is skipped. A dump
 * that changed while it was read (NLM_F_DUMP_INTR) is thrown away and read again. */
#include "kernel/rtnl.h"

#include "kernel/explain.h"
#include "kernel/message.h"

#include <errno.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <string.h>

static bool get_string(const struct nlattr *attribute, char *text, size_t size)
{
    size_t length = mnl_attr_get_payload_len(attribute);
    const char *value = mnl_attr_get_payload(attribute);
    length = strnlen(value, length);
    if (length >= size)
        return false;
    memcpy(text, value, length);
    text[length] = '\0';
    return true;
}

static int take_kind(const struct nlattr *attribute, void *context)
{
    struct rtnl_link *link = context;
    if (mnl_attr_get_type(attribute) == IFLA_INFO_KIND)
        (void)get_string(attribute, link->kind, sizeof link->kind); /* longer: none of ours */
    return MNL_CB_OK;
}

bool rtnl_parse_link(const struct nlmsghdr *message, struct rtnl_link *ret_link)
{
    struct attributes attributes;
    if (message->nlmsg_type != RTM_NEWLINK ||
        !attributes_parse(message, sizeof(struct ifinfomsg), &attributes))
        return false;
    const struct ifinfomsg *header = mnl_nlmsg_get_payload(message);
    struct rtnl_link link = {.index = header->ifi_index,
                             .flags = header->ifi_flags,
                             .group = attribute_u32(attributes.list[IFLA_GROUP], 0),
                             .mtu = attribute_u32(attributes.list[IFLA_MTU], 0),
                             .master = (int32_t)attribute_u32(attributes.list[IFLA_MASTER], 0)};
    const struct nlattr *name = attributes.list[IFLA_IFNAME];
    if (!name || !get_string(name, link.name, sizeof link.name))
        return false;
    const struct nlattr *alias = attributes.list[IFLA_IFALIAS];
    if (alias && !get_string(alias, link.alias, sizeof link.alias))
        return false;
    const struct nlattr *mac = attributes.list[IFLA_ADDRESS];
    if (mac && mnl_attr_get_payload_len(mac) == sizeof link.mac.bytes)
        memcpy(link.mac.bytes, mnl_attr_get_payload(mac), sizeof link.mac.bytes);
    if (attributes.list[IFLA_LINKINFO] &&
        mnl_attr_parse_nested(attributes.list[IFLA_LINKINFO], take_kind, &link) < 0)
        return false;
    *ret_link = link;
    return true;
}

bool rtnl_parse_address(const struct nlmsghdr *message, struct rtnl_address *ret_address)
{
    struct attributes attributes;
    if (message->nlmsg_type != RTM_NEWADDR ||
        !attributes_parse(message, sizeof(struct ifaddrmsg), &attributes))
        return false;
    const struct ifaddrmsg *header = mnl_nlmsg_get_payload(message);
    uint8_t family = family_from_os(header->ifa_family);
    /* IFA_ADDRESS is the other end's on a point-to-point link; IFA_LOCAL is ours. */
    const struct nlattr *local =
        attributes.list[IFA_LOCAL] ? attributes.list[IFA_LOCAL] : attributes.list[IFA_ADDRESS];
    struct rtnl_address address = {.index = (int32_t)header->ifa_index,
                                   .scope = header->ifa_scope,
                                   .prefix = {.length = header->ifa_prefixlen}};
    if (family == ADDR_NONE || !local || !attribute_addr(local, family, &address.prefix.addr) ||
        address.prefix.length > addr_bits(family))
        return false;
    *ret_address = address;
    return true;
}

static void add_index(struct rtnl_route *route, int32_t index)
{
    if (index > 0 && route->indices_count < sizeof route->indices / sizeof route->indices[0])
        route->indices[route->indices_count++] = index;
}

static void take_nexthops(struct rtnl_route *route, const struct nlattr *attribute)
{
    const char *bytes = mnl_attr_get_payload(attribute);
    size_t left = mnl_attr_get_payload_len(attribute);
    while (left >= sizeof(struct rtnexthop)) {
        struct rtnexthop hop;
        memcpy(&hop, bytes, sizeof hop);
        size_t step = ((size_t)hop.rtnh_len + RTNH_ALIGNTO - 1) & ~((size_t)RTNH_ALIGNTO - 1);
        if (hop.rtnh_len < sizeof hop || step > left)
            return;
        add_index(route, hop.rtnh_ifindex);
        bytes += step;
        left -= step;
    }
}

bool rtnl_parse_route(const struct nlmsghdr *message, struct rtnl_route *ret_route)
{
    struct attributes attributes;
    if (message->nlmsg_type != RTM_NEWROUTE ||
        !attributes_parse(message, sizeof(struct rtmsg), &attributes))
        return false;
    const struct rtmsg *header = mnl_nlmsg_get_payload(message);
    uint8_t family = family_from_os(header->rtm_family);
    const struct nlattr *const *list = attributes.list;
    struct rtnl_route route = {
        .table = attribute_u32(list[RTA_TABLE], header->rtm_table),
        .protocol = header->rtm_protocol,
        .type = header->rtm_type,
        .prefix = {.addr = {.family = family}, .length = header->rtm_dst_len}};
    if (family == ADDR_NONE || route.prefix.length > addr_bits(family))
        return false;
    if (list[RTA_DST] && !attribute_addr(list[RTA_DST], family, &route.prefix.addr))
        return false;
    if (list[RTA_GATEWAY] && !attribute_addr(list[RTA_GATEWAY], family, &route.via))
        return false;
    add_index(&route, (int32_t)attribute_u32(list[RTA_OIF], 0));
    if (list[RTA_MULTIPATH])
        take_nexthops(&route, list[RTA_MULTIPATH]);
    *ret_route = route;
    return true;
}

static void start_anew(void *context)
{
    const struct rtnl_visitor *visitor = context;

    visitor->restart(visitor->context);
}

/* Messages of other address families than IPv4 and IPv6 are not for us; a malformed link is an
 * error, since a link that is not seen is not checked. */
static int visit(const struct nlmsghdr *message, void *context)
{
    const struct rtnl_visitor *visitor = context;
    struct rtnl_link link;
    struct rtnl_address address;
    struct rtnl_route route;
    if (message->nlmsg_type == RTM_NEWLINK)
        return rtnl_parse_link(message, &link) ? visitor->link(&link, visitor->context) : -EPROTO;
    if (message->nlmsg_type == RTM_NEWADDR && rtnl_parse_address(message, &address))
        return visitor->address(&address, visitor->context);
    if (message->nlmsg_type == RTM_NEWROUTE && rtnl_parse_route(message, &route))
        return visitor->route(&route, visitor->context);
    return 0;
}

static int dump(struct nl *nl, uint16_t type, size_t header_size,
                const struct rtnl_visitor *visitor, const char *what, struct error *error)
{
    struct nl_failure failure = {0};
    struct rtnl_visitor copy = *visitor;
    struct rtnl_request request;
    (void)rtnl_request_init(&request, type, 0, header_size); /* zeroed: every family */
    int r = nl_dump(nl, request.message, visit, start_anew, &copy, &failure);
    if (r == 0)
        return 0;
    failure.code = r;
    return explain(what, &failure, error);
}

int rtnl_dump_links(struct nl *nl, const struct rtnl_visitor *visitor, struct error *error)
{
    return dump(nl, RTM_GETLINK, sizeof(struct ifinfomsg), visitor, "read the links", error);
}

int rtnl_dump_addresses(struct nl *nl, const struct rtnl_visitor *visitor, struct error *error)
{
    return dump(nl, RTM_GETADDR, sizeof(struct ifaddrmsg), visitor, "read the addresses", error);
}

int rtnl_dump_routes(struct nl *nl, const struct rtnl_visitor *visitor, struct error *error)
{
    return dump(nl, RTM_GETROUTE, sizeof(struct rtmsg), visitor, "read the routes", error);
}
