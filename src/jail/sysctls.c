/* Writes the jail's sysctls, from inside it.
 *
 * /proc/sys/net answers for the network namespace of the process that opens a file, so the caller's
 * /proc serves until the jail has its own. Needs CAP_NET_ADMIN over the network namespace. What
 * must not happen: a value of the host changed (init is in its new namespaces before any of this,
 * and only net/ is accepted), or a write that the kernel took and rounded (read back). */
#include "jail/files.h"

#include "base/cleanup.h"
#include "jail/jail.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#define CALLER_VALUE "caller"

static int value_write(int sys_fd, const char *path, const char *value)
{
    cleanup_fd int fd = openat(sys_fd, path, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
    char found[64];
    ssize_t length;

    if (fd < 0)
        return -errno;
    if (write(fd, value, strlen(value)) < 0)
        return -errno;
    length = pread(fd, found, sizeof found - 1, 0);
    if (length < 0)
        return -errno;
    while (length > 0 && found[length - 1] == '\n')
        length--;
    found[length] = '\0';
    for (char *tab = found; (tab = strchr(tab, '\t'));)
        *tab = ' ';
    return strcmp(found, value) == 0 ? 0 : -EUCLEAN;
}

/* Has this op to wait until the ids are mapped? */
static bool is_late(const struct op *op)
{
    return strcmp(op->sysctl.value, CALLER_VALUE) == 0;
}

/* Fills in "GID GID" for a value that means the command's group. */
static const char *value_of(const struct op *op, const struct identity *identity, char text[32])
{
    if (!is_late(op))
        return op->sysctl.value;
    (void)snprintf(text, 32, "%u %u", identity->gid, identity->gid); /* two numbers fit */
    return text;
}

static int op_write(const struct jail_setup *setup, const struct op *op, int sys_fd,
                    struct error *error)
{
    char text[32];
    const char *value = value_of(op, &setup->identity, text);
    int status;

    if (strncmp(op->sysctl.path, "net/", 4) != 0 || strstr(op->sysctl.path, ".."))
        status = -EINVAL;
    else
        status = value_write(sys_fd, op->sysctl.path, value);
    if (status == 0 || (status == -ENOENT && op->sysctl.optional))
        return 0;
    (void)error_errno(error, status, "cannot set %s to %s in the jail", op->sysctl.path, value);
    if (status == -EROFS)
        error_hint(error, "the container or jail around has /proc/sys read-only; allow it to be "
                          "written there (podman, docker: --security-opt unmask=/proc/sys)");
    error->where = op->position;
    return status;
}

int sysctls_write(const struct jail_setup *setup, int sys_fd, bool mapped, struct error *error)
{
    for (size_t i = 0; setup->plan && i < setup->plan->ops_count; i++) {
        const struct op *op = &setup->plan->ops[i];
        int status;

        if (op->kind != OP_SYSCTL_SET || op->where != WHERE_JAIL)
            continue;
        if (is_late(op) != mapped)
            continue;
        status = op_write(setup, op, sys_fd, error);
        if (status < 0)
            return status;
    }
    return 0;
}

int sysctls_forbid_namespaces(int sys_fd, struct error *error)
{
    int status = value_write(sys_fd, "user/max_user_namespaces", "0");

    /* In a container whose /proc/sys is read-only the seccomp filter alone forbids them, as it does
     * for root. */
    if (status < 0 && status != -EROFS)
        return error_errno(error, status, "cannot forbid user namespaces in the jail");
    return 0;
}
