/* Loads the command's seccomp filters.
 *
 * Last step before exec(): every later call of ours must be one that the filters allow. The
 * programs are constants; choosing is all that happens here. What must not happen: a policy for
 * which no filter is found and the command runs without one (the tables are complete by
 * construction). */
#include "jail/seccomp.h"

#include "base/cleanup.h"
#include "policy/policy.h"
#include "seccomp_filters.h"

#include <assert.h>
#include <errno.h>
#include <linux/seccomp.h>
#include <sys/socket.h>
#include <sys/syscall.h>

struct program {
    const struct sock_filter *steps;
    unsigned short count;
};

#define PROGRAM(array)                                                                             \
    {                                                                                              \
        array, sizeof(array) / sizeof(array)[0]                                                    \
    }

static const struct program common[] = {PROGRAM(seccomp_common_0), PROGRAM(seccomp_common_1),
                                        PROGRAM(seccomp_common_2), PROGRAM(seccomp_common_3)};
/* Common and families, where all of these are allowed. */
static const struct program whole[] = {PROGRAM(seccomp_whole_0), PROGRAM(seccomp_whole_1),
                                       PROGRAM(seccomp_whole_2), PROGRAM(seccomp_whole_3)};
static const struct program families[] = {
    PROGRAM(seccomp_families_0),  PROGRAM(seccomp_families_1),  PROGRAM(seccomp_families_2),
    PROGRAM(seccomp_families_3),  PROGRAM(seccomp_families_4),  PROGRAM(seccomp_families_5),
    PROGRAM(seccomp_families_6),  PROGRAM(seccomp_families_7),  PROGRAM(seccomp_families_8),
    PROGRAM(seccomp_families_9),  PROGRAM(seccomp_families_10), PROGRAM(seccomp_families_11),
    PROGRAM(seccomp_families_12), PROGRAM(seccomp_families_13), PROGRAM(seccomp_families_14),
    PROGRAM(seccomp_families_15),
};
static const struct program families_namespaces[] = {
    PROGRAM(seccomp_families_namespaces_0),  PROGRAM(seccomp_families_namespaces_1),
    PROGRAM(seccomp_families_namespaces_2),  PROGRAM(seccomp_families_namespaces_3),
    PROGRAM(seccomp_families_namespaces_4),  PROGRAM(seccomp_families_namespaces_5),
    PROGRAM(seccomp_families_namespaces_6),  PROGRAM(seccomp_families_namespaces_7),
    PROGRAM(seccomp_families_namespaces_8),  PROGRAM(seccomp_families_namespaces_9),
    PROGRAM(seccomp_families_namespaces_10), PROGRAM(seccomp_families_namespaces_11),
    PROGRAM(seccomp_families_namespaces_12), PROGRAM(seccomp_families_namespaces_13),
    PROGRAM(seccomp_families_namespaces_14), PROGRAM(seccomp_families_namespaces_15),
};
static_assert(ARRAY_LENGTH(families) == FAMILY_ALL + 1, "a filter for every set of families");
static_assert(ARRAY_LENGTH(families_namespaces) == FAMILY_ALL + 1, "the same");

static int program_load(const struct program *program, struct error *error)
{
    struct sock_fprog filter = {
        .len = program->count,
        .filter = (struct sock_filter *)(uintptr_t)program->steps, /* the kernel only reads it */
    };

    if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0u, &filter) == 0)
        return 0;
    (void)error_errno(error, -errno, "cannot load the seccomp filter");
    if (error->code == -EINVAL || error->code == -ENOSYS)
        error_hint(error, "the kernel needs CONFIG_SECCOMP_FILTER");
    return error->code;
}

/* Do the filters answer? Without them clone3() of nothing is EINVAL and a socketpair() of AF_INET
 * EOPNOTSUPP; both are refused by every variant. */
static int filters_check(struct error *error)
{
    int pair[2];

    if (syscall(SYS_clone3, NULL, (size_t)0) == -1 && errno == ENOSYS &&
        socketpair(AF_INET, SOCK_STREAM, 0, pair) == -1 && errno == EAFNOSUPPORT)
        return 0;
    return error_set(error, -EPERM, "the kernel did not take the seccomp filter");
}

int seccomp_load(const struct policy *policy, struct error *error)
{
    unsigned variant = (policy->namespaces_allow ? 1u : 0u) | (policy->processes_shared ? 2u : 0u);
    unsigned allowed = policy->families & FAMILY_ALL;
    int status;

    if (policy->unix_sockets == UNIX_SOCKETS_NONE)
        allowed &= ~FAMILY_UNIX;
    if (allowed == FAMILY_ALL)
        status = program_load(&whole[variant], error);
    else
        status = program_load(
            policy->namespaces_allow ? &families_namespaces[allowed] : &families[allowed], error);
    if (status == 0 && allowed != FAMILY_ALL)
        status = program_load(&common[variant], error);
    return status < 0 ? status : filters_check(error);
}
