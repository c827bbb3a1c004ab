/* Sets of the jail's table whose contents come and go while the jail runs: addresses of names, as
 * the resolver finds them, and of other jails, as they start and end. Pure. */
#pragma once

#include "plan/plan.h"

enum dynamic_kind {
    DYNAMIC_NAMES, /* elements have timeouts */
    DYNAMIC_JAILS, /* elements stay until they are removed */
};

/* The most addresses that a set takes for one name (the resolver pins 256), for one jail (16 are
 * ever told), and at all (the resolver pins 16,384): half as much again, since what has run out
 * counts until the kernel has collected it. The kernel makes a set's table for its size at once, so
 * a set is no larger than what may go in: 1 MiB for 65,535, 4 KiB for one name. */
#define DYNAMIC_NAME_MAX 384
#define DYNAMIC_JAIL_MAX 24
#define DYNAMIC_SET_MAX  24576

/* The name of the set with this number (from 1) for the addresses of a family: "names3_4". */
void dynamic_set_name(enum dynamic_kind kind, uint32_t number, uint8_t family,
                      char name[NFT_NAME_SIZE]);

/* Appends an op that puts `count` addresses of one family into the set, with a timeout (0: none),
 * or takes them out. */
void dynamic_elements(struct plan *plan, bool add, enum dynamic_kind kind, uint32_t number,
                      uint32_t timeout_ms, const struct addr *addrs, size_t count);
