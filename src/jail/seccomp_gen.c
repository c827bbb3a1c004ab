/* Makes the seccomp filters at build time and prints them as a C header.
 *
 * Two parts: a common filter (by `namespaces` and `processes`) and one for socket() by the families
 * that the policy allows. The kernel takes the strictest verdict of all filters; once loaded, two
 * cost no more than one, but each is compiled and tried on every call when it is loaded. So where
 * all families are allowed, which is the default, both parts are one filter. Another filter is for
 * netjail-service.
 *
 * Every entry point of the machine is covered: on x86-64 the native, the 32-bit and the x32 one;
 * another architecture's calls end the process. Arguments that the kernel reads as 32 bits are
 * compared as such: either with a mask, or so that garbage in the upper half is refused.
 * socketcall(2) passes its arguments by pointer, which no filter can look at: its socket() is
 * refused, and 32-bit programs of a C library older than Linux 4.3 have none.
 *
 * What must not happen: a rule that libseccomp silently leaves out on some architecture. Every add
 * is checked, and the build fails with it. */
#include <errno.h>
#include <linux/filter.h>
#include <linux/ioprio.h>
#include <linux/net.h>
#include <linux/netlink.h>
#include <linux/uinput.h>
#include <linux/userfaultfd.h>
#include <linux/vhost.h>
#include <sched.h>
#include <seccomp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "policy/policy.h"

#define LOW_32_BITS 0xffffffffu
#define TYPE_MASK   0xfu /* SOCK_TYPE_MASK of the kernel (linux/net.h) */

static const uint32_t arches[] = {
    SCMP_ARCH_NATIVE,
#if defined(__x86_64__) && !defined(__ILP32__)
    SCMP_ARCH_X86,

#endif
};
#define ARCHES_COUNT (sizeof arches / sizeof arches[0])

static void check(int status, const char *what)
{
    if (status == 0)
        return;
    (void)fprintf(stderr, "seccomp_gen: %s: %s\n", what, strerror(-status));
    exit(1);
}

/* Compares all 64 bits of an argument. */
static struct scmp_arg_cmp argument(unsigned number, enum scmp_compare op, uint64_t value)
{
    return (struct scmp_arg_cmp){.arg = number, .op = op, .datum_a = value};
}

static struct scmp_arg_cmp argument_masked(unsigned number, uint64_t mask, uint64_t value)
{
    return (struct scmp_arg_cmp){
        .arg = number, .op = SCMP_CMP_MASKED_EQ, .datum_a = mask, .datum_b = value};
}

/* An empty filter for all arches; unknown ones end the process. */
static scmp_filter_ctx filter_new(uint32_t action, bool all_arches)
{
    scmp_filter_ctx filter = seccomp_init(action);

    if (!filter)
        check(-ENOMEM, "seccomp_init");
    for (size_t i = 1; all_arches && i < ARCHES_COUNT; i++)
        check(seccomp_arch_add(filter, arches[i]), "seccomp_arch_add");
    check(seccomp_attr_set(filter, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS), "badarch");
    check(seccomp_attr_set(filter, SCMP_FLTATR_CTL_OPTIMIZE, 2), "optimize");
    return filter;
}

/* One rule on every arch of the filter. A call that an arch has not is no gap. */
static void rule(scmp_filter_ctx filter, uint32_t action, const char *name, unsigned count,
                 const struct scmp_arg_cmp *args)
{
    int number = seccomp_syscall_resolve_name(name);

    if (number == __NR_SCMP_ERROR) {
        (void)fprintf(stderr, "seccomp_gen: unknown system call %s\n", name);
        exit(1);
    }
    check(seccomp_rule_add_array(filter, action, number, count, args), name);
}

static void refuse(scmp_filter_ctx filter, int error, const char *const *names)
{
    for (size_t i = 0; names[i]; i++)
        rule(filter, SCMP_ACT_ERRNO((uint32_t)error), names[i], 0, NULL);
}

/* Refuses a call when the low 32 bits of argument `arg`, masked, have the value. */
static void refuse_masked(scmp_filter_ctx filter, int error, const char *name, unsigned arg,
                          uint32_t mask, uint32_t value)
{
    struct scmp_arg_cmp compare = argument_masked(arg, mask, value);

    rule(filter, SCMP_ACT_ERRNO((uint32_t)error), name, 1, &compare);
}

static const char *const refused_always[] = {
    "open_by_handle_at",
    "keyctl",
    "add_key",
    "request_key",
    "bpf",
    "perf_event_open",
    "userfaultfd",
    "process_vm_readv",
    "process_vm_writev",
    "process_madvise",
    "pidfd_getfd",
    "kcmp",
    "kexec_load",
    "kexec_file_load",
    "init_module",
    "finit_module",
    "delete_module",
    "iopl",
    "ioperm",
    "swapon",
    "swapoff",
    "reboot",
    "acct",
    "quotactl",
    "quotactl_fd",
    "lookup_dcookie",
    "nfsservctl",
    "syslog",
    "vhangup",
    NULL,
};
/* The caller falls back to older calls when these do not exist. */
static const char *const missing_always[] = {"io_uring_setup", "io_uring_enter",
                                             "io_uring_register", "clone3", NULL};
static const char *const mount_calls[] = {
    "mount",    "umount",  "umount2", "pivot_root",    "move_mount", "open_tree", "fsopen",
    "fsconfig", "fsmount", "fspick",  "mount_setattr", "setns",      NULL,
};

static const uint32_t namespace_flags[] = {CLONE_NEWUSER, CLONE_NEWNET, CLONE_NEWNS,
                                           CLONE_NEWPID,  CLONE_NEWIPC, CLONE_NEWUTS};

static void refuse_namespace(scmp_filter_ctx filter, uint32_t flag)
{
    refuse_masked(filter, EPERM, "clone", 0, flag, flag);
    refuse_masked(filter, EPERM, "unshare", 0, flag, flag);
}

/* The command's group of processes may be its caller's: who changes the priority of all in it
 * changes that of processes outside. Groups by number are those that the command sees. */
static void refuse_own_group(scmp_filter_ctx filter, const char *name, uint32_t group)
{
    struct scmp_arg_cmp compare[] = {argument_masked(0, LOW_32_BITS, group),
                                     argument_masked(1, LOW_32_BITS, 0)};

    rule(filter, SCMP_ACT_ERRNO(EPERM), name, 2, compare);
}

static void refuse_common(scmp_filter_ctx filter, bool namespaces, bool shared)
{
    static const char *const trace[] = {"ptrace", NULL};

    refuse(filter, EPERM, refused_always);
    refuse(filter, ENOSYS, missing_always);
    refuse_masked(filter, EPERM, "ioctl", 1, LOW_32_BITS, TIOCSTI);
    refuse_masked(filter, EPERM, "ioctl", 1, LOW_32_BITS, TIOCLINUX);
    /* /dev/vhost-vsock, often everybody's, lets its holder speak to the host as a guest does. */
    refuse_masked(filter, EPERM, "ioctl", 1, LOW_32_BITS, VHOST_SET_OWNER);
    /* /dev/uinput, where the one at the screen has it, types for whoever sits there. */
    refuse_masked(filter, EPERM, "ioctl", 1, LOW_32_BITS, UI_DEV_CREATE);
    refuse_masked(filter, EPERM, "ioctl", 1, LOW_32_BITS, USERFAULTFD_IOC_NEW); /* by its device */
    refuse_own_group(filter, "setpriority", PRIO_PGRP);
    refuse_own_group(filter, "ioprio_set", IOPRIO_WHO_PGRP);
    if (shared) {
        /* A limit of CPU time that is over is a SIGKILL, which no Landlock scope stops. */
        struct scmp_arg_cmp others = argument(0, SCMP_CMP_NE, 0);

        refuse(filter, EPERM, trace);
        rule(filter, SCMP_ACT_ERRNO(EPERM), "prlimit64", 1, &others);
    } else {
        /* Init has the command's identity; what it may open and fork is the jail's. */
        refuse_masked(filter, EPERM, "prlimit64", 0, LOW_32_BITS, 1);
    }
    /* Who has one may mount the groups of processes anew, writable, and end netjail and all that is
     * in its group (cgroup.kill). */
    refuse_namespace(filter, CLONE_NEWCGROUP);
    if (namespaces)
        return;
    refuse(filter, EPERM, mount_calls);
    for (size_t i = 0; i < sizeof namespace_flags / sizeof namespace_flags[0]; i++)
        refuse_namespace(filter, namespace_flags[i]);
    refuse_masked(filter, EPERM, "unshare", 0, 0x80u, 0x80u); /* CLONE_NEWTIME */
}

/* socket(family, type, protocol): refuse by family. The highest that may be allowed is netlink. */
static void refuse_families(scmp_filter_ctx filter, unsigned allowed)
{
    static const struct {
        unsigned flag;
        int family;
    } known[] = {{FAMILY_INET, AF_INET},
                 {FAMILY_INET6, AF_INET6},
                 {FAMILY_UNIX, AF_UNIX},
                 {FAMILY_NETLINK, AF_NETLINK}};
    struct scmp_arg_cmp compare = argument(0, SCMP_CMP_GT, AF_NETLINK);

    rule(filter, SCMP_ACT_ERRNO(EAFNOSUPPORT), "socket", 1, &compare);
    for (int family = 0; family <= AF_NETLINK; family++) {
        bool keep = false;

        for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
            keep = keep || (family == known[i].family && (allowed & known[i].flag));
        if (keep)
            continue;
        compare = argument(0, SCMP_CMP_EQ, (uint64_t)family);
        rule(filter, SCMP_ACT_ERRNO(EAFNOSUPPORT), "socket", 1, &compare);
    }
}

/* Refuses socket(family, *, protocol). */
static void refuse_protocol(scmp_filter_ctx filter, int family, enum scmp_compare op,
                            uint64_t protocol)
{
    struct scmp_arg_cmp compare[] = {argument(0, SCMP_CMP_EQ, (uint64_t)family),
                                     argument(2, op, protocol)};

    rule(filter, SCMP_ACT_ERRNO(EPROTONOSUPPORT), "socket", 2, compare);
}

/* Refuses socket(family, type, *). */
static void refuse_type(scmp_filter_ctx filter, int family, uint32_t type)
{
    struct scmp_arg_cmp compare[] = {argument(0, SCMP_CMP_EQ, (uint64_t)family),
                                     argument_masked(1, TYPE_MASK, type)};

    rule(filter, SCMP_ACT_ERRNO(EPERM), "socket", 2, compare);
}

/* Raw and packet sockets, and the transports that pass by the rules or that no rule can speak of.
 */
static void refuse_internet(scmp_filter_ctx filter, int family)
{
    static const uint64_t protocols[] = {33 /* DCCP */, 115 /* L2TP */, 136 /* UDP-Lite */};

    refuse_type(filter, family, SOCK_RAW);
    refuse_type(filter, family, SOCK_DCCP); /* its protocol may be 0 */
    refuse_type(filter, family, 10 /* SOCK_PACKET */);
    for (size_t i = 0; i < sizeof protocols / sizeof protocols[0]; i++)
        refuse_protocol(filter, family, SCMP_CMP_EQ, protocols[i]);
    refuse_protocol(filter, family, SCMP_CMP_GT, 255); /* MPTCP 262, SMC 256 */
}

/* Whoever may make namespaces may also have a network of its own in there, with its own rules:
 * without a capability over the jail's network an nftables socket is of no use in the jail itself.
 */
static void refuse_netlink(scmp_filter_ctx filter, bool namespaces)
{
    for (uint64_t protocol = 1; protocol < NETLINK_NETFILTER && namespaces; protocol++)
        refuse_protocol(filter, AF_NETLINK, SCMP_CMP_EQ, protocol);
    refuse_protocol(filter, AF_NETLINK, SCMP_CMP_GT,
                    namespaces ? NETLINK_NETFILTER : NETLINK_ROUTE);
}

static void refuse_sockets(scmp_filter_ctx filter, unsigned allowed, bool namespaces)
{
    struct scmp_arg_cmp compare = argument(0, SCMP_CMP_GE, 2);

    refuse_families(filter, allowed);
    if (allowed & FAMILY_INET)
        refuse_internet(filter, AF_INET);
    if (allowed & FAMILY_INET6)
        refuse_internet(filter, AF_INET6);
    if (allowed & FAMILY_NETLINK)
        refuse_netlink(filter, namespaces);
    rule(filter, SCMP_ACT_ERRNO(EAFNOSUPPORT), "socketpair", 1, &compare);
    compare = argument(0, SCMP_CMP_EQ, 0);
    rule(filter, SCMP_ACT_ERRNO(EAFNOSUPPORT), "socketpair", 1, &compare);
}

/* What netjail-service does after its start; everything else fails with EPERM. */
static const char *const service_calls[] = {
    "accept4",
    "bind",
    "brk",
    "clock_gettime",
    "clock_nanosleep",
    "close",
    "connect",
    "dup",
    "epoll_create1",
    "epoll_ctl",
    "epoll_pwait",
    "epoll_wait",
    "exit",
    "exit_group",
    "fcntl",
    "fstat",
    "fsync",
    "futex",
    "getpeername",
    "getpid",
    "getrandom",
    "getsockname",
    "getsockopt",
    "gettid",
    "gettimeofday",
    "lseek",
    "madvise",
    "mremap",
    "munmap",
    "nanosleep",
    "newfstatat",
    "pipe2",
    "poll",
    "ppoll",
    "prlimit64",
    "pwrite64",
    "read",
    "readv",
    "recvfrom",
    "recvmmsg",
    "recvmsg",
    "restart_syscall",
    "rt_sigaction",
    "rt_sigprocmask",
    "rt_sigreturn",
    "sched_yield",
    "sendmmsg",
    "sendmsg",
    "sendto",
    "setsockopt",
    "shutdown",
    "sigaltstack",
    "signalfd4",
    "splice",
    "tee",
    "tgkill",
    "timerfd_create",
    "timerfd_settime",
    "uname",
    "write",
    "writev",
    "bind",
    "listen",
    NULL,
};

/* It connects from the host's network: TCP, UDP and ping sockets, nothing else. */
static void service_sockets(scmp_filter_ctx filter)
{
    static const int families[] = {AF_INET, AF_INET6};
    static const int types[] = {SOCK_STREAM, SOCK_DGRAM};

    for (size_t i = 0; i < 2; i++)
        for (size_t k = 0; k < 2; k++) {
            struct scmp_arg_cmp compare[] = {
                argument_masked(0, LOW_32_BITS, (uint64_t)families[i]),
                argument_masked(1, TYPE_MASK, (uint64_t)types[k]),
            };

            rule(filter, SCMP_ACT_ALLOW, "socket", 2, compare);
        }
}

static scmp_filter_ctx service_filter(void)
{
    scmp_filter_ctx filter = filter_new(SCMP_ACT_ERRNO(EPERM), false);
    struct scmp_arg_cmp compare = argument_masked(2, 4 /* PROT_EXEC */, 0);

    for (size_t i = 0; service_calls[i]; i++)
        rule(filter, SCMP_ACT_ALLOW, service_calls[i], 0, NULL);
    rule(filter, SCMP_ACT_ALLOW, "mmap", 1, &compare);
    rule(filter, SCMP_ACT_ALLOW, "mprotect", 1, &compare);
    /* Name servers and destinations outside: internet sockets only. */
    compare = argument(0, SCMP_CMP_EQ, AF_INET);
    rule(filter, SCMP_ACT_ALLOW, "socket", 1, &compare);
    compare = argument(0, SCMP_CMP_EQ, AF_INET6);
    rule(filter, SCMP_ACT_ALLOW, "socket", 1, &compare);
    compare = argument_masked(1, LOW_32_BITS, FIONREAD);
    rule(filter, SCMP_ACT_ALLOW, "ioctl", 1, &compare);
    service_sockets(filter);
    return filter;
}

/* Prints the program that is in the memory file `fd`. */
static void print_program(int fd, const char *name)
{
    struct sock_filter step;
    ssize_t length;

    if (lseek(fd, 0, SEEK_SET) != 0)
        check(-errno, "lseek");
    (void)printf("static const struct sock_filter %s[] = {\n", name); /* looked at by fflush() */
    while ((length = read(fd, &step, sizeof step)) == (ssize_t)sizeof step)
        (void)printf("    {0x%x, %u, %u, 0x%x},\n", step.code, step.jt, step.jf, step.k);
    if (length != 0)
        check(-EIO, "read");
    (void)printf("};\n");
}

static void print_filter(scmp_filter_ctx filter, const char *name)
{
    int fd = memfd_create("filter", MFD_CLOEXEC);

    if (fd < 0)
        check(-errno, "memfd_create");
    check(seccomp_export_bpf(filter, fd), "seccomp_export_bpf");
    print_program(fd, name);
    (void)close(fd); /* a memory file */
    seccomp_release(filter);
}

static void print_common(unsigned variant)
{
    scmp_filter_ctx filter = filter_new(SCMP_ACT_ALLOW, true);
    char name[64];

    refuse_common(filter, variant & 1, variant & 2);
    (void)snprintf(name, sizeof name, "seccomp_common_%u", variant); /* fits */
    print_filter(filter, name);
    filter = filter_new(SCMP_ACT_ALLOW, true);
    refuse_common(filter, variant & 1, variant & 2);
    refuse_sockets(filter, FAMILY_ALL, variant & 1);
    (void)snprintf(name, sizeof name, "seccomp_whole_%u", variant); /* fits */
    print_filter(filter, name);
}

static void print_families(unsigned allowed, bool namespaces)
{
    scmp_filter_ctx filter = filter_new(SCMP_ACT_ALLOW, true);
    char name[64];

    refuse_sockets(filter, allowed, namespaces);
    (void)snprintf(name, sizeof name, "seccomp_families%s_%u", namespaces ? "_namespaces" : "",
                   allowed); /* fits */
    print_filter(filter, name);
}

int main(void)
{

    (void)puts("/* Made by seccomp_gen.c. */\n#pragma once\n#include <linux/filter.h>\n");
    for (unsigned variant = 0; variant < 4; variant++)
        print_common(variant);
    for (unsigned families = 0; families <= FAMILY_ALL; families++) {
        print_families(families, false);
        print_families(families, true);
    }
    print_filter(service_filter(), "seccomp_service");
    return fflush(stdout) == 0 ? 0 : 1;
}
