/* The way of addresses to the supervisor: this program is the supervisor. */
#include "service/resolver_pins.h"

#include "base/cleanup.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>

#include <cmocka.h>

#define UNDER_WAY 4

struct fixture {
    struct loop *loop;
    struct pins *pins;
    int fd; /* the supervisor's end */
    struct error error;
};

struct outcome {
    int count;
    int code;
};

static const uint32_t sets[] = {3, 7};

static void done(void *context, int code)
{
    struct outcome *outcome = context;

    outcome->count++;
    outcome->code = code;
}

static void open_fixture(struct fixture *f)
{
    int fds[2];

    *f = (struct fixture){0};
    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK, 0, fds), 0);
    f->fd = fds[1];
    assert_int_equal(loop_new(&f->loop, &f->error), 0);
    f->pins = pins_new(f->loop, fds[0]);
    assert_non_null(f->pins);
}

static void close_fixture(struct fixture *f)
{
    pins_free(f->pins);
    loop_free(f->loop);
    close(f->fd);
}

static void turn(struct fixture *f)
{
    assert_int_equal(loop_round(f->loop, 0, &f->error), 0);
}

static bool take(struct fixture *f, struct report_pins *ret_report)
{
    return recv(f->fd, ret_report, sizeof *ret_report, MSG_DONTWAIT) == sizeof *ret_report;
}

static void notice(struct fixture *f, uint32_t number, int code)
{
    const struct notice_pinned notice = {.kind = NOTICE_PINNED, .number = number, .code = code};

    pins_noticed(f->pins, &notice);
}

static void number_addrs(struct addr *addrs, size_t count)
{
    for (size_t i = 0; i < count; i++)
        addrs[i] = (struct addr){ADDR_V4, {198, 51, (uint8_t)(i >> 8), (uint8_t)i}};
}

/* Done when each set has each address, and not before. */
static void test_done_when_all_are_in(void **state)
{
    struct pins_request request = {0};
    struct outcome outcome = {0};
    struct report_pins reports[4];
    struct addr addrs[PINS_PER_REPORT + 1];
    struct fixture f;

    (void)state;
    open_fixture(&f);
    number_addrs(addrs, ARRAY_LENGTH(addrs));
    assert_int_equal(
        pins_ask(f.pins, &request, sets, 2, addrs, ARRAY_LENGTH(addrs), 30, done, &outcome), 0);
    turn(&f);
    for (size_t i = 0; i < 4; i++) {
        assert_true(take(&f, &reports[i]));
        assert_int_equal(reports[i].kind, REPORT_PINS);
        assert_int_equal(reports[i].set, sets[i / 2]);
        assert_int_equal(reports[i].seconds, 30);
        assert_int_equal(reports[i].count, i % 2 ? 1 : PINS_PER_REPORT);
        assert_memory_equal(reports[i].addrs, addrs + (i % 2 ? PINS_PER_REPORT : 0),
                            reports[i].count * sizeof addrs[0]);
    }
    notice(&f, reports[2].number, 0);
    notice(&f, reports[2].number, 0);     /* twice counts once */
    notice(&f, reports[3].number + 1, 0); /* nothing that was asked */
    notice(&f, reports[0].number, 0);
    notice(&f, reports[1].number, 0);
    assert_int_equal(outcome.count, 0);
    notice(&f, reports[3].number, 0);
    assert_int_equal(outcome.count, 1);
    assert_int_equal(outcome.code, 0);
    close_fixture(&f);
}

static void test_one_failure_is_the_whole_ones(void **state)
{
    struct pins_request request = {0};
    struct outcome outcome = {0};
    struct report_pins first, second;
    struct addr addr;
    struct fixture f;

    (void)state;
    open_fixture(&f);
    number_addrs(&addr, 1);
    assert_int_equal(pins_ask(f.pins, &request, sets, 2, &addr, 1, 30, done, &outcome), 0);
    turn(&f);
    assert_true(take(&f, &first));
    assert_true(take(&f, &second));
    notice(&f, first.number, -ENOSPC);
    assert_int_equal(outcome.count, 0); /* the second may still come in: nobody asks in between */
    notice(&f, second.number, 0);
    assert_int_equal(outcome.count, 1);
    assert_int_equal(outcome.code, -ENOSPC);
    close_fixture(&f);
}

/* A few at a time without an answer; the others in their order. */
static void test_few_are_under_way(void **state)
{
    struct pins_request requests[8] = {0};
    struct outcome outcomes[8] = {0};
    struct addr addr;
    struct fixture f;

    (void)state;
    open_fixture(&f);
    number_addrs(&addr, 1);
    for (size_t i = 0; i < ARRAY_LENGTH(requests); i++)
        assert_int_equal(pins_ask(f.pins, &requests[i], sets, 1, &addr, 1, 30, done, &outcomes[i]),
                         0);
    for (size_t i = 0; i < ARRAY_LENGTH(requests); i += UNDER_WAY) {
        struct report_pins reports[UNDER_WAY], too_many;

        turn(&f);
        for (size_t k = 0; k < UNDER_WAY; k++)
            assert_true(take(&f, &reports[k]));
        assert_false(take(&f, &too_many));
        for (size_t k = 0; k < UNDER_WAY; k++) {
            assert_int_equal(outcomes[i + k].count, 0);
            notice(&f, reports[k].number, 0);
            assert_int_equal(outcomes[i + k].count, 1);
        }
    }
    close_fixture(&f);
}

static void test_cancelled_is_not_told(void **state)
{
    struct pins_request request = {0};
    struct pins_request other = {0};
    struct outcome outcome = {0};
    struct outcome other_outcome = {0};
    struct report_pins report;
    struct addr addr;
    struct fixture f;

    (void)state;
    open_fixture(&f);
    number_addrs(&addr, 1);
    assert_int_equal(pins_ask(f.pins, &request, sets, 1, &addr, 1, 30, done, &outcome), 0);
    assert_int_equal(pins_ask(f.pins, &other, sets, 1, &addr, 1, 30, done, &other_outcome), 0);
    turn(&f);
    pins_cancel(f.pins, &request);
    pins_cancel(f.pins, &request);
    while (take(&f, &report))
        notice(&f, report.number, 0);
    assert_int_equal(outcome.count, 0);
    assert_int_equal(other_outcome.count, 1);
    close_fixture(&f);
}

/* A supervisor that does not answer: there is an end to what waits. */
static void test_what_waits_is_bounded(void **state)
{
    struct pins_request request = {0};
    struct pins_request one_more = {0};
    struct outcome outcome = {0};
    static struct addr addrs[PINS_PER_REPORT * PIN_REPORTS_MAX];
    struct fixture f;

    (void)state;
    open_fixture(&f);
    number_addrs(addrs, ARRAY_LENGTH(addrs));
    assert_int_equal(
        pins_ask(f.pins, &request, sets, 1, addrs, ARRAY_LENGTH(addrs), 30, done, &outcome), 0);
    assert_int_equal(pins_ask(f.pins, &one_more, sets, 1, addrs, 1, 30, done, &outcome), -ENOBUFS);
    assert_int_equal(one_more.left, 0);
    pins_cancel(f.pins, &request);
    assert_int_equal(outcome.count, 0);
    close_fixture(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_done_when_all_are_in),
        cmocka_unit_test(test_one_failure_is_the_whole_ones),
        cmocka_unit_test(test_few_are_under_way),
        cmocka_unit_test(test_cancelled_is_not_told),
        cmocka_unit_test(test_what_waits_is_bounded),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
