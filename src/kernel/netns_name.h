/* Names of network namespaces in /run/netns, as ip-netns(8) makes them. */
#pragma once

#include "base/diag.h"

#include <stdint.h>

#define NETNS_NAMES "/run/netns"

/* Is there a file of this name? */
bool netns_name_exists(const char *name);

/* The inode of a namespace's descriptor, which tells it from others. 0 or a negative errno. */
int netns_fd_inode(int netns_fd, uint64_t *ret_inode);

/* Binds the namespace to an empty file at `path`, which is made; and takes both away, where it is
 * that of the namespace `inode`, or still empty. Need CAP_SYS_ADMIN. */
int netns_bind(const char *path, int netns_fd, struct error *error);
int netns_unbind(const char *path, uint64_t inode, struct error *error);

/* Binds the namespace to the name, which must be free. Needs CAP_SYS_ADMIN. */
int netns_name_make(const char *name, int netns_fd, struct error *error);

/* Removes the name, where it is that of the namespace `inode` or an empty file that was made for
 * one; somebody else's, or none, is fine. -EPERM without CAP_SYS_ADMIN. */
int netns_name_remove(const char *name, uint64_t inode, struct error *error);
