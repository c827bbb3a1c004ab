/* The event loop: order, timers, and objects that go away in the middle of a round. */
#include "service/loop.h"

#include "base/cleanup.h"

#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <sys/epoll.h>

#include <cmocka.h>

struct end {
    struct loop *loop;
    struct loop_source source;
    struct loop_task task;
    struct loop_timer timer;
    struct end *victim; /* unwatched by the callback */
    int calls;
};

static void ready(void *context, uint32_t events)
{
    struct end *end = context;

    (void)events;
    end->calls++;
    if (end->victim)
        loop_unwatch(end->loop, &end->victim->source);
}

static struct loop *loop_or_fail(void)
{
    struct loop *loop = NULL;
    struct error error = {0};

    assert_int_equal(loop_new(&loop, &error), 0);
    return loop;
}

static void round_of(struct loop *loop, int timeout_ms)
{
    struct error error = {0};

    assert_int_equal(loop_round(loop, timeout_ms, &error), 0);
}

static void test_unwatched_is_not_called(void **state)
{
    struct loop *loop = loop_or_fail();
    struct end ends[2] = {0};
    int fds[2];

    (void)state;
    assert_int_equal(pipe(fds), 0);
    assert_int_equal(write(fds[1], "x", 1), 1);
    for (int i = 0; i < 2; i++) {
        ends[i] = (struct end){.loop = loop, .victim = &ends[!i]};
        ends[i].source = (struct loop_source){
            .fd = i == 0 ? fds[0] : dup(fds[0]), .ready = ready, .context = &ends[i]};
        assert_int_equal(loop_watch(loop, &ends[i].source, EPOLLIN), 0);
    }
    round_of(loop, 0); /* both are ready; whoever comes first removes the other */
    assert_int_equal(ends[0].calls + ends[1].calls, 1);
    for (int i = 0; i < 2; i++) {
        loop_unwatch(loop, &ends[i].source);
        close(ends[i].source.fd);
    }
    close(fds[1]);
    loop_free(loop);
}

static void run_again(void *context)
{
    struct end *end = context;

    end->calls++;
    loop_defer(end->loop, &end->task);
    if (end->victim)
        loop_cancel(end->loop, &end->victim->task);
}

static void test_task_runs_once_a_round(void **state)
{
    struct loop *loop = loop_or_fail();
    struct end end = {.loop = loop};

    (void)state;
    end.task = (struct loop_task){.run = run_again, .context = &end};
    loop_defer(loop, &end.task);
    loop_defer(loop, &end.task);
    round_of(loop, -1); /* must not wait: a task is there */
    assert_int_equal(end.calls, 1);
    round_of(loop, -1);
    assert_int_equal(end.calls, 2);
    loop_cancel(loop, &end.task);
    round_of(loop, 0);
    assert_int_equal(end.calls, 2);
    loop_free(loop);
}

static void test_task_cancelled_by_another(void **state)
{
    struct loop *loop = loop_or_fail();
    struct end ends[3] = {0};

    (void)state;
    for (int i = 0; i < 3; i++) {
        ends[i] = (struct end){.loop = loop};
        ends[i].task = (struct loop_task){.run = run_again, .context = &ends[i]};
        loop_defer(loop, &ends[i].task);
    }
    ends[0].victim = &ends[2]; /* the last of the list: its removal moves the tail */
    round_of(loop, 0);
    assert_int_equal(ends[1].calls, 1);
    assert_int_equal(ends[2].calls, 0);
    round_of(loop, 0);
    assert_int_equal(ends[1].calls, 2);
    loop_free(loop);
}

static void due(void *context)
{
    struct end *end = context;

    end->calls++;
    loop_arm(end->loop, &end->timer, 0);
}

static void test_timer_cannot_stop_the_round(void **state)
{
    struct loop *loop = loop_or_fail();
    struct end end = {.loop = loop};
    struct end never = {.loop = loop};

    (void)state;
    end.timer = (struct loop_timer){.due = due, .context = &end};
    never.timer = (struct loop_timer){.due = due, .context = &never};
    loop_arm(loop, &end.timer, 5);
    loop_arm(loop, &never.timer, 60000);
    round_of(loop, -1);
    while (end.calls == 0)
        round_of(loop, -1);
    assert_int_equal(end.calls, 1);
    assert_int_equal(never.calls, 0);
    loop_disarm(loop, &end.timer);
    loop_disarm(loop, &never.timer);
    loop_free(loop);
}

/* A source that epoll never reports, and that has something `most` times. */
struct asked {
    struct loop *loop;
    struct loop_source source;
    struct poll_budget budget;
    int taken;
    int most;
    bool closes; /* instead */
    bool again;  /* is expected anew each time */
    int fds[2];
};

static bool take(void *context)
{
    struct asked *asked = context;

    asked->taken++;
    if (asked->closes)
        loop_unwatch(asked->loop, &asked->source);
    if (asked->taken > asked->most)
        return false;
    if (asked->again)
        loop_expect(asked->loop, &asked->source, &asked->budget);
    return true;
}

static void ready_asked(void *context, uint32_t events)
{
    (void)context;
    (void)events;
    fail();
}

/* Expected, with a budget that has seen enough quick answers. */
static void expect_asked(struct asked *asked)
{
    asked->loop = loop_or_fail();
    asked->source = (struct loop_source){.ready = ready_asked, .take = take, .context = asked};
    assert_int_equal(pipe(asked->fds), 0);
    asked->source.fd = asked->fds[0];
    for (int i = 0; poll_budget_window_us(&asked->budget) == 0; i++) {
        assert_true(i < 1000);
        poll_budget_came(&asked->budget, 1);
    }
    assert_int_equal(loop_watch(asked->loop, &asked->source, EPOLLIN), 0);
    loop_expect(asked->loop, &asked->source, &asked->budget);
}

static void end_asked(struct asked *asked)
{
    loop_unwatch(asked->loop, &asked->source);
    close(asked->fds[0]);
    close(asked->fds[1]);
    loop_free(asked->loop);
}

static void test_expected_is_asked_before_sleeping(void **state)
{
    struct asked asked = {.most = 1};

    (void)state;
    expect_asked(&asked);
    round_of(asked.loop, -1); /* for ever, when it were not asked */
    assert_int_equal(asked.taken, 1);
    round_of(asked.loop, 0); /* expected once: asked once */
    round_of(asked.loop, 1);
    assert_int_equal(asked.taken, 1);
    end_asked(&asked);
}

static void test_polling_in_vain_ends(void **state)
{
    struct asked asked = {.most = 0};
    int taken;

    (void)state;
    expect_asked(&asked);
    round_of(asked.loop, 1);
    taken = asked.taken;
    assert_true(taken > 0);
    assert_int_equal(poll_budget_window_us(&asked.budget), 0);
    loop_expect(asked.loop, &asked.source, &asked.budget);
    round_of(asked.loop, 1); /* sleeps */
    assert_int_equal(asked.taken, taken);
    end_asked(&asked);
}

static void test_closed_is_not_asked_again(void **state)
{
    struct asked asked = {.most = 0, .closes = true};

    (void)state;
    expect_asked(&asked);
    round_of(asked.loop, 1);
    assert_int_equal(asked.taken, 1);
    loop_expect(asked.loop, &asked.source, &asked.budget); /* is not watched */
    round_of(asked.loop, 1);
    assert_int_equal(asked.taken, 1);
    end_asked(&asked);
}

static void test_expected_does_not_starve_the_others(void **state)
{
    struct asked asked = {.most = INT_MAX, .again = true};
    struct end other = {0};
    int fds[2];

    (void)state;
    expect_asked(&asked);
    assert_int_equal(pipe(fds), 0);
    assert_int_equal(write(fds[1], "x", 1), 1);
    other.source = (struct loop_source){.fd = fds[0], .ready = ready, .context = &other};
    assert_int_equal(loop_watch(asked.loop, &other.source, EPOLLIN), 0);
    while (other.calls == 0) {
        assert_true(asked.taken < 100000); /* some thousand are enough */
        round_of(asked.loop, -1);
    }
    loop_unwatch(asked.loop, &other.source);
    close(fds[0]);
    close(fds[1]);
    end_asked(&asked);
}

static void test_expecting_again_tells_that_it_came(void **state)
{
    struct loop *loop = loop_or_fail();
    struct poll_budget budget = {0};

    (void)state;
    for (int i = 0; i < 100; i++)
        loop_expect_any(loop, &budget); /* what is told at once did not come because of it */
    assert_int_equal(poll_budget_window_us(&budget), 0);
    for (int i = 0; poll_budget_window_us(&budget) == 0; i++) {
        assert_true(i < 100000); /* some of a row may come late on a busy machine */
        round_of(loop, 0);
        loop_expect_any(loop, &budget);
    }
    round_of(loop, 1); /* nothing comes */
    assert_int_equal(poll_budget_window_us(&budget), 0);
    round_of(loop, 1); /* sleeps */
    loop_free(loop);
}

static void test_any_source_is_polled_for(void **state)
{
    struct loop *loop = loop_or_fail();
    struct poll_budget budget = {0};
    struct end end = {0};
    int fds[2];

    (void)state;
    assert_int_equal(pipe(fds), 0);
    assert_int_equal(write(fds[1], "x", 1), 1);
    end.source = (struct loop_source){.fd = fds[0], .ready = ready, .context = &end};
    assert_int_equal(loop_watch(loop, &end.source, EPOLLIN), 0);
    while (poll_budget_window_us(&budget) == 0) {
        round_of(loop, 0);
        loop_expect_any(loop, &budget);
    }
    end.calls = 0;
    round_of(loop, -1);
    assert_int_equal(end.calls, 1);
    assert_int_not_equal(poll_budget_window_us(&budget), 0); /* that was not in vain */
    loop_unwatch(loop, &end.source);
    close(fds[0]);
    close(fds[1]);
    loop_free(loop);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_unwatched_is_not_called),
        cmocka_unit_test(test_task_runs_once_a_round),
        cmocka_unit_test(test_task_cancelled_by_another),
        cmocka_unit_test(test_timer_cannot_stop_the_round),
        cmocka_unit_test(test_expected_is_asked_before_sleeping),
        cmocka_unit_test(test_polling_in_vain_ends),
        cmocka_unit_test(test_closed_is_not_asked_again),
        cmocka_unit_test(test_expected_does_not_starve_the_others),
        cmocka_unit_test(test_expecting_again_tells_that_it_came),
        cmocka_unit_test(test_any_source_is_polled_for),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
