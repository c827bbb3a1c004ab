/* Sets of the jail's table whose contents come and go: addresses of names and of other jails. */
#pragma once

#include "kernel/apply.h"
#include "plan/dynamic.h"

/* An address of a name, for a while. */
struct pin {
    uint32_t set; /* number, from 1 */
    uint32_t seconds;
    struct addr addr;
};

/* Puts the pins into the jail's sets of names, all or none; those that are there get the new time.
 */
int pins_add(struct kernel *kernel, const struct pin *pins, size_t count, struct error *error);

/* Adds addresses to a set of jails and takes others out, in one transaction. */
int jail_set_change(struct kernel *kernel, uint32_t set, const struct addr *added,
                    size_t added_count, const struct addr *removed, size_t removed_count,
                    struct error *error);
