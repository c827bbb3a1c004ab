/* The jail's own NOTIFY_SOCKET.
 *
 * Made by init. Where /run is the jail's own it is a path there, seen by the jail alone, made
 * before the identity is taken; else an abstract name of the kernel's choice, which the network
 * namespace and the Landlock domain bound, made within that domain. Every program in the jail may
 * write to it, like to systemd's own. Nothing is read from it here. What must not happen: a file
 * made in the host's /run. */
#include "base/cleanup.h"
#include "jail/jail.h"
#include "jail/notify.h"

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <string.h>
#include <sys/stat.h>

#define DIRECTORY "/run/netjail"
#define PATH      DIRECTORY "/notify"

static int bind_path(int fd, char text[sizeof(struct sockaddr_un)])
{
    struct sockaddr_un address = {.sun_family = AF_UNIX, .sun_path = PATH};

    if (mkdir(DIRECTORY, 0755) < 0 || chmod(DIRECTORY, 0755) < 0)
        return -errno;
    if (bind(fd, (struct sockaddr *)&address, sizeof address) < 0 || chmod(PATH, 0666) < 0)
        return -errno;
    (void)memcpy(text, PATH, sizeof PATH);
    return 0;
}

/* unix(7): bound with nothing but the family, the kernel finds a name of five digits. */
static int bind_abstract(int fd, char text[sizeof(struct sockaddr_un)])
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    socklen_t length = sizeof address;

    if (bind(fd, (struct sockaddr *)&address, sizeof address.sun_family) < 0 ||
        getsockname(fd, (struct sockaddr *)&address, &length) < 0)
        return -errno;
    if (length <= offsetof(struct sockaddr_un, sun_path) + 1 || length > sizeof address)
        return -EPROTO;
    length -= (socklen_t)offsetof(struct sockaddr_un, sun_path);
    memcpy(text, address.sun_path, length);
    text[0] = '@';
    text[length] = '\0';
    return 0;
}

int notify_open(const struct jail_setup *setup, bool run_covered, int *ret_fd, struct error *error)
{
    char text[sizeof(struct sockaddr_un)];
    int status;

    *ret_fd = -1;
    if (!setup->notify) {
        (void)unsetenv("NOTIFY_SOCKET"); /* fails only for a name that is none */
        return 0;
    }
    cleanup_fd int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return error_errno(error, -errno, "cannot make the jail's notification socket");
    status = run_covered ? bind_path(fd, text) : bind_abstract(fd, text);
    if (status == 0 && setenv("NOTIFY_SOCKET", text, 1) < 0)
        status = -errno;
    if (status < 0)
        return error_errno(error, status, "cannot make the jail's notification socket");
    *ret_fd = take_fd(&fd);
    return 0;
}
