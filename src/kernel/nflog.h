/* NFLOG sockets (linux/netfilter/nfnetlink_log.h). */
#pragma once

#include "base/diag.h"

#include <stdint.h>

/* Binds the NETLINK_NETFILTER socket `fd`, which init opened in the jail, to an NFLOG group and
 * asks for the first 128 bytes of each packet. Needs CAP_NET_ADMIN over the jail. 0 or a negative
 * errno. */
int nflog_bind(int fd, uint16_t group, struct error *error);
