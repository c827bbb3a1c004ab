/* The event loop. Theory: one round = wait for descriptors, call each one that is ready, run the
 * tasks that were deferred before this round began, fire due timers. A task that defers itself
 * again runs in the next round, so that no connection can keep the others from theirs.
 *
 * Before it sleeps it may poll, as long as a budget allows (poll_budget.c): a source that is
 * expected to have something at once is asked directly, and epoll now and then; where any source
 * is, epoll alone.
 *
 * What must not happen: a callback on an object that another callback of the same round has freed.
 * loop_unwatch() therefore blanks what epoll has already reported and ends the expectation, and the
 * list of tasks is cut off before it is run. Nor that an expected source which always has something
 * keeps the others waiting, or that a loop without work does not sleep. No privilege. */
#include "service/loop.h"

#include "base/cleanup.h"
#include "base/clock.h"

#include <errno.h>
#include <limits.h>
#include <sys/epoll.h>

#define LOOP_EVENTS_MAX 128
#define BLIND_US        200 /* so long at most is nobody but the expected source looked at */

TAILQ_HEAD(timer_list, loop_timer);
TAILQ_HEAD(task_list, loop_task);

/* The source that should be the next to have something, since something was sent to it. */
struct expectation {
    struct loop_source *source; /* NULL: any */
    struct poll_budget *budget; /* NULL: nothing is expected */
    uint64_t since_us;
    bool is_new; /* since the source was asked */
};

struct loop {
    int epoll_fd;
    bool stopped;
    uint64_t now_us;
    uint64_t looked_us; /* when epoll was last asked */
    struct expectation expected;
    struct timer_list timers; /* a handful, not sorted */
    struct task_list tasks;
    struct task_list running; /* tasks of this round */
    struct epoll_event events[LOOP_EVENTS_MAX];
    int event_count; /* reported in this round */
    int event_next;  /* the first that is not dispatched yet */
};

uint64_t loop_now_ms(const struct loop *loop)
{
    return loop->now_us / 1000;
}

int loop_new(struct loop **ret_loop, struct error *error)
{
    struct loop *loop = calloc(1, sizeof *loop);

    if (!loop)
        return error_errno(error, -ENOMEM, "cannot make the event loop");
    loop->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (loop->epoll_fd < 0) {
        int code = -errno;

        free(loop);
        return error_errno(error, code, "cannot make the event loop");
    }
    TAILQ_INIT(&loop->timers);
    TAILQ_INIT(&loop->tasks);
    TAILQ_INIT(&loop->running);
    loop->now_us = clock_now_us();
    *ret_loop = loop;
    return 0;
}

void loop_free(struct loop *loop)
{
    if (!loop)
        return;
    (void)close(loop->epoll_fd); /* holds no data */
    free(loop);
}

int loop_watch(struct loop *loop, struct loop_source *source, uint32_t events)
{
    struct epoll_event event = {.events = events, .data.ptr = source};

    if (epoll_ctl(loop->epoll_fd, EPOLL_CTL_ADD, source->fd, &event) < 0)
        return -errno;
    source->watched = true;
    return 0;
}

void loop_forget(struct loop *loop, struct loop_source *source)
{
    source->watched = false;
    if (loop->expected.source == source)
        loop->expected = (struct expectation){0};
    for (int i = loop->event_next; i < loop->event_count; i++) {
        if (loop->events[i].data.ptr == source)
            loop->events[i].data.ptr = NULL;
    }
}

void loop_unwatch(struct loop *loop, struct loop_source *source)
{
    if (!source->watched)
        return;
    /* Can only fail where the descriptor is not watched, which is what we want. */
    (void)epoll_ctl(loop->epoll_fd, EPOLL_CTL_DEL, source->fd, NULL);
    loop_forget(loop, source);
}

int loop_hand_over(struct loop *loop, struct loop_source *from, struct loop_source *to,
                   uint32_t events)
{
    struct epoll_event event = {.events = events, .data.ptr = to};

    if (!from->watched)
        return loop_watch(loop, to, events);
    if (epoll_ctl(loop->epoll_fd, EPOLL_CTL_MOD, from->fd, &event) < 0)
        return -errno;
    loop_forget(loop, from);
    to->watched = true;
    return 0;
}

void loop_arm(struct loop *loop, struct loop_timer *timer, uint64_t delay_ms)
{
    if (!timer->armed)
        TAILQ_INSERT_TAIL(&loop->timers, timer, entry);
    timer->armed = true;
    timer->due_ms = loop_now_ms(loop) + delay_ms;
}

void loop_disarm(struct loop *loop, struct loop_timer *timer)
{
    if (timer->armed)
        TAILQ_REMOVE(&loop->timers, timer, entry);
    timer->armed = false;
}

void loop_defer(struct loop *loop, struct loop_task *task)
{
    if (task->queued)
        return;
    task->queued = true;
    TAILQ_INSERT_TAIL(&loop->tasks, task, entry);
}

/* A list's tail lives in its head, so a task must be taken from the list that it is in. */
static bool task_is_in(const struct task_list *list, const struct loop_task *task)
{
    const struct loop_task *other;

    TAILQ_FOREACH(other, list, entry)
    {
        if (other == task)
            return true;
    }
    return false;
}

void loop_cancel(struct loop *loop, struct loop_task *task)
{
    if (!task->queued)
        return;
    task->queued = false;
    if (!TAILQ_EMPTY(&loop->running) && task_is_in(&loop->running, task))
        TAILQ_REMOVE(&loop->running, task, entry);
    else
        TAILQ_REMOVE(&loop->tasks, task, entry);
}

void loop_expect(struct loop *loop, struct loop_source *source, struct poll_budget *budget)
{
    if (source->watched)
        loop->expected = (struct expectation){source, budget, loop->now_us, true};
}

void loop_expect_any(struct loop *loop, struct poll_budget *budget)
{
    uint64_t now_us = clock_now_us();

    /* What epoll told together with what was expected from did not come because of it. */
    if (loop->expected.budget && !loop->expected.source &&
        loop->looked_us > loop->expected.since_us)
        poll_budget_came(loop->expected.budget, now_us - loop->expected.since_us);
    loop->expected = (struct expectation){NULL, budget, now_us, true};
}

static int next_timeout(const struct loop *loop, int timeout_ms)
{
    const struct loop_timer *timer;
    uint64_t best = timeout_ms < 0 ? UINT64_MAX : (uint64_t)timeout_ms;

    if (!TAILQ_EMPTY(&loop->tasks))
        return 0;
    TAILQ_FOREACH(timer, &loop->timers, entry)
    {
        uint64_t left = timer->due_ms > loop_now_ms(loop) ? timer->due_ms - loop_now_ms(loop) : 0;

        if (left < best)
            best = left;
    }
    return best == UINT64_MAX ? -1 : best > INT_MAX ? INT_MAX : (int)best;
}

/* Before a source is called: it may end, or be expected anew. */
static void expected_came(struct loop *loop)
{
    poll_budget_came(loop->expected.budget, loop->now_us - loop->expected.since_us);
    loop->expected = (struct expectation){0};
}

static void run_events(struct loop *loop)
{
    while (loop->event_next < loop->event_count) {
        const struct epoll_event *event = &loop->events[loop->event_next++];
        struct loop_source *source = event->data.ptr;

        if (!source)
            continue;
        if (source == loop->expected.source)
            expected_came(loop);
        source->ready(source->context, event->events);
    }
    loop->event_next = loop->event_count = 0;
}

static void run_tasks(struct loop *loop)
{
    struct loop_task *task;

    TAILQ_CONCAT(&loop->running, &loop->tasks, entry);
    while ((task = TAILQ_FIRST(&loop->running))) {
        TAILQ_REMOVE(&loop->running, task, entry);
        task->queued = false;
        task->run(task->context);
    }
}

/* A callback may change the list, so the search starts again after each; a timer that rearms itself
 * is due later than now_ms unless it asked for 0 ms, which counts as 1 to let the round end. */
static void run_timers(struct loop *loop)
{
    struct loop_timer *timer = TAILQ_FIRST(&loop->timers);

    while (timer) {
        if (timer->due_ms > loop_now_ms(loop)) {
            timer = TAILQ_NEXT(timer, entry);
            continue;
        }
        loop_disarm(loop, timer);
        timer->due(timer->context);
        if (timer->armed && timer->due_ms <= loop_now_ms(loop))
            timer->due_ms = loop_now_ms(loop) + 1;
        timer = TAILQ_FIRST(&loop->timers);
    }
}

static int ask_epoll(struct loop *loop, int timeout_ms)
{
    int count = epoll_wait(loop->epoll_fd, loop->events, LOOP_EVENTS_MAX, timeout_ms);

    loop->now_us = loop->looked_us = clock_now_us();
    return count;
}

static bool may_poll(const struct loop *loop, int timeout_ms)
{
    return loop->expected.budget && next_timeout(loop, timeout_ms) != 0 &&
           poll_budget_window_us(loop->expected.budget) > 0;
}

/* Asks epoll again and again. Returns what epoll_wait() does. What comes need not be what is
 * expected: only who expects anew can tell. */
static int poll_any(struct loop *loop)
{
    uint64_t end_us = loop->expected.since_us + poll_budget_window_us(loop->expected.budget);

    do {
        int count = ask_epoll(loop, 0);

        if (count != 0)
            return count;
    } while (loop->now_us < end_us);
    poll_budget_missed(loop->expected.budget);
    loop->expected = (struct expectation){0};
    return 0;
}

/* Asks the expected source again and again, and epoll from time to time. Returns what epoll_wait()
 * does; 0 with *ret_came when the source had something, which is done then. */
static int poll_expected(struct loop *loop, bool *ret_came)
{
    const struct expectation expected = loop->expected;
    uint64_t end_us = clock_now_us() + poll_budget_window_us(expected.budget);

    do {
        int count;

        loop->now_us = clock_now_us();
        count = loop->now_us - loop->looked_us < BLIND_US ? 0 : ask_epoll(loop, 0);
        if (count != 0)
            return count;
        loop->expected.is_new = false;
        *ret_came = expected.source->take(expected.source->context);
        if (*ret_came) {
            poll_budget_came(expected.budget, loop->now_us - expected.since_us);
            if (!loop->expected.is_new)
                loop->expected = (struct expectation){0};
            return 0;
        }
        if (loop->expected.source != expected.source)
            return 0; /* it has been closed */
    } while (loop->now_us < end_us);
    poll_budget_missed(expected.budget);
    loop->expected = (struct expectation){0};
    return 0;
}

int loop_round(struct loop *loop, int timeout_ms, struct error *error)
{
    bool came = false;
    int count = 0;

    if (may_poll(loop, timeout_ms))
        count = loop->expected.source ? poll_expected(loop, &came) : poll_any(loop);
    if (count == 0 && !came)
        count = ask_epoll(loop, next_timeout(loop, timeout_ms));
    if (count < 0 && errno != EINTR)
        return error_errno(error, -errno, "cannot wait for events");
    loop->event_next = 0;
    loop->event_count = count < 0 ? 0 : count;
    run_events(loop);
    run_tasks(loop);
    run_timers(loop);
    return 0;
}

int loop_run(struct loop *loop, struct error *error)
{
    while (!loop->stopped) {
        int code = loop_round(loop, -1, error);

        if (code < 0)
            return code;
    }
    return 0;
}

void loop_stop(struct loop *loop)
{
    loop->stopped = true;
}
