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

void queue_verdicts(void *context, const struct report_verdicts *report)
{
    const struct queue *queue = context;
    static const uint32_t codes[] = {
        [VERDICT_PACKET_DROP] = NF_DROP,
        [VERDICT_PACKET_ACCEPT] = NF_ACCEPT,
        [VERDICT_PACKET_REFUSE] = NF_REPEAT, /* through relay_out again, which knows the mark */
    };
    struct nfqueue_verdict verdicts[VERDICTS_PER_REPORT];

    if (queue->fd < 0)
        return;
    for (uint32_t i = 0; i < report->count; i++) {
        const struct packet_verdict *one = &report->verdicts[i];

        verdicts[i] = (struct nfqueue_verdict){one->id, codes[one->kind], one->mark};
    }
    /* What is lost: the program sends its packet again. */
    (void)nfqueue_verdicts(queue->fd, RELAY_QUEUE, verdicts, report->count);
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
