/* Docker drops what the host forwards for others, and documents the chain DOCKER-USER as the place
 * for exceptions (docs.docker.com, "Packet filtering and firewalls").
 *
 * Our rules there carry the comment `netjail IFNAME`, by which they are found again, and consist of
 * what iptables-nft can show: the interface, a counter, a verdict. What must not happen: a rule of
 * somebody else's being removed, or ours being there twice. */
#include "kernel/nft_docker.h"

#include "kernel/explain.h"
#include "kernel/nft_batch.h"
#include "plan/emit.h"

#include <endian.h>
#include <errno.h>
#include <libmnl/libmnl.h>
#include <libnftnl/common.h>
#include <libnftnl/rule.h>
#include <libnftnl/udata.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <stdio.h>
#include <string.h>

#define TABLE       "filter"
#define CHAIN       "DOCKER-USER"
#define HANDLES_MAX 8

struct docker {
    const struct op *op;
    uint8_t family;
    struct nftnl_udata_buf *comment;
    uint64_t handles[HANDLES_MAX]; /* of our rules that are there */
    size_t count;
};

static struct nftnl_udata_buf *comment_new(const char *ifname)
{
    struct nftnl_udata_buf *data = nftnl_udata_buf_alloc(NFT_USERDATA_MAXLEN);
    char text[sizeof "netjail " + IFNAME_SIZE];

    (void)snprintf(text, sizeof text, "netjail %s", ifname); /* fits */
    if (data && !nftnl_udata_put_strz(data, NFTNL_UDATA_RULE_COMMENT, text)) {
        nftnl_udata_buf_free(data);
        return NULL;
    }
    return data;
}

static int take_rule(const struct nlmsghdr *message, void *context)
{
    struct docker *docker = context;
    struct nftnl_rule *rule = nftnl_rule_alloc();
    uint32_t length = 0;
    const void *data;

    if (rule && nftnl_rule_nlmsg_parse(message, rule) == 0 && docker->count < HANDLES_MAX) {
        data = nftnl_rule_get_data(rule, NFTNL_RULE_USERDATA, &length);
        if (data && length == nftnl_udata_buf_len(docker->comment) &&
            memcmp(data, nftnl_udata_buf_data(docker->comment), length) == 0)
            docker->handles[docker->count++] = nftnl_rule_get_u64(rule, NFTNL_RULE_HANDLE);
    }
    nftnl_rule_free(rule);
    return 0;
}

static void forget(void *context)
{
    struct docker *docker = context;

    docker->count = 0;
}

static int find(struct nl *nl, struct docker *docker, struct nl_failure *failure)
{
    _Alignas(struct nlmsghdr) char buffer[256];
    struct nlmsghdr *message =
        nftnl_nlmsg_build_hdr(buffer, NFT_MSG_GETRULE, docker->family, NLM_F_DUMP, 0);

    mnl_attr_put_strz(message, NFTA_RULE_TABLE, TABLE);
    mnl_attr_put_strz(message, NFTA_RULE_CHAIN, CHAIN);
    int r = nl_dump(nl, message, take_rule, forget, docker, failure);
    return r == -ENOENT && docker->op->kind == OP_DOCKER_FORGET ? 0 : r;
}

/* `iifname IF counter accept` (or oifname) at the head of the chain. */
static int put_accept(struct nft_batch *batch, const struct docker *docker, enum nft_field field)
{
    struct nlmsghdr *message =
        nft_batch_message(batch, NFT_MSG_NEWRULE, docker->family, NLM_F_CREATE);
    struct arena *arena = arena_new();
    struct plan plan = {.arena = arena};
    const struct emit emit = {.plan = &plan, .where = WHERE_HOST, .family = NFT_INET};
    struct nftnl_rule *rule = NULL;

    if (message && arena) {
        emit_rule(&emit, CHAIN);
        term_match_ifname(&plan, field, docker->op->docker.ifname);
        term_simple(&plan, TERM_COUNTER);
        term_verdict(&plan, NFT_ACCEPT_PACKET, NULL);
        rule = nft_rule_new(&plan, &plan.ops[0]);
    }
    if (rule && nftnl_rule_set_str(rule, NFTNL_RULE_TABLE, TABLE) == 0 &&
        nftnl_rule_set_data(rule, NFTNL_RULE_USERDATA, nftnl_udata_buf_data(docker->comment),
                            nftnl_udata_buf_len(docker->comment)) == 0) {
        nftnl_rule_set_u32(rule, NFTNL_RULE_FAMILY, docker->family);
        nftnl_rule_nlmsg_build_payload(message, rule);
        nft_batch_end(batch, message);
    } else {
        batch->failure.code = -ENOMEM;
    }
    nftnl_rule_free(rule);
    arena_free(arena);
    return batch->failure.code;
}

static int put_delete(struct nft_batch *batch, const struct docker *docker, uint64_t handle)
{
    struct nlmsghdr *message = nft_batch_message(batch, NFT_MSG_DELRULE, docker->family, 0);

    if (!message)
        return batch->failure.code;
    mnl_attr_put_strz(message, NFTA_RULE_TABLE, TABLE);
    mnl_attr_put_strz(message, NFTA_RULE_CHAIN, CHAIN);
    mnl_attr_put_u64(message, NFTA_RULE_HANDLE, htobe64(handle));
    nft_batch_end(batch, message);
    return 0;
}

/* Removes what is there and, for an accept, puts both rules: one transaction. */
static int replace(struct nl *nl, const struct docker *docker, struct nl_failure *failure)
{
    struct nft_batch batch = {.nl = nl, .seq = nl_take_seq(nl, 1)};
    bool accepts = docker->op->kind == OP_DOCKER_ACCEPT;
    int r = 0;

    for (size_t i = 0; r == 0 && i < docker->count; i++)
        r = put_delete(&batch, docker, docker->handles[i]);
    if (r == 0 && accepts)
        r = put_accept(&batch, docker, FIELD_OIFNAME);
    if (r == 0 && accepts)
        r = put_accept(&batch, docker, FIELD_IIFNAME);
    if (r == 0)
        r = nft_batch_send(&batch);
    *failure = batch.failure;
    failure->code = r;
    nft_batch_free(&batch);
    return r;
}

int nft_docker_op(struct nl *nl, const struct plan *plan, const struct op *op, struct error *error)
{
    struct nl_failure failure = {0};
    struct docker docker = {.op = op,
                            .family = op->docker.family == ADDR_V4 ? NFPROTO_IPV4 : NFPROTO_IPV6,
                            .comment = comment_new(op->docker.ifname)};
    size_t wanted = op->kind == OP_DOCKER_ACCEPT ? 2 : 0;

    if (!docker.comment)
        return error_set(error, -ENOMEM, "out of memory");
    int r = find(nl, &docker, &failure);
    if (r == 0 && docker.count != wanted)
        r = replace(nl, &docker, &failure);
    nftnl_udata_buf_free(docker.comment);
    failure.code = r;
    return r < 0 ? explain_op(plan, op, &failure, error) : 0;
}
