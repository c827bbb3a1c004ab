/* Where the helper programs are. They are looked for beside the running program and in one fixed
 * directory; never in PATH, which belongs to the caller. What must not happen: a netjail with file
 * capabilities that lends its privilege to a program of its caller's, who may have a hard link to
 * netjail wherever he likes (fs.protected_hardlinks forbids it, where it is set). */
#include "jail/helper.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/stat.h>
#include <unistd.h>

#define INSTALLED NETJAIL_PREFIX "/libexec/netjail"

/* Is nobody but root able to put a program there, where that matters? */
static bool is_trusted(const char *directory)
{
    struct stat state;

    return !getauxval(AT_SECURE) || (stat(directory, &state) == 0 && state.st_uid == 0 &&
                                     !(state.st_mode & (S_IWGRP | S_IWOTH)));
}

/* Beside the running program. */
static bool find_beside(const char *name, char *path, size_t size)
{
    ssize_t length = readlink("/proc/self/exe", path, size - 1);
    char *slash;
    size_t left;

    if (length <= 0)
        return false;
    path[length] = '\0';
    slash = strrchr(path, '/');
    if (!slash)
        return false;
    *slash = '\0';
    if (!is_trusted(path))
        return false;
    left = size - (size_t)(slash - path);
    return (size_t)snprintf(slash, left, "/%s", name) < left && access(path, X_OK) == 0;
}

int helper_find(const char *name, char *path, size_t size, struct error *error)
{
    if (find_beside(name, path, size))
        return 0;
    (void)snprintf(path, size, INSTALLED "/%s", name); /* too long: not found */
    if (access(path, X_OK) == 0)
        return 0;
    (void)error_errno(error, -errno, "cannot find %s", name);
    error_hint(error, "it belongs beside netjail or to " INSTALLED);
    return error->code;
}
