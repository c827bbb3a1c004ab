/* The addresses that the relay uses inside a jail. The same in every jail, never seen outside. */
#pragma once

#include "policy/policy.h"

/* 192.0.0.0/29 is for translation inside one host (RFC 7335), so no network uses it; the IPv6
 * addresses are unique local ones (RFC 4193) that spell "netjail". */
enum relay_role {
    RELAY_HOST,     /* host.netjail: what `expose` opens, and nothing else */
    RELAY_JAIL,     /* the jail's own address: what its programs send from */
    RELAY_LISTENER, /* where redirected connections arrive; nobody may name it */
};

#define RELAY_HOST_NAME "host.netjail"

struct addr relay_addr(enum relay_role role, uint8_t family);

/* Is `addr` in the block of these addresses? */
bool relay_owns(const struct addr *addr);

/* A port that no program listens to: one that binds it to every address finds it taken. */
#define RELAY_PORT 1

/* Marks with which a packet comes back from the queue: how it is refused. */
enum relay_refusal {
    RELAY_REFUSED = 0x6e6a0001, /* TCP reset: ECONNREFUSED */
    RELAY_NO_HOST,              /* ICMP host unreachable: EHOSTUNREACH */
    RELAY_NO_NETWORK,           /* ICMP network unreachable: ENETUNREACH */
    RELAY_PROHIBITED,           /* ICMP administratively prohibited: EHOSTUNREACH, EACCES */
};
#define RELAY_REFUSAL_FIRST RELAY_REFUSED
#define RELAY_REFUSAL_LAST  RELAY_PROHIBITED

/* What the denial log gets of packets that the policy's rules admit and the relay's own refuse. */
#define RELAY_LOG_PREFIX "denied out relay"

/* Does the policy send anything through the relay: `link relay`, `expose`? */
bool policy_relays(const struct policy *policy);
const struct link *policy_relay_link(const struct policy *policy); /* NULL: none */

/* Has such a policy a rule that speaks of `host`? Its addresses must be known then. */
bool policy_relays_to_host(const struct policy *policy);
