/* The verdict of a policy on one packet, in user space: what `netjailctl why`, the relay and the
 * learning mode ask. A differential test holds it against the kernel's verdict. Pure. */
#pragma once

#include "policy/policy.h"

/* The first packet of a flow. */
struct packet {
    enum direction direction;
    uint8_t protocol; /* IPPROTO_* */
    struct addr source;
    struct addr destination;
    uint16_t port; /* of the destination; tcp, udp, sctp */
    uint8_t icmp_type;
    bool published; /* DIRECTION_IN: it came through a `publish`; `port` is the jail's */
};

/* What the symbolic sets stand for in one jail, as data: the plan makes it, netjail-service gets
 * it.
 */
enum known_kind {
    KNOWN_GATEWAY,
    KNOWN_HOST,
    KNOWN_BROADCAST,
    KNOWN_JAIL, /* an address of the jail itself */
    KNOWN_LINK, /* what is directly connected by a link of the jail */
};
#define KNOWN_KINDS (KNOWN_LINK + 1)

struct known_range {
    uint8_t kind; /* enum known_kind */
    struct addr_range range;
};

/* What symbolic sets stand for: a question that only the running jail can answer. */
struct decide_context {
    /* Is `addr` in the set item (jail, gateway, host, name, suffix, broadcast)? */
    bool (*contains)(void *context, const struct set_item *item, const struct addr *addr);
    void *context;
};

struct decision {
    enum verdict verdict;
    bool by_default; /* no rule matched */
    bool by_publish; /* no rule matched; a `publish` admits it */
    size_t rule;     /* index into policy->rules when neither */
    struct position where;
};

/* First match wins, then what `publish` implies, then the default; rules with `rate` are taken as
 * within their rate. */
struct decision policy_decide(const struct policy *policy, const struct packet *packet,
                              const struct decide_context *context);
