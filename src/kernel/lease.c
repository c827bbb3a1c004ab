/* The state directory, the pool's lock, and the lease of our own jail.
 *
 * A lease says what a jail did to the host, and is written before it is done. Its lock is the sign
 * of life: flock belongs to the open file, so it stays with a process that was forked to clean up
 * and ends with the last of them, however they die. A new text replaces the old by rename, with the
 * new file locked before: no reader ever sees half a record, nor an unlocked file of a living jail.
 *
 * The directory is judged on the opened descriptor (type, owner, mode), and everything in it is
 * opened relative to it without following links. File names come from validated jail names only.
 *
 * The pool's lock is a flock on the directory itself. The last jail removes the directory, under
 * the lock; whoever finds that what it has open (or has locked) is no longer the one of that name
 * opens it again. A directory that was made for the group `netjail` (tmpfiles.d) stays.
 *
 * Mustn't: remove the directory without its lock (two holders of two locks of one name), or trust a
 * directory that somebody else may write. */
#include "kernel/lease_internal.h"

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/write.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define SYSTEM_DIRECTORY "/run/netjail"
#define STATE_GROUP      "netjail"
#define PAUSE_NS         1000000L
#define OVERFLOW_UID     65534 /* what an unmapped user looks like (user_namespaces(7)) */
#define OPEN_TRIES       100

void lease_pause(void)
{
    struct timespec pause = {.tv_nsec = PAUSE_NS};
    (void)nanosleep(&pause, NULL); /* a shorter pause does no harm */
}

/* May the group write here? Only the group that exists for it. Made by sysusers, it is in the file:
 * other databases would need modules, see jail/lookup.c. */
static bool is_state_group(gid_t gid)
{
    cleanup_file FILE *file = fopen("/etc/group", "re");
    const struct group *group;

    while (file && (group = fgetgrent(file)))
        if (strcmp(group->gr_name, STATE_GROUP) == 0)
            return group->gr_gid == gid;
    return false;
}

static int judge_directory(const char *path, int fd, uid_t owner, bool *ret_shared,
                           struct error *error)
{
    struct stat status;
    if (fstat(fd, &status) < 0)
        return error_errno(error, -errno, "cannot examine '%s'", path);
    if (status.st_uid == OVERFLOW_UID && owner != OVERFLOW_UID)
        return error_set(error, -EACCES, "'%s' belongs to a user outside of this user namespace",
                         path);
    if (status.st_uid != owner)
        return error_set(error, -EPERM, "'%s' belongs to user %u: leases there cannot be trusted",
                         path, status.st_uid);
    if (status.st_mode & S_IWOTH)
        return error_set(error, -EPERM,
                         "'%s' may be written by everybody: leases there cannot be "
                         "trusted",
                         path);
    /* For root, too: the supervisor gives up what overrides modes, and tidies up later. */
    if ((status.st_mode & S_IRWXU) != S_IRWXU) {
        error_set(error, -EACCES, "'%s' is closed to its owner", path);
        error_hint(error, "chmod u+rwx '%s'", path);
        return -EACCES;
    }
    *ret_shared = status.st_mode & S_IWGRP;
    if (*ret_shared && !is_state_group(status.st_gid))
        return error_set(error, -EPERM,
                         "'%s' may be written by group %u, which is not the group '%s'", path,
                         status.st_gid, STATE_GROUP);
    /* Else a lease has its maker's group: the others could not read what is still used. */
    if (*ret_shared && !(status.st_mode & S_ISGID)) {
        error_set(error, -EPERM,
                  "'%s' is not set-group-ID: its members could not read each "
                  "other's leases",
                  path);
        error_hint(error, "chmod g+s '%s'", path);
        return -EPERM;
    }
    return 0;
}

/* With the mode as it is given: the caller's umask may take away even our own access. */
static int directory_make(const char *path, mode_t mode)
{
    mode_t mask = umask(0);
    int r = mkdir(path, mode) < 0 ? -errno : 0;
    (void)umask(mask); /* cannot fail */
    return r;
}

static int file_make(int directory_fd, const char *file, int flags, mode_t mode)
{
    mode_t mask = umask(0);
    int fd = openat(directory_fd, file, flags | O_CREAT | O_NOFOLLOW | O_CLOEXEC, mode);
    int code = errno;
    (void)umask(mask); /* cannot fail */
    errno = code;
    return fd;
}

static int open_at_path(const char *path, uid_t owner, bool create,
                        struct lease_directory **ret_directory, struct error *error)
{
    cleanup_fd int fd = -1;
    /* The last jail may remove it between the two calls. */
    for (int tries = 0; fd < 0 && tries < OPEN_TRIES; tries++) {
        int made = create ? directory_make(path, 0700) : 0;
        if (made < 0 && made != -EEXIST)
            return error_errno(error, made, "cannot make the state directory '%s'", path);
        fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (fd < 0 && (errno != ENOENT || !create))
            break;
    }
    if (fd < 0)
        return error_errno(error, -errno, "cannot open the state directory '%s'", path);
    bool is_shared = false;
    int r = judge_directory(path, fd, owner, &is_shared, error);
    if (r < 0)
        return r;
    struct lease_directory *directory = calloc(1, sizeof *directory);
    if (!directory)
        return error_set(error, -ENOMEM, "out of memory");
    directory->fd = take_fd(&fd);
    directory->is_shared = is_shared;
    directory->owner = owner;
    (void)snprintf(directory->path, sizeof directory->path, "%s", path);
    *ret_directory = directory;
    return 0;
}

int lease_directory_open_path(const char *path, uid_t owner, struct lease_directory **ret_directory,
                              struct error *error)
{
    return open_at_path(path, owner, false, ret_directory, error);
}

/* The directory of an ordinary user. */
static int user_path(char *path, size_t size)
{
    const char *runtime = getenv("XDG_RUNTIME_DIR");
    int length = runtime && runtime[0] == '/'
                     ? snprintf(path, size, "%s/netjail", runtime)
                     : snprintf(path, size, "/run/user/%u/netjail", geteuid());
    return length > 0 && (size_t)length < size ? 0 : -ENAMETOOLONG;
}

static int open_of_host(bool create, struct lease_directory **ret_directory, struct error *error)
{
    int r = open_at_path(SYSTEM_DIRECTORY, 0, create && geteuid() == 0, ret_directory, error);
    if (r < 0 && geteuid() != 0)
        error_hint(error, "root makes it for the group '" STATE_GROUP
                          "' (tmpfiles.d): d " SYSTEM_DIRECTORY " 2775 root " STATE_GROUP " -");
    return r;
}

static int open_of_user(bool create, struct lease_directory **ret_directory, struct error *error)
{
    char path[200];
    if (getauxval(AT_SECURE))
        return error_set(error, -ENOENT, "the environment of the caller is not trusted");
    int r = user_path(path, sizeof path);
    if (r < 0)
        return error_set(error, r, "XDG_RUNTIME_DIR is too long");
    r = open_at_path(path, geteuid(), create, ret_directory, error);
    if (r == -ENOENT)
        error_hint(error, "there is no runtime directory of this user; log in through "
                          "systemd-logind, or set XDG_RUNTIME_DIR to a directory of your own");
    return r;
}

int lease_directory_open(enum lease_scope scope, bool create,
                         struct lease_directory **ret_directory, struct error *error)
{
    return scope == LEASE_HOST ? open_of_host(create, ret_directory, error)
                               : open_of_user(create, ret_directory, error);
}

void lease_directory_close(struct lease_directory *directory)
{
    if (!directory)
        return;
    cleanup_close_fd(&directory->fd);
    free(directory);
}

/* Root's word counts more than the group's, so the group may not change it. */
static mode_t file_mode(const struct lease_directory *directory)
{
    if (directory->is_shared)
        return geteuid() == 0 ? 0640 : 0660;
    return 0600;
}

/* Is the open directory still the one of its name? 1 or 0, or a negative errno: not known. */
static int directory_is_current(const struct lease_directory *directory)
{
    struct stat ours, theirs;
    if (fstat(directory->fd, &ours) < 0)
        return -errno;
    if (fstatat(AT_FDCWD, directory->path, &theirs, AT_SYMLINK_NOFOLLOW) < 0)
        return errno == ENOENT ? 0 : -errno;
    return ours.st_dev == theirs.st_dev && ours.st_ino == theirs.st_ino;
}

void lease_unlock(struct lease_directory *directory)
{
    (void)flock(directory->fd, LOCK_UN); /* cannot fail on an open descriptor */
}

/* Opens the directory again after the last jail has removed it. */
static int directory_reopen(struct lease_directory *directory, struct error *error)
{
    struct lease_directory *fresh = NULL;
    int r = open_at_path(directory->path, directory->owner, true, &fresh, error);
    if (r < 0)
        return r;
    cleanup_close_fd(&directory->fd);
    directory->fd = take_fd(&fresh->fd);
    directory->is_shared = fresh->is_shared;
    lease_directory_close(fresh);
    return 0;
}

int lease_lock(struct lease_directory *directory, int timeout_ms, struct error *error)
{
    int64_t end_ms = clock_now_ms() + timeout_ms;
    for (;;) {
        if (flock(directory->fd, LOCK_EX | LOCK_NB) == 0) {
            int r = directory_is_current(directory);
            if (r > 0)
                return 0;
            /* A copy of the descriptor may live on, and would keep the lock with it. */
            lease_unlock(directory);
            if (r < 0)
                return error_errno(error, r, "cannot examine '%s'", directory->path);
            r = directory_reopen(directory, error);
            if (r < 0)
                return r;
            continue;
        }
        if (errno != EWOULDBLOCK && errno != EINTR)
            return error_errno(error, -errno, "cannot lock '%s'", directory->path);
        if (clock_now_ms() >= end_ms)
            return error_set(error, -ETIMEDOUT,
                             "another netjail holds the lock of '%s' for more than %d ms",
                             directory->path, timeout_ms);
        lease_pause();
    }
}

void lease_directory_tidy(struct lease_directory *directory)
{
    if (directory->is_shared || flock(directory->fd, LOCK_EX | LOCK_NB) < 0)
        return; /* whoever has the lock is about to use it */
    if (directory_is_current(directory) > 0)
        (void)rmdir(directory->path); /* fails while another jail has its lease there */
    lease_unlock(directory);
}

static bool is_name_byte(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
           c == '_' || c == '-';
}

static bool is_jail_name(const char *name, size_t length)
{
    if (length == 0 || length > JAIL_NAME_MAX || strchr("._-", name[0]))
        return false;
    for (size_t i = 0; i < length; i++)
        if (!is_name_byte(name[i]))
            return false;
    return true;
}

bool lease_file_name(const char *file, char name[JAIL_NAME_MAX + 1])
{
    size_t length = strlen(file);
    size_t suffix = sizeof LEASE_SUFFIX - 1;
    if (length <= suffix || strcmp(file + length - suffix, LEASE_SUFFIX) != 0 ||
        !is_jail_name(file, length - suffix))
        return false;
    memcpy(name, file, length - suffix);
    name[length - suffix] = '\0';
    return true;
}

bool lease_file_is_current(int directory_fd, const char *file, int fd)
{
    struct stat ours, theirs;
    return fstat(fd, &ours) == 0 &&
           fstatat(directory_fd, file, &theirs, AT_SYMLINK_NOFOLLOW) == 0 &&
           ours.st_dev == theirs.st_dev && ours.st_ino == theirs.st_ino;
}

/* Who has the lock of the file of our name? 0: nobody, it is ours now. -EAGAIN: try again. */
static int claim(struct lease *lease, bool *ret_ending, struct error *error)
{
    lease->fd = file_make(lease->directory_fd, lease->file, O_RDWR | O_NONBLOCK, lease->mode);
    if (lease->fd < 0)
        return error_errno(error, -errno, "cannot make the lease '%s'", lease->file);
    struct stat status;
    if (flock(lease->fd, LOCK_EX | LOCK_NB) == 0) {
        if (!lease_file_is_current(lease->directory_fd, lease->file, lease->fd))
            return -EAGAIN;
        if (fstat(lease->fd, &status) == 0 && status.st_size == 0)
            return 0;
        *ret_ending = false;
        error_set(error, -EEXIST, "the lease '%s' of a jail that was killed is in the way",
                  lease->file);
        error_hint(error, "run `netjailctl gc`");
        return -EEXIST;
    }
    /* A reader has the lock shared, for a moment only. */
    if (flock(lease->fd, LOCK_SH | LOCK_NB) == 0)
        return -EAGAIN;
    struct record *record = NULL;
    struct error ignored = {0};
    *ret_ending = lease_file_read(lease->fd, lease->file, &record, &ignored) == 0 &&
                  record->state == RECORD_ENDING;
    record_free(record);
    return error_set(error, -EEXIST, "a jail with this name %s already",
                     *ret_ending ? "is ending" : "runs");
}

/* -EAGAIN: the file or the directory has just gone. */
static int attempt(struct lease_directory *directory, struct lease *lease, bool *ret_ending,
                   struct error *error)
{
    cleanup_close_fd(&lease->fd);
    cleanup_close_fd(&lease->directory_fd);
    lease->fd = -1;
    lease->directory_fd = fcntl(directory->fd, F_DUPFD_CLOEXEC, 3);
    if (lease->directory_fd < 0)
        return error_errno(error, -errno, "cannot open a lease");
    int r = claim(lease, ret_ending, error);
    if (r != -ENOENT)
        return r;
    r = directory_reopen(directory, error);
    return r < 0 ? r : -EAGAIN;
}

int lease_create(struct lease_directory *directory, const struct record *record,
                 struct lease **ret_lease, bool *ret_ending, struct error *error)
{
    if (!is_jail_name(record->name, strnlen(record->name, sizeof record->name)))
        return error_set(error, -EINVAL, "'%s' is no name of a jail", record->name);
    struct lease *lease = calloc(1, sizeof *lease);
    if (!lease)
        return error_set(error, -ENOMEM, "out of memory");
    (void)snprintf(lease->file, sizeof lease->file, "%s" LEASE_SUFFIX, record->name);
    lease->mode = file_mode(directory);
    lease->fd = -1;
    lease->directory_fd = -1;
    int r;
    do {
        r = attempt(directory, lease, ret_ending, error);
        if (r == -EAGAIN)
            lease_pause();
    } while (r == -EAGAIN);
    if (r == 0) {
        r = lease_write(lease, record, error);
        if (r < 0)
            (void)unlinkat(lease->directory_fd, lease->file, 0); /* empty and ours */
    }
    if (r < 0) {
        lease_close(lease);
        return r;
    }
    *ret_lease = lease;
    return 0;
}

int lease_write(struct lease *lease, const struct record *record, struct error *error)
{
    char temporary[sizeof lease->file + sizeof LEASE_TEMPORARY_SUFFIX];
    (void)snprintf(temporary, sizeof temporary, "%s" LEASE_TEMPORARY_SUFFIX, lease->file);
    (void)unlinkat(lease->directory_fd, temporary, 0); /* what a killed writer may have left */
    cleanup_fd int fd = file_make(lease->directory_fd, temporary, O_RDWR | O_EXCL, lease->mode);
    if (fd < 0)
        return error_errno(error, -errno, "cannot write the lease '%s'", lease->file);
    cleanup_buf struct buf text = {0};
    record_print(record, &text);
    int r = flock(fd, LOCK_EX | LOCK_NB) < 0 ? -errno : 0;
    if (r == 0)
        r = write_all(fd, buf_text(&text), text.length);
    if (r == 0 && renameat(lease->directory_fd, temporary, lease->directory_fd, lease->file) < 0)
        r = -errno;
    if (r < 0) {
        (void)unlinkat(lease->directory_fd, temporary, 0); /* it is of no use to anybody */
        return error_errno(error, r, "cannot write the lease '%s'", lease->file);
    }
    cleanup_close_fd(&lease->fd);
    lease->fd = take_fd(&fd);
    return 0;
}

/* The file of this name: 1 ours, 0 none or another's. */
static int file_is_ours(const struct lease *lease)
{
    struct stat ours, theirs;
    if (fstat(lease->fd, &ours) < 0)
        return -errno;
    if (fstatat(lease->directory_fd, lease->file, &theirs, AT_SYMLINK_NOFOLLOW) < 0)
        return errno == ENOENT ? 0 : -errno;
    return ours.st_dev == theirs.st_dev && ours.st_ino == theirs.st_ino;
}

int lease_remove(struct lease *lease, struct error *error)
{
    if (!lease)
        return 0;
    int r = file_is_ours(lease);
    bool is_ours = r > 0;
    if (is_ours) /* the lease last: what is left beside it is found by its name */
        r = lease_socket_remove(lease->directory_fd, lease->file);
    if (is_ours && r == 0)
        r = unlinkat(lease->directory_fd, lease->file, 0) < 0 && errno != ENOENT ? -errno : 0;
    if (r < 0)
        r = error_errno(error, r, "cannot remove the lease '%s'", lease->file);
    lease_close(lease);
    return r;
}

void lease_close(struct lease *lease)
{
    if (!lease)
        return;
    cleanup_close_fd(&lease->fd);
    cleanup_close_fd(&lease->directory_fd);
    free(lease);
}

int netns_identity(uint64_t *ret_cookie, uint64_t *ret_inode)
{
    static uint64_t cookie, inode; /* a process keeps its namespace: looked at once */
    struct stat status;
    socklen_t length = sizeof cookie;
    *ret_cookie = cookie;
    *ret_inode = inode;
    if (inode != 0)
        return 0;
    cleanup_fd int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || stat("/proc/self/ns/net", &status) < 0)
        return -errno;
    if (getsockopt(fd, SOL_SOCKET, SO_NETNS_COOKIE, &cookie, &length) < 0)
        return -errno;
    *ret_cookie = cookie;
    *ret_inode = inode = status.st_ino;
    return 0;
}
