/* The service's event loop: descriptors (epoll), timers, and tasks that go on after the others had
 * their turn. One thread; callbacks may add and remove anything, themselves included. */
#pragma once

#include "base/diag.h"
#include "service/poll_budget.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

struct loop;

/* Embedded in what it belongs to; zero-initialised, then filled by loop_watch(). */
struct loop_source {
    int fd; /* the owner's; must be closed after loop_unwatch() */
    void (*ready)(void *context, uint32_t events); /* events: EPOLLIN, ... (epoll_ctl(2)) */
    bool (*take)(
        void *context); /* only of one that is expected: takes what is there, if anything */
    void *context;
    bool watched;
};

struct loop_timer {
    void (*due)(void *context);
    void *context;
    uint64_t due_ms;
    bool armed;
    TAILQ_ENTRY(loop_timer) entry;
};

struct loop_task {
    void (*run)(void *context);
    void *context;
    bool queued;
    TAILQ_ENTRY(loop_task) entry;
};

/* A new loop; the caller frees it with loop_free(), which closes no watched descriptor. */
int loop_new(struct loop **ret_loop, struct error *error);
void loop_free(struct loop *loop);

/* Starts to watch source->fd for `events` (EPOLLET allowed). 0 or a negative errno. */
int loop_watch(struct loop *loop, struct loop_source *source, uint32_t events);
/* Stops; no callback of this source comes after it, also none that epoll has already reported. */
void loop_unwatch(struct loop *loop, struct loop_source *source);

/* The same for a descriptor that the caller closes right away and that nobody else has a copy of:
 * the kernel then forgets it by itself. */
void loop_forget(struct loop *loop, struct loop_source *source);

/* What `from` watches is watched by `to` from now on, for `events`; what is ready already is
 * reported again. 0 or a negative errno: `from` watches on. */
int loop_hand_over(struct loop *loop, struct loop_source *from, struct loop_source *to,
                   uint32_t events);

/* This source should be the next to have something, and soon: when the budget allows, the next
 * round asks it with take() instead of sleeping at once. The budget outlives the source; it learns
 * from each time. Nothing happens where the source is not watched. */
void loop_expect(struct loop *loop, struct loop_source *source, struct poll_budget *budget);
/* The same where it is not known which source: epoll is asked. What comes next is what the caller
 * answers by expecting the next. The budget must live as long as the loop runs. */
void loop_expect_any(struct loop *loop, struct poll_budget *budget);

/* (Re)arms the timer `delay_ms` from now. */
void loop_arm(struct loop *loop, struct loop_timer *timer, uint64_t delay_ms);
void loop_disarm(struct loop *loop, struct loop_timer *timer);

/* Runs the task once, after the descriptors that are ready now. A second call before that is none.
 */
void loop_defer(struct loop *loop, struct loop_task *task);
void loop_cancel(struct loop *loop, struct loop_task *task);

/* CLOCK_MONOTONIC in ms, read once per round. */
uint64_t loop_now_ms(const struct loop *loop);

/* Runs until loop_stop(); returns 0, or a negative errno when epoll itself fails. */
int loop_run(struct loop *loop, struct error *error);
/* One round: waits at most `timeout_ms` (-1: until the next timer). */
int loop_round(struct loop *loop, int timeout_ms, struct error *error);
void loop_stop(struct loop *loop);
