/* A rule on its own: one with `rate` or `log`, or with sets too large to be multiplied out.
 *
 * It becomes one nft rule for each family and kind of protocol match; lists of addresses,
 * protocols, ports and types become sets. Where that are several and the rule has a rate, they jump
 * to a chain that holds the limit once. Pure. What must not happen: two limits for one rule, or a
 * match on th dport for a protocol that has no ports. */
#include "plan/rules_internal.h"

#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

/* One nft rule to be: everything of one kind and family. */
struct matcher {
    uint8_t family;            /* ADDR_NONE: both, any address */
    struct proto_match single; /* when count == 1 */
    enum match_kind kind;
    uint8_t number; /* MATCH_KIND_TYPE: the protocol */
    size_t count;   /* of protocol matches */
    char set[NFT_NAME_SIZE];
};

static bool matcher_has(const struct matcher *matcher, const struct proto_match *proto)
{
    if (proto->kind != matcher->kind)
        return false;
    if (proto->kind == MATCH_KIND_TYPE && proto->first != matcher->number)
        return false;
    return proto->family == ADDR_NONE || matcher->family == ADDR_NONE ||
           proto->family == matcher->family;
}

static void key_of_kind(const struct matcher *matcher, struct nft_key *key)
{
    key->count = 1;
    key->fields[0] = FIELD_L4PROTO;
    if (matcher->kind == MATCH_KIND_PORT) {
        key->count = 2;
        key->fields[1] = FIELD_TH_DPORT;
    } else if (matcher->kind == MATCH_KIND_TYPE) {
        key->fields[0] = matcher->number == IPPROTO_ICMP ? FIELD_ICMP_TYPE : FIELD_ICMPV6_TYPE;
    }
}

/* The set of the protocols, ports or types of a matcher that has several. */
static void matcher_emit_set(struct rules_context *context, const struct protos *protos,
                             struct matcher *matcher)
{
    struct plan *plan = context->emit.plan;
    struct set_definition set = {
        .family = NFT_INET, .is_interval = matcher->kind == MATCH_KIND_PORT, .has_counter = true};

    key_of_kind(matcher, &set.key);
    rules_set_name(context, "protocols", set.name);
    memcpy(matcher->set, set.name, sizeof set.name);
    emit_set(&context->emit, &set);
    emit_elements(&context->emit, &set, 0);
    for (size_t i = 0; i < protos->list_count; i++) {
        const struct proto_match *proto = &protos->list[i];

        if (!matcher_has(matcher, proto))
            continue;
        element_byte(plan, proto->kind == MATCH_KIND_TYPE ? (uint8_t)proto->x_first : proto->first);
        if (proto->kind == MATCH_KIND_PORT) {
            element_port(plan, proto->x_first);
            element_byte(plan, proto->first);
            element_port(plan, proto->x_last);
        }
        element_end(plan);
    }
}

static bool matcher_fill(struct matcher *matcher, const struct protos *protos)
{
    for (size_t i = 0; i < protos->list_count; i++)
        if (matcher_has(matcher, &protos->list[i])) {
            matcher->single = protos->list[i];
            matcher->count++;
        }
    return matcher->count > 0;
}

/* The address clause of the open rule; the set has been made before. */
static void emit_clause(struct rules_context *context, const struct set *set, enum nft_field field,
                        uint8_t family)
{
    const struct spans *spans = rules_set_spans(context, set, family);
    struct nft_key key = {1, {(uint8_t)field}};

    if (spans->is_any)
        return;
    if (spans->list_count == 1)
        term_match_span(context->emit.plan, field, &spans->list[0], family);
    else
        term_lookup(context->emit.plan, &key, rules_named_set(context, set, family), false);
}

static void matcher_emit(struct rules_context *context, const struct rule *rule,
                         const struct matcher *matcher, const char *chain)
{
    struct plan *plan = context->emit.plan;

    emit_rule(&context->emit, chain);
    if (matcher->family != ADDR_NONE) {
        term_match_family(plan, matcher->family);
        emit_clause(context, &rule->from, field_saddr(matcher->family), matcher->family);
        emit_clause(context, &rule->to, field_daddr(matcher->family), matcher->family);
    }
    if (matcher->count == 1) {
        term_match_proto(plan, &matcher->single);
    } else {
        struct nft_key key;

        key_of_kind(matcher, &key);
        if (matcher->kind == MATCH_KIND_TYPE)
            term_match_byte(plan, FIELD_L4PROTO, matcher->number);
        term_lookup(plan, &key, matcher->set, false);
    }
}

/* Sets are made before the rule is begun. False where the rule covers nothing of this family. */
static bool prepare_sets(struct rules_context *context, const struct rule *rule, uint8_t family)
{
    const struct set *sets[] = {&rule->from, &rule->to};

    for (size_t i = 0; i < 2; i++)
        if (rules_set_spans(context, sets[i], family)->list_count == 0)
            return false;
    for (size_t i = 0; i < 2; i++)
        if (rules_set_spans(context, sets[i], family)->list_count > 1)
            (void)rules_named_set(context, sets[i], family); /* made now, named later */
    return true;
}

#define MATCHERS_MAX 16

static size_t add_matchers(struct rules_context *context, const struct protos *protos,
                           uint8_t family, bool restricted_only, struct matcher *matchers)
{
    static const struct {
        enum match_kind kind;
        uint8_t number;
    } kinds[] = {{MATCH_KIND_ANY, 0},
                 {MATCH_KIND_PLAIN, 0},
                 {MATCH_KIND_PORT, 0},
                 {MATCH_KIND_TYPE, IPPROTO_ICMP},
                 {MATCH_KIND_TYPE, IPPROTO_ICMPV6}};
    struct protos chosen = {0};
    size_t count = 0;

    for (size_t i = 0; i < protos->list_count; i++)
        if (family == ADDR_NONE ? protos->list[i].family == ADDR_NONE
                                : !restricted_only || protos->list[i].family == family)
            *ARENA_PUSH(context->scratch, &chosen, list) = protos->list[i];
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        struct matcher matcher = {
            .family = family, .kind = kinds[i].kind, .number = kinds[i].number};

        if (!matcher_fill(&matcher, &chosen))
            continue;
        if (matcher.count > 1)
            matcher_emit_set(context, &chosen, &matcher);
        matchers[count++] = matcher;
    }
    return count;
}

/* The limit once, for several matchers. */
static void emit_rate_chain(struct rules_context *context, const struct rule *rule,
                            char name[NFT_NAME_SIZE])
{
    rules_set_name(context, "rate", name);
    emit_chain(&context->emit, name);
    emit_rule(&context->emit, name);
    term_limit(context->emit.plan, rule->rate.count, rule->rate.unit_s, rule->rate.burst);
    rule_emit_end(context, rule->verdict, rule->direction, rule, rule, rule->log);
}

void rule_emit_alone(struct rules_context *context, const struct rule *rule, const char *chain)
{
    static const uint8_t families[] = {ADDR_V4, ADDR_V6};
    struct plan *plan = context->emit.plan;
    struct matcher matchers[MATCHERS_MAX];
    struct protos protos = {0};
    char rate_chain[NFT_NAME_SIZE] = "";
    bool any_address = rule_any_address(context, rule);
    size_t count = 0;

    context->emit.position = rule->where;
    rule_protos(context->scratch, rule, &protos);
    if (any_address)
        count += add_matchers(context, &protos, ADDR_NONE, false, matchers);
    for (size_t i = 0; i < 2; i++)
        if (prepare_sets(context, rule, families[i]))
            count += add_matchers(context, &protos, families[i], any_address, matchers + count);
    if (rule->rate.given && count > 1)
        emit_rate_chain(context, rule, rate_chain);
    for (size_t i = 0; i < count; i++) {
        matcher_emit(context, rule, &matchers[i], chain);
        if (rate_chain[0]) {
            term_verdict(plan, NFT_JUMP_CHAIN, rate_chain);
            continue;
        }
        if (rule->rate.given)
            term_limit(plan, rule->rate.count, rule->rate.unit_s, rule->rate.burst);
        rule_emit_end(context, rule->verdict, rule->direction, rule, rule, rule->log);
    }
}
