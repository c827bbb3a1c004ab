/* Netlink (RFC 3549, netlink(7)).
 *
 * What: one socket per protocol and namespace, opened here or received from init. Requests are
 * synchronous. The kernel handles a message inside send(), so when send() has returned, every reply
 * to it is in the socket's queue: batches read the queue until it is empty and never block.
 *
 * Replies count only when they come from the kernel (port 0) and carry the sequence number that was
 * asked about; others are stale and skipped. A truncated or malformed reply is an error: nothing is
 * taken for done that the kernel did not acknowledge.
 *
 * Should: leave the caller the kernel's extended ack. Mustn't: print, or close a descriptor that it
 * was lent. */
#include "kernel/nl.h"

#include "base/cleanup.h"

#include <errno.h>
#include <libmnl/libmnl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define RECEIVE_SIZE   ((size_t)64 * 1024) /* the kernel's dumps use at most 32 kB per message */
#define RECEIVE_BUFFER (1024 * 1024)

/* Dumps that changed while they were read: at once, then with pauses. */
#define DUMP_TRIES         400
#define DUMP_TRIES_AT_ONCE 20
#define DUMP_PAUSE_US      5000
#define SEND_OVERHEAD      64 /* af_netlink.c keeps 32 bytes of the send buffer back */

static size_t socket_send_limit(int fd)
{
    int value = 0;
    socklen_t length = sizeof value;
    if (getsockopt(fd, SOL_SOCKET, SO_SNDBUF, &value, &length) < 0 || value <= SEND_OVERHEAD)
        return 0;
    return (size_t)value - SEND_OVERHEAD;
}

static void socket_set_options(int fd)
{
    int on = 1;
    int size = RECEIVE_BUFFER;
    /* Each is an improvement of messages or of memory: a kernel that refuses it still works. */
    (void)setsockopt(fd, SOL_NETLINK, NETLINK_CAP_ACK, &on, sizeof on);
    (void)setsockopt(fd, SOL_NETLINK, NETLINK_EXT_ACK, &on, sizeof on);
    if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof size) < 0)
        (void)setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof size);
}

int nl_adopt(int fd, struct nl *ret_nl, struct error *error)
{
    int domain = 0;
    socklen_t length = sizeof domain;
    if (getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &length) < 0)
        return error_errno(error, -errno, "cannot use a netlink socket of the jail");
    if (domain != AF_NETLINK)
        return error_set(error, -EINVAL, "a descriptor of the jail is no netlink socket");
    socket_set_options(fd);
    *ret_nl = (struct nl){.fd = fd, .send_limit = socket_send_limit(fd)};
    return 0;
}

int nl_open(int protocol, struct nl *ret_nl, struct error *error)
{
    cleanup_fd int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, protocol);
    if (fd < 0) {
        int code = -errno;
        const char *what = protocol == NETLINK_NETFILTER ? "nftables" : "route";
        error_errno(error, code, "cannot open a %s netlink socket", what);
        if (code == -EPROTONOSUPPORT && protocol == NETLINK_NETFILTER)
            error_hint(error, "the kernel has no nftables: load the module nf_tables (modprobe "
                              "nf_tables) or use a kernel that has it");
        return code;
    }
    struct nl nl;
    int r = nl_adopt(fd, &nl, error);
    if (r < 0)
        return r;
    nl.owned = true;
    *ret_nl = nl;
    (void)take_fd(&fd); /* it belongs to *ret_nl now */
    return 0;
}

void nl_close(struct nl *nl)
{
    if (nl->owned && nl->fd >= 0)
        (void)close(nl->fd); /* nothing is written back by a socket's close */
    *nl = NL_CLOSED;
}

void nl_allow_length(struct nl *nl, size_t length)
{
    if (length <= nl->send_limit || length > INT32_MAX / 2)
        return;
    /* The kernel doubles the value: what is asked for is more than enough. */
    int value = (int)length + SEND_OVERHEAD;
    if (setsockopt(nl->fd, SOL_SOCKET, SO_SNDBUFFORCE, &value, sizeof value) < 0)
        (void)setsockopt(nl->fd, SOL_SOCKET, SO_SNDBUF, &value, sizeof value); /* up to wmem_max */
    nl->send_limit = socket_send_limit(nl->fd);
}

uint32_t nl_take_seq(struct nl *nl, uint32_t count)
{
    /* 0 is what the kernel's own notifications carry. */
    if (nl->seq > UINT32_MAX - count - 1)
        nl->seq = 0;
    uint32_t first = nl->seq + 1;
    nl->seq += count;
    return first;
}

static int error_attribute(const struct nlattr *attribute, void *context)
{
    struct nl_failure *failure = context;
    if (mnl_attr_get_type(attribute) != NLMSGERR_ATTR_MSG)
        return MNL_CB_OK;
    if (mnl_attr_validate(attribute, MNL_TYPE_NUL_STRING) < 0)
        return MNL_CB_OK;
    (void)snprintf(failure->text, sizeof failure->text, "%s", mnl_attr_get_str(attribute));
    return MNL_CB_OK;
}

bool nl_parse_error(const struct nlmsghdr *message, struct nl_failure *ret_failure)
{
    size_t length = mnl_nlmsg_get_payload_len(message);
    if (message->nlmsg_len < sizeof *message || length < sizeof(struct nlmsgerr))
        return false;
    struct nlmsgerr answer;
    memcpy(&answer, mnl_nlmsg_get_payload(message), sizeof answer);
    if (answer.error > 0 || answer.error < -4095)
        return false;
    struct nl_failure failure = {.code = answer.error, .seq = message->nlmsg_seq};
    size_t offset = sizeof answer;
    if (!(message->nlmsg_flags & NLM_F_CAPPED)) {
        if (answer.msg.nlmsg_len < sizeof answer.msg)
            return false;
        offset += NLMSG_ALIGN((size_t)answer.msg.nlmsg_len) - sizeof answer.msg;
    }
    if ((message->nlmsg_flags & NLM_F_ACK_TLVS) && offset <= length)
        /* Not mnl_attr_parse(), which rounds the length of the message up. A malformed explanation
         * is no explanation. */
        (void)mnl_attr_parse_payload((const char *)mnl_nlmsg_get_payload(message) + offset,
                                     length - offset, error_attribute, &failure);
    *ret_failure = failure;
    return true;
}

/* Receives one datagram of the kernel. Its length, 0 for one that is not the kernel's, or a
 * negative errno. */
static ssize_t receive(const struct nl *nl, void *buffer, int flags)
{
    struct sockaddr_nl from = {0};
    struct iovec part = {.iov_base = buffer, .iov_len = RECEIVE_SIZE};
    struct msghdr header = {
        .msg_name = &from, .msg_namelen = sizeof from, .msg_iov = &part, .msg_iovlen = 1};
    ssize_t length;
    do {
        length = recvmsg(nl->fd, &header, flags);
    } while (length < 0 && errno == EINTR);
    if (length < 0)
        return -errno;
    if (header.msg_flags & MSG_TRUNC)
        return -EMSGSIZE;
    if (header.msg_namelen != sizeof from || from.nl_family != AF_NETLINK || from.nl_pid != 0)
        return 0;
    return length == 0 ? -EPROTO : length;
}

static int send_all(const struct nl *nl, const void *bytes, size_t length)
{
    struct sockaddr_nl kernel = {.nl_family = AF_NETLINK};
    ssize_t sent;
    do {
        sent = sendto(nl->fd, bytes, length, 0, (const struct sockaddr *)&kernel, sizeof kernel);
    } while (sent < 0 && errno == EINTR);
    if (sent < 0)
        return -errno;
    return (size_t)sent == length ? 0 : -EMSGSIZE;
}

struct conversation {
    uint32_t seq;
    bool was_interrupted;
    nl_reply reply;
    void *context;
    struct nl_failure *failure;
};

/* 1: the conversation is over well, 0: more is to come, or a negative errno. */
static int take_message(struct conversation *talk, const struct nlmsghdr *message)
{
    if (message->nlmsg_seq != talk->seq)
        return 0;
    if (message->nlmsg_flags & NLM_F_DUMP_INTR)
        talk->was_interrupted = true;
    if (message->nlmsg_type == NLMSG_ERROR) {
        if (!nl_parse_error(message, talk->failure))
            return -EPROTO;
        return talk->failure->code < 0 ? talk->failure->code : 1;
    }
    if (message->nlmsg_type == NLMSG_DONE) {
        int code = 0;
        if (mnl_nlmsg_get_payload_len(message) >= sizeof code)
            memcpy(&code, mnl_nlmsg_get_payload(message), sizeof code);
        return code < 0 ? code : 1;
    }
    if (message->nlmsg_type < NLMSG_MIN_TYPE || !talk->reply)
        return 0;
    return talk->reply(message, talk->context) < 0 ? -EBADMSG : 0;
}

static int take_datagram(struct conversation *talk, const void *bytes, size_t length)
{
    const struct nlmsghdr *message = bytes;
    int left = (int)length;
    while (mnl_nlmsg_ok(message, left)) {
        int r = take_message(talk, message);
        if (r != 0)
            return r;
        message = mnl_nlmsg_next(message, &left);
    }
    return left > 0 ? -EPROTO : 0;
}

/* What a failed conversation left in the queue must not be read as an answer to the next: sequence
 * numbers see to that. */
/* What has arrived. One for all: of what is freed and allocated again the C library touches the
 * end each time, and here only those pages are touched that answers need. */
static _Alignas(struct nlmsghdr) char received[RECEIVE_SIZE];
static bool is_received_in_use;

static int converse(struct nl *nl, struct nlmsghdr *message, struct conversation *talk)
{
    if (is_received_in_use)
        return talk->failure->code = -EDEADLK; /* a reply function that asks the kernel again */
    is_received_in_use = true;
    int r = send_all(nl, message, message->nlmsg_len);
    while (r == 0) {
        ssize_t length = receive(nl, received, 0);
        r = length <= 0 ? (int)length : take_datagram(talk, received, (size_t)length);
    }
    is_received_in_use = false;
    if (r < 0) {
        talk->failure->code = r;
        return r;
    }
    return talk->was_interrupted ? -EINTR : 0;
}

int nl_request(struct nl *nl, struct nlmsghdr *message, nl_reply reply, void *context,
               struct nl_failure *failure)
{
    *failure = (struct nl_failure){0};
    message->nlmsg_seq = nl_take_seq(nl, 1);
    message->nlmsg_flags |= NLM_F_REQUEST | NLM_F_ACK;
    struct conversation talk = {
        .seq = message->nlmsg_seq, .reply = reply, .context = context, .failure = failure};
    return converse(nl, message, &talk);
}

static int dump_once(struct nl *nl, struct nlmsghdr *message, nl_reply reply, void *context,
                     struct nl_failure *failure)
{
    *failure = (struct nl_failure){0};
    message->nlmsg_seq = nl_take_seq(nl, 1);
    message->nlmsg_flags |= NLM_F_REQUEST | NLM_F_DUMP;
    struct conversation talk = {
        .seq = message->nlmsg_seq, .reply = reply, .context = context, .failure = failure};
    return converse(nl, message, &talk);
}

int nl_dump(struct nl *nl, struct nlmsghdr *message, nl_reply reply, void (*restart)(void *context),
            void *context, struct nl_failure *failure)
{
    int r = dump_once(nl, message, reply, context, failure);

    /* Others who start and stop jails change the tables without our lock, when they renew. */
    for (int i = 1; r == -EINTR && restart && i < DUMP_TRIES; i++) {
        if (i > DUMP_TRIES_AT_ONCE)
            (void)usleep(DUMP_PAUSE_US); /* an early wake-up only asks again */
        restart(context);
        r = dump_once(nl, message, reply, context, failure);
    }
    if (r == -EINTR)
        failure->code = r;
    return r;
}

/* Looks for the acknowledgement and the first refusal among the messages of one datagram. */
static int batch_datagram(const void *bytes, size_t length, bool *acknowledged,
                          struct nl_failure *failure)
{
    const struct nlmsghdr *message = bytes;
    int left = (int)length;
    for (; mnl_nlmsg_ok(message, left); message = mnl_nlmsg_next(message, &left)) {
        struct nl_failure one;
        if (message->nlmsg_type != NLMSG_ERROR)
            continue;
        if (!nl_parse_error(message, &one))
            return -EPROTO;
        if (one.code == 0)
            *acknowledged = true;
        else if (failure->code == 0)
            *failure = one;
    }
    return 0;
}

static int batch_replies(const struct nl *nl, struct nl_failure *failure)
{
    if (is_received_in_use)
        return -EDEADLK;
    bool acknowledged = false;
    for (;;) {
        ssize_t length = receive(nl, received, MSG_DONTWAIT);
        if (length == -EAGAIN)
            break;
        if (length == -ENOBUFS)
            continue; /* replies were lost; what is known of them decides below */
        if (length < 0)
            return (int)length;
        int r = batch_datagram(received, (size_t)length, &acknowledged, failure);
        if (r < 0)
            return r;
    }
    if (failure->code < 0)
        return failure->code;
    return acknowledged ? 0 : -EPROTO;
}

/* Old answers in the queue could pass for the answer to this batch. */
static void drain(const struct nl *nl)
{
    char byte;
    while (recv(nl->fd, &byte, sizeof byte, MSG_DONTWAIT | MSG_TRUNC) >= 0 || errno == ENOBUFS ||
           errno == EINTR)
        ;
}

int nl_send_batch(struct nl *nl, const void *bytes, size_t length, struct nl_failure *failure)
{
    *failure = (struct nl_failure){0};
    drain(nl);
    int r = send_all(nl, bytes, length);
    if (r == 0)
        r = batch_replies(nl, failure);
    if (r < 0 && failure->code == 0)
        failure->code = r;
    return r;
}
