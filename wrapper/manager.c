/* The service manager that started netjail (sd_notify(3)).
 *
 * Asked before anything is made, with the caller's rights. A manager that cannot be reached is no
 * failure: the command would not reach it without netjail either. */
#include "manager.h"

#include "report.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define PROGRAM "netjail"

static bool has_unix_sockets(const struct policy *policy)
{
    return policy->unix_sockets != UNIX_SOCKETS_NONE && (policy->families & FAMILY_UNIX);
}

bool manager_find(const struct policy *policy, bool quiet, struct notify *notify)
{
    const char *address = getenv("NOTIFY_SOCKET");
    int result;

    if (!address || !address[0])
        return false;
    if (!has_unix_sockets(policy)) {
        if (!quiet)
            report_note(PROGRAM,
                        "warning: the command cannot notify its service manager, because the "
                        "policy gives it no UNIX sockets; a unit with Type=notify wants Type=exec");
        return false;
    }
    result = notify_connect(notify, address);
    if (result < 0 && !quiet)
        report_note(
            PROGRAM,
            "warning: the command cannot notify its service manager: NOTIFY_SOCKET is '%s': "
            "%s",
            address, strerror(-result));
    return result == 0;
}

void manager_descriptors_refused(void *context)
{
    (void)context;
    report_note(PROGRAM, "the command wants its service manager to keep a descriptor; only pipes, "
                         "memory files and sockets from outside of the jail are passed on");
}
