/* A throw-away network namespace, for `netjailctl doctor` only: the one place where netjail changes
 * the namespace of a running process instead of cloning a new one, and it is a child that ends. */
#include "jail/scratch.h"

#include <errno.h>
#include <sched.h>

int scratch_network(struct error *error)
{
    if (unshare(CLONE_NEWNET) != 0)
        return error_errno(error, -errno, "cannot make a network namespace to try things in");
    return 0;
}
