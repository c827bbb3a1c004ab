/* Links that share an interface of the host (macvlan, ipvlan), and the rate of links.
 *
 * A child of an interface is made directly in the jail; its frames leave by the interface without
 * passing any hook of the host. So what pins its addresses is the jail's own table (table_jail.c):
 * the command has no capability to change it or to write frames. A rate is a token bucket on each
 * end of a veth, since a queue delays only what leaves. Pure. */
#include "plan/build_internal.h"

#include <stdio.h>
#include <string.h>

#define ETHER_MTU     1500
#define FRAME_HEADERS 18 /* Ethernet and one tag */
#define BURST_MS      10
#define QUEUE_MS      50
#define QUEUE_FRAMES  32

static const struct fact_link *find_link(const struct build *build, const char *name)
{
    for (size_t i = 0; i < build->facts->links_count; i++)
        if (strcmp(build->facts->links[i].name, name) == 0)
            return &build->facts->links[i];
    return NULL;
}

void build_check_child(struct build *build, const struct link_plan *link)
{
    const struct link *text = link->link;

    if (!find_link(build, text->target))
        (void)build_error(build, NULL, text->target_where, "the host has no interface '%s'",
                          text->target);
}

void build_child(struct build *build, const struct link_plan *link)
{
    const struct link *text = link->link;
    bool is_macvlan = text->kind == LINK_MACVLAN;
    struct op *op = plan_push(build->plan, OP_CHILD_ADD, WHERE_HOST, text->where);

    memcpy(op->child.parent, text->target, strnlen(text->target, IFNAME_MAX));
    memcpy(op->child.name, text->ifname, strnlen(text->ifname, IFNAME_MAX));
    (void)snprintf(op->child.kind, sizeof op->child.kind, "%s", is_macvlan ? "macvlan" : "ipvlan");
    (void)snprintf(op->child.mode, sizeof op->child.mode, "%s",
                   text->mode   ? text->mode
                   : is_macvlan ? "bridge"
                                : "l2");
    op->child.mac = link->jail_mac;
    op->child.has_mac = link->has_mac;
    op->child.mtu = text->mtu;
}

/* A burst must hold a frame; more than 10 ms of the rate would be seen as more than the rate. The
 * queue holds what arrives in 50 ms, or some frames of a slow link. */
static void fill_bucket(struct op *op, const struct link *link, uint32_t mtu)
{
    uint64_t frame = mtu + FRAME_HEADERS;
    uint64_t bytes_s = link->rate_bit_s / 8;
    uint64_t burst = bytes_s * BURST_MS / 1000;
    uint64_t queue = bytes_s * QUEUE_MS / 1000;

    if (burst < 2 * frame)
        burst = 2 * frame;
    if (queue < QUEUE_FRAMES * frame)
        queue = QUEUE_FRAMES * frame;
    op->qdisc.rate_bit_s = link->rate_bit_s;
    op->qdisc.burst = burst > UINT32_MAX / 4 ? UINT32_MAX / 4 : (uint32_t)burst;
    op->qdisc.limit = burst + queue > UINT32_MAX / 2 ? UINT32_MAX / 2 : (uint32_t)(burst + queue);
}

static void emit_bucket(struct build *build, const struct link_plan *link, enum where where,
                        const char *ifname)
{
    const struct fact_link *bridge = link->network ? find_link(build, link->network->name) : NULL;
    struct op *op = plan_push(build->plan, OP_QDISC_ADD, where, link->link->where);
    uint32_t mtu = bridge && bridge->mtu ? bridge->mtu : ETHER_MTU;

    memcpy(op->qdisc.ifname, ifname, strnlen(ifname, IFNAME_MAX));
    fill_bucket(op, link->link, link->link->mtu ? link->link->mtu : mtu);
}

void build_rate(struct build *build, const struct link_plan *link)
{
    if (link->link->rate_bit_s == 0)
        return;
    emit_bucket(build, link, WHERE_HOST, link->host_name);
    emit_bucket(build, link, WHERE_JAIL, link->link->ifname);
}
