/* Verdicts on their way to the supervisor, who alone may tell them to the kernel.
 *
 * What one round of the loop has decided goes out in one report: a report wakes the supervisor, and
 * that costs more than all the rest.
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
    struct loop_task task;
    struct loop_timer timer;
    uint64_t window_ms;
    unsigned sent;  /* in this window */
    unsigned first; /* of the ring */
    unsigned count;
    struct packet_verdict ring[RING_SIZE];
};

/* Fills a report with what waits, oldest first. */
static void gather(const struct verdicts *verdicts, unsigned most, struct report_verdicts *report)
{
    unsigned count = verdicts->count < most ? verdicts->count : most;

    *report = (struct report_verdicts){.kind = REPORT_VERDICTS, .count = count};
    for (unsigned i = 0; i < count; i++)
        report->verdicts[i] = verdicts->ring[(verdicts->first + i) % RING_SIZE];
}

/* Sends one report; false: not now. */
static bool transmit(struct verdicts *verdicts)
{
    uint64_t now_ms = loop_now_ms(verdicts->loop);
    struct report_verdicts report;
    unsigned most;

    if (now_ms - verdicts->window_ms >= WINDOW_MS) {
        verdicts->window_ms = now_ms;
        verdicts->sent = 0;
    }
    most = WINDOW_SIZE - verdicts->sent;
    if (most == 0)
        return false;
    gather(verdicts, most < VERDICTS_PER_REPORT ? most : VERDICTS_PER_REPORT, &report);
    /* A supervisor that is gone ends the loop by itself. */
    if (send(verdicts->fd, &report, sizeof report, MSG_DONTWAIT | MSG_NOSIGNAL) < 0 &&
        (errno == EAGAIN || errno == EWOULDBLOCK))
        return false;
    verdicts->sent += report.count;
    verdicts->first = (verdicts->first + report.count) % RING_SIZE;
    verdicts->count -= report.count;
    return true;
}

static void flush(void *context)
{
    struct verdicts *verdicts = context;

    while (verdicts->count > 0 && transmit(verdicts))
        ;
    if (verdicts->count > 0 && !verdicts->timer.armed)
        loop_arm(verdicts->loop, &verdicts->timer, RETRY_MS);
}

static void put(struct verdicts *verdicts, const struct packet_verdict *verdict)
{
    if (verdicts->count == RING_SIZE)
        return;
    verdicts->ring[(verdicts->first + verdicts->count++) % RING_SIZE] = *verdict;
    if (!verdicts->timer.armed)
        loop_defer(verdicts->loop, &verdicts->task);
}

void verdicts_send(struct verdicts *verdicts, uint32_t id, int refusal)
{
    put(verdicts,
        &(struct packet_verdict){.id = id,
                                 .kind = refusal ? VERDICT_PACKET_REFUSE : VERDICT_PACKET_ACCEPT,
                                 .mark = (uint32_t)refusal});
}

void verdicts_drop(struct verdicts *verdicts, uint32_t id)
{
    put(verdicts, &(struct packet_verdict){.id = id, .kind = VERDICT_PACKET_DROP});
}

int verdicts_new(struct loop *loop, int report_fd, struct verdicts **ret_verdicts,
                 struct error *error)
{
    struct verdicts *verdicts = calloc(1, sizeof *verdicts);

    if (!verdicts)
        return error_errno(error, -ENOMEM, "cannot start the relay");
    verdicts->loop = loop;
    verdicts->fd = report_fd;
    verdicts->task = (struct loop_task){.run = flush, .context = verdicts};
    verdicts->timer = (struct loop_timer){.due = flush, .context = verdicts};
    *ret_verdicts = verdicts;
    return 0;
}

void verdicts_free(struct verdicts *verdicts)
{
    if (!verdicts)
        return;
    loop_cancel(verdicts->loop, &verdicts->task);
    loop_disarm(verdicts->loop, &verdicts->timer);
    free(verdicts);
}
