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
#include <unistd.h>

/* One message: headers (16 + 4 bytes), the verdict (4 + 8), the mark (4 + 4). */
#define VERDICT_SIZE 40

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

bool nfqueue_nft_is_loaded(void)
{
    return access("/sys/module/nft_queue", F_OK) == 0;
}

int nfqueue_verdicts(int fd, uint16_t number, const struct nfqueue_verdict *verdicts, size_t count)
{
    char buffer[NFQUEUE_VERDICTS_MAX * VERDICT_SIZE] __attribute__((aligned(NLMSG_ALIGNTO)));
    size_t length = 0;

    if (count > NFQUEUE_VERDICTS_MAX)
        return -EINVAL;
    for (size_t i = 0; i < count; i++) {
        struct nlmsghdr *header = nfnl_message(buffer + length, NFNL_SUBSYS_QUEUE,
                                               NFQNL_MSG_VERDICT, 0, AF_UNSPEC, number);
        struct nfqnl_msg_verdict_hdr verdict = {.verdict = htonl(verdicts[i].verdict),
                                                .id = htonl(verdicts[i].id)};

        mnl_attr_put(header, NFQA_VERDICT_HDR, sizeof verdict, &verdict);
        if (verdicts[i].mark)
            mnl_attr_put_u32(header, NFQA_MARK, htonl(verdicts[i].mark));
        length += NLMSG_ALIGN(header->nlmsg_len);
    }
    return send(fd, buffer, length, MSG_DONTWAIT) < 0 ? -errno : 0;
}
