/* Packets with descriptors, over SOCK_SEQPACKET (unix(7), SCM_RIGHTS). */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#define PACKET_FDS_MAX 8 /* with one packet */

/* Sends one packet and duplicates of `fds` (at most PACKET_FDS_MAX), without SIGPIPE. A negative
 * errno: nothing was sent; -EAGAIN without `wait`: the other side does not read. */
int packet_send(int fd, const void *data, size_t size, const int *fds, size_t fds_count, bool wait);

/* Receives one packet of at most `size` bytes with at most PACKET_FDS_MAX descriptors, which are
 * close-on-exec and the caller's. Its length, 0 at the end; -EAGAIN without `wait`: none is there;
 * -EPROTO: it is longer, or has more descriptors, -EMFILE: this process may not have that many; all
 * of them are closed then. */
int packet_receive(int fd, void *data, size_t size, bool wait, int fds[PACKET_FDS_MAX],
                   size_t *ret_fds_count);
