/* The snapshot of the host.
 *
 * Everything comes from the present network namespace, read without changing anything, under the
 * pool's lock (the caller has it). Without privilege only the numbers are filled: such a caller's
 * plan has nothing on the host that could collide; and the addresses where its relay may lead to
 * the host itself. */
#include "kernel/collect.h"

#include "base/cleanup.h"
#include "kernel/nft.h"
#include "kernel/nft_forward.h"
#include "kernel/real.h"
#include "kernel/rtnl.h"
#include "kernel/sysctl.h"
#include "kernel/xtables.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/rtnetlink.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

static struct fact_link *find_link(struct facts *facts, int32_t index)
{
    for (size_t i = 0; i < facts->links_count; i++)
        if (facts->links[i].index == index)
            return &facts->links[i];
    return NULL;
}

static int take_link(const struct rtnl_link *link, void *context)
{
    struct facts *facts = context;
    struct fact_link *fact = ARENA_PUSH(facts->arena, facts, links);
    memcpy(fact->name, link->name, sizeof fact->name);
    fact->index = link->index;
    fact->group = link->group;
    fact->mtu = link->mtu;
    fact->mac = link->mac;
    fact->is_bridge = strcmp(link->kind, "bridge") == 0;
    fact->is_port = link->master != 0;
    fact->is_loopback = link->flags & IFF_LOOPBACK;
    fact->is_up = link->flags & IFF_UP;
    fact->forwarding4 = -1;
    fact->forwarding6 = -1;
    fact->accept_ra = -1;
    return 0;
}

static int take_address(const struct rtnl_address *address, void *context)
{
    struct facts *facts = context;
    const struct fact_link *link = find_link(facts, address->index);
    if (!link)
        return 0; /* of a link that came after the links were read */
    struct fact_address *fact = ARENA_PUSH(facts->arena, facts, addresses);
    memcpy(fact->ifname, link->name, sizeof fact->ifname);
    fact->prefix = address->prefix;
    return 0;
}

static bool is_ours(uint32_t group)
{
    return group == GROUP_NETWORK || group == GROUP_PORT || group == GROUP_CABLE;
}

/* Every interface with IPv6 has a link-local route in the main table: it leads nowhere. */
static bool leads_somewhere(const struct rtnl_route *route)
{
    const struct addr *addr = &route->prefix.addr;
    bool is_link_local = addr->family == ADDR_V6 && route->prefix.length >= 10 &&
                         addr->bytes[0] == 0xfe && (addr->bytes[1] & 0xc0) == 0x80;
    return route->table == RT_TABLE_MAIN && route->type == RTN_UNICAST && !is_link_local;
}

static int take_route(const struct rtnl_route *route, void *context)
{
    struct facts *facts = context;
    if (!leads_somewhere(route))
        return 0;
    for (size_t i = 0; i < route->indices_count; i++) {
        struct fact_link *link = find_link(facts, route->indices[i]);
        if (link && strcmp(link->name, "lo") != 0 && !is_ours(link->group))
            link->is_uplink = true;
    }
    return 0;
}

static void restart_links(void *context)
{
    ((struct facts *)context)->links_count = 0;
}

static void restart_addresses(void *context)
{
    ((struct facts *)context)->addresses_count = 0;
}

static void restart_routes(void *context)
{
    struct facts *facts = context;
    for (size_t i = 0; i < facts->links_count; i++)
        facts->links[i].is_uplink = false;
}

static int collect_addresses(struct nl *nl, struct facts *facts, struct error *error)
{
    struct rtnl_visitor visitor = {.link = take_link, .restart = restart_links, .context = facts};
    int r = rtnl_dump_links(nl, &visitor, error);
    if (r < 0)
        return r;
    visitor = (struct rtnl_visitor){
        .address = take_address, .restart = restart_addresses, .context = facts};
    return rtnl_dump_addresses(nl, &visitor, error);
}

static int collect_links(struct nl *nl, struct facts *facts, struct error *error)
{
    struct rtnl_visitor visitor = {
        .route = take_route, .restart = restart_routes, .context = facts};
    int r = collect_addresses(nl, facts, error);
    return r < 0 ? r : rtnl_dump_routes(nl, &visitor, error);
}

int facts_collect_addresses(struct facts *facts, struct error *error)
{
    struct nl nl = NL_CLOSED;
    int r = nl_open(NETLINK_ROUTE, &nl, error);
    if (r == 0)
        r = collect_addresses(&nl, facts, error);
    nl_close(&nl);
    return r;
}

static void collect_forwarding(struct facts *facts)
{
    facts->ip_forward = sysctl_read_flag("net/ipv4/ip_forward");
    facts->all_forwarding6 = sysctl_read_flag("net/ipv6/conf/all/forwarding");
    facts->has_force_forwarding = sysctl_read_flag("net/ipv6/conf/all/force_forwarding") >= 0;
    for (size_t i = 0; i < facts->links_count; i++) {
        struct fact_link *link = &facts->links[i];
        if (!link->is_uplink && !link->is_bridge)
            continue;
        char path[SYSCTL_PATH_SIZE];
        (void)snprintf(path, sizeof path, "net/ipv4/conf/%s/forwarding", link->name);
        link->forwarding4 = sysctl_read_flag(path);
        (void)snprintf(path, sizeof path, "net/ipv6/conf/%s/force_forwarding", link->name);
        link->forwarding6 = sysctl_read_flag(path);
        (void)snprintf(path, sizeof path, "net/ipv6/conf/%s/accept_ra", link->name);
        link->accept_ra = sysctl_read_flag(path);
    }
}

/* From the name of the machine and its id (machine-id(5)): one alone is the same on copies of a
 * machine. Random where there is no id. */
static uint64_t machine_number(uint64_t otherwise)
{
    cleanup_fd int fd = open("/etc/machine-id", O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    char text[33 + HOST_NAME_MAX] = "";
    uint64_t number = 0;

    if (fd < 0 || read(fd, text, 32) != 32 || gethostname(text + 32, HOST_NAME_MAX) < 0)
        return otherwise;
    for (const char *c = text; *c; c++)
        number = number * 0x100000001b3u ^ (uint8_t)*c;
    return number;
}

int facts_collect_forward(struct kernel *kernel, bool may_forward, struct facts *facts,
                          struct error *error)
{
    facts->bridge_nf4 = sysctl_read_flag("net/bridge/bridge-nf-call-iptables") == 1;
    facts->bridge_nf6 = sysctl_read_flag("net/bridge/bridge-nf-call-ip6tables") == 1;
    if (!facts->privileged || !(may_forward || facts->bridge_nf4 || facts->bridge_nf6))
        return 0;
    xtables_find_forward(facts);
    return nft_find_forward(&kernel_real(kernel)->host_nft, facts, error);
}

int facts_collect(struct kernel *kernel, struct facts *facts, struct error *error)
{
    facts->pid = getpid();
    facts->ip_forward = -1;
    facts->all_forwarding6 = -1;
    if (getrandom(&facts->seed, sizeof facts->seed, 0) != sizeof facts->seed)
        return error_errno(error, -errno, "cannot get random numbers");
    /* Readable for everybody: an ordinary user publishes on ::1, too. */
    facts->has_ipv6 = sysctl_read_flag("net/ipv6/conf/lo/disable_ipv6") == 0;
    if (!kernel || kernel_real(kernel)->host_route.fd < 0)
        return 0;
    facts->privileged = true;
    facts->machine = machine_number(facts->seed);
    struct kernel_real *real = kernel_real(kernel);
    int r = collect_links(&real->host_route, facts, error);
    if (r < 0)
        return r;
    collect_forwarding(facts);
    r = nft_has_table(&real->host_nft, NFT_INET, &facts->has_inet_table, error);
    if (r == 0)
        r = nft_has_table(&real->host_nft, NFT_BRIDGE, &facts->has_bridge_table, error);
    if (r != -EPERM)
        return r;
    *error = (struct error){0}; /* plan_build() says what needs the privilege */
    facts->privileged = false;
    return 0;
}
