/* The jail's own table: what may enter, leave and pass.
 *
 * Each chain: what is established; nothing invalid; loopback between the jail's own addresses;
 * neighbour discovery; the policy's rules; what `publish` implies; the default. The chains drop by
 * policy, so that a table that is only half there is closed. Loaded as one batch before any link is
 * up. Pure. What must not happen: a jail without this table, however empty its policy is.
 *
 * Where there is no link there is nothing to judge: lo is open, everything else stays closed,
 * should an interface ever appear. Whatever comes in passes one hook and whatever goes out another,
 * forwarded or not: two base chains instead of three, which is 0.6 ms of the start where nothing
 * else on the machine filters (ARCHITECTURE.md). */
#include "plan/build_internal.h"
#include "plan/pool.h"
#include "policy/relay.h"

/* First: the kernel's own header of these names yields to it. */
#include <netinet/in.h>

#include <linux/netfilter.h>
#include <linux/netfilter/nf_conntrack_common.h>
#include <linux/rtnetlink.h>
#include <netinet/icmp6.h>
#include <stdlib.h>
#include <string.h>

#define CHAIN_LOOPBACK "loopback"

static const char *chain_names[DIRECTION_COUNT] = {
    [DIRECTION_IN] = "input", [DIRECTION_OUT] = "output", [DIRECTION_FORWARD] = "forward"};

static const uint8_t both_families[] = {ADDR_V4, ADDR_V6};
static const char *const self_names[] = {"self4", "self6"}; /* the jail's own addresses */

/* The field that tells which link a packet of a direction uses. */
static enum nft_field link_field(enum direction direction)
{
    return direction == DIRECTION_IN ? FIELD_IIFNAME : FIELD_OIFNAME;
}

static void emit_refuse(const struct emit *emit)
{
    emit_rule(emit, CHAIN_REFUSE);
    term_match_byte(emit->plan, FIELD_L4PROTO, IPPROTO_TCP);
    term_simple(emit->plan, TERM_REJECT_RESET);
    emit_rule(emit, CHAIN_REFUSE);
    term_simple(emit->plan, TERM_REJECT_PROHIBITED);
}

/* 127/8, ::1, and every address that the jail itself has, the link-local ones included. */
static struct spans self_spans(const struct build *build, uint8_t family)
{
    static const struct prefix own[] = {{{ADDR_V4, {127}}, 8}, {{ADDR_V6, {[15] = 1}}, 128}};
    struct spans spans = {0};

    for (size_t i = 0; i < 2; i++)
        if (own[i].addr.family == family) {
            struct addr_range range = prefix_range(&own[i]);
            spans_add(build->scratch, &spans, span_of(&range));
        }
    for (size_t i = 0; i < build->plan->addresses_count; i++)
        if (build->plan->addresses[i].prefix.addr.family == family) {
            struct addr_range range = addr_range_of(&build->plan->addresses[i].prefix.addr);
            spans_add(build->scratch, &spans, span_of(&range));
        }
    for (size_t i = 0; i < build->links_count && family == ADDR_V6; i++) {
        struct addr addr = mac_link_local(&build->links[i].jail_mac);
        struct addr_range range = addr_range_of(&addr);
        spans_add(build->scratch, &spans, span_of(&range));
    }
    if (policy_relays(build->policy)) {
        struct addr addr = relay_addr(RELAY_JAIL, family);
        struct addr_range range = addr_range_of(&addr);

        spans_add(build->scratch, &spans, span_of(&range));
    }
    spans_normalise(&spans, family);
    return spans;
}

static void emit_span_set(const struct emit *emit, const char *name, const struct spans *spans,
                          uint8_t family)
{
    struct set_definition set = {
        .family = NFT_INET, .key = {1, {(uint8_t)field_daddr(family)}}, .is_interval = true};

    memcpy(set.name, name, strlen(name) + 1);
    emit_set(emit, &set);
    if (spans->list_count > 0)
        emit_elements(emit, &set, 0);
    for (size_t i = 0; i < spans->list_count; i++) {
        struct addr first = span_addr(spans->list[i].first, family);
        struct addr last = span_addr(spans->list[i].last, family);

        element_addr(emit->plan, &first);
        element_addr(emit->plan, &last);
        element_end(emit->plan);
    }
}

/* Root may connect this jail with another one while it runs. That cable's interface has a group
 * by which the rules know it, and its addresses are found by asking for local ones, which with
 * `link relay` are all. */
static bool may_get_cables(const struct build *build)
{
    for (size_t i = 0; i < build->policy->links_count; i++)
        if (build->policy->links[i].kind == LINK_RELAY)
            return false;
    return build->facts->privileged;
}

/* Nobody speaks over a cable for addresses that no route leads to over that cable: its other end is
 * another jail, where nothing pins what it sends. Also what belongs to known connections is looked
 * at. */
static void emit_cable_sources(const struct build *build, const struct emit *emit,
                               enum direction direction)
{
    if (direction == DIRECTION_OUT || !may_get_cables(build))
        return;
    emit_rule(emit, chain_names[direction]);
    term_match_word(emit->plan, FIELD_IIFGROUP, MATCH_EQUAL, GROUP_CABLE);
    term_match_word(emit->plan, FIELD_FIB_SADDR_OIF, MATCH_EQUAL, 0);
    term_simple(emit->plan, TERM_COUNTER);
    term_verdict(emit->plan, NFT_DROP_PACKET, NULL);
}

/* Anything on lo that is not between own addresses is dropped: a route to lo must not become a way
 * around the rules. */
static void emit_loopback(const struct build *build, const struct emit *emit)
{
    for (size_t i = 0; i < 2; i++) {
        struct spans spans = self_spans(build, both_families[i]);
        struct nft_key source = {1, {(uint8_t)field_saddr(both_families[i])}};
        struct nft_key destination = {1, {(uint8_t)field_daddr(both_families[i])}};

        emit_span_set(emit, self_names[i], &spans, both_families[i]);
        emit_rule(emit, CHAIN_LOOPBACK);
        term_match_family(emit->plan, both_families[i]);
        term_lookup(emit->plan, &source, self_names[i], false);
        term_lookup(emit->plan, &destination, self_names[i], false);
        term_verdict(emit->plan, NFT_ACCEPT_PACKET, NULL);
    }
    if (policy_relays(build->policy))
        return; /* build_relay_loopback() goes on, by direction */
    if (may_get_cables(build)) {
        emit_rule(emit, CHAIN_LOOPBACK);
        term_match_word(emit->plan, FIELD_FIB_SADDR_TYPE, MATCH_EQUAL, RTN_LOCAL);
        term_match_word(emit->plan, FIELD_FIB_DADDR_TYPE, MATCH_EQUAL, RTN_LOCAL);
        term_verdict(emit->plan, NFT_ACCEPT_PACKET, NULL);
    }
    emit_rule(emit, CHAIN_LOOPBACK);
    term_simple(emit->plan, TERM_COUNTER);
    term_verdict(emit->plan, NFT_DROP_PACKET, NULL);
}

static void emit_state(const struct emit *emit, const char *chain)
{
    emit_rule(emit, chain);
    term_match_word(emit->plan, FIELD_CT_STATE, MATCH_ANY_BIT,
                    NF_CT_STATE_BIT(IP_CT_ESTABLISHED) | NF_CT_STATE_BIT(IP_CT_RELATED));
    term_simple(emit->plan, TERM_COUNTER);
    term_verdict(emit->plan, NFT_ACCEPT_PACKET, NULL);
    emit_rule(emit, chain);
    term_match_word(emit->plan, FIELD_CT_STATE, MATCH_ANY_BIT, NF_CT_STATE_INVALID_BIT);
    term_verdict(emit->plan, NFT_DROP_PACKET, NULL);
}

/* Neighbour discovery without router advertisements (RFC 4861). */
static void accept_neighbours(const struct emit *emit)
{
    static const uint8_t first = ND_NEIGHBOR_SOLICIT;
    static const uint8_t last = ND_NEIGHBOR_ADVERT;

    term_match_family(emit->plan, ADDR_V6);
    term_match_byte(emit->plan, FIELD_L4PROTO, IPPROTO_ICMPV6);
    term_match(emit->plan, FIELD_ICMPV6_TYPE, MATCH_RANGE, &first, &last);
    term_verdict(emit->plan, NFT_ACCEPT_PACKET, NULL);
}

/* On links that have IPv6. */
static void emit_neighbours(const struct build *build, const struct emit *emit,
                            enum direction direction)
{
    for (size_t i = 0; i < build->links_count; i++) {
        const struct link_plan *link = &build->links[i];

        if (!prefixes_have(&link->addresses, ADDR_V6))
            continue;
        emit_rule(emit, chain_names[direction]);
        term_match_ifname(emit->plan, link_field(direction), link->link->ifname);
        accept_neighbours(emit);
    }
    if (may_get_cables(build)) {
        emit_rule(emit, chain_names[direction]);
        term_match_word(emit->plan, direction == DIRECTION_IN ? FIELD_IIFGROUP : FIELD_OIFGROUP,
                        MATCH_EQUAL, GROUP_CABLE);
        accept_neighbours(emit);
    }
}

/* The addresses that the host has on a link, also where the policy does not state them (an external
 * bridge). */
static void add_host_addresses(const struct build *build, const struct link_plan *link,
                               struct spans *spans, uint8_t family)
{
    const struct facts *facts = build->facts;

    for (size_t i = 0; i < link->outer_addresses.list_count; i++)
        if (link->outer_addresses.list[i].addr.family == family) {
            struct addr_range range = addr_range_of(&link->outer_addresses.list[i].addr);
            spans_add(build->scratch, spans, span_of(&range));
        }
    for (size_t i = 0; i < facts->addresses_count; i++)
        if (facts->addresses[i].prefix.addr.family == family &&
            strcmp(facts->addresses[i].ifname, link->outer_name) == 0) {
            struct addr_range range = addr_range_of(&facts->addresses[i].prefix.addr);
            spans_add(build->scratch, spans, span_of(&range));
        }
}

/* Who may come through a published port: everybody who is not a neighbour on the link, and the host
 * (which masquerades what a neighbour sends to its address). */
static struct spans through_spans(const struct build *build, uint8_t family)
{
    static const struct prefix link_local = {{ADDR_V6, {0xfe, 0x80}}, 10};
    struct addr_range local = prefix_range(&link_local);
    struct spans connected = {0};
    struct spans through;

    for (size_t i = 0; i < build->links_count; i++)
        for (size_t k = 0; k < build->links[i].addresses.list_count; k++) {
            struct addr_range range = prefix_range(&build->links[i].addresses.list[k]);

            if (range.first.family == family)
                spans_add(build->scratch, &connected, span_of(&range));
        }
    if (family == ADDR_V6)
        spans_add(build->scratch, &connected, span_of(&local));
    spans_normalise(&connected, family);
    through = spans_complement(build->scratch, &connected, family);
    for (size_t i = 0; i < build->links_count; i++) {
        const struct link_plan *link = &build->links[i];

        add_host_addresses(build, link, &through, family);
        for (size_t k = 0; k < link->gateways.list_count; k++)
            if (link->gateways.list[k].family == family) {
                struct addr_range range = addr_range_of(&link->gateways.list[k]);
                spans_add(build->scratch, &through, span_of(&range));
            }
    }
    spans_normalise(&through, family);
    return through;
}

static int publish_compare(const void *a, const void *b)
{
    const struct publish_plan *left = a;
    const struct publish_plan *right = b;

    if (left->publish->protocol != right->publish->protocol)
        return left->publish->protocol - right->publish->protocol;
    return left->jail_port - right->jail_port;
}

/* The ports inside that are published elsewhere than on loopback, each once; what comes from there
 * comes by lo. */
static void emit_published_set(const struct build *build, const struct emit *emit,
                               struct set_definition *set)
{
    size_t count = 0;
    struct publish_plan *sorted =
        arena_alloc(build->scratch, build->publishes_count * sizeof *sorted);

    *set = (struct set_definition){.family = NFT_INET,
                                   .name = "published",
                                   .key = {2, {FIELD_L4PROTO, FIELD_TH_DPORT}},
                                   .has_counter = true};
    for (size_t i = 0; i < build->publishes_count; i++)
        if (publish_is_outside(build->publishes[i].publish))
            sorted[count++] = build->publishes[i];
    qsort(sorted, count, sizeof *sorted, publish_compare);
    emit_set(emit, set);
    emit_elements(emit, set, 0);
    for (size_t i = 0; i < count; i++) {
        if (i > 0 && publish_compare(&sorted[i - 1], &sorted[i]) == 0)
            continue;
        element_byte(emit->plan, sorted[i].publish->protocol);
        element_port(emit->plan, sorted[i].jail_port);
        element_end(emit->plan);
    }
}

/* By this link the host sends what it has published; by another one (a cable to a jail, a child of
 * an interface) nobody comes through the host. */
static void emit_published_by(const struct emit *emit, const struct link_plan *link, uint8_t family,
                              const char *through, const struct set_definition *set)
{
    struct nft_key key = {1, {(uint8_t)field_saddr(family)}};

    emit_rule(emit, chain_names[DIRECTION_IN]);
    term_match_ifname(emit->plan, FIELD_IIFNAME, link->link->ifname);
    term_match_family(emit->plan, family);
    term_lookup(emit->plan, &key, through, false);
    term_lookup(emit->plan, &set->key, set->name, false);
    term_simple(emit->plan, TERM_COUNTER);
    term_verdict(emit->plan, NFT_ACCEPT_PACKET, NULL);
}

static void emit_published(const struct build *build, const struct emit *emit)
{
    static const char *names[] = {"through4", "through6"};
    struct set_definition set;

    if (!publishes_outside(build) || !build_has_host_link(build))
        return;
    emit_published_set(build, emit, &set);
    for (size_t i = 0; i < 2; i++) {
        uint8_t family = both_families[i];
        struct spans through;

        if (!build_first_address(build, family))
            continue;
        through = through_spans(build, family);
        emit_span_set(emit, names[i], &through, family);
        for (size_t k = 0; k < build->links_count; k++)
            if (build->links[k].on_host)
                emit_published_by(emit, &build->links[k], family, names[i], &set);
    }
}

/* The kernel announces its multicast groups by itself (RFC 3810); that is nothing to report. */
static void emit_quiet_reports(const struct emit *emit)
{
    static const uint8_t report = 143;

    emit_rule(emit, chain_names[DIRECTION_OUT]);
    term_match_family(emit->plan, ADDR_V6);
    term_match_byte(emit->plan, FIELD_L4PROTO, IPPROTO_ICMPV6);
    term_match(emit->plan, FIELD_ICMPV6_TYPE, MATCH_EQUAL, &report, NULL);
    term_verdict(emit->plan, NFT_DROP_PACKET, NULL);
}

static void emit_default(struct rules_context *context, enum direction direction)
{
    const struct policy *policy = context->policy;
    enum verdict verdict = policy->defaults[direction];
    char prefix[64];

    context->emit.position = policy->defaults_where[direction];
    if (verdict != VERDICT_ALLOW && policy->log_denied && direction == DIRECTION_OUT)
        emit_quiet_reports(&context->emit);
    emit_rule(&context->emit, chain_names[direction]);
    if (verdict != VERDICT_ALLOW && policy->log_denied) {
        rules_log_prefix(context, verdict, direction, NULL, NULL, prefix);
        term_log(context->emit.plan, prefix);
    }
    term_simple(context->emit.plan, TERM_COUNTER);
    rules_term_verdict(context->emit.plan, verdict);
}

static void emit_base_chains(const struct emit *emit)
{
    static const unsigned hooks[DIRECTION_COUNT] = {[DIRECTION_IN] = NF_INET_LOCAL_IN,
                                                    [DIRECTION_OUT] = NF_INET_LOCAL_OUT,
                                                    [DIRECTION_FORWARD] = NF_INET_FORWARD};

    emit_table(emit);
    for (size_t i = 0; i < DIRECTION_COUNT; i++)
        emit_base_chain(emit, chain_names[i], "filter", hooks[i], 0, true);
}

static void emit_chains(const struct emit *emit)
{
    emit_base_chains(emit);
    emit_chain(emit, CHAIN_LOOPBACK);
    emit_chain(emit, CHAIN_REFUSE);
}

/* Opens a rule about what leaves by the link. Not about a refusal: that comes from the address that
 * was asked for, and a router sends it for others. */
static void begin_leaving(const struct emit *emit, const struct link_plan *link)
{
    emit_rule(emit, chain_names[DIRECTION_OUT]);
    term_match_ifname(emit->plan, FIELD_OIFNAME, link->link->ifname);
    term_match_word(emit->plan, FIELD_CT_STATE, MATCH_NO_BIT, NF_CT_STATE_BIT(IP_CT_RELATED));
}

/* With `link relay` all addresses are local ones. */
static void emit_self_sources(const struct emit *emit, const struct link_plan *link)
{
    for (size_t i = 0; i < 2; i++) {
        struct nft_key source = {1, {(uint8_t)field_saddr(both_families[i])}};

        begin_leaving(emit, link);
        term_match_family(emit->plan, both_families[i]);
        term_lookup(emit->plan, &source, self_names[i], true);
        term_simple(emit->plan, TERM_COUNTER);
        term_verdict(emit->plan, NFT_DROP_PACKET, NULL);
    }
}

/* Links whose frames nobody outside pins to the jail's own addresses: children and devices, and all
 * links of a router, which speaks for others, but only where it forwards. The command sends from
 * its own addresses only; IPv6 lets every program bind to a foreign one (IPV6_FREEBIND). */
static void emit_own_sources(const struct build *build, const struct emit *emit,
                             enum direction direction)
{
    for (size_t i = 0; i < build->links_count && direction == DIRECTION_OUT; i++) {
        const struct link_plan *link = &build->links[i];

        if (!link->is_child && !build->policy->forward)
            continue;
        if (policy_relay_link(build->policy)) {
            emit_self_sources(emit, link);
            continue;
        }
        begin_leaving(emit, link);
        term_match_word(emit->plan, FIELD_FIB_SADDR_TYPE, MATCH_NOT_EQUAL, RTN_LOCAL);
        term_simple(emit->plan, TERM_COUNTER);
        term_verdict(emit->plan, NFT_DROP_PACKET, NULL);
    }
}

static void emit_prologue(const struct build *build, const struct emit *emit,
                          enum direction direction)
{
    const char *chain = chain_names[direction];

    emit_cable_sources(build, emit, direction);
    emit_own_sources(build, emit, direction);
    emit_state(emit, chain);
    if (direction == DIRECTION_FORWARD)
        return;
    emit_rule(emit, chain);
    term_match_ifname(emit->plan, link_field(direction), "lo");
    term_verdict(emit->plan, policy_relays(build->policy) ? NFT_JUMP_CHAIN : NFT_GOTO_CHAIN,
                 CHAIN_LOOPBACK);
    build_relay_loopback(build, emit, direction, chain);
    emit_neighbours(build, emit, direction);
}

bool build_judges_nothing(const struct build *build)
{
    const struct policy *policy = build->policy;

    /* Somebody else may lay a cable to this jail. */
    for (int i = 0; i < DIRECTION_COUNT && build->facts->privileged; i++)
        if (policy->defaults_given[i])
            return false;
    return policy->links_count == 0 && policy->rules_count == 0 && build->publishes_count == 0 &&
           !policy_relays(policy) && !policy->log_denied && !policy->forward;
}

static void emit_only_loopback(const struct emit *emit)
{
    static const struct {
        const char *chain;
        unsigned hook;
        enum nft_field link;
    } ways[] = {{"arriving", NF_INET_PRE_ROUTING, FIELD_IIFNAME},
                {"leaving", NF_INET_POST_ROUTING, FIELD_OIFNAME}};

    emit_table(emit);
    for (size_t i = 0; i < sizeof ways / sizeof ways[0]; i++) {
        emit_base_chain(emit, ways[i].chain, "filter", ways[i].hook, 0, true);
        emit_rule(emit, ways[i].chain);
        term_match_ifname(emit->plan, ways[i].link, "lo");
        term_verdict(emit->plan, NFT_ACCEPT_PACKET, NULL);
    }
}

int build_jail_table(struct build *build)
{
    struct rules_context context = {
        .emit = {build->plan, WHERE_JAIL, NFT_INET, {0}},
        .scratch = build->scratch,
        .policy = build->policy,
        .symbols = &build->symbols,
        .diags = build->diags,
    };
    struct emit own = context.emit;

    if (build_judges_nothing(build)) {
        if (build->facts->is_named)
            emit_only_loopback(&own);
        return 0;
    }
    rules_begin(&context);
    emit_chains(&own);
    emit_refuse(&own);
    emit_loopback(build, &own);
    rules_emit_dynamic_sets(&context);
    build_relay_chains(build, &own);
    for (int i = 0; i < DIRECTION_COUNT; i++) {
        enum direction direction = (enum direction)i;

        emit_prologue(build, &own, direction);
        rules_compile(&context, direction, chain_names[i]);
        if (direction == DIRECTION_IN)
            emit_published(build, &own);
        emit_default(&context, direction);
    }
    return 0;
}
