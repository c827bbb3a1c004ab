/* Which addresses names have now. Pure, but for memory. */
#pragma once

#include "policy/policy.h"
#include "service/resolver_name.h"

#define PINNED_MAX      16384 /* of all names */
#define PINNED_PER_NAME 256
#define PINNED_GRACE_MS 5000 /* that an entry lives longer than the kernel's */

struct pinned;

struct pinned *pinned_new(void); /* NULL: out of memory */
void pinned_free(struct pinned *pinned);

/* Times are of CLOCK_MONOTONIC, in ms, and never go back. */

/* Notes that the name has the address for so long. False: it, or all together, have too many. */
bool pinned_note(struct pinned *pinned, const struct dns_name *name, const struct addr *addr,
                 uint32_t seconds, uint64_t now_ms);

/* Has a name that the item means this address now? Has any name, for the kernel, too (*ret_name is
 * one)? */
bool pinned_item_has(const struct pinned *pinned, const struct set_item *item,
                     const struct addr *addr, uint64_t now_ms);
bool pinned_name_of(const struct pinned *pinned, const struct addr *addr, uint64_t now_ms,
                    struct dns_name *ret_name);
/* Addresses of a family that the name has now, at most `max`. Returns how many. */
size_t pinned_some_of(const struct pinned *pinned, const struct dns_name *name, uint8_t family,
                      uint64_t now_ms, struct addr *ret_addrs, size_t max);
