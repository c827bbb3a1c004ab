/* The name servers outside: which is asked when. Pure. */
#pragma once

#include "base/addr.h"

#define DNS_SERVERS_MAX       8
#define DNS_SERVERS_ROUNDS    2
#define DNS_SERVERS_FAILED_MS 15000 /* that a server which has failed goes last */

struct dns_servers {
    struct addr addrs[DNS_SERVERS_MAX];
    uint64_t failed_until_ms[DNS_SERVERS_MAX];
    size_t count;
    uint32_t generation; /* of the list */
};

/* One question's way through the servers. */
struct dns_turns {
    struct addr order[DNS_SERVERS_MAX];
    size_t count;
    unsigned attempt; /* one server asked once */
    uint32_t generation;
    unsigned restarts;
};

/* The servers from now on, in the order of asking; more than DNS_SERVERS_MAX are left out. One that
 * was there before stays known for its failure. */
void servers_set(struct dns_servers *servers, const struct addr *addrs, size_t count);
/* The server has not answered: it goes last for a while. */
void servers_blame(struct dns_servers *servers, const struct addr *addr, uint64_t now_ms);

/* Begins: those that have failed lately go last, for the whole of this question. */
void turns_begin(struct dns_turns *turns, const struct dns_servers *servers, uint64_t now_ms);
/* On to the next one; to the first of a list that is new since (the host's network has changed). */
void turns_next(struct dns_turns *turns, const struct dns_servers *servers, uint64_t now_ms);
/* Whom to ask now, and for how long to wait; NULL: all have been asked. */
const struct addr *turns_server(const struct dns_turns *turns);
unsigned turns_limit_ms(const struct dns_turns *turns);
