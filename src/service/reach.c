/* Where a flow of the jail may be carried to.
 *
 * The service connects from the host's network, where "any address" has meanings that the jail's
 * rules do not know: the host itself, by every spelling. So after the policy was asked, the address
 * is looked at as the host would use it:
 *
 *   host.netjail        the host's loopback, the exposed ports only
 *   the relay's own     nobody
 *   this host           by any of its addresses: only where the rule that decides names it: `host`,
 *                       `gateway`, or exactly this one address; never its loopback
 *   no other machine    unspecified, mapped, multicast, broadcast, link-local IPv6: nobody
 *   translated          NAT64 and 6to4 carry an IPv4 address inside: the same is asked of that
 *
 * What must not happen: a flow to an address that was not asked about. No privilege. */
#include "service/reach.h"

#include "service/denials.h"
#include "service/host_route.h"
#include "service/judge.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct reach {
    struct judge *judge;
    struct denials *denials;
    int route_fd;
};

int reach_new(struct judge *judge, struct denials *denials, int route_fd, struct reach **ret_reach,
              struct error *error)
{
    struct reach *reach = calloc(1, sizeof *reach);

    if (!reach) {
        (void)close(route_fd); /* a netlink socket: nothing is lost */
        return error_errno(error, -ENOMEM, "cannot start the relay");
    }
    reach->judge = judge;
    reach->denials = denials;
    reach->route_fd = route_fd;
    *ret_reach = reach;
    return 0;
}

void reach_free(struct reach *reach)
{
    if (!reach)
        return;
    (void)close(reach->route_fd); /* the same */
    free(reach);
}

/* host.netjail stands for the host's loopback, of both families. */
static int check_exposed(const struct reach *reach, const struct packet *packet,
                         struct reach_targets *targets)
{
    static const struct addr loopback[] = {{ADDR_V4, {127, 0, 0, 1}}, {ADDR_V6, {[15] = 1}}};
    const struct policy *policy = judge_policy(reach->judge);
    bool is_v6 = packet->destination.family == ADDR_V6;

    for (size_t i = 0; i < policy->exposes_count; i++) {
        if (policy->exposes[i].port != packet->port ||
            policy->exposes[i].protocol != packet->protocol)
            continue;
        targets->addrs[0] = loopback[is_v6];
        targets->addrs[1] = loopback[!is_v6];
        targets->count = 2;
        return 0;
    }
    return RELAY_REFUSED;
}

/* Addresses that are no other machine, or this one, whatever the routes say. */
static bool is_nobody(const struct addr *addr)
{
    static const struct prefix nobody[] = {
        {{ADDR_V4, {0}}, 8},
        {{ADDR_V4, {127}}, 8},
        {{ADDR_V4, {224}}, 3}, /* multicast, reserved, the limited broadcast */
        {{ADDR_V6, {0}}, 96},  /* unspecified, loopback, IPv4-compatible */
        {{ADDR_V6, {[8] = 0, [10] = 0xff, [11] = 0xff}}, 96}, /* IPv4-mapped */
        {{ADDR_V6, {[8] = 0xff, [9] = 0xff}}, 96},            /* IPv4-translated, RFC 2765 */
        {{ADDR_V6, {0xfe, 0x80}}, 10}, /* link-local: of which link, a jail cannot say */
        {{ADDR_V6, {0xff}}, 8},
    };

    return prefixes_contain(nobody, sizeof nobody / sizeof nobody[0], addr);
}

/* The IPv4 address inside a NAT64 (RFC 6052, RFC 8215) or 6to4 (RFC 3056) address. */
static bool embedded(const struct addr *addr, struct addr *ret_inner)
{
    static const struct prefix nat64 = {{ADDR_V6, {0, 0x64, 0xff, 0x9b}}, 96};
    static const struct prefix nat64_local = {{ADDR_V6, {0, 0x64, 0xff, 0x9b, 0, 1}}, 48};
    static const struct prefix six_to_four = {{ADDR_V6, {0x20, 0x02}}, 16};
    struct addr inner = {.family = ADDR_V4};

    if (prefix_contains(&nat64, addr) || prefix_contains(&nat64_local, addr))
        memcpy(inner.bytes, addr->bytes + 12, 4);
    else if (prefix_contains(&six_to_four, addr))
        memcpy(inner.bytes, addr->bytes + 2, 4);
    else
        return false;
    *ret_inner = inner;
    return true;
}

/* Does the rule that decided speak of this host, not only of a crowd that it is in? */
static bool names_host(const struct reach *reach, const struct decision *decision,
                       const struct addr *addr)
{
    const struct set *set;

    if (decision->by_default || decision->by_publish)
        return false;
    set = &judge_policy(reach->judge)->rules[decision->rule].to;
    for (size_t i = 0; i < set->items_count; i++) {
        const struct set_item *item = &set->items[i];

        if ((item->kind == SET_HOST && judge_knows(reach->judge, KNOWN_HOST, addr)) ||
            (item->kind == SET_GATEWAY && judge_knows(reach->judge, KNOWN_GATEWAY, addr)))
            return true;
        if (item->kind == SET_RANGE && addr_equal(&item->range.first, &item->range.last) &&
            addr_equal(&item->range.first, addr))
            return true;
    }
    return false;
}

/* The rules inside have let it through, so that nobody else tells it. */
static void tell(const struct reach *reach, const struct packet *packet,
                 const struct decision *decision, enum denial_cause cause)
{
    const struct policy *policy = judge_policy(reach->judge);
    bool is_icmp = packet->protocol == IPPROTO_ICMP || packet->protocol == IPPROTO_ICMPV6;
    struct nflog_packet refused = {.source = packet->source,
                                   .destination = packet->destination,
                                   .protocol = packet->protocol,
                                   .has_ports = !is_icmp,
                                   .port = packet->port,
                                   .has_type = is_icmp,
                                   .type = packet->icmp_type};
    char place[48] = "default";

    if (!policy->log_denied)
        return;
    if (!decision->by_default && !decision->by_publish)
        position_word(&policy->sources, decision->where, decision->where, place, sizeof place);
    (void)snprintf(refused.prefix, sizeof refused.prefix, "denied out %s", place); /* fits */
    denials_tell(reach->denials, &refused, cause);
}

static int refuse_host(const struct reach *reach, const struct decision *decision,
                       const struct packet *packet)
{
    tell(reach, packet, decision, DENIAL_HOST_ADDRESS);
    return RELAY_PROHIBITED;
}

static int refuse_nobody(const struct reach *reach, const struct decision *decision,
                         const struct packet *packet)
{
    tell(reach, packet, decision, DENIAL_NO_MACHINE);
    return RELAY_NO_NETWORK;
}

static int check_addr(const struct reach *reach, const struct decision *decision,
                      const struct packet *packet, const struct addr *addr)
{
    bool is_local = false;
    bool is_plain = false;
    int code;

    if (is_nobody(addr))
        return refuse_nobody(reach, decision, packet);
    code = host_route_look(reach->route_fd, addr, &is_local, &is_plain);
    if (code < 0) {
        int refusal = reach_refusal(-code);

        return refusal ? refusal : RELAY_NO_NETWORK;
    }
    if (is_local)
        return names_host(reach, decision, addr) ? 0 : refuse_host(reach, decision, packet);
    if (is_plain)
        return 0;
    /* Of IPv6 it is a route that leads nowhere, as IPv4 tells with an error. */
    return addr->family == ADDR_V4 ? refuse_nobody(reach, decision, packet) : RELAY_NO_NETWORK;
}

/* A rule that keeps the jail from an IPv4 address keeps it from that address in IPv6 clothes, too,
 * unless a rule before it speaks of those. */
static bool inner_is_denied(const struct reach *reach, const struct packet *packet,
                            const struct addr *inner, const struct decision *outer)
{
    struct packet translated = *packet;
    struct decision decision;

    translated.destination = *inner;
    decision = judge_decide(reach->judge, &translated);
    return decision.verdict != VERDICT_ALLOW && !decision.by_default &&
           (outer->by_default || decision.rule < outer->rule);
}

static int check_embedded(const struct reach *reach, const struct packet *packet,
                          const struct addr *inner, const struct decision *outer)
{
    if (inner_is_denied(reach, packet, inner, outer) ||
        check_addr(reach, outer, packet, inner) == RELAY_PROHIBITED)
        return RELAY_PROHIBITED;
    return is_nobody(inner) ? RELAY_NO_NETWORK : 0;
}

int reach_check(struct reach *reach, const struct packet *packet, struct reach_targets *ret_targets)
{
    struct reach_targets targets = {.count = 1, .addrs = {packet->destination}};
    struct addr host = relay_addr(RELAY_HOST, packet->destination.family);
    struct decision decision;
    struct addr inner;
    int refusal;

    if (addr_equal(&host, &packet->destination)) {
        refusal = check_exposed(reach, packet, &targets);
    } else if (relay_owns(&packet->destination)) {
        refusal = RELAY_REFUSED;
    } else {
        decision = judge_decide(reach->judge, packet);
        refusal = decision.verdict == VERDICT_ALLOW
                      ? check_addr(reach, &decision, packet, &packet->destination)
                      : RELAY_PROHIBITED;
        if (refusal == 0 && embedded(&packet->destination, &inner))
            refusal = check_embedded(reach, packet, &inner, &decision);
    }
    if (refusal == 0)
        *ret_targets = targets;
    return refusal;
}

void reach_tell_no_ping(const struct reach *reach, const struct packet *packet)
{
    struct decision decision = judge_decide(reach->judge, packet);

    tell(reach, packet, &decision, DENIAL_NO_PING);
}

void reach_tell_refused(void *context, const struct nflog_packet *packet)
{
    const struct reach *reach = context;
    const struct packet asked = {.direction = DIRECTION_OUT,
                                 .protocol = packet->protocol,
                                 .source = packet->source,
                                 .destination = packet->destination,
                                 .port = packet->port,
                                 .icmp_type = packet->type};
    struct decision decision = judge_decide(reach->judge, &asked);

    tell(reach, &asked, &decision, DENIAL_NO_MACHINE);
}

int reach_refusal(int error_number)
{
    switch (error_number) {
    case ETIMEDOUT:
        return 0;
    case EHOSTUNREACH:
    case EHOSTDOWN:
    case EADDRNOTAVAIL:
        return RELAY_NO_HOST;
    case ENETUNREACH:
    case ENETDOWN:
    case EAFNOSUPPORT:
        return RELAY_NO_NETWORK;
    case EACCES:
    case EPERM:
        return RELAY_PROHIBITED;
    default:
        return RELAY_REFUSED;
    }
}
