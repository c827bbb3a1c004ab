/* The relay inside the jail.
 *
 * In the jail every address is a local one (`local 0.0.0.0/0 dev lo`, `local ::/0 dev lo`), so that
 * what the policy's rules admit arrives on lo again, where tproxy hands it to a transparent socket
 * that netjail-service serves; the destination stays what it was, and no NAT is needed. Routes of
 * links are more specific and go before. The way of a packet:
 *
 *   output            established; loopback between own addresses; host.netjail; the policy's rules
 *   relay_out         behind them: a refusal that the queue brought back; new connections wait in
 *                     the queue until the outcome outside is known
 *   relay_in          prerouting: tproxy; pings wait in the queue. Where nobody listens a packet is
 *                     refused, which is what remains when the service has died
 *   input             lo, from own addresses: it has passed the output rules
 *
 * Pure. What must not happen: a packet that reaches a listener without having passed the rules; a
 * packet of another link that is taken for a local one; the kernel itself answering for an address
 * that is not the jail's (it would, a ping: so pings wait, too, or are refused). */
#include "plan/build_internal.h"

#include "policy/relay.h"

#include <netinet/in.h>

#include <linux/netfilter.h>
#include <linux/netfilter/nf_conntrack_common.h>
#include <netinet/icmp6.h>
#include <netinet/ip_icmp.h>
#include <string.h>

#define CHAIN_RELAY_IN  "relay_in"
#define CHAIN_RELAY_OUT "relay_out"
#define PRIORITY_IN     (-150) /* before input; tproxy(8) has its place at mangle */
#define PRIORITY_OUT    10     /* behind the policy's chain */
#define RTN_LOCAL_TYPE  2u     /* RTN_LOCAL, linux/rtnetlink.h */

static const uint8_t both_families[] = {ADDR_V4, ADDR_V6};

static struct position relay_where(const struct build *build)
{
    const struct link *link = policy_relay_link(build->policy);

    return link ? link->where : build->policy->exposes[0].where;
}

void build_relay_addresses(struct build *build)
{
    for (size_t i = 0; i < 2 && policy_relays(build->policy); i++) {
        struct op *op = plan_push(build->plan, OP_ADDRESS_ADD, WHERE_JAIL, relay_where(build));

        memcpy(op->address.ifname, "lo", 3);
        op->address.prefix.addr = relay_addr(RELAY_JAIL, both_families[i]);
        op->address.prefix.length = (uint8_t)addr_bits(both_families[i]);
    }
}

/* Everything with `link relay`, else only host.netjail. */
void build_relay_routes(struct build *build)
{
    for (size_t i = 0; i < 2 && policy_relays(build->policy); i++) {
        uint8_t family = both_families[i];
        struct op *op = plan_push(build->plan, OP_ROUTE_ADD, WHERE_JAIL, relay_where(build));

        memcpy(op->route.ifname, "lo", 3);
        op->route.is_local = true;
        op->route.source = relay_addr(RELAY_JAIL, family);
        op->route.prefix.addr.family = family;
        if (policy_relay_link(build->policy))
            continue;
        op->route.prefix.addr = relay_addr(RELAY_HOST, family);
        op->route.prefix.length = (uint8_t)addr_bits(family);
    }
}

static const char *self_set(uint8_t family)
{
    return family == ADDR_V4 ? "self4" : "self6";
}

static void match_self(const struct emit *emit, uint8_t family, enum nft_field field, bool invert)
{
    struct nft_key key = {1, {(uint8_t)field}};

    term_match_family(emit->plan, family);
    term_lookup(emit->plan, &key, self_set(family), invert);
}

/* What `expose` opens; the rest of the relay's own addresses is nobody's. */
static void emit_host(const struct build *build, const struct emit *emit, const char *chain)
{
    struct set_definition set = {.family = NFT_INET,
                                 .name = "exposed",
                                 .key = {2, {FIELD_L4PROTO, FIELD_TH_DPORT}},
                                 .has_counter = true};
    const struct policy *policy = build->policy;

    emit_set(emit, &set);
    if (policy->exposes_count > 0)
        emit_elements(emit, &set, 0);
    for (size_t i = 0; i < policy->exposes_count; i++) {
        element_byte(emit->plan, policy->exposes[i].protocol);
        element_port(emit->plan, policy->exposes[i].port);
        element_end(emit->plan);
    }
    for (size_t i = 0; i < 2; i++) {
        uint8_t family = both_families[i];
        struct addr host = relay_addr(RELAY_HOST, family);
        struct prefix block = {host, family == ADDR_V4 ? 29 : 64};
        struct addr_range range = prefix_range(&block);

        emit_rule(emit, chain);
        term_match_family(emit->plan, family);
        term_match_addr(emit->plan, field_daddr(family), &host, &host);
        term_lookup(emit->plan, &set.key, set.name, false);
        term_verdict(emit->plan, NFT_ACCEPT_PACKET, NULL);
        emit_rule(emit, chain);
        term_match_family(emit->plan, family);
        term_match_addr(emit->plan, field_daddr(family), &range.first, &range.last);
        if (policy->log_denied)
            term_log(emit->plan, "denied out default");
        term_simple(emit->plan, TERM_COUNTER);
        term_verdict(emit->plan, NFT_GOTO_CHAIN, CHAIN_REFUSE);
    }
}

/* Behind the chain that accepts what goes between own addresses. Out: what is for an own address
 * comes from a foreign one; the rest is for the rules. In: from an own address it has passed the
 * rules on its way out. */
void build_relay_loopback(const struct build *build, const struct emit *emit,
                          enum direction direction, const char *chain)
{
    if (!policy_relays(build->policy))
        return;
    for (size_t i = 0; i < 2; i++) {
        uint8_t family = both_families[i];
        bool out = direction == DIRECTION_OUT;

        emit_rule(emit, chain);
        term_match_ifname(emit->plan, out ? FIELD_OIFNAME : FIELD_IIFNAME, "lo");
        match_self(emit, family, out ? field_daddr(family) : field_saddr(family), false);
        term_verdict(emit->plan, out ? NFT_DROP_PACKET : NFT_ACCEPT_PACKET, NULL);
    }
    if (direction == DIRECTION_OUT) {
        emit_host(build, emit, chain);
        return;
    }
    emit_rule(emit, chain);
    term_match_ifname(emit->plan, FIELD_IIFNAME, "lo");
    term_simple(emit->plan, TERM_COUNTER);
    term_verdict(emit->plan, NFT_DROP_PACKET, NULL);
}

/* What comes by another link and is not for an own address would be taken for local. */
static void emit_other_links(const struct emit *emit)
{
    static const char lo[IFNAME_SIZE] = "lo";

    emit_rule(emit, CHAIN_RELAY_IN);
    term_match(emit->plan, FIELD_IIFNAME, MATCH_NOT_EQUAL, lo, NULL);
    term_match_word(emit->plan, FIELD_FIB_DADDR_TYPE, MATCH_EQUAL, RTN_LOCAL_TYPE);
    term_simple(emit->plan, TERM_COUNTER);
    term_verdict(emit->plan, NFT_DROP_PACKET, NULL);
    emit_rule(emit, CHAIN_RELAY_IN);
    term_match(emit->plan, FIELD_IIFNAME, MATCH_NOT_EQUAL, lo, NULL);
    term_verdict(emit->plan, NFT_ACCEPT_PACKET, NULL);
}

static void emit_tproxy(const struct emit *emit, uint8_t family, uint8_t protocol)
{
    struct addr listener = relay_addr(RELAY_LISTENER, family);

    emit_rule(emit, CHAIN_RELAY_IN);
    term_match_family(emit->plan, family);
    term_match_byte(emit->plan, FIELD_L4PROTO, protocol);
    term_tproxy(emit->plan, &listener, RELAY_PORT);
    term_verdict(emit->plan, NFT_ACCEPT_PACKET, NULL);
}

/* What is established is looked for by itself first: nobody listens at this address. While the
 * kernel puts a connection in the place of its request, a look on another processor may find
 * neither, and the listener would answer with a reset; so the rule behind this one looks once more.
 */
static void emit_connected(const struct emit *emit, uint8_t family)
{
    struct addr nobody = relay_addr(RELAY_HOST, family);

    emit_rule(emit, CHAIN_RELAY_IN);
    term_match_family(emit->plan, family);
    term_match_byte(emit->plan, FIELD_L4PROTO, IPPROTO_TCP);
    term_match_word(emit->plan, FIELD_CT_STATE, MATCH_ANY_BIT, NF_CT_STATE_BIT(IP_CT_ESTABLISHED));
    term_tproxy(emit->plan, &nobody, RELAY_PORT);
    term_verdict(emit->plan, NFT_ACCEPT_PACKET, NULL);
}

static void match_echo(const struct emit *emit, uint8_t protocol)
{
    static const uint8_t types[] = {ICMP_ECHO, ICMP6_ECHO_REQUEST};
    bool is_v6 = protocol == IPPROTO_ICMPV6;

    term_match_byte(emit->plan, FIELD_L4PROTO, protocol);
    term_match(emit->plan, is_v6 ? FIELD_ICMPV6_TYPE : FIELD_ICMP_TYPE, MATCH_EQUAL, &types[is_v6],
               NULL);
}

/* A ping waits here, where conntrack knows it already, so that an answer is one of an established
 * flow; the service sends it on by a socket of its own, and the packet ends. */
static void emit_echo(const struct emit *emit, uint8_t protocol)
{
    static const struct {
        uint32_t mark;
        enum term_kind reject;
    } refusals[] = {
        {RELAY_NO_HOST, TERM_REJECT_HOST},
        {RELAY_NO_NETWORK, TERM_REJECT_NET},
        {RELAY_PROHIBITED, TERM_REJECT_PROHIBITED},
    };

    for (size_t i = 0; i < sizeof refusals / sizeof refusals[0]; i++) {
        emit_rule(emit, CHAIN_RELAY_IN);
        term_match_byte(emit->plan, FIELD_L4PROTO, protocol);
        term_match_word(emit->plan, FIELD_MARK, MATCH_EQUAL, refusals[i].mark);
        term_simple(emit->plan, refusals[i].reject);
    }
    emit_rule(emit, CHAIN_RELAY_IN);
    match_echo(emit, protocol);
    term_verdict(emit->plan, NFT_JUMP_CHAIN, CHAIN_RELAY_QUEUE);
    emit_rule(emit, CHAIN_RELAY_IN);
    term_match_byte(emit->plan, FIELD_L4PROTO, protocol);
    term_simple(emit->plan, TERM_REJECT_PROHIBITED);
}

static void emit_in(const struct emit *emit)
{
    emit_base_chain(emit, CHAIN_RELAY_IN, "filter", NF_INET_PRE_ROUTING, PRIORITY_IN, true);
    for (size_t i = 0; i < 2; i++) {
        emit_rule(emit, CHAIN_RELAY_IN);
        match_self(emit, both_families[i], field_daddr(both_families[i]), false);
        term_verdict(emit->plan, NFT_ACCEPT_PACKET, NULL);
    }
    emit_other_links(emit);
    for (size_t i = 0; i < 2; i++) {
        emit_connected(emit, both_families[i]);
        emit_tproxy(emit, both_families[i], IPPROTO_TCP);
        emit_tproxy(emit, both_families[i], IPPROTO_UDP);
        emit_echo(emit, i ? IPPROTO_ICMPV6 : IPPROTO_ICMP);
    }
    emit_rule(emit, CHAIN_RELAY_IN);
    term_match_byte(emit->plan, FIELD_L4PROTO, IPPROTO_TCP);
    term_simple(emit->plan, TERM_REJECT_RESET);
    emit_rule(emit, CHAIN_RELAY_IN);
    term_simple(emit->plan, TERM_REJECT_PORT);
}

static void emit_refusals(const struct emit *emit)
{
    static const struct {
        uint32_t mark;
        enum term_kind reject;
    } refusals[] = {
        {RELAY_REFUSED, TERM_REJECT_RESET},
        {RELAY_NO_HOST, TERM_REJECT_HOST},
        {RELAY_NO_NETWORK, TERM_REJECT_NET},
        {RELAY_PROHIBITED, TERM_REJECT_PROHIBITED},
    };

    for (size_t i = 0; i < sizeof refusals / sizeof refusals[0]; i++) {
        emit_rule(emit, CHAIN_RELAY_OUT);
        term_match_word(emit->plan, FIELD_MARK, MATCH_EQUAL, refusals[i].mark);
        if (refusals[i].reject == TERM_REJECT_RESET)
            term_match_byte(emit->plan, FIELD_L4PROTO, IPPROTO_TCP);
        term_simple(emit->plan, refusals[i].reject);
    }
}

/* Nobody can be reached by these through a relay. */
static void emit_unicast_only(const struct emit *emit, bool log)
{
    static const struct prefix groups[] = {{{ADDR_V4, {224}}, 3}, {{ADDR_V6, {0xff}}, 8}};

    for (size_t i = 0; i < 2; i++) {
        struct addr_range range = prefix_range(&groups[i]);

        emit_rule(emit, CHAIN_RELAY_OUT);
        term_match_family(emit->plan, groups[i].addr.family);
        term_match_addr(emit->plan, field_daddr(groups[i].addr.family), &range.first, &range.last);
        if (log)
            term_log(emit->plan, RELAY_LOG_PREFIX);
        term_verdict(emit->plan, NFT_GOTO_CHAIN, CHAIN_REFUSE);
    }
}

static void emit_waiting(const struct emit *emit)
{
    emit_rule(emit, CHAIN_RELAY_OUT);
    term_match_byte(emit->plan, FIELD_L4PROTO, IPPROTO_TCP);
    term_verdict(emit->plan, NFT_JUMP_CHAIN, CHAIN_RELAY_QUEUE);
    emit_rule(emit, CHAIN_RELAY_OUT);
    term_match_byte(emit->plan, FIELD_L4PROTO, IPPROTO_TCP);
    term_verdict(emit->plan, NFT_ACCEPT_PACKET, NULL);
    emit_rule(emit, CHAIN_RELAY_OUT);
    term_match_byte(emit->plan, FIELD_L4PROTO, IPPROTO_UDP);
    term_verdict(emit->plan, NFT_ACCEPT_PACKET, NULL);
    for (size_t i = 0; i < 2; i++) { /* they wait in relay_in */
        emit_rule(emit, CHAIN_RELAY_OUT);
        match_echo(emit, i ? IPPROTO_ICMPV6 : IPPROTO_ICMP);
        term_verdict(emit->plan, NFT_ACCEPT_PACKET, NULL);
    }
    emit_rule(emit, CHAIN_RELAY_OUT);
    term_verdict(emit->plan, NFT_GOTO_CHAIN, CHAIN_REFUSE);
}

static void emit_established(const struct emit *emit, uint8_t protocol)
{
    emit_rule(emit, CHAIN_RELAY_OUT);
    term_match_byte(emit->plan, FIELD_L4PROTO, protocol);
    term_match_word(emit->plan, FIELD_CT_STATE, MATCH_ANY_BIT, NF_CT_STATE_BIT(IP_CT_ESTABLISHED));
    term_verdict(emit->plan, NFT_ACCEPT_PACKET, NULL);
}

static void emit_out(const struct emit *emit, bool log)
{
    static const char lo[IFNAME_SIZE] = "lo";

    emit_base_chain(emit, CHAIN_RELAY_OUT, "filter", NF_INET_LOCAL_OUT, PRIORITY_OUT, true);
    emit_rule(emit, CHAIN_RELAY_OUT);
    term_match(emit->plan, FIELD_OIFNAME, MATCH_NOT_EQUAL, lo, NULL);
    term_verdict(emit->plan, NFT_ACCEPT_PACKET, NULL);
    emit_established(emit, IPPROTO_TCP); /* nearly all packets: first */
    emit_established(emit, IPPROTO_UDP);
    for (size_t i = 0; i < 2; i++) {
        emit_rule(emit, CHAIN_RELAY_OUT);
        match_self(emit, both_families[i], field_daddr(both_families[i]), false);
        term_verdict(emit->plan, NFT_ACCEPT_PACKET, NULL);
    }
    emit_refusals(emit);
    emit_rule(emit, CHAIN_RELAY_OUT);
    term_match_word(emit->plan, FIELD_CT_STATE, MATCH_ANY_BIT,
                    NF_CT_STATE_BIT(IP_CT_ESTABLISHED) | NF_CT_STATE_BIT(IP_CT_RELATED));
    term_verdict(emit->plan, NFT_ACCEPT_PACKET, NULL);
    emit_unicast_only(emit, log);
    emit_waiting(emit);
    emit_rule(emit, CHAIN_RELAY_QUEUE);
    term_simple(emit->plan, TERM_QUEUE);
}

void build_relay_chains(const struct build *build, const struct emit *emit)
{
    struct emit own = *emit;

    if (!policy_relays(build->policy))
        return;
    own.position = relay_where(build);
    build->plan->relays = true;
    build->plan->queues = true;
    emit_chain(&own, CHAIN_RELAY_QUEUE);
    emit_in(&own);
    emit_out(&own, build->policy->log_denied);
}
