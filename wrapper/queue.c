/* Connections that wait, in the supervisor.
 *
 * Only the supervisor may tell the kernel what becomes of a packet in the queue (CAP_NET_ADMIN over
 * the jail); it never sees the packets. When the service ends, the rule that makes connections wait
 * is taken out: they go on to the relay's listeners, which are gone, and are refused at once. What
 * must not happen: a connection that waits for ever, or that goes on because nobody judged it. */
#include "queue.h"

#include "base/cleanup.h"
#include "kernel/nfqueue.h"
#include "kernel/nft.h"
#include "policy/relay.h"
#include "report.h"
#include "service/queue_packet.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/netfilter.h>
#include <signal.h>
#include <time.h>

#define REPORTS_PER_TURN 512

void queue_open(struct queue *queue, struct plan *plan, const struct jail *jail)
{
    struct error ignored = {0}; /* doctor says it */

    queue->fd = -1;
    if (!plan->queues)
        return;
    if (nfqueue_bind(jail->relay_fds[RELAY_FD_QUEUE], RELAY_QUEUE, QUEUE_COPY_BYTES, &ignored) <
        0) {
        plan_forget_queue(plan);
        return;
    }
    queue->fd = fcntl(jail->relay_fds[RELAY_FD_QUEUE], F_DUPFD_CLOEXEC, 3);
    if (queue->fd < 0)
        plan_forget_queue(plan);
}

void queue_verdict(void *context, const struct report_verdict *verdict)
{
    const struct queue *queue = context;
    static const uint32_t codes[] = {
        [REPORT_VERDICT_DROP] = NF_DROP,
        [REPORT_VERDICT_ACCEPT] = NF_ACCEPT,
        [REPORT_VERDICT_REFUSE] = NF_REPEAT, /* through relay_out again, which knows the mark */
    };

    if (queue->fd >= 0 && verdict->verdict < ARRAY_LENGTH(codes))
        (void)nfqueue_verdict(queue->fd, RELAY_QUEUE, verdict->id, codes[verdict->verdict],
                              verdict->mark); /* lost: the program sends its packet again */
}

/* A service that says what it may not is ended; then its connections fail, and nothing opens up. */
static void reports_ready(void *context, short revents)
{
    struct queue *queue = context;
    union report_message message;
    struct error error = {0};
    int code = 0;

    (void)revents; /* receiving tells */
    for (int i = 0; i < REPORTS_PER_TURN && code == 0; i++) {
        struct timespec now;

        (void)clock_gettime(CLOCK_MONOTONIC, &now); /* cannot fail with this clock */
        code =
            reports_receive(&queue->service->reports,
                            (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000, &message, &error);
        if (code == 0 && message.kind == REPORT_VERDICT)
            queue_verdict(queue, &message.verdict);
    }
    if (code == 0 || code == -EAGAIN)
        return;
    events_remove(queue->events, &queue->source);
    if (code == -EPIPE || queue->service->pid <= 0)
        return; /* SIGCHLD tells the rest */
    report_error("netjail", NULL, &error);
    (void)kill(queue->service->pid, SIGKILL); /* our child, not waited for yet */
}

int queue_serve(struct queue *queue, struct service *service, struct events *events,
                struct error *error)
{
    int code;

    if (queue->fd < 0 || service->pid <= 0)
        return 0;
    queue->service = service;
    queue->events = events;
    queue->source = (struct event_source){
        .fd = service->report_fd, .events = POLLIN, .ready = reports_ready, .context = queue};
    code = events_add(events, &queue->source);
    return code < 0 ? error_errno(error, code, "cannot hear netjail-service") : 0;
}

void queue_service_gone(struct queue *queue, struct kernel *kernel)
{
    struct error error = {0};

    if (queue->fd < 0)
        return;
    if (nft_flush_chain(kernel, CHAIN_RELAY_QUEUE, &error) < 0)
        report_error("netjail", NULL, &error); /* then they wait in vain, and time out */
    queue_close(queue);
}

void queue_close(struct queue *queue)
{
    if (queue->fd >= 0)
        (void)close(queue->fd); /* the kernel drops what waits */
    queue->fd = -1;
}
