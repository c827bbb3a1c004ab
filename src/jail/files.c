/* The jail's mount namespace: /proc, /sys and /run; all other files are the host's.
 *
 * Runs in init with CAP_SYS_ADMIN over the mount namespace, before the identity is taken. Order:
 * propagation off -> /proc (masks.c reads descriptors through it) -> /sys -> /dev/mqueue -> /run ->
 * resolv.conf and its like (name_files.c) -> /proc/sys read-only last, since the sysctls are still
 * written through the descriptor kept from before. What cannot be mounted ends the start; nothing
 * weaker is chosen. What must not happen: a mount that reaches the host (the first step makes
 * everything a slave), or the old /proc, /sys or /run reachable through the current directory. */
#include "jail/files.h"

#include "base/cleanup.h"
#include "jail/jail.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/mount.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/vfs.h>

#define QUIET  (MS_NOSUID | MS_NODEV | MS_NOEXEC)
#define RFKILL "/dev/rfkill"
#define MQUEUE "/dev/mqueue"

#define CLIMB_MAX 4096 /* directories above a removed one that have been removed, too */

/* Files through which uid 0 could change the host without any capability. (/proc/mtrr asks for
 * CAP_SYS_ADMIN itself.) */
static const char *const proc_locked[] = {
    "/proc/sysrq-trigger", "/proc/irq", "/proc/bus", "/proc/fs", "/proc/acpi", "/proc/scsi"};

static int tree_set_readonly(int fd, const char *path)
{
    struct mount_attr attr = {.attr_set = MOUNT_ATTR_RDONLY};
    unsigned flags = AT_RECURSIVE | (path[0] == '\0' ? (unsigned)AT_EMPTY_PATH : 0);

    return syscall(SYS_mount_setattr, fd, path, flags, &attr, sizeof attr) < 0 ? -errno : 0;
}

/* Has the mount at `path` this flag (ST_* of statvfs(3))? Read back from the kernel. */
static int mount_check(const char *path, long flag, struct error *error)
{
    struct statfs state;

    if (statfs(path, &state) < 0)
        return error_errno(error, -errno, "cannot look at the mount of %s", path);
    if (!(state.f_flags & flag))
        return error_set(error, -EPERM, "the kernel did not take the flags of the mount at %s",
                         path);
    return 0;
}

/* Covers `path` with a read-only view of itself. */
static int path_lock(const char *path, struct error *error)
{
    if (mount(path, path, NULL, MS_BIND | MS_REC, NULL) < 0)
        return errno == ENOENT ? 0 /* this kernel has no such file */
                               : error_errno(error, -errno, "cannot cover %s", path);
    if (tree_set_readonly(AT_FDCWD, path) < 0)
        return error_errno(error, -errno, "cannot make %s read-only", path);
    return mount_check(path, ST_RDONLY, error);
}

static int proc_mount(struct error *error)
{
    if (mount("proc", "/proc", "proc", QUIET, NULL) == 0)
        return 0;
    (void)error_errno(error, -errno, "cannot mount the jail's /proc");
    error_hint(error, errno == EPERM
                          ? "a container or jail that covers parts of /proc forbids this; "
                            "`processes shared` does without a pid namespace"
                          : "`processes shared` does without a pid namespace");
    return error->code;
}

static bool is_mount(const char *path)
{
    struct statx state;

    return statx(AT_FDCWD, path, AT_NO_AUTOMOUNT, 0, &state) == 0 &&
           (state.stx_attributes & STATX_ATTR_MOUNT_ROOT);
}

/* A container may forbid a new /sys as it forbids a new /proc. Then the one that is there stays,
 * read-only and with the host's interfaces covered. */
static int sys_cover(struct error *error)
{
    static const char *const covered[] = {"/sys/class/net", "/sys/devices/virtual/net"};

    if (tree_set_readonly(AT_FDCWD, "/sys") < 0)
        return error_errno(error, -errno, "cannot make /sys read-only");
    for (size_t i = 0; i < ARRAY_LENGTH(covered); i++) {
        if (mount("tmpfs", covered[i], "tmpfs", QUIET | MS_RDONLY, "mode=755") < 0 &&
            errno != ENOENT)
            return error_errno(error, -errno, "cannot hide the host's interfaces in %s",
                               covered[i]);
    }
    return 0;
}

static int sys_mount(bool *ret_kept, struct error *error)
{
    cleanup_fd int cgroups = -1;

    if (is_mount("/sys/fs/cgroup")) {
        cgroups = (int)syscall(SYS_open_tree, AT_FDCWD, "/sys/fs/cgroup",
                               OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_RECURSIVE);
        if (cgroups < 0 || tree_set_readonly(cgroups, "") < 0)
            return error_errno(error, -errno, "cannot take /sys/fs/cgroup into the jail");
    }
    if (mount("sysfs", "/sys", "sysfs", QUIET | MS_RDONLY, NULL) < 0) {
        *ret_kept = errno == EPERM;
        if (errno == EPERM)
            return sys_cover(error);
        return errno == ENOENT ? 0 /* no /sys here, none in the jail */
                               : error_errno(error, -errno, "cannot mount the jail's /sys");
    }
    if (cgroups >= 0 && syscall(SYS_move_mount, cgroups, "", AT_FDCWD, "/sys/fs/cgroup",
                                MOVE_MOUNT_F_EMPTY_PATH) < 0)
        return error_errno(error, -errno, "cannot put /sys/fs/cgroup into the jail");
    return 0;
}

/* Whatever the IPC namespace, the host's message queues can be opened there. */
static int queues_mount(struct error *error)
{
    if (!is_mount(MQUEUE) || mount("mqueue", MQUEUE, "mqueue", QUIET, NULL) == 0)
        return 0;
    return error_errno(error, -errno, "cannot mount the jail's " MQUEUE);
}

/* Is `path` `directory` or below it? */
static bool is_below(const char *path, const char *directory)
{
    size_t length = strlen(directory);

    return strncmp(path, directory, length) == 0 && (path[length] == '/' || path[length] == '\0');
}

static bool is_covered(const char *cwd)
{
    static const char *const covered[] = {"/proc", "/sys",           "/run",           "/var/run",
                                          "/etc",  "/tmp/.X11-unix", "/tmp/.ICE-unix", MQUEUE};

    for (size_t i = 0; i < ARRAY_LENGTH(covered); i++) {
        if (is_below(cwd, covered[i]))
            return true;
    }
    return strstr(cwd, "/tmux-") || strstr(cwd, "/.screen") || strstr(cwd, "/.docker");
}

/* No search by readdir() as in the library. */
static long cwd_read(char cwd[CWD_SIZE])
{
    return syscall(SYS_getcwd, cwd, CWD_SIZE);
}

static int cwd_refuse(const char *why, struct error *error)
{
    (void)error_set(error, -EPERM, "the current directory %s", why);
    error_hint(error, "start netjail from another directory");
    return -EPERM;
}

/* A removed directory has no path, but `..` still leads to the one above it. */
__attribute__((noinline)) static int cwd_judge_removed(struct error *error)
{
    cleanup_fd int here = open(".", O_PATH | O_DIRECTORY | O_CLOEXEC);
    char above[CWD_SIZE];
    long length = -1;

    for (int i = 0; here >= 0 && length < 0 && i < CLIMB_MAX && chdir("..") == 0; i++)
        length = cwd_read(above);
    if (here < 0 || fchdir(here) < 0)
        return error_errno(error, -errno, "cannot look at the current directory");
    if (length < 0 || above[0] != '/' || is_covered(above))
        return cwd_refuse("has been removed, and what is above it may not be reached", error);
    return 0;
}

static int cwd_note(char cwd[CWD_SIZE], struct error *error)
{
    bool is_removed = cwd_read(cwd) < 0;

    if (is_removed && errno != ENOENT)
        return error_errno(error, -errno, "cannot find the current directory");
    /* "(unreachable)/run": lazily unmounted, or in another mount namespace. */
    if (!is_removed && cwd[0] != '/')
        return cwd_refuse("is in no file system that is mounted here", error);
    if (is_removed)
        cwd[0] = '\0';
    return is_removed ? cwd_judge_removed(error) : 0;
}

/* A current directory in what is covered by now would still be the host's: only one that its path
 * leads to is kept as it is. Where the path leads nowhere, or is not ours to look at, the known
 * places tell. */
static int cwd_settle(char cwd[CWD_SIZE], struct error *error)
{
    const unsigned what = STATX_INO | STATX_MNT_ID;
    struct statx here, there;
    bool is_kept;

    if (cwd[0] == '\0')
        return 0;
    if (statx(AT_FDCWD, "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC, what, &here) < 0)
        return error_errno(error, -errno, "cannot look at the current directory");
    if (statx(AT_FDCWD, cwd, AT_NO_AUTOMOUNT | AT_STATX_DONT_SYNC, what, &there) == 0)
        is_kept = here.stx_ino == there.stx_ino && here.stx_mnt_id == there.stx_mnt_id;
    else if (errno == EACCES || errno == ENOENT)
        is_kept = !is_covered(cwd);
    else
        return error_errno(error, -errno, "cannot look at '%s'", cwd);
    if (is_kept)
        cwd[0] = '\0';
    return 0;
}

/* uid 0 writes what belongs to root without any capability; with some, others do or become it. */
static int proc_lock(const struct jail_setup *setup, struct error *error)
{
    bool as_root = setup->identity.uid == 0 || setup->policy->capabilities_kept != 0;
    int status = path_lock("/proc/sys", error);

    for (size_t i = 0; status == 0 && as_root && i < ARRAY_LENGTH(proc_locked); i++)
        status = path_lock(proc_locked[i], error);
    return status == 0 && as_root ? pseudo_lock(error) : status;
}

/* In a user namespace root's files belong to nobody, which ssh refuses in its configuration. */
static int ssh_cover(struct error *error)
{
    if (mount("tmpfs", "/etc/ssh/ssh_config.d", "tmpfs", QUIET | MS_RDONLY, "mode=755") < 0 &&
        errno != ENOENT)
        return error_errno(error, -errno, "cannot cover /etc/ssh/ssh_config.d");
    return 0;
}

/* No program below gets anything from its set-user-ID bit or its file capabilities: no_new_privs
 * says the same, but exec() of a program whose file capabilities the bounding set lacks (ping)
 * fails with EPERM unless its mount is nosuid (capabilities(7)). */
static int nosuid_everywhere(struct error *error)
{
    struct mount_attr attributes = {.attr_set = MOUNT_ATTR_NOSUID};

    if (syscall(SYS_mount_setattr, AT_FDCWD, "/", AT_RECURSIVE, &attributes, sizeof attributes) < 0)
        return error_errno(error, -errno, "cannot make the jail's mounts nosuid");
    return mount_check("/", ST_NOSUID, error);
}

/* Whoever sits at the screen may turn off the radio of the whole machine by a write(2). */
static int radio_cover(struct error *error)
{
    if (access(RFKILL, F_OK) < 0)
        return errno == ENOENT || errno == ENOTDIR || errno == EACCES
                   ? 0 /* none, or out of reach */
                   : error_errno(error, -errno, "cannot look at " RFKILL);
    if (mount("/dev/null", RFKILL, NULL, MS_BIND, NULL) < 0)
        return error_errno(error, -errno, "cannot hide " RFKILL);
    return 0;
}

int files_setup(const struct jail_setup *setup, bool user_namespace, struct files *ret_files,
                struct error *error)
{
    const struct policy *policy = setup->policy;
    struct name_files names;
    int status = cwd_note(ret_files->cwd, error);

    if (status == 0 && mount(NULL, "/", NULL, MS_SLAVE | MS_REC, NULL) < 0)
        status = error_errno(error, -errno, "cannot make the jail's mounts private");
    if (status == 0)
        status = nosuid_everywhere(error);
    if (status == 0 && !policy->processes_shared)
        status = proc_mount(error);
    if (status == 0)
        status = sys_mount(&ret_files->sys_kept, error);
    if (status == 0)
        status = queues_mount(error);
    if (status == 0)
        status = radio_cover(error);
    name_files_look(setup, &names);
    if (status == 0 && policy->unix_sockets == UNIX_SOCKETS_MASKED) {
        status = masks_setup("/run", names.in_run[0] ? names.in_run : NULL, error);
        ret_files->run_covered = status > 0;
        if (status >= 0)
            status = masks_setup("/var/run", NULL, error);
        status = status > 0 ? 0 : status;
        if (status == 0)
            status = masks_elsewhere(setup, error);
    } else if (status == 0) {
        status = masks_state(setup, error);
    }
    if (status == 0 && !setup->argv)
        status = netns_files_bind(setup->name, error);
    if (status == 0)
        status = name_files_setup(setup, &names, error);
    if (status == 0 && user_namespace)
        status = ssh_cover(error);
    if (status < 0)
        return status;
    ret_files->writable_sys_fd = open("/proc/sys", O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (ret_files->writable_sys_fd < 0)
        return error_errno(error, -errno, "cannot open the jail's /proc/sys");
    status = proc_lock(setup, error);
    return status < 0 ? status : cwd_settle(ret_files->cwd, error);
}
