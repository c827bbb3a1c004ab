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

/* Kernels have nft's own statement, the target of xtables, both or none, built in or as modules.
 * The target's module is not loaded for a table of both families, so that Debian's kernel has none
 * of it; the statement's is, but to ask a kernel that has none costs a modprobe at every start. */
int queue_apply(struct queue *queue, struct kernel *kernel, struct plan *plan, size_t count,
                struct applied *ret_applied, struct error *error)
{
    bool nft_first = plan->queues && nfqueue_nft_is_loaded();
    const enum term_kind kinds[] = {nft_first ? TERM_QUEUE_NFT : TERM_QUEUE,
                                    nft_first ? TERM_QUEUE : TERM_QUEUE_NFT};

    for (size_t i = 0; i < ARRAY_LENGTH(kinds) && plan->queues; i++) {
        plan_queue_by(plan, kinds[i]);
        if (apply_plan(kernel, plan, 0, count, ret_applied, error) == 0)
            return 0;
        applied_free(ret_applied);
        *error = (struct error){0};
    }
    plan_forget_queue(plan);
    queue_close(queue);
    return apply_plan(kernel, plan, 0, count, ret_applied, error);
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
