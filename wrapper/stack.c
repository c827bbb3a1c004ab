/* A stack too small to say so later.
 *
 * What a caller's limit leaves is not known until it is used up, which ends the process without a
 * word. So the limit is asked for before anything needs room; the message is written as it stands,
 * for printing it would need more than there may be. Pure reading, no privilege. */
#include "wrapper/stack.h"

#include <stddef.h>
#include <sys/resource.h>
#include <unistd.h>

#define STACK_MIN ((size_t)256 * 1024) /* paths, messages and netlink buffers, four times over */

bool stack_suffices(void)
{
    static const char text[] = "netjail: the limit of the stack is below the 256 kB that netjail "
                               "needs\nnetjail: hint: ulimit -s 8192\n";
    struct rlimit limit;

    if (getrlimit(RLIMIT_STACK, &limit) < 0 || limit.rlim_cur >= STACK_MIN)
        return true;
    (void)!write(STDERR_FILENO, text, sizeof text - 1); /* the status says it, too */
    return false;
}
