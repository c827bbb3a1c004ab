/* Where the helper programs are. They are looked for beside the running program and in one fixed
 * directory; never in PATH, which belongs to the caller. */
#include "jail/helper.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define INSTALLED NETJAIL_PREFIX "/libexec/netjail"

int helper_find(const char *name, char *path, size_t size, struct error *error)
{
    ssize_t length = readlink("/proc/self/exe", path, size - 1);

    if (length > 0) {
        path[length] = '\0';
        char *slash = strrchr(path, '/');
        size_t left = slash ? size - (size_t)(slash + 1 - path) : 0;
        if (slash && (size_t)snprintf(slash + 1, left, "%s", name) < left &&
            access(path, X_OK) == 0)
            return 0;
    }
    (void)snprintf(path, size, INSTALLED "/%s", name); /* too long: not found */
    if (access(path, X_OK) == 0)
        return 0;
    (void)error_errno(error, -errno, "cannot find %s", name);
    error_hint(error, "it belongs beside netjail or to " INSTALLED);
    return error->code;
}
