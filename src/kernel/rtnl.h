/* Links, addresses and routes through rtnetlink. */
#pragma once

#include "kernel/nl.h"
#include "plan/plan.h"

#include <net/if.h>

struct rtnl_link {
    int32_t index;
    char name[IFNAME_SIZE];
    char kind[16];   /* IFLA_INFO_KIND, "" */
    char alias[256]; /* IFLA_IFALIAS, "" */
    int32_t master;  /* index of the bridge, bond, ... that it is a member of; 0: none */
    uint32_t flags;  /* IFF_* */
    uint32_t group;
    uint32_t mtu;
    struct mac mac;
};

struct rtnl_address {
    int32_t index;
    uint8_t scope;
    struct prefix prefix;
};

struct rtnl_route {
    uint32_t table;
    uint8_t protocol; /* RTPROT_* */
    uint8_t type;     /* RTN_* */
    struct prefix prefix;
    struct addr via;    /* family ADDR_NONE: none */
    int32_t indices[8]; /* outgoing interfaces */
    size_t indices_count;
};

/* Each gives every object to `each`, whose negative result ends the dump; an answer that changed
 * while it was read is thrown away (`restart` is called, then everything comes again). */
struct rtnl_visitor {
    int (*link)(const struct rtnl_link *link, void *context);
    int (*address)(const struct rtnl_address *address, void *context);
    int (*route)(const struct rtnl_route *route, void *context);
    void (*restart)(void *context);
    void *context;
};
int rtnl_dump_links(struct nl *nl, const struct rtnl_visitor *visitor, struct error *error);
int rtnl_dump_addresses(struct nl *nl, const struct rtnl_visitor *visitor, struct error *error);
int rtnl_dump_routes(struct nl *nl, const struct rtnl_visitor *visitor, struct error *error);

/* One link by name. -ENODEV: there is none; other errors with *failure. */
int rtnl_get_link(struct nl *nl, const char *name, struct rtnl_link *ret_link,
                  struct nl_failure *failure);

/* Carries out one op on the link, address or route that it names. `netns_fd` is the jail's
 * namespace (OP_VETH_ADD); has_ipv6: the namespace has IPv6. */
int rtnl_op(struct nl *nl, const struct plan *plan, const struct op *op, int netns_fd,
            bool has_ipv6, struct error *error);

/* OP_QDISC_ADD: adds the token bucket and compares what the kernel made of it. */
int rtnl_add_qdisc(struct nl *nl, const struct op *op, struct nl_failure *failure);

/* For the dumps and the fuzzer: false when the message is malformed or not of this kind. */
bool rtnl_parse_link(const struct nlmsghdr *message, struct rtnl_link *ret_link);
bool rtnl_parse_address(const struct nlmsghdr *message, struct rtnl_address *ret_address);
bool rtnl_parse_route(const struct nlmsghdr *message, struct rtnl_route *ret_route);

/* The table that the route of an OP_ROUTE_ADD goes to (RT_TABLE_*). */
uint8_t rtnl_route_table(const struct op *op);
