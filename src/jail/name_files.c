/* /etc/resolv.conf, /etc/hosts and /etc/nsswitch.conf of the jail.
 *
 * Each is a file in a tmpfs, bound over the host's in the jail's mount namespace. Three forms of
 * /etc/resolv.conf:
 *   a file, or a link to one       bound over (a mount follows the link)
 *   a link into /run (resolved,    /run is covered anyway: the place is made anew in the tmpfs
 * there, NetworkManager, resolvconf)    so that the daemon which replaces its file does not unmount
 * ours missing, or a link to nothing  /etc is covered by a tmpfs with everything else bound into it
 * A file that lies in /etc itself and is replaced on the host while the jail runs unmounts ours
 * there (the kernel does that); the jail then sees the host's, which opens nothing.
 *
 * Runs in init with CAP_SYS_ADMIN over the mount namespace, before the identity is taken. What must
 * not happen: a file or directory made on the host (everything is made in a tmpfs of the jail). */
#include "jail/files.h"

#include "base/buf.h"
#include "base/cleanup.h"
#include "jail/jail.h"
#include "plan/name_files.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/utsname.h>

#define RESOLV   "/etc/resolv.conf"
#define HOSTS    "/etc/hosts"
#define NSSWITCH "/etc/nsswitch.conf"
#define STAGE    "/proc" /* where the tmpfs is while it is filled: nobody else works meanwhile */

#define NSSWITCH_MAX 65536

static bool exists(const char *path)
{
    struct stat state;

    return stat(path, &state) == 0;
}

/* Can the place be made anew in the tmpfs over /run: real directories all the way? */
static bool can_remake(const char *path)
{
    char below[300];
    int components = 1;

    if (path[0] == '/' || strstr(path, "..") || strstr(path, "//") || strstr(path, "./"))
        return false;
    for (const char *slash = path; (slash = strchr(slash, '/')); slash++) {
        struct stat state;

        (void)snprintf(below, sizeof below, "/run/%.*s", (int)(slash - path), path); /* fits */
        if (lstat(below, &state) == 0 ? !S_ISDIR(state.st_mode) : errno != ENOENT)
            return false;
        components++;
    }
    return components <= 4; /* as deep as masks.c goes */
}

void name_files_look(const struct jail_setup *setup, struct name_files *ret_files)
{
    char target[sizeof ret_files->in_run];
    const char *path = NULL;
    ssize_t length;

    *ret_files = (struct name_files){.wanted = name_files_wanted(setup->policy)};
    if (!ret_files->wanted)
        return;
    length = readlink(RESOLV, target, sizeof target - 1);
    if (length > 0) {
        target[length] = '\0';
        path = name_files_below_run(target);
    }
    if (path && setup->policy->unix_sockets == UNIX_SOCKETS_MASKED && can_remake(path))
        memcpy(ret_files->in_run, path, strlen(path) + 1);
    ret_files->covers_etc = (!ret_files->in_run[0] && !exists(RESOLV)) || !exists(HOSTS);
}

static int file_write(const char *path, const struct buf *text, struct error *error)
{
    cleanup_fd int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0644);
    size_t length = text ? text->length : 0;

    if (fd < 0 || fchmod(fd, 0644) < 0 || /* whatever the umask is */
        (length > 0 && write(fd, text->data, length) != (ssize_t)length))
        return error_errno(error, -errno, "cannot make %s in the jail", path);
    return 0;
}

/* The place of resolv.conf in the tmpfs over /run, with its directories. */
static int remake_in_run(const char *path, struct error *error)
{
    char made[300];

    for (const char *slash = path; (slash = strchr(slash, '/')); slash++) {
        (void)snprintf(made, sizeof made, "/run/%.*s", (int)(slash - path), path); /* fits */
        if (mkdir(made, 0755) < 0 && errno != EEXIST)
            return error_errno(error, -errno, "cannot make %s in the jail", made);
    }
    (void)snprintf(made, sizeof made, "/run/%s", path); /* fits */
    return file_write(made, NULL, error);
}

/* A link in /etc is kept where its target exists. */
static int cover_etc(const struct name_files *files, struct error *error)
{
    static const char *const resolv_only[MASK_PATHS_MAX] = {"resolv.conf"};
    static const char *const hosts_only[MASK_PATHS_MAX] = {"hosts"};
    static const char *const both[MASK_PATHS_MAX] = {"resolv.conf", "hosts"};
    bool resolv = !files->in_run[0] && !exists(RESOLV);
    bool hosts = !exists(HOSTS);
    int status;

    if (!exists("/etc"))
        return 0; /* then the resolver listens on 127.0.0.1, which is the C library's default */
    status = masks_cover("/etc", resolv && hosts ? both : resolv ? resolv_only : hosts_only, error);
    if (status >= 0 && resolv)
        status = file_write(RESOLV, NULL, error);
    if (status >= 0 && hosts)
        status = file_write(HOSTS, NULL, error);
    return status < 0 ? status : 0;
}

/* The host's nsswitch.conf, changed where it must be; false: it stays. */
static bool nsswitch_text(struct buf *text)
{
    cleanup_free char *host = malloc(NSSWITCH_MAX);
    cleanup_fd int fd = open(NSSWITCH, O_RDONLY | O_CLOEXEC);
    ssize_t length = host && fd >= 0 ? read(fd, host, NSSWITCH_MAX) : -1;

    return length > 0 && name_files_print_nsswitch(host, (size_t)length, text);
}

static int place(const char *staged, const char *target, const struct buf *text,
                 struct error *error)
{
    if (file_write(staged, text, error) < 0)
        return error->code;
    if (mount(staged, target, NULL, MS_BIND, NULL) < 0 && errno != ENOENT)
        return error_errno(error, -errno, "cannot put the jail's %s in place", target);
    return 0;
}

int name_files_setup(const struct jail_setup *setup, const struct name_files *files,
                     struct error *error)
{
    cleanup_buf struct buf resolv = {0};
    cleanup_buf struct buf hosts = {0};
    cleanup_buf struct buf nsswitch = {0};
    struct utsname name;
    bool has_nsswitch;
    int status = 0;

    if (!files->wanted)
        return 0;
    if (files->in_run[0])
        status = remake_in_run(files->in_run, error);
    if (status == 0 && files->covers_etc)
        status = cover_etc(files, error);
    if (status < 0)
        return status;
    (void)uname(&name); /* cannot fail with a valid pointer */
    name_files_print_resolv(setup->policy, &resolv);
    name_files_print_hosts(setup->policy, name.nodename, &hosts);
    has_nsswitch = nsswitch_text(&nsswitch);
    if (mount("tmpfs", STAGE, "tmpfs", MS_NOSUID | MS_NODEV | MS_NOEXEC, "mode=755,size=1m") < 0)
        return error_errno(error, -errno, "cannot make the jail's files for names");
    if (setup->policy->needs_resolver || setup->policy->dns.directs_count > 0)
        status = place(STAGE "/resolv.conf", RESOLV, &resolv, error);
    if (status == 0)
        status = place(STAGE "/hosts", HOSTS, &hosts, error);
    if (status == 0 && has_nsswitch)
        status = place(STAGE "/nsswitch.conf", NSSWITCH, &nsswitch, error);
    if (umount2(STAGE, MNT_DETACH) < 0 && status == 0)
        status = error_errno(error, -errno, "cannot uncover " STAGE);
    return status;
}
