/* Verdicts on their way to the supervisor, who alone may tell them to the kernel.
 *
 * The channel is full when the supervisor has a lot to do, and it ends a service that reports more
 * often than it may: so what cannot be sent now waits in a ring, and no more than the allowed
 * number goes out in a while. When the ring is full the verdict is lost, and the packet with it:
 * the program tries again, as it would on a network that loses packets. No privilege. */
#include "service/verdicts.h"

#include "service/loop.h"
#include "service/protocol.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>

#define RING_SIZE   16384
#define RETRY_MS    2
#define WINDOW_MS   100
#define WINDOW_SIZE 2000 /* 20,000 a second: well below what the supervisor allows */

struct verdicts {
    struct loop *loop;
    int fd; /* not owned */
    struct loop_timer timer;
    uint64_t window_ms;
    unsigned sent;  /* in this window */
    unsigned first; /* of the ring */
    unsigned count;
    struct report_verdict ring[RING_SIZE];
};

static bool transmit(struct verdicts *verdicts, const struct report_verdict *verdict)
{
    uint64_t now_ms = loop_now_ms(verdicts->loop);

    if (now_ms - verdicts->window_ms >= WINDOW_MS) {
        verdicts->window_ms = now_ms;
        verdicts->sent = 0;
    }
    if (verdicts->sent >= WINDOW_SIZE)
        return false;
    /* A supervisor that is gone ends the loop by itself. */
    if (send(verdicts->fd, verdict, sizeof *verdict, MSG_DONTWAIT | MSG_NOSIGNAL) < 0 &&
        (errno == EAGAIN || errno == EWOULDBLOCK))
        return false;
    verdicts->sent++;
    return true;
}

static void flush(void *context)
{
    struct verdicts *verdicts = context;

    while (verdicts->count > 0 && transmit(verdicts, &verdicts->ring[verdicts->first])) {
        verdicts->first = (verdicts->first + 1) % RING_SIZE;
        verdicts->count--;
    }
    if (verdicts->count > 0)
        loop_arm(verdicts->loop, &verdicts->timer, RETRY_MS);
}

static void put(struct verdicts *verdicts, struct report_verdict verdict)
{
    verdict.kind = REPORT_VERDICT;
    if (verdicts->count == 0 && transmit(verdicts, &verdict))
        return;
    if (verdicts->count == RING_SIZE)
        return;
    verdicts->ring[(verdicts->first + verdicts->count++) % RING_SIZE] = verdict;
    if (!verdicts->timer.armed)
        loop_arm(verdicts->loop, &verdicts->timer, RETRY_MS);
}

void verdicts_send(struct verdicts *verdicts, uint32_t id, int refusal)
{
    put(verdicts,
        (struct report_verdict){.id = id,
                                .verdict = refusal ? REPORT_VERDICT_REFUSE : REPORT_VERDICT_ACCEPT,
                                .mark = (uint32_t)refusal});
}

void verdicts_drop(struct verdicts *verdicts, uint32_t id)
{
    put(verdicts, (struct report_verdict){.id = id, .verdict = REPORT_VERDICT_DROP});
}

int verdicts_new(struct loop *loop, int report_fd, struct verdicts **ret_verdicts,
                 struct error *error)
{
    struct verdicts *verdicts = calloc(1, sizeof *verdicts);

    if (!verdicts)
        return error_errno(error, -ENOMEM, "cannot start the relay");
    verdicts->loop = loop;
    verdicts->fd = report_fd;
    verdicts->timer = (struct loop_timer){.due = flush, .context = verdicts};
    *ret_verdicts = verdicts;
    return 0;
}

void verdicts_free(struct verdicts *verdicts)
{
    if (!verdicts)
        return;
    loop_disarm(verdicts->loop, &verdicts->timer);
    free(verdicts);
}
