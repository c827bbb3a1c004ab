/* What is to be done, as data: a flat list of ops between the policy and the kernel. The ops hold
 * no pointers; variable-sized parts are offsets into the plan's arrays. plan/build.c makes a plan,
 * plan/print.c shows it as `ip` and `nft` commands, kernel/apply.c carries it out, plan/undo.c
 * makes the plan that takes it back. Pure. */
#pragma once

#include "base/addr.h"
#include "base/diag.h"
#include "policy/decide.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define IFNAME_SIZE       (IFNAME_MAX + 1)
#define NFT_NAME_SIZE     32
#define LINK_ALIAS_SIZE   128
#define SYSCTL_PATH_SIZE  96 /* below /proc/sys, with slashes: "net/ipv4/conf/eth0/forwarding" */
#define SYSCTL_VALUE_SIZE 24

/* Interface groups (ip-link(8) group) mark what netjail made on the host. The shared tables match
 * on them, so that protection does not end when an element of a set expires. */
#define GROUP_NETWORK 0x6e6a0001u /* bridges of networks */
#define GROUP_PORT    0x6e6a0002u /* host ends of `link IF bridge` */
#define GROUP_CABLE   0x6e6a0003u /* host ends of `link IF veth host`; in jails: of cables */

/* The table of both families, in the jail and (shared by all jails) on the host; on the host there
 * is also one of family bridge. */
#define NFT_TABLE_NAME "netjail"

/* Elements on the host vanish by themselves unless the supervisor renews them. */
#define HOST_ELEMENT_TIMEOUT_MS 90000

enum where {
    WHERE_JAIL,    /* inside the new namespaces: needs no privilege over the host */
    WHERE_HOST,    /* the host's network: needs CAP_NET_ADMIN there */
    WHERE_SERVICE, /* a socket on the host that any user may open */
    WHERE_PEER,    /* inside another jail, plan->peers[op->peer] */
};

enum op_kind {
    OP_SYSCTL_SET,       /* sysctl. JAIL ones are written by init before any link exists */
    OP_BRIDGE_ADD,       /* bridge */
    OP_VETH_ADD,         /* veth; both ends down, the peer directly in the jail */
    OP_CHILD_ADD,        /* child: a macvlan or ipvlan of an interface of the host, in the jail */
    OP_DEVICE_MOVE,      /* device: an interface of the host goes to the jail, where it is down */
    OP_QDISC_ADD,        /* qdisc: a token bucket, the link's rate */
    OP_ADDRESS_ADD,      /* address */
    OP_LINK_UP,          /* ifname */
    OP_ROUTE_ADD,        /* route */
    OP_NFT_TABLE_ADD,    /* table */
    OP_NFT_CHAIN_ADD,    /* chain */
    OP_NFT_SET_ADD,      /* set */
    OP_NFT_RULE_ADD,     /* rule */
    OP_NFT_ELEMENTS_ADD, /* elements; on the host as delete-then-add, so that a left-over is purged
                          */
    OP_LISTEN,           /* listen */
    OP_DOCKER_ACCEPT,    /* docker; nothing where it is there already */
    OP_LINK_CHECK,       /* ifname: one GETLINK as last message makes the first packet safe */
    /* Only in plans made by plan_undo(): */
    OP_DOCKER_FORGET,       /* docker */
    OP_FLOWS_FORGET,        /* flows: the host tracks no connection of this address any more */
    OP_LINK_DELETE,         /* link_delete: only if the alias or group says that it is ours */
    OP_NFT_ELEMENTS_DELETE, /* elements; what is not there is not an error */
    OP_NFT_TABLE_DELETE,    /* table; the same */
    OP_SYSCTL_RESTORE,      /* sysctl: back to `was`, only if it still reads `value` */
    OP_ADDRESS_DELETE,      /* address */
};

enum nft_family {
    NFT_INET,
    NFT_BRIDGE,
};

/* Parts of a packet (and of set keys), with their size in bytes. Names as in nft(8). */
enum nft_field {
    FIELD_IIF,             /* meta iif, 4, host byte order; 0 where a packet has none */
    FIELD_IIFNAME,         /* meta iifname, 16 */
    FIELD_OIFNAME,         /* meta oifname, 16 */
    FIELD_IIFGROUP,        /* meta iifgroup, 4, host byte order */
    FIELD_OIFGROUP,        /* meta oifgroup, 4, host byte order */
    FIELD_NFPROTO,         /* meta nfproto, 1 */
    FIELD_PROTOCOL,        /* meta protocol (ether type), 2, network byte order */
    FIELD_L4PROTO,         /* meta l4proto, 1 */
    FIELD_PKTTYPE,         /* meta pkttype, 1 */
    FIELD_ETHER_SADDR,     /* ether saddr, 6 */
    FIELD_ETHER_DADDR,     /* ether daddr, 6 */
    FIELD_IP_SADDR,        /* ip saddr, 4 */
    FIELD_IP_DADDR,        /* ip daddr, 4 */
    FIELD_IP6_SADDR,       /* ip6 saddr, 16 */
    FIELD_IP6_DADDR,       /* ip6 daddr, 16 */
    FIELD_ARP_SADDR_ETHER, /* arp saddr ether, 6 */
    FIELD_ARP_SADDR_IP,    /* arp saddr ip, 4 */
    FIELD_TH_DPORT,        /* th dport, 2, network byte order */
    FIELD_ICMP_TYPE,       /* icmp type, 1 */
    FIELD_ICMPV6_TYPE,     /* icmpv6 type, 1 */
    FIELD_CT_STATE,        /* ct state, 4, host byte order, bits NF_CT_STATE_BIT(...) */
    FIELD_CT_STATUS,       /* ct status, 4, host byte order, bits IPS_* */
    FIELD_FIB_SADDR_TYPE,  /* fib saddr type, 4, host byte order, RTN_* */
    FIELD_FIB_DADDR_TYPE,  /* fib daddr type, 4, host byte order, RTN_* */
    FIELD_ETHER_TYPE,    /* ether type, 2, network byte order: 0x8100 for a tagged frame, whose meta
                            protocol is that of its payload */
    FIELD_FIB_SADDR_OIF, /* fib saddr . iif oif, 4, host byte order: 0 when the way back to the
                            source does not lead by the link that it came from */
    FIELD_MARK,          /* meta mark, 4, host byte order */
    FIELD_ND_TARGET, /* @th,64,128, 16: the target of a neighbour advertisement (RFC 4861, 4.4) */
    FIELD_COUNT,
};

#define NFT_FIELDS_MAX 5

/* A concatenation of fields: key of a set or of a lookup. */
struct nft_key {
    uint8_t count;
    uint8_t fields[NFT_FIELDS_MAX]; /* enum nft_field */
};

enum term_kind {
    TERM_MATCH,       /* match */
    TERM_LOOKUP,      /* lookup: key (not) in set */
    TERM_VERDICT_MAP, /* lookup: verdict from a map; no element: go on */
    TERM_COUNTER,
    TERM_LIMIT,             /* limit */
    TERM_LOG,               /* log: NFLOG */
    TERM_VERDICT,           /* verdict */
    TERM_REJECT_RESET,      /* TCP reset; the rule has matched l4proto tcp before */
    TERM_REJECT_PROHIBITED, /* icmpx admin-prohibited */
    TERM_REJECT_PORT,       /* icmpx port-unreachable */
    TERM_REJECT_HOST,       /* icmpx host-unreachable */
    TERM_REJECT_NET,        /* icmpx no-route */
    TERM_TPROXY,            /* tproxy: to a transparent socket of the jail; none: go on */
    TERM_QUEUE,             /* NFQUEUE 0, by the target of xtables */
    TERM_QUEUE_NFT,         /* the same by nft's own statement: a kernel has both, one or none */
    TERM_MASQUERADE,
    TERM_DNAT_MAP, /* lookup: destination address and port from a map; no element: go on */
};

enum match_op {
    MATCH_EQUAL,
    MATCH_NOT_EQUAL,
    MATCH_RANGE, /* value..last, inclusive, network byte order */
    MATCH_NOT_RANGE,
    MATCH_PREFIX,  /* (field & last) == value */
    MATCH_ANY_BIT, /* (field & value) != 0 */
    MATCH_NO_BIT,  /* (field & value) == 0 */
};

enum nft_verdict {
    NFT_ACCEPT_PACKET,
    NFT_DROP_PACKET,
    NFT_RETURN_CHAIN,
    NFT_JUMP_CHAIN,
    NFT_GOTO_CHAIN,
};

/* A verdict as data of a map element: one byte kind, then the chain's name (NFT_NAME_SIZE). */
struct nft_verdict_data {
    uint8_t kind; /* enum nft_verdict */
    char chain[NFT_NAME_SIZE];
};

/* One step of a rule, from left to right. */
struct term {
    enum term_kind kind;
    union {
        struct {
            enum nft_field field;
            enum match_op op;
            uint8_t value[16];
            uint8_t last[16];
        } match;
        struct {
            struct nft_key key;
            char set[NFT_NAME_SIZE];
            bool invert;
            uint8_t family; /* TERM_DNAT_MAP: ADDR_V4, ADDR_V6 */
        } lookup;
        struct {
            uint64_t rate;
            uint32_t unit_s; /* 1, 60, 3600 */
            uint32_t burst;
        } limit;
        struct {
            uint16_t group;
            char prefix[64];
        } log;
        struct {
            struct addr addr;
            uint16_t port;
        } tproxy;
        struct nft_verdict_data verdict;
    };
};

enum nft_set_data {
    SET_DATA_NONE,       /* a set */
    SET_DATA_VERDICT,    /* a verdict map; element data is struct nft_verdict_data */
    SET_DATA_ADDR4_PORT, /* data: 4 bytes address, 2 bytes port, both network byte order */
    SET_DATA_ADDR6_PORT, /* data: 16 bytes address, 2 bytes port */
};

struct op {
    enum op_kind kind;
    enum where where;
    uint16_t peer;            /* WHERE_PEER: index into plan->peers */
    struct position position; /* what in the policy asked for it; source 0: netjail itself */
    union {
        char ifname[IFNAME_SIZE];
        struct {
            char path[SYSCTL_PATH_SIZE];
            char value[SYSCTL_VALUE_SIZE];
            char was[SYSCTL_VALUE_SIZE];        /* OP_SYSCTL_RESTORE */
            char switch_path[SYSCTL_PATH_SIZE]; /* OP_SYSCTL_RESTORE: nothing is restored when this
                                                 */
            char switch_value[SYSCTL_VALUE_SIZE]; /* one no longer has this value; "": always */
            bool optional;                        /* a kernel without this file is fine */
        } sysctl;
        struct {
            char name[IFNAME_SIZE];
            char alias[LINK_ALIAS_SIZE];
            struct mac mac; /* stated, else it changes with every port that comes and goes */
        } bridge;           /* its group is GROUP_NETWORK */
        struct {
            char host_name[IFNAME_SIZE]; /* the end on the host, or in the other jail */
            char jail_name[IFNAME_SIZE];
            char master[IFNAME_SIZE]; /* "": none */
            char alias[LINK_ALIAS_SIZE];
            uint32_t group;
            uint32_t jail_group; /* 0: the default one */
            uint32_t mtu;        /* 0: the master's, or the kernel's default */
            struct mac host_mac;
            struct mac jail_mac;
            bool isolated; /* bridge port isolation, IFLA_BRPORT_ISOLATED */
            bool hairpin;  /* frames may go back where they came from, IFLA_BRPORT_MODE */
        } veth;
        struct {
            char parent[IFNAME_SIZE]; /* on the host */
            char name[IFNAME_SIZE];   /* in the jail */
            char kind[8];             /* "macvlan", "ipvlan" */
            char mode[12];            /* as in the policy: "bridge", "l2", ... */
            struct mac mac;
            bool has_mac; /* false: the parent's */
            uint32_t mtu; /* 0: the parent's */
        } child;
        struct {
            char name[IFNAME_SIZE];      /* on the host */
            char jail_name[IFNAME_SIZE]; /* in the jail */
            char mark[LINK_ALIAS_SIZE];  /* its alias until it is given back */
            uint32_t mtu;                /* 0: as it is */
        } device;
        struct {
            char ifname[IFNAME_SIZE];
            uint64_t rate_bit_s; /* frames, headers of Ethernet included (tc-tbf(8)) */
            uint32_t burst;      /* bytes that may leave at once */
            uint32_t limit;      /* bytes that may wait */
        } qdisc;
        struct {
            char ifname[IFNAME_SIZE];
            struct prefix prefix;
        } address; /* always IFA_F_NODAD for IPv6 */
        struct {
            char ifname[IFNAME_SIZE];
            struct prefix prefix;
            struct addr via; /* family ADDR_NONE: on link */
            bool is_local;   /* the jail itself takes what goes there; then `source` is given */
            struct addr source;
        } route;
        struct {
            enum nft_family family;
        } table; /* NFT_TABLE_NAME */
        struct {
            enum nft_family family;
            char name[NFT_NAME_SIZE];
            bool is_base;
            char type[8];  /* "filter", "nat" */
            uint32_t hook; /* NF_INET_* or NF_BR_* */
            int32_t priority;
            bool policy_drop;
        } chain;
        struct {
            enum nft_family family;
            char name[NFT_NAME_SIZE];
            struct nft_key key;
            bool is_interval; /* elements carry first and last key (concatenation: per field) */
            bool has_timeout; /* elements may carry a timeout */
            bool has_counter; /* a counter per element */
            uint32_t size;    /* the most elements it takes; 0: no limit */
            enum nft_set_data data;
        } set;
        struct {
            enum nft_family family;
            char chain[NFT_NAME_SIZE];
            uint32_t first_term; /* index into plan->terms */
            uint32_t term_count;
        } rule;
        struct {
            enum nft_family family;
            char set[NFT_NAME_SIZE];
            struct nft_key key;
            bool is_interval;
            enum nft_set_data data;
            uint32_t count;
            size_t first_byte; /* into plan->bytes: per element key, [last key], [data], each packed
                                  without padding, in the order and byte order of the fields */
            uint32_t timeout_ms; /* 0: none */
        } elements;
        struct {
            uint8_t protocol; /* IPPROTO_TCP, IPPROTO_UDP */
            struct addr addr;
            uint16_t port;
            uint16_t jail_port;
            bool is_local; /* only for what comes by lo: DNAT carries the rest */
        } listen;
        struct {
            uint8_t family; /* ADDR_V4, ADDR_V6: whose filter table */
            char ifname[IFNAME_SIZE];
        } docker; /* rules in the chain DOCKER-USER that accept what comes and goes by ifname */
        struct {
            struct addr addr;
        } flows;
        struct {
            char name[IFNAME_SIZE];
            uint32_t group; /* deletes only a link of this group */
        } link_delete;
    };
};

/* A network that the plan uses, for the record of the jail. */
struct plan_network {
    char name[IFNAME_SIZE];
    const char
        *text; /* canonical statement, to be compared and shown: "address 10.10.0.1/16; nat" */
    char where[128]; /* "web.conf:3" */
    bool external;
};

/* Stands for the network of an address that the host has no part in; a keyword, so that no network
 * has this name. */
#define PLACE_ELSEWHERE "jail"

/* An address of the jail, for the record, the service and `netjailctl list`. */
struct plan_address {
    char ifname[IFNAME_SIZE];  /* inside the jail */
    char network[IFNAME_SIZE]; /* "": no network */
    struct prefix prefix;
};

/* A running jail that the plan lays cables to, as its record says. */
struct plan_peer {
    char name[JAIL_NAME_MAX + 1];
    int32_t pid; /* of its supervisor; 0: the plan is only shown */
    uint64_t pid_start;
    uint32_t uid; /* whose process it must be */
};

struct plan {
    struct arena *arena;
    const struct sources *sources; /* of the policy; NULL for undo plans */

    struct op *ops;
    size_t ops_count, ops_capacity;
    struct term *terms;
    size_t terms_count, terms_capacity;
    uint8_t *bytes;
    size_t bytes_count, bytes_capacity;

    struct plan_network *networks;
    size_t networks_count, networks_capacity;
    struct plan_address *addresses;
    size_t addresses_count, addresses_capacity;

    struct known_range *known; /* what symbolic sets stand for; only when `decides` */
    size_t known_count, known_capacity;

    struct plan_peer *peers;
    size_t peers_count, peers_capacity;

    bool joins; /* the command runs in the network of `joined`, and nothing in it is touched: there
                   are no ops */
    struct plan_peer joined; /* pid 0: the namespace of this name in /run/netns */
    struct position joined_where;

    bool has_rules;             /* the jail has a table */
    bool relays;                /* init opens the relay's listeners */
    bool queues;                /* connections wait in NFQUEUE 0 until their outcome is known */
    bool decides;               /* the service gets the policy and decides or resolves */
    bool needs_host;            /* has an op at WHERE_HOST */
    struct position host_where; /* the first statement that asked for one */
    bool needs_service;         /* has OP_LISTEN, a log that the service reads, or `decides` */
    bool pings;                 /* some rule admits ICMP or ICMPv6 out */
    uint32_t name_sets_count;   /* sets of resolved names in the jail's table (plan/dynamic.h) */
    uint32_t jail_sets_count;   /* sets of running jails there */
};

/* Who serves what OP_LISTEN opened. Its one argument is the jail's name, for whoever looks at the
 * list of processes or asks who holds a port. */
#define SERVICE_PROGRAM "netjail-service"

#define NFLOG_GROUP_DENIED 1 /* in the jail: what was denied and `log` */

#define RELAY_QUEUE       0             /* in the jail */
#define CHAIN_RELAY_QUEUE "relay_queue" /* what waits; empty: nothing does */

/* By which of the two packets get into NFQUEUE: TERM_QUEUE, as planned, or TERM_QUEUE_NFT. */
void plan_queue_by(struct plan *plan, enum term_kind kind);

/* Makes do without NFQUEUE, for a kernel that has none: what would wait goes on, or is refused
 * where it cannot. */
void plan_forget_queue(struct plan *plan);

/* What of a plan is still needed while the command runs: its flags, and the ops that are renewed
 * (elements on the host with a timeout). In little memory of its own. Owned by the caller. */
struct plan *plan_running(const struct plan *plan);

void plan_free(struct plan *plan); /* NULL is allowed */

/* Appends a zeroed op. */
struct op *plan_push(struct plan *plan, enum op_kind kind, enum where where,
                     struct position position);

/* Size in bytes of a field, of a packed key, of a set's data, and of one packed element. */
size_t nft_field_size(enum nft_field field);
size_t nft_key_size(const struct nft_key *key);
size_t nft_data_size(enum nft_set_data data);
size_t nft_element_size(const struct op *elements_op);
