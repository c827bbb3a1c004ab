/* Pins: what has been found, and whether the kernel knows.
 *
 * Reports are sent one after another, a few at a time without an answer, since the queue of a
 * socket is short; so a jail that asks for much waits for itself. The table of names and addresses
 * answers for policy_decide() in the service, for PTR, and for the limit of addresses a name may
 * have. Its entries live a little longer than the kernel's, so that the service never refuses what
 * the kernel has admitted. What must not happen: an answer released before its notice. */
#include "service/resolver_pins.h"

#include "policy/names.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#define BUCKETS   4096 /* a power of two */
#define UNDER_WAY 4
#define RETRY_MS  2
#define GRACE_MS  5000
#define SWEEP_MS  10000

struct pinned {
    LIST_ENTRY(pinned) in_bucket; /* by address */
    LIST_ENTRY(pinned) of_name;   /* by name */
    struct addr addr;
    uint64_t end_ms;
    struct dns_name name;
};

struct job {
    STAILQ_ENTRY(job) entry;
    struct pins_request *request; /* NULL: nobody waits any more */
    struct report_pins report;
};
STAILQ_HEAD(job_list, job);

struct pins {
    struct loop *loop;
    int fd;
    LIST_HEAD(, pinned) buckets[BUCKETS];
    LIST_HEAD(, pinned) names[BUCKETS];
    size_t count;
    uint64_t swept_ms;
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

static void pinned_remove(struct pins *pins, struct pinned *pinned)
{
    LIST_REMOVE(pinned, in_bucket);
    LIST_REMOVE(pinned, of_name);
    pins->count--;
    free(pinned);
}

void pins_free(struct pins *pins)
{
    if (!pins)
        return;
    for (size_t i = 0; i < BUCKETS; i++) {
        while (!LIST_EMPTY(&pins->buckets[i]))
            pinned_remove(pins, LIST_FIRST(&pins->buckets[i]));
    }
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

static size_t hash(const uint8_t *bytes, size_t length)
{
    uint32_t value = 2166136261u; /* FNV-1a */

    for (size_t i = 0; i < length; i++)
        value = (value ^ bytes[i]) * 16777619u;
    return (value ^ value >> 16) & (BUCKETS - 1);
}

static void sweep(struct pins *pins, uint64_t now_ms)
{
    if (now_ms - pins->swept_ms < SWEEP_MS)
        return;
    pins->swept_ms = now_ms;
    for (size_t i = 0; i < BUCKETS; i++) {
        struct pinned *next;

        for (struct pinned *pinned = LIST_FIRST(&pins->buckets[i]); pinned; pinned = next) {
            next = LIST_NEXT(pinned, in_bucket);
            if (pinned->end_ms <= now_ms)
                pinned_remove(pins, pinned);
        }
    }
}

bool pins_note(struct pins *pins, const struct dns_name *name, const struct addr *addr,
               uint32_t seconds)
{
    size_t bucket = hash(name->wire, name->length);
    uint64_t now_ms = loop_now_ms(pins->loop);
    uint64_t end_ms = now_ms + (uint64_t)seconds * 1000 + GRACE_MS;
    struct pinned *pinned, *next;
    size_t count = 0;

    sweep(pins, now_ms);
    for (pinned = LIST_FIRST(&pins->names[bucket]); pinned; pinned = next) {
        next = LIST_NEXT(pinned, of_name);
        if (!dns_name_equal(&pinned->name, name))
            continue;
        if (addr_equal(&pinned->addr, addr)) {
            if (pinned->end_ms < end_ms)
                pinned->end_ms = end_ms;
            return true;
        }
        if (pinned->end_ms <= now_ms)
            pinned_remove(pins, pinned);
        else
            count++;
    }
    if (count >= PINS_PER_NAME || pins->count >= PINS_MAX || !(pinned = calloc(1, sizeof *pinned)))
        return false;
    pinned->name = *name;
    pinned->addr = *addr;
    pinned->end_ms = end_ms;
    LIST_INSERT_HEAD(&pins->names[bucket], pinned, of_name);
    LIST_INSERT_HEAD(&pins->buckets[hash((const uint8_t *)addr, sizeof *addr)], pinned, in_bucket);
    pins->count++;
    return true;
}

bool pins_item_has(const struct pins *pins, const struct set_item *item, const struct addr *addr)
{
    uint64_t now_ms = loop_now_ms(pins->loop);
    const struct pinned *pinned;
    char text[DNS_NAME_MAX];

    LIST_FOREACH(pinned, &pins->buckets[hash((const uint8_t *)addr, sizeof *addr)], in_bucket)
    {
        if (pinned->end_ms > now_ms && addr_equal(&pinned->addr, addr) &&
            dns_name_text(&pinned->name, text) && name_matches(item, text, strlen(text)))
            return true;
    }
    return false;
}

bool pins_name_of(const struct pins *pins, const struct addr *addr, struct dns_name *ret_name)
{
    uint64_t now_ms = loop_now_ms(pins->loop);
    const struct pinned *pinned;

    LIST_FOREACH(pinned, &pins->buckets[hash((const uint8_t *)addr, sizeof *addr)], in_bucket)
    {
        if (pinned->end_ms > now_ms && addr_equal(&pinned->addr, addr)) {
            *ret_name = pinned->name;
            return true;
        }
    }
    return false;
}

size_t pins_some_of(const struct pins *pins, const struct dns_name *name, uint8_t family,
                    struct addr *ret_addrs, size_t max)
{
    uint64_t now_ms = loop_now_ms(pins->loop);
    const struct pinned *pinned;
    size_t count = 0;

    LIST_FOREACH(pinned, &pins->names[hash(name->wire, name->length)], of_name)
    {
        if (count < max && pinned->end_ms > now_ms && pinned->addr.family == family &&
            dns_name_equal(&pinned->name, name))
            ret_addrs[count++] = pinned->addr;
    }
    return count;
}
