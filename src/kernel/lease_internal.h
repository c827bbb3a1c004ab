/* What the parts of kernel/lease* share. */
#pragma once

#include "kernel/lease.h"

#include <dirent.h>
#include <sys/types.h>

#define LEASE_SUFFIX           ".lease"
#define LEASE_TEMPORARY_SUFFIX ".new" /* behind LEASE_SUFFIX, while it is written */

struct lease_directory {
    int fd;         /* the pool's lock is a flock on it */
    uid_t owner;    /* who must own it */
    bool is_shared; /* group-writable: members of the group make leases, too */
    char path[256];
};

struct lease {
    int directory_fd;
    int fd;
    mode_t mode;
    char file[80];
};

/* Opens an existing directory, which must be `owner`'s. */
int lease_directory_open_path(const char *path, uid_t owner, struct lease_directory **ret_directory,
                              struct error *error);

/* Removes the control socket beside the lease of this file name. */
int lease_socket_remove(int directory_fd, const char *file);

/* Opens a lease file for reading, checked: -ENOENT, or -EINVAL for what is no regular file of a
 * trusted owner. */
int lease_file_open(const struct lease_directory *directory, const char *file, int *ret_fd);

/* Is the open file still the one of this name? */
bool lease_file_is_current(int directory_fd, const char *file, int fd);

/* Reads and parses a lease. -ENODATA: empty (its jail is just being made). */
int lease_file_read(int fd, const char *file, struct record **ret_record, struct error *error);

/* The jail's name of a file name, checked. False: the file is no lease. */
bool lease_file_name(const char *file, char name[JAIL_NAME_MAX + 1]);

/* Sleeps a little. */
void lease_pause(void);
