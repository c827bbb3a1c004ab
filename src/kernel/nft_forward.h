/* Other rule sets of the host that stop what a jail forwards. */
#pragma once

#include "kernel/nl.h"
#include "plan/facts.h"

/* Appends to facts->forwards each chain at the forward hook, but our own, that drops what it does
 * not accept: by its policy, or by a last rule that drops or rejects everything. */
int nft_find_forward(struct nl *nl, struct facts *facts, struct error *error);
