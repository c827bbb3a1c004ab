/* Pins: whether the kernel knows what has been found.
 *
 * Reports are sent one after another, a few at a time without an answer, since the queue of a
 * socket is short; so a jail that asks for much waits for itself. What must not happen: an answer
 * released before its notice. */
#include "service/resolver_pins.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#define UNDER_WAY 4
#define RETRY_MS  2

struct job {
    STAILQ_ENTRY(job) entry;
    struct pins_request *request; /* NULL: nobody waits any more */
    struct report_pins report;
};
STAILQ_HEAD(job_list, job);

struct pins {
    struct loop *loop;
    int fd;
    struct job_list waiting;
    size_t waiting_count;
    struct job_list sent; /* at most UNDER_WAY */
    size_t sent_count;
    uint32_t number;
    struct loop_task task;
    struct loop_timer timer;
};

static void send_jobs(void *context);

struct pins *pins_new(struct loop *loop, int fd)
{
    struct pins *pins = calloc(1, sizeof *pins);

    if (!pins)
        return NULL;
    pins->loop = loop;
    pins->fd = fd;
    STAILQ_INIT(&pins->waiting);
    STAILQ_INIT(&pins->sent);
    pins->task = (struct loop_task){.run = send_jobs, .context = pins};
    pins->timer = (struct loop_timer){.due = send_jobs, .context = pins};
    return pins;
}

static void jobs_free(struct job_list *list)
{
    while (!STAILQ_EMPTY(list)) {
        struct job *job = STAILQ_FIRST(list);

        STAILQ_REMOVE_HEAD(list, entry);
        free(job);
    }
}

void pins_free(struct pins *pins)
{
    if (!pins)
        return;
    jobs_free(&pins->waiting);
    jobs_free(&pins->sent);
    loop_cancel(pins->loop, &pins->task);
    loop_disarm(pins->loop, &pins->timer);
    free(pins);
}

/* Sends what may be under way; a full queue is tried again soon. */
static void send_jobs(void *context)
{
    struct pins *pins = context;

    while (pins->sent_count < UNDER_WAY && !STAILQ_EMPTY(&pins->waiting)) {
        struct job *job = STAILQ_FIRST(&pins->waiting);

        if (send(pins->fd, &job->report, sizeof job->report, MSG_NOSIGNAL | MSG_DONTWAIT) < 0) {
            loop_arm(pins->loop, &pins->timer, RETRY_MS);
            return; /* a supervisor that is gone is noticed by the end of its channel */
        }
        STAILQ_REMOVE_HEAD(&pins->waiting, entry);
        pins->waiting_count--;
        STAILQ_INSERT_TAIL(&pins->sent, job, entry);
        pins->sent_count++;
    }
}

static int job_add(struct pins *pins, struct pins_request *request, uint32_t set,
                   const struct addr *addrs, size_t count, uint32_t seconds)
{
    struct job *job = calloc(1, sizeof *job);

    if (!job)
        return -ENOMEM;
    job->request = request;
    job->report = (struct report_pins){.kind = REPORT_PINS,
                                       .number = ++pins->number,
                                       .set = set,
                                       .seconds = seconds,
                                       .count = (uint32_t)count};
    memcpy(job->report.addrs, addrs, count * sizeof *addrs);
    STAILQ_INSERT_TAIL(&pins->waiting, job, entry);
    pins->waiting_count++;
    request->left++;
    return 0;
}

int pins_ask(struct pins *pins, struct pins_request *request, const uint32_t *sets,
             size_t sets_count, const struct addr *addrs, size_t addrs_count, uint32_t seconds,
             void (*done)(void *context, int code), void *context)
{
    size_t reports = sets_count * ((addrs_count + PINS_PER_REPORT - 1) / PINS_PER_REPORT);

    if (pins->waiting_count + reports > PIN_REPORTS_MAX)
        return -ENOBUFS;
    *request = (struct pins_request){.done = done, .context = context};
    for (size_t i = 0; i < sets_count; i++) {
        for (size_t k = 0; k < addrs_count; k += PINS_PER_REPORT) {
            size_t count = addrs_count - k < PINS_PER_REPORT ? addrs_count - k : PINS_PER_REPORT;

            if (job_add(pins, request, sets[i], addrs + k, count, seconds) < 0) {
                pins_cancel(pins, request);
                return -ENOBUFS;
            }
        }
    }
    loop_defer(pins->loop, &pins->task);
    return 0;
}

static void jobs_forget(struct job_list *list, const struct pins_request *request)
{
    struct job *job;

    STAILQ_FOREACH(job, list, entry)
    {
        if (job->request == request)
            job->request = NULL; /* the kernel may know it all the same */
    }
}

void pins_cancel(struct pins *pins, struct pins_request *request)
{
    if (request->left == 0)
        return;
    jobs_forget(&pins->waiting, request);
    jobs_forget(&pins->sent, request);
    request->left = 0;
}

void pins_noticed(struct pins *pins, const struct notice_pinned *notice)
{
    struct pins_request *request;
    struct job *job;

    STAILQ_FOREACH(job, &pins->sent, entry)
    {
        if (job->report.number == notice->number)
            break;
    }
    if (!job)
        return; /* to nothing that we asked */
    STAILQ_REMOVE(&pins->sent, job, job, entry);
    pins->sent_count--;
    request = job->request;
    free(job);
    loop_defer(pins->loop, &pins->task);
    if (!request)
        return;
    if (notice->code < 0 && request->code == 0)
        request->code = notice->code;
    if (--request->left == 0)
        request->done(request->context, request->code);
}
