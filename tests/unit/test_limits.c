/* Places and rate: what is given back is there again, what the clock brings is not more than it
 * may. */
#include "service/limits.h"

#include "base/diag.h"
#include "service/log.h"
#include "service/loop.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

struct fixture {
    struct loop *loop;
    struct service_log log;
    struct limits limits;
};

static void open_fixture(struct fixture *f, struct limits limits)
{
    struct error error = {0};

    *f = (struct fixture){.log.fd = -1, .log.jail_name = "test", .limits = limits};
    assert_int_equal(loop_new(&f->loop, &error), 0);
    f->log.loop = f->loop;
    f->limits.loop = f->loop;
    f->limits.log = &f->log;
}

/* Lets time pass. */
static void pass(struct fixture *f, int ms)
{
    uint64_t end = loop_now_ms(f->loop) + (uint64_t)ms;
    struct error error = {0};

    while (loop_now_ms(f->loop) < end)
        assert_int_equal(loop_round(f->loop, 1, &error), 0);
}

static void test_places(void **state)
{
    struct fixture f;

    (void)state;
    open_fixture(&f, (struct limits){.places = 2});
    assert_true(limits_take(&f.limits, "connection"));
    assert_true(limits_take(&f.limits, "connection"));
    assert_false(limits_take(&f.limits, "connection"));
    limits_give(&f.limits);
    assert_true(limits_take(&f.limits, "connection"));
    assert_false(limits_take(&f.limits, "connection"));
    loop_free(f.loop);
}

static void test_rate(void **state)
{
    struct fixture f;
    int taken = 0;

    (void)state;
    open_fixture(
        &f, (struct limits){.places = 1000, .rate_count = 100, .rate_unit_s = 1, .rate_burst = 3});
    for (int i = 0; i < 3; i++)
        assert_true(limits_take(&f.limits, "connection")); /* the loop's clock stands still */
    assert_false(limits_take(&f.limits, "connection"));
    assert_int_equal(f.limits.places, 997); /* a refusal takes none */
    pass(&f, 10);
    assert_true(limits_take(&f.limits, "connection"));
    pass(&f, 1000); /* as many as may come at once, and no more */
    while (limits_take(&f.limits, "connection"))
        taken++;
    assert_int_equal(taken, 3);
    loop_free(f.loop);
}

static void test_slow_rate(void **state)
{
    struct fixture f;

    (void)state;
    open_fixture(
        &f, (struct limits){.places = 9, .rate_count = 1, .rate_unit_s = 3600, .rate_burst = 1});
    assert_true(limits_take(&f.limits, "connection"));
    pass(&f, 20);
    assert_false(limits_take(&f.limits, "connection"));
    f.limits.credit_ms -= 3600 * 1000; /* an hour ago */
    assert_true(limits_take(&f.limits, "connection"));
    assert_false(limits_take(&f.limits, "connection"));
    loop_free(f.loop);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_places),
        cmocka_unit_test(test_rate),
        cmocka_unit_test(test_slow_rate),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
