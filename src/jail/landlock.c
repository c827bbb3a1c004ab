/* The Landlock domain of a jail.
 *
 * Init enters it after its last change of credentials and before the command exists, so that the
 * command, its descendants and everything started later by init are in one domain: they can signal
 * each other and nothing outside. It matters although there is a pid namespace, because kill(0)
 * reaches the whole process group, which netjail's caller shares. No privilege is needed beyond
 * no_new_privs. */
#include "jail/landlock.h"

#include "base/cleanup.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/syscall.h>

/* linux/landlock.h of Linux 6.12; older headers have no scopes. */
#define CREATE_RULESET_VERSION (1u << 0)
#define SCOPE_ABSTRACT_UNIX    ((uint64_t)1 << 0)
#define SCOPE_SIGNAL           ((uint64_t)1 << 1)
#define ABI_SCOPES             6

struct ruleset {
    uint64_t handled_access_fs;
    uint64_t handled_access_net;
    uint64_t scoped;
};

int landlock_abi(void)
{
    long abi = syscall(SYS_landlock_create_ruleset, NULL, (size_t)0, CREATE_RULESET_VERSION);

    return abi < 0 ? 0 : (int)abi;
}

bool landlock_can_scope(int abi)
{
    return abi >= ABI_SCOPES;
}

int landlock_scope(struct error *error)
{
    struct ruleset ruleset = {.scoped = SCOPE_ABSTRACT_UNIX | SCOPE_SIGNAL};
    cleanup_fd int fd = (int)syscall(SYS_landlock_create_ruleset, &ruleset, sizeof ruleset, 0u);

    if (fd < 0)
        return error_errno(error, -errno, "cannot make a Landlock domain");
    if (syscall(SYS_landlock_restrict_self, fd, 0u) < 0)
        return error_errno(error, -errno, "cannot enter the Landlock domain");
    return 0;
}
