/* A checked policy as data. netjail.conf(5) is the manual of the language; src/policy/parse.c fills
 * this structure, src/policy/check.c completes and judges it. All memory lives in `arena`. */
#pragma once

#include "base/addr.h"
#include "base/arena.h"
#include "base/diag.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define JAIL_NAME_MAX                                                                              \
    63 /* bytes without NUL: [A-Za-z0-9][A-Za-z0-9._-]*, fits a DNS label and NAME_MAX */
#define IFNAME_MAX 15 /* bytes without NUL (IFNAMSIZ - 1, linux/if.h) */

enum direction {
    DIRECTION_IN,
    DIRECTION_OUT,
    DIRECTION_FORWARD,
};
#define DIRECTION_COUNT 3

enum verdict {
    VERDICT_ALLOW,
    VERDICT_DENY, /* refuse at once: TCP reset, else ICMP administratively prohibited */
    VERDICT_DROP, /* silent */
};

/* What a SET in a rule consists of. Sets with constant contents (private, link-local, multicast,
 * metadata, and the limited broadcast) stay symbolic here; set_builtin_ranges() has the ranges. */
enum set_kind {
    SET_ANY,
    SET_RANGE,  /* address, prefix or range: `range` */
    SET_NAME,   /* DNS name, lower case without trailing dot: `name` */
    SET_SUFFIX, /* *.suffix: `name` is the suffix without "*." */
    SET_JAIL,   /* the addresses of a running jail: `name` */
    SET_GATEWAY,
    SET_HOST,
    SET_LINK_LOCAL,
    SET_PRIVATE,
    SET_MULTICAST,
    SET_BROADCAST,
    SET_METADATA,
};

struct set_item {
    enum set_kind kind;
    struct addr_range range; /* SET_RANGE */
    const char *name;        /* SET_NAME, SET_SUFFIX, SET_JAIL */
    struct position where;
};

/* Items in the order of the text, $NAME expanded. A set that is exactly one $NAME shares the item
 * array of its define, however large. */
struct set {
    bool given; /* false: the clause is absent, which means any */
    struct set_item *items;
    size_t items_count;
    size_t items_capacity;
    struct position where;
};

struct port_range {
    uint16_t first;
    uint16_t last;
};

struct ports {
    bool given;
    struct port_range *ranges; /* sorted, disjoint, merged */
    size_t ranges_count;
    size_t ranges_capacity;
    struct position where;
};

/* One protocol of a rule; a rule without protocols matches every one. */
struct protocol {
    uint8_t number;    /* IPPROTO_*; icmp implies IPv4, icmpv6 implies IPv6 */
    bool has_type;     /* icmp, icmpv6: only this type */
    uint8_t icmp_type; /* IANA number */
};

/* `rate N/UNIT [burst N]`: new connections; what is above does not match the rule. */
struct rate {
    bool given;
    uint64_t count;
    uint32_t unit_s; /* 1, 60, 3600 */
    uint32_t burst;  /* default 5, as nft(8) */
};

struct rule {
    enum verdict verdict;
    enum direction direction;
    struct protocol *protocols;
    size_t protocols_count;
    size_t protocols_capacity;
    struct set from;
    struct set to;
    struct ports ports; /* of the destination; only with tcp, udp, sctp */
    struct rate rate;
    bool log;
    const char *log_text; /* NULL: none */
    struct position where;
    /* Numbers of the sets whose contents come and go while the jail runs; 0: none. Filled by
     * policy_check(). */
    uint32_t to_names;   /* the addresses of the DNS names in `to`, as resolved; `allow` only */
    uint32_t to_jails;   /* those of the running jails in `to` */
    uint32_t from_jails; /* in `from` */
};

struct route {
    struct prefix prefix; /* no host bits */
    struct addr via;
    struct position where;
};

/* An interface address. */
struct link_address {
    bool automatic;       /* `address auto`: chosen from the network when the jail starts */
    bool keep;            /* `address keep` (device) */
    struct prefix prefix; /* else: with host bits */
    struct position where;
};

struct network {
    const char *name; /* also the bridge's interface name */
    struct link_address *addresses;
    size_t addresses_count;
    size_t addresses_capacity;
    bool nat;
    bool isolate;
    bool external;
    struct position where;
    struct position nat_where;
};

enum link_kind {
    LINK_BRIDGE,
    LINK_VETH_HOST,
    LINK_VETH_JAIL,
    LINK_DEVICE,
    LINK_MACVLAN,
    LINK_IPVLAN,
    LINK_RELAY,
    LINK_JOIN,
};

enum gateway_kind {
    GATEWAY_DEFAULT, /* the network's (or peer's) own address of each family, when it has one */
    GATEWAY_NONE,
    GATEWAY_GIVEN, /* `gateways` */
};

struct link {
    enum link_kind kind;
    const char *ifname; /* name inside the jail; NULL for relay and join */
    const char *target; /* network, jail or device; NULL for veth host and relay */
    size_t network;     /* LINK_BRIDGE: index into policy->networks (a network that is only named is
                           added as external by check) */
    struct link_address *addresses;
    size_t addresses_count;
    size_t addresses_capacity;
    enum gateway_kind gateway;
    struct addr *gateways; /* at most one per family */
    size_t gateways_count;
    size_t gateways_capacity;
    struct position gateway_where[2]; /* GATEWAY_GIVEN: of the IPv4, of the IPv6 one */
    struct route *routes;
    size_t routes_count;
    size_t routes_capacity;
    bool has_mac;
    struct mac mac;
    uint32_t mtu;            /* 0: not given */
    uint64_t rate_bit_s;     /* 0: not given */
    bool nat;                /* veth host */
    const char *host_ifname; /* bridge: `host-name`; veth: `peer-name`; NULL: chosen */
    struct link_address *peer_addresses;
    size_t peer_addresses_count;
    size_t peer_addresses_capacity;
    struct route *peer_routes;
    size_t peer_routes_count;
    size_t peer_routes_capacity;
    const char *mode; /* macvlan, ipvlan; NULL: default */
    struct position where;
    struct position target_where;
    struct position nat_where;
};

enum publish_address {
    PUBLISH_LOOPBACK, /* default: 127.0.0.1 and ::1 */
    PUBLISH_ANY,      /* every address of the host, loopback included */
    PUBLISH_ADDRESS,  /* `addr` */
};

/* One publish statement: host ports first..last map to jail ports from `jail_port` on. */
struct publish {
    enum publish_address kind;
    struct addr addr;
    struct port_range host_ports;
    uint16_t jail_port;
    uint8_t protocol; /* IPPROTO_TCP or IPPROTO_UDP */
    bool preserve_source;
    struct position where;
};

struct expose {
    uint16_t port;
    uint8_t protocol;
    struct position where;
};

struct dns_record {
    const char *name;
    struct addr addr;
    struct position where;
};

struct named_item {
    const char *name;
    struct position where;
};

struct addr_item {
    struct addr addr;
    struct position where;
};

struct dns {
    bool given;
    bool any;
    struct addr_item *upstreams;
    size_t upstreams_count, upstreams_capacity;
    struct named_item *searches;
    size_t searches_count, searches_capacity;
    struct dns_record *records;
    size_t records_count, records_capacity;
    struct named_item *privates;
    size_t privates_count, privates_capacity;
    struct addr_item *directs;
    size_t directs_count, directs_capacity;
    struct position where;
};

enum unix_sockets {
    UNIX_SOCKETS_MASKED, /* default */
    UNIX_SOCKETS_HOST,
    UNIX_SOCKETS_NONE,
};

/* Socket families that socket() may make, a bit each. */
#define FAMILY_INET    0x1u
#define FAMILY_INET6   0x2u
#define FAMILY_UNIX    0x4u
#define FAMILY_NETLINK 0x8u
#define FAMILY_ALL     0xfu

struct policy_names; /* defines and parameters: private to the parser */

enum log_target {
    LOG_STDERR,
    LOG_JOURNAL,
    LOG_FILE,
};

struct policy {
    struct arena *arena;
    struct sources sources;
    struct policy_names *names;
    bool values_shared; /* the -D are for several policies: this one need not have each */

    const char *name; /* NULL: not given, the caller makes <base>-<pid> */
    struct position name_where;
    const char *file_base; /* base name of the policy file without ".conf"; NULL: no file */
    const char *file_path; /* as given, for NETJAIL_POLICY; NULL: no file */

    struct network *networks;
    size_t networks_count, networks_capacity;
    struct link *links;
    size_t links_count, links_capacity;
    struct link_address *lo_addresses;
    size_t lo_addresses_count, lo_addresses_capacity;
    bool forward;
    struct position forward_where;
    struct dns dns;

    enum verdict defaults[DIRECTION_COUNT]; /* VERDICT_DENY unless given */
    bool defaults_given[DIRECTION_COUNT];
    struct position defaults_where[DIRECTION_COUNT];
    struct rule *rules; /* in the order of the text: the first that matches decides */
    size_t rules_count, rules_capacity;
    uint32_t name_sets_count; /* sets of resolved names: numbers 1..count in rules */
    uint32_t jail_sets_count; /* sets of running jails, likewise */
    bool needs_resolver;      /* the jail has a name server of its own (policy_check()) */
    struct publish *publishes;
    size_t publishes_count, publishes_capacity;
    struct expose *exposes;
    size_t exposes_count, exposes_capacity;
    struct rate connection_rate; /* `limit rate`; default: any number */
    struct position connection_rate_where;
    uint32_t connection_limit; /* default 10,000 */
    bool connection_limit_given;
    struct position connection_limit_where;

    const char *user;  /* NULL: not given */
    const char *group; /* NULL: not given */
    struct position user_where;
    uint64_t capabilities_kept; /* bit n: capability number n (linux/capability.h) */
    struct position capabilities_where;
    unsigned families; /* FAMILY_*; default FAMILY_ALL */
    bool families_given;
    struct position families_where;
    enum unix_sockets unix_sockets;
    bool unix_sockets_given;
    struct position unix_sockets_where;
    bool namespaces_allow;
    struct position namespaces_where;
    bool processes_shared;
    struct position processes_where;
    bool on_exit_wait;
    struct position on_exit_where;
    bool log_denied;
    enum log_target log_target;
    const char *log_path; /* LOG_FILE */
    bool log_json;
    struct position log_where;
};

/* `-D NAME=VALUE` of the command line. */
struct policy_value {
    const char *name;
    const char *value;
    struct position where;
};

/* What the parser needs from outside; policy/ itself makes no system call. */
struct policy_reader {
    /* Reads the file that `include` or `define NAME file` names, relative to the file `from`. On
     * success 0 and a text that stays valid until the parser returns; on failure a negative errno
     * and a sentence in *error. NULL: includes are refused. */
    int (*read)(void *context, const char *from, const char *name, const char **ret_path,
                const char **ret_text, size_t *ret_length, struct error *error);
    void *context;
};

/* An empty policy with the defaults set; never NULL. policy_free() frees it, all that it holds, and
 * the diags made with policy_diags(). */
struct policy *policy_new(void);
void policy_free(struct policy *policy);

/* An empty list of messages about this policy, in the policy's arena. */
struct diags *policy_diags(struct policy *policy);

/* Parses one text (a file, or an option that equals a statement) into the policy; may be called
 * several times, before policy_check(). Errors are appended to `diags`; parsing goes on behind an
 * error. `path` is the file's path for includes, NULL for options. Returns 0, or -EINVAL when it
 * added an error. */
int policy_parse(struct policy *policy, struct diags *diags, const char *name, const char *path,
                 const char *text, size_t length, bool is_option,
                 const struct policy_reader *reader, const struct policy_value *values,
                 size_t values_count);

/* Has a define or param of the policy taken the value of `-D NAME=...`? */
bool policy_takes_value(const struct policy *policy, const char *name);

/* Judges the whole policy when all texts are parsed: references, contradictions, overlaps,
 * duplicates, shadowed rules. Returns 0, or -EINVAL when there is any error in `diags`. */
int policy_check(struct policy *policy, struct diags *diags);

/* Appends an error "... not available yet" for each statement whose effect is not built yet, so
 * that it never runs as if it were absent. Returns 0 or -EOPNOTSUPP. */
int policy_refuse_unavailable(const struct policy *policy, struct diags *diags);

/* The constant ranges of a symbolic set kind (private, link-local, multicast, metadata, broadcast),
 * both families; 0 for the kinds that depend on the jail or the host. */
size_t set_builtin_ranges(enum set_kind kind, const struct addr_range **ret_ranges);

/* Words for messages and output. */
const char *direction_name(enum direction direction);
const char *verdict_name(enum verdict verdict);
/* "tcp", "udp", "icmp", ... or NULL for a number without a name. */
const char *protocol_name(uint8_t number);
