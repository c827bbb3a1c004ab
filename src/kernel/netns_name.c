/* Named network namespaces: a bind mount of the namespace over an empty file in /run/netns, which
 * keeps it when its last process has ended. The directory is a shared mount, so that removing the
 * name reaches the copies in other mount namespaces (ip-netns(8) does the same; it stays). The only
 * mounts on the host that netjail makes. What must not happen: a name unmounted that is not the
 * jail's: the namespace behind it is compared with the recorded one. */
#include "kernel/netns_name.h"

#include "base/cleanup.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#define NSFS 0x6e736673 /* linux/magic.h */

static void path_fill(const char *name, char path[128])
{
    (void)snprintf(path, 128, NETNS_NAMES "/%s", name); /* fits: a jail's name */
}

bool netns_name_exists(const char *name)
{
    char path[128];
    struct stat state;

    path_fill(name, path);
    return lstat(path, &state) == 0;
}

int netns_fd_inode(int netns_fd, uint64_t *ret_inode)
{
    struct stat state;

    if (fstat(netns_fd, &state) < 0)
        return -errno;
    *ret_inode = state.st_ino;
    return 0;
}

static int directory_make(struct error *error)
{
    if (mkdir(NETNS_NAMES, 0755) < 0 && errno != EEXIST)
        return error_errno(error, -errno, "cannot make " NETNS_NAMES);
    if (mount(NULL, NETNS_NAMES, NULL, MS_SHARED | MS_REC, NULL) == 0)
        return 0;
    if (errno != EINVAL)
        return error_errno(error, -errno, "cannot share the mounts of " NETNS_NAMES);
    /* It is no mount of its own yet. */
    if (mount(NETNS_NAMES, NETNS_NAMES, NULL, MS_BIND | MS_REC, NULL) < 0 ||
        mount(NULL, NETNS_NAMES, NULL, MS_SHARED | MS_REC, NULL) < 0)
        return error_errno(error, -errno, "cannot share the mounts of " NETNS_NAMES);
    return 0;
}

/* Mounts on the file that it made, not on what has that name by now: in the state directory the
 * group netjail may put a symbolic link there. */
int netns_bind(const char *path, int netns_fd, struct error *error)
{
    char source[64], target[64];

    cleanup_fd int fd = open(path, O_RDONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0);
    if (fd < 0)
        return error_errno(error, -errno, "cannot make %s", path);
    (void)snprintf(source, sizeof source, "/proc/self/fd/%d", netns_fd); /* fits */
    (void)snprintf(target, sizeof target, "/proc/self/fd/%d", fd);       /* the same */
    if (mount(source, target, NULL, MS_BIND, NULL) == 0)
        return 0;
    (void)error_errno(error, -errno, "cannot name the jail's network namespace %s", path);
    (void)unlink(path); /* made above, and empty */
    return error->code;
}

int netns_name_make(const char *name, int netns_fd, struct error *error)
{
    char path[128];
    int result = directory_make(error);

    if (result < 0)
        return result;
    path_fill(name, path);
    result = netns_bind(path, netns_fd, error);
    if (result == -EEXIST)
        error_hint(error, "`ip netns delete %s` removes it, if nobody needs it", name);
    return result;
}

/* 1: it is ours, or an empty file in the place where ours should have come; 0: there is none, or
 * somebody else's; or a negative errno: nobody knows. */
static int look_at(const char *path, uint64_t inode)
{
    cleanup_fd int fd = open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    struct statfs kind;
    struct stat state;

    if (fd < 0) /* a symbolic link, or a socket that nobody reads */
        return errno == ENOENT || errno == ELOOP || errno == ENXIO ? 0 : -errno;
    if (fstatfs(fd, &kind) < 0 || fstat(fd, &state) < 0)
        return -errno;
    if ((unsigned)kind.f_type == NSFS)
        return state.st_ino == inode;
    return S_ISREG(state.st_mode) && state.st_size == 0;
}

int netns_unbind(const char *path, uint64_t inode, struct error *error)
{
    int found = look_at(path, inode);

    if (found < 0)
        return error_errno(error, found, "cannot look at %s", path);
    if (found == 0)
        return 0;
    if (umount2(path, MNT_DETACH | UMOUNT_NOFOLLOW) < 0 && errno != EINVAL && errno != ENOENT)
        return error_errno(error, -errno, "cannot remove the name %s", path);
    if (unlink(path) < 0 && errno != ENOENT)
        return error_errno(error, -errno, "cannot remove %s", path);
    return 0;
}

int netns_name_remove(const char *name, uint64_t inode, struct error *error)
{
    char path[128];

    path_fill(name, path);
    return inode == 0 ? 0 : netns_unbind(path, inode, error);
}
