/* What the supervisor hands over when the jail's rules are in force (NOTICE_BEGIN). */
#pragma once

#include "base/diag.h"

#include <stdbool.h>
#include <stddef.h>

/* Waits for NOTICE_BEGIN on `fd` and takes the `count` descriptors that come with it, in the order
 * of service/protocol.h; they are the caller's on success. *ret_queues: the jail's new connections
 * wait in a queue. -ECANCELED without a sentence when the supervisor has given up; -EPROTO when it
 * says something else or hands over more or fewer; -EMFILE when `ulimit -n` is too low for them. */
int begin_await(int fd, int *ret_fds, size_t count, bool *ret_queues, struct error *error);
