/* The caller's signal mask and dispositions, taken at the start and given to the command.
 *
 * Everything catchable is blocked, so that no signal is lost between netjail's start and the moment
 * at which the supervisor reads it from a descriptor; no handler is ever installed, so there is
 * nothing that a signal could interrupt. The only disposition that changes is SIGCHLD: ignored by
 * the caller, it would make wait(2) fail. What must not happen: the command started with our mask.
 */
#include "jail/jail.h"

#include <errno.h>
#include <signal.h>

static sigset_t caller_mask;
static struct sigaction caller_sigchld;
static bool taken;

int signals_take(struct error *error)
{
    struct sigaction action = {.sa_handler = SIG_DFL};
    sigset_t all;

    if (taken)
        return 0;
    (void)sigfillset(&all); /* cannot fail with a valid pointer */
    if (sigprocmask(SIG_SETMASK, &all, &caller_mask) < 0)
        return error_errno(error, -errno, "cannot block signals");
    if (sigaction(SIGCHLD, &action, &caller_sigchld) < 0)
        return error_errno(error, -errno, "cannot take SIGCHLD");
    taken = true;
    return 0;
}

void signals_restore(void)
{
    if (!taken)
        return;
    if (caller_sigchld.sa_handler == SIG_IGN)
        (void)sigaction(SIGCHLD, &caller_sigchld, NULL); /* it was valid when it was read */
    (void)sigprocmask(SIG_SETMASK, &caller_mask, NULL);  /* the same */
}

bool signals_end_a_command(int signal)
{
    struct sigaction action;

    return sigaction(signal, NULL, &action) == 0 && action.sa_handler == SIG_DFL &&
           !sigismember(&caller_mask, signal);
}
