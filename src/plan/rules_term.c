/* Parts of rules that the compiler's files share: matches, log prefixes, ends. Pure. */
#include "plan/rules_internal.h"

#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

void term_match_proto(struct plan *plan, const struct proto_match *proto)
{
    uint8_t type = (uint8_t)proto->x_first;

    if (proto->kind == MATCH_KIND_ANY)
        return;
    term_match_byte(plan, FIELD_L4PROTO, proto->first);
    if (proto->kind == MATCH_KIND_PORT)
        term_match_port(plan, proto->x_first, proto->x_last);
    else if (proto->kind == MATCH_KIND_TYPE)
        term_match_byte(plan, proto->first == IPPROTO_ICMP ? FIELD_ICMP_TYPE : FIELD_ICMPV6_TYPE,
                        type);
}

void term_match_span(struct plan *plan, enum nft_field field, const struct span *span,
                     uint8_t family)
{
    struct addr first = span_addr(span->first, family);
    struct addr last = span_addr(span->last, family);

    term_match_addr(plan, field, &first, &last);
}

static const char *verdict_word(enum verdict verdict)
{
    switch (verdict) {
    case VERDICT_ALLOW:
        return "allowed";
    case VERDICT_DENY:
        return "denied";
    case VERDICT_DROP:
        return "dropped";
    }
    return "denied";
}

/* What nft(8) could not read back in quotes, or a log reader would stumble over. */
static void prefix_clean(char *text)
{
    for (; *text; text++)
        if (*text < ' ' || *text > '~' || *text == '"' || *text == '\\')
            *text = '?';
}

void rules_log_prefix(const struct rules_context *context, enum verdict verdict,
                      enum direction direction, const struct rule *first, const struct rule *last,
                      char prefix[64])
{
    char place[48] = "default";
    const char *text = first && first->log_text ? first->log_text : NULL;

    if (first)
        position_word(&context->policy->sources, first->where, last->where, place, sizeof place);
    /* A text that is too long is cut: the kernel takes 127 bytes, the plan 63. */
    (void)snprintf(prefix, 64, "%s %s %s%s%s", verdict_word(verdict), direction_name(direction),
                   place, text ? " " : "", text ? text : "");
    prefix_clean(prefix);
}

void rules_term_verdict(struct plan *plan, enum verdict verdict)
{
    switch (verdict) {
    case VERDICT_ALLOW:
        term_verdict(plan, NFT_ACCEPT_PACKET, NULL);
        return;
    case VERDICT_DENY:
        term_verdict(plan, NFT_GOTO_CHAIN, CHAIN_REFUSE);
        return;
    case VERDICT_DROP:
        term_verdict(plan, NFT_DROP_PACKET, NULL);
        return;
    }
}

void rule_emit_end(struct rules_context *context, enum verdict verdict, enum direction direction,
                   const struct rule *first, const struct rule *last, bool log)
{
    char prefix[64];

    if (log || (verdict != VERDICT_ALLOW && context->policy->log_denied)) {
        rules_log_prefix(context, verdict, direction, first, last, prefix);
        term_log(context->emit.plan, prefix);
    }
    term_simple(context->emit.plan, TERM_COUNTER);
    rules_term_verdict(context->emit.plan, verdict);
}
