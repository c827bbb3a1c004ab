/* What plan_build() must know about the host: a snapshot taken by kernel/facts.c under the pool's
 * lock. Plain data, so that a test can invent a host. */
#pragma once

#include "plan/record.h"

struct fact_link {
    char name[IFNAME_SIZE];
    int32_t index;
    uint32_t group;
    uint32_t mtu;
    struct mac mac;
    bool is_bridge;
    bool is_port; /* member of a bridge, bond, team or VRF */
    bool is_loopback;
    bool is_up;
    bool is_uplink; /* holds a unicast route of the main table, is not lo and not of our groups */
    int8_t forwarding4; /* uplinks and bridges: 0, 1; -1 unknown */
    int8_t forwarding6; /* force_forwarding; -1: the kernel has none */
    int8_t accept_ra;   /* uplinks: net/ipv6/conf/IF/accept_ra; -1 unknown */
};

struct fact_address {
    char ifname[IFNAME_SIZE];
    struct prefix prefix;
};

/* Whose rules a chain at the forward hook belongs to, which decides what is to be done about it. */
enum forward_owner {
    FORWARD_NFT,           /* written with nft(8) */
    FORWARD_IPTABLES,      /* the filter table of iptables-nft */
    FORWARD_LEGACY,        /* of iptables-legacy, which nftables does not show */
    FORWARD_DOCKER,        /* iptables-nft, with a chain DOCKER-USER */
    FORWARD_DOCKER_LEGACY, /* iptables-legacy, the same */
    FORWARD_UFW,
    FORWARD_FIREWALLD,
};

/* A chain of somebody else's that drops what it does not accept of what the host forwards. */
struct fact_forward {
    enum forward_owner owner;
    uint8_t family; /* ADDR_V4, ADDR_V6, ADDR_NONE: both */
    char table[NFT_NAME_SIZE];
    char chain[NFT_NAME_SIZE];
    const uint8_t *rules; /* of its table, as the kernel shows them: the names of interfaces that it
                             speaks of are in it */
    size_t rules_length;
};

struct facts {
    struct arena *arena;
    bool privileged;  /* CAP_NET_ADMIN and CAP_SYS_ADMIN over the host's network namespace */
    bool is_root;     /* the caller's uid is 0: one without privilege is told so */
    uint64_t seed;    /* random: interface names, MAC addresses of the host's ends */
    uint64_t machine; /* this machine's and no other's: MAC addresses of the jails */
    int32_t pid;      /* default jail name */
    uint32_t uid;     /* who asks: cables lead to jails of the same user, or root lays them */
    bool only_shown;  /* the plan is not carried out: jails that it needs need not run */
    bool is_named;    /* a namespace for others to work on (netjailctl create) */
    struct fact_link *links;
    size_t links_count, links_capacity;
    struct fact_address *addresses;
    size_t addresses_count, addresses_capacity;
    struct record **others; /* records of all other jails that hold their lease, this host */
    size_t others_count, others_capacity;
    bool has_inet_table;   /* table inet netjail exists on the host */
    bool has_bridge_table; /* table bridge netjail exists on the host */
    int8_t ip_forward;     /* net.ipv4.ip_forward; -1 unknown */
    int8_t all_forwarding6;
    bool has_force_forwarding; /* net.ipv6.conf.*.force_forwarding, Linux 6.17 */
    bool has_ipv6;
    bool bridge_nf4; /* net.bridge.bridge-nf-call-ip(6)tables: bridged frames pass the forward hook
                      */
    bool bridge_nf6;
    struct fact_forward *forwards; /* only where the plan can meet them: facts_collect_forward() */
    size_t forwards_count, forwards_capacity;
};

struct facts *facts_new(void); /* never NULL */
void facts_free(struct facts *facts);
