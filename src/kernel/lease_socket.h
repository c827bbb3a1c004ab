/* The control socket of a jail beside its lease: NAME.sock in the state directory. */
#pragma once

#include "kernel/lease.h"

#include <sys/types.h>

#define SOCKET_SUFFIX ".sock"

/* A listening, non-blocking SOCK_SEQPACKET socket of the lease's name, mode 0600. What a killed
 * jail of that name left there is replaced: the lease is ours, so the name is, too. It goes with
 * the lease (lease_remove(), lease_collect()). */
int lease_socket_listen(const struct lease *lease, int *ret_fd, struct error *error);

/* Connects to the socket of a living jail, and makes sure that it is the supervisor of `record` who
 * listens there: a file of that name proves nothing. -ENOENT: it has none (yet). -EPERM: somebody
 * else's. */
int lease_socket_connect(const struct lease_directory *directory, const struct record *record,
                         int *ret_fd, struct error *error);

/* The state directory of another user, for root: /run/user/UID/netjail. -ENOENT: none. */
int lease_directory_open_of(uid_t uid, struct lease_directory **ret_directory, struct error *error);
