/* A device goes to a jail, and comes back as it was.
 *
 * Its mark, an alias, says that it is ours to give back; it is set before the move and replaced by
 * the old alias as the last step of all, so that whoever is interrupted can begin again, and nobody
 * touches an interface that was never moved, or was given back. The index may be another one in
 * each namespace. A command that may configure the jail can take the mark away: then the device is
 * known by its name there.
 *
 * Until then a mount beside the lease keeps the jail's namespace: a virtual interface ends with its
 * namespace, a physical one would fall to the initial namespace, bare. Sockets in the jail are made
 * by a child that enters it. Needs CAP_NET_ADMIN and CAP_SYS_ADMIN.
 *
 * What must not happen: the mount removed while a device is still behind it. */
#include "kernel/device.h"

#include "base/cleanup.h"
#include "kernel/explain.h"
#include "kernel/message.h"
#include "kernel/netns.h"
#include "kernel/netns_name.h"
#include "kernel/real.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/if_addr.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define NAME_TRIES 100

static struct nlmsghdr *link_request(struct rtnl_request *request, int32_t index)
{
    struct ifinfomsg *header = rtnl_request_init(request, RTM_NEWLINK, 0, sizeof *header);

    header->ifi_family = AF_UNSPEC;
    header->ifi_index = index;
    return request->message;
}

static int send_request(struct nl *nl, struct rtnl_request *request, struct nl_failure *failure)
{
    return nl_request(nl, request->message, NULL, NULL, failure);
}

static int set_flags(struct nl *nl, int32_t index, unsigned up, const char *alias, uint32_t mtu,
                     struct nl_failure *failure)
{
    struct rtnl_request request;
    struct nlmsghdr *message = link_request(&request, index);
    struct ifinfomsg *header = mnl_nlmsg_get_payload(message);

    header->ifi_flags = up;
    header->ifi_change = IFF_UP;
    if (alias)
        mnl_attr_put_strz(message, IFLA_IFALIAS, alias);
    if (mtu > 0)
        mnl_attr_put_u32(message, IFLA_MTU, mtu);
    return send_request(nl, &request, failure);
}

/* With an index, the name is a wish: the kernel renames behind the move. */
static int send_away(struct nl *nl, int32_t index, const char *name, int netns_fd,
                     struct nl_failure *failure)
{
    struct rtnl_request request;
    struct nlmsghdr *message = link_request(&request, index);

    mnl_attr_put_strz(message, IFLA_IFNAME, name);
    mnl_attr_put_u32(message, IFLA_NET_NS_FD, (uint32_t)netns_fd);
    return send_request(nl, &request, failure);
}

int device_move(struct nl *host, const struct op *op, int netns_fd, struct nl_failure *failure)
{
    struct rtnl_link link;
    int r = rtnl_get_link(host, op->device.name, &link, failure);

    if (r == 0)
        r = set_flags(host, link.index, 0, op->device.mark, op->device.mtu, failure);
    return r < 0 ? r : send_away(host, link.index, op->device.jail_name, netns_fd, failure);
}

static int kept_path(const char *directory, const char *jail, char path[400])
{
    return snprintf(path, 400, "%s/%s.netns", directory, jail) < 400 ? 0 : -ENAMETOOLONG;
}

int device_keep_netns(const char *directory, const char *jail, int netns_fd, struct error *error)
{
    char path[400];
    int r = kept_path(directory, jail, path);

    return r < 0 ? error_errno(error, r, "cannot keep the jail's network namespace")
                 : netns_bind(path, netns_fd, error);
}

int device_forget_netns(const char *directory, const struct record *record, struct error *error)
{
    char path[400];

    if (record->kept_inode == 0)
        return 0;
    int r = kept_path(directory, record->name, path);
    return r < 0 ? error_errno(error, r, "cannot free the jail's network namespace")
                 : netns_unbind(path, record->kept_inode, error);
}

/* The one link with the mark; else, with `name`, that of this name. */
struct search {
    const char *mark;
    const char *name;
    struct rtnl_link marked, named;
};

static int look_at(const struct rtnl_link *link, void *context)
{
    struct search *search = context;

    if (strcmp(link->alias, search->mark) == 0)
        search->marked = *link;
    if (search->name && strcmp(link->name, search->name) == 0)
        search->named = *link;
    return 0;
}

static void look_again(void *context)
{
    struct search *search = context;

    search->marked = search->named = (struct rtnl_link){0};
}

/* index 0 in *ret_link: there is none. */
static int find(struct nl *nl, const char *mark, const char *name, struct rtnl_link *ret_link,
                struct error *error)
{
    struct search search = {.mark = mark, .name = name};
    struct rtnl_visitor visitor = {.link = look_at, .restart = look_again, .context = &search};
    int r = rtnl_dump_links(nl, &visitor, error);

    *ret_link = search.marked.index ? search.marked : search.named;
    return r;
}

/* The name that it had, or one like it that is free. */
static int choose_name(struct nl *host, const char *wanted, char name[IFNAME_SIZE])
{
    struct nl_failure failure = {0};
    struct rtnl_link link;

    (void)snprintf(name, IFNAME_SIZE, "%s", wanted); /* same size */
    for (uint8_t i = 1; i < NAME_TRIES; i++) {
        int r = rtnl_get_link(host, name, &link, &failure);
        if (r < 0)
            return r == -ENODEV ? 0 : r;
        (void)snprintf(name, IFNAME_SIZE, "%.11s-%u", wanted, i); /* fits */
    }
    return -EEXIST;
}

static int move_back(struct nl *host, struct nl *jail, const struct rtnl_link *link,
                     const struct record_device *device, const char *mark, struct error *error)
{
    cleanup_fd int netns_fd = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
    struct nl_failure failure = {0};
    char name[IFNAME_SIZE];

    if (netns_fd < 0)
        return error_errno(error, -errno, "cannot open the host's network namespace");
    failure.code = choose_name(host, device->name, name);
    int r = failure.code;
    if (r == 0)
        r = set_flags(jail, link->index, 0, mark, 0, &failure);
    if (r == 0)
        r = send_away(jail, link->index, name, netns_fd, &failure);
    return r < 0 ? explain("move the device back to the host", &failure, error) : 0;
}

static void put_addr(struct nlmsghdr *message, uint16_t type, const struct addr *addr)
{
    if (addr->family != ADDR_NONE)
        mnl_attr_put(message, type, addr_size(addr->family), addr->bytes);
}

static uint32_t time_left(uint32_t seconds, uint64_t elapsed)
{
    if (seconds == UINT32_MAX)
        return seconds;
    return seconds > elapsed ? seconds - (uint32_t)elapsed : 0;
}

/* What the kernel decides by itself is not asked for. */
#define FLAGS_OF_KERNEL                                                                            \
    ((uint32_t)(IFA_F_PERMANENT | IFA_F_TENTATIVE | IFA_F_DADFAILED | IFA_F_DEPRECATED |           \
                IFA_F_SECONDARY | IFA_F_STABLE_PRIVACY))

static int add_address(struct nl *host, int32_t index, const struct record_device_address *a,
                       uint64_t noted_s, struct nl_failure *failure)
{
    uint64_t now_s = (uint64_t)time(NULL);
    uint64_t elapsed = now_s > noted_s ? now_s - noted_s : 0;
    struct ifa_cacheinfo times = {.ifa_valid = time_left(a->valid_s, elapsed),
                                  .ifa_prefered = time_left(a->preferred_s, elapsed)};
    struct rtnl_request request;

    if (times.ifa_valid == 0)
        return 0; /* it has expired meanwhile */
    struct ifaddrmsg *header =
        rtnl_request_init(&request, RTM_NEWADDR, NLM_F_CREATE | NLM_F_REPLACE, sizeof *header);
    struct nlmsghdr *message = request.message;
    header->ifa_family = family_to_os(a->prefix.addr.family);
    header->ifa_prefixlen = a->prefix.length;
    header->ifa_scope = a->scope;
    header->ifa_index = (uint32_t)index;
    put_addr(message, IFA_LOCAL, &a->prefix.addr);
    put_addr(message, IFA_ADDRESS, a->peer.family == ADDR_NONE ? &a->prefix.addr : &a->peer);
    put_addr(message, IFA_BROADCAST, &a->broadcast);
    if (a->label[0])
        mnl_attr_put_strz(message, IFA_LABEL, a->label);
    mnl_attr_put_u32(message, IFA_FLAGS, a->flags & ~FLAGS_OF_KERNEL);
    if (a->metric)
        mnl_attr_put_u32(message, IFA_RT_PRIORITY, a->metric);
    if (a->protocol)
        mnl_attr_put_u8(message, IFA_PROTO, a->protocol);
    mnl_attr_put(message, IFA_CACHEINFO, sizeof times, &times);
    return send_request(host, &request, failure);
}

static void put_metrics(struct nlmsghdr *message, const uint32_t metrics[ROUTE_METRICS])
{
    struct nlattr *nest = NULL;

    for (uint16_t i = 1; i < ROUTE_METRICS; i++) {
        if (metrics[i] == 0)
            continue;
        if (!nest)
            nest = mnl_attr_nest_start(message, RTA_METRICS);
        mnl_attr_put_u32(message, i, metrics[i]);
    }
    if (nest)
        mnl_attr_nest_end(message, nest);
}

static void put_via(struct nlmsghdr *message, const struct record_device_route *route)
{
    struct {
        uint16_t family;
        uint8_t bytes[16];
    } other = {.family = family_to_os(route->via.family)};

    if (route->via.family == ADDR_NONE || route->via.family == route->prefix.addr.family) {
        put_addr(message, RTA_GATEWAY, &route->via);
        return;
    }
    memcpy(other.bytes, route->via.bytes, sizeof other.bytes);
    mnl_attr_put(message, RTA_VIA, sizeof other.family + addr_size(route->via.family), &other);
}

static int add_route(struct nl *host, int32_t index, const struct record_device_route *route,
                     uint32_t flags, struct nl_failure *failure)
{
    struct rtnl_request request;
    struct rtmsg *header =
        rtnl_request_init(&request, RTM_NEWROUTE, NLM_F_CREATE | NLM_F_EXCL, sizeof *header);
    struct nlmsghdr *message = request.message;

    header->rtm_family = family_to_os(route->prefix.addr.family);
    header->rtm_dst_len = route->prefix.length;
    header->rtm_src_len = route->source.length;
    header->rtm_tos = route->tos;
    header->rtm_table = RT_TABLE_UNSPEC;
    header->rtm_protocol = route->protocol;
    header->rtm_scope = route->scope;
    header->rtm_type = route->type;
    header->rtm_flags = flags;
    mnl_attr_put_u32(message, RTA_TABLE, route->table);
    if (route->prefix.length > 0)
        put_addr(message, RTA_DST, &route->prefix.addr);
    put_addr(message, RTA_SRC, &route->source.addr);
    if (route->metric)
        mnl_attr_put_u32(message, RTA_PRIORITY, route->metric);
    put_via(message, route);
    put_addr(message, RTA_PREFSRC, &route->prefsrc);
    if (route->preference)
        mnl_attr_put_u8(message, RTA_PREF, route->preference);
    put_metrics(message, route->metrics);
    mnl_attr_put_u32(message, RTA_OIF, (uint32_t)index);
    int r = send_request(host, &request, failure);
    return r == -EEXIST ? 0 : r;
}

/* A gateway is not seen while the cable is out; it is taken on trust then, since the host had it.
 * Where even that is refused (its address has expired), the route would be gone on the host, too.
 */
static int restore_route(struct nl *host, int32_t index, const struct record_device_route *route,
                         struct nl_failure *failure)
{
    int r = add_route(host, index, route, route->flags, failure);

    if (r == -ENETUNREACH || r == -EHOSTUNREACH || r == -EINVAL)
        r = add_route(host, index, route, route->flags | RTNH_F_ONLINK, failure);
    return r == -ENETUNREACH || r == -EHOSTUNREACH || r == -EINVAL ? 0 : r;
}

/* Routes with a gateway need those that lead to it. */
static int restore_routes(struct nl *host, int32_t index, const struct record *record,
                          const char *device, struct nl_failure *failure)
{
    int r = 0;

    for (int with_gateway = 0; with_gateway < 2; with_gateway++)
        for (size_t i = 0; r == 0 && i < record->device_routes_count; i++) {
            const struct record_device_route *route = &record->device_routes[i];

            if (strcmp(route->device, device) == 0 &&
                (route->via.family != ADDR_NONE) == (with_gateway == 1))
                r = restore_route(host, index, route, failure);
        }
    return r;
}

/* In the order in which they came: the kernel lists those of IPv4 oldest, of IPv6 newest first, and
 * chooses a source by it. */
static int restore_addresses(struct nl *host, int32_t index, const struct record *record,
                             const struct record_device *device, struct nl_failure *failure)
{
    const struct record_device_address *list = record->device_addresses;
    size_t count = record->device_addresses_count;
    int r = 0;

    for (size_t i = 0; r == 0 && i < count; i++)
        if (strcmp(list[i].device, device->name) == 0 && list[i].prefix.addr.family == ADDR_V4)
            r = add_address(host, index, &list[i], device->noted_s, failure);
    for (size_t i = count; r == 0 && i-- > 0;)
        if (strcmp(list[i].device, device->name) == 0 && list[i].prefix.addr.family == ADDR_V6)
            r = add_address(host, index, &list[i], device->noted_s, failure);
    return r;
}

static int restore_link(struct nl *host, int32_t index, const struct record_device *device,
                        struct nl_failure *failure)
{
    struct rtnl_request request;
    struct nlmsghdr *message = link_request(&request, index);

    mnl_attr_put_u32(message, IFLA_MTU, device->mtu);
    mnl_attr_put_u32(message, IFLA_GROUP, device->group);
    return send_request(host, &request, failure);
}

/* The settings come before the addresses, whose making they govern. */
static int restore(struct nl *host, const struct rtnl_link *link, const struct record *record,
                   const struct record_device *device, struct error *error)
{
    struct nl_failure failure = {0};
    const char *what = "restore MTU and group of the device";
    int32_t index = link->index;
    int r = restore_link(host, index, device, &failure);

    if (r == 0) {
        device_settings_restore(record, device, link->name, error);
        what = "restore the addresses of the device";
        r = restore_addresses(host, index, record, device, &failure);
    }
    if (r == 0 && device->was_up) {
        what = "bring the device up again";
        r = set_flags(host, index, IFF_UP, NULL, 0, &failure);
    }
    if (r == 0 && device->was_up) {
        what = "restore the routes of the device";
        r = restore_routes(host, index, record, device->name, &failure);
    }
    if (r == 0) {
        what = "restore the alias of the device";
        r = set_flags(host, index, device->was_up ? IFF_UP : 0, device->alias, 0, &failure);
    }
    return r < 0 ? explain(what, &failure, error) : 0;
}

static int give_back(struct nl *host, struct nl *jail, const struct record *record,
                     const struct record_device *device, struct error *error)
{
    char mark[LINK_ALIAS_SIZE];
    struct rtnl_link link = {0};
    int r = 0;

    device_mark(record->name, device->jail_name, mark);
    if (jail->fd >= 0)
        r = find(jail, mark, device->jail_name, &link, error);
    if (r == 0 && link.index)
        r = move_back(host, jail, &link, device, mark, error);
    if (r == 0)
        r = find(host, mark, NULL, &link, error);
    if (r < 0 || !link.index)
        return r;
    r = restore(host, &link, record, device, error);
    if (r == 0 && strcmp(link.name, device->name) != 0)
        (void)snprintf(error->text, sizeof error->text,
                       "the name '%s' is taken on the host: the device has come back as '%s'",
                       device->name, link.name);
    return r;
}

static int open_jail(const char *directory, const struct record *record, struct nl *ret_jail,
                     struct error *error)
{
    char path[400];
    uint64_t inode;
    int fd;

    if (record->kept_inode == 0 || kept_path(directory, record->name, path) < 0)
        return 0;
    cleanup_fd int netns_fd = open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (netns_fd < 0 && errno == ENOENT)
        return 0;
    if (netns_fd < 0)
        return error_errno(error, -errno, "cannot open '%s'", path);
    int r = netns_fd_inode(netns_fd, &inode);
    if (r < 0)
        return error_errno(error, r, "cannot look at '%s'", path);
    if (inode != record->kept_inode)
        return 0; /* the mount was never made */
    r = netns_socket(netns_fd, NETLINK_ROUTE, &fd, error);
    if (r < 0)
        return r;
    r = nl_adopt(fd, ret_jail, error);
    ret_jail->owned = true;
    return r;
}

int device_give_back(struct kernel *kernel, const char *directory, const struct record *record,
                     struct error *error)
{
    struct nl *host = &kernel_real(kernel)->host_route;
    struct nl jail = NL_CLOSED;
    int first = 0;

    if (record->devices_count == 0)
        return 0;
    int r = open_jail(directory, record, &jail, error);
    for (size_t i = 0; r == 0 && i < record->devices_count; i++) {
        struct error own = {0};
        int one = give_back(host, &jail, record, &record->devices[i], &own);

        if ((one < 0 && first == 0) || (first == 0 && own.text[0]))
            *error = own;
        first = first < 0 ? first : one;
    }
    nl_close(&jail);
    r = r < 0 ? r : first;
    return r < 0 ? r : device_forget_netns(directory, record, error);
}
