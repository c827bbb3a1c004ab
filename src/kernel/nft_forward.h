/* Other rule sets of the host that stop what a jail forwards. */
#pragma once

#include "kernel/apply.h"

/* Where the plan lets the host forward: is there a chain at the forward hook that drops by policy,
 * in a table that does not name the plan's interface? Then *ret_warning says so, with the remedy;
 * otherwise it is left untouched. */
int nft_check_forward(struct kernel *kernel, const struct plan *plan, struct error *ret_warning,
                      struct error *error);
