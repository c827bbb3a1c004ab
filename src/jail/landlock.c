/* The Landlock domain of a jail.
 *
 * Init enters it after its last change of credentials and before the command exists, so that the
 * command, its descendants and everything started later by init are in one domain: they can signal
 * each other and nothing outside. It matters although there is a pid namespace, because kill(0)
 * reaches the whole process group, which netjail's caller shares. No privilege is needed beyond
 * no_new_privs.
 *
 * A domain of any kind also keeps its processes from looking into those outside (/proc/PID/mem),
 * which matters where the command sees them: before the scopes, one that forbids nothing. */
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
#define ABI_REFER              2 /* before it a domain forbids to move files */
#define RULE_PATH_BENEATH      1u
#define ACCESS_MAKE_BLOCK      ((uint64_t)1 << 11)
#define ACCESS_REFER           ((uint64_t)1 << 13)

struct ruleset {
    uint64_t handled_access_fs;
    uint64_t handled_access_net;
    uint64_t scoped;
};

struct path_beneath {
    uint64_t allowed_access;
    int32_t parent_fd;
} __attribute__((packed));

int landlock_abi(void)
{
    long abi = syscall(SYS_landlock_create_ruleset, NULL, (size_t)0, CREATE_RULESET_VERSION);

    return abi < 0 ? 0 : (int)abi;
}

bool landlock_can_scope(int abi)
{
    return abi >= ABI_SCOPES;
}

bool landlock_can_isolate(int abi)
{
    return abi >= ABI_REFER;
}

static int domain_enter(int fd, struct error *error)
{
    if (syscall(SYS_landlock_restrict_self, fd, 0u) < 0)
        return error_errno(error, -errno, "cannot enter the Landlock domain");
    return 0;
}

int landlock_scope(struct error *error)
{
    struct ruleset ruleset = {.scoped = SCOPE_ABSTRACT_UNIX | SCOPE_SIGNAL};
    cleanup_fd int fd = (int)syscall(SYS_landlock_create_ruleset, &ruleset, sizeof ruleset, 0u);

    if (fd < 0)
        return error_errno(error, -errno, "cannot make a Landlock domain");
    return domain_enter(fd, error);
}

int landlock_isolate(struct error *error)
{
    const uint64_t all = ACCESS_MAKE_BLOCK | ACCESS_REFER;
    cleanup_fd int root = open("/", O_PATH | O_CLOEXEC);
    struct path_beneath rule = {.allowed_access = all, .parent_fd = root};
    /* Older kernels know the first member only. */
    cleanup_fd int fd = (int)syscall(SYS_landlock_create_ruleset, &all, sizeof all, 0u);

    if (root < 0 || fd < 0 || syscall(SYS_landlock_add_rule, fd, RULE_PATH_BENEATH, &rule, 0u) < 0)
        return error_errno(error, -errno, "cannot make a Landlock domain");
    return domain_enter(fd, error);
}
