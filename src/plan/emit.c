/* Appending nftables ops to a plan.
 *
 * Pure, no privilege. Order: a rule (or an elements op) is open from its emit_* call to the next
 * op; terms and bytes belong to it. What must not happen: a term that lands in another rule, or an
 * element whose length is not that of its set. Both are asserted, since they would be a mistake in
 * this program and not in its input. */
#include "plan/emit.h"

#include <arpa/inet.h>
#include <assert.h>
#include <stdio.h>
#include <string.h>

#include <linux/netfilter.h>

static void name_copy(char target[NFT_NAME_SIZE], const char *name)
{
    int length = snprintf(target, NFT_NAME_SIZE, "%s", name);

    assert(length > 0 && length < NFT_NAME_SIZE);
    (void)length; /* only looked at by the assertion */
}

static struct op *emit_op(const struct emit *emit, enum op_kind kind)
{
    return plan_push(emit->plan, kind, emit->where, emit->position);
}

void emit_table(const struct emit *emit)
{
    emit_op(emit, OP_NFT_TABLE_ADD)->table.family = emit->family;
    if (emit->where == WHERE_JAIL)
        emit->plan->has_rules = true;
}

void emit_base_chain(const struct emit *emit, const char *name, const char *type, unsigned hook,
                     int priority, bool policy_drop)
{
    struct op *op = emit_op(emit, OP_NFT_CHAIN_ADD);

    op->chain.family = emit->family;
    name_copy(op->chain.name, name);
    op->chain.is_base = true;
    (void)snprintf(op->chain.type, sizeof op->chain.type, "%s", type);
    op->chain.hook = hook;
    op->chain.priority = priority;
    op->chain.policy_drop = policy_drop;
}

void emit_chain(const struct emit *emit, const char *name)
{
    struct op *op = emit_op(emit, OP_NFT_CHAIN_ADD);

    op->chain.family = emit->family;
    name_copy(op->chain.name, name);
}

void emit_set(const struct emit *emit, const struct set_definition *set)
{
    struct op *op = emit_op(emit, OP_NFT_SET_ADD);

    op->set.family = emit->family;
    name_copy(op->set.name, set->name);
    op->set.key = set->key;
    op->set.is_interval = set->is_interval;
    op->set.has_timeout = set->has_timeout;
    op->set.has_counter = set->has_counter;
    op->set.size = set->size;
    op->set.data = set->data;
}

void emit_rule(const struct emit *emit, const char *chain)
{
    struct op *op = emit_op(emit, OP_NFT_RULE_ADD);

    op->rule.family = emit->family;
    name_copy(op->rule.chain, chain);
    op->rule.first_term = (uint32_t)emit->plan->terms_count;
}

static struct term *term_push(struct plan *plan, enum term_kind kind)
{
    struct op *rule = &plan->ops[plan->ops_count - 1];
    struct term *term;

    assert(plan->ops_count > 0 && rule->kind == OP_NFT_RULE_ADD);
    rule->rule.term_count++;
    term = ARENA_PUSH(plan->arena, plan, terms);
    term->kind = kind;
    return term;
}

void term_match(struct plan *plan, enum nft_field field, enum match_op op, const void *value,
                const void *last)
{
    struct term *term = term_push(plan, TERM_MATCH);

    term->match.field = field;
    term->match.op = op;
    memcpy(term->match.value, value, nft_field_size(field));
    if (last)
        memcpy(term->match.last, last, nft_field_size(field));
}

void term_match_byte(struct plan *plan, enum nft_field field, uint8_t value)
{
    term_match(plan, field, MATCH_EQUAL, &value, NULL);
}

void term_match_port(struct plan *plan, uint16_t first, uint16_t last)
{
    uint16_t value = htons(first);
    uint16_t end = htons(last);

    if (first == last)
        term_match(plan, FIELD_TH_DPORT, MATCH_EQUAL, &value, NULL);
    else
        term_match(plan, FIELD_TH_DPORT, MATCH_RANGE, &value, &end);
}

void term_match_word(struct plan *plan, enum nft_field field, enum match_op op, uint32_t value)
{
    term_match(plan, field, op, &value, NULL);
}

void term_match_ifname(struct plan *plan, enum nft_field field, const char *name)
{
    char value[IFNAME_SIZE] = {0};

    memcpy(value, name, strnlen(name, IFNAME_MAX));
    term_match(plan, field, MATCH_EQUAL, value, NULL);
}

void term_match_addr(struct plan *plan, enum nft_field field, const struct addr *first,
                     const struct addr *last)
{
    struct addr_range range = {*first, *last};
    struct prefix prefix;

    if (addr_equal(first, last)) {
        term_match(plan, field, MATCH_EQUAL, first->bytes, NULL);
    } else if (range_prefix(&range, &prefix)) {
        uint8_t mask[16] = {0};

        for (unsigned bit = 0; bit < prefix.length; bit++)
            mask[bit / 8] |= (uint8_t)(0x80u >> bit % 8);
        term_match(plan, field, MATCH_PREFIX, first->bytes, mask);
    } else {
        term_match(plan, field, MATCH_RANGE, first->bytes, last->bytes);
    }
}

void term_match_family(struct plan *plan, uint8_t family)
{
    term_match_byte(plan, FIELD_NFPROTO, family == ADDR_V4 ? NFPROTO_IPV4 : NFPROTO_IPV6);
}

void term_lookup(struct plan *plan, const struct nft_key *key, const char *set, bool invert)
{
    struct term *term = term_push(plan, TERM_LOOKUP);

    term->lookup.key = *key;
    name_copy(term->lookup.set, set);
    term->lookup.invert = invert;
}

void term_dnat(struct plan *plan, const struct nft_key *key, const char *map, uint8_t family)
{
    struct term *term = term_push(plan, TERM_DNAT_MAP);

    term->lookup.key = *key;
    name_copy(term->lookup.set, map);
    term->lookup.family = family;
}

void term_simple(struct plan *plan, enum term_kind kind)
{
    (void)term_push(plan, kind); /* it has no parts to fill in */
}

void term_tproxy(struct plan *plan, const struct addr *addr, uint16_t port)
{
    struct term *term = term_push(plan, TERM_TPROXY);

    term->tproxy.addr = *addr;
    term->tproxy.port = port;
}

void term_limit(struct plan *plan, uint64_t rate, uint32_t unit_s, uint32_t burst)
{
    struct term *term = term_push(plan, TERM_LIMIT);

    term->limit.rate = rate;
    term->limit.unit_s = unit_s;
    term->limit.burst = burst;
}

void term_log(struct plan *plan, const char *prefix)
{
    struct term *term = term_push(plan, TERM_LOG);

    plan->needs_service = true;
    term->log.group = NFLOG_GROUP_DENIED;
    (void)snprintf(term->log.prefix, sizeof term->log.prefix, "%s", prefix);
}

void term_verdict(struct plan *plan, enum nft_verdict verdict, const char *chain)
{
    struct term *term = term_push(plan, TERM_VERDICT);

    term->verdict.kind = (uint8_t)verdict;
    if (chain)
        name_copy(term->verdict.chain, chain);
}

void emit_elements(const struct emit *emit, const struct set_definition *set, uint32_t timeout_ms)
{
    struct op *op = emit_op(emit, OP_NFT_ELEMENTS_ADD);

    op->elements.family = emit->family;
    name_copy(op->elements.set, set->name);
    op->elements.key = set->key;
    op->elements.is_interval = set->is_interval;
    op->elements.data = set->data;
    op->elements.first_byte = emit->plan->bytes_count;
    op->elements.timeout_ms = timeout_ms;
}

void element_bytes(struct plan *plan, const void *bytes, size_t length)
{
    const uint8_t *from = bytes;

    assert(plan->ops[plan->ops_count - 1].kind == OP_NFT_ELEMENTS_ADD ||
           plan->ops[plan->ops_count - 1].kind == OP_NFT_ELEMENTS_DELETE);
    for (size_t i = 0; i < length; i++)
        *ARENA_PUSH(plan->arena, plan, bytes) = from[i];
}

void element_ifname(struct plan *plan, const char *name)
{
    char value[IFNAME_SIZE] = {0};

    memcpy(value, name, strnlen(name, IFNAME_MAX));
    element_bytes(plan, value, sizeof value);
}

void element_addr(struct plan *plan, const struct addr *addr)
{
    element_bytes(plan, addr->bytes, addr_size(addr->family));
}

void element_byte(struct plan *plan, uint8_t value)
{
    element_bytes(plan, &value, 1);
}

void element_port(struct plan *plan, uint16_t port)
{
    uint16_t value = htons(port);

    element_bytes(plan, &value, sizeof value);
}

void element_end(struct plan *plan)
{
    struct op *op = &plan->ops[plan->ops_count - 1];

    op->elements.count++;
    assert(plan->bytes_count - op->elements.first_byte ==
           op->elements.count * nft_element_size(op));
}

enum nft_field field_saddr(uint8_t family)
{
    return family == ADDR_V4 ? FIELD_IP_SADDR : FIELD_IP6_SADDR;
}

enum nft_field field_daddr(uint8_t family)
{
    return family == ADDR_V4 ? FIELD_IP_DADDR : FIELD_IP6_DADDR;
}
