/* Transactions.
 *
 * Ops of a plan become messages between NFNL_MSG_BATCH_BEGIN and _END, sent in one piece: the
 * kernel takes all or none. Every message carries first + (index of its op) as sequence number, so
 * a refusal leads to the op. Only the last message asks for an acknowledgement.
 *
 * Splitting one transaction costs time (100,000 prefixes in 100 transactions: 3.7 times) and
 * atomicity, so it happens only where the kernel limits the size of a send. That is the case in a
 * user namespace, whose jail has no link up yet, so no packet sees the state between.
 *
 * An element on the host may be a left-over of a dead jail, with other data: it is replaced, not
 * merely added. DESTROY* messages say that without an error for what is missing; older kernels get
 * add, delete, add, and where even that is refused because the data differs, the left-overs are
 * deleted one by one first. */
#include "kernel/nft_batch.h"

#include "base/cleanup.h"
#include "kernel/explain.h"
#include "kernel/nft_set.h"

#include <endian.h>
#include <errno.h>
#include <libmnl/libmnl.h>
#include <libnftnl/chain.h>
#include <libnftnl/common.h>
#include <libnftnl/rule.h>
#include <libnftnl/set.h>
#include <libnftnl/table.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <stdlib.h>
#include <string.h>

/* Linux 6.3; absent from older headers. */
#define MSG_DESTROY_TABLE   26
#define MSG_DESTROY_ELEMENT 30

#define OP_SIZE_ESTIMATE      1024 /* bytes of message per op without elements */
#define ELEMENT_SIZE_ESTIMATE 72   /* attributes around one element's keys and data */

/* So large that the C library maps the buffer: growing it then moves pages instead of copying them,
 * and only what is written costs memory. */
#define GROWTH_MIN (NFT_MESSAGE_ROOM + (size_t)64 * 1024)

void nft_batch_free(struct nft_batch *batch)
{
    free(batch->data);
    batch->data = NULL;
}

static int out_of_memory(struct nft_batch *batch)
{
    return batch->failure.code = -ENOMEM;
}

static int reserve(struct nft_batch *batch)
{
    size_t needed = batch->length + NFT_MESSAGE_ROOM;
    if (needed <= batch->capacity)
        return 0;
    size_t half = batch->capacity / 2;
    size_t capacity = needed + (half > GROWTH_MIN ? half : GROWTH_MIN);
    uint8_t *data = realloc(batch->data, capacity);
    if (!data)
        return out_of_memory(batch);
    batch->data = data;
    batch->capacity = capacity;
    return 0;
}

static size_t aligned(const struct nlmsghdr *message)
{
    return (message->nlmsg_len + (size_t)MNL_ALIGNTO - 1) & ~((size_t)MNL_ALIGNTO - 1);
}

static int put_marker(struct nft_batch *batch, uint16_t type)
{
    int r = reserve(batch);
    if (r < 0)
        return r;
    struct nlmsghdr *message = mnl_nlmsg_put_header(batch->data + batch->length);
    message->nlmsg_type = type;
    message->nlmsg_flags = NLM_F_REQUEST;
    message->nlmsg_seq = batch->seq;
    struct nfgenmsg *header = mnl_nlmsg_put_extra_header(message, sizeof *header);
    header->nfgen_family = AF_UNSPEC;
    header->version = NFNETLINK_V0;
    header->res_id = htobe16(NFNL_SUBSYS_NFTABLES);
    batch->length += aligned(message);
    return 0;
}

struct nlmsghdr *nft_batch_message(struct nft_batch *batch, uint16_t type, uint8_t family,
                                   uint16_t flags)
{
    size_t limit = batch->nl->send_limit;
    /* Elements keep to a quarter of the limit, everything else is far below it. */
    if (batch->is_open && batch->length + limit / 4 + 8192 > limit && nft_batch_send(batch) < 0)
        return NULL;
    if (!batch->is_open && put_marker(batch, NFNL_MSG_BATCH_BEGIN) < 0)
        return NULL;
    batch->is_open = true;
    if (reserve(batch) < 0)
        return NULL;
    batch->last_message = batch->length;
    return nftnl_nlmsg_build_hdr((char *)batch->data + batch->length, type, family, flags,
                                 batch->seq);
}

void nft_batch_end(struct nft_batch *batch, const struct nlmsghdr *message)
{
    batch->length += aligned(message);
}

int nft_batch_send(struct nft_batch *batch)
{
    if (!batch->is_open)
        return 0;
    struct nlmsghdr *last = (void *)(batch->data + batch->last_message);
    last->nlmsg_flags |= NLM_F_ACK;
    int r = put_marker(batch, NFNL_MSG_BATCH_END);
    if (r == 0)
        r = nl_send_batch(batch->nl, batch->data, batch->length, &batch->failure);
    batch->length = 0;
    batch->is_open = false;
    return r;
}

static struct nlmsghdr *op_message(struct nft_batch *batch, uint16_t type, enum nft_family family,
                                   uint16_t flags)
{
    return nft_batch_message(batch, type, nft_family_number(family), flags);
}

static int put_table(struct nft_batch *batch, const struct op *op, uint16_t type, uint16_t flags)
{
    struct nlmsghdr *message = op_message(batch, type, op->table.family, flags);
    if (!message)
        return batch->failure.code;
    mnl_attr_put_strz(message, NFTA_TABLE_NAME, NFT_TABLE_NAME);
    if (type == NFT_MSG_NEWTABLE)
        mnl_attr_put_u32(message, NFTA_TABLE_FLAGS, 0);
    nft_batch_end(batch, message);
    return 0;
}

static int delete_table(struct nft_batch *batch, const struct op *op, bool lacks_destroy)
{
    if (!lacks_destroy)
        return put_table(batch, op, MSG_DESTROY_TABLE, 0);
    int r = put_table(batch, op, NFT_MSG_NEWTABLE, NLM_F_CREATE);
    return r < 0 ? r : put_table(batch, op, NFT_MSG_DELTABLE, 0);
}

struct nftnl_chain *nft_chain_new(const struct op *op)
{
    struct nftnl_chain *chain = nftnl_chain_alloc();
    if (!chain)
        return NULL;
    bool done = nftnl_chain_set_str(chain, NFTNL_CHAIN_TABLE, NFT_TABLE_NAME) == 0 &&
                nftnl_chain_set_str(chain, NFTNL_CHAIN_NAME, op->chain.name) == 0;
    nftnl_chain_set_u32(chain, NFTNL_CHAIN_FAMILY, nft_family_number(op->chain.family));
    if (op->chain.is_base) {
        done = done && nftnl_chain_set_str(chain, NFTNL_CHAIN_TYPE, op->chain.type) == 0;
        nftnl_chain_set_u32(chain, NFTNL_CHAIN_HOOKNUM, op->chain.hook);
        nftnl_chain_set_s32(chain, NFTNL_CHAIN_PRIO, op->chain.priority);
        nftnl_chain_set_u32(chain, NFTNL_CHAIN_POLICY, op->chain.policy_drop ? NF_DROP : NF_ACCEPT);
    }
    if (done)
        return chain;
    nftnl_chain_free(chain);
    return NULL;
}

static int put_chain(struct nft_batch *batch, const struct op *op)
{
    struct nlmsghdr *message = op_message(batch, NFT_MSG_NEWCHAIN, op->chain.family, NLM_F_CREATE);
    if (!message)
        return batch->failure.code;
    struct nftnl_chain *chain = nft_chain_new(op);
    if (!chain)
        return out_of_memory(batch);
    nftnl_chain_nlmsg_build_payload(message, chain);
    nftnl_chain_free(chain);
    nft_batch_end(batch, message);
    return 0;
}

static int put_set(struct nft_batch *batch, const struct op *op, uint32_t id)
{
    struct nlmsghdr *message = op_message(batch, NFT_MSG_NEWSET, op->set.family, NLM_F_CREATE);
    if (!message)
        return batch->failure.code;
    struct nftnl_set *set = nft_set_new(op, id);
    if (!set)
        return out_of_memory(batch);
    nftnl_set_nlmsg_build_payload(message, set);
    nftnl_set_free(set);
    nft_batch_end(batch, message);
    return 0;
}

static int put_rule(struct nft_batch *batch, const struct plan *plan, const struct op *op)
{
    struct nlmsghdr *message =
        op_message(batch, NFT_MSG_NEWRULE, op->rule.family, NLM_F_CREATE | NLM_F_APPEND);
    if (!message)
        return batch->failure.code;
    struct nftnl_rule *rule = nft_rule_new(plan, op);
    if (!rule)
        return out_of_memory(batch);
    nftnl_rule_nlmsg_build_payload(message, rule);
    nftnl_rule_free(rule);
    nft_batch_end(batch, message);
    return 0;
}

static int add_elements(struct nft_batch *batch, const struct plan *plan, const struct op *op,
                        enum nft_replace replace)
{
    int r = 0;
    if (replace == NFT_REPLACE_DESTROY)
        r = nft_put_elements(batch, plan, op, MSG_DESTROY_ELEMENT, 0);
    if (replace == NFT_REPLACE_READD)
        r = nft_put_elements(batch, plan, op, NFT_MSG_NEWSETELEM, NLM_F_CREATE);
    if (replace == NFT_REPLACE_READD && r == 0)
        r = nft_put_elements(batch, plan, op, NFT_MSG_DELSETELEM, 0);
    return r < 0 ? r : nft_put_elements(batch, plan, op, NFT_MSG_NEWSETELEM, NLM_F_CREATE);
}

/* May the element be there already? A left-over on the host, or a pin that is renewed. */
static bool may_be_there(const struct op *op)
{
    return op->where == WHERE_HOST || op->elements.timeout_ms > 0;
}

static int put_op(struct nft_batch *batch, const struct plan *plan, const struct op *op,
                  bool lacks_destroy)
{
    enum nft_replace replace = lacks_destroy ? NFT_REPLACE_READD : NFT_REPLACE_DESTROY;
    switch (op->kind) {
    case OP_NFT_TABLE_ADD:
        return put_table(batch, op, NFT_MSG_NEWTABLE, NLM_F_CREATE);
    case OP_NFT_CHAIN_ADD:
        return put_chain(batch, op);
    case OP_NFT_SET_ADD:
        return put_set(batch, op, (uint32_t)(op - plan->ops) + 1);
    case OP_NFT_RULE_ADD:
        return put_rule(batch, plan, op);
    case OP_NFT_ELEMENTS_ADD:
        return add_elements(batch, plan, op, may_be_there(op) ? replace : NFT_REPLACE_NONE);
    case OP_NFT_ELEMENTS_DELETE:
        return lacks_destroy ? 0 : nft_put_elements(batch, plan, op, MSG_DESTROY_ELEMENT, 0);
    case OP_NFT_TABLE_DELETE:
        return delete_table(batch, op, lacks_destroy);
    default:
        return batch->failure.code = -EINVAL;
    }
}

static size_t estimate_size(const struct plan *plan, size_t first, size_t count)
{
    size_t size = 0;
    for (const struct op *op = plan->ops + first; op < plan->ops + first + count; op++) {
        size += OP_SIZE_ESTIMATE;
        if (op->kind == OP_NFT_RULE_ADD)
            size += (size_t)op->rule.term_count * OP_SIZE_ESTIMATE;
        if (op->kind == OP_NFT_ELEMENTS_ADD || op->kind == OP_NFT_ELEMENTS_DELETE)
            size += op->elements.count * (2 * nft_element_size(op) + ELEMENT_SIZE_ESTIMATE) *
                    (may_be_there(op) ? 3 : 1);
    }
    return size;
}

static void cleanup_batch(struct nft_batch *batch)
{
    nft_batch_free(batch);
}

static int try_transaction(struct nl *nl, const struct plan *plan, size_t first, size_t count,
                           bool lacks_destroy, size_t *ret_failed, struct nl_failure *ret_failure)
{
    __attribute__((cleanup(cleanup_batch))) struct nft_batch batch = {.nl = nl};
    uint32_t base = nl_take_seq(nl, (uint32_t)count);
    size_t i = 0;
    int r = 0;
    for (; i < count && r == 0; i++) {
        batch.seq = base + (uint32_t)i;
        r = put_op(&batch, plan, &plan->ops[first + i], lacks_destroy);
    }
    if (r == 0)
        r = nft_batch_send(&batch);
    if (r == 0)
        return 0;
    /* A refusal of the whole batch carries the number of its beginning. */
    uint32_t offset = batch.failure.seq - base;
    *ret_failed = first + (batch.failure.seq != 0 && offset < count ? offset : i > 0 ? i - 1 : 0);
    *ret_failure = batch.failure;
    ret_failure->code = r;
    return r;
}

/* Kernels without DESTROY: each element in a transaction of its own, since one that is missing
 * would abort the others. */
static int delete_one_by_one(struct nl *nl, const struct plan *plan, const struct op *op,
                             struct nl_failure *failure)
{
    for (uint32_t i = 0; i < op->elements.count; i++) {
        __attribute__((cleanup(cleanup_batch))) struct nft_batch batch = {
            .nl = nl, .seq = nl_take_seq(nl, 1)};
        int r = nft_put_element(&batch, plan, op, NFT_MSG_DELSETELEM, i);
        if (r == 0)
            r = nft_batch_send(&batch);
        if (r < 0 && r != -ENOENT) {
            *failure = batch.failure;
            return r;
        }
    }
    return 0;
}

static int delete_all(struct nl *nl, const struct plan *plan, size_t first, size_t count,
                      enum op_kind kind, size_t *ret_failed, struct nl_failure *failure)
{
    for (size_t i = first; i < first + count; i++) {
        if (plan->ops[i].kind != kind)
            continue;
        int r = delete_one_by_one(nl, plan, &plan->ops[i], failure);
        if (r < 0) {
            *ret_failed = i;
            return r;
        }
    }
    return 0;
}

/* A message type that the kernel does not know is -EINVAL. */
static bool may_lack_destroy(const struct plan *plan, size_t failed, int code)
{
    const struct op *op = &plan->ops[failed];
    bool uses_destroy = op->kind == OP_NFT_ELEMENTS_DELETE || op->kind == OP_NFT_TABLE_DELETE ||
                        (op->kind == OP_NFT_ELEMENTS_ADD && may_be_there(op));
    return code == -EINVAL && uses_destroy;
}

static int transact_without_destroy(struct nl *nl, const struct plan *plan, size_t first,
                                    size_t count, size_t *ret_failed, struct nl_failure *failure)
{
    int r = delete_all(nl, plan, first, count, OP_NFT_ELEMENTS_DELETE, ret_failed, failure);
    if (r == 0)
        r = try_transaction(nl, plan, first, count, true, ret_failed, failure);
    bool is_left_over = r == -EBUSY || r == -EEXIST || r == -ENOTEMPTY;
    if (!is_left_over || plan->ops[first].where != WHERE_HOST)
        return r;
    r = delete_all(nl, plan, first, count, OP_NFT_ELEMENTS_ADD, ret_failed, failure);
    return r < 0 ? r : try_transaction(nl, plan, first, count, true, ret_failed, failure);
}

int nft_transaction(struct nl *nl, const struct plan *plan, size_t first, size_t count,
                    bool *lacks_destroy, size_t *ret_failed, struct error *error)
{
    struct nl_failure failure = {0};
    size_t failed = first;
    nl_allow_length(nl, estimate_size(plan, first, count));
    int r = 0;
    if (!*lacks_destroy) {
        r = try_transaction(nl, plan, first, count, false, &failed, &failure);
        if (r < 0 && may_lack_destroy(plan, failed, r))
            *lacks_destroy = true;
    }
    if (*lacks_destroy)
        r = transact_without_destroy(nl, plan, first, count, &failed, &failure);
    if (r == 0)
        return 0;
    *ret_failed = failed;
    failure.code = r;
    return explain_op(plan, &plan->ops[failed], &failure, error);
}

static int ignore_reply(const struct nlmsghdr *message, void *context)
{
    (void)message; /* that there is an answer is all that is asked */
    (void)context;
    return 0;
}

int nft_has_table(struct nl *nl, enum nft_family family, bool *ret_has, struct error *error)
{
    _Alignas(struct nlmsghdr) char buffer[256];
    struct nlmsghdr *message =
        nftnl_nlmsg_build_hdr(buffer, NFT_MSG_GETTABLE, nft_family_number(family), 0, 0);
    mnl_attr_put_strz(message, NFTA_TABLE_NAME, NFT_TABLE_NAME);
    struct nl_failure failure;
    int r = nl_request(nl, message, ignore_reply, NULL, &failure);
    if (r < 0 && r != -ENOENT)
        return explain("look for the nftables table", &failure, error);
    *ret_has = r == 0;
    return 0;
}
