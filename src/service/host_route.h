/* What an address means to the host just now. */
#pragma once

#include "base/addr.h"

#include <stdbool.h>

/* Does the host's routing take `addr` for one of its own? Asks the kernel (RTM_GETROUTE) over
 * `route_fd`, a NETLINK_ROUTE socket. *ret_is_plain: an ordinary address of another machine (not a
 * broadcast, multicast or anycast one). 0; a negative errno where there is no route, or no answer.
 */
int host_route_look(int route_fd, const struct addr *addr, bool *ret_is_local, bool *ret_is_plain);
