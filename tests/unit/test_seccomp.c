/* The seccomp filters, loaded into children: what socket() makes by policy, what is refused with
 * which errno, arguments with garbage in the upper half, 32-bit entry points. */
#include "jail/seccomp.h"
#include "policy/policy.h"

#include <errno.h>
#include <linux/netlink.h>
#include <linux/vhost.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define HIGH       0x100000000L /* the kernel does not look at it */
#define IPPROTO_MP 262

struct call {
    const char *what;
    long number;
    long args[5];
    int want; /* 0: allowed, else the errno */
};

static int call_fails(const struct call *call)
{
    errno = 0;
    long result = syscall(call->number, call->args[0], call->args[1], call->args[2], call->args[3],
                          call->args[4]);
    return result < 0 ? errno : 0;
}

/* Runs the calls in a child under the policy's filters; the exit status is the number (from 1) of
 * the first that went otherwise. */
static void check_calls(const struct policy *policy, const struct call *calls, size_t count)
{
    pid_t pid = fork();
    int status;

    assert_true(pid >= 0);
    if (pid == 0) {
        struct error error = {0};

        if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 || seccomp_load(policy, &error) < 0)
            _exit(255);
        for (size_t i = 0; i < count; i++) {
            if (call_fails(&calls[i]) != calls[i].want)
                _exit((int)i + 1);
        }
        _exit(0);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    if (WEXITSTATUS(status) != 0)
        fail_msg("%s", WEXITSTATUS(status) == 255 ? "the filter was not loaded"
                                                  : calls[WEXITSTATUS(status) - 1].what);
}

#define SOCKET(family, type, protocol, want)                                                       \
    {                                                                                              \
        "socket(" #family ", " #type ", " #protocol ")", SYS_socket, {family, type, protocol},     \
            want                                                                                   \
    }

static void test_sockets(void **state)
{
    static const struct policy policy = {.families = FAMILY_ALL};
    static const struct call calls[] = {
        SOCKET(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0, 0),
        SOCKET(AF_INET6, SOCK_DGRAM | SOCK_NONBLOCK, 17, 0),
        SOCKET(AF_UNIX, SOCK_SEQPACKET, 0, 0),
        SOCKET(AF_NETLINK, SOCK_RAW, NETLINK_ROUTE, 0),
        SOCKET(AF_NETLINK, SOCK_RAW, NETLINK_NETFILTER, EPROTONOSUPPORT),
        SOCKET(AF_NETLINK, SOCK_RAW, NETLINK_SOCK_DIAG, EPROTONOSUPPORT),
        SOCKET(AF_INET, SOCK_RAW, 1, EPERM),
        SOCKET(AF_INET6, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, 58, EPERM),
        SOCKET(AF_INET, SOCK_RAW | HIGH, 1, EPERM),
        SOCKET(AF_INET, SOCK_DCCP, 0, EPERM),
        SOCKET(AF_INET6, SOCK_DCCP | SOCK_CLOEXEC, 0, EPERM),
        SOCKET(AF_INET, 10, 3, EPERM), /* SOCK_PACKET */
        SOCKET(AF_INET | HIGH, SOCK_STREAM, 0, EAFNOSUPPORT),
        SOCKET(AF_INET, SOCK_STREAM, IPPROTO_MP, EPROTONOSUPPORT),
        SOCKET(AF_INET, SOCK_DGRAM, 136, EPROTONOSUPPORT),
        SOCKET(AF_INET6, SOCK_DGRAM, 115, EPROTONOSUPPORT),
        SOCKET(AF_INET, SOCK_STREAM, 6 | HIGH, EPROTONOSUPPORT),
        SOCKET(AF_PACKET, SOCK_RAW, 0, EAFNOSUPPORT),
        SOCKET(AF_VSOCK, SOCK_STREAM, 0, EAFNOSUPPORT),
        SOCKET(AF_ALG, SOCK_SEQPACKET, 0, EAFNOSUPPORT),
        SOCKET(AF_UNSPEC, SOCK_STREAM, 0, EAFNOSUPPORT),
        SOCKET(15, SOCK_RAW, 2, EAFNOSUPPORT), /* AF_KEY */
        SOCKET(44, SOCK_RAW, 0, EAFNOSUPPORT), /* AF_XDP */
        SOCKET(-1, SOCK_RAW, 0, EAFNOSUPPORT),
    };

    (void)state;
    check_calls(&policy, calls, sizeof calls / sizeof calls[0]);
}

/* Each of the 16 sets of families makes just its sockets. */
static void test_families(void **state)
{
    static const struct {
        unsigned flag;
        int family;
    } known[] = {{FAMILY_INET, AF_INET},
                 {FAMILY_INET6, AF_INET6},
                 {FAMILY_UNIX, AF_UNIX},
                 {FAMILY_NETLINK, AF_NETLINK}};

    (void)state;
    for (unsigned i = 0; i <= FAMILY_ALL * 2 + 1; i++) {
        struct policy policy = {.families = i & FAMILY_ALL, .namespaces_allow = i > FAMILY_ALL};
        struct call calls[4] = {0};

        for (size_t k = 0; k < 4; k++)
            calls[k] = (struct call){"socket() of a family",
                                     SYS_socket,
                                     {known[k].family, SOCK_DGRAM, 0},
                                     policy.families & known[k].flag ? 0 : EAFNOSUPPORT};
        check_calls(&policy, calls, 4);
    }
}

static void test_unix_sockets_none(void **state)
{
    static const struct policy policy = {.families = FAMILY_ALL, .unix_sockets = UNIX_SOCKETS_NONE};
    static const struct call calls[] = {SOCKET(AF_UNIX, SOCK_STREAM, 0, EAFNOSUPPORT),
                                        SOCKET(AF_INET, SOCK_STREAM, 0, 0)};

    (void)state;
    check_calls(&policy, calls, 2);
}

static void test_side_doors(void **state)
{
    static const struct policy policy = {.families = FAMILY_ALL};
    static const struct call calls[] = {
        {"io_uring_setup", SYS_io_uring_setup, {1}, ENOSYS},
        {"clone3", SYS_clone3, {0}, ENOSYS},
        {"unshare user", SYS_unshare, {CLONE_NEWUSER}, EPERM},
        {"unshare net", SYS_unshare, {CLONE_NEWNET | CLONE_FILES}, EPERM},
        {"unshare time", SYS_unshare, {0x80}, EPERM},
        {"unshare user, high", SYS_unshare, {CLONE_NEWUSER | HIGH}, EPERM},
        {"unshare files", SYS_unshare, {CLONE_FILES}, 0},
        {"clone user", SYS_clone, {CLONE_NEWUSER | SIGCHLD}, EPERM},
        {"setns", SYS_setns, {-1, 0}, EPERM},
        {"mount", SYS_mount, {0}, EPERM},
        {"fsopen", SYS_fsopen, {0}, EPERM},
        {"move_mount", SYS_move_mount, {0}, EPERM},
        {"open_tree", SYS_open_tree, {0}, EPERM},
        {"mount_setattr", SYS_mount_setattr, {0}, EPERM},
        {"open_by_handle_at", SYS_open_by_handle_at, {0}, EPERM},
        {"keyctl", SYS_keyctl, {0}, EPERM},
        {"bpf", SYS_bpf, {0}, EPERM},
        {"perf_event_open", SYS_perf_event_open, {0}, EPERM},
        {"userfaultfd", SYS_userfaultfd, {0}, EPERM},
        {"process_vm_readv", SYS_process_vm_readv, {1}, EPERM},
        {"pidfd_getfd", SYS_pidfd_getfd, {-1}, EPERM},
        {"TIOCSTI", SYS_ioctl, {-1, TIOCSTI}, EPERM},
        {"TIOCSTI, high", SYS_ioctl, {-1, TIOCSTI | HIGH}, EPERM},
        {"TIOCLINUX", SYS_ioctl, {-1, TIOCLINUX}, EPERM},
        {"VHOST_SET_OWNER", SYS_ioctl, {-1, VHOST_SET_OWNER}, EPERM},
        {"VHOST_SET_OWNER, high", SYS_ioctl, {-1, VHOST_SET_OWNER | HIGH}, EPERM},
        {"other ioctl", SYS_ioctl, {-1, TIOCGWINSZ}, EBADF},
        {"socketpair vsock", SYS_socketpair, {AF_VSOCK, SOCK_STREAM, 0, 0}, EAFNOSUPPORT},
        {"socketpair unix", SYS_socketpair, {AF_UNIX, SOCK_STREAM, 0, 0}, EFAULT},
        {"ptrace", SYS_ptrace, {-1, 0}, ESRCH},
    };

    (void)state;
    check_calls(&policy, calls, sizeof calls / sizeof calls[0]);
}

static void test_namespaces_allow(void **state)
{
    static const struct policy policy = {.families = FAMILY_ALL, .namespaces_allow = true};
    static const struct call calls[] = {
        SOCKET(AF_NETLINK, SOCK_RAW, NETLINK_NETFILTER, 0),
        SOCKET(AF_NETLINK, SOCK_RAW, NETLINK_XFRM, EPROTONOSUPPORT),
        {"setns", SYS_setns, {-1, 0}, EBADF},
        {"unshare files", SYS_unshare, {CLONE_FILES}, 0},
        {"keyctl", SYS_keyctl, {0}, EPERM},
        {"clone3", SYS_clone3, {0}, ENOSYS},
    };

    (void)state;
    check_calls(&policy, calls, sizeof calls / sizeof calls[0]);
}

static void test_processes_shared(void **state)
{
    static const struct policy policy = {.families = FAMILY_ALL, .processes_shared = true};
    static const struct call calls[] = {
        {"ptrace", SYS_ptrace, {-1, 0}, EPERM},
        {"prlimit of another", SYS_prlimit64, {1, 0}, EPERM},
        {"prlimit of oneself", SYS_prlimit64, {0, 0}, 0},
    };

    (void)state;
    check_calls(&policy, calls, sizeof calls / sizeof calls[0]);
}

#if defined(__x86_64__)
static long call_i386(long number, long a, long b, long c)
{
    long result;

    __asm__ volatile("int $0x80"
                     : "=a"(result)
                     : "a"(number), "b"(a), "c"(b), "d"(c)
                     : "memory", "r8", "r9", "r10", "r11");
    return (int)result;
}

/* i386 numbers: 21 mount, 54 ioctl, 102 socketcall, 310 unshare, 359 socket, 425 io_uring_setup. */
static void test_i386(void **state)
{
    static const struct {
        const char *what;
        long args[4];
        long want;
    } calls[] = {
        {"packet", {359, AF_PACKET, SOCK_RAW, 0}, -EAFNOSUPPORT},
        {"raw", {359, AF_INET, SOCK_RAW, 1}, -EPERM},
        {"nft", {359, AF_NETLINK, SOCK_RAW, NETLINK_NETFILTER}, -EPROTONOSUPPORT},
        {"socketcall socket", {102, 1, 0, 0}, -EAFNOSUPPORT},
        {"TIOCSTI", {54, 0, TIOCSTI, 0}, -EPERM},
        {"VHOST_SET_OWNER", {54, 0, VHOST_SET_OWNER, 0}, -EPERM},
        {"unshare", {310, CLONE_NEWUSER, 0, 0}, -EPERM},
        {"mount", {21, 0, 0, 0}, -EPERM},
        {"io_uring", {425, 0, 0, 0}, -ENOSYS},
    };
    static const struct policy policy = {.families = FAMILY_ALL};
    int status;
    pid_t pid = fork();

    (void)state;
    if (pid == 0) {
        struct error error = {0};

        (void)signal(SIGSEGV, SIG_DFL); /* cmocka's handler would make a failure of it */
        if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 || seccomp_load(&policy, &error) < 0)
            _exit(255);
        for (size_t i = 0; i < sizeof calls / sizeof calls[0]; i++) {
            const long *a = calls[i].args;

            if (call_i386(a[0], a[1], a[2], a[3]) != calls[i].want)
                _exit((int)i + 1);
        }
        _exit(0);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    if (WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV)
        skip(); /* a kernel without 32-bit emulation */
    assert_true(WIFEXITED(status));
    if (WEXITSTATUS(status) != 0)
        fail_msg("i386: %s", WEXITSTATUS(status) == 255 ? "the filter was not loaded"
                                                        : calls[WEXITSTATUS(status) - 1].what);
}

/* An x32 call ends the process. */
static void test_x32(void **state)
{
    static const struct policy policy = {.families = FAMILY_ALL};
    int status;
    pid_t pid = fork();

    (void)state;
    if (pid == 0) {
        struct error error = {0};

        if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 || seccomp_load(&policy, &error) < 0)
            _exit(255);
        (void)syscall(0x40000000L | SYS_socket, AF_PACKET, SOCK_RAW, 0);
        _exit(0);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFSIGNALED(status));
    assert_int_equal(WTERMSIG(status), SIGSYS);
}
#endif

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sockets),
        cmocka_unit_test(test_families),
        cmocka_unit_test(test_unix_sockets_none),
        cmocka_unit_test(test_side_doors),
        cmocka_unit_test(test_namespaces_allow),
        cmocka_unit_test(test_processes_shared),
#if defined(__x86_64__)
        cmocka_unit_test(test_i386),
        cmocka_unit_test(test_x32),
#endif
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
