/* A packet's way through the nftables rules of a plan, in user space: what the kernel would do with
 * it. Only what the jail's table is made of. For tests; asserts where a plan is not well-formed. */
#pragma once

#include "plan/plan.h"

#include <arpa/inet.h>
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct model_packet {
    const char *iifname;
    const char *oifname;
    uint8_t family; /* enum addr_family */
    uint8_t protocol;
    struct addr source;
    struct addr destination;
    bool has_transport; /* false: a packet that ends behind the IP header */
    uint16_t port;
    uint8_t icmp_type;
    uint32_t ct_state;
};

enum model_verdict {
    MODEL_NONE, /* the chain has no more to say */
    MODEL_ACCEPT,
    MODEL_DROP,
    MODEL_RESET,
    MODEL_PROHIBITED,
};

/* Loads a field as the kernel does; false: the expression breaks, the rule does not match. */
static void model_lacks(const char *what)
{
    (void)fprintf(stderr, "the model lacks %s\n", what);
    abort();
}

static inline bool model_load(const struct model_packet *packet, enum nft_field field,
                              uint8_t value[16])
{
    uint16_t port = htons(packet->port);

    memset(value, 0, 16);
    switch (field) {
    case FIELD_IIFNAME:
        memcpy(value, packet->iifname, strlen(packet->iifname));
        return true;
    case FIELD_OIFNAME:
        memcpy(value, packet->oifname, strlen(packet->oifname));
        return true;
    case FIELD_NFPROTO:
        value[0] = packet->family == ADDR_V4 ? 2 : 10;
        return true;
    case FIELD_L4PROTO:
        value[0] = packet->protocol;
        return true;
    case FIELD_IP_SADDR:
    case FIELD_IP6_SADDR:
        assert((field == FIELD_IP_SADDR) == (packet->family == ADDR_V4)); /* nfproto came first */
        memcpy(value, packet->source.bytes, 16);
        return true;
    case FIELD_IP_DADDR:
    case FIELD_IP6_DADDR:
        assert((field == FIELD_IP_DADDR) == (packet->family == ADDR_V4));
        memcpy(value, packet->destination.bytes, 16);
        return true;
    case FIELD_TH_DPORT:
        memcpy(value, &port, 2);
        return packet->has_transport;
    case FIELD_ICMP_TYPE:
    case FIELD_ICMPV6_TYPE:
        assert(packet->protocol == (field == FIELD_ICMP_TYPE ? 1 : 58)); /* l4proto came first */
        value[0] = packet->icmp_type;
        return packet->has_transport;
    case FIELD_CT_STATE:
        memcpy(value, &packet->ct_state, 4);
        return true;
    case FIELD_IIFGROUP: /* no cable of another jail */
    case FIELD_OIFGROUP:
        return true;
    case FIELD_FIB_SADDR_TYPE: /* the sets of own addresses come first, and have all */
        return true;
    default:
        model_lacks("a field that the jail's table does not look at");
        return false;
    }
}

static inline bool model_match(const struct model_packet *packet, const struct term *term)
{
    size_t size = nft_field_size(term->match.field);
    uint8_t value[16];
    uint32_t number;
    uint32_t bits;

    if (!model_load(packet, term->match.field, value))
        return false;
    memcpy(&number, value, 4);
    memcpy(&bits, term->match.value, 4);
    switch (term->match.op) {
    case MATCH_EQUAL:
        return memcmp(value, term->match.value, size) == 0;
    case MATCH_NOT_EQUAL:
        return memcmp(value, term->match.value, size) != 0;
    case MATCH_RANGE:
        return memcmp(value, term->match.value, size) >= 0 &&
               memcmp(value, term->match.last, size) <= 0;
    case MATCH_NOT_RANGE:
        return memcmp(value, term->match.value, size) < 0 ||
               memcmp(value, term->match.last, size) > 0;
    case MATCH_PREFIX:
        for (size_t i = 0; i < size; i++)
            value[i] &= term->match.last[i];
        return memcmp(value, term->match.value, size) == 0;
    case MATCH_ANY_BIT:
        return (number & bits) != 0;
    case MATCH_NO_BIT:
        return (number & bits) == 0;
    }
    return false;
}

/* Is the packed key in this element (key, [last key])? Field by field, as pipapo does. */
static inline bool model_in_element(const struct op *op, const uint8_t *element,
                                    const uint8_t *wanted)
{
    size_t key = nft_key_size(&op->elements.key);
    size_t offset = 0;

    for (size_t i = 0; i < op->elements.key.count; i++) {
        size_t size = nft_field_size(op->elements.key.fields[i]);
        const uint8_t *last = element + offset + (op->elements.is_interval ? key : 0);

        if (memcmp(wanted + offset, element + offset, size) < 0 ||
            memcmp(wanted + offset, last, size) > 0)
            return false;
        offset += size;
    }
    return true;
}

static inline bool model_lookup(const struct plan *plan, const struct model_packet *packet,
                                const struct term *term)
{
    uint8_t wanted[NFT_FIELDS_MAX * 16];
    size_t length = 0;

    for (size_t i = 0; i < term->lookup.key.count; i++) {
        uint8_t value[16];

        if (!model_load(packet, term->lookup.key.fields[i], value))
            return false;
        memcpy(wanted + length, value, nft_field_size(term->lookup.key.fields[i]));
        length += nft_field_size(term->lookup.key.fields[i]);
    }
    for (size_t i = 0; i < plan->ops_count; i++) {
        const struct op *op = &plan->ops[i];
        const uint8_t *element = plan->bytes + op->elements.first_byte;

        if (op->kind != OP_NFT_ELEMENTS_ADD || op->where != WHERE_JAIL ||
            strcmp(op->elements.set, term->lookup.set) != 0)
            continue;
        assert(nft_key_size(&op->elements.key) == length);
        for (uint32_t k = 0; k < op->elements.count; k++, element += nft_element_size(op))
            if (model_in_element(op, element, wanted))
                return !term->lookup.invert;
    }
    return term->lookup.invert;
}

static inline enum model_verdict model_chain(const struct plan *plan, const char *chain,
                                             const struct model_packet *packet);

/* One rule: *ret_stop is set when the chain ends here. */
static inline enum model_verdict model_rule(const struct plan *plan, const struct op *rule,
                                            const struct model_packet *packet, bool *ret_stop)
{
    for (uint32_t i = 0; i < rule->rule.term_count; i++) {
        const struct term *term = &plan->terms[rule->rule.first_term + i];
        enum model_verdict verdict;

        switch (term->kind) {
        case TERM_MATCH:
            if (!model_match(packet, term))
                return MODEL_NONE;
            break;
        case TERM_LOOKUP:
            if (!model_lookup(plan, packet, term))
                return MODEL_NONE;
            break;
        case TERM_COUNTER:
        case TERM_LIMIT: /* taken as within the rate, as policy_decide() does */
        case TERM_LOG:
            break;
        case TERM_REJECT_RESET:
            assert(packet->protocol == 6);
            return MODEL_RESET;
        case TERM_REJECT_PROHIBITED:
            return MODEL_PROHIBITED;
        case TERM_VERDICT:
            if (term->verdict.kind == NFT_ACCEPT_PACKET)
                return MODEL_ACCEPT;
            if (term->verdict.kind == NFT_DROP_PACKET)
                return MODEL_DROP;
            *ret_stop = term->verdict.kind != NFT_JUMP_CHAIN;
            verdict = term->verdict.kind == NFT_RETURN_CHAIN
                          ? MODEL_NONE
                          : model_chain(plan, term->verdict.chain, packet);
            return verdict;
        default:
            model_lacks("a term that the jail's table does not have");
        }
    }
    return MODEL_NONE;
}

static inline enum model_verdict model_chain(const struct plan *plan, const char *chain,
                                             const struct model_packet *packet)
{
    for (size_t i = 0; i < plan->ops_count; i++) {
        const struct op *op = &plan->ops[i];
        enum model_verdict verdict;
        bool stop = false;

        if (op->kind != OP_NFT_RULE_ADD || op->where != WHERE_JAIL ||
            strcmp(op->rule.chain, chain) != 0)
            continue;
        verdict = model_rule(plan, op, packet, &stop);
        if (verdict != MODEL_NONE || stop)
            return verdict;
    }
    return MODEL_NONE;
}

/* Elements of one set may not overlap: the kernel would refuse the batch. */
static inline bool model_sets_disjoint(const struct plan *plan)
{
    for (size_t i = 0; i < plan->ops_count; i++) {
        const struct op *op = &plan->ops[i];
        const uint8_t *first = plan->bytes + op->elements.first_byte;

        if (op->kind != OP_NFT_ELEMENTS_ADD)
            continue;
        for (uint32_t a = 0; a < op->elements.count; a++)
            for (uint32_t b = 0; b < a; b++) {
                size_t key = nft_key_size(&op->elements.key);
                const uint8_t *left = first + a * nft_element_size(op);
                const uint8_t *right = first + b * nft_element_size(op);
                size_t end = op->elements.is_interval ? key : 0;
                bool overlap = true;

                for (size_t f = 0, offset = 0; f < op->elements.key.count; f++) {
                    size_t size = nft_field_size(op->elements.key.fields[f]);

                    if (memcmp(left + offset, right + end + offset, size) > 0 ||
                        memcmp(right + offset, left + end + offset, size) > 0)
                        overlap = false;
                    offset += size;
                }
                if (overlap)
                    return false;
            }
    }
    return true;
}
