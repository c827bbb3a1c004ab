/* Settings below /proc/sys of the present network namespace, by path without leading slash.
 *
 * A path comes from the plan, or out of a lease file, which is not trusted: it must be relative and
 * below net/, without empty, `.` or `..` components, and no symbolic link is followed in it. What
 * was written is read back. */
#include "kernel/sysctl.h"

#include "base/cleanup.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

static bool path_is_sane(const char *path)
{
    if (strncmp(path, "net/", 4) != 0)
        return false;
    for (const char *part = path; part; part = strchr(part, '/')) {
        if (*part == '/')
            part++;
        size_t length = strcspn(part, "/");
        if (length == 0 || (length == 1 && part[0] == '.') ||
            (length == 2 && part[0] == '.' && part[1] == '.'))
            return false;
    }
    return true;
}

static int open_setting(const char *path, int flags)
{
    if (!path_is_sane(path))
        return -EINVAL;
    char whole[sizeof "/proc/sys/" + SYSCTL_PATH_SIZE];
    if (snprintf(whole, sizeof whole, "/proc/sys/%s", path) >= (int)sizeof whole)
        return -ENAMETOOLONG;
    struct open_how how = {.flags = (uint64_t)(unsigned)(flags | O_CLOEXEC),
                           .resolve = RESOLVE_NO_SYMLINKS};
    long fd = syscall(SYS_openat2, AT_FDCWD, whole, &how, sizeof how);
    return fd < 0 ? -errno : (int)fd;
}

static int value_read(int fd, char value[SYSCTL_VALUE_SIZE])
{
    char text[SYSCTL_VALUE_SIZE];
    ssize_t length = pread(fd, text, sizeof text, 0);
    if (length < 0)
        return -errno;
    if ((size_t)length == sizeof text)
        return -EOVERFLOW;
    while (length > 0 && text[length - 1] == '\n')
        length--;
    memcpy(value, text, (size_t)length);
    value[length] = '\0';
    return 0;
}

int sysctl_read(const char *path, char value[SYSCTL_VALUE_SIZE])
{
    cleanup_fd int fd = open_setting(path, O_RDONLY);
    return fd < 0 ? fd : value_read(fd, value);
}

int8_t sysctl_read_flag(const char *path)
{
    char value[SYSCTL_VALUE_SIZE];
    if (sysctl_read(path, value) < 0 || value[0] < '0' || value[0] > '9' || value[1] != '\0')
        return -1;
    return (int8_t)(value[0] - '0');
}

int sysctl_write(const char *path, const char *value)
{
    cleanup_fd int fd = open_setting(path, O_RDWR);
    if (fd < 0)
        return fd;
    ssize_t written = write(fd, value, strlen(value));
    if (written < 0)
        return -errno;
    char now[SYSCTL_VALUE_SIZE];
    int r = value_read(fd, now);
    if (r < 0)
        return r;
    return strcmp(now, value) == 0 ? 0 : -EIO;
}

/* Only what is still ours is put back: somebody may have changed it since, or the switch that sets
 * it for all interfaces. */
static int restore(const struct op *op)
{
    char now[SYSCTL_VALUE_SIZE];
    if (op->sysctl.switch_path[0] && sysctl_read(op->sysctl.switch_path, now) == 0 &&
        strcmp(now, op->sysctl.switch_value) != 0)
        return 0;
    int r = sysctl_read(op->sysctl.path, now);
    if (r == -ENOENT)
        return 0; /* went away with its interface */
    if (r < 0)
        return r;
    if (strcmp(now, op->sysctl.value) != 0)
        return 0;
    return sysctl_write(op->sysctl.path, op->sysctl.was);
}

int sysctl_op(const struct op *op, struct error *error)
{
    bool is_restore = op->kind == OP_SYSCTL_RESTORE;
    int r = is_restore ? restore(op) : sysctl_write(op->sysctl.path, op->sysctl.value);
    if (r == -ENOENT && op->sysctl.optional)
        return 0;
    if (r == 0)
        return 0;
    const char *value = is_restore ? op->sysctl.was : op->sysctl.value;
    if (r == -EIO)
        return error_set(error, r, "cannot set %s to '%s': the kernel did not keep the value",
                         op->sysctl.path, value);
    error_errno(error, r, "cannot set %s to '%s'", op->sysctl.path, value);
    if (r == -EROFS || r == -EACCES)
        error_hint(error, "/proc/sys is read-only here, as in many containers: mount it writable "
                          "or set this value outside");
    return r;
}
