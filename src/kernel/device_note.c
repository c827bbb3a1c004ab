/* What a device is like on the host, noted before it moves: the kernel forgets its addresses and
 * routes then.
 *
 * Reads only. Under the pool's lock, with the host's privilege. What the kernel makes by itself
 * (table local, routes of router advertisements) is not noted. What must not happen: something
 * noted that netjail cannot restore; a route of several interfaces, or one by a nexthop object, is
 * therefore refused before anything has changed. */
#include "kernel/device.h"

#include "kernel/explain.h"
#include "kernel/message.h"
#include "kernel/real.h"

#include <errno.h>
#include <linux/if_addr.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <string.h>
#include <time.h>

struct note {
    struct record *record;
    const struct record_device *device;
    int32_t index;
    size_t addresses_before, routes_before; /* of the record, when the dump began */
    bool has_strange_route;
};

static int take_address(const struct nlmsghdr *message, void *context)
{
    const struct note *note = context;
    struct attributes attributes;
    const struct nlattr *const *list = attributes.list;

    if (message->nlmsg_type != RTM_NEWADDR)
        return 0;
    if (!attributes_parse(message, sizeof(struct ifaddrmsg), &attributes))
        return -EPROTO;
    const struct ifaddrmsg *header = mnl_nlmsg_get_payload(message);
    uint8_t family = family_from_os(header->ifa_family);
    if (family == ADDR_NONE || (int32_t)header->ifa_index != note->index)
        return 0;
    struct record_device_address *a =
        ARENA_PUSH(note->record->arena, note->record, device_addresses);
    memcpy(a->device, note->device->name, sizeof a->device);
    a->prefix.length = header->ifa_prefixlen;
    (void)attribute_addr(list[IFA_LOCAL] ? list[IFA_LOCAL] : list[IFA_ADDRESS], family,
                         &a->prefix.addr);
    (void)attribute_addr(list[IFA_ADDRESS], family, &a->peer);
    if (addr_equal(&a->peer, &a->prefix.addr))
        a->peer = (struct addr){0};
    (void)attribute_addr(list[IFA_BROADCAST], family, &a->broadcast);
    if (list[IFA_LABEL] && mnl_attr_get_payload_len(list[IFA_LABEL]) <= sizeof a->label)
        memcpy(a->label, mnl_attr_get_payload(list[IFA_LABEL]),
               strnlen(mnl_attr_get_payload(list[IFA_LABEL]), sizeof a->label - 1));
    a->scope = header->ifa_scope;
    a->protocol = attribute_u8(list[IFA_PROTO], 0);
    a->flags = attribute_u32(list[IFA_FLAGS], header->ifa_flags);
    a->metric = attribute_u32(list[IFA_RT_PRIORITY], 0);
    a->preferred_s = a->valid_s = UINT32_MAX;
    const struct nlattr *cache = list[IFA_CACHEINFO];
    if (cache && mnl_attr_get_payload_len(cache) >= sizeof(struct ifa_cacheinfo)) {
        struct ifa_cacheinfo info;
        memcpy(&info, mnl_attr_get_payload(cache), sizeof info);
        a->preferred_s = info.ifa_prefered;
        a->valid_s = info.ifa_valid;
    }
    return a->prefix.addr.family == family ? 0 : -EPROTO;
}

static int take_metric(const struct nlattr *attribute, void *context)
{
    uint32_t *metrics = context;
    uint16_t type = mnl_attr_get_type(attribute);

    if (type < ROUTE_METRICS && mnl_attr_get_payload_len(attribute) == sizeof(uint32_t))
        metrics[type] = mnl_attr_get_u32(attribute);
    return MNL_CB_OK;
}

/* Does a route of several interfaces lead by this one, too? */
static bool is_shared(const struct note *note, const struct nlattr *multipath)
{
    const char *bytes = mnl_attr_get_payload(multipath);
    size_t left = mnl_attr_get_payload_len(multipath);

    while (left >= sizeof(struct rtnexthop)) {
        struct rtnexthop hop;
        memcpy(&hop, bytes, sizeof hop);
        size_t step = ((size_t)hop.rtnh_len + RTNH_ALIGNTO - 1) & ~((size_t)RTNH_ALIGNTO - 1);
        if (hop.rtnh_ifindex == note->index)
            return true;
        if (hop.rtnh_len < sizeof hop || step > left)
            return false;
        bytes += step;
        left -= step;
    }
    return false;
}

static void get_via(const struct nlattr *const *list, uint8_t family, struct addr *ret_via)
{
    uint16_t other;

    (void)attribute_addr(list[RTA_GATEWAY], family, ret_via);
    if (!list[RTA_VIA] || mnl_attr_get_payload_len(list[RTA_VIA]) < sizeof other)
        return;
    memcpy(&other, mnl_attr_get_payload(list[RTA_VIA]), sizeof other);
    uint8_t via = family_from_os((uint8_t)other);
    if (via == ADDR_NONE ||
        mnl_attr_get_payload_len(list[RTA_VIA]) != sizeof other + addr_size(via))
        return;
    *ret_via = (struct addr){.family = via};
    memcpy(ret_via->bytes, (const char *)mnl_attr_get_payload(list[RTA_VIA]) + sizeof other,
           addr_size(via));
}

static void fill_route(const struct rtmsg *header, const struct nlattr *const *list,
                       struct record_device_route *route)
{
    uint8_t family = family_from_os(header->rtm_family);

    route->prefix = (struct prefix){.addr = {.family = family}, .length = header->rtm_dst_len};
    (void)attribute_addr(list[RTA_DST], family, &route->prefix.addr);
    if (list[RTA_SRC]) {
        route->source.length = header->rtm_src_len;
        (void)attribute_addr(list[RTA_SRC], family, &route->source.addr);
    }
    route->table = attribute_u32(list[RTA_TABLE], header->rtm_table);
    route->protocol = header->rtm_protocol;
    route->scope = header->rtm_scope;
    route->type = header->rtm_type;
    route->tos = header->rtm_tos;
    route->preference = attribute_u8(list[RTA_PREF], 0);
    route->flags = header->rtm_flags & RTNH_F_ONLINK;
    route->metric = attribute_u32(list[RTA_PRIORITY], 0);
    get_via(list, family, &route->via);
    (void)attribute_addr(list[RTA_PREFSRC], family, &route->prefsrc);
    if (list[RTA_METRICS])
        (void)mnl_attr_parse_nested(list[RTA_METRICS], take_metric, route->metrics);
}

static int take_route(const struct nlmsghdr *message, void *context)
{
    struct note *note = context;
    struct attributes attributes;
    const struct nlattr *const *list = attributes.list;

    if (message->nlmsg_type != RTM_NEWROUTE)
        return 0;
    if (!attributes_parse(message, sizeof(struct rtmsg), &attributes))
        return -EPROTO;
    const struct rtmsg *header = mnl_nlmsg_get_payload(message);
    bool is_shared_one = list[RTA_MULTIPATH] && is_shared(note, list[RTA_MULTIPATH]);
    if (family_from_os(header->rtm_family) == ADDR_NONE || (header->rtm_flags & RTM_F_CLONED) ||
        (!is_shared_one && (int32_t)attribute_u32(list[RTA_OIF], 0) != note->index) ||
        attribute_u32(list[RTA_TABLE], header->rtm_table) == RT_TABLE_LOCAL ||
        header->rtm_protocol == RTPROT_RA)
        return 0;
    if (is_shared_one || list[RTA_NH_ID] || list[RTA_ENCAP]) {
        note->has_strange_route = true;
        return 0;
    }
    struct record_device_route *route =
        ARENA_PUSH(note->record->arena, note->record, device_routes);
    memcpy(route->device, note->device->name, sizeof route->device);
    fill_route(header, list, route);
    return 0;
}

/* What changed meanwhile is read again. */
static void start_anew(void *context)
{
    struct note *note = context;

    note->record->device_addresses_count = note->addresses_before;
    note->record->device_routes_count = note->routes_before;
    note->has_strange_route = false;
}

static int dump(struct nl *host, uint16_t type, size_t header, nl_reply take, struct note *note,
                struct nl_failure *failure)
{
    struct rtnl_request request;

    (void)rtnl_request_init(&request, type, 0, header); /* zeroed: every family */
    note->addresses_before = note->record->device_addresses_count;
    note->routes_before = note->record->device_routes_count;
    return nl_dump(host, request.message, take, start_anew, note, failure);
}

static int note_one(struct nl *host, struct record *record, struct record_device *device,
                    struct error *error)
{
    struct note note = {.record = record, .device = device};
    struct nl_failure failure = {0};
    struct rtnl_link link;
    int r = rtnl_get_link(host, device->name, &link, &failure);

    if (r < 0)
        return explain("find the device", &failure, error);
    note.index = link.index;
    memcpy(device->alias, link.alias, sizeof device->alias);
    device->group = link.group;
    device->mtu = link.mtu;
    device->was_up = link.flags & IFF_UP;
    device->noted_s = (uint64_t)time(NULL);
    r = dump(host, RTM_GETADDR, sizeof(struct ifaddrmsg), take_address, &note, &failure);
    if (r == 0)
        r = dump(host, RTM_GETROUTE, sizeof(struct rtmsg), take_route, &note, &failure);
    if (r == 0 && note.has_strange_route) {
        (void)error_set(error, -EBUSY,
                        "'%s' has a route that netjail could not give back as it was: one over "
                        "several interfaces, by a nexthop object, or with encapsulation",
                        device->name);
        error_hint(error, "ip route show, ip -6 route show; remove it first");
        return -EBUSY;
    }
    return r < 0 ? explain("read what the device is like", &failure, error)
                 : device_settings_note(record, device, error);
}

int device_note(struct kernel *kernel, struct record *record, struct error *error)
{
    struct nl *host = &kernel_real(kernel)->host_route;
    int r = 0;

    for (size_t i = 0; r == 0 && i < record->devices_count; i++)
        r = note_one(host, record, &record->devices[i], error);
    return r;
}
