/* Shared by the files that make a plan. First everything is decided (addresses, names: struct
 * link_plan), with all errors; then the ops are written in their order. */
#pragma once

#include "plan/build.h"
#include "plan/rules.h"

struct prefixes {
    struct prefix *list;
    size_t list_count, list_capacity;
};

struct addrs {
    struct addr *list;
    size_t list_count, list_capacity;
};

/* What a link of the policy becomes. */
struct link_plan {
    const struct link *link;
    const struct network *network; /* NULL: a cable */
    bool on_host;                  /* it has an end on the host: bridge, veth host */
    bool is_child; /* macvlan, ipvlan, device: its frames pass no hook of the host */
    bool has_mac;  /* jail_mac is what the link has; else it is known by the kernel */
    bool is_peer;  /* a cable to another jail, plan->peers[peer] */
    uint16_t peer;
    char host_name[IFNAME_SIZE];  /* the host's end, or that in the other jail */
    char outer_name[IFNAME_SIZE]; /* where the host has its address: the bridge or host_name */
    struct mac host_mac;
    struct mac jail_mac;
    struct prefixes addresses;       /* of the jail */
    struct prefixes outer_addresses; /* of the network or of the peer */
    struct addrs gateways;
};

/* What is published, one port each. */
struct publish_plan {
    const struct publish *publish;
    uint16_t port;
    uint16_t jail_port;
};

struct build {
    const struct policy *policy;
    const struct facts *facts;
    struct diags *diags;
    struct plan *plan;
    struct arena *scratch;
    char name[JAIL_NAME_MAX + 1];
    uint64_t seed;

    struct link_plan *links;
    size_t links_count, links_capacity;
    struct publish_plan *publishes;
    size_t publishes_count, publishes_capacity;
    struct symbols symbols;

    size_t errors;
    size_t errors_ending;  /* of these: obstacles held by jails that are ending */
    size_t errors_waiting; /* of these: jails that are missed */
};

/* Adds an error; with `holder`, one about something that this other jail holds. */
struct diag *build_error(struct build *build, const struct record *holder, struct position where,
                         const char *format, ...) __attribute__((format(printf, 4, 5)));

/* Decide. Errors are counted in the build. */
void build_resolve_links(struct build *build);
void build_resolve_publishes(struct build *build);
void build_resolve_symbols(struct build *build);
void build_check_networks(struct build *build);
bool build_network_exists(const struct build *build, const struct network *network);
/* Errors about a prefix of ours that overlaps one of the host's other interfaces; about the ends of
 * a cable; the jail that has this interface on the host, or NULL. */
void build_check_overlap(struct build *build, const struct link_address *ours, const char *ifname);
void build_check_cable(struct build *build, const struct link_plan *link);
const struct record *build_link_holder(const struct build *build, const char *host_name);
void build_choose_addresses(struct build *build, struct link_plan *link);
void build_choose_gateways(struct build *build, struct link_plan *link);

/* The addresses of one family that a link may send from: its own, and what its `peer-route`s lead
 * to of the jail's lo; and, for a router, the networks behind it. The latter without the former,
 * since the two differ in what they may reach on the host. Normalised. */
struct spans link_own_sources(const struct build *build, const struct link_plan *link,
                              uint8_t family);
struct spans link_forwarded_sources(const struct build *build, const struct link_plan *link,
                                    uint8_t family);
/* What the symbols stand for, for the service; when the plan's addresses are known. */
void build_plan_known(struct build *build);

/* Finds the jail that a cable leads to. */
void build_resolve_peer(struct build *build, struct link_plan *link);

/* `link join`: whose network it is. */
void build_resolve_join(struct build *build, const struct link *link);

/* macvlan, ipvlan: the interface that they share. */
void build_check_child(struct build *build, const struct link_plan *link);
void build_child(struct build *build, const struct link_plan *link);

/* device: what is moved, the addresses that it keeps. */
void build_check_device(struct build *build, const struct link_plan *link);
struct mac build_device_mac(const struct build *build, const struct link_plan *link);
void build_keep_addresses(struct build *build, struct link_plan *link);
void build_device(struct build *build, const struct link_plan *link);

/* `rate` of a link, on both ends. */
void build_rate(struct build *build, const struct link_plan *link);

/* Has the jail nothing to judge: no link, no rule, and nobody who could lay a cable to it? */
bool build_judges_nothing(const struct build *build);

/* The relay inside the jail: its addresses and routes on lo; its chains; what goes to the chains of
 * the policy before the rules. Nothing where the policy does not use it. */
void build_relay_addresses(struct build *build);
void build_relay_routes(struct build *build);
void build_relay_chains(const struct build *build, const struct emit *emit);
void build_relay_loopback(const struct build *build, const struct emit *emit,
                          enum direction direction, const char *chain);

/* Write ops. */
int build_jail_table(struct build *build);
void build_host_tables(struct build *build);
void build_host_elements(struct build *build);
void build_pins(struct build *build);
void build_publish_listen(struct build *build);
void build_publish_elements(struct build *build);
void build_forwarding(struct build *build);
void build_guards(struct build *build);
void build_firewalls(struct build *build);
void build_networks(struct build *build);
void build_links(struct build *build);

/* Does anything of this family leave through the host's forwarding: nat, or a published port? */
bool build_forwards(const struct build *build, uint8_t family);
bool link_forwards(const struct build *build, const struct link_plan *link, uint8_t family);
bool publish_is_outside(const struct publish *publish);

/* Is any port published to others than the host itself? With bridge-nf-call-iptables the jail then
 * reaches its own port by a frame that leaves its bridge port where it came in. */
bool publishes_outside(const struct build *build);

/* Has any link an end on the host? */
bool build_has_host_link(const struct build *build);

/* The jail's first address of a family that the host reaches, or NULL. */
const struct prefix *build_first_address(const struct build *build, uint8_t family);
bool prefixes_have(const struct prefixes *prefixes, uint8_t family);

bool addr_is_loopback(const struct addr *addr);
bool addr_is_link_local(const struct addr *addr);
