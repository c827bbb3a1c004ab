/* The record of a jail: what its lease file says. Written by kernel/lease before the first change
 * to the host, so that another netjail can take back what a killed one left. The text form is one
 * statement per line; the parser treats it as hostile. Pure. */
#pragma once

#include "plan/plan.h"

struct buf;

#define DEVICE_ALIAS_SIZE 256 /* IFALIASZ */

enum record_state {
    RECORD_RUNNING,
    RECORD_ENDING, /* the command has ended, the host's objects are being removed */
};

struct record_network {
    char name[IFNAME_SIZE];
    char text[512]; /* canonical statement, struct plan_network */
    char where[128];
    bool external;
    bool uses_forwarding;
};

struct record_address {
    char network[IFNAME_SIZE]; /* "" : no network */
    char ifname[IFNAME_SIZE];
    struct prefix prefix;
};

struct record_publish {
    uint8_t protocol;
    enum publish_address kind;
    struct addr addr;
    uint16_t port;
    uint16_t jail_port;
};

/* A value that netjail changed: it was `was`, it is `ours`. */
struct record_sysctl {
    char path[SYSCTL_PATH_SIZE];
    char was[SYSCTL_VALUE_SIZE];
    char ours[SYSCTL_VALUE_SIZE];
};

/* A link on the host that the jail owns alone. */
struct record_link {
    char name[IFNAME_SIZE];
    uint32_t group;
};

/* One element of a set in a shared table: bytes are the packed key (both ends for intervals). */
struct record_element {
    enum nft_family family;
    char set[NFT_NAME_SIZE];
    struct nft_key key;
    bool is_interval;
    bool is_shared; /* stays until the last jail of `network` ends */
    char network[IFNAME_SIZE];
    uint8_t bytes[2 * 64];
    uint8_t length;
};

/* Rules in Docker's chain, shared by all jails that use the interface. */
struct record_docker {
    uint8_t family; /* ADDR_V4, ADDR_V6 */
    char ifname[IFNAME_SIZE];
};

/* An interface of the host that is moved into the jail, as it was. */
struct record_device {
    char name[IFNAME_SIZE];
    char jail_name[IFNAME_SIZE];
    char alias[DEVICE_ALIAS_SIZE];
    uint32_t group;
    uint32_t mtu;
    bool was_up;
    uint64_t noted_s; /* since the epoch: lifetimes count from here */
};

struct record_device_address {
    char device[IFNAME_SIZE];
    struct prefix prefix;
    struct addr peer;      /* of a point-to-point link; family ADDR_NONE: none */
    struct addr broadcast; /* the same */
    char label[IFNAME_SIZE];
    uint8_t scope;                 /* RT_SCOPE_* */
    uint8_t protocol;              /* IFA_PROTO */
    uint32_t flags;                /* IFA_F_* */
    uint32_t preferred_s, valid_s; /* UINT32_MAX: for ever */
    uint32_t metric;               /* IFA_RT_PRIORITY */
};

#define ROUTE_METRICS 18 /* RTAX_MAX + 1 */

struct record_device_route {
    char device[IFNAME_SIZE];
    struct prefix prefix;
    struct prefix source; /* of IPv6; family ADDR_NONE: any */
    uint32_t table;
    uint8_t protocol, scope, type, tos; /* as in struct rtmsg */
    uint8_t preference;                 /* RTA_PREF */
    uint32_t flags;                     /* RTNH_F_ONLINK or 0 */
    uint32_t metric;
    struct addr via;
    struct addr prefsrc;
    uint32_t metrics[ROUTE_METRICS]; /* by RTAX_*; 0: not set */
};

/* net/DIRECTORY/DEVICE/NAME below /proc/sys, where it was not the default. */
struct record_device_setting {
    char device[IFNAME_SIZE];
    char directory[16]; /* "ipv4/conf" */
    char name[48];
    char value[SYSCTL_VALUE_SIZE];
};

struct record {
    struct arena *arena;
    char name[JAIL_NAME_MAX + 1];
    int32_t pid;           /* of the supervisor */
    uint64_t pid_start;    /* its start time, field 22 of /proc/PID/stat (PIDs are reused) */
    uint32_t uid;          /* the user it belongs to */
    uint64_t started_s;    /* seconds since the epoch */
    uint64_t netns_cookie; /* the host namespace it changed (SO_NETNS_COOKIE) */
    uint64_t netns_inode;
    enum record_state state;
    bool has_no_rules;   /* nothing to judge, so no table either: no cable may lead here */
    bool is_named;       /* its network namespace has a name in /run/netns ... */
    uint64_t jail_inode; /* ... and this inode; 0: not yet */
    const char *policy;  /* path or "" */
    const char *command; /* argv[0] */
    const char *log;     /* the denial log: an absolute path, "standard error", ... or "" */

    struct record_network *networks;
    size_t networks_count, networks_capacity;
    struct record_address *addresses;
    size_t addresses_count, addresses_capacity;
    struct record_publish *publishes;
    size_t publishes_count, publishes_capacity;
    struct record_sysctl *sysctls;
    size_t sysctls_count, sysctls_capacity;
    struct record_link *links;
    size_t links_count, links_capacity;
    struct record_element *elements;
    size_t elements_count, elements_capacity;
    struct record_docker *dockers;
    size_t dockers_count, dockers_capacity;
    bool uses_host_tables;

    uint64_t kept_inode; /* of the jail's namespace, which <state>/NAME.netns keeps; 0: not yet */
    struct record_device *devices;
    size_t devices_count, devices_capacity;
    struct record_device_address *device_addresses;
    size_t device_addresses_count, device_addresses_capacity;
    struct record_device_route *device_routes;
    size_t device_routes_count, device_routes_capacity;
    struct record_device_setting *device_settings;
    size_t device_settings_count, device_settings_capacity;
};

/* The alias that marks a moved device until it is given back. */
void device_mark(const char *jail, const char *jail_name, char mark[LINK_ALIAS_SIZE]);

struct record *record_new(void); /* never NULL */
void record_free(struct record *record);

/* Fills networks, addresses, publishes, links, elements and uses_host_tables from the plan. */
void record_from_plan(struct record *record, const struct plan *plan);

/* The family's switch for all interfaces ("net/ipv4/conf/all/forwarding", which is ip_forward) of
 * the forwarding setting of one interface. When somebody else turns it, every interface's setting
 * follows and is no longer ours: the record notes it as found, with `was` and `ours` equal. False
 * for a setting without one, and for the switch itself. */
bool sysctl_switch_path(const char *path, char ret_path[SYSCTL_PATH_SIZE]);

/* Does the record note this setting? */
bool record_has_sysctl(const struct record *record, const char *path);

/* Carries over from `others` what they say about the sysctls that the plan sets on the host and
 * that are ours already: their `was` is the value to go back to, and cannot be read any more. */
void record_inherit_sysctls(struct record *record, const struct plan *plan,
                            struct record *const *others, size_t others_count);

void record_print(const struct record *record, struct buf *out);

/* Parses the text of a lease file. 0 and a new record, or -EINVAL and what is wrong in *error. */
int record_parse(const char *text, size_t length, struct record **ret_record, struct error *error);
