/* Terms of a rule to nftables expressions.
 *
 * Every term stands alone: it loads what it compares into registers from the first on, so the order
 * of terms is free and no register lives across terms. A key of several fields lies in registers as
 * the kernel compares it, each field padded to 4 bytes.
 *
 * Values are copied as they are: the plan has them in the byte order of the field. */
#include "kernel/nft.h"

#include "base/buf.h"
#include "base/cleanup.h"
#include "kernel/nft_counters.h"

#include <assert.h>
#include <endian.h>
#include <libnftnl/expr.h>
#include <libnftnl/rule.h>
#include <libnftnl/udata.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <stdlib.h>
#include <string.h>

enum origin {
    SOURCE_META,
    SOURCE_PAYLOAD,
    SOURCE_CT,
    SOURCE_FIB,
};

/* Where a field is found: meta or ct key, or header base and offset. */
static const struct field_source {
    uint8_t source;
    uint8_t key; /* NFT_META_*, NFT_CT_*, NFT_PAYLOAD_*_HEADER or NFTA_FIB_F_* */
    uint8_t offset;
} field_sources[] = {
    [FIELD_IIFNAME] = {SOURCE_META, NFT_META_IIFNAME, 0},
    [FIELD_OIFNAME] = {SOURCE_META, NFT_META_OIFNAME, 0},
    [FIELD_IIFGROUP] = {SOURCE_META, NFT_META_IIFGROUP, 0},
    [FIELD_OIFGROUP] = {SOURCE_META, NFT_META_OIFGROUP, 0},
    [FIELD_NFPROTO] = {SOURCE_META, NFT_META_NFPROTO, 0},
    [FIELD_PROTOCOL] = {SOURCE_META, NFT_META_PROTOCOL, 0},
    [FIELD_L4PROTO] = {SOURCE_META, NFT_META_L4PROTO, 0},
    [FIELD_PKTTYPE] = {SOURCE_META, NFT_META_PKTTYPE, 0},
    [FIELD_ETHER_SADDR] = {SOURCE_PAYLOAD, NFT_PAYLOAD_LL_HEADER, 6},
    [FIELD_IP_SADDR] = {SOURCE_PAYLOAD, NFT_PAYLOAD_NETWORK_HEADER, 12},
    [FIELD_IP_DADDR] = {SOURCE_PAYLOAD, NFT_PAYLOAD_NETWORK_HEADER, 16},
    [FIELD_IP6_SADDR] = {SOURCE_PAYLOAD, NFT_PAYLOAD_NETWORK_HEADER, 8},
    [FIELD_IP6_DADDR] = {SOURCE_PAYLOAD, NFT_PAYLOAD_NETWORK_HEADER, 24},
    [FIELD_ARP_SADDR_ETHER] = {SOURCE_PAYLOAD, NFT_PAYLOAD_NETWORK_HEADER, 8},
    [FIELD_ARP_SADDR_IP] = {SOURCE_PAYLOAD, NFT_PAYLOAD_NETWORK_HEADER, 14},
    [FIELD_TH_DPORT] = {SOURCE_PAYLOAD, NFT_PAYLOAD_TRANSPORT_HEADER, 2},
    [FIELD_ICMP_TYPE] = {SOURCE_PAYLOAD, NFT_PAYLOAD_TRANSPORT_HEADER, 0},
    [FIELD_ICMPV6_TYPE] = {SOURCE_PAYLOAD, NFT_PAYLOAD_TRANSPORT_HEADER, 0},
    [FIELD_CT_STATE] = {SOURCE_CT, NFT_CT_STATE, 0},
    [FIELD_CT_STATUS] = {SOURCE_CT, NFT_CT_STATUS, 0},
    [FIELD_FIB_DADDR_TYPE] = {SOURCE_FIB, NFTA_FIB_F_DADDR, 0},
    [FIELD_ETHER_TYPE] = {SOURCE_PAYLOAD, NFT_PAYLOAD_LL_HEADER, 12},
    [FIELD_ETHER_DADDR] = {SOURCE_PAYLOAD, NFT_PAYLOAD_LL_HEADER, 0},
    [FIELD_IIF] = {SOURCE_META, NFT_META_IIF, 0},
    [FIELD_FIB_SADDR_TYPE] = {SOURCE_FIB, NFTA_FIB_F_SADDR, 0},
    [FIELD_FIB_SADDR_OIF] = {SOURCE_FIB, NFTA_FIB_F_SADDR | NFTA_FIB_F_IIF, 0},
    [FIELD_MARK] = {SOURCE_META, NFT_META_MARK, 0},
    [FIELD_ND_TARGET] = {SOURCE_PAYLOAD, NFT_PAYLOAD_TRANSPORT_HEADER, 8},
};
static_assert(ARRAY_LENGTH(field_sources) == FIELD_COUNT, "every field has a source");

#define REGISTER_SIZE 4

uint32_t nft_register(size_t offset)
{
    /* Registers of 16 bytes have their old numbers, as nft(8) and the kernel's dumps use them. */
    uint32_t word = (uint32_t)(offset / REGISTER_SIZE);
    return word % 4 == 0 ? NFT_REG_1 + word / 4 : NFT_REG32_00 + word;
}

uint8_t nft_family_number(enum nft_family family)
{
    return family == NFT_BRIDGE ? NFPROTO_BRIDGE : NFPROTO_INET;
}

/* A rule under construction. `failed`: out of memory somewhere. */
struct builder {
    struct nftnl_rule *rule;
    bool failed;
};

static struct nftnl_expr *add(struct builder *builder, const char *name)
{
    struct nftnl_expr *expr = nftnl_expr_alloc(name);
    if (!expr) {
        builder->failed = true;
        return NULL;
    }
    nftnl_rule_add_expr(builder->rule, expr);
    return expr;
}

static void set_bytes(struct builder *builder, struct nftnl_expr *expr, uint16_t attribute,
                      const void *bytes, size_t size)
{
    if (nftnl_expr_set(expr, attribute, bytes, (uint32_t)size) < 0)
        builder->failed = true;
}

static void set_text(struct builder *builder, struct nftnl_expr *expr, uint16_t attribute,
                     const char *text)
{
    if (nftnl_expr_set_str(expr, attribute, text) < 0)
        builder->failed = true;
}

static void load_meta(struct builder *builder, uint32_t key, uint32_t to)
{
    struct nftnl_expr *expr = add(builder, "meta");
    if (!expr)
        return;
    nftnl_expr_set_u32(expr, NFTNL_EXPR_META_KEY, key);
    nftnl_expr_set_u32(expr, NFTNL_EXPR_META_DREG, to);
}

static void load_payload(struct builder *builder, const struct field_source *source, size_t size,
                         uint32_t to)
{
    struct nftnl_expr *expr = add(builder, "payload");
    if (!expr)
        return;
    nftnl_expr_set_u32(expr, NFTNL_EXPR_PAYLOAD_DREG, to);
    nftnl_expr_set_u32(expr, NFTNL_EXPR_PAYLOAD_BASE, source->key);
    nftnl_expr_set_u32(expr, NFTNL_EXPR_PAYLOAD_OFFSET, source->offset);
    nftnl_expr_set_u32(expr, NFTNL_EXPR_PAYLOAD_LEN, (uint32_t)size);
}

static void load_ct(struct builder *builder, uint32_t key, uint32_t to)
{
    struct nftnl_expr *expr = add(builder, "ct");
    if (!expr)
        return;
    nftnl_expr_set_u32(expr, NFTNL_EXPR_CT_KEY, key);
    nftnl_expr_set_u32(expr, NFTNL_EXPR_CT_DREG, to);
}

static void load_fib(struct builder *builder, uint32_t flags, uint32_t to)
{
    struct nftnl_expr *expr = add(builder, "fib");
    if (!expr)
        return;
    nftnl_expr_set_u32(expr, NFTNL_EXPR_FIB_RESULT,
                       flags & NFTA_FIB_F_IIF ? NFT_FIB_RESULT_OIF : NFT_FIB_RESULT_ADDRTYPE);
    nftnl_expr_set_u32(expr, NFTNL_EXPR_FIB_FLAGS, flags);
    nftnl_expr_set_u32(expr, NFTNL_EXPR_FIB_DREG, to);
}

static void load_field(struct builder *builder, enum nft_field field, uint32_t to)
{
    const struct field_source *source = &field_sources[field];
    switch (source->source) {
    case SOURCE_META:
        load_meta(builder, source->key, to);
        break;
    case SOURCE_PAYLOAD:
        load_payload(builder, source, nft_field_size(field), to);
        break;
    case SOURCE_CT:
        load_ct(builder, source->key, to);
        break;
    default:
        load_fib(builder, source->key, to);
    }
}

static size_t padded(size_t size)
{
    return (size + REGISTER_SIZE - 1) / REGISTER_SIZE * REGISTER_SIZE;
}

size_t nft_kernel_key_size(const struct nft_key *key)
{
    if (key->count == 1)
        return nft_field_size(key->fields[0]);
    size_t size = 0;
    for (size_t i = 0; i < key->count; i++)
        size += padded(nft_field_size(key->fields[i]));
    return size;
}

static void load_key(struct builder *builder, const struct nft_key *key)
{
    size_t offset = 0;
    for (size_t i = 0; i < key->count; i++) {
        load_field(builder, key->fields[i], nft_register(offset));
        offset += padded(nft_field_size(key->fields[i]));
    }
}

static void add_compare(struct builder *builder, uint32_t op, const void *value, size_t size)
{
    struct nftnl_expr *expr = add(builder, "cmp");
    if (!expr)
        return;
    nftnl_expr_set_u32(expr, NFTNL_EXPR_CMP_SREG, NFT_REG_1);
    nftnl_expr_set_u32(expr, NFTNL_EXPR_CMP_OP, op);
    set_bytes(builder, expr, NFTNL_EXPR_CMP_DATA, value, size);
}

static void add_mask(struct builder *builder, const void *mask, size_t size)
{
    static const uint8_t zero[16];
    struct nftnl_expr *expr = add(builder, "bitwise");
    if (!expr)
        return;
    nftnl_expr_set_u32(expr, NFTNL_EXPR_BITWISE_SREG, NFT_REG_1);
    nftnl_expr_set_u32(expr, NFTNL_EXPR_BITWISE_DREG, NFT_REG_1);
    nftnl_expr_set_u32(expr, NFTNL_EXPR_BITWISE_OP, NFT_BITWISE_BOOL);
    nftnl_expr_set_u32(expr, NFTNL_EXPR_BITWISE_LEN, (uint32_t)size);
    set_bytes(builder, expr, NFTNL_EXPR_BITWISE_MASK, mask, size);
    set_bytes(builder, expr, NFTNL_EXPR_BITWISE_XOR, zero, size);
}

static void add_range(struct builder *builder, uint32_t op, const struct term *term, size_t size)
{
    struct nftnl_expr *expr = add(builder, "range");
    if (!expr)
        return;
    nftnl_expr_set_u32(expr, NFTNL_EXPR_RANGE_SREG, NFT_REG_1);
    nftnl_expr_set_u32(expr, NFTNL_EXPR_RANGE_OP, op);
    set_bytes(builder, expr, NFTNL_EXPR_RANGE_FROM_DATA, term->match.value, size);
    set_bytes(builder, expr, NFTNL_EXPR_RANGE_TO_DATA, term->match.last, size);
}

static void add_match(struct builder *builder, const struct term *term)
{
    static const uint8_t zero[16];
    size_t size = nft_field_size(term->match.field);
    load_field(builder, term->match.field, NFT_REG_1);
    switch (term->match.op) {
    case MATCH_EQUAL:
        add_compare(builder, NFT_CMP_EQ, term->match.value, size);
        break;
    case MATCH_NOT_EQUAL:
        add_compare(builder, NFT_CMP_NEQ, term->match.value, size);
        break;
    case MATCH_RANGE:
        add_range(builder, NFT_RANGE_EQ, term, size);
        break;
    case MATCH_NOT_RANGE:
        add_range(builder, NFT_RANGE_NEQ, term, size);
        break;
    case MATCH_PREFIX:
        add_mask(builder, term->match.last, size);
        add_compare(builder, NFT_CMP_EQ, term->match.value, size);
        break;
    case MATCH_ANY_BIT:
        add_mask(builder, term->match.value, size);
        add_compare(builder, NFT_CMP_NEQ, zero, size);
        break;
    case MATCH_NO_BIT:
        add_mask(builder, term->match.value, size);
        add_compare(builder, NFT_CMP_EQ, zero, size);
        break;
    }
}

/* `to`: where a map's data goes; NULL: a set. */
static void add_lookup(struct builder *builder, const struct term *term, const uint32_t *to)
{
    load_key(builder, &term->lookup.key);
    struct nftnl_expr *expr = add(builder, "lookup");
    if (!expr)
        return;
    nftnl_expr_set_u32(expr, NFTNL_EXPR_LOOKUP_SREG, NFT_REG_1);
    set_text(builder, expr, NFTNL_EXPR_LOOKUP_SET, term->lookup.set);
    if (to)
        nftnl_expr_set_u32(expr, NFTNL_EXPR_LOOKUP_DREG, *to);
    /* Always present, as in what the kernel sends back: verify_rules() compares the two. */
    nftnl_expr_set_u32(expr, NFTNL_EXPR_LOOKUP_FLAGS, term->lookup.invert ? NFT_LOOKUP_F_INV : 0);
}

static void add_dnat_map(struct builder *builder, const struct term *term)
{
    uint32_t to = NFT_REG_1;
    add_lookup(builder, term, &to);
    struct nftnl_expr *expr = add(builder, "nat");
    if (!expr)
        return;
    bool is_v4 = term->lookup.family == ADDR_V4;
    nftnl_expr_set_u32(expr, NFTNL_EXPR_NAT_TYPE, NFT_NAT_DNAT);
    nftnl_expr_set_u32(expr, NFTNL_EXPR_NAT_FAMILY, is_v4 ? NFPROTO_IPV4 : NFPROTO_IPV6);
    nftnl_expr_set_u32(expr, NFTNL_EXPR_NAT_REG_ADDR_MIN, NFT_REG_1);
    nftnl_expr_set_u32(expr, NFTNL_EXPR_NAT_REG_PROTO_MIN,
                       nft_register(addr_size(term->lookup.family)));
}

static void add_verdict_map(struct builder *builder, const struct term *term)
{
    uint32_t to = NFT_REG_VERDICT;
    add_lookup(builder, term, &to);
}

static void add_limit(struct builder *builder, const struct term *term)
{
    struct nftnl_expr *expr = add(builder, "limit");
    if (!expr)
        return;
    nftnl_expr_set_u64(expr, NFTNL_EXPR_LIMIT_RATE, term->limit.rate);
    nftnl_expr_set_u64(expr, NFTNL_EXPR_LIMIT_UNIT, term->limit.unit_s);
    nftnl_expr_set_u32(expr, NFTNL_EXPR_LIMIT_BURST, term->limit.burst);
    nftnl_expr_set_u32(expr, NFTNL_EXPR_LIMIT_TYPE, NFT_LIMIT_PKTS);
    nftnl_expr_set_u32(expr, NFTNL_EXPR_LIMIT_FLAGS, 0);
}

static void add_log(struct builder *builder, const struct term *term)
{
    struct nftnl_expr *expr = add(builder, "log");
    if (!expr)
        return;
    nftnl_expr_set_u16(expr, NFTNL_EXPR_LOG_GROUP, term->log.group);
    if (term->log.prefix[0])
        set_text(builder, expr, NFTNL_EXPR_LOG_PREFIX, term->log.prefix);
}

static int32_t verdict_code(uint8_t kind)
{
    switch ((enum nft_verdict)kind) {
    case NFT_ACCEPT_PACKET:
        return NF_ACCEPT;
    case NFT_RETURN_CHAIN:
        return NFT_RETURN;
    case NFT_JUMP_CHAIN:
        return NFT_JUMP;
    case NFT_GOTO_CHAIN:
        return NFT_GOTO;
    case NFT_DROP_PACKET:
        break;
    }
    return NF_DROP;
}

static void add_verdict(struct builder *builder, const struct term *term)
{
    struct nftnl_expr *expr = add(builder, "immediate");
    if (!expr)
        return;
    nftnl_expr_set_u32(expr, NFTNL_EXPR_IMM_DREG, NFT_REG_VERDICT);
    nftnl_expr_set_u32(expr, NFTNL_EXPR_IMM_VERDICT, (uint32_t)verdict_code(term->verdict.kind));
    if (term->verdict.kind == NFT_JUMP_CHAIN || term->verdict.kind == NFT_GOTO_CHAIN)
        set_text(builder, expr, NFTNL_EXPR_IMM_CHAIN, term->verdict.chain);
}

static void add_reject(struct builder *builder, uint32_t type, uint8_t code)
{
    struct nftnl_expr *expr = add(builder, "reject");
    if (!expr)
        return;
    nftnl_expr_set_u32(expr, NFTNL_EXPR_REJECT_TYPE, type);
    nftnl_expr_set_u8(expr, NFTNL_EXPR_REJECT_CODE, code);
}

static void add_immediate(struct builder *builder, uint32_t to, const void *bytes, size_t size)
{
    struct nftnl_expr *expr = add(builder, "immediate");
    if (!expr)
        return;
    nftnl_expr_set_u32(expr, NFTNL_EXPR_IMM_DREG, to);
    set_bytes(builder, expr, NFTNL_EXPR_IMM_DATA, bytes, size);
}

static void add_tproxy(struct builder *builder, const struct term *term)
{
    const struct addr *addr = &term->tproxy.addr;
    uint16_t port = htobe16(term->tproxy.port);
    uint32_t port_register = nft_register(addr_size(addr->family));
    add_immediate(builder, NFT_REG_1, addr->bytes, addr_size(addr->family));
    add_immediate(builder, port_register, &port, sizeof port);
    struct nftnl_expr *expr = add(builder, "tproxy");
    if (!expr)
        return;
    nftnl_expr_set_u32(expr, NFTNL_EXPR_TPROXY_FAMILY,
                       addr->family == ADDR_V4 ? NFPROTO_IPV4 : NFPROTO_IPV6);
    nftnl_expr_set_u32(expr, NFTNL_EXPR_TPROXY_REG_ADDR, NFT_REG_1);
    nftnl_expr_set_u32(expr, NFTNL_EXPR_TPROXY_REG_PORT, port_register);
}

/* struct xt_NFQ_info (linux/netfilter/xt_NFQUEUE.h), padded as the kernel pads it. It has no
 * "bypass": without a reader the packet is dropped. */
static void add_queue(struct builder *builder)
{
    struct nftnl_expr *expr = add(builder, "target");
    void *info = calloc(1, 8);
    if (!expr || !info) {
        free(info);
        builder->failed = true;
        return;
    }
    const uint16_t number = RELAY_QUEUE;
    memcpy(info, &number, sizeof number);
    set_text(builder, expr, NFTNL_EXPR_TG_NAME, "NFQUEUE");
    nftnl_expr_set_u32(expr, NFTNL_EXPR_TG_REV, 0);
    /* It keeps `info` and frees it with the expression. */
    set_bytes(builder, expr, NFTNL_EXPR_TG_INFO, info, 8);
}

static void add_queue_nft(struct builder *builder)
{
    struct nftnl_expr *expr = add(builder, "queue");
    if (!expr)
        return;
    nftnl_expr_set_u16(expr, NFTNL_EXPR_QUEUE_NUM, RELAY_QUEUE);
    nftnl_expr_set_u16(expr, NFTNL_EXPR_QUEUE_TOTAL, 1);
    nftnl_expr_set_u16(expr, NFTNL_EXPR_QUEUE_FLAGS, 0);
}

static void add_term(struct builder *builder, const struct term *term)
{
    switch (term->kind) {
    case TERM_MATCH:
        add_match(builder, term);
        break;
    case TERM_LOOKUP:
        add_lookup(builder, term, NULL);
        break;
    case TERM_VERDICT_MAP:
        add_verdict_map(builder, term);
        break;
    case TERM_COUNTER:
        (void)add(builder, "counter"); /* a failure is remembered by the builder */
        break;
    case TERM_LIMIT:
        add_limit(builder, term);
        break;
    case TERM_LOG:
        add_log(builder, term);
        break;
    case TERM_VERDICT:
        add_verdict(builder, term);
        break;
    case TERM_REJECT_RESET:
        add_reject(builder, NFT_REJECT_TCP_RST, 0);
        break;
    case TERM_REJECT_PROHIBITED:
        add_reject(builder, NFT_REJECT_ICMPX_UNREACH, NFT_REJECT_ICMPX_ADMIN_PROHIBITED);
        break;
    case TERM_REJECT_PORT:
        add_reject(builder, NFT_REJECT_ICMPX_UNREACH, NFT_REJECT_ICMPX_PORT_UNREACH);
        break;
    case TERM_REJECT_HOST:
        add_reject(builder, NFT_REJECT_ICMPX_UNREACH, NFT_REJECT_ICMPX_HOST_UNREACH);
        break;
    case TERM_REJECT_NET:
        add_reject(builder, NFT_REJECT_ICMPX_UNREACH, NFT_REJECT_ICMPX_NO_ROUTE);
        break;
    case TERM_TPROXY:
        add_tproxy(builder, term);
        break;
    case TERM_QUEUE:
        add_queue(builder);
        break;
    case TERM_QUEUE_NFT:
        add_queue_nft(builder);
        break;
    case TERM_MASQUERADE:
        (void)add(builder, "masq"); /* the same */
        break;
    case TERM_DNAT_MAP:
        add_dnat_map(builder, term);
        break;
    }
}

/* Which statement asked for it, for netjailctl status. Cut where it is too long. */
static bool set_position(struct nftnl_rule *rule, const struct plan *plan, const struct op *op)
{
    cleanup_buf struct buf text = {0};
    struct nftnl_udata_buf *data;
    bool done;

    if (!plan->sources || op->position.source == 0 || op->where != WHERE_JAIL)
        return true;
    buf_printf(&text, "%.200s:%u", plan->sources->list[op->position.source - 1].name,
               op->position.line);
    data = nftnl_udata_buf_alloc(NFT_USERDATA_MAXLEN);
    if (!data)
        return false;
    done = nftnl_udata_put(data, RULE_DATA_POSITION, (uint32_t)text.length, text.data) &&
           nftnl_rule_set_data(rule, NFTNL_RULE_USERDATA, nftnl_udata_buf_data(data),
                               nftnl_udata_buf_len(data)) == 0;
    nftnl_udata_buf_free(data);
    return done;
}

struct nftnl_rule *nft_rule_new(const struct plan *plan, const struct op *op)
{
    struct builder builder = {.rule = nftnl_rule_alloc()};
    if (!builder.rule)
        return NULL;
    nftnl_rule_set_u32(builder.rule, NFTNL_RULE_FAMILY, nft_family_number(op->rule.family));
    if (nftnl_rule_set_str(builder.rule, NFTNL_RULE_TABLE, NFT_TABLE_NAME) < 0 ||
        nftnl_rule_set_str(builder.rule, NFTNL_RULE_CHAIN, op->rule.chain) < 0)
        builder.failed = true;
    if (!set_position(builder.rule, plan, op))
        builder.failed = true;
    for (uint32_t i = 0; i < op->rule.term_count; i++)
        add_term(&builder, &plan->terms[op->rule.first_term + i]);
    if (!builder.failed)
        return builder.rule;
    nftnl_rule_free(builder.rule);
    return NULL;
}
