/* The listening side of published UDP ports: receives outside, finds the flow, answers.
 *
 * A socket bound to a wildcard address must answer from the address that the client had used, else
 * the client discards the answer: the kernel tells it with each datagram (IP_PKTINFO, ip(7);
 * IPV6_RECVPKTINFO, RFC 3542) and takes it back when we send. No privilege. */
#include "service/udp.h"

#include "base/cleanup.h"
#include "service/endpoint.h"
#include "service/udp_relay.h"

#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#define DATAGRAMS_PER_ROUND 64

union control {
    struct cmsghdr align;
    char bytes[CMSG_SPACE(sizeof(struct in6_pktinfo)) + CMSG_SPACE(sizeof(struct in_pktinfo))];
};

/* Fills in the address that the client used. */
static void read_local(struct msghdr *message, struct udp_key *key)
{
    for (struct cmsghdr *c = CMSG_FIRSTHDR(message); c; c = CMSG_NXTHDR(message, c)) {
        struct in_pktinfo v4;
        struct in6_pktinfo v6;

        if (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_PKTINFO &&
            c->cmsg_len >= CMSG_LEN(sizeof v4)) {
            memcpy(&v4, CMSG_DATA(c), sizeof v4);
            key->local.v4 = v4.ipi_addr;
        } else if (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_PKTINFO &&
                   c->cmsg_len >= CMSG_LEN(sizeof v6)) {
            memcpy(&v6, CMSG_DATA(c), sizeof v6);
            key->local.v6 = v6.ipi6_addr;
            if (IN6_IS_ADDR_LINKLOCAL(&v6.ipi6_addr))
                key->ifindex = (uint32_t)v6.ipi6_ifindex;
        }
    }
}

/* One datagram into relay->datagram; its length, or a negative errno. */
static ssize_t receive(struct udp_listener *listener, struct udp_key *key)
{
    struct iovec iovec = {.iov_base = listener->relay->datagram, .iov_len = DATAGRAM_MAX};
    union control control;
    struct msghdr message = {.msg_name = &key->client,
                             .msg_namelen = sizeof key->client,
                             .msg_iov = &iovec,
                             .msg_iovlen = 1,
                             .msg_control = &control,
                             .msg_controllen = sizeof control};
    ssize_t got;

    memset(key, 0, sizeof *key);
    got = recvmsg(listener->source.fd, &message, MSG_DONTWAIT);
    if (got < 0)
        return -errno;
    key->listener = listener;
    key->family = key->client.v4.sin_family;
    key->client.v6.sin6_flowinfo = key->family == AF_INET6 ? 0 : key->client.v6.sin6_flowinfo;
    read_local(&message, key);
    return got;
}

static void listener_ready(void *context, uint32_t events)
{
    struct udp_listener *listener = context;

    (void)events; /* level-triggered: what is left comes again */
    for (int i = 0; i < DATAGRAMS_PER_ROUND; i++) {
        struct udp_key key;
        struct udp_flow *flow;
        ssize_t got = receive(listener, &key);

        if (got == -EAGAIN || got == -EWOULDBLOCK)
            return;
        if (got < 0)
            continue; /* an error that an earlier answer caused: reported once, tells us nothing */
        flow = udp_flow_get(listener->relay, &key);
        if (flow)
            udp_flow_send(flow, (size_t)got);
    }
}

void udp_reply(const struct udp_key *key, const uint8_t *bytes, size_t length)
{
    struct udp_key to = *key;
    struct iovec iovec;
    union control control;
    struct msghdr message = {.msg_name = &to.client, .msg_iov = &iovec, .msg_iovlen = 1};
    const struct in_pktinfo v4 = {.ipi_spec_dst = key->local.v4};
    const struct in6_pktinfo v6 = {.ipi6_addr = key->local.v6, .ipi6_ifindex = key->ifindex};

    memset(&control, 0, sizeof control);
    iovec.iov_base = (void *)(uintptr_t)bytes; /* sendmsg(2) only reads it */
    iovec.iov_len = length;
    message.msg_control = &control;
    message.msg_controllen = sizeof control;
    if (key->family == AF_INET) {
        message.msg_namelen = sizeof to.client.v4;
        endpoint_put_control(&message, IPPROTO_IP, IP_PKTINFO, &v4, sizeof v4);
    } else {
        message.msg_namelen = sizeof to.client.v6;
        endpoint_put_control(&message, IPPROTO_IPV6, IPV6_PKTINFO, &v6, sizeof v6);
    }
    /* An answer that cannot be sent is a datagram lost. */
    (void)sendmsg(key->listener->source.fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
}

static int socket_prepare(int fd, struct error *error)
{
    const int on = 1;
    int type = 0;
    int domain = 0;
    socklen_t size = sizeof type;
    int code;

    if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size) < 0 ||
        getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &size) < 0)
        return error_errno(error, -errno, "cannot use descriptor %d", fd);
    if (type != SOCK_DGRAM || (domain != AF_INET && domain != AF_INET6))
        return error_set(error, -EINVAL, "descriptor %d is no UDP socket", fd);
    if (domain == AF_INET)
        code = setsockopt(fd, IPPROTO_IP, IP_PKTINFO, &on, sizeof on);
    else
        code = setsockopt(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, &on, sizeof on);
    return code < 0 ? error_errno(error, -errno, "cannot use descriptor %d", fd) : 0;
}

int udp_relay_listen(struct udp_relay *relay, int owned_fd, const struct service_listener *listener,
                     struct error *error)
{
    cleanup_fd int fd = owned_fd;
    struct udp_listener *added;
    int code = socket_prepare(fd, error);

    if (code < 0)
        return code;
    added = calloc(1, sizeof *added);
    if (!added)
        return error_errno(error, -ENOMEM, "cannot serve descriptor %d", fd);
    added->relay = relay;
    added->config = listener;
    added->source = (struct loop_source){.fd = fd, .ready = listener_ready, .context = added};
    code = loop_watch(relay->loop, &added->source, EPOLLIN);
    if (code < 0) {
        free(added);
        return error_errno(error, code, "cannot watch descriptor %d", fd);
    }
    (void)take_fd(&fd); /* in added->source now */
    added->next = relay->listeners;
    relay->listeners = added;
    supply_stock(relay->supply, supply_kind(IPPROTO_UDP, listener->targets[0].family));
    return 0;
}

int udp_relay_new(struct loop *loop, struct supply *supply, struct service_log *log,
                  struct limits *limits, struct udp_relay **ret_relay, struct error *error)
{
    struct udp_relay *relay = calloc(1, sizeof *relay);

    if (!relay)
        return error_errno(error, -ENOMEM, "cannot start the relay");
    relay->loop = loop;
    relay->supply = supply;
    relay->log = log;
    relay->limits = limits;
    RB_INIT(&relay->flows);
    TAILQ_INIT(&relay->ages);
    relay->timer = (struct loop_timer){.due = udp_flow_expire, .context = relay};
    *ret_relay = relay;
    return 0;
}

void udp_relay_free(struct udp_relay *relay)
{
    struct udp_listener *listener;
    struct udp_flow *flow;

    if (!relay)
        return;
    while ((flow = TAILQ_FIRST(&relay->ages)))
        udp_flow_end(flow);
    while ((listener = relay->listeners)) {
        relay->listeners = listener->next;
        loop_unwatch(relay->loop, &listener->source);
        (void)close(listener->source.fd); /* holds no data */
        free(listener);
    }
    loop_disarm(relay->loop, &relay->timer);
    free(relay);
}

uint32_t udp_relay_count(const struct udp_relay *relay)
{
    return relay->count;
}
