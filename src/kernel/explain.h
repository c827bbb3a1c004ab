/* The sentence about an op that the kernel refused, with its remedy. */
#pragma once

#include "kernel/nl.h"
#include "plan/plan.h"

/* Fills *error with "cannot <op>: <errno> (kernel: <extended ack>)" and, where the errno misleads,
 * a hint. Returns failure->code. */
int explain_op(const struct plan *plan, const struct op *op, const struct nl_failure *failure,
               struct error *error);

/* The same for what is no op ("cannot <what>: ..."). */
int explain(const char *what, const struct nl_failure *failure, struct error *error);
