/* Which of the caller's descriptors the command gets.
 *
 * A descriptor is power: a socket is a way out, a directory a way around the mounts, a namespace or
 * pidfd a handle on the host. So of 0, 1 and 2 stays what one reads from or writes to, IP and UNIX
 * sockets (inetd, ssh) among it, and from 3 on only pipes, plain files and terminals stay, with
 * what socket activation or --keep-fd names. Netjail's own are close-on-exec, which is how the
 * caller's are told from them. What must not happen: a file of a pseudo file system (/proc/PID/mem,
 * a namespace) that passes for a plain file, or a list that ended early: after closing all are
 * looked at again. */
#include "base/buf.h"
#include "base/cleanup.h"
#include "jail/jail.h"
#include "jail/spawn.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <stdalign.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>

#define FIRST_FD 3 /* SD_LISTEN_FDS_START too */

struct kept {
    const int *fds;
    size_t fds_count;
    int listen_end; /* FIRST_FD..listen_end-1 are LISTEN_FDS */
};

/* "3" of LISTEN_FDS when LISTEN_PID names `netjail_pid` (sd_listen_fds(3)). */
static int listen_end(pid_t netjail_pid)
{
    const char *pid = getenv("LISTEN_PID");
    const char *fds = getenv("LISTEN_FDS");
    long count;

    if (!pid || !fds || strtol(pid, NULL, 10) != netjail_pid)
        return FIRST_FD;
    count = strtol(fds, NULL, 10);
    return count > 0 && count < 65536 ? FIRST_FD + (int)count : FIRST_FD;
}

static bool is_kept(const struct kept *kept, int fd)
{
    for (size_t i = 0; i < kept->fds_count; i++) {
        if (kept->fds[i] == fd)
            return true;
    }
    return fd < kept->listen_end;
}

/* File systems whose files are not plain data (linux/magic.h); of the first ones some are to be
 * read, as a file is. */
static const unsigned pseudo_magics[] = {
    0x9fa0 /* proc */,         0x62656572 /* sysfs */,    0x27e0eb /* cgroup */,
    0x63677270 /* cgroup2 */,  0x64626720 /* debug */,    0x74726163 /* tracing */,
    0x73636673 /* security */, 0x62656570 /* configfs */, 0x42494e4d /* binfmt_misc */,
    0xf97cff8c /* SELinux */,  0x43415d53 /* Smack */,    0x65735543 /* fusectl */,
    0x6e667364 /* nfsd */,     0x67596969 /* sunrpc */,   0xde5e81e4 /* efivarfs */,
    0x7655821 /* resctrl */,   0xabba1974 /* Xen */,      0x6e736673 /* namespaces */,
    0x50494446 /* pidfd */,    0xcafe4a11 /* bpf */,      0x19800202 /* message queues */,
};
#define PSEUDO_READABLE 17

static bool is_pseudo(int fd, size_t first)
{
    struct statfs state;

    if (fstatfs(fd, &state) < 0)
        return true;
    for (size_t i = first; i < ARRAY_LENGTH(pseudo_magics); i++) {
        if ((unsigned)state.f_type == pseudo_magics[i])
            return true;
    }
    return false;
}

/* The master of a terminal (5:2, of BSD 2:*) types into it: it is power over those who read there.
 */
static bool is_terminal_master(dev_t device)
{
    return device == makedev(5, 2) || major(device) == 2;
}

/* /dev/null, zero, full, random, urandom (1:3, 5, 7, 8, 9) and terminals. */
static bool is_harmless_device(int fd, dev_t device)
{
    static const unsigned minors[] = {3, 5, 7, 8, 9};

    for (size_t i = 0; i < ARRAY_LENGTH(minors); i++) {
        if (device == makedev(1, minors[i]))
            return true;
    }
    return isatty(fd) == 1 && !is_terminal_master(device);
}

/* What is wrong with it as an inherited descriptor; NULL: nothing. */
static const char *fault_of(int fd)
{
    struct stat state;

    if (fstat(fd, &state) < 0)
        return "unknown";
    switch (state.st_mode & S_IFMT) {
    case S_IFIFO:
        return NULL;
    case S_IFREG:
        return is_pseudo(fd, 0) ? "file of the kernel" : NULL;
    case S_IFCHR:
        return is_harmless_device(fd, state.st_rdev) ? NULL : "device";
    case S_IFBLK:
        return "device";
    case S_IFDIR:
        return "directory";
    case S_IFSOCK:
        return "socket";
    default:
        return "kernel object";
    }
}

/* A file of the kernel may be read from, but neither written to nor opened again by its O_PATH. */
static bool is_plain_stream(int fd)
{
    int flags = fcntl(fd, F_GETFL);

    if (flags < 0 || is_pseudo(fd, PSEUDO_READABLE))
        return false;
    return ((flags & O_ACCMODE) == O_RDONLY && !(flags & O_PATH)) || !is_pseudo(fd, 0);
}

/* Of families and types that the command could not make itself: not an O_PATH descriptor either. */
static bool is_plain_socket(int fd)
{
    socklen_t length = sizeof(int);
    int family = AF_UNSPEC;
    int type = SOCK_RAW;

    if (getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &family, &length) < 0 ||
        getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &length) < 0)
        return false;
    return family == AF_UNIX ||
           ((family == AF_INET || family == AF_INET6) &&
            (type == SOCK_STREAM || type == SOCK_DGRAM || type == SOCK_SEQPACKET));
}

/* Of tun, tap, macvtap and ipvtap, whose frames go to a network of the host. The last two have no
 * number of their own; all answer this. */
static bool is_network_device(int fd)
{
    unsigned features;

    return ioctl(fd, TUNGETFEATURES, &features) == 0;
}

/* The same of 0, 1 and 2. Misc devices (10) are tun, vhost, fuse, kvm; 108 is ppp. */
static const char *standard_fault_of(int fd)
{
    struct stat state;

    if (fstat(fd, &state) < 0)
        return errno == EBADF ? NULL /* closed, and stays so */ : "unknown";
    switch (state.st_mode & S_IFMT) {
    case S_IFIFO:
    case S_IFBLK:
        return NULL;
    case S_IFREG:
        return is_plain_stream(fd) ? NULL : "file of the kernel";
    case S_IFCHR:
        return is_terminal_master(state.st_rdev) || major(state.st_rdev) == 10 ||
                       major(state.st_rdev) == 108 || is_network_device(fd)
                   ? "device"
                   : NULL;
    case S_IFDIR:
        return "directory";
    case S_IFSOCK:
        return is_plain_socket(fd) ? NULL : "socket";
    default:
        return "kernel object";
    }
}

/* Calls `one` for each open descriptor; a negative number from it ends that. Without opendir(3): it
 * allocates. */
static int descriptors_each(int (*one)(void *context, int fd), void *context)
{
    cleanup_fd int directory = open("/proc/self/fd", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    alignas(struct dirent64) char buffer[2048];
    ssize_t length = directory < 0 ? -1 : 1;
    int status = 0;

    while (status == 0 && length > 0) {
        const struct dirent64 *entry;

        length = getdents64(directory, buffer, sizeof buffer);
        for (ssize_t at = 0; status == 0 && at < length; at += entry->d_reclen) {
            entry = (const struct dirent64 *)(const void *)(buffer + at);
            if (entry->d_name[0] != '.')
                status = one(context, (int)strtol(entry->d_name, NULL, 10));
        }
    }
    return status == 0 && length < 0 ? -errno : status;
}

struct judgement {
    const struct kept *kept;
    void (*found)(void *, int, const char *);
    void *context;
};

static int judge_one(void *context, int fd)
{
    const struct judgement *judgement = context;
    const char *fault;
    int flags;

    if (fd < FIRST_FD || is_kept(judgement->kept, fd))
        return 0;
    flags = fcntl(fd, F_GETFD);
    if (flags < 0)
        return -errno;
    fault = flags & FD_CLOEXEC ? NULL : fault_of(fd);
    if (fault)
        judgement->found(judgement->context, fd, fault);
    return 0;
}

/* Calls `found` for each inherited descriptor that must go. */
static int descriptors_judge(const struct kept *kept, void (*found)(void *, int, const char *),
                             void *context, struct error *error)
{
    struct judgement judgement = {kept, found, context};
    int status = descriptors_each(judge_one, &judgement);

    return status < 0 ? error_errno(error, status, "cannot list the open descriptors") : 0;
}

static void close_found(void *context, int fd, const char *fault)
{
    (void)context;
    (void)fault;
    (void)close(fd); /* a foreign descriptor: its owner's data is not ours to lose */
}

static void note_left(void *context, int fd, const char *fault)
{
    (void)fault;
    *(int *)context = fd;
}

static void list_found(void *context, int fd, const char *fault)
{
    struct buf *text = context;

    buf_printf(text, "%s%d (%s)", text->length > 0 ? ", " : "", fd, fault);
}

/* A descriptor that shall be kept and is not open is an error: the command would miss it. One of
 * netjail's own may have its number by now. */
static int kept_check(const struct kept *kept, struct error *error)
{
    for (size_t i = 0; i < kept->fds_count; i++) {
        int flags = fcntl(kept->fds[i], F_GETFD);

        if (flags >= 0 && !(flags & FD_CLOEXEC))
            continue;
        (void)error_errno(error, -EBADF, "cannot keep descriptor %d", kept->fds[i]);
        error_hint(error, "netjail was started without it; a shell opens it by %d<FILE or %d>FILE",
                   kept->fds[i], kept->fds[i]);
        return error->code;
    }
    return 0;
}

int standard_close(struct error *error)
{
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++) {
        cleanup_fd int null = -1;
        const char *fault = standard_fault_of(fd);

        if (!fault)
            continue;
        null = open("/dev/null", O_RDWR | O_CLOEXEC);
        if (null < 0 || dup2(null, fd) < 0)
            return error_errno(error, -errno, "cannot close the %s at descriptor %d", fault, fd);
    }
    return 0;
}

int descriptors_close(const struct jail_setup *setup, pid_t netjail_pid, struct error *error)
{
    struct kept kept = {setup->keep_fds, setup->keep_fds_count, listen_end(netjail_pid)};
    int left = -1;
    int status = kept_check(&kept, error);

    if (status == 0)
        status = standard_close(error);
    if (status == 0)
        status = descriptors_judge(&kept, close_found, NULL, error);
    if (status == 0)
        status = descriptors_judge(&kept, note_left, &left, error);
    if (status == 0 && left >= 0)
        status = error_set(error, -EBADF, "the inherited descriptor %d cannot be closed", left);
    return status;
}

static int forget_one(void *context, int fd)
{
    int flags = fd < FIRST_FD ? FD_CLOEXEC : fcntl(fd, F_GETFD);

    (void)context;
    if (flags >= 0 && !(flags & FD_CLOEXEC))
        (void)close(fd); /* the caller's: the command has its own */
    return 0;
}

void descriptors_forget(void)
{
    (void)descriptors_each(forget_one, NULL); /* what stays open is no harm */
}

int spawn_list_closed(const int *keep_fds, size_t keep_fds_count, struct buf *ret_text,
                      struct error *error)
{
    struct kept kept = {keep_fds, keep_fds_count, listen_end(getpid())};

    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++) {
        const char *fault = standard_fault_of(fd);

        if (fault)
            list_found(ret_text, fd, fault);
    }
    return descriptors_judge(&kept, list_found, ret_text, error);
}
