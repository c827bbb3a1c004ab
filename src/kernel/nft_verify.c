/* verify_rules(): what the kernel has against what the plan meant.
 *
 * The kernel's tables, chains, rules and sets of the jail are dumped and compared with the plan's
 * ops in the plan's order. Expressions are compared in libnftnl's text form, which shows every
 * operand; elements of sets by a fingerprint of all; counters are not compared, and of a NAT
 * expression only what we set, since the kernel completes it. Anything more, less or different is
 * -EUCLEAN: the command must not run. */
#include "kernel/apply.h"

#include "base/cleanup.h"
#include "kernel/explain.h"
#include "kernel/nft.h"
#include "kernel/nft_fingerprint.h"
#include "kernel/real.h"

#include <errno.h>
#include <libmnl/libmnl.h>
#include <libnftnl/chain.h>
#include <libnftnl/common.h>
#include <libnftnl/expr.h>
#include <libnftnl/rule.h>
#include <libnftnl/set.h>
#include <libnftnl/table.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define EXPRESSION_TEXT_SIZE 1024

/* Every part of a dump walks the set from its beginning, so reading 2,000,000 elements takes the
 * kernel minutes. For sets beyond this the acknowledged transaction, which is all or nothing, has
 * to do. */
#define COMPARED_ELEMENTS_MAX 65536

/* State of one read-back. `seen` has one flag per op of the plan. */
struct verification {
    struct nl *nl;
    const struct plan *plan;
    bool *seen;
    size_t next; /* where the search for the next object begins: the kernel dumps in our order */
    struct nft_fingerprint found; /* of the set that is being read */
    struct error *error;
};

static int differs(struct verification *v, const struct op *op, const char *what, const char *name)
{
    int r = error_set(v->error, -EUCLEAN, "the kernel's rules are not those of the policy: %s '%s'",
                      what, name);
    if (op)
        v->error->where = op->position;
    return r;
}

static bool is_object(const struct op *op, enum op_kind kind, uint32_t family, const char *name)
{
    if (op->kind != kind || op->where != WHERE_JAIL)
        return false;
    switch (kind) {
    case OP_NFT_TABLE_ADD:
        return nft_family_number(op->table.family) == family && strcmp(name, NFT_TABLE_NAME) == 0;
    case OP_NFT_CHAIN_ADD:
        return nft_family_number(op->chain.family) == family && strcmp(op->chain.name, name) == 0;
    case OP_NFT_SET_ADD:
        return nft_family_number(op->set.family) == family && strcmp(op->set.name, name) == 0;
    default:
        return nft_family_number(op->rule.family) == family && strcmp(op->rule.chain, name) == 0;
    }
}

/* The op that made this object, not yet seen; for a rule, the first of its chain. The search goes
 * on from where the last one ended, which makes thousands of rules linear; with another chain's
 * rule it begins at the start, so that none is passed over. */
static const struct op *find_op(struct verification *v, enum op_kind kind, uint32_t family,
                                const char *name)
{
    size_t count = v->plan->ops_count;
    bool goes_on = kind != OP_NFT_RULE_ADD ||
                   (v->next > 0 && is_object(&v->plan->ops[v->next - 1], kind, family, name));
    size_t start = goes_on ? v->next : 0;
    for (size_t k = 0; k < count; k++) {
        size_t i = (start + k) % count;
        if (v->seen[i] || !is_object(&v->plan->ops[i], kind, family, name))
            continue;
        v->seen[i] = true;
        v->next = i + 1;
        return &v->plan->ops[i];
    }
    return NULL;
}

static void free_table(struct nftnl_table **table)
{
    if (*table)
        nftnl_table_free(*table);
}
static void free_chain(struct nftnl_chain **chain)
{
    if (*chain)
        nftnl_chain_free(*chain);
}
static void free_rule(struct nftnl_rule **rule)
{
    if (*rule)
        nftnl_rule_free(*rule);
}
static void free_set(struct nftnl_set **set)
{
    if (*set)
        nftnl_set_free(*set);
}
#define cleanup_table __attribute__((cleanup(free_table)))
#define cleanup_chain __attribute__((cleanup(free_chain)))
#define cleanup_rule  __attribute__((cleanup(free_rule)))
#define cleanup_set   __attribute__((cleanup(free_set)))

static int take_table(const struct nlmsghdr *message, void *context)
{
    struct verification *v = context;
    cleanup_table struct nftnl_table *table = nftnl_table_alloc();
    if (!table || nftnl_table_nlmsg_parse(message, table) < 0)
        return differs(v, NULL, "unreadable", "table");
    const char *name = nftnl_table_get_str(table, NFTNL_TABLE_NAME);
    uint32_t family = nftnl_table_get_u32(table, NFTNL_TABLE_FAMILY);
    uint32_t flags = nftnl_table_get_u32(table, NFTNL_TABLE_FLAGS);
    const struct op *op = find_op(v, OP_NFT_TABLE_ADD, family, name ? name : "");
    if (!op)
        return differs(v, NULL, "foreign table", name ? name : "");
    return flags & NFT_TABLE_F_DORMANT ? differs(v, op, "dormant table", name) : 0;
}

static bool same_chain(const struct nftnl_chain *chain, const struct op *op)
{
    bool is_base = nftnl_chain_is_set(chain, NFTNL_CHAIN_HOOKNUM);
    if (is_base != op->chain.is_base)
        return false;
    if (!is_base)
        return true;
    const char *type = nftnl_chain_get_str(chain, NFTNL_CHAIN_TYPE);
    uint32_t policy = op->chain.policy_drop ? NF_DROP : NF_ACCEPT;
    return type && strcmp(type, op->chain.type) == 0 &&
           nftnl_chain_get_u32(chain, NFTNL_CHAIN_HOOKNUM) == op->chain.hook &&
           nftnl_chain_get_s32(chain, NFTNL_CHAIN_PRIO) == op->chain.priority &&
           nftnl_chain_get_u32(chain, NFTNL_CHAIN_POLICY) == policy;
}

static int take_chain(const struct nlmsghdr *message, void *context)
{
    struct verification *v = context;
    cleanup_chain struct nftnl_chain *chain = nftnl_chain_alloc();
    if (!chain || nftnl_chain_nlmsg_parse(message, chain) < 0)
        return differs(v, NULL, "unreadable", "chain");
    const char *name = nftnl_chain_get_str(chain, NFTNL_CHAIN_NAME);
    uint32_t family = nftnl_chain_get_u32(chain, NFTNL_CHAIN_FAMILY);
    const struct op *op = find_op(v, OP_NFT_CHAIN_ADD, family, name ? name : "");
    if (!op)
        return differs(v, NULL, "foreign chain", name ? name : "");
    return same_chain(chain, op) ? 0 : differs(v, op, "changed chain", name);
}

static bool same_nat(const struct nftnl_expr *wanted, const struct nftnl_expr *found)
{
    static const uint16_t attributes[] = {NFTNL_EXPR_NAT_TYPE, NFTNL_EXPR_NAT_FAMILY,
                                          NFTNL_EXPR_NAT_REG_ADDR_MIN,
                                          NFTNL_EXPR_NAT_REG_PROTO_MIN};
    for (size_t i = 0; i < ARRAY_LENGTH(attributes); i++)
        if (nftnl_expr_get_u32(wanted, attributes[i]) != nftnl_expr_get_u32(found, attributes[i]))
            return false;
    return true;
}

static bool same_expression(const struct nftnl_expr *wanted, const struct nftnl_expr *found)
{
    const char *name = nftnl_expr_get_str(wanted, NFTNL_EXPR_NAME);
    const char *found_name = nftnl_expr_get_str(found, NFTNL_EXPR_NAME);
    if (strcmp(name, found_name) != 0)
        return false;
    if (strcmp(name, "counter") == 0)
        return true;
    if (strcmp(name, "nat") == 0)
        return same_nat(wanted, found);
    char a[EXPRESSION_TEXT_SIZE], b[EXPRESSION_TEXT_SIZE];
    int na = nftnl_expr_snprintf(a, sizeof a, wanted, NFTNL_OUTPUT_DEFAULT, 0);
    int nb = nftnl_expr_snprintf(b, sizeof b, found, NFTNL_OUTPUT_DEFAULT, 0);
    return na >= 0 && na < (int)sizeof a && na == nb && strcmp(a, b) == 0;
}

static bool same_expressions(const struct nftnl_rule *wanted, const struct nftnl_rule *found)
{
    struct nftnl_expr_iter *a = nftnl_expr_iter_create(wanted);
    struct nftnl_expr_iter *b = nftnl_expr_iter_create(found);
    bool same = a && b;
    while (same) {
        const struct nftnl_expr *x = nftnl_expr_iter_next(a);
        const struct nftnl_expr *y = nftnl_expr_iter_next(b);
        if (!x && !y)
            break;
        same = x && y && same_expression(x, y);
    }
    if (a)
        nftnl_expr_iter_destroy(a);
    if (b)
        nftnl_expr_iter_destroy(b);
    return same;
}

/* The kernel dumps the rules of a chain in their order, so the first unseen rule op of the chain is
 * the one to compare with. */
static int take_rule(const struct nlmsghdr *message, void *context)
{
    struct verification *v = context;
    cleanup_rule struct nftnl_rule *rule = nftnl_rule_alloc();
    if (!rule || nftnl_rule_nlmsg_parse(message, rule) < 0)
        return differs(v, NULL, "unreadable", "rule");
    const char *chain = nftnl_rule_get_str(rule, NFTNL_RULE_CHAIN);
    uint32_t family = nftnl_rule_get_u32(rule, NFTNL_RULE_FAMILY);
    const struct op *op = find_op(v, OP_NFT_RULE_ADD, family, chain ? chain : "");
    if (!op)
        return differs(v, NULL, "a rule too many in chain", chain ? chain : "");
    cleanup_rule struct nftnl_rule *wanted = nft_rule_new(v->plan, op);
    if (!wanted)
        return -ENOMEM;
    return same_expressions(wanted, rule) ? 0 : differs(v, op, "changed rule in chain", chain);
}

static bool same_set(const struct nftnl_set *wanted, const struct nftnl_set *found)
{
    static const uint16_t attributes[] = {NFTNL_SET_FLAGS, NFTNL_SET_KEY_TYPE, NFTNL_SET_KEY_LEN,
                                          NFTNL_SET_DATA_TYPE, NFTNL_SET_DATA_LEN};
    for (size_t i = 0; i < ARRAY_LENGTH(attributes); i++) {
        if (!nftnl_set_is_set(wanted, attributes[i]))
            continue;
        if (nftnl_set_get_u32(wanted, attributes[i]) != nftnl_set_get_u32(found, attributes[i]))
            return false;
    }
    return true;
}

static int take_set(const struct nlmsghdr *message, void *context)
{
    struct verification *v = context;
    cleanup_set struct nftnl_set *set = nftnl_set_alloc();
    if (!set || nftnl_set_nlmsg_parse(message, set) < 0)
        return differs(v, NULL, "unreadable", "set");
    const char *name = nftnl_set_get_str(set, NFTNL_SET_NAME);
    uint32_t family = nftnl_set_get_u32(set, NFTNL_SET_FAMILY);
    const struct op *op = find_op(v, OP_NFT_SET_ADD, family, name ? name : "");
    if (!op)
        return differs(v, NULL, "foreign set", name ? name : "");
    cleanup_set struct nftnl_set *wanted = nft_set_new(op, 1);
    if (!wanted)
        return -ENOMEM;
    return same_set(wanted, set) ? 0 : differs(v, op, "changed set", name);
}

static int take_list(const struct nlattr *attribute, void *context)
{
    struct verification *v = context;
    if (mnl_attr_get_type(attribute) != NFTA_SET_ELEM_LIST_ELEMENTS)
        return MNL_CB_OK;
    return mnl_attr_parse_nested(attribute, nft_fingerprint_element, &v->found);
}

static int take_elements(const struct nlmsghdr *message, void *context)
{
    if (message->nlmsg_len < NLMSG_LENGTH(sizeof(struct nfgenmsg)) ||
        mnl_attr_parse(message, sizeof(struct nfgenmsg), take_list, context) < 0)
        return -EPROTO;
    return 0;
}

static int dump(struct verification *v, uint16_t type, nl_reply reply, const struct op *set)
{
    _Alignas(struct nlmsghdr) char buffer[256];
    uint8_t family = set ? nft_family_number(set->set.family) : NFPROTO_UNSPEC;
    struct nlmsghdr *message = nftnl_nlmsg_build_hdr(buffer, type, family, 0, 0);
    if (set) {
        mnl_attr_put_strz(message, NFTA_SET_ELEM_LIST_TABLE, NFT_TABLE_NAME);
        mnl_attr_put_strz(message, NFTA_SET_ELEM_LIST_SET, set->set.name);
    }
    struct nl_failure failure;
    int r = nl_dump(v->nl, message, reply, NULL, v, &failure);
    if (r == 0)
        return 0;
    if (v->error->code < 0)
        return v->error->code; /* the comparison has said what is wrong */
    return explain("read back the rules", &failure, v->error);
}

/* What the plan puts into the set. Of one with too many to be read back, only their number. */
static int wanted_elements(const struct plan *plan, const struct op *set,
                           struct nft_fingerprint *ret_wanted)
{
    int r = 0;
    *ret_wanted = (struct nft_fingerprint){0};
    for (size_t i = 0; r == 0 && i < plan->ops_count; i++) {
        const struct op *op = &plan->ops[i];
        if (op->kind != OP_NFT_ELEMENTS_ADD || op->where != WHERE_JAIL ||
            op->elements.family != set->set.family || strcmp(op->elements.set, set->set.name) != 0)
            continue;
        if (op->elements.count > COMPARED_ELEMENTS_MAX)
            ret_wanted->count += op->elements.count;
        else
            r = nft_fingerprint_op(ret_wanted, plan, op);
    }
    return r;
}

static int check_elements(struct verification *v)
{
    for (size_t i = 0; i < v->plan->ops_count; i++) {
        const struct op *op = &v->plan->ops[i];
        if (op->kind != OP_NFT_SET_ADD || op->where != WHERE_JAIL)
            continue;
        struct nft_fingerprint wanted;
        int r = wanted_elements(v->plan, op, &wanted);
        if (r < 0)
            return error_errno(v->error, r, "cannot compare the elements of set '%s'",
                               op->set.name);
        if (wanted.count > COMPARED_ELEMENTS_MAX)
            continue;
        v->found = (struct nft_fingerprint){0};
        r = dump(v, NFT_MSG_GETSETELEM, take_elements, op);
        if (r < 0)
            return r;
        if (v->found.count != wanted.count || v->found.sum != wanted.sum)
            return differs(v, op, "other elements in set", op->set.name);
    }
    return 0;
}

/* Every op must have been found in the kernel. */
static int check_seen(struct verification *v)
{
    for (size_t i = 0; i < v->plan->ops_count; i++) {
        const struct op *op = &v->plan->ops[i];
        if (op->where != WHERE_JAIL || v->seen[i])
            continue;
        if (op->kind == OP_NFT_TABLE_ADD)
            return differs(v, op, "missing table", NFT_TABLE_NAME);
        if (op->kind == OP_NFT_CHAIN_ADD)
            return differs(v, op, "missing chain", op->chain.name);
        if (op->kind == OP_NFT_SET_ADD)
            return differs(v, op, "missing set", op->set.name);
        if (op->kind == OP_NFT_RULE_ADD)
            return differs(v, op, "missing rule in chain", op->rule.chain);
    }
    return 0;
}

int verify_rules(struct kernel *kernel, const struct plan *plan, struct error *error)
{
    if (!plan->has_rules)
        return 0; /* nor has anybody else made any in a namespace that is as new as that */
    cleanup_free bool *seen = calloc(plan->ops_count + 1, sizeof *seen);
    if (!seen)
        return error_set(error, -ENOMEM, "out of memory");
    struct error own = {0};
    struct verification v = {.plan = plan, .seen = seen, .error = &own};
    int r = kernel_nft(kernel, WHERE_JAIL, &v.nl, &own);
    if (r == 0)
        r = dump(&v, NFT_MSG_GETTABLE, take_table, NULL);
    if (r == 0)
        r = dump(&v, NFT_MSG_GETCHAIN, take_chain, NULL);
    if (r == 0)
        r = dump(&v, NFT_MSG_GETSET, take_set, NULL);
    if (r == 0)
        r = dump(&v, NFT_MSG_GETRULE, take_rule, NULL);
    if (r == 0)
        r = check_seen(&v);
    if (r == 0)
        r = check_elements(&v);
    if (r < 0)
        *error = own;
    return r;
}
