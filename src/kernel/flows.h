/* Connections that the host tracks. */
#pragma once

#include "kernel/nl.h"
#include "plan/plan.h"

/* OP_FLOWS_FORGET: ends the tracking of every connection from or to the address, as it is or as NAT
 * made it. `nl` is a NETLINK_NETFILTER socket. A kernel that tracks nothing has nothing to forget.
 */
int flows_op(struct nl *nl, const struct plan *plan, const struct op *op, struct error *error);
