/* Choice of addresses and interface names. Pure. */
#pragma once

#include "plan/facts.h"

/* A free host address in `network` (never the network, broadcast or subnet-router anycast address,
 * never one in `used`), starting from a place that depends on `name`, so that a jail gets the same
 * address again. `used` must be sorted (addr_compare). 0 or -ENOSPC when none is free. */
int pool_choose_address(const struct prefix *network, const struct addr *used, size_t used_count,
                        const char *name, struct addr *ret_addr);

/* A name "nj-XXXXXXXX" that is not in `taken`, from `seed` (updated). */
void pool_choose_ifname(const struct facts *facts, uint64_t *seed, char name[IFNAME_SIZE]);

/* A locally administered unicast MAC address (RFC 7042 section 2.1) from `seed` (updated). */
struct mac pool_choose_mac(uint64_t *seed);

/* The same for the same machine, jail, interface in the jail, and interface or network of the host:
 * a neighbour still knows the jail that starts again. */
struct mac pool_stable_mac(uint64_t machine, const char *jail, const char *ifname,
                           const char *target);

/* The IPv6 link-local address that the kernel makes of a MAC address (RFC 4291 appendix A). */
struct addr mac_link_local(const struct mac *mac);
