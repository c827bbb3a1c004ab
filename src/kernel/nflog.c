/* NFLOG sockets: binding one to a group, through the control messages of nfnetlink_log. Each
 * message is acknowledged before the next is sent. */
#include "kernel/nflog.h"

#include "kernel/message.h"
#include "kernel/nl.h"

#include <arpa/inet.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_log.h>

#define COPY_BYTES 128

int nflog_bind(int fd, uint16_t group, struct error *error)
{
    char buffer[256] __attribute__((aligned(NLMSG_ALIGNTO)));
    struct nlmsghdr *header =
        nfnl_message(buffer, NFNL_SUBSYS_ULOG, NFULNL_MSG_CONFIG, 0, AF_UNSPEC, group);
    struct nfulnl_msg_config_cmd command = {.command = NFULNL_CFG_CMD_BIND};
    struct nfulnl_msg_config_mode mode = {.copy_range = htonl(COPY_BYTES),
                                          .copy_mode = NFULNL_COPY_PACKET};
    struct nl nl = {.fd = fd};
    struct nl_failure failure;

    mnl_attr_put(header, NFULA_CFG_CMD, sizeof command, &command);
    int result = nl_request(&nl, header, NULL, NULL, &failure);
    if (result == 0) {
        header = nfnl_message(buffer, NFNL_SUBSYS_ULOG, NFULNL_MSG_CONFIG, 0, AF_UNSPEC, group);
        mnl_attr_put(header, NFULA_CFG_MODE, sizeof mode, &mode);
        /* One by one: the kernel would keep messages back for a second, and a short command's for
         * ever. */
        mnl_attr_put_u32(header, NFULA_CFG_QTHRESH, htonl(1));
        result = nl_request(&nl, header, NULL, NULL, &failure);
    }
    if (result < 0)
        return error_errno(error, result, "cannot listen to the jail's denial log (NFLOG)");
    return 0;
}
