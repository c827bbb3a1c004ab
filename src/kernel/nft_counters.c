/* Reads the counters of a jail's rules for netjailctl. What comes from the kernel is the jail's
 * table, which netjail has made, and which the owner of the jail's user namespace could change; it
 * is parsed in netjailctl, never in the supervisor. */
#include "kernel/nft_counters.h"

#include "base/buf.h"
#include "kernel/explain.h"
#include "plan/plan.h"

#include <errno.h>
#include <libmnl/libmnl.h>
#include <libnftnl/common.h>
#include <libnftnl/expr.h>
#include <libnftnl/rule.h>
#include <libnftnl/udata.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <string.h>

struct reading {
    void (*each)(void *context, const struct rule_counter *counter);
    void *context;
};

/* Of a rule's data, and its place in the policy. */
struct position_data {
    const uint8_t *end;
    char where[256];
};

/* The kernel keeps the data as they are: a length may say more than there is. */
static int take_data(const struct nftnl_udata *data, void *context)
{
    struct position_data *position = context;
    const uint8_t *bytes = nftnl_udata_get(data);
    size_t length = nftnl_udata_len(data);

    if (nftnl_udata_type(data) == RULE_DATA_POSITION && length < sizeof position->where &&
        bytes + length <= position->end) {
        memcpy(position->where, bytes, length);
        position->where[length] = '\0';
    }
    return 0;
}

static enum counted verdict_of(const struct nftnl_expr *expression)
{
    const char *chain;

    switch (nftnl_expr_get_u32(expression, NFTNL_EXPR_IMM_VERDICT)) {
    case NF_ACCEPT:
        return COUNTED_ALLOWED;
    case NF_DROP:
        return COUNTED_DROPPED;
    default:
        chain = nftnl_expr_get_str(expression, NFTNL_EXPR_IMM_CHAIN);
        return chain && strcmp(chain, "refuse") == 0 ? COUNTED_DENIED : COUNTED_OTHER;
    }
}

/* The parts of a rule that matter here. False: it has no counter. */
static bool rule_look(const struct nftnl_rule *rule, struct rule_counter *counter)
{
    struct nftnl_expr_iter *iterator = nftnl_expr_iter_create(rule);
    struct nftnl_expr *expression;
    bool found = false;

    while (iterator && (expression = nftnl_expr_iter_next(iterator))) {
        const char *name = nftnl_expr_get_str(expression, NFTNL_EXPR_NAME);

        if (strcmp(name, "counter") == 0) {
            counter->packets = nftnl_expr_get_u64(expression, NFTNL_EXPR_CTR_PACKETS);
            counter->bytes = nftnl_expr_get_u64(expression, NFTNL_EXPR_CTR_BYTES);
            found = true;
        } else if (strcmp(name, "immediate") == 0 &&
                   nftnl_expr_is_set(expression, NFTNL_EXPR_IMM_VERDICT)) {
            counter->verdict = verdict_of(expression);
        } else if (strcmp(name, "ct") == 0) {
            counter->is_known_flow = true;
        } else if (strcmp(name, "reject") == 0) {
            counter->verdict = COUNTED_DENIED;
        }
    }
    if (iterator)
        nftnl_expr_iter_destroy(iterator);
    return found;
}

static int keep(const struct nlmsghdr *message, void *context)
{
    buf_append(context, message, message->nlmsg_len);
    buf_append(context, "\0\0\0", -message->nlmsg_len % NLMSG_ALIGNTO);
    return 0;
}

static void forget(void *context)
{
    buf_free(context);
}

static int take_rule(const struct nlmsghdr *message, const struct reading *reading)
{
    struct nftnl_rule *rule = nftnl_rule_alloc();
    struct rule_counter counter = {.verdict = COUNTED_OTHER};
    struct position_data position = {.where = ""};
    uint32_t length = 0;

    if (!rule)
        return -ENOMEM;
    if (nftnl_rule_nlmsg_parse(message, rule) == 0 && rule_look(rule, &counter)) {
        const uint8_t *data = nftnl_rule_get_data(rule, NFTNL_RULE_USERDATA, &length);

        if (data) {
            position.end = data + length;
            (void)nftnl_udata_parse(data, length, take_data, &position); /* else it stays "" */
        }
        counter.where = position.where;
        counter.chain = nftnl_rule_get_str(rule, NFTNL_RULE_CHAIN);
        reading->each(reading->context, &counter);
    }
    nftnl_rule_free(rule);
    return 0;
}

int nft_read_counters(struct nl *nl,
                      void (*each)(void *context, const struct rule_counter *counter),
                      void *context, struct error *error)
{
    _Alignas(struct nlmsghdr) char buffer[256];
    const struct reading reading = {.each = each, .context = context};
    cleanup_buf struct buf rules = {0}; /* all of them, before anybody is told of one */
    struct nl_failure failure;
    struct nlmsghdr *message = nftnl_nlmsg_build_hdr(buffer, NFT_MSG_GETRULE, NFPROTO_INET, 0, 0);

    mnl_attr_put_strz(message, NFTA_RULE_TABLE, NFT_TABLE_NAME);
    int r = nl_dump(nl, message, keep, forget, &rules, &failure);
    if (r < 0)
        return explain("read the jail's counters", &failure, error);
    int left = (int)rules.length;
    const struct nlmsghdr *rule = (const void *)buf_text(&rules);
    for (; r == 0 && mnl_nlmsg_ok(rule, left); rule = mnl_nlmsg_next(rule, &left))
        r = take_rule(rule, &reading);
    return r < 0 ? error_errno(error, r, "cannot read the jail's counters") : 0;
}
