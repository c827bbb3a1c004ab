/* The channel to init: what the supervisor accepts from it, and when. */
#include "jail/control.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

static int pair[2]; /* 0: supervisor, 1: init */

static int setup(void **state)
{
    (void)state;
    return socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair);
}

static int teardown(void **state)
{
    (void)state;
    (void)close(pair[0]);
    (void)close(pair[1]);
    return 0;
}

static int receive(enum jail_state at, struct error *error)
{
    struct control_message message;
    int fds[PACKET_FDS_MAX];

    return control_receive_report(pair[0], (int)at, false, &message, fds, error);
}

static void test_command_arrives(void **state)
{
    struct control_message message;

    (void)state;
    assert_int_equal(control_receive_command(pair[1], false, &message, NULL), -EAGAIN);
    assert_int_equal(control_send(pair[0], CONTROL_SIGNAL, 15, NULL, 0), 0);
    assert_int_equal(control_receive_command(pair[1], true, &message, NULL), 0);
    assert_int_equal(message.kind, CONTROL_SIGNAL);
    assert_int_equal(message.value, 15);
}

static void test_init_takes_no_report(void **state)
{
    struct control_message message;

    (void)state;
    assert_int_equal(control_send(pair[0], CONTROL_EMPTY, 0, NULL, 0), 0);
    assert_int_equal(control_receive_command(pair[1], true, &message, NULL), -EPROTO);
}

static void test_sockets_arrive(void **state)
{
    struct control_message message;
    struct error error = {0};
    int sent[CONTROL_FDS] = {2, 2};
    int fds[CONTROL_FDS] = {-1, -1};

    (void)state;
    assert_int_equal(control_send(pair[1], CONTROL_OPENED, 0, sent, CONTROL_FDS), 0);
    assert_int_equal(control_receive_report(pair[0], JAIL_CLONED, true, &message, fds, &error), 0);
    for (size_t i = 0; i < CONTROL_FDS; i++) {
        assert_int_equal(fcntl(fds[i], F_GETFD), FD_CLOEXEC);
        (void)close(fds[i]);
    }
}

/* Each report in a state that does not permit it. */
static void test_out_of_state(void **state)
{
    static const struct {
        enum control_kind kind;
        enum jail_state at;
    } cases[] = {
        {CONTROL_READY, JAIL_CLONED},
        {CONTROL_STARTED, JAIL_OPENED},
        {CONTROL_STATUS, JAIL_READY},
        {CONTROL_EMPTY, JAIL_READY},
        {CONTROL_STATUS, JAIL_ENDED},
        {CONTROL_EMPTY, JAIL_EMPTY},
        {CONTROL_RELEASE, JAIL_OPENED},
        {(enum control_kind)0, JAIL_OPENED},
        {(enum control_kind)99, JAIL_OPENED},
        {CONTROL_OPENED, JAIL_CLONED} /* without descriptors */,
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct error error = {0};

        assert_int_equal(control_send(pair[1], cases[i].kind, 0, NULL, 0), 0);
        assert_int_equal(receive(cases[i].at, &error), -EPROTO);
        assert_int_equal(error.code, -EPROTO);
    }
}

static int lowest_free_fd(void)
{
    int fd = dup(0);

    (void)close(fd);
    return fd;
}

/* Descriptors that come where none may are closed. */
static void test_unasked_descriptors(void **state)
{
    struct error error = {0};
    int sent[] = {0, 0};
    int before = lowest_free_fd();

    (void)state;
    assert_int_equal(control_send(pair[1], CONTROL_READY, 0, sent, 2), 0);
    assert_int_equal(receive(JAIL_OPENED, &error), -EPROTO);
    assert_int_equal(lowest_free_fd(), before);
}

static void test_wrong_size(void **state)
{
    char bytes[2000] = {CONTROL_READY};
    static const size_t sizes[] = {1, 4, 7, 9, sizeof(struct control_failure), sizeof bytes};

    (void)state;
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        struct error error = {0};

        assert_int_equal(send(pair[1], bytes, sizes[i], 0), (ssize_t)sizes[i]);
        assert_int_equal(receive(JAIL_OPENED, &error), -EPROTO);
    }
}

static void test_failure_keeps_its_words(void **state)
{
    struct error sent = {.where = {.source = 1, .line = 2, .column = 3, .length = 4}};
    struct error error = {0};

    (void)state;
    (void)error_errno(&sent, -EPERM, "cannot mount the jail's /proc");
    error_hint(&sent, "a hint");
    assert_int_equal(control_send_failure(pair[1], CONTROL_FAILED, &sent), 0);
    assert_int_equal(receive(JAIL_OPENED, &error), -EPERM);
    assert_string_equal(error.text, sent.text);
    assert_string_equal(error.hint, sent.hint);
    assert_memory_equal(&error.where, &sent.where, sizeof sent.where);
}

/* That execve() failed is a report, whose errno decides between 126 and 127; any other failure
 * before the command is none of the command's. */
static void test_refused(void **state)
{
    struct error sent = {0};
    struct error error = {0};
    struct control_message message;

    (void)state;
    (void)error_errno(&sent, -ENOENT, "cannot run 'x'");
    assert_int_equal(control_send_failure(pair[1], CONTROL_REFUSED, &sent), 0);
    assert_int_equal(control_receive_report(pair[0], JAIL_READY, true, &message, NULL, &error), 0);
    assert_int_equal(message.kind, CONTROL_REFUSED);
    assert_int_equal(message.value, -ENOENT);
    assert_string_equal(error.text, sent.text);
    assert_int_equal(control_send_failure(pair[1], CONTROL_REFUSED, &sent), 0);
    assert_int_equal(receive(JAIL_RUNNING, &error), -EPROTO);
}

/* Texts without an end, a code that is none. */
static void test_hostile_failure(void **state)
{
    struct control_failure failure;
    struct error error = {0};

    (void)state;
    memset(&failure, 'x', sizeof failure);
    failure.kind = CONTROL_FAILED;
    failure.code = 7;
    assert_int_equal(send(pair[1], &failure, sizeof failure, 0), (ssize_t)sizeof failure);
    assert_int_equal(receive(JAIL_OPENED, &error), -EPROTO);
    assert_true(strlen(error.text) < sizeof error.text);
    assert_true(strlen(error.hint) < sizeof error.hint);
}

static void test_end_of_channel(void **state)
{
    struct error error = {0};

    (void)state;
    (void)close(pair[1]);
    pair[1] = -1;
    assert_int_equal(receive(JAIL_RUNNING, &error), -EPIPE);
    assert_string_equal(error.text, "the jail's init ended unexpectedly");
    assert_int_equal(control_send(pair[0], CONTROL_SIGNAL, 1, NULL, 0), -EPIPE);
}

static void test_turns(void **state)
{
    (void)state;
    assert_int_equal(control_turn(3, 0x137f) >> 16, 3);
    assert_int_equal(control_turn(3, 0x137f) & 0xffff, 0x137f);
    assert_true(control_turn(CONTROL_TURNS - 1, 0xffff) > 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_command_arrives),
        TEST(test_init_takes_no_report),
        TEST(test_sockets_arrive),
        TEST(test_out_of_state),
        TEST(test_unasked_descriptors),
        TEST(test_wrong_size),
        TEST(test_failure_keeps_its_words),
        TEST(test_hostile_failure),
        TEST(test_refused),
        TEST(test_end_of_channel),
        TEST(test_turns),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
