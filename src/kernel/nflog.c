/* NFLOG sockets: binding one to a group, through the control messages of nfnetlink_log. Each
 * message is acknowledged before the next is sent. */
#include "kernel/nflog.h"

#include <arpa/inet.h>
#include <errno.h>
#include <libmnl/libmnl.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_log.h>
#include <stddef.h>
#include <sys/socket.h>

#define COPY_BYTES 128

static struct nlmsghdr *start_message(char *buffer, uint16_t group, uint32_t sequence)
{
    struct nlmsghdr *header = mnl_nlmsg_put_header(buffer);
    struct nfgenmsg *message;

    header->nlmsg_type = (NFNL_SUBSYS_ULOG << 8) | NFULNL_MSG_CONFIG;
    header->nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK;
    header->nlmsg_seq = sequence;
    message = mnl_nlmsg_put_extra_header(header, sizeof *message);
    message->nfgen_family = AF_UNSPEC;
    message->version = NFNETLINK_V0;
    message->res_id = htons(group);
    return header;
}

static int exchange(int fd, const struct nlmsghdr *header)
{
    char answer[4096];
    ssize_t got;

    if (send(fd, header, header->nlmsg_len, 0) < 0)
        return -errno;
    do
        got = recv(fd, answer, sizeof answer, 0);
    while (got < 0 && errno == EINTR);
    if (got < 0)
        return -errno;
    int result = mnl_cb_run(answer, (size_t)got, header->nlmsg_seq, 0, NULL, NULL);
    return result < 0 ? -errno : 0;
}

int nflog_bind(int fd, uint16_t group, struct error *error)
{
    char buffer[256] __attribute__((aligned(NLMSG_ALIGNTO)));
    struct nlmsghdr *header = start_message(buffer, group, 1);
    struct nfulnl_msg_config_cmd command = {.command = NFULNL_CFG_CMD_BIND};
    struct nfulnl_msg_config_mode mode = {.copy_range = htonl(COPY_BYTES),
                                          .copy_mode = NFULNL_COPY_PACKET};

    mnl_attr_put(header, NFULA_CFG_CMD, sizeof command, &command);
    int result = exchange(fd, header);
    if (result == 0) {
        header = start_message(buffer, group, 2);
        mnl_attr_put(header, NFULA_CFG_MODE, sizeof mode, &mode);
        /* One by one: the kernel would keep messages back for a second, and a short command's for
         * ever. */
        mnl_attr_put_u32(header, NFULA_CFG_QTHRESH, htonl(1));
        result = exchange(fd, header);
    }
    if (result < 0)
        return error_errno(error, result, "cannot listen to the jail's denial log (NFLOG)");
    return 0;
}
