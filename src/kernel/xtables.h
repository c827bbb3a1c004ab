/* The filter tables of iptables-legacy. */
#pragma once

#include "plan/facts.h"

/* Appends to facts->forwards the FORWARD chain of each family whose policy is to drop. A kernel
 * without these tables, or without the privilege to read them, has none. */
void xtables_find_forward(struct facts *facts);
