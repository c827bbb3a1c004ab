/* The supervisor's event sources: added and removed while they are served, and by supervise(). */
#include "jail/control.h"
#include "jail/events.h"
#include "jail/jail.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

struct pipe_source {
    struct event_source source;
    struct events *events;
    int write_fd;
    int calls;
    short revents;
    struct pipe_source *removes; /* in its callback */
    struct pipe_source *adds;
};

static void pipe_ready(void *context, short revents)
{
    struct pipe_source *pipe_source = context;
    char byte;

    pipe_source->calls++;
    pipe_source->revents = revents;
    (void)!read(pipe_source->source.fd, &byte, 1);
    if (pipe_source->removes)
        events_remove(pipe_source->events, &pipe_source->removes->source);
    if (pipe_source->adds)
        assert_int_equal(events_add(pipe_source->events, &pipe_source->adds->source), 0);
}

static void pipe_open(struct pipe_source *pipe_source, struct events *events)
{
    int fds[2];

    assert_int_equal(pipe2(fds, O_CLOEXEC), 0); /* supervise() closes what its caller left it */
    *pipe_source = (struct pipe_source){
        .source = {.fd = fds[0], .events = POLLIN, .ready = pipe_ready, .context = pipe_source},
        .events = events,
        .write_fd = fds[1]};
}

static void pipe_close(struct pipe_source *pipe_source)
{
    (void)close(pipe_source->source.fd);
    (void)close(pipe_source->write_fd);
}

static void poke(const struct pipe_source *pipe_source)
{
    assert_int_equal(write(pipe_source->write_fd, "x", 1), 1);
}

static void round_once(struct events *events)
{
    (void)poll(events->polls, events_count(events), 0);
    events_dispatch(events);
}

static void test_ready_is_called(void **state)
{
    struct events events;
    struct pipe_source one, two;

    (void)state;
    events_init(&events);
    pipe_open(&one, &events);
    pipe_open(&two, &events);
    assert_int_equal(events_count(&events), EVENTS_RESERVED);
    assert_int_equal(events_add(&events, &one.source), 0);
    assert_int_equal(events_add(&events, &two.source), 0);
    round_once(&events);
    assert_int_equal(one.calls + two.calls, 0);
    poke(&two);
    round_once(&events);
    assert_int_equal(one.calls, 0);
    assert_int_equal(two.calls, 1);
    assert_int_equal(two.revents, POLLIN);
    (void)close(one.write_fd);
    one.write_fd = -1;
    round_once(&events);
    assert_int_equal(one.revents, POLLHUP);
    events_remove(&events, &two.source);
    events_remove(&events, &one.source);
    events_remove(&events, &one.source); /* not watched any more: nothing */
    assert_int_equal(events_count(&events), EVENTS_RESERVED);
    pipe_close(&one);
    pipe_close(&two);
}

/* Both are ready in one round; the first one's callback removes the second. */
static void test_removed_in_the_round(void **state)
{
    struct events events;
    struct pipe_source one, two;

    (void)state;
    events_init(&events);
    pipe_open(&one, &events);
    pipe_open(&two, &events);
    one.removes = &two;
    assert_int_equal(events_add(&events, &one.source), 0);
    assert_int_equal(events_add(&events, &two.source), 0);
    poke(&one);
    poke(&two);
    round_once(&events);
    assert_int_equal(one.calls, 1);
    assert_int_equal(two.calls, 0);
    pipe_close(&one);
    pipe_close(&two);
}

/* A new source in the place of one that was ready does not inherit what poll() said of the old. */
static void test_replaced_in_the_round(void **state)
{
    struct events events;
    struct pipe_source one, two, three;

    (void)state;
    events_init(&events);
    pipe_open(&one, &events);
    pipe_open(&two, &events);
    pipe_open(&three, &events);
    one.removes = &two;
    one.adds = &three;
    assert_int_equal(events_add(&events, &one.source), 0);
    assert_int_equal(events_add(&events, &two.source), 0);
    poke(&one);
    poke(&two);
    round_once(&events);
    assert_int_equal(two.calls + three.calls, 0);
    one.removes = one.adds = NULL;
    poke(&three);
    round_once(&events);
    assert_int_equal(three.calls, 1);
    pipe_close(&one);
    pipe_close(&two);
    pipe_close(&three);
}

static void test_full(void **state)
{
    struct events events;
    struct event_source sources[EVENTS_MAX + 1];

    (void)state;
    events_init(&events);
    for (size_t i = 0; i < EVENTS_MAX; i++) {
        sources[i] = (struct event_source){.fd = -1};
        assert_int_equal(events_add(&events, &sources[i]), 0);
    }
    assert_int_equal(events_add(&events, &sources[EVENTS_MAX]), -ENOSPC);
    events_remove(&events, &sources[3]);
    assert_int_equal(events_add(&events, &sources[EVENTS_MAX]), 0);
}

/* Acts as init: reports the command's end when its source is served by supervise(). */
struct stand_in {
    int init_fd;
    struct events *events;
    struct pipe_source *added; /* by the first callback, while supervise() runs */
    struct event_source source;
    int calls;
};

static void stand_in_ready(void *context, short revents)
{
    struct stand_in *stand_in = context;

    (void)revents;
    stand_in->calls++;
    events_remove(stand_in->events, &stand_in->source);
    assert_int_equal(events_add(stand_in->events, &stand_in->added->source), 0);
    poke(stand_in->added);
    assert_int_equal(
        control_send(stand_in->init_fd, CONTROL_STATUS, control_turn(0, 7 << 8), NULL, 0), 0);
    assert_int_equal(control_send(stand_in->init_fd, CONTROL_EMPTY, 0, NULL, 0), 0);
}

/* supervise(), which wants all signals blocked and lets stdin and stdout go, without harm to the
 * test. */
static int supervise_apart(const struct supervision *supervision, int *ret_status,
                           struct error *error)
{
    sigset_t all, before;
    int in = fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 3);
    int out = fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 3);

    (void)sigfillset(&all);
    (void)sigprocmask(SIG_BLOCK, &all, &before);
    (void)fflush(stdout);
    int result = supervise(supervision, ret_status, error);
    assert_true(dup2(in, STDIN_FILENO) == STDIN_FILENO &&
                dup2(out, STDOUT_FILENO) == STDOUT_FILENO);
    (void)sigprocmask(SIG_SETMASK, &before, NULL);
    (void)close(in);
    (void)close(out);
    return result;
}

static void test_supervise_serves(void **state)
{
    struct events events;
    struct pipe_source first, added;
    struct stand_in stand_in;
    struct jail jail = {.init_pidfd = -1, .signal_fd = -1, .state = JAIL_RUNNING};
    struct supervision supervision = {.jail = &jail, .events = &events};
    struct error error = {0};
    int pair[2], status = 0;

    (void)state;
    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
    jail.control_fd = pair[0];
    events_init(&events);
    pipe_open(&first, &events);
    pipe_open(&added, &events);
    stand_in = (struct stand_in){.init_fd = pair[1], .events = &events, .added = &added};
    stand_in.source = (struct event_source){
        .fd = first.source.fd, .events = POLLIN, .ready = stand_in_ready, .context = &stand_in};
    assert_int_equal(events_add(&events, &stand_in.source), 0);
    poke(&first);
    assert_int_equal(supervise_apart(&supervision, &status, &error), 0);
    assert_int_equal(status, 7 << 8);
    assert_int_equal(stand_in.calls, 1);
    assert_int_equal(added.calls, 1);
    pipe_close(&first);
    pipe_close(&added);
    (void)close(pair[0]);
    (void)close(pair[1]);
    (void)close(jail.signal_fd);
}

/* What supervise() makes of one report that is there when it begins. */
static int supervise_one(enum control_kind kind, int value, int *ret_status, struct error *error)
{
    struct jail jail = {.init_pidfd = -1, .signal_fd = -1, .state = JAIL_RUNNING};
    struct supervision supervision = {.jail = &jail};
    int pair[2];

    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
    jail.control_fd = pair[0];
    assert_int_equal(control_send(pair[1], kind, value, NULL, 0), 0);
    (void)close(pair[1]);
    int result = supervise_apart(&supervision, ret_status, error);
    (void)close(pair[0]);
    return result;
}

static void test_end_and_status_at_once(void **state)
{
    struct error error = {0};
    int status = 0;

    (void)state;
    assert_int_equal(supervise_one(CONTROL_EMPTY, control_turn(0, 7 << 8), &status, &error), 0);
    assert_int_equal(status, 7 << 8);
}

static void test_end_without_status(void **state)
{
    struct error error = {0};
    int status = 99;

    (void)state;
    assert_int_equal(supervise_one(CONTROL_EMPTY, control_turn(0, 0xffff), &status, &error),
                     -EPROTO); /* "continued", which is no end */
    assert_int_equal(status, 99);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ready_is_called),       cmocka_unit_test(test_removed_in_the_round),
        cmocka_unit_test(test_replaced_in_the_round), cmocka_unit_test(test_full),
        cmocka_unit_test(test_supervise_serves),      cmocka_unit_test(test_end_and_status_at_once),
        cmocka_unit_test(test_end_without_status),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
