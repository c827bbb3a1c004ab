/* Hides the host's sockets that would carry the command past its network.
 *
 * A mount on a socket file vanishes when its daemon recreates the file, so the directory itself
 * becomes a tmpfs, into which everything else is bound. What is new in the host's directory after
 * the start is not seen in the jail. Runs in init, in the jail's mount namespace, with
 * CAP_SYS_ADMIN over it and before the identity is taken. What must not happen: the covered
 * directory reachable by another way (cwd is entered again by its path, see files.c; directories as
 * descriptors are closed). */
#include "jail/files.h"

#include "base/cleanup.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <stdalign.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>

/* Below /run, sorted by what they give away. `*` does not match '/'; none begins with it. */
static const char *const masked[] = {
    /* Start processes outside: container engines, service managers, D-Bus. */
    "docker*",
    "containerd",
    "podman",
    "crio",
    "buildkit",
    "k3s",
    "k0s",
    "libvirt",
    "balena*",
    "cri-dockerd*",
    "dockershim*",
    "multipass*",
    "WSL",
    "lxd*",
    "incus*",
    "snapd*",
    "dbus",
    "systemd/private",
    "systemd/io.systemd.*",
    "systemd/machine",
    "systemd/notify",
    "machine",
    "screen",
    "supervisor.sock",
    "supervisor/supervisor.sock",
    "fail2ban/fail2ban.sock",
    "charon.*",
    "user/*/tmux-*",
    "user/*/bus",
    "user/*/dbus*",
    "user/*/.dbus-proxy",
    "user/*/snapd-session-agent.socket",
    "user/*/systemd",
    "user/*/podman",
    "user/*/docker*",
    "user/*/containerd*",
    "user/*/buildkit*",
    "user/*/libvirt",
    /* Terminals, editors and window managers that start what they are told. */
    "user/*/emacs",
    "user/*/nvim.*",
    "user/*/vscode-*",
    "user/*/sway-ipc.*",
    "user/*/i3",
    "user/*/hypr",
    "user/*/niri.*",
    "user/*/foot*",
    "user/*/Alacritty-*",
    "user/*/wezterm",
    "user/*/zellij",
    "user/*/shpool",
    "user/*/pueue*",
    "user/*/kakoune",
    "user/*/kitty*",
    "user/*/wayfire*",
    "user/*/ydotool_socket",
    "user/*/.ydotool_socket",
    "user/*/at-spi",
    "user/*/kdeinit*",
    "user/*/klauncher*",
    /* Resolve names or connect for others: a sound server sends where a client says, the keeper of
     * PGP's keys fetches what it is told, a browser opens it. */
    "user/*/pulse",
    "user/*/mpd",
    "user/*/gnupg/S.dirmngr",
    "user/*/gnupg/d.*/S.dirmngr",
    "user/*/gvfsd",
    "user/*/qutebrowser",
    "pulse",
    "mpd",
    "cups",
    "rpcbind.sock",
    /* Change the host's network for whoever may ask. */
    "wpa_supplicant*",
    "hostapd*",
    "openvswitch",
    "frr",
    "bird*",
    "lldpd*",
    "mullvad-vpn*",
    "nordvpn*",
    "netbird*",
    "cloudflare-warp*",
    "yggdrasil*",
    "chrony/chronyd.sock",
    "nscd",
    "avahi-daemon",
    "systemd/resolve/io.systemd.*",
    "systemd/resolve.hook",
    "tailscale",
    "tor",
    "systemd/resolve/varlink*",
    /* Other jails and their supervisors. */
    "netjail",
    "netns",
    "user/*/netjail",
};

#define DEPTH_MAX 4 /* of the patterns */

enum judgement {
    BIND, /* nothing below is masked */
    OPEN, /* something below is: look inside */
    MASKED,
};

#define PATH_SIZE 1100 /* below the root: DEPTH_MAX and one names of 255 bytes */

/* Its buffers are for one entry at a time, outside of the recursion: a page of stack that is not
 * touched is a page fault less at every start. */
struct mask {
    int host_fd;               /* the host's directory, covered */
    const char *root;          /* where the tmpfs is */
    bool by_patterns;          /* what `masked` says is hidden */
    const char *const *hidden; /* and these paths below it; MASK_PATHS_MAX, or fewer and NULL */
    char path[PATH_SIZE];      /* of the present entry below the root */
    char target[PATH_SIZE + 64];
    char source[PATH_SIZE + 64];
};

/* Length of the first `count` components of a path. */
static size_t components(const char *path, size_t count)
{
    size_t length = 0;

    while (path[length] != '\0' && (path[length] != '/' || --count > 0))
        length++;
    return length;
}

/* The same for one path that is no pattern. */
static enum judgement judge_one(const char *path, const char *hidden)
{
    size_t length = strlen(path);

    if (strncmp(path, hidden, length) != 0)
        return BIND;
    return hidden[length] == '\0' ? MASKED : hidden[length] == '/' ? OPEN : BIND;
}

static enum judgement judge(const struct mask *mask, const char *path)
{
    enum judgement found = BIND;
    size_t depth = 1;

    for (size_t i = 0; i < MASK_PATHS_MAX && mask->hidden[i]; i++) {
        enum judgement judgement = judge_one(path, mask->hidden[i]);

        if (judgement == MASKED)
            return MASKED;
        if (judgement == OPEN)
            found = OPEN;
    }
    if (!mask->by_patterns)
        return found;
    for (const char *slash = path; (slash = strchr(slash, '/')); slash++)
        depth++;
    for (size_t i = 0; i < ARRAY_LENGTH(masked); i++) {
        char start[64];
        size_t length;

        if (masked[i][0] != path[0])
            continue; /* no pattern begins with a wildcard */
        length = components(masked[i], depth);
        (void)snprintf(start, sizeof start, "%.*s", (int)length,
                       masked[i]); /* patterns are short */
        if (fnmatch(start, path, FNM_PATHNAME) != 0)
            continue;
        if (masked[i][length] == '\0')
            return MASKED;
        found = OPEN;
    }
    return found;
}

static int directory_fill(struct mask *mask, size_t length, int depth, struct error *error);

/* A directory or file of the host at the same place in the tmpfs. */
static int entry_bind(struct mask *mask, bool directory, struct error *error)
{
    const char *target = mask->target;
    int status;

    if (directory) {
        status = mkdir(target, 0755);
    } else {
        int fd = open(target, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0600);

        status = fd < 0 ? -1 : close(fd);
    }
    if (status < 0)
        return error_errno(error, -errno, "cannot make %s in the jail", target);
    (void)snprintf(mask->source, sizeof mask->source, "/proc/self/fd/%d/%s", mask->host_fd,
                   mask->path); /* fits */
    if (mount(mask->source, target, NULL, MS_BIND | MS_REC, NULL) == 0)
        return 0;
    if (errno == ENOENT || errno == EACCES)
        return 0; /* gone meanwhile, or not ours to see: its empty place is all there is */
    return error_errno(error, -errno, "cannot bind %s into the jail", target);
}

/* A directory of the tmpfs with the host's mode and, where it is mapped, owner. */
static int directory_make(const char *target, const struct stat *state, struct error *error)
{
    if (mkdir(target, state->st_mode & 07777) < 0)
        return error_errno(error, -errno, "cannot make %s in the jail", target);
    if (chown(target, state->st_uid, state->st_gid) < 0 && errno != EPERM && errno != EINVAL)
        return error_errno(error, -errno, "cannot give %s its owner", target);
    if (chmod(target, state->st_mode & 07777) < 0) /* umask and chown() may have cut it */
        return error_errno(error, -errno, "cannot give %s its mode", target);
    return 0;
}

__attribute__((noinline)) static int link_copy(const struct mask *mask, struct error *error)
{
    char text[4096];
    ssize_t length = readlinkat(mask->host_fd, mask->path, text, sizeof text - 1);

    if (length < 0)
        return 0; /* gone meanwhile */
    text[length] = '\0';
    if (symlink(text, mask->target) < 0)
        return error_errno(error, -errno, "cannot make %s in the jail", mask->target);
    return 0;
}

/* The entry mask->path, which is `length` bytes long. */
static int entry_take(struct mask *mask, size_t length, int depth, struct error *error)
{
    enum judgement judgement = judge(mask, mask->path);
    struct stat state;

    if (judgement == MASKED || fstatat(mask->host_fd, mask->path, &state, AT_SYMLINK_NOFOLLOW) < 0)
        return 0; /* masked, or gone meanwhile */
    (void)snprintf(mask->target, sizeof mask->target, "%s/%s", mask->root, mask->path); /* fits */
    if (S_ISLNK(state.st_mode))
        return link_copy(mask, error);
    if (!S_ISDIR(state.st_mode) || judgement == BIND)
        return entry_bind(mask, S_ISDIR(state.st_mode), error);
    if (directory_make(mask->target, &state, error) < 0)
        return error->code;
    return directory_fill(mask, length, depth + 1, error);
}

/* One entry of the directory mask->path, which is `length` bytes long. */
static int name_take(struct mask *mask, size_t length, const char *name, int depth,
                     struct error *error)
{
    int more;

    if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
        return 0;
    more = snprintf(mask->path + length, sizeof mask->path - length, "%s%s", length > 0 ? "/" : "",
                    name); /* fits: DEPTH_MAX */
    return entry_take(mask, length + (size_t)more, depth, error);
}

/* Fills the directory mask->path, which is `length` bytes long. */
static int directory_fill(struct mask *mask, size_t length, int depth, struct error *error)
{
    cleanup_fd int fd = openat(mask->host_fd, length > 0 ? mask->path : ".",
                               O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    alignas(struct dirent64) char entries[1024];
    int status = 0;
    ssize_t got;

    if (fd < 0)
        return errno == EACCES || errno == ENOENT
                   ? 0 /* not ours to see: stays empty */
                   : error_errno(error, -errno, "cannot read %s/%s", mask->root, mask->path);
    if (depth > DEPTH_MAX)
        return error_set(error, -ELOOP, "cannot read %s/%s", mask->root, mask->path);
    while (status == 0 && (got = getdents64(fd, entries, sizeof entries)) != 0) {
        if (got < 0)
            return error_errno(error, -errno, "cannot read a directory in %s", mask->root);
        for (ssize_t at = 0; status == 0 && at < got;) {
            const struct dirent64 *entry = (const struct dirent64 *)(entries + at);

            status = name_take(mask, length, entry->d_name, depth, error);
            at += entry->d_reclen;
        }
    }
    return status;
}

static int cover(struct mask *mask, struct error *error)
{
    const char *root = mask->root;
    cleanup_fd int host_fd = open(root, O_PATH | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    struct stat state;
    char options[32];

    if (host_fd < 0)
        return errno == ENOENT || errno == ENOTDIR || errno == ELOOP
                   ? 0 /* none here, or a symbolic link to the one that is masked */
                   : error_errno(error, -errno, "cannot open %s", root);
    if (fstat(host_fd, &state) < 0)
        return error_errno(error, -errno, "cannot look at %s", root);
    mask->host_fd = host_fd;
    (void)snprintf(options, sizeof options, "mode=%o", state.st_mode & 07777u); /* fits */
    if (mount("tmpfs", root, "tmpfs", MS_NOSUID | MS_NODEV, options) < 0) {
        (void)error_errno(error, -errno, "cannot cover %s", root);
        if (mask->by_patterns)
            error_hint(error, "it hides the host's sockets; `unix-sockets host` leaves them");
        return error->code;
    }
    int status = directory_fill(mask, 0, 0, error);

    return status < 0 ? status : 1;
}

int masks_setup(const char *root, const char *hidden, struct error *error)
{
    const char *const paths[MASK_PATHS_MAX] = {hidden};

    struct mask mask;

    mask.root = root;
    mask.by_patterns = true;
    mask.hidden = paths;
    mask.path[0] = '\0';
    return cover(&mask, error);
}

int masks_cover(const char *root, const char *const hidden[MASK_PATHS_MAX], struct error *error)
{
    struct mask mask;

    mask.root = root;
    mask.by_patterns = false;
    mask.hidden = hidden;
    mask.path[0] = '\0';
    return cover(&mask, error);
}
