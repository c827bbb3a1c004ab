/* Forwarding on the host: as narrow as the kernel can, guarded, and only where `nat` or a published
 * port asks for it.
 *
 * IPv4 is switched per interface. IPv6 too where the kernel has force_forwarding (Linux 6.17), else
 * for all, with accept_ra=2 on uplinks that took router advertisements, which forwarding would
 * stop. Pure. Order: the guards (build_guards) are written long before the sysctls. What must not
 * happen: an uplink that forwards because of us without a guard. */
#include "plan/build_internal.h"

#include "plan/host_tables.h"

#include <stdio.h>
#include <string.h>

static bool network_publishes(const struct build *build, uint8_t family)
{
    for (size_t i = 0; i < build->policy->publishes_count; i++) {
        const struct publish *publish = &build->policy->publishes[i];

        if (publish_is_outside(publish) &&
            (publish->kind == PUBLISH_ANY || publish->addr.family == family))
            return true;
    }
    return false;
}

bool link_forwards(const struct build *build, const struct link_plan *link, uint8_t family)
{
    bool nat = link->network ? link->network->nat : link->link->nat;

    if (!link->on_host || (family == ADDR_V6 && !build->facts->has_ipv6))
        return false;
    return prefixes_have(&link->addresses, family) && (nat || network_publishes(build, family));
}

bool build_forwards(const struct build *build, uint8_t family)
{
    for (size_t i = 0; i < build->links_count; i++)
        if (link_forwards(build, &build->links[i], family))
            return true;
    return false;
}

/* What asks for it, as the position of errors: the first link that forwards. */
static struct position forward_where(const struct build *build, uint8_t family)
{
    for (size_t i = 0; i < build->links_count; i++)
        if (link_forwards(build, &build->links[i], family)) {
            const struct link_plan *link = &build->links[i];

            if (link->network && link->network->nat)
                return link->network->nat_where;
            if (!link->network && link->link->nat)
                return link->link->nat_where;
            return link->link->where;
        }
    return (struct position){0};
}

/* Is this value netjail's doing already? Then we have a share in it. */
static bool others_set(const struct build *build, const char *path)
{
    for (size_t i = 0; i < build->facts->others_count; i++)
        for (size_t k = 0; k < build->facts->others[i]->sysctls_count; k++)
            if (strcmp(build->facts->others[i]->sysctls[k].path, path) == 0)
                return true;
    return false;
}

static void path_print(char path[SYSCTL_PATH_SIZE], uint8_t family, const char *ifname,
                       const char *name)
{
    (void)snprintf(path, SYSCTL_PATH_SIZE, "net/ipv%u/conf/%s/%s", family, ifname, name); /* fits */
}

/* The name of the per-interface switch, or NULL where IPv6 has none. */
static const char *forwarding_name(const struct build *build, uint8_t family)
{
    if (family == ADDR_V4)
        return "forwarding";
    return build->facts->has_force_forwarding ? "force_forwarding" : NULL;
}

/* Does this uplink forward because of us (now, or because of another jail)? */
static bool uplink_is_ours(const struct build *build, const struct fact_link *link, uint8_t family)
{
    const char *name = forwarding_name(build, family);
    char path[SYSCTL_PATH_SIZE];

    if (!link->is_uplink || !build_forwards(build, family))
        return false;
    if (name && family == ADDR_V6 && build->facts->all_forwarding6 == 1)
        return false; /* every interface forwards already */
    if (!name)
        return build->facts->all_forwarding6 != 1 ||
               others_set(build, "net/ipv6/conf/all/forwarding");
    path_print(path, family, link->name, name);
    return (family == ADDR_V4 ? link->forwarding4 : link->forwarding6) != 1 ||
           others_set(build, path);
}

/* By family: what the host routed of the other one before is not ours to stop. */
static void guard(struct build *build, const struct fact_link *link, uint8_t family)
{
    struct emit emit = {build->plan, WHERE_HOST, NFT_INET, {0}};

    if (!uplink_is_ours(build, link, family))
        return;
    emit.position = forward_where(build, family);
    emit_elements(&emit, host_set(family == ADDR_V4 ? HOST_SET_GUARD4 : HOST_SET_GUARD6), 0);
    element_ifname(build->plan, link->name);
    element_end(build->plan);
}

void build_guards(struct build *build)
{
    for (size_t i = 0; i < build->facts->links_count; i++) {
        guard(build, &build->facts->links[i], ADDR_V4);
        guard(build, &build->facts->links[i], ADDR_V6);
    }
}

static void set_sysctl(struct build *build, const char *path, const char *value,
                       struct position where)
{
    struct op *op = plan_push(build->plan, OP_SYSCTL_SET, WHERE_HOST, where);

    (void)snprintf(op->sysctl.path, sizeof op->sysctl.path, "%s", path); /* both fit */
    (void)snprintf(op->sysctl.value, sizeof op->sysctl.value, "%s", value);
}

static bool set_before(const struct build *build, const char *path)
{
    for (size_t i = 0; i < build->plan->ops_count; i++) {
        const struct op *op = &build->plan->ops[i];

        if (op->kind == OP_SYSCTL_SET && op->where == WHERE_HOST &&
            strcmp(op->sysctl.path, path) == 0)
            return true;
    }
    return false;
}

static void forward_interface(struct build *build, uint8_t family, const char *ifname,
                              struct position where)
{
    const char *name = forwarding_name(build, family);
    char path[SYSCTL_PATH_SIZE];

    if (!name)
        return;
    path_print(path, family, ifname, name);
    if (!set_before(build, path))
        set_sysctl(build, path, "1", where);
}

/* A kernel without a switch per interface. */
static void forward_all6(struct build *build, struct position where)
{
    static const char all[] = "net/ipv6/conf/all/forwarding";
    char path[SYSCTL_PATH_SIZE];

    if (build->facts->all_forwarding6 == 1 && !others_set(build, all))
        return;
    for (size_t i = 0; i < build->facts->links_count; i++) {
        const struct fact_link *link = &build->facts->links[i];

        path_print(path, ADDR_V6, link->name, "accept_ra");
        if (link->is_uplink && (link->accept_ra == 1 || others_set(build, path)))
            set_sysctl(build, path, "2", where);
    }
    set_sysctl(build, all, "1", where);
}

static void forward_family(struct build *build, uint8_t family)
{
    struct position where = forward_where(build, family);

    for (size_t i = 0; i < build->links_count; i++)
        if (link_forwards(build, &build->links[i], family))
            forward_interface(build, family, build->links[i].outer_name, where);
    if (family == ADDR_V6 && !forwarding_name(build, family)) {
        forward_all6(build, where);
        return;
    }
    for (size_t i = 0; i < build->facts->links_count; i++)
        if (uplink_is_ours(build, &build->facts->links[i], family))
            forward_interface(build, family, build->facts->links[i].name, where);
}

void build_forwarding(struct build *build)
{
    if (build_forwards(build, ADDR_V4))
        forward_family(build, ADDR_V4);
    if (build_forwards(build, ADDR_V6))
        forward_family(build, ADDR_V6);
}
