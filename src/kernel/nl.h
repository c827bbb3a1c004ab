/* Netlink sockets: requests with acknowledgement, dumps and batches, with the kernel's own words
 * about what it refused. */
#pragma once

#include "base/diag.h"

#include <linux/netlink.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct nl {
    int fd;            /* -1: not open */
    bool owned;        /* close it in nl_close() */
    uint32_t seq;      /* last sequence number given out */
    size_t send_limit; /* largest message or batch that one send can carry */
};

#define NL_CLOSED ((struct nl){.fd = -1})

/* Why the kernel refused a message. */
struct nl_failure {
    int code;       /* negative errno; 0: acknowledged */
    uint32_t seq;   /* of the message it is about */
    char text[160]; /* extended ack, "" when the kernel said nothing */
};

/* Opens a socket of the present network namespace. `protocol` is NETLINK_ROUTE, NETLINK_NETFILTER.
 */
int nl_open(int protocol, struct nl *ret_nl, struct error *error);

/* Uses a socket that somebody else opened (and keeps). -EINVAL: it is no netlink socket. */
int nl_adopt(int fd, struct nl *ret_nl, struct error *error);
void nl_close(struct nl *nl);

/* Lets one send carry `length` bytes, as far as the kernel permits it; the limit that came out of
 * it is nl->send_limit (outside the initial user namespace: net.core.wmem_max decides). */
void nl_allow_length(struct nl *nl, size_t length);

/* Reserves `count` sequence numbers and returns the first. */
uint32_t nl_take_seq(struct nl *nl, uint32_t count);

/* Sends `message` (its sequence number is set) and waits for the acknowledgement. 0 or the kernel's
 * negative errno with *failure filled. A reply before the ack (NLM_F_ECHO, RTM_GETLINK of one link)
 * goes to `reply`, which may be NULL; its negative result ends the request. */
typedef int (*nl_reply)(const struct nlmsghdr *message, void *context);
int nl_request(struct nl *nl, struct nlmsghdr *message, nl_reply reply, void *context,
               struct nl_failure *failure);

/* Sends a dump request and gives every message of the answer to `reply`. The kernel may say that
 * the answer changed while it was read (NLM_F_DUMP_INTR): then restart(context) takes back what
 * `reply` has done, and it is asked again, some hundred times within about two seconds; -EINTR
 * after that, or where restart is NULL.
 */
int nl_dump(struct nl *nl, struct nlmsghdr *message, nl_reply reply, void (*restart)(void *context),
            void *context, struct nl_failure *failure);

/* Sends a batch of complete messages in one piece. All replies are there when the send returns;
 * the first refusal fills *failure. Without a refusal the message that asked for an acknowledgement
 * must have got one, else -EPROTO. */
int nl_send_batch(struct nl *nl, const void *bytes, size_t length, struct nl_failure *failure);

/* Reads an NLMSG_ERROR message (an acknowledgement, too). False: malformed. */
bool nl_parse_error(const struct nlmsghdr *message, struct nl_failure *ret_failure);
