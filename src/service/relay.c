/* The parts of the relay put together, and the queue's packets handed to those who know them.
 *
 * Order: what decides (reach), what tells verdicts, what carries TCP, UDP and pings; then the
 * sockets of the jail are taken over, the queue last, since its packets need all of it. No
 * privilege. What must not happen: a packet of the queue that nobody answers for; what is not
 * understood is dropped. */
#include "service/relay.h"

#include "base/cleanup.h"
#include "service/denials.h"
#include "service/loop.h"
#include "service/protocol.h"
#include "service/queue_packet.h"
#include "service/reach.h"
#include "service/relay_echo.h"
#include "service/relay_errors.h"
#include "service/relay_tcp.h"
#include "service/relay_udp.h"
#include "service/verdicts.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

/* As many messages as are taken at once; one is a packet's first bytes and their attributes. */
#define MESSAGES    32
#define MESSAGE_MAX (QUEUE_COPY_BYTES + 1024)

struct relay {
    struct relay_ground ground;
    int fds[RELAY_FDS]; /* -1: given on */
    struct reach *reach;
    struct verdicts *verdicts;
    struct relay_tcp *tcp;
    struct relay_errors *errors;
    struct relay_udp *udp;
    struct relay_echo *echo;
    struct loop_source queue;
    uint8_t messages[MESSAGES][MESSAGE_MAX];
};

static void take_packet(void *context, const struct queue_packet *packet)
{
    struct relay *relay = context;

    if (packet->protocol == IPPROTO_TCP)
        relay_tcp_packet(relay->tcp, packet);
    else if (packet->protocol)
        relay_echo_packet(relay->echo, packet);
    else
        verdicts_drop(relay->verdicts, packet->id);
}

/* Answers to the supervisor's verdicts (errors only) come here, too, and are passed over. */
static void queue_ready(void *context, uint32_t events)
{
    struct relay *relay = context;

    struct iovec parts[MESSAGES];
    struct mmsghdr headers[MESSAGES];
    int count;

    (void)events; /* level-triggered: what is left comes again */
    memset(headers, 0, sizeof headers);
    for (size_t i = 0; i < MESSAGES; i++) {
        parts[i] = (struct iovec){relay->messages[i], sizeof relay->messages[i]};
        headers[i].msg_hdr.msg_iov = &parts[i];
        headers[i].msg_hdr.msg_iovlen = 1;
    }
    count = recvmmsg(relay->queue.fd, headers, MESSAGES, MSG_DONTWAIT, NULL);
    /* None: it was interrupted, or some were lost (ENOBUFS); the jail sends those again. */
    for (int i = 0; i < count; i++)
        queue_packets_each(relay->messages[i], headers[i].msg_len, take_packet, relay);
}

static int take_fd_of(struct relay *relay, enum relay_fd which)
{
    int fd = relay->fds[which];

    relay->fds[which] = -1;
    return fd;
}

static int open_parts(struct relay *relay, int route_fd, struct error *error)
{
    const struct relay_ground *ground = &relay->ground;
    int code = reach_new(ground->judge, ground->denials, route_fd, &relay->reach, error);

    if (code == 0)
        code = verdicts_new(ground->loop, ground->report_fd, &relay->verdicts, error);
    if (code == 0)
        code = relay_tcp_new(ground->loop, ground->tcp, relay->reach, relay->verdicts, &relay->tcp,
                             error);
    if (code == 0)
        code = relay_tcp_listen(relay->tcp, take_fd_of(relay, RELAY_FD_TCP4), error);
    if (code == 0)
        code = relay_tcp_listen(relay->tcp, take_fd_of(relay, RELAY_FD_TCP6), error);
    return code;
}

/* What knows no connections. */
static int open_datagrams(struct relay *relay, struct error *error)
{
    const struct relay_ground *ground = &relay->ground;
    int icmp4 = take_fd_of(relay, RELAY_FD_ICMP4);
    int icmp6 = take_fd_of(relay, RELAY_FD_ICMP6);
    int code = relay_errors_new(icmp4, icmp6, &relay->errors, error);

    if (code == 0)
        code = relay_udp_new(ground->loop, ground->supply, relay->reach, relay->errors, ground->log,
                             ground->limits, &relay->udp, error);
    if (code == 0)
        code = relay_udp_listen(relay->udp, take_fd_of(relay, RELAY_FD_UDP4), error);
    if (code == 0)
        code = relay_udp_listen(relay->udp, take_fd_of(relay, RELAY_FD_UDP6), error);
    if (code == 0)
        code = relay_echo_new(ground->loop, relay->reach, relay->verdicts, relay->errors,
                              &relay->echo, error);
    return code;
}

static int open_queue(struct relay *relay, struct error *error)
{
    int code;

    if (!relay->ground.queues)
        return 0;
    relay->queue = (struct loop_source){
        .fd = take_fd_of(relay, RELAY_FD_QUEUE), .ready = queue_ready, .context = relay};
    code = loop_watch(relay->ground.loop, &relay->queue, EPOLLIN);
    return code < 0 ? error_errno(error, code, "cannot watch the jail's queue") : 0;
}

int relay_new(const struct relay_ground *ground, const int *fds, int route_fd,
              struct relay **ret_relay, struct error *error)
{
    struct relay *relay = calloc(1, sizeof *relay);
    int code;

    if (!relay) {
        (void)close(route_fd); /* the process ends with this error */
        return error_errno(error, -ENOMEM, "cannot start the relay");
    }
    relay->ground = *ground;
    relay->queue.fd = -1;
    for (size_t i = 0; i < RELAY_FDS; i++)
        relay->fds[i] = fds[i];
    code = open_parts(relay, route_fd, error);
    if (code == 0)
        code = open_datagrams(relay, error);
    if (code == 0)
        code = open_queue(relay, error);
    if (code < 0) {
        relay_free(relay);
        return code;
    }
    denials_relay_with(ground->denials, reach_tell_refused, relay->reach);
    *ret_relay = relay;
    return 0;
}

void relay_free(struct relay *relay)
{
    if (!relay)
        return;
    if (relay->queue.fd >= 0) {
        loop_unwatch(relay->ground.loop, &relay->queue);
        (void)close(relay->queue.fd); /* the supervisor has its own */
    }
    relay_echo_free(relay->echo);
    relay_udp_free(relay->udp);
    relay_errors_free(relay->errors);
    relay_tcp_free(relay->tcp);
    verdicts_free(relay->verdicts);
    reach_free(relay->reach);
    for (size_t i = 0; i < RELAY_FDS; i++)
        if (relay->fds[i] >= 0)
            (void)close(relay->fds[i]); /* not taken over */
    free(relay);
}
