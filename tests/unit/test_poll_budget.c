/* When polling begins, when it ends, and how much it may waste. */
#include "service/poll_budget.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

/* Quick answers until it polls; how many it took. */
static int train(struct poll_budget *budget)
{
    int count = 0;

    while (poll_budget_window_us(budget) == 0) {
        poll_budget_came(budget, 30);
        assert_true(++count < 100000);
    }
    return count;
}

static void test_nobody_polls_at_first(void **state)
{
    struct poll_budget budget = {0};

    (void)state;
    assert_int_equal(poll_budget_window_us(&budget), 0);
    assert_true(train(&budget) > 1); /* one answer is no habit */
}

static void test_slow_answers_never_poll(void **state)
{
    struct poll_budget budget = {0};

    (void)state;
    for (int i = 0; i < 1000; i++) {
        poll_budget_came(&budget, i % 3 ? 30 : 1000);
        assert_int_equal(poll_budget_window_us(&budget), 0);
    }
}

static void test_one_late_answer_starts_anew(void **state)
{
    struct poll_budget budget = {0};
    int first = train(&budget);

    (void)state;
    poll_budget_came(&budget, UINT64_MAX);
    assert_int_equal(poll_budget_window_us(&budget), 0);
    assert_int_equal(train(&budget), first);
}

static void test_in_vain_takes_twice_as_long(void **state)
{
    struct poll_budget budget = {0};
    int first = train(&budget);
    int last = first;

    (void)state;
    for (int i = 0; i < 100; i++) {
        int now;

        poll_budget_missed(&budget);
        assert_int_equal(poll_budget_window_us(&budget), 0);
        now = train(&budget);
        assert_true(now == last * 2 || (now == last && now >= first * 100));
        last = now;
    }
}

static void test_success_is_forgiving(void **state)
{
    struct poll_budget budget = {0};
    int first = train(&budget);

    (void)state;
    for (int i = 0; i < 20; i++) {
        poll_budget_missed(&budget);
        (void)train(&budget);
    }
    for (int i = 0; i < 2000; i++) {
        poll_budget_came(&budget, 30);
        assert_true(poll_budget_window_us(&budget) > 0);
    }
    while (poll_budget_window_us(&budget) > 0)
        poll_budget_missed(&budget);
    assert_int_equal(train(&budget), first * 2);
}

/* A window costs 100 us, an answer saves 25 or so. */
static void test_pays_from_what_was_earned(void **state)
{
    struct poll_budget budget = {0};

    (void)state;
    (void)train(&budget);
    for (int i = 0; i < 1000; i++) {
        for (int k = 0; k < 4; k++)
            poll_budget_came(&budget, 30);
        i % 2 ? poll_budget_missed(&budget) : poll_budget_came(&budget, 1000);
        assert_true(poll_budget_window_us(&budget) > 0);
    }
}

static void test_a_lot_earned_does_not_last(void **state)
{
    struct poll_budget budget = {0};
    int in_vain = 0;

    (void)state;
    (void)train(&budget);
    for (int i = 0; i < 100000; i++)
        poll_budget_came(&budget, 30);
    for (; poll_budget_window_us(&budget) > 0; in_vain++)
        poll_budget_missed(&budget);
    assert_in_range(in_vain, 2, 20);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_nobody_polls_at_first),
        cmocka_unit_test(test_slow_answers_never_poll),
        cmocka_unit_test(test_one_late_answer_starts_anew),
        cmocka_unit_test(test_in_vain_takes_twice_as_long),
        cmocka_unit_test(test_success_is_forgiving),
        cmocka_unit_test(test_pays_from_what_was_earned),
        cmocka_unit_test(test_a_lot_earned_does_not_last),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
