/* The tables of the host that all jails share. Pure. */
#pragma once

#include "plan/emit.h"

/* The sets of both tables. */
enum host_set {
    HOST_SET_NETS,    /* interfaces of networks that are ours, and of cables */
    HOST_SET_GUESTS4, /* external bridge . address of a jail on it */
    HOST_SET_GUESTS6,
    HOST_SET_NAT,      /* what of jails leaves by another one is masqueraded */
    HOST_SET_SAME,     /* interface . itself: what leaves where it came in */
    HOST_SET_ISOLATED, /* the same, for networks that isolate */
    HOST_SET_GUARD4,   /* uplinks that forward only because of us */
    HOST_SET_GUARD6,
    HOST_SET_INSIDE4, /* the prefixes of networks that are ours */
    HOST_SET_INSIDE6,
    HOST_SET_HOST4, /* what a jail may reach on the host itself */
    HOST_SET_HOST6,
    HOST_SET_CABLE4, /* source addresses of cables */
    HOST_SET_CABLE6,
    HOST_SET_PUBLISH4, /* published at an address */
    HOST_SET_PUBLISH6,
    HOST_SET_PUBLISH_ANY4, /* published at all of the host's addresses */
    HOST_SET_PUBLISH_ANY6,
    HOST_SET_DIRECT4, /* open in the jail only for what comes through `publish` */
    HOST_SET_DIRECT6,
    HOST_SET_PIN4, /* port . MAC . address */
    HOST_SET_PIN6,
    HOST_SET_TARGET6, /* port . what its neighbour advertisements may be about */
    HOST_SET_ROUTER4, /* the same with networks, behind a jail that is a router */
    HOST_SET_ROUTER6,
    HOST_SET_COUNT,
};

const struct set_definition *host_set(enum host_set set);

/* The set of that name, or NULL. */
const struct set_definition *host_set_find(enum nft_family family, const char *name);

/* A whole table: sets, chains, rules. */
void host_table_emit(struct plan *plan, struct position position, enum nft_family family);
