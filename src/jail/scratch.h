/* A throw-away network namespace for this process: what is tried there touches nothing. */
#pragma once

#include "base/diag.h"

/* Moves the calling process, which must be one that ends soon, into a new network namespace with
 * nothing but a loopback interface that is down. Needs CAP_SYS_ADMIN. 0 or a negative errno. */
int scratch_network(struct error *error);
