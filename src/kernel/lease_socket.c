/* The control socket's file.
 *
 * Bound by its name in the opened state directory (through /proc/self/fd, since a path of a socket
 * has 108 bytes and the directory may be deep), with its mode before it has a name. A client does
 * not believe the name: in a directory for the group `netjail` others may have put something else
 * there, so the kernel is asked who listens. */
#include "kernel/lease_socket.h"

#include "base/cleanup.h"
#include "kernel/lease_internal.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#define BACKLOG 64

static int address_fill(int directory_fd, const char *name, struct sockaddr_un *ret_address)
{
    *ret_address = (struct sockaddr_un){.sun_family = AF_UNIX};
    int length = snprintf(ret_address->sun_path, sizeof ret_address->sun_path,
                          "/proc/self/fd/%d/%s" SOCKET_SUFFIX, directory_fd, name);
    return length > 0 && (size_t)length < sizeof ret_address->sun_path ? 0 : -ENAMETOOLONG;
}

int lease_socket_listen(const struct lease *lease, int *ret_fd, struct error *error)
{
    char name[JAIL_NAME_MAX + 1];
    struct sockaddr_un address;
    cleanup_fd int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    if (fd < 0)
        return error_errno(error, -errno, "cannot make the control socket");
    if (!lease_file_name(lease->file, name))
        return error_set(error, -EINVAL, "the lease has no jail's name");
    (void)lease_socket_remove(lease->directory_fd, lease->file); /* else bind() says so */
    int r = address_fill(lease->directory_fd, name, &address);
    if (r == 0 &&
        (fchmod(fd, 0600) < 0 || bind(fd, (const struct sockaddr *)&address, sizeof address) < 0 ||
         listen(fd, BACKLOG) < 0))
        r = -errno;
    if (r < 0)
        return error_errno(error, r, "cannot make the control socket '%s" SOCKET_SUFFIX "'", name);
    *ret_fd = take_fd(&fd);
    return 0;
}

int lease_socket_remove(int directory_fd, const char *file)
{
    char name[JAIL_NAME_MAX + 1];
    char socket_name[sizeof name + sizeof SOCKET_SUFFIX];

    if (!lease_file_name(file, name))
        return 0;
    (void)snprintf(socket_name, sizeof socket_name, "%s" SOCKET_SUFFIX, name); /* fits */
    return unlinkat(directory_fd, socket_name, 0) < 0 && errno != ENOENT ? -errno : 0;
}

static int peer_check(int fd, const struct record *record, struct error *error)
{
    struct ucred peer;
    socklen_t length = sizeof peer;

    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &length) < 0)
        return error_errno(error, -errno, "cannot tell who listens for jail '%s'", record->name);
    if (peer.pid == record->pid && peer.uid == record->uid)
        return 0;
    return error_set(error, -EPERM,
                     "the control socket of jail '%s' belongs to another process (%d of user %u)",
                     record->name, (int)peer.pid, peer.uid);
}

int lease_socket_connect(const struct lease_directory *directory, const struct record *record,
                         int *ret_fd, struct error *error)
{
    struct sockaddr_un address;
    cleanup_fd int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

    if (fd < 0)
        return error_errno(error, -errno, "cannot make a socket");
    int r = address_fill(directory->fd, record->name, &address);
    if (r == 0 && connect(fd, (const struct sockaddr *)&address, sizeof address) < 0)
        r = -errno;
    if (r == -ENOENT || r == -ECONNREFUSED)
        return error_set(error, -ENOENT, "jail '%s' has no control socket", record->name);
    if (r < 0)
        return error_errno(error, r, "cannot reach the supervisor of jail '%s'", record->name);
    r = peer_check(fd, record, error);
    if (r < 0)
        return r;
    *ret_fd = take_fd(&fd);
    return 0;
}

int lease_directory_open_of(uid_t uid, struct lease_directory **ret_directory, struct error *error)
{
    char path[64];

    (void)snprintf(path, sizeof path, "/run/user/%u/netjail", uid); /* fits */
    return lease_directory_open_path(path, uid, ret_directory, error);
}
