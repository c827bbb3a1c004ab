/* The leases of the others: reading them, and cleaning up after dead ones.
 *
 * Locked means alive. An unlocked lease is a dead jail's, and its record the only memory of what it
 * left on the host, so the file goes last: after its undo has succeeded. A lease belongs to the
 * host namespace that it names; one of another namespace that still exists is left to those who
 * live there, one of a namespace that is gone has nothing left to undo.
 *
 * A record is hostile text: record_parse() judges it, sysctl and link undo check again. */
#include "kernel/lease_internal.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "kernel/apply.h"
#include "kernel/device.h"
#include "kernel/netns_name.h"
#include "plan/undo.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define LEASE_SIZE_MAX  (4L * 1024 * 1024)
#define LOCK_TIMEOUT_MS 10000

int lease_file_open(const struct lease_directory *directory, const char *file, int *ret_fd)
{
    cleanup_fd int fd = openat(directory->fd, file, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    struct stat status;
    if (fd < 0 || fstat(fd, &status) < 0)
        return -errno;
    bool is_trusted = status.st_uid == 0 || status.st_uid == geteuid() ||
                      status.st_uid == directory->owner || directory->is_shared;
    if (!S_ISREG(status.st_mode) || !is_trusted || (status.st_mode & S_IWOTH))
        return -EINVAL;
    *ret_fd = take_fd(&fd);
    return 0;
}

int lease_file_read(int fd, const char *file, struct record **ret_record, struct error *error)
{
    struct stat status;
    if (fstat(fd, &status) < 0)
        return error_errno(error, -errno, "cannot read the lease '%s'", file);
    if (status.st_size == 0)
        return -ENODATA;
    if (status.st_size > LEASE_SIZE_MAX)
        return error_set(error, -EINVAL, "the lease '%s' is too large", file);
    size_t size = (size_t)status.st_size;
    cleanup_free char *text = malloc(size);
    if (!text)
        return error_set(error, -ENOMEM, "out of memory");
    ssize_t length = pread(fd, text, size, 0);
    if (length < 0)
        return error_errno(error, -errno, "cannot read the lease '%s'", file);
    return record_parse(text, (size_t)length, ret_record, error);
}

/* One lease as it was found. */
struct found {
    bool is_alive;
    struct record *record; /* NULL: empty or unreadable */
    struct error error;
};

/* Where a group may write leases each speaks for his own jails only. */
static bool is_of_its_writer(int fd, const struct record *record)
{
    struct stat status;
    return fstat(fd, &status) == 0 && status.st_uid == record->uid;
}

static int examine(const struct lease_directory *directory, const char *file,
                   struct found *ret_found)
{
    struct found found = {0};
    cleanup_fd int fd = -1;
    int r = lease_file_open(directory, file, &fd);
    if (r < 0)
        return r;
    found.is_alive = flock(fd, LOCK_SH | LOCK_NB) < 0;
    if (!lease_file_is_current(directory->fd, file, fd))
        return -EAGAIN; /* removed or replaced in between */
    (void)lease_file_read(fd, file, &found.record,
                          &found.error); /* no record, and error says why */
    if (found.record && !is_of_its_writer(fd, found.record)) {
        record_free(found.record);
        found.record = NULL;
        (void)error_set(&found.error, -EPERM, "the lease '%s' is about another user's jail", file);
    }
    *ret_found = found;
    return 0;
}

static bool names_namespace(const struct stat *status, uint64_t inode)
{
    return status->st_ino == inode;
}

/* Of a name that has gone meanwhile, or is not for us; after anything else nothing is known. */
static bool is_usual(int error_number)
{
    return error_number == ENOENT || error_number == ESRCH || error_number == EACCES ||
           error_number == EPERM || error_number == ELOOP;
}

static bool is_in_proc(uint64_t inode)
{
    cleanup_dir DIR *directory = opendir("/proc");
    const struct dirent *entry;
    while (directory && (entry = readdir(directory))) {
        char path[300];
        struct stat status;
        if (!isdigit((unsigned char)entry->d_name[0]))
            continue;
        (void)snprintf(path, sizeof path, "/proc/%s/ns/net", entry->d_name);
        if (stat(path, &status) == 0 ? names_namespace(&status, inode) : !is_usual(errno))
            return true;
    }
    return !directory; /* without /proc nothing is known: leave it */
}

static bool is_named(uint64_t inode)
{
    cleanup_dir DIR *directory = opendir("/run/netns");
    const struct dirent *entry;
    while (directory && (entry = readdir(directory))) {
        struct stat status;
        if (fstatat(dirfd(directory), entry->d_name, &status, 0) == 0
                ? names_namespace(&status, inode)
                : !is_usual(errno))
            return true;
    }
    return false;
}

struct scan {
    struct lease_directory *directory;
    const char *except;
    struct facts *facts;
    struct dead_lease *dead; /* owned until it is handed out */
    size_t dead_count;
    size_t dead_capacity;
    uint64_t cookie, inode;
    struct error error;
};

static int add_dead(struct scan *scan, const char *file, struct record *record)
{
    if (scan->dead_count == scan->dead_capacity) {
        size_t capacity = scan->dead_capacity * 2 + 8;
        struct dead_lease *dead = reallocarray(scan->dead, capacity, sizeof *dead);
        if (!dead) {
            record_free(record);
            return error_set(&scan->error, -ENOMEM, "out of memory");
        }
        scan->dead = dead;
        scan->dead_capacity = capacity;
    }
    struct dead_lease *lease = &scan->dead[scan->dead_count++];
    *lease = (struct dead_lease){.record = record};
    (void)snprintf(lease->file, sizeof lease->file, "%.79s", file);
    return 0;
}

static bool is_here(const struct scan *scan, const struct record *record)
{
    return record->netns_cookie == scan->cookie && record->netns_inode == scan->inode;
}

/* A name in /run/netns may be anybody's, and a device is given back with root's rights: on the word
 * of its own user or of root only. */
static bool may_undo(const struct record *record)
{
    return (!record->is_named && record->devices_count == 0) || record->uid == 0 ||
           record->uid == geteuid();
}

static int take_found(struct scan *scan, const char *file, struct found *found)
{
    struct record *record = found->record;
    if (found->is_alive && record && is_here(scan, record)) {
        *ARENA_PUSH(scan->facts->arena, scan->facts, others) = record;
        return 0;
    }
    if (!found->is_alive && !record)
        scan->error = found->error;
    bool is_collectable =
        !found->is_alive && (!record || is_here(scan, record) ||
                             (!is_in_proc(record->netns_inode) && !is_named(record->netns_inode)));
    if (is_collectable && (!record || may_undo(record)))
        return add_dead(scan, file, record);
    record_free(record);
    return 0;
}

/* Nothing is known of a lease for want of means: it is not as if it were not there. */
static bool is_want(int code)
{
    return code == -EMFILE || code == -ENFILE || code == -ENOMEM || code == -EIO || code == -EINTR;
}

static int scan_all(struct scan *scan)
{
    int copy = openat(scan->directory->fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    cleanup_dir DIR *directory = copy < 0 ? NULL : fdopendir(copy);
    if (!directory) {
        cleanup_close_fd(&copy);
        return error_errno(&scan->error, -errno, "cannot read '%s'", scan->directory->path);
    }
    const struct dirent *entry;
    int r = 0;
    while (r == 0 && (entry = readdir(directory))) {
        char name[JAIL_NAME_MAX + 1];
        struct found found;
        if (!lease_file_name(entry->d_name, name) ||
            (scan->except && strcmp(name, scan->except) == 0))
            continue;
        do {
            r = examine(scan->directory, entry->d_name, &found);
        } while (r == -EAGAIN);
        /* What is gone meanwhile, or no lease of a trusted owner, is none. */
        if (is_want(r))
            (void)error_errno(&scan->error, r, "cannot read the lease '%s'", entry->d_name);
        else
            r = r < 0 ? 0 : take_found(scan, entry->d_name, &found);
    }
    return r;
}

void lease_dead_free(struct dead_lease *dead, size_t count)
{
    for (size_t i = 0; i < count; i++)
        record_free(dead[i].record);
    free(dead);
}

int lease_scan(struct lease_directory *directory, const char *except, struct facts *facts,
               struct dead_lease **ret_dead, size_t *ret_dead_count, struct error *error)
{
    struct scan scan = {.directory = directory, .except = except, .facts = facts};
    int r = netns_identity(&scan.cookie, &scan.inode);
    if (r < 0)
        return error_errno(error, r, "cannot identify the network namespace");
    r = scan_all(&scan);
    if (scan.error.code < 0)
        *error = scan.error; /* also what an unreadable lease was about, with r == 0 */
    if (r == 0 && ret_dead) {
        *ret_dead = scan.dead;
        *ret_dead_count = scan.dead_count;
    } else {
        lease_dead_free(scan.dead, scan.dead_count);
    }
    return r;
}

int lease_find(const struct lease_directory *directory, const char *name,
               struct record **ret_record)
{
    uint64_t cookie, inode;
    char file[JAIL_NAME_MAX + sizeof LEASE_SUFFIX];
    struct found found = {0};
    int r = netns_identity(&cookie, &inode);
    (void)snprintf(file, sizeof file, "%.*s" LEASE_SUFFIX, JAIL_NAME_MAX, name); /* fits */
    while (r == 0 && (r = examine(directory, file, &found)) == -EAGAIN)
        r = 0;
    if (r == 0 && found.is_alive && found.record && found.record->netns_cookie == cookie &&
        found.record->netns_inode == inode) {
        *ret_record = found.record;
        return 0;
    }
    record_free(found.record);
    return r < 0 ? r : -ENOENT;
}

bool lease_directory_is_shared(const struct lease_directory *directory)
{
    return directory->is_shared;
}

const char *lease_directory_path(const struct lease_directory *directory)
{
    return directory->path;
}

static bool owes_nothing(const struct record *record)
{
    return record->networks_count == 0 && record->links_count == 0 && record->sysctls_count == 0 &&
           record->elements_count == 0 && !record->uses_host_tables && !record->is_named &&
           record->devices_count == 0;
}

static int apply_undo_plan(struct kernel *kernel, struct plan *plan, struct error *error)
{
    int r = apply_undo(kernel, plan, error);
    plan_free(plan);
    return r;
}

int lease_keep_netns(const struct lease_directory *directory, const struct record *record,
                     int netns_fd, struct error *error)
{
    return device_keep_netns(directory->path, record->name, netns_fd, error);
}

int lease_give_back(const struct lease_directory *directory, struct kernel *kernel,
                    const struct record *record, struct error *error)
{
    return device_give_back(kernel, directory->path, record, error);
}

static int undo_record(const struct lease_directory *directory, struct kernel *kernel,
                       const struct record *record, const struct facts *facts, struct error *error)
{
    uint64_t cookie, inode;
    if (owes_nothing(record))
        return 0;
    int r = netns_identity(&cookie, &inode);
    if (r < 0)
        return error_errno(error, r, "cannot identify the network namespace");
    if (record->netns_cookie != cookie) /* it is gone, and with it everything in it */
        return device_forget_netns(directory->path, record, error);
    if (!kernel)
        return error_set(error, -EPERM, "cleaning up after jail '%s' needs privilege over the host",
                         record->name);
    r = record->is_named ? netns_name_remove(record->name, record->jail_inode, error) : 0;
    if (r == 0)
        r = lease_give_back(directory, kernel, record, error);
    if (r < 0)
        return r;
    r = apply_undo_plan(kernel, undo_own(record), error);
    struct error second = {0};
    int s = apply_undo_plan(kernel, undo_shared(record, facts->others, facts->others_count),
                            r < 0 ? &second : error);
    return r < 0 ? r : s;
}

/* 1: removed, 0: somebody has it again, or a negative errno: it stays for the next try. */
static int collect_one(struct lease_directory *directory, struct kernel *kernel,
                       const struct dead_lease *dead, const struct facts *facts,
                       struct error *error)
{
    char temporary[sizeof dead->file + sizeof LEASE_TEMPORARY_SUFFIX];
    cleanup_fd int fd = -1;
    int r = lease_file_open(directory, dead->file, &fd);
    if (r < 0)
        return r == -ENOENT ? 0 : r;
    if (flock(fd, LOCK_EX | LOCK_NB) < 0 || !lease_file_is_current(directory->fd, dead->file, fd))
        return 0;
    if (dead->record) {
        r = undo_record(directory, kernel, dead->record, facts, error);
        if (r < 0)
            return r;
    }
    r = lease_socket_remove(directory->fd, dead->file);
    if (r < 0)
        return error_errno(error, r, "cannot remove the socket of '%s'", dead->file);
    /* First what its writer may have left: only he who has the lease's lock writes that. */
    (void)snprintf(temporary, sizeof temporary, "%s" LEASE_TEMPORARY_SUFFIX, dead->file); /* fits */
    if (unlinkat(directory->fd, temporary, 0) < 0 && errno != ENOENT)
        return error_errno(error, -errno, "cannot remove '%s'", temporary);
    if (unlinkat(directory->fd, dead->file, 0) < 0)
        return error_errno(error, -errno, "cannot remove the lease '%s'", dead->file);
    return 1;
}

/* The dead that are still to be cleaned count as users of what they share with one another only
 * until their own turn: `others` are the living. */
static int collect_locked(struct lease_directory *directory, struct kernel *kernel,
                          struct error *error)
{
    struct facts *facts = facts_new();
    struct dead_lease *dead = NULL;
    size_t dead_count = 0;
    int r = lease_scan(directory, NULL, facts, &dead, &dead_count, error);
    int removed = 0;
    struct error first = {0};
    for (size_t i = 0; r == 0 && i < dead_count; i++) {
        struct error one = {0};
        int s = collect_one(directory, kernel, &dead[i], facts, &one);
        if (s > 0)
            removed += s;
        if (first.code == 0 && (s < 0 || one.text[0]))
            first = one; /* with s > 0, something to know about what was given back */
    }
    lease_dead_free(dead, dead_count);
    facts_free(facts);
    if (first.text[0])
        *error = first;
    if (r < 0)
        return r;
    return first.code < 0 ? first.code : removed;
}

int lease_collect(struct lease_directory *directory, struct kernel *kernel, bool locked,
                  struct error *error)
{
    if (locked)
        return collect_locked(directory, kernel, error);
    int r = lease_lock(directory, LOCK_TIMEOUT_MS, error);
    if (r < 0)
        return r;
    r = collect_locked(directory, kernel, error);
    lease_unlock(directory);
    lease_directory_tidy(directory);
    return r;
}

static int count_ending(struct lease_directory *directory, size_t *ret_count, struct error *error)
{
    struct facts *facts = facts_new();
    int r = lease_scan(directory, NULL, facts, NULL, NULL, error);
    size_t count = 0;
    for (size_t i = 0; i < facts->others_count; i++) {
        const struct record *record = facts->others[i];
        count += record->state == RECORD_ENDING && (geteuid() == 0 || record->uid == geteuid());
    }
    facts_free(facts);
    *ret_count = count;
    return r;
}

int lease_wait_clean(struct lease_directory *directory, int timeout_ms, struct error *error)
{
    int64_t end_ms = clock_now_ms() + timeout_ms;
    for (;;) {
        size_t count;
        int r = count_ending(directory, &count, error);
        if (r < 0 || count == 0)
            return r;
        if (clock_now_ms() >= end_ms)
            return error_set(error, -ETIMEDOUT, "%zu jail%s still being cleaned up", count,
                             count == 1 ? " is" : "s are");
        lease_pause();
    }
}
