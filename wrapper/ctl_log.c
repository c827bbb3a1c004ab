/* netjailctl log: the denial log of a running jail.
 *
 * netjail keeps no log that nobody asked for: what is denied is counted (status), and written where
 * the policy's `log denied` says. A file is shown from here; of a log that goes elsewhere, or of
 * none, it is said where it is and which statement makes one. The file is opened with our own
 * rights, and the lease that names it may be another user's: what is not his plain file is not
 * opened (a device may act on that). */
#include "base/cleanup.h"
#include "wrapper/ctl.h"
#include "wrapper/ctl_client.h"
#include "wrapper/report.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#define FOLLOW_MS 200

static int copy_rest(int fd, struct error *error)
{
    char text[8192];
    ssize_t length;

    while ((length = read(fd, text, sizeof text)) > 0) {
        if (fwrite(text, 1, (size_t)length, stdout) != (size_t)length)
            return error_errno(error, -EIO, "cannot write the log");
    }
    if (length < 0)
        return error_errno(error, -errno, "cannot read the log");
    return fflush(stdout) == 0 ? 0 : error_errno(error, -errno, "cannot write the log");
}

/* Until the jail ends. */
static int follow(int fd, const struct record *record, struct error *error)
{
    cleanup_fd int supervisor = (int)syscall(SYS_pidfd_open, record->pid, 0u);
    struct pollfd end = {.fd = supervisor, .events = POLLIN};
    int result;

    do
        result = copy_rest(fd, error);
    while (result == 0 && supervisor >= 0 && poll(&end, 1, FOLLOW_MS) == 0);
    return result == 0 ? copy_rest(fd, error) : result;
}

/* The log's descriptor, or a negative errno. */
static int log_open(const struct record *record, struct error *error)
{
    cleanup_fd int file = open(record->log, O_PATH | O_CLOEXEC);
    char path[64];
    struct stat state;
    int fd;

    if (file < 0 || fstat(file, &state) < 0)
        return error_errno(error, -errno, "cannot read the log '%s'", record->log);
    if (!S_ISREG(state.st_mode))
        return error_set(error, -EINVAL, "the log '%s' is no plain file", record->log);
    if (record->uid != geteuid() && state.st_uid != record->uid)
        return error_set(error, -EPERM, "the log '%s' does not belong to the jail's user",
                         record->log);
    (void)snprintf(path, sizeof path, "/proc/self/fd/%d", file); /* fits */
    fd = open(path, O_RDONLY | O_CLOEXEC);
    return fd < 0 ? error_errno(error, -errno, "cannot read the log '%s'", record->log) : fd;
}

static int show(const struct found_jail *found, const struct ctl_options *options,
                struct error *error)
{
    const struct record *record = found->record;
    cleanup_fd int fd = -1;

    if (!record->log || !record->log[0]) {
        (void)error_set(error, -ENODATA, "jail '%s' has no denial log", record->name);
        error_hint(error,
                   "`log denied to file PATH` in its policy (or netjail --log PATH) makes "
                   "one; `netjailctl status %s` counts what is denied",
                   record->name);
        return -ENODATA;
    }
    if (record->log[0] != '/') {
        (void)error_set(error, -ENODATA, "the denial log of jail '%s' goes to its %s", record->name,
                        record->log);
        error_hint(error, "`log denied to file PATH` makes one that can be shown here");
        return -ENODATA;
    }
    fd = log_open(record, error);
    if (fd < 0)
        return fd;
    return options->follow ? follow(fd, record, error) : copy_rest(fd, error);
}

int ctl_log(const struct ctl_options *options)
{
    struct found_jail found = {0};
    struct error error = {0};
    int result = jail_find(options->arguments[0], &found, &error);

    if (result == 0)
        result = show(&found, options, &error);
    if (result < 0)
        report_error(CTL_PROGRAM, NULL, &error);
    jails_free(&found.jails);
    return result == 0 ? CTL_OK : result == -ENOENT || result == -ENODATA ? CTL_NO : CTL_SYSTEM;
}
