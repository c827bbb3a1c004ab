/* The supply of jail sockets: the service lives outside the jail and may not enter it, so init
 * opens sockets inside and passes them out.
 *
 * Requests are answered in their order (SOCK_SEQPACKET), so a ring of what was asked says what an
 * answer is about. A small stock is kept so that a connection does not wait for a round trip;
 * whoever finds the stock empty queues, first come, first served. At most REQUESTS_MAX requests are
 * under way.
 *
 * What must not happen: a descriptor from init that is not what was asked for (each is looked at),
 * a descriptor that leaks from a malformed answer, an answer that nobody asked for. No privilege.
 */
#include "service/supply.h"

#include "base/cleanup.h"
#include "service/loop.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#define KIND_COUNT   (INIT_SOCKET_UDP6 + 1)
#define STOCK_SIZE   8
#define REQUESTS_MAX 64

TAILQ_HEAD(wait_list, supply_wait);

struct stock {
    bool keep;
    int fds[STOCK_SIZE];
    unsigned count;
    unsigned asked;   /* requests of this kind under way or waiting to be sent */
    unsigned waiting; /* length of `waits` */
    struct wait_list waits;
};

struct supply {
    struct loop *loop;
    struct loop_source source;
    struct stock stocks[KIND_COUNT];
    uint8_t ring[REQUESTS_MAX]; /* kinds sent and not answered, oldest first */
    unsigned ring_first;
    unsigned ring_count;
    bool is_gone;
    void (*gone)(void *context);
    void *context;
};

static const struct {
    int domain;
    int type;
} kinds[KIND_COUNT] = {
    [INIT_SOCKET_TCP4] = {AF_INET, SOCK_STREAM},
    [INIT_SOCKET_TCP6] = {AF_INET6, SOCK_STREAM},
    [INIT_SOCKET_UDP4] = {AF_INET, SOCK_DGRAM},
    [INIT_SOCKET_UDP6] = {AF_INET6, SOCK_DGRAM},
};

enum init_request supply_kind(uint8_t protocol, uint8_t family)
{
    if (protocol == IPPROTO_TCP)
        return family == ADDR_V4 ? INIT_SOCKET_TCP4 : INIT_SOCKET_TCP6;
    return family == ADDR_V4 ? INIT_SOCKET_UDP4 : INIT_SOCKET_UDP6;
}

/* Is it a socket of that kind? Makes it non-blocking, which nothing here may rely on init for. */
static bool socket_is(int fd, enum init_request kind)
{
    int domain = -1;
    int type = -1;
    socklen_t size = sizeof domain;
    int flags;

    if (getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &size) < 0 ||
        getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size) < 0)
        return false;
    if (domain != kinds[kind].domain || type != kinds[kind].type)
        return false;
    flags = fcntl(fd, F_GETFL);
    return flags >= 0 && fcntl(fd, F_SETFL, flags | O_NONBLOCK) == 0;
}

static unsigned wanted(const struct stock *stock)
{
    unsigned target = stock->waiting + (stock->keep ? STOCK_SIZE - stock->count : 0);

    return target > stock->asked ? target - stock->asked : 0;
}

/* Sends one request; false: the channel takes no more now. */
static bool ask(struct supply *supply, uint8_t kind)
{
    if (supply->ring_count == REQUESTS_MAX)
        return false;
    if (send(supply->source.fd, &kind, 1, MSG_DONTWAIT | MSG_NOSIGNAL) != 1)
        return false; /* EAGAIN: EPOLLOUT comes; anything else: EPOLLHUP comes */
    supply->ring[(supply->ring_first + supply->ring_count++) % REQUESTS_MAX] = kind;
    supply->stocks[kind].asked++;
    return true;
}

/* Asks for what is missing: for those who wait first, then for the stock. */
static void refill(struct supply *supply)
{
    for (uint8_t kind = 1; kind < KIND_COUNT && !supply->is_gone; kind++) {
        for (unsigned count = wanted(&supply->stocks[kind]); count > 0; count--) {
            if (!ask(supply, kind))
                return;
        }
    }
}

static void hand_over(struct stock *stock, int fd)
{
    struct supply_wait *wait = TAILQ_FIRST(&stock->waits);

    if (wait) {
        TAILQ_REMOVE(&stock->waits, wait, entry);
        stock->waiting--;
        wait->queued = false;
        wait->ready(wait->context, fd);
    } else if (fd >= 0 && stock->count < STOCK_SIZE) {
        stock->fds[stock->count++] = fd;
    } else if (fd >= 0) {
        (void)close(fd); /* whoever asked has gone; the socket is unused */
    }
}

/* Takes the descriptors of a message: returns the first, closes all others. */
static int message_fd(struct msghdr *message)
{
    int first = -1;

    for (struct cmsghdr *c = CMSG_FIRSTHDR(message); c; c = CMSG_NXTHDR(message, c)) {
        size_t count;

        if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
            continue;
        count = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        for (size_t i = 0; i < count; i++) {
            int fd;

            memcpy(&fd, CMSG_DATA(c) + i * sizeof fd, sizeof fd);
            if (first < 0)
                first = fd;
            else
                (void)close(fd); /* not asked for */
        }
    }
    return first;
}

/* The next answer: its byte in *ret_answer and its descriptor (-1: none) in *ret_fd. 1, 0 at the
 * end of the channel, or a negative errno. */
static int receive(const struct supply *supply, uint8_t *ret_answer, int *ret_fd)
{
    union {
        struct cmsghdr align;
        char bytes[CMSG_SPACE(4 * sizeof(int))];
    } control;
    uint8_t answer = 0;
    struct iovec iovec = {.iov_base = &answer, .iov_len = 1};
    struct msghdr message = {.msg_iov = &iovec,
                             .msg_iovlen = 1,
                             .msg_control = &control,
                             .msg_controllen = sizeof control};
    ssize_t got = recvmsg(supply->source.fd, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);

    if (got < 0)
        return -errno;
    *ret_fd = message_fd(&message);
    *ret_answer = answer;
    return got == 0 ? 0 : 1;
}

/* An answer to the oldest request. */
static void answered(struct supply *supply, uint8_t answer, int received)
{
    cleanup_fd int fd = received;
    uint8_t kind;

    if (supply->ring_count == 0)
        return; /* nobody asked: dropped with its descriptor */
    kind = supply->ring[supply->ring_first];
    supply->ring_first = (supply->ring_first + 1) % REQUESTS_MAX;
    supply->ring_count--;
    supply->stocks[kind].asked--;
    if (answer == 0 && fd >= 0 && socket_is(fd, kind)) {
        hand_over(&supply->stocks[kind], take_fd(&fd));
        return;
    }
    /* Keeping a stock of what init cannot give would ask for ever; it starts again when a socket is
     * needed. */
    supply->stocks[kind].keep = false;
    hand_over(&supply->stocks[kind], answer == 0 ? -EBADMSG : -(int)answer);
}

static void init_is_gone(struct supply *supply)
{
    supply->is_gone = true;
    loop_unwatch(supply->loop, &supply->source);
    supply->gone(supply->context);
}

static void channel_ready(void *context, uint32_t events)
{
    struct supply *supply = context;

    (void)events; /* edge-triggered: everything is tried */
    for (;;) {
        uint8_t answer = 0;
        int fd = -1;
        int code = receive(supply, &answer, &fd);

        if (code == -EINTR)
            continue;
        if (code == -EAGAIN)
            break;
        if (code <= 0) {
            if (fd >= 0)
                (void)close(fd); /* came with the end of the channel */
            init_is_gone(supply);
            return;
        }
        answered(supply, answer, fd);
    }
    refill(supply);
}

int supply_open(struct loop *loop, int init_fd, void (*gone)(void *context), void *context,
                struct supply **ret_supply, struct error *error)
{
    cleanup_free struct supply *supply = calloc(1, sizeof *supply);
    int code;

    if (!supply)
        return error_errno(error, -ENOMEM, "cannot watch the channel to init");
    for (size_t i = 0; i < KIND_COUNT; i++)
        TAILQ_INIT(&supply->stocks[i].waits);
    supply->loop = loop;
    supply->gone = gone;
    supply->context = context;
    supply->source = (struct loop_source){.fd = init_fd, .ready = channel_ready, .context = supply};
    code = loop_watch(loop, &supply->source, EPOLLIN | EPOLLOUT | EPOLLET);
    if (code < 0)
        return error_errno(error, code, "cannot watch the channel to init");
    *ret_supply = take_ptr(&supply);
    return 0;
}

void supply_close(struct supply *supply)
{
    if (!supply)
        return;
    loop_unwatch(supply->loop, &supply->source);
    (void)close(supply->source.fd); /* init sees the end */
    for (size_t kind = 0; kind < KIND_COUNT; kind++) {
        while (supply->stocks[kind].count > 0)
            (void)close(supply->stocks[kind].fds[--supply->stocks[kind].count]); /* unused */
    }
    free(supply);
}

void supply_stock(struct supply *supply, enum init_request kind)
{
    supply->stocks[kind].keep = true;
    refill(supply);
}

void supply_take(struct supply *supply, enum init_request kind, struct supply_wait *wait)
{
    supply->stocks[kind].keep = true;
    supply_take_once(supply, kind, wait);
}

void supply_take_once(struct supply *supply, enum init_request kind, struct supply_wait *wait)
{
    struct stock *stock = &supply->stocks[kind];

    if (stock->count > 0 && TAILQ_EMPTY(&stock->waits)) {
        int fd = stock->fds[--stock->count];

        refill(supply);
        wait->ready(wait->context, fd);
        return;
    }
    wait->kind = kind;
    wait->queued = true;
    TAILQ_INSERT_TAIL(&stock->waits, wait, entry);
    stock->waiting++;
    refill(supply);
}

void supply_cancel(struct supply *supply, struct supply_wait *wait)
{
    if (!wait->queued)
        return;
    TAILQ_REMOVE(&supply->stocks[wait->kind].waits, wait, entry);
    supply->stocks[wait->kind].waiting--;
    wait->queued = false;
}
