/* A rule on its own: one with `rate` or `log`, with sets too large to be multiplied out, or with
 * names or jails, whose addresses are known later.
 *
 * It becomes one nft rule for each family and kind of protocol match; lists of addresses,
 * protocols, ports and types become sets. Addresses that are written in the policy, those of names
 * and those of jails are three sides of one SET, each with a look-up of its own. Where that are
 * several and the rule has a rate, they jump to a chain that holds the limit once. Pure. What must
 * not happen: two limits for one rule, or a match on th dport for a protocol that has no ports. */
#include "plan/dynamic.h"
#include "plan/rules_internal.h"

#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

/* One side of a SET: its written addresses, or a set whose contents come and go. */
struct side {
    uint32_t number; /* 0: the written addresses */
    enum dynamic_kind kind;
};

struct variant {
    struct side from;
    struct side to;
};

/* One nft rule to be: everything of one kind and family. */
struct matcher {
    struct variant variant;
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
static void emit_clause(struct rules_context *context, const struct set *set,
                        const struct side *side, enum nft_field field, uint8_t family)
{
    const struct spans *spans;
    struct nft_key key = {1, {(uint8_t)field}};
    char name[NFT_NAME_SIZE];

    if (side->number > 0) {
        dynamic_set_name(side->kind, side->number, family, name);
        term_lookup(context->emit.plan, &key, name, false);
        return;
    }
    spans = rules_set_spans(context, set, family);
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
        emit_clause(context, &rule->from, &matcher->variant.from, field_saddr(matcher->family),
                    matcher->family);
        emit_clause(context, &rule->to, &matcher->variant.to, field_daddr(matcher->family),
                    matcher->family);
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

/* Sets are made before the rule is begun. False where the side covers nothing of this family. */
static bool prepare_side(struct rules_context *context, const struct set *set,
                         const struct side *side, uint8_t family)
{
    const struct spans *spans;

    if (side->number > 0)
        return true;
    spans = rules_set_spans(context, set, family);
    if (spans->list_count > 1)
        (void)rules_named_set(context, set, family); /* made now, named later */
    return spans->list_count > 0;
}

#define SIDES_MAX    3
#define MATCHERS_MAX ((size_t)16 * SIDES_MAX * SIDES_MAX)

static size_t add_matchers(struct rules_context *context, const struct protos *protos,
                           uint8_t family, bool restricted_only, const struct variant *variant,
                           struct matcher *matchers)
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
        struct matcher matcher = {.variant = *variant,
                                  .family = family,
                                  .kind = kinds[i].kind,
                                  .number = kinds[i].number};

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

/* The sides of a SET; with `any` in it there is one. */
static size_t sides_of(struct rules_context *context, const struct set *set, uint32_t names,
                       uint32_t jails, struct side sides[SIDES_MAX])
{
    size_t count = 1;

    sides[0] = (struct side){0};
    if (rules_set_spans(context, set, ADDR_V4)->is_any &&
        rules_set_spans(context, set, ADDR_V6)->is_any)
        return count;
    if (names > 0)
        sides[count++] = (struct side){names, DYNAMIC_NAMES};
    if (jails > 0)
        sides[count++] = (struct side){jails, DYNAMIC_JAILS};
    return count;
}

static size_t add_variant(struct rules_context *context, const struct rule *rule,
                          const struct protos *protos, const struct variant *variant,
                          struct matcher *matchers)
{
    static const uint8_t families[] = {ADDR_V4, ADDR_V6};
    bool any_address =
        variant->from.number == 0 && variant->to.number == 0 && rule_any_address(context, rule);
    size_t count = 0;

    if (any_address)
        count += add_matchers(context, protos, ADDR_NONE, false, variant, matchers);
    for (size_t i = 0; i < 2; i++)
        if (prepare_side(context, &rule->from, &variant->from, families[i]) &&
            prepare_side(context, &rule->to, &variant->to, families[i]))
            count +=
                add_matchers(context, protos, families[i], any_address, variant, matchers + count);
    return count;
}

static size_t add_variants(struct rules_context *context, const struct rule *rule,
                           struct matcher *matchers)
{
    struct side from[SIDES_MAX];
    struct side to[SIDES_MAX];
    size_t from_count = sides_of(context, &rule->from, 0, rule->from_jails, from);
    size_t to_count = sides_of(context, &rule->to, rule->to_names, rule->to_jails, to);
    struct protos protos = {0};
    size_t count = 0;

    rule_protos(context->scratch, rule, &protos);
    for (size_t i = 0; i < from_count; i++)
        for (size_t k = 0; k < to_count; k++) {
            struct variant variant = {from[i], to[k]};

            count += add_variant(context, rule, &protos, &variant, matchers + count);
        }
    return count;
}

void rule_emit_alone(struct rules_context *context, const struct rule *rule, const char *chain)
{
    struct plan *plan = context->emit.plan;
    struct matcher *matchers = arena_alloc(context->scratch, MATCHERS_MAX * sizeof *matchers);
    char rate_chain[NFT_NAME_SIZE] = "";
    size_t count;

    context->emit.position = rule->where;
    count = add_variants(context, rule, matchers);
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
