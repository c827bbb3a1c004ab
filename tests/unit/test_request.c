/* The messages of the control socket: what is a request, and what is the description of a program.
 */
#include "jail/packet.h"
#include "jail/request.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

static void test_requests(void **state)
{
    struct request good = {REQUEST_MAGIC, REQUEST_NAMESPACE};
    struct request program = {REQUEST_MAGIC, REQUEST_PROGRAM};
    struct request bad_magic = {REQUEST_MAGIC + 1, REQUEST_NAMESPACE};
    struct request bad_kind = {REQUEST_MAGIC, REQUEST_KINDS};
    struct request no_kind = {REQUEST_MAGIC, 0};

    (void)state;
    assert_true(request_is_valid(&good, sizeof good, 0));
    assert_true(request_is_valid(&program, sizeof program, REQUEST_PROGRAM_FDS));
    assert_false(request_is_valid(&good, sizeof good - 1, 0));
    assert_false(request_is_valid(&good, sizeof good, 1));
    assert_false(request_is_valid(&program, sizeof program, REQUEST_PROGRAM_FDS - 1));
    assert_false(request_is_valid(&bad_magic, sizeof good, 0));
    assert_false(request_is_valid(&bad_kind, sizeof good, 0));
    assert_false(request_is_valid(&no_kind, sizeof good, 0));
}

static bool split(uint32_t argc, uint32_t envc, const char *bytes, size_t length)
{
    struct program_header header = {.magic = PROGRAM_MAGIC, .argc = argc, .envc = envc};
    char text[64];
    char *argv[8], *envp[8];

    memcpy(text, bytes, length);
    return program_split(&header, text, length, argv, envp);
}

static void test_strings(void **state)
{
    struct program_header header = {.magic = PROGRAM_MAGIC, .argc = 2, .envc = 1};
    char text[] = "ls\0\0A=b";
    char *argv[3], *envp[2];

    (void)state;
    assert_true(program_split(&header, text, sizeof text, argv, envp));
    assert_string_equal(argv[0], "ls");
    assert_string_equal(argv[1], "");
    assert_null(argv[2]);
    assert_string_equal(envp[0], "A=b");
    assert_null(envp[1]);
    assert_false(split(1, 0, "ls", 2));       /* no NUL */
    assert_false(split(2, 0, "ls\0", 3));     /* one too few */
    assert_false(split(1, 0, "ls\0x\0", 5));  /* one too many */
    assert_false(split(1, 1, "ls\0A\0", 5));  /* no value */
    assert_false(split(1, 1, "ls\0=b\0", 6)); /* no name */
    assert_false(split(1, 0, "", 0));
}

static void test_header(void **state)
{
    struct program_header good = {.magic = PROGRAM_MAGIC, .argc = 1};
    struct program_header bad = good;

    (void)state;
    assert_true(program_header_is_valid(&good));
    bad.argc = 0;
    assert_false(program_header_is_valid(&bad));
    bad = good;
    bad.argc = PROGRAM_ARGS_MAX + 1;
    assert_false(program_header_is_valid(&bad));
    bad = good;
    bad.cwd_length = sizeof bad.cwd;
    assert_false(program_header_is_valid(&bad));
    bad = good;
    bad.terminal_fds = 8;
    assert_false(program_header_is_valid(&bad));
    bad = good;
    bad.umask = 01000;
    assert_false(program_header_is_valid(&bad));
}

static int open_fds(void)
{
    int count = 0;

    for (int fd = 0; fd < 256; fd++)
        count += fcntl(fd, F_GETFD) >= 0;
    return count;
}

/* Descriptors that came with a cut message, or too many of them, are closed. */
static void test_receive(void **state)
{
    int pair[2], fds[PACKET_FDS_MAX], many[10] = {0};
    char big[64] = {0}, small[8];
    size_t count;
    int before;

    (void)state;
    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair), 0);
    before = open_fds();
    assert_int_equal(packet_receive(pair[1], small, sizeof small, false, fds, &count), -EAGAIN);
    assert_int_equal(packet_send(pair[0], big, sizeof small, many, 2, true), 0);
    assert_int_equal(packet_receive(pair[1], small, sizeof small, true, fds, &count), sizeof small);
    assert_int_equal(count, 2);
    assert_int_equal(fcntl(fds[0], F_GETFD), FD_CLOEXEC);
    (void)close(fds[0]);
    (void)close(fds[1]);
    assert_int_equal(packet_send(pair[0], big, sizeof big, many, 2, true), 0);
    assert_int_equal(packet_receive(pair[1], small, sizeof small, true, fds, &count), -EPROTO);
    assert_int_equal(open_fds(), before);
    {
        char control[CMSG_SPACE(sizeof many)] = {0};
        struct iovec part = {big, sizeof small};
        struct msghdr header = {.msg_iov = &part,
                                .msg_iovlen = 1,
                                .msg_control = control,
                                .msg_controllen = sizeof control};
        struct cmsghdr *cmsg = CMSG_FIRSTHDR(&header);

        cmsg->cmsg_level = SOL_SOCKET;
        cmsg->cmsg_type = SCM_RIGHTS;
        cmsg->cmsg_len = CMSG_LEN(sizeof many);
        memcpy(CMSG_DATA(cmsg), many, sizeof many);
        assert_int_equal(sendmsg(pair[0], &header, 0), sizeof small);
    }
    assert_int_equal(packet_receive(pair[1], small, sizeof small, true, fds, &count), -EPROTO);
    assert_int_equal(open_fds(), before);
    (void)close(pair[0]);
    assert_int_equal(packet_receive(pair[1], small, sizeof small, true, fds, &count), 0);
    assert_int_equal(packet_send(pair[1], small, sizeof small, NULL, 0, true), -EPIPE);
    (void)close(pair[1]);
}

/* What it said last is heard, also when it ended before it had read all. */
static void test_last_words(void **state)
{
    int pair[2], fds[PACKET_FDS_MAX];
    char words[8] = "words", got[8] = {0};
    size_t count;

    (void)state;
    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair), 0);
    assert_int_equal(packet_send(pair[1], "unread", 6, NULL, 0, true), 0);
    assert_int_equal(packet_send(pair[0], words, sizeof words, NULL, 0, true), 0);
    (void)close(pair[0]);
    assert_int_equal(packet_receive(pair[1], got, sizeof got, false, fds, &count), sizeof got);
    assert_string_equal(got, "words");
    assert_int_equal(packet_receive(pair[1], got, sizeof got, false, fds, &count), 0);
    (void)close(pair[1]);
}

/* More descriptors than this process may have. */
static void test_no_descriptors_left(void **state)
{
    int pair[2], fds[PACKET_FDS_MAX], two[2] = {0, 1};
    struct rlimit before, none;
    char text[8] = {0};
    size_t count;

    (void)state;
    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair), 0);
    assert_int_equal(packet_send(pair[0], text, sizeof text, two, 2, true), 0);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    none = (struct rlimit){.rlim_cur = (rlim_t)pair[1] + 1, .rlim_max = before.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
    assert_int_equal(packet_receive(pair[1], text, sizeof text, true, fds, &count), -EMFILE);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
    assert_int_equal(count, 0);
    (void)close(pair[0]);
    (void)close(pair[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_requests),   cmocka_unit_test(test_strings),
        cmocka_unit_test(test_header),     cmocka_unit_test(test_receive),
        cmocka_unit_test(test_last_words), cmocka_unit_test(test_no_descriptors_left),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
