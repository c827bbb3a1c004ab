/* Networks of this jail against what the host is connected to already.
 *
 * Pure. A prefix that is somewhere else already would take that traffic away from where it belongs.
 * A single address (/32, /128) may lie within another network: that is how one host is routed on
 * purpose. What must not happen: a jail that cuts its host off. */
#include "plan/build_internal.h"

#include <string.h>

const struct record *build_link_holder(const struct build *build, const char *host_name)
{
    for (size_t i = 0; i < build->facts->others_count; i++) {
        const struct record *other = build->facts->others[i];

        for (size_t k = 0; k < other->links_count; k++)
            if (strcmp(other->links[k].name, host_name) == 0)
                return other;
    }
    return NULL;
}

void build_check_overlap(struct build *build, const struct link_address *ours, const char *ifname)
{
    struct addr_range range = prefix_range(&ours->prefix);
    char text[PREFIX_TEXT_SIZE];

    for (size_t i = 0; i < build->facts->addresses_count; i++) {
        const struct fact_address *theirs = &build->facts->addresses[i];
        struct addr_range their_range = prefix_range(&theirs->prefix);
        const struct record *holder;

        if (strcmp(theirs->ifname, ifname) == 0 || addr_is_loopback(&theirs->prefix.addr) ||
            addr_is_link_local(&theirs->prefix.addr) || !range_overlaps(&range, &their_range))
            continue;
        holder = build_link_holder(build, theirs->ifname);
        (void)prefix_print(&theirs->prefix, text); /* returns text */
        if (holder)
            (void)build_error(build, holder, ours->where,
                              "the network overlaps %s of jail '%s' (the host's interface '%s')",
                              text, holder->name, theirs->ifname);
        else
            (void)build_error(build, NULL, ours->where,
                              "the network overlaps %s of the host's interface '%s'", text,
                              theirs->ifname);
        return;
    }
}

static bool is_single(const struct prefix *prefix)
{
    return prefix->length == addr_bits(prefix->addr.family);
}

void build_check_cable(struct build *build, const struct link_plan *link)
{
    const struct link *text = link->link;
    char shown[ADDR_TEXT_SIZE];

    for (size_t i = 0; i < text->peer_addresses_count; i++) {
        const struct link_address *peer = &text->peer_addresses[i];
        const struct fact_address *same = NULL;

        for (size_t k = 0; k < build->facts->addresses_count && !same; k++)
            if (addr_equal(&build->facts->addresses[k].prefix.addr, &peer->prefix.addr))
                same = &build->facts->addresses[k];
        if (same)
            (void)build_error(build, build_link_holder(build, same->ifname), peer->where,
                              "%s is the address of the host's '%s' already",
                              addr_print(&peer->prefix.addr, shown), same->ifname);
        else if (!is_single(&peer->prefix))
            build_check_overlap(build, peer, link->host_name);
    }
    /* Without an address of the host's own, the host gets a route to each of the jail's. */
    for (size_t i = 0; text->peer_addresses_count == 0 && i < text->addresses_count; i++)
        if (!text->addresses[i].automatic && !is_single(&text->addresses[i].prefix))
            build_check_overlap(build, &text->addresses[i], link->host_name);
}
