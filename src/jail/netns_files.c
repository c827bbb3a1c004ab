/* /etc/netns/NAME: files that replace those of /etc in a named jail, as ip-netns(8) does it for
 * `ip netns exec`. Runs in init with CAP_SYS_ADMIN over the mount namespace. Only root makes named
 * jails, and /etc/netns is root's. */
#include "jail/files.h"

#include "base/cleanup.h"

#include <dirent.h>
#include <errno.h>
#include <string.h>
#include <sys/mount.h>

static int bind_one(const char *name, const char *file, struct error *error)
{
    char source[512], target[512];

    (void)snprintf(source, sizeof source, "/etc/netns/%s/%s", name, file); /* 63 and 255 bytes */
    (void)snprintf(target, sizeof target, "/etc/%s", file);                /* fits */
    if (mount(source, target, NULL, MS_BIND | MS_REC, NULL) == 0)
        return 0;
    (void)error_errno(error, -errno, "cannot put %s in the place of %s", source, target);
    if (error->code == -ENOENT)
        error_hint(error, "%s must exist to be replaced", target);
    return error->code;
}

int netns_files_bind(const char *name, struct error *error)
{
    char path[128];
    const struct dirent *entry;
    DIR *directory;
    int status = 0;

    (void)snprintf(path, sizeof path, "/etc/netns/%s", name); /* fits: a jail's name */
    directory = opendir(path);
    if (!directory)
        return errno == ENOENT || errno == ENOTDIR
                   ? 0
                   : error_errno(error, -errno, "cannot read %s", path);
    while (status == 0 && (entry = readdir(directory))) {
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
            status = bind_one(name, entry->d_name, error);
    }
    (void)closedir(directory); /* only read */
    return status;
}
