/* Which addresses a name of the public DNS may have. Pure. */
#pragma once

#include "base/addr.h"

/* Addresses that mean nobody in particular or everybody (unspecified, multicast, broadcast, ranges
 * in which an IPv4 address hides: v4-mapped, NAT64, 6to4): never, whatever the policy says. */
bool guard_is_never(const struct addr *addr);

/* Addresses of somebody's own network: private, loopback, link-local, metadata. Only for names of
 * `dns { private NAME }`. */
bool guard_is_private(const struct addr *addr);
