/* The command's environment and descriptors, and who it runs as. */
#include "base/buf.h"
#include "jail/jail.h"
#include "jail/spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static const struct jail_setup empty_setup = {.name = "web", .policy_text = "web.conf"};

static void test_environment(void **state)
{
    struct error error = {0};
    char pid[16];

    (void)state;
    (void)snprintf(pid, sizeof pid, "%d", (int)getpid());
    (void)setenv("LISTEN_PID", "4711", 1);
    (void)setenv("LISTEN_PIDFDID", "12", 1);
    (void)setenv("WATCHDOG_PID", "4712", 1);
    assert_int_equal(environment_name(&empty_setup, &error), 0);
    assert_int_equal(environment_pids(4711, &error), 0);
    assert_string_equal(getenv("NETJAIL_NAME"), "web");
    assert_string_equal(getenv("NETJAIL_POLICY"), "web.conf");
    assert_string_equal(getenv("LISTEN_PID"), pid);
    assert_null(getenv("LISTEN_PIDFDID"));
    assert_string_equal(getenv("WATCHDOG_PID"), "4712"); /* it named somebody else */
    (void)unsetenv("LISTEN_PID");
    (void)unsetenv("WATCHDOG_PID");
    assert_int_equal(environment_pids(4711, &error), 0);
    assert_null(getenv("LISTEN_PID"));
}

/* What a child of the caller would have inherited at these numbers. */
struct inherited {
    int plain, pipe_end, null, directory, socket, event, proc, own;
};

static struct inherited inherit(void)
{
    struct inherited all;
    int ends[2];

    all.plain = open("/etc/passwd", O_RDONLY);
    assert_int_equal(pipe(ends), 0);
    all.pipe_end = ends[0];
    all.null = open("/dev/null", O_RDWR);
    all.directory = open("/", O_RDONLY | O_DIRECTORY);
    all.socket = socket(AF_UNIX, SOCK_STREAM, 0);
    all.event = eventfd(0, 0);
    all.proc = open("/proc/self/ns/net", O_RDONLY);
    all.own = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(all.own > 0);
    return all;
}

static bool is_open(int fd)
{
    return fcntl(fd, F_GETFD) >= 0;
}

/* In a child, so that the test's own descriptors stay: each bit of the status is one wrong thing.
 */
static int close_in_child(const struct inherited *all, const int *keep, size_t keep_count)
{
    int status;
    pid_t pid = fork();

    if (pid == 0) {
        struct jail_setup setup = {.keep_fds = keep, .keep_fds_count = keep_count};
        struct error error = {0};
        bool kept_socket = keep_count > 0;

        if (descriptors_close(&setup, 4711, &error) < 0)
            _exit(255);
        _exit((is_open(all->plain) && is_open(all->pipe_end) && is_open(all->null) ? 0 : 1) |
              (is_open(all->directory) ? 2 : 0) | (is_open(all->socket) == kept_socket ? 0 : 4) |
              (is_open(all->event) ? 8 : 0) | (is_open(all->proc) ? 16 : 0) |
              (is_open(all->own) ? 0 : 32)); /* exec() closes it */
    }
    (void)waitpid(pid, &status, 0);
    return status;
}

static void test_descriptors(void **state)
{
    struct inherited all = inherit();
    cleanup_buf struct buf text = {0};
    struct error error = {0};
    char want[32];

    (void)state;
    assert_int_equal(close_in_child(&all, NULL, 0), 0);
    assert_int_equal(close_in_child(&all, &all.socket, 1), 0);
    assert_int_equal(spawn_list_closed(NULL, 0, &text, &error), 0);
    (void)snprintf(want, sizeof want, "%d (directory), %d (socket)", all.directory, all.socket);
    assert_non_null(strstr(buf_text(&text), want));
    assert_true(is_open(all.directory)); /* listing closes nothing */
}

/* The master of a terminal types for those who read from it; the terminal itself is harmless. */
static void test_terminal_master_goes(void **state)
{
    int master = posix_openpt(O_RDWR | O_NOCTTY);
    cleanup_buf struct buf text = {0};
    struct error error = {0};
    char want[32], other[32];
    int terminal;

    (void)state;
    assert_true(master >= 0 && grantpt(master) == 0 && unlockpt(master) == 0);
    terminal = open(ptsname(master), O_RDWR | O_NOCTTY);
    assert_true(terminal >= 0);
    assert_int_equal(spawn_list_closed(NULL, 0, &text, &error), 0);
    (void)snprintf(want, sizeof want, "%d (device)", master);
    (void)snprintf(other, sizeof other, "%d (device)", terminal);
    assert_non_null(strstr(buf_text(&text), want));
    assert_null(strstr(buf_text(&text), other));
    (void)close(master);
    (void)close(terminal);
}

static void test_kept_must_be_open(void **state)
{
    static const int keep[] = {1000};
    struct jail_setup setup = {.keep_fds = keep, .keep_fds_count = 1};
    struct error error = {0};

    (void)state;
    assert_int_equal(descriptors_close(&setup, 1, &error), -EBADF);
}

static void test_listen_fds_stay(void **state)
{
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    cleanup_buf struct buf text = {0};
    cleanup_buf struct buf other = {0};
    struct error error = {0};
    char number[16], entry[32];

    (void)state;
    (void)snprintf(number, sizeof number, "%d", (int)getpid());
    (void)snprintf(entry, sizeof entry, "%d (socket)", fd);
    (void)setenv("LISTEN_PID", number, 1);
    (void)snprintf(number, sizeof number, "%d", fd - 2); /* 3..fd */
    (void)setenv("LISTEN_FDS", number, 1);
    assert_int_equal(spawn_list_closed(NULL, 0, &text, &error), 0);
    assert_null(strstr(buf_text(&text), entry));
    (void)setenv("LISTEN_PID", "1", 1); /* not ours */
    assert_int_equal(spawn_list_closed(NULL, 0, &other, &error), 0);
    assert_non_null(strstr(buf_text(&other), entry));
    (void)unsetenv("LISTEN_PID");
    (void)unsetenv("LISTEN_FDS");
    (void)close(fd);
}

static void test_identity_unknown(void **state)
{
    static const char *const users[] = {"no-such-user", "12x", "-1", "4294967295", "", " 0"};

    (void)state;
    for (size_t i = 0; i < sizeof users / sizeof users[0]; i++) {
        struct policy policy = {.user = users[i], .user_where = {.source = 1, .line = 9}};
        struct identity identity = {0};
        struct error error = {0};

        assert_int_equal(identity_resolve(&policy, true, &identity, &error), -ENOENT);
        assert_int_equal(error.where.line, 9);
        policy.group = "0"; /* a group given does not make up for it */
        assert_int_equal(identity_resolve(&policy, true, &identity, &error), -ENOENT);
    }
}

static void test_identity_numbers(void **state)
{
    struct policy policy = {.user = "54321", .group = "54322"};
    struct identity identity = {0};
    struct error error = {0};

    (void)state;
    assert_int_equal(identity_resolve(&policy, true, &identity, &error), 0);
    assert_int_equal(identity.uid, 54321);
    assert_int_equal(identity.gid, 54322);
    assert_int_equal(identity.groups_count, 1);
    assert_int_equal(identity.groups[0], 54322);
    assert_false(identity.keep);
    free(identity.groups);
    policy.group = NULL; /* without an entry there is no group */
    assert_int_equal(identity_resolve(&policy, true, &identity, &error), -ENOENT);
}

static void test_identity_without_privilege(void **state)
{
    struct policy policy = {.user = "54321", .group = "54322"};
    struct identity identity = {0};
    struct error error = {0};

    (void)state;
    assert_int_equal(identity_resolve(&policy, false, &identity, &error), -EPERM);
    policy.user = NULL;
    assert_int_equal(identity_resolve(&policy, false, &identity, &error), 0);
    assert_true(identity.keep);
}

static void test_identity_sudo(void **state)
{
    static const struct policy policy = {0};
    struct identity identity = {0};
    struct error error = {0};

    (void)state;
    if (geteuid() != 0)
        skip();
    (void)setenv("SUDO_UID", "54321", 1);
    (void)setenv("SUDO_GID", "54322", 1);
    assert_int_equal(identity_resolve(&policy, true, &identity, &error), 0);
    assert_int_equal(identity.uid, 54321);
    free(identity.groups);
    (void)setenv("SUDO_UID", "0", 1); /* root by sudo from root */
    assert_int_equal(identity_resolve(&policy, true, &identity, &error), 0);
    assert_true(identity.keep);
    (void)unsetenv("SUDO_UID");
    (void)unsetenv("SUDO_GID");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_environment),       cmocka_unit_test(test_descriptors),
        cmocka_unit_test(test_kept_must_be_open), cmocka_unit_test(test_terminal_master_goes),
        cmocka_unit_test(test_listen_fds_stay),   cmocka_unit_test(test_identity_unknown),
        cmocka_unit_test(test_identity_numbers),  cmocka_unit_test(test_identity_without_privilege),
        cmocka_unit_test(test_identity_sudo),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
