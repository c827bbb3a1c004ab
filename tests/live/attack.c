/* A hostile command: tries the ways out of a jail that a program has, and names those that open.
 *
 *     attack                  sockets, namespaces, mounts, keys, terminals, init, the kernel's
 * files attack outside PID      a process outside, for a jail that shares its process namespace
 *     attack peer PATH        the process outside that listens at this UNIX socket
 *     attack fds              inherited descriptors from 3 on that could reach the host
 *
 * Prints `THROUGH WHAT` for each, then their number; exits with 3 if there was one. A call that
 * would end this process is made by a child. Every call is made by its native, 32-bit and x32 entry
 * where there is one. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/uinput.h>
#include <linux/userfaultfd.h>
#include <linux/vhost.h>
#include <netinet/in.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#define LENGTH(array) (sizeof(array) / sizeof(array)[0])
#define GARBAGE       0x100000000L /* in the upper half of an argument */
#define X32_BIT       0x40000000L

static int tried;
static int through;
static char *low; /* memory that a 32-bit call can point to */

__attribute__((format(printf, 2, 3))) static void must_fail(long result, const char *format, ...)
{
    va_list arguments;

    tried++;
    if (result < 0)
        return;
    through++;
    (void)printf("THROUGH ");
    va_start(arguments, format);
    (void)vprintf(format, arguments);
    va_end(arguments);
    (void)printf(" (%ld)\n", result);
}

#if defined(__x86_64__)
/* A kernel without CONFIG_IA32_EMULATION answers int 0x80 with SIGSEGV. */
static bool has_call32(void)
{
    static int known = -1;
    int status = 0;
    pid_t pid;

    if (known >= 0)
        return known;
    (void)fflush(stdout);
    pid = fork();
    if (pid == 0) {
        long result;

        __asm__ volatile("int $0x80"
                         : "=a"(result)
                         : "a"(20L /* getpid */)
                         : "memory", "r8", "r9", "r10", "r11");
        _exit(0);
    }
    if (pid < 0 || waitpid(pid, &status, 0) != pid)
        abort();
    known = !WIFSIGNALED(status);
    if (!known)
        (void)printf("this kernel has no 32-bit calls\n");
    return known;
}

static long call32(long number, const long arguments[6])
{
    long result;

    if (!has_call32()) {
        errno = ENOSYS;
        return -1;
    }
    __asm__ volatile("int $0x80"
                     : "=a"(result)
                     : "a"(number), "b"(arguments[0]), "c"(arguments[1]), "d"(arguments[2]),
                       "S"(arguments[3]), "D"(arguments[4])
                     : "memory", "r8", "r9", "r10", "r11");
    if ((int)result < 0) {
        errno = -(int)result;
        return -1;
    }
    return (int)result;
}
#endif

enum entry { NATIVE, COMPAT };

/* Makes the call in a child, which may die of it: -1, as when it fails. */
static long call(enum entry entry, long number, const long arguments[6])
{
    int status = 0;
    pid_t pid;

    (void)fflush(stdout);
    pid = fork();
    if (pid == 0) {
        long result = -1;

        if (entry == NATIVE)
            result = syscall(number, arguments[0], arguments[1], arguments[2], arguments[3],
                             arguments[4], arguments[5]);
#if defined(__x86_64__)
        else
            result = call32(number, arguments);
#endif
        _exit(result >= 0 ? 7 : 0);
    }
    if (pid < 0 || waitpid(pid, &status, 0) != pid)
        abort();
    return WIFEXITED(status) && WEXITSTATUS(status) == 7 ? 0 : -1;
}

#define TRY(name, number, ...)                                                                     \
    must_fail(call(NATIVE, number, (const long[6]){__VA_ARGS__}), "%s", name)
#if defined(__x86_64__)
#define TRY32(name, number, ...)                                                                   \
    must_fail(call(COMPAT, number, (const long[6]){__VA_ARGS__}), "%s by int 0x80", name)
#else
#define TRY32(name, number, ...) (void)0
#endif

/* What the manual promises: TCP, UDP, SCTP and ping over IP, AF_UNIX, and route netlink. */
static bool is_promised(int family, int type, int protocol)
{
    if (family == AF_UNIX)
        return true;
    if (family == AF_NETLINK)
        return protocol == 0;
    if (family != AF_INET && family != AF_INET6)
        return false;
    return type != SOCK_RAW && type != SOCK_PACKET &&
           (protocol == 0 || protocol == IPPROTO_TCP || protocol == IPPROTO_UDP ||
            protocol == IPPROTO_SCTP || protocol == IPPROTO_ICMP || protocol == IPPROTO_ICMPV6);
}

static void try_socket(int family, int type, int protocol)
{
    int fd = socket(family, type, protocol);

    must_fail(fd >= 0 && is_promised(family, type, protocol) ? -1 : fd, "socket(%d, %d, %d)",
              family, type, protocol);
    if (fd >= 0)
        (void)close(fd);
#if defined(__x86_64__)
    fd = (int)call32(359, (const long[6]){family, type, protocol});
    must_fail(fd >= 0 && is_promised(family, type, protocol) ? -1 : fd,
              "socket(%d, %d, %d) by int 0x80", family, type, protocol);
    if (fd >= 0)
        (void)close(fd);
#endif
}

static void attack_sockets(void)
{
    static const int protocols[] = {0, 1, 6, 17, 33, 115, 136, 255, 256, 262};

    for (int family = 0; family < 64; family++) {
        for (int type = 0; type < 16; type++) {
            for (size_t i = 0; i < LENGTH(protocols); i++)
                try_socket(family, type, protocols[i]);
        }
    }
    for (int protocol = 0; protocol < 512; protocol++) {
        try_socket(AF_INET, SOCK_STREAM, protocol);
        try_socket(AF_INET6, SOCK_DGRAM, protocol);
        try_socket(AF_NETLINK, SOCK_RAW, protocol);
    }
    TRY("socket(AF_PACKET + garbage)", SYS_socket, AF_PACKET | GARBAGE, SOCK_RAW);
    TRY("socket(AF_INET + garbage, SOCK_RAW)", SYS_socket, AF_INET | GARBAGE, SOCK_RAW, 1);
    TRY("socket(AF_INET, SOCK_RAW + garbage)", SYS_socket, AF_INET, SOCK_RAW | GARBAGE, 1);
    TRY("socket(AF_INET, SOCK_RAW | SOCK_CLOEXEC)", SYS_socket, AF_INET, SOCK_RAW | SOCK_CLOEXEC,
        1);
    TRY("socket(AF_NETLINK, NETFILTER + garbage)", SYS_socket, AF_NETLINK, SOCK_RAW, 12 | GARBAGE);
    TRY("socket(AF_INET, SOCK_STREAM, MPTCP + garbage)", SYS_socket, AF_INET, SOCK_STREAM,
        262 | GARBAGE);
    for (int family = 0; family < 64; family++) {
        int pair[2];

        must_fail(family == AF_UNIX ? -1 : socketpair(family, SOCK_STREAM, 0, pair),
                  "socketpair(%d)", family);
    }
}

#if defined(__x86_64__)
static void attack_entries(void)
{
    int *arguments = (int *)(void *)low;

    for (int family = 0; family < 46; family++) {
        for (int type = 1; type < 11; type++) {
            arguments[0] = family;
            arguments[1] = type;
            arguments[2] = 0;
            must_fail(call32(102, (const long[6]){1, (long)low}), "socketcall(SOCKET, %d, %d)",
                      family, type);
        }
    }
    TRY("x32 socket(AF_PACKET)", SYS_socket | X32_BIT, AF_PACKET, SOCK_RAW, 0);
    TRY("x32 socket(AF_INET)", SYS_socket | X32_BIT, AF_INET, SOCK_STREAM, 0);
    TRY("x32 getpid", SYS_getpid | X32_BIT);
    TRY("x32 ptrace", 521 | X32_BIT, 0x4206, 1);
}
#endif

static void attack_namespaces(void)
{
    static const long flags[] = {CLONE_NEWUSER,   CLONE_NEWNET, CLONE_NEWNS,
                                 CLONE_NEWPID,    CLONE_NEWIPC, CLONE_NEWUTS,
                                 CLONE_NEWCGROUP, 0x80 /* CLONE_NEWTIME */};
    static const char *const names[] = {"net", "mnt", "pid", "user", "ipc", "uts", "cgroup"};
    char path[64];

    for (size_t i = 0; i < LENGTH(flags); i++) {
        TRY("unshare", SYS_unshare, flags[i]);
        TRY("unshare + garbage", SYS_unshare, flags[i] | GARBAGE);
        TRY32("unshare", 310, flags[i]);
        if (flags[i] == 0x80)
            continue; /* of clone() it is the signal */
        TRY("clone", SYS_clone, flags[i] | SIGCHLD);
        TRY("clone + garbage", SYS_clone, flags[i] | SIGCHLD | GARBAGE);
        TRY32("clone", 120, flags[i] | SIGCHLD);
    }
    for (size_t i = 0; i < LENGTH(names); i++) {
        (void)snprintf(path, sizeof path, "/proc/self/ns/%s", names[i]);
        TRY(path, SYS_setns, open(path, O_RDONLY), 0);
        (void)snprintf(path, sizeof path, "/proc/1/ns/%s", names[i]);
        must_fail(open(path, O_RDONLY), "open %s", path);
    }
    TRY("clone3", SYS_clone3, (long)low, 88);
}

static void attack_mounts(void)
{
    TRY("mount", SYS_mount, (long)"t", (long)"/mnt", (long)"tmpfs");
    TRY("remount /proc/sys", SYS_mount, 0, (long)"/proc/sys", 0, 32 | 4096);
    TRY("umount /run", SYS_umount2, (long)"/run", 2);
    TRY("umount /proc", SYS_umount2, (long)"/proc", 2);
    (void)strcpy(low, "/mnt");
    TRY32("mount", 21, (long)low, (long)low, (long)low);
    TRY32("umount2", 52, (long)low, 2);
    TRY("open_tree", SYS_open_tree, AT_FDCWD, (long)"/", 1);
    TRY("open_tree_attr", 467, AT_FDCWD, (long)"/", 1);
    TRY("fsopen", SYS_fsopen, (long)"tmpfs", 0);
    TRY("fspick", SYS_fspick, AT_FDCWD, (long)"/", 0);
    TRY("mount_setattr", SYS_mount_setattr, AT_FDCWD, (long)"/proc/sys", 0, (long)low, 32);
    TRY("move_mount", SYS_move_mount, AT_FDCWD, (long)"/proc", AT_FDCWD, (long)"/mnt", 0);
    TRY("pivot_root", SYS_pivot_root, (long)"/", (long)"/");
    TRY("chroot", SYS_chroot, (long)"/");
    TRY("mknod", SYS_mknodat, AT_FDCWD, (long)"attack-node", S_IFCHR | 0600, 1 << 8 | 1);
}

static void attack_calls(void)
{
    memset(low, 0, 4096);
    TRY("io_uring_setup", SYS_io_uring_setup, 4, (long)low);
    TRY32("io_uring_setup", 425, 4, (long)low);
    TRY("io_uring_enter", SYS_io_uring_enter, 0);
    TRY("io_uring_register", SYS_io_uring_register, -1, 22, (long)low, 1);
    TRY("keyctl", SYS_keyctl, 0, -3, 1);
    TRY32("keyctl", 288, 0, -3, 1);
    TRY("add_key", SYS_add_key, (long)"user", (long)"x", (long)"y", 1, -3);
    TRY("request_key", SYS_request_key, (long)"user", (long)"x", 0, 0);
    TRY("bpf", SYS_bpf, 0, (long)low, 128);
    TRY("perf_event_open", SYS_perf_event_open, (long)low, 0, -1, -1, 0);
    TRY("userfaultfd", SYS_userfaultfd, 1);
    TRY("prlimit(init)", SYS_prlimit64, 1, RLIMIT_NOFILE, 0, (long)low);
    TRY("prlimit(init + garbage)", SYS_prlimit64, 1 | GARBAGE, RLIMIT_NOFILE, 0, (long)low);
    TRY32("prlimit(init)", 340, 1, RLIMIT_NOFILE, 0, (long)low);
    TRY("process_vm_readv", SYS_process_vm_readv, getpid(), 0, 0, 0, 0, 0);
    TRY("open_by_handle_at", SYS_open_by_handle_at, AT_FDCWD, (long)low, 0);
    TRY("syslog", SYS_syslog, 3, (long)low, 100);
    TRY("sethostname", SYS_sethostname, (long)"x", 1);
    TRY("settimeofday", SYS_settimeofday, (long)low, 0);
    TRY("reboot", SYS_reboot, 0xfee1dead, 672274793, 0);
    TRY("acct", SYS_acct, (long)"attack-acct");
    TRY("setresuid", SYS_setresuid, 12345, 12345, 12345);
    TRY("setgroups", SYS_setgroups, 1, (long)low);
#if defined(__x86_64__)
    TRY("iopl", SYS_iopl, 3);
    TRY("ioperm", SYS_ioperm, 0x80, 1, 1);
#endif
}

static void attack_terminals(void)
{
    int fds[] = {0, open("/dev/tty", O_RDWR), posix_openpt(O_RDWR | O_NOCTTY)};

    for (size_t i = 0; i < LENGTH(fds); i++) {
        if (fds[i] < 0)
            continue;
        low[0] = 'a';
        TRY("TIOCSTI", SYS_ioctl, fds[i], TIOCSTI, (long)low);
        TRY("TIOCSTI + garbage", SYS_ioctl, fds[i], TIOCSTI | GARBAGE, (long)low);
        TRY("TIOCSTI + sign", SYS_ioctl, fds[i], (long)(TIOCSTI | 1UL << 63), (long)low);
        TRY32("TIOCSTI", 54, fds[i], TIOCSTI, (long)low);
        low[0] = 2;
        TRY("TIOCLINUX + garbage", SYS_ioctl, fds[i], TIOCLINUX | GARBAGE, (long)low);
    }
}

static void attack_files(void)
{
    static const char *const readable[] = {
        "/proc/1/mem",     "/proc/1/environ",    "/proc/1/maps",         "/proc/1/root/etc",
        "/proc/1/cwd/.",   "/proc/1/exe",        "/proc/1/fd/3",         "/proc/1/fd/5",
        "/proc/1/auxv",    "/proc/1/task/1/mem", "/proc/1/root/run/etc", "/proc/1/ns/net",
        "/proc/1/pagemap", "/proc/kcore",        "/proc/1/fdinfo/3",
    };
    static const char *const writable[] = {
        "/proc/1/mem",
        "/proc/sysrq-trigger",
        "/proc/sys/kernel/core_pattern",
        "/proc/sys/kernel/modprobe",
        "/proc/sys/kernel/hostname",
        "/proc/sys/vm/drop_caches",
        "/proc/sys/net/ipv4/ip_forward",
        "/proc/sys/user/max_user_namespaces",
        "/proc/irq/default_smp_affinity",
        "/sys/kernel/uevent_helper",
        "/sys/fs/cgroup/cgroup.procs",
        "/sys/kernel/mm/ksm/run",
        "/sys/power/state",
        "/sys/class/net/lo/mtu",
    };

    for (size_t i = 0; i < LENGTH(readable); i++)
        must_fail(open(readable[i], O_RDONLY), "read %s", readable[i]);
    for (size_t i = 0; i < LENGTH(writable); i++)
        must_fail(open(writable[i], O_WRONLY), "write %s", writable[i]);
    TRY("ptrace(ATTACH, 1)", SYS_ptrace, 16, 1);
    TRY("ptrace(SEIZE, 1)", SYS_ptrace, 0x4206, 1);
    TRY32("ptrace(ATTACH, 1)", 26, 16, 1);
    TRY("pidfd_getfd(init)", SYS_pidfd_getfd, syscall(SYS_pidfd_open, 1, 0), 3, 0);
    for (int signal = 1; signal < 65; signal++)
        (void)kill(1, signal); /* that we still run is the proof */
}

/* A guest of the host's kernel: vsock and the network without a socket. */
static void attack_guest(void)
{
    static const char *const names[] = {"/dev/vhost-vsock", "/dev/vhost-net"};

    for (size_t i = 0; i < LENGTH(names); i++) {
        int fd = open(names[i], O_RDWR);

        TRY(names[i], SYS_ioctl, fd, VHOST_SET_OWNER);
        TRY(names[i], SYS_ioctl, fd, VHOST_SET_OWNER | GARBAGE);
        TRY32(names[i], 54, fd, VHOST_SET_OWNER);
    }
}

/* A keyboard of one's own types for whoever sits at the screen. Few machines let everybody have
 * one; the filter must answer whatever the descriptor is. */
static void attack_request(const char *device, const char *name, long request)
{
    static const long garbage[] = {0, GARBAGE};
    int fd = open(device, O_RDWR);

    if (fd < 0)
        fd = open("/dev/null", O_RDWR);
    for (size_t i = 0; i < LENGTH(garbage); i++) {
        long result = syscall(SYS_ioctl, fd, request | garbage[i]);

        must_fail(result < 0 && errno == EPERM ? -1 : 0, "%s", name);
    }
}

static void attack_keyboard(void)
{
    attack_request("/dev/uinput", "UI_DEV_CREATE", UI_DEV_CREATE);
    attack_request("/dev/userfaultfd", "USERFAULTFD_IOC_NEW", USERFAULTFD_IOC_NEW);
}

/* Signals by way of a file that has an owner. Whether they arrive the victim tells. */
static void signal_by_owner(pid_t owner)
{
    int ends[2], pair[2];

    if (pipe(ends) < 0 || socketpair(AF_UNIX, SOCK_STREAM, 0, pair) < 0)
        abort();
    for (int i = 0; i < 2; i++) {
        int reader = i == 0 ? ends[0] : pair[0];

        (void)fcntl(reader, F_SETOWN, owner);
        (void)fcntl(reader, F_SETSIG, SIGKILL);
        (void)fcntl(reader, F_SETFL, O_ASYNC | O_NONBLOCK);
        (void)!write(i == 0 ? ends[1] : pair[1], "x", 1);
        tried++;
    }
}

/* A process outside, of the same user. */
static void attack_outside(pid_t pid)
{
    static const char *const names[] = {"mem",   "environ", "maps", "root/etc",
                                        "cwd/.", "fd/0",    "exe",  "ns/net"};
    const struct rlimit limit = {0, 0};
    char path[64];

    signal_by_owner(pid);
    signal_by_owner(-pid);
    for (int signal = 0; signal < 65; signal++) {
        must_fail(kill(pid, signal), "kill(outside, %d)", signal);
        must_fail(kill(-pid, signal), "kill(group outside, %d)", signal);
        must_fail(syscall(SYS_tkill, pid, signal), "tkill(outside, %d)", signal);
    }
    must_fail(syscall(SYS_pidfd_send_signal, syscall(SYS_pidfd_open, pid, 0), SIGKILL, NULL, 0),
              "pidfd_send_signal(outside)");
    for (size_t i = 0; i < LENGTH(names); i++) {
        (void)snprintf(path, sizeof path, "/proc/%d/%s", (int)pid, names[i]);
        must_fail(open(path, O_RDONLY), "read %s", path);
    }
    TRY("ptrace(ATTACH, outside)", SYS_ptrace, 16, pid);
    TRY("ptrace(SEIZE, outside)", SYS_ptrace, 0x4206, pid);
    TRY("pidfd_getfd(outside)", SYS_pidfd_getfd, syscall(SYS_pidfd_open, pid, 0), 0, 0);
    TRY("process_vm_readv(outside)", SYS_process_vm_readv, pid, 0, 0, 0, 0, 0);
    must_fail(prlimit((pid), RLIMIT_CPU, &limit, NULL), "prlimit(outside)");
}

/* Whoever serves a socket that is not hidden gives a pidfd of itself away (SO_PEERPIDFD,
 * Linux 6.5). */
static void attack_peer(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    socklen_t length = sizeof(int);
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    int pidfd = -1;

    (void)strncpy(address.sun_path, path, sizeof address.sun_path - 1);
    if (connect(fd, (struct sockaddr *)&address, sizeof address) < 0)
        abort();
    if (getsockopt(fd, SOL_SOCKET, 77, &pidfd, &length) < 0) {
        (void)printf("this kernel gives no pidfd of a peer\n");
        return;
    }
    for (long flags = 0; flags < 8; flags++) /* to its thread, group and process group */
        TRY("pidfd_send_signal(peer)", SYS_pidfd_send_signal, pidfd, SIGKILL, 0, flags);
    for (long kind = 1; kind < 11; kind++) /* PIDFD_GET_*_NAMESPACE */
        TRY("ioctl(peer, PIDFD_GET_..._NAMESPACE)", SYS_ioctl, pidfd, 0xff00 | kind, 0);
    TRY("setns(peer)", SYS_setns, pidfd, CLONE_NEWNET);
    TRY("pidfd_getfd(peer)", SYS_pidfd_getfd, pidfd, 0, 0);
    TRY("process_madvise(peer)", SYS_process_madvise, pidfd, (long)low, 1, 20, 0);
    TRY("process_mrelease(peer)", SYS_process_mrelease, pidfd, 0);
}

/* From 3 on only pipes, plain files and terminals may have been inherited. */
static void attack_fds(void)
{
    for (int fd = 3; fd < 4096; fd++) {
        struct stat state;
        bool plain;

        if (fstat(fd, &state) < 0)
            continue;
        plain =
            S_ISFIFO(state.st_mode) || S_ISREG(state.st_mode) ||
            (S_ISCHR(state.st_mode) && major(state.st_rdev) == 1) ||
            (S_ISCHR(state.st_mode) && major(state.st_rdev) >= 136 && major(state.st_rdev) <= 143);
        must_fail(plain ? -1 : fd, "descriptor of mode %o, device %x", state.st_mode,
                  (unsigned)state.st_rdev);
    }
}

int main(int argc, char **argv)
{
    low = mmap(NULL, 65536, PROT_READ | PROT_WRITE,
               MAP_PRIVATE | MAP_ANONYMOUS
#if defined(__x86_64__)
                   | MAP_32BIT
#endif
               ,
               -1, 0);
    if (low == MAP_FAILED)
        return 2;
    if (geteuid() == 0 && argc == 1 && !getenv("NETJAIL_NAME")) {
        (void)fputs("attack: as root only in a jail: it would change the host\n", stderr);
        return 2;
    }
    if (argc == 3 && strcmp(argv[1], "outside") == 0) {
        attack_outside(atoi(argv[2]));
    } else if (argc == 3 && strcmp(argv[1], "peer") == 0) {
        attack_peer(argv[2]);
    } else if (argc == 2 && strcmp(argv[1], "fds") == 0) {
        attack_fds();
    } else {
        attack_sockets();
#if defined(__x86_64__)
        attack_entries();
#endif
        attack_namespaces();
        attack_mounts();
        attack_calls();
        attack_terminals();
        attack_guest();
        attack_keyboard();
        attack_files();
    }
    (void)printf("%d attacks, %d through\n", tried, through);
    return through ? 3 : 0;
}
