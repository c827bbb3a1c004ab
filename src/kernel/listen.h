/* Sockets that the service serves. */
#pragma once

#include "plan/plan.h"

/* Opens the listening (TCP) or bound (UDP) socket of an OP_LISTEN, non-blocking and close-on-exec.
 * A port in use is -EADDRINUSE with the name of the program that holds it, where it can be seen. */
int listen_op(const struct op *op, int *ret_fd, struct error *error);
