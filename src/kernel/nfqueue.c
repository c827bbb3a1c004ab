/* NFQUEUE: configuration and verdicts, through the control messages of nfnetlink_queue.
 *
 * The kernel takes verdicts only from the socket that bound the queue, and only from one with
 * CAP_NET_ADMIN over the jail. So supervisor and service share the socket: it binds and judges, the
 * service reads. Never with "fail open" or "bypass": a packet without a verdict is dropped. */
#include "kernel/nfqueue.h"

#include "kernel/message.h"
#include "kernel/nl.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_queue.h>
#include <stddef.h>
#include <sys/socket.h>

int nfqueue_bind(int fd, uint16_t number, uint32_t copy_bytes, struct error *error)
{
    char buffer[256] __attribute__((aligned(NLMSG_ALIGNTO)));
    struct nlmsghdr *header =
        nfnl_message(buffer, NFNL_SUBSYS_QUEUE, NFQNL_MSG_CONFIG, NLM_F_ACK, AF_UNSPEC, number);
    struct nfqnl_msg_config_cmd command = {.command = NFQNL_CFG_CMD_BIND};
    struct nfqnl_msg_config_params params = {.copy_range = htonl(copy_bytes),
                                             .copy_mode = NFQNL_COPY_PACKET};
    struct nl nl = {.fd = fd};
    struct nl_failure failure;
    int result;

    mnl_attr_put(header, NFQA_CFG_CMD, sizeof command, &command);
    result = nl_request(&nl, header, NULL, NULL, &failure);
    if (result == 0) {
        header =
            nfnl_message(buffer, NFNL_SUBSYS_QUEUE, NFQNL_MSG_CONFIG, NLM_F_ACK, AF_UNSPEC, number);
        mnl_attr_put(header, NFQA_CFG_PARAMS, sizeof params, &params);
        mnl_attr_put_u32(header, NFQA_CFG_QUEUE_MAXLEN, htonl(NFQUEUE_LENGTH));
        result = nl_request(&nl, header, NULL, NULL, &failure);
    }
    if (result < 0)
        return error_errno(error, result, "cannot let connections wait in the jail (NFQUEUE)");
    return 0;
}

int nfqueue_verdict(int fd, uint16_t number, uint32_t id, uint32_t verdict, uint32_t mark)
{
    char buffer[256] __attribute__((aligned(NLMSG_ALIGNTO)));
    struct nlmsghdr *header =
        nfnl_message(buffer, NFNL_SUBSYS_QUEUE, NFQNL_MSG_VERDICT, 0, AF_UNSPEC, number);
    struct nfqnl_msg_verdict_hdr judgement = {.verdict = htonl(verdict), .id = htonl(id)};

    mnl_attr_put(header, NFQA_VERDICT_HDR, sizeof judgement, &judgement);
    if (mark)
        mnl_attr_put_u32(header, NFQA_MARK, htonl(mark));
    return send(fd, header, header->nlmsg_len, MSG_DONTWAIT) < 0 ? -errno : 0;
}
