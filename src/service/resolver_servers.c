/* The order of the name servers: as they are listed, twice round, each with a time limit; one that
 * has just failed goes last, so that a dead first server costs one question its second and not all.
 *
 * What must not happen: a question that nobody ends; a server asked that is not listed. */
#include "service/resolver_servers.h"

/* The first round is short: with the last server silent and the first just started, the command
 * should still have its answer before the C library gives up (5 s). */
#define FIRST_MS 1000
#define LATER_MS 2500
/* A list that changes without end keeps no question for ever. */
#define RESTARTS_MAX 2

static size_t find(const struct dns_servers *servers, const struct addr *addr)
{
    for (size_t i = 0; i < servers->count; i++) {
        if (addr_equal(&servers->addrs[i], addr))
            return i;
    }
    return SIZE_MAX;
}

void servers_set(struct dns_servers *servers, const struct addr *addrs, size_t count)
{
    const struct dns_servers old = *servers;

    *servers = (struct dns_servers){.count = count < DNS_SERVERS_MAX ? count : DNS_SERVERS_MAX,
                                    .generation = old.generation + 1};
    for (size_t i = 0; i < servers->count; i++) {
        size_t before = find(&old, &addrs[i]);

        servers->addrs[i] = addrs[i];
        if (before != SIZE_MAX)
            servers->failed_until_ms[i] = old.failed_until_ms[before];
    }
}

void servers_blame(struct dns_servers *servers, const struct addr *addr, uint64_t now_ms)
{
    size_t i = find(servers, addr);

    if (i != SIZE_MAX)
        servers->failed_until_ms[i] = now_ms + DNS_SERVERS_FAILED_MS;
}

void turns_begin(struct dns_turns *turns, const struct dns_servers *servers, uint64_t now_ms)
{
    *turns = (struct dns_turns){.generation = servers->generation};
    for (int failed = 0; failed < 2; failed++) {
        for (size_t i = 0; i < servers->count; i++) {
            if ((servers->failed_until_ms[i] > now_ms) == failed)
                turns->order[turns->count++] = servers->addrs[i];
        }
    }
}

void turns_next(struct dns_turns *turns, const struct dns_servers *servers, uint64_t now_ms)
{
    unsigned restarts = turns->restarts;

    if (turns->generation == servers->generation || restarts == RESTARTS_MAX) {
        turns->attempt++;
        return;
    }
    turns_begin(turns, servers, now_ms);
    turns->restarts = restarts + 1;
}

const struct addr *turns_server(const struct dns_turns *turns)
{
    return turns->attempt < DNS_SERVERS_ROUNDS * turns->count
               ? &turns->order[turns->attempt % turns->count]
               : NULL;
}

unsigned turns_limit_ms(const struct dns_turns *turns)
{
    return turns->attempt < turns->count ? FIRST_MS : LATER_MS;
}
