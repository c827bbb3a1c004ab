/* A real interface that moves into the jail and is given back.
 *
 * Its frames pass no hook of the host, so its addresses are pinned by the jail's own table, as
 * those of a macvlan. Pure; what it was like on the host is noted by kernel/device_note.c when the
 * record is made. What must not happen: an interface moved that is part of something else on the
 * host, or that another jail has. */
#include "plan/build_internal.h"

#include <string.h>

static const struct fact_link *find_device(const struct build *build, const char *name)
{
    for (size_t i = 0; i < build->facts->links_count; i++)
        if (strcmp(build->facts->links[i].name, name) == 0)
            return &build->facts->links[i];
    return NULL;
}

/* The jail that has this device now. */
static const struct record *find_holder(const struct build *build, const char *name)
{
    for (size_t i = 0; i < build->facts->others_count; i++)
        for (size_t k = 0; k < build->facts->others[i]->devices_count; k++)
            if (strcmp(build->facts->others[i]->devices[k].name, name) == 0)
                return build->facts->others[i];
    return NULL;
}

static bool is_ours(const struct fact_link *device)
{
    return device->group == GROUP_NETWORK || device->group == GROUP_PORT ||
           device->group == GROUP_CABLE;
}

static void check_kind(struct build *build, const struct fact_link *device, struct position where)
{
    struct diag *diag;

    if (device->is_loopback) {
        diag = build_error(build, NULL, where, "'%s' is the host's loopback and stays there",
                           device->name);
        diag_hint(build->diags, diag, "every jail has a lo of its own: lo { address ... }");
    } else if (is_ours(device)) {
        (void)build_error(build, NULL, where,
                          "'%s' is an interface that netjail made for a network or another jail",
                          device->name);
    } else if (device->is_port) {
        diag = build_error(build, NULL, where,
                           "'%s' is a member of a bridge, bond or VRF of the host", device->name);
        diag_hint(build->diags, diag,
                  "take it out first (ip link set dev %s nomaster), or share the host's bridge: "
                  "network BRIDGE { external }",
                  device->name);
    }
}

/* By this or another link of the policy. */
static void check_other_links(struct build *build, const struct link_plan *link)
{
    const char *target = link->link->target;

    for (const struct link_plan *other = build->links; other < link; other++)
        if (other->is_child && strcmp(other->link->target, target) == 0)
            (void)build_error(build, NULL, link->link->target_where, "link '%s' uses '%s' already",
                              other->link->ifname, target);
}

void build_check_device(struct build *build, const struct link_plan *link)
{
    const struct link *text = link->link;
    const struct record *holder = find_holder(build, text->target);
    const struct fact_link *device = find_device(build, text->target);

    if (holder)
        (void)build_error(build, holder, text->target_where, "jail '%s' has the device '%s' now",
                          holder->name, text->target);
    else if (device)
        check_kind(build, device, text->target_where);
    else
        (void)build_error(build, NULL, text->target_where, "the host has no interface '%s'",
                          text->target);
    check_other_links(build, link);
}

struct mac build_device_mac(const struct build *build, const struct link_plan *link)
{
    const struct fact_link *device = find_device(build, link->link->target);

    return device ? device->mac : (struct mac){0};
}

/* Link-local addresses of IPv6 come by themselves, from the MAC address, which stays. */
void build_keep_addresses(struct build *build, struct link_plan *link)
{
    for (size_t i = 0; i < build->facts->addresses_count; i++) {
        const struct fact_address *address = &build->facts->addresses[i];

        if (strcmp(address->ifname, link->link->target) != 0 ||
            (address->prefix.addr.family == ADDR_V6 && addr_is_link_local(&address->prefix.addr)))
            continue;
        *ARENA_PUSH(build->scratch, &link->addresses, list) = address->prefix;
    }
}

void build_device(struct build *build, const struct link_plan *link)
{
    const struct link *text = link->link;
    struct op *op = plan_push(build->plan, OP_DEVICE_MOVE, WHERE_HOST, text->where);

    memcpy(op->device.name, text->target, strnlen(text->target, IFNAME_MAX));
    memcpy(op->device.jail_name, text->ifname, strnlen(text->ifname, IFNAME_MAX));
    device_mark(build->name, text->ifname, op->device.mark);
    op->device.mtu = text->mtu;
}
