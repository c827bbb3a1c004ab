/* Reads the packet log and decides what is told.
 *
 * A program that is refused tries again, often a thousand times a second. The first packet of a
 * flow (cause, rule, protocol, addresses, destination port, name asked for) is told at once; the
 * same within 10 s is counted, and the count told when the time is over. The table is fixed: with
 * FLOWS_MAX different flows in 10 s (a port scan), the oldest is told early; and the log itself
 * takes a limited number of lines a second. Bursts that the kernel had to drop are told as such:
 * silence would read as "nothing was denied".
 *
 * What must not happen: the log using memory or time in proportion to what the jail sends. */
#include "service/denials.h"

#include "base/buf.h"
#include "base/cleanup.h"
#include "policy/relay.h"
#include "service/log.h"
#include "service/loop.h"

#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>

#define FLOWS_MAX         256
#define READS_PER_ROUND   16
#define MESSAGE_BYTES_MAX 65536

struct flow {
    struct nflog_packet packet;
    enum denial_cause cause;
    unsigned count; /* 0: free */
    uint64_t since_ms;
};

struct denials {
    struct loop *loop;
    struct loop_source source;
    struct loop_timer timer;
    struct service_log *log;
    const char *jail_name;
    const char *policy_name;
    bool json;
    bool questions; /* denials_tell_questions() */
    denials_name_of *name_of;
    void *name_context;
    denials_relay_refused *relay_refused;
    void *relay_context;
    struct flow flows[FLOWS_MAX];
    uint8_t message[MESSAGE_BYTES_MAX];
};

static void tell(struct denials *denials, const struct flow *flow, unsigned count)
{
    cleanup_buf struct buf line = {0};
    const struct addr *destination = &flow->packet.destination;
    char name[DENIALS_NAME_MAX];
    const struct denial denial = {
        .jail_name = denials->jail_name,
        .policy_name = denials->policy_name,
        .packet = &flow->packet,
        .cause = flow->cause,
        .name = denials->name_of && destination->family != ADDR_NONE &&
                        denials->name_of(denials->name_context, destination, name)
                    ? name
                    : NULL,
        .count = count,
        .time_s = (uint64_t)time(NULL),
    };

    if (denials->json)
        denial_print_json(&denial, &line);
    else
        denial_print(&denial, &line);
    (void)service_log_write(denials->log, buf_text(&line)); /* a lost line is counted there */
}

static void flow_end(struct denials *denials, struct flow *flow)
{
    if (flow->count > 1)
        tell(denials, flow, flow->count);
    flow->count = 0;
}

static bool is_same(const struct flow *flow, const struct nflog_packet *b, enum denial_cause cause)
{
    const struct nflog_packet *a = &flow->packet;

    return flow->cause == cause && a->protocol == b->protocol && a->port == b->port &&
           a->type == b->type && addr_equal(&a->source, &b->source) &&
           addr_equal(&a->destination, &b->destination) && strcmp(a->prefix, b->prefix) == 0 &&
           strcmp(a->question, b->question) == 0;
}

/* The flow's place; a free one, or that of the oldest, when it is new (count 0). */
static struct flow *find(struct denials *denials, const struct nflog_packet *packet,
                         enum denial_cause cause)
{
    struct flow *best = &denials->flows[0];

    for (size_t i = 0; i < FLOWS_MAX; i++) {
        struct flow *flow = &denials->flows[i];

        if (flow->count > 0 && is_same(flow, packet, cause))
            return flow;
        if (best->count > 0 && (flow->count == 0 || flow->since_ms < best->since_ms))
            best = flow;
    }
    flow_end(denials, best);
    return best;
}

/* The jail's kernel announces its multicast groups by itself (RFC 3376, RFC 3810): nobody tried
 * anything. */
static bool is_group_report(const struct nflog_packet *packet)
{
    static const struct addr routers = {ADDR_V6, {0xff, 0x02, [15] = 0x16}};
    static const struct addr routers4 = {ADDR_V4, {224, 0, 0, 22}};

    if (packet->protocol == IPPROTO_IGMP && addr_equal(&packet->destination, &routers4))
        return strncmp(packet->prefix, "allowed", 7) != 0;
    return packet->protocol == IPPROTO_ICMPV6 && packet->has_type && packet->type == 143 &&
           addr_equal(&packet->destination, &routers) && strncmp(packet->prefix, "allowed", 7) != 0;
}

void denials_tell(struct denials *denials, const struct nflog_packet *packet,
                  enum denial_cause cause)
{
    struct flow *flow;

    if (!denials)
        return;
    flow = find(denials, packet, cause);
    if (flow->count > 0) {
        flow->count += flow->count < UINT32_MAX;
        return;
    }
    flow->packet = *packet;
    flow->cause = cause;
    flow->count = 1;
    flow->since_ms = loop_now_ms(denials->loop);
    tell(denials, flow, 1);
    if (!denials->timer.armed)
        loop_arm(denials->loop, &denials->timer, DENIALS_WINDOW_MS);
}

static void seen(void *context, const struct nflog_packet *packet)
{
    struct denials *denials = context;
    struct nflog_packet told = *packet;

    if (is_group_report(packet))
        return;
    if (denials->relay_refused && strcmp(packet->prefix, RELAY_LOG_PREFIX) == 0) {
        denials->relay_refused(denials->relay_context, packet);
        return;
    }
    if (!denials->questions)
        told.question[0] = 0;
    denials_tell(denials, &told, DENIAL_RULES);
}

void denials_name_with(struct denials *denials, denials_name_of *name_of, void *context)
{
    if (!denials)
        return;
    denials->name_of = name_of;
    denials->name_context = context;
}

void denials_relay_with(struct denials *denials, denials_relay_refused *refused, void *context)
{
    if (!denials)
        return;
    denials->relay_refused = refused;
    denials->relay_context = context;
}

void denials_tell_questions(struct denials *denials)
{
    if (denials)
        denials->questions = true;
}

/* Tells the counts of what is old enough. */
static void expire(void *context)
{
    struct denials *denials = context;
    uint64_t now_ms = loop_now_ms(denials->loop);
    uint64_t next_ms = UINT64_MAX;

    for (size_t i = 0; i < FLOWS_MAX; i++) {
        struct flow *flow = &denials->flows[i];

        if (flow->count == 0)
            continue;
        if (flow->since_ms + DENIALS_WINDOW_MS <= now_ms)
            flow_end(denials, flow);
        else if (flow->since_ms + DENIALS_WINDOW_MS < next_ms)
            next_ms = flow->since_ms + DENIALS_WINDOW_MS;
    }
    if (next_ms != UINT64_MAX)
        loop_arm(denials->loop, &denials->timer, next_ms - now_ms);
}

/* Reads one datagram; false: there is none. */
static bool read_one(struct denials *denials)
{
    ssize_t got = recv(denials->source.fd, denials->message, sizeof denials->message, MSG_DONTWAIT);

    if (got > 0)
        (void)nflog_each(denials->message, (size_t)got, seen,
                         denials); /* the number is no matter */
    else if (got < 0 && errno == ENOBUFS)
        service_log_limit(denials->log, "more packets were denied than could be logged");
    else if (got == 0 || errno != EINTR)
        return false;
    return true;
}

static void nflog_ready(void *context, uint32_t events)
{
    struct denials *denials = context;

    for (int i = 0; i < READS_PER_ROUND; i++) {
        if (read_one(denials))
            continue;
        /* A socket that is ready for ever and gives nothing would keep the loop busy. */
        if (events & (EPOLLHUP | EPOLLERR) && !(events & EPOLLIN))
            loop_unwatch(denials->loop, &denials->source);
        return;
    }
}

int denials_open(struct loop *loop, int nflog_fd, struct service_log *log, const char *jail_name,
                 const char *policy_name, bool json, struct denials **ret_denials,
                 struct error *error)
{
    cleanup_fd int fd = nflog_fd;
    cleanup_free struct denials *denials = calloc(1, sizeof *denials);
    int code;

    if (!denials)
        return error_errno(error, -ENOMEM, "cannot start the denial log");
    denials->loop = loop;
    denials->log = log;
    denials->jail_name = jail_name;
    denials->policy_name = policy_name;
    denials->json = json;
    denials->timer = (struct loop_timer){.due = expire, .context = denials};
    denials->source = (struct loop_source){.fd = fd, .ready = nflog_ready, .context = denials};
    code = loop_watch(loop, &denials->source, EPOLLIN);
    if (code < 0)
        return error_errno(error, code, "cannot watch the packet log");
    (void)take_fd(&fd); /* in denials->source now */
    *ret_denials = take_ptr(&denials);
    return 0;
}

void denials_close(struct denials *denials)
{
    if (!denials)
        return;
    /* The last refusals of a short command are often the reason why it ended. */
    for (int i = 0; i < READS_PER_ROUND * 16 && read_one(denials); i++)
        ;
    for (size_t i = 0; i < FLOWS_MAX; i++)
        flow_end(denials, &denials->flows[i]);
    loop_disarm(denials->loop, &denials->timer);
    loop_unwatch(denials->loop, &denials->source);
    (void)close(denials->source.fd); /* what it holds was read */
    free(denials);
}
