/* verify_links(): the jail's links, addresses and routes are those of the plan and no others.
 *
 * Beyond the plan there may be only what the kernel makes itself: lo, fallback tunnel devices that
 * are down, link-local addresses, and routes with protocol "kernel"; and cables that another jail,
 * or rather its root, has laid to this one meanwhile: the rules know them by their group. Every
 * address, route and link of the plan must be there, and links that the plan sets up must be up. */
#include "kernel/apply.h"

#include "base/cleanup.h"
#include "kernel/real.h"
#include "kernel/rtnl.h"

#include <errno.h>
#include <linux/rtnetlink.h>
#include <stdlib.h>
#include <string.h>

struct verification {
    const struct plan *plan;
    bool *seen; /* one flag per op */
    struct rtnl_link *links;
    size_t links_count, links_capacity;
    struct arena *arena;
    struct error *error;
};

static int take_link(const struct rtnl_link *link, void *context)
{
    struct verification *v = context;
    *ARENA_PUSH(v->arena, v, links) = *link;
    return 0;
}

static void restart_links(void *context)
{
    ((struct verification *)context)->links_count = 0;
}

static void restart_nothing(void *context)
{
    (void)context; /* marks in `seen` stay true when an address or route is seen twice */
}

static const struct rtnl_link *find_index(const struct verification *v, int32_t index)
{
    for (size_t i = 0; i < v->links_count; i++)
        if (v->links[i].index == index)
            return &v->links[i];
    return NULL;
}

static const struct rtnl_link *find_name(const struct verification *v, const char *name)
{
    for (size_t i = 0; i < v->links_count; i++)
        if (strcmp(v->links[i].name, name) == 0)
            return &v->links[i];
    return NULL;
}

static bool is_fallback_device(const struct rtnl_link *link)
{
    static const char *const names[] = {"tunl0",   "sit0",     "gre0",    "gretap0", "erspan0",
                                        "ip_vti0", "ip6_vti0", "ip6tnl0", "ip6gre0"};
    if (link->flags & IFF_UP)
        return false;
    for (size_t i = 0; i < ARRAY_LENGTH(names); i++)
        if (strcmp(link->name, names[i]) == 0)
            return true;
    return false;
}

/* The name in the jail of the link that an op makes, and the address that it is given; NULL. */
static const char *made_link(const struct op *op, const struct mac **ret_mac)
{
    *ret_mac = NULL;
    if (op->kind == OP_VETH_ADD) {
        *ret_mac = &op->veth.jail_mac;
        return op->veth.jail_name;
    }
    if (op->kind == OP_DEVICE_MOVE)
        return op->device.jail_name;
    if (op->kind != OP_CHILD_ADD)
        return NULL;
    if (op->child.has_mac)
        *ret_mac = &op->child.mac;
    return op->child.name;
}

static const struct op *planned_link(const struct plan *plan, const char *name)
{
    const struct mac *mac;

    for (size_t i = 0; i < plan->ops_count; i++) {
        const char *made = made_link(&plan->ops[i], &mac);

        if (made && strcmp(made, name) == 0)
            return &plan->ops[i];
    }
    return NULL;
}

static bool is_foreign_cable(const struct verification *v, const struct rtnl_link *link)
{
    return link->group == GROUP_CABLE && !planned_link(v->plan, link->name);
}

static int check_links(struct verification *v)
{
    for (size_t i = 0; i < v->links_count; i++) {
        const struct rtnl_link *link = &v->links[i];
        if (strcmp(link->name, "lo") == 0 || is_fallback_device(link))
            continue;
        const struct op *op = planned_link(v->plan, link->name);
        if (is_foreign_cable(v, link))
            continue;
        if (!op)
            return error_set(v->error, -EUCLEAN, "the jail has a link '%s' that nobody asked for",
                             link->name);
        const struct mac *mac;
        (void)made_link(op, &mac); /* the name is known */
        if (mac && memcmp(&link->mac, mac, sizeof link->mac) != 0) {
            v->error->where = op->position;
            return error_set(v->error, -EUCLEAN, "the jail's link '%s' has a foreign MAC address",
                             link->name);
        }
    }
    return 0;
}

static int check_op_link(struct verification *v, const struct op *op)
{
    bool must_be_up = op->kind == OP_LINK_UP && op->where == WHERE_JAIL;
    const struct mac *mac;
    const char *made = made_link(op, &mac);
    const char *name = made ? made : op->ifname;
    if (!must_be_up && !made)
        return 0;
    const struct rtnl_link *link = find_name(v, name);
    if (link && (!must_be_up || link->flags & IFF_UP))
        return 0;
    v->error->where = op->position;
    return error_set(v->error, -EUCLEAN, "the jail's link '%s' is %s", name,
                     link ? "down" : "missing");
}

static bool is_automatic(const struct rtnl_link *link, const struct rtnl_address *address)
{
    const uint8_t *bytes = address->prefix.addr.bytes;
    if (address->prefix.addr.family == ADDR_V6 && bytes[0] == 0xfe && bytes[1] == 0x80)
        return true;
    if (strcmp(link->name, "lo") != 0)
        return false;
    static const uint8_t loopback4[] = {127, 0, 0, 1};
    static const uint8_t loopback6[16] = {[15] = 1};
    return address->prefix.addr.family == ADDR_V4 ? memcmp(bytes, loopback4, 4) == 0
                                                  : memcmp(bytes, loopback6, 16) == 0;
}

static int take_address(const struct rtnl_address *address, void *context)
{
    struct verification *v = context;
    const struct rtnl_link *link = find_index(v, address->index);
    if (!link)
        return error_set(v->error, -EUCLEAN, "the jail's links change while they are checked");
    for (size_t i = 0; i < v->plan->ops_count; i++) {
        const struct op *op = &v->plan->ops[i];
        if (op->kind == OP_ADDRESS_ADD && op->where == WHERE_JAIL &&
            strcmp(op->address.ifname, link->name) == 0 &&
            addr_equal(&op->address.prefix.addr, &address->prefix.addr) &&
            op->address.prefix.length == address->prefix.length) {
            v->seen[i] = true;
            return 0;
        }
    }
    if (is_automatic(link, address) || is_foreign_cable(v, link))
        return 0;
    char text[PREFIX_TEXT_SIZE];
    return error_set(v->error, -EUCLEAN, "the jail has an address %s on '%s' that nobody asked for",
                     prefix_print(&address->prefix, text), link->name);
}

static bool is_planned_route(const struct verification *v, const struct op *op,
                             const struct rtnl_route *route)
{
    if (op->kind != OP_ROUTE_ADD || op->where != WHERE_JAIL || route->indices_count != 1)
        return false;
    const struct rtnl_link *link = find_index(v, route->indices[0]);
    struct prefix prefix = prefix_network(&op->route.prefix);
    bool other_family = op->route.via.family != ADDR_NONE &&
                        op->route.via.family != prefix.addr.family; /* RTA_VIA: not read back */
    return link && strcmp(link->name, op->route.ifname) == 0 &&
           route->type == (op->route.is_local ? RTN_LOCAL : RTN_UNICAST) &&
           route->table == rtnl_route_table(op) && addr_equal(&prefix.addr, &route->prefix.addr) &&
           prefix.length == route->prefix.length &&
           (other_family || addr_equal(&op->route.via, &route->via));
}

static int take_route(const struct rtnl_route *route, void *context)
{
    struct verification *v = context;
    if (route->protocol == RTPROT_KERNEL)
        return 0;
    for (size_t i = 0; i < v->plan->ops_count; i++) {
        if (!is_planned_route(v, &v->plan->ops[i], route))
            continue;
        v->seen[i] = true;
        return 0;
    }
    const struct rtnl_link *link =
        route->indices_count == 1 ? find_index(v, route->indices[0]) : NULL;
    if (link && is_foreign_cable(v, link))
        return 0;
    char text[PREFIX_TEXT_SIZE];
    return error_set(v->error, -EUCLEAN, "the jail has a route to %s that nobody asked for",
                     prefix_print(&route->prefix, text));
}

static int check_seen(struct verification *v)
{
    char text[PREFIX_TEXT_SIZE];
    for (size_t i = 0; i < v->plan->ops_count; i++) {
        const struct op *op = &v->plan->ops[i];
        int r = check_op_link(v, op);
        if (r < 0)
            return r;
        if (op->where != WHERE_JAIL || v->seen[i] ||
            (op->kind != OP_ADDRESS_ADD && op->kind != OP_ROUTE_ADD))
            continue;
        v->error->where = op->position;
        bool is_address = op->kind == OP_ADDRESS_ADD;
        return error_set(v->error, -EUCLEAN, "the jail lacks the %s %s on '%s'",
                         is_address ? "address" : "route to",
                         prefix_print(is_address ? &op->address.prefix : &op->route.prefix, text),
                         is_address ? op->address.ifname : op->route.ifname);
    }
    return 0;
}

static int verify_all(struct verification *v, struct nl *nl)
{
    struct error failure = {0};
    struct rtnl_visitor visitor = {.link = take_link, .restart = restart_links, .context = v};
    int r = rtnl_dump_links(nl, &visitor, &failure);
    if (r == 0)
        r = check_links(v);
    visitor = (struct rtnl_visitor){
        .address = take_address, .route = take_route, .restart = restart_nothing, .context = v};
    if (r == 0)
        r = rtnl_dump_addresses(nl, &visitor, &failure);
    if (r == 0)
        r = rtnl_dump_routes(nl, &visitor, &failure);
    if (r == 0)
        r = check_seen(v);
    if (r < 0 && v->error->code == 0)
        *v->error = failure; /* the dump failed, not the comparison */
    return r < 0 ? v->error->code : 0;
}

int verify_links(struct kernel *kernel, const struct plan *plan, struct error *error)
{
    struct nl *nl = NULL;
    int r = kernel_route(kernel, WHERE_JAIL, &nl, error);
    if (r < 0)
        return r;
    cleanup_free bool *seen = calloc(plan->ops_count + 1, sizeof *seen);
    struct arena *arena = arena_new();
    struct error own = {0};
    if (!seen || !arena) {
        arena_free(arena);
        return error_set(error, -ENOMEM, "out of memory");
    }
    struct verification v = {.plan = plan, .seen = seen, .arena = arena, .error = &own};
    r = verify_all(&v, nl);
    arena_free(arena);
    if (r < 0)
        *error = own;
    return r;
}
