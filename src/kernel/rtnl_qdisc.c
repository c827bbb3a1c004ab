/* Token buckets (tc-tbf(8)) through rtnetlink.
 *
 * The kernel echoes the qdisc that it made: its kind and rate are compared, since a link that is
 * not limited as the policy says is a failure. Mustn't: leave a rate in the unit of the wrong field
 * (struct tc_ratespec has 32 bits of bytes per second; more goes into an attribute of its own). */
#include "kernel/rtnl.h"

#include <errno.h>
#include <libmnl/libmnl.h>
#include <linux/pkt_sched.h>
#include <linux/rtnetlink.h>
#include <string.h>

struct echo {
    const struct op *op;
    bool is_right;
};

static int take_parms(const struct nlattr *attribute, void *context)
{
    struct echo *echo = context;
    uint64_t bytes_s = echo->op->qdisc.rate_bit_s / 8;
    struct tc_tbf_qopt parms;

    if (mnl_attr_get_type(attribute) != TCA_TBF_PARMS ||
        mnl_attr_get_payload_len(attribute) < sizeof parms)
        return MNL_CB_OK;
    memcpy(&parms, mnl_attr_get_payload(attribute), sizeof parms);
    echo->is_right = parms.rate.rate == (bytes_s > UINT32_MAX ? UINT32_MAX : bytes_s) &&
                     parms.limit == echo->op->qdisc.limit;
    return MNL_CB_OK;
}

static int take_attribute(const struct nlattr *attribute, void *context)
{
    struct echo *echo = context;

    if (mnl_attr_get_type(attribute) == TCA_KIND &&
        strncmp(mnl_attr_get_payload(attribute), "tbf", mnl_attr_get_payload_len(attribute)) != 0)
        return MNL_CB_ERROR;
    if (mnl_attr_get_type(attribute) == TCA_OPTIONS &&
        mnl_attr_parse_nested(attribute, take_parms, echo) < 0)
        return MNL_CB_ERROR;
    return MNL_CB_OK;
}

static int take_echo(const struct nlmsghdr *message, void *context)
{
    struct echo *echo = context;

    if (message->nlmsg_type == RTM_NEWQDISC &&
        mnl_attr_parse(message, sizeof(struct tcmsg), take_attribute, echo) < 0)
        echo->is_right = false;
    return 0;
}

static void put_bucket(struct nlmsghdr *message, const struct op *op)
{
    uint64_t bytes_s = op->qdisc.rate_bit_s / 8;
    struct tc_tbf_qopt parms = {
        .rate = {.linklayer = TC_LINKLAYER_ETHERNET,
                 .rate = bytes_s > UINT32_MAX ? UINT32_MAX : (uint32_t)bytes_s},
        .limit = op->qdisc.limit};
    struct nlattr *options = mnl_attr_nest_start(message, TCA_OPTIONS);

    mnl_attr_put(message, TCA_TBF_PARMS, sizeof parms, &parms);
    mnl_attr_put_u32(message, TCA_TBF_BURST, op->qdisc.burst);
    if (bytes_s > UINT32_MAX)
        mnl_attr_put_u64(message, TCA_TBF_RATE64, bytes_s);
    mnl_attr_nest_end(message, options);
}

int rtnl_add_qdisc(struct nl *nl, const struct op *op, struct nl_failure *failure)
{
    _Alignas(struct nlmsghdr) char buffer[1024];
    struct rtnl_link link;
    struct echo echo = {.op = op};
    int code = rtnl_get_link(nl, op->qdisc.ifname, &link, failure);

    if (code < 0)
        return code;
    struct nlmsghdr *message = mnl_nlmsg_put_header(buffer);
    message->nlmsg_type = RTM_NEWQDISC;
    message->nlmsg_flags = NLM_F_REQUEST | NLM_F_CREATE | NLM_F_EXCL | NLM_F_ECHO;
    struct tcmsg *header = mnl_nlmsg_put_extra_header(message, sizeof *header);
    header->tcm_family = AF_UNSPEC;
    header->tcm_ifindex = link.index;
    header->tcm_parent = TC_H_ROOT;
    mnl_attr_put_strz(message, TCA_KIND, "tbf");
    put_bucket(message, op);
    code = nl_request(nl, message, take_echo, &echo, failure);
    if (code == 0 && !echo.is_right)
        return failure->code = -EUCLEAN;
    return code;
}
