/* Loads the filter of netjail-service, which seccomp_gen.c made at build time. After it the process
 * can serve its sockets and pipes and nothing else: no file, no program, no new kind of socket. */
#include "jail/seccomp.h"

#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "seccomp_filters.h"

int seccomp_load_service(struct error *error)
{
    struct sock_filter steps[sizeof seccomp_service / sizeof seccomp_service[0]];
    const struct sock_fprog program = {
        .len = sizeof seccomp_service / sizeof seccomp_service[0],
        .filter = steps,
    };

    /* The kernel only reads it, but its interface knows no const. */
    __builtin_memcpy(steps, seccomp_service, sizeof steps);
    if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program) != 0)
        return error_errno(error, -errno, "cannot load the service's seccomp filter");
    return 0;
}
