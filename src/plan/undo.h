/* The plan that takes back what a jail did to the host, from its record and the records of the
 * others that still run. Pure. */
#pragma once

#include "plan/record.h"

struct policy;

/* The jail's links that share an interface of the host, in the jail: they have no end on the host
 * with which they would go. */
struct plan *undo_children(const struct policy *policy);

/* What only this jail uses: its elements in the shared tables, then its links, then what the
 * host remembers of its connections. Needs no lock. */
struct plan *undo_own(const struct record *record);

/* What it shared, as far as nobody in `others` uses it any more: networks (bridge and elements),
 * forwarding sysctls, the shared tables. To be applied under the pool's lock. */
struct plan *undo_shared(const struct record *record, struct record *const *others,
                         size_t others_count);
