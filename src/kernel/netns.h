/* Work in other network namespaces. */
#pragma once

#include "base/diag.h"

#include <sys/types.h>

/* A netlink socket of the namespace, which stays usable from here; -errno with *error. Needs
 * CAP_SYS_ADMIN over the namespace and over the caller's own (setns(2)). */
int netns_socket(int netns_fd, int protocol, int *ret_fd, struct error *error);

/* Is it the network namespace of the caller, or that of process 1? 1, 0, or a negative errno. */
int netns_is_host(int netns_fd);

/* Who made the user namespace that it belongs to: an ordinary user's jail has one of his. -EINVAL:
 * it is no network namespace; other errors: nobody can tell. */
int netns_owner(int netns_fd, uid_t *ret_owner);

/* Opens the namespace /run/netns/NAME (ip-netns(8)). -ENOENT: there is none; -EINVAL: the file is
 * no network namespace, or one of netns_is_host(). */
int netns_open_named(const char *name, int *ret_fd, struct error *error);
