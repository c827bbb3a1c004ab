/* The state directory and the leases in it.
 *
 * The pool's lock is a flock on <state> itself, held while addresses are chosen and shared objects
 * of the host are made or removed. <state>/<jail>.lease is the record of one jail, held with flock
 * as long as the jail or its clean-up lives: an unlocked lease is a dead jail's.
 *
 * <state> is /run/netjail for those with privilege over the host, else $XDG_RUNTIME_DIR/netjail,
 * else /run/user/UID/netjail. The former must belong to root and may be group-writable for the
 * group `netjail` only, the latter must belong to the caller; neither may be writable by others.
 * Checked on the opened directory; all files are opened relative to it with O_NOFOLLOW. */
#pragma once

#include "plan/facts.h"

struct lease_directory;

/* Whose jails: those that may change the host, in one directory that root made (or that belongs to
 * the group `netjail`), never in one that an environment variable names, since what a lease of a
 * dead jail says is taken back; or those of an ordinary user, which owe the host nothing. */
enum lease_scope {
    LEASE_HOST,
    LEASE_USER,
};

/* Opens (and makes, when `create`) the state directory. -ENOENT: none can be had (*error says why).
 */
int lease_directory_open(enum lease_scope scope, bool create,
                         struct lease_directory **ret_directory, struct error *error);
void lease_directory_close(struct lease_directory *directory);

/* Removes the directory when no lease is in it, unless it was made for the group `netjail`. */
void lease_directory_tidy(struct lease_directory *directory);

/* Takes and gives back the pool's lock. Waits up to `timeout_ms`; -ETIMEDOUT. */
int lease_lock(struct lease_directory *directory, int timeout_ms, struct error *error);
void lease_unlock(struct lease_directory *directory);

/* A lease of our own: creates the file, locks it, writes the record. -EEXIST: a jail of this name
 * runs (or is ending: *ret_ending). The descriptor keeps the lock across fork(). */
struct lease;
int lease_create(struct lease_directory *directory, const struct record *record,
                 struct lease **ret_lease, bool *ret_ending, struct error *error);
int lease_write(struct lease *lease, const struct record *record, struct error *error);
/* Removes the file and releases the lock; frees it in any case. A file of this name that is no
 * longer ours stays. With an error ours has stayed, too: as that of a dead jail. */
int lease_remove(struct lease *lease, struct error *error);
/* Forgets the lease without removing it (in a process that does not own it). */
void lease_close(struct lease *lease);

/* The records of all other jails. Living ones (locked) go to facts->others; with ret_dead the dead
 * ones (unlocked, of this host namespace or of one that no longer exists) come as a list with their
 * names; a lease file that does not parse counts as dead and is reported in *error by gc. */
struct dead_lease {
    char file[80];
    struct record *record; /* NULL: unreadable */
};
int lease_scan(struct lease_directory *directory, const char *except, struct facts *facts,
               struct dead_lease **ret_dead, size_t *ret_dead_count, struct error *error);

/* The record of one running jail of this host namespace. -ENOENT: there is none. */
int lease_find(const struct lease_directory *directory, const char *name,
               struct record **ret_record);

/* May a group write leases here? Then they have several owners. */
bool lease_directory_is_shared(const struct lease_directory *directory);

/* The directory's path, for those who watch it. */
const char *lease_directory_path(const struct lease_directory *directory);

void lease_dead_free(struct dead_lease *dead, size_t count); /* NULL is allowed */

/* Cleans up after dead jails, under the pool's lock (taken inside unless `locked`): undo of each
 * record, then its file. Returns the number of jails removed or a negative errno. */
struct kernel;
int lease_collect(struct lease_directory *directory, struct kernel *kernel, bool locked,
                  struct error *error);

/* Waits until no clean-up of this user is pending, at most timeout_ms. */
int lease_wait_clean(struct lease_directory *directory, int timeout_ms, struct error *error);

/* The moved devices of a record: kept alive in the jail's namespace from before they move, and
 * given back (kernel/device.h), with the state directory's path. */
struct record;
int lease_keep_netns(const struct lease_directory *directory, const struct record *record,
                     int netns_fd, struct error *error);
int lease_give_back(const struct lease_directory *directory, struct kernel *kernel,
                    const struct record *record, struct error *error);

/* The process's own network namespace: SO_NETNS_COOKIE and inode. */
int netns_identity(uint64_t *ret_cookie, uint64_t *ret_inode);
