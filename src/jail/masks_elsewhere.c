/* Hides sockets outside of /run through which a program outside would act for the command.
 *
 * X servers take keystrokes for any window, tmux, screen, editors and window managers run what they
 * are told, a session bus starts services, container engines start containers, a sound server sends
 * to where it is told, a shared connection of ssh leads to its machine, a browser opens what it is
 * told. They live in known places of /tmp and of the user's directories, or an environment variable
 * names them. Directories are covered by an empty one, so that a socket made anew in them stays
 * hidden; a socket by itself is covered by /dev/null and is hidden as long as it is not made anew.
 * What is not there at the start is not covered. Agents (ssh, gpg) are left: programs need their
 * signatures. Runs in init like masks.c. What must not happen: something that is no socket being
 * covered because a variable names it. */
#include "jail/files.h"
#include "jail/jail.h"

#include "base/cleanup.h"

#include <dirent.h>
#include <errno.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>

#define PATH_SIZE 512 /* a longer one is no path of a socket (sun_path has 108 bytes) */

/* Not there, or not ours to reach: then neither for the command. Asks errno. */
static bool is_out_of_reach(void)
{
    return errno == ENOENT || errno == ENOTDIR || errno == EACCES || errno == ELOOP ||
           errno == ENAMETOOLONG;
}

/* Covers the directory, or the socket, at this path, if it is one. */
static int path_cover(const char *path, bool directories, struct error *error)
{
    struct stat state;
    int status = 0;

    if (stat(path, &state) < 0)
        return is_out_of_reach() ? 0 : error_errno(error, -errno, "cannot look at '%s'", path);
    if (S_ISDIR(state.st_mode) && directories)
        status = mount("tmpfs", path, "tmpfs", MS_NOSUID | MS_NODEV | MS_RDONLY, "mode=555");
    else if (S_ISSOCK(state.st_mode))
        status = mount("/dev/null", path, NULL, MS_BIND, NULL);
    if (status == 0 || errno == ENOENT)
        return 0;
    (void)error_errno(error, -errno, "cannot hide '%s'", path);
    error_hint(error, "`unix-sockets host` leaves all sockets reachable");
    return error->code;
}

static int name_cover(const char *directory, const char *name, struct error *error)
{
    char path[PATH_SIZE];
    int length = snprintf(path, sizeof path, "%s/%s", directory, name);

    return length < (int)sizeof path ? path_cover(path, true, error) : 0;
}

/* The caller's and the command's directories of tmux and emacs, which have one per user. */
static int user_cover(const struct jail_setup *setup, struct error *error)
{
    const char *directory = getenv("TMUX_TMPDIR");
    const uid_t uids[] = {geteuid(), setup->identity.keep ? geteuid() : setup->identity.uid};
    int status = 0;

    for (size_t i = 0; status == 0 && i < ARRAY_LENGTH(uids) && (i == 0 || uids[i] != uids[0]);
         i++) {
        char name[32];

        (void)snprintf(name, sizeof name, "tmux-%u", (unsigned)uids[i]); /* fits */
        status = name_cover("/tmp", name, error);
        if (status == 0 && directory && directory[0] == '/')
            status = name_cover(directory, name, error);
        (void)snprintf(name, sizeof name, "emacs%u", (unsigned)uids[i]); /* fits */
        if (status == 0)
            status = name_cover("/tmp", name, error);
    }
    return status;
}

/* A runtime directory of the user's that is not below /run. */
static int runtime_cover(struct error *error)
{
    static const char *const names[] = {"bus",
                                        "systemd",
                                        "podman",
                                        "docker.sock",
                                        "docker",
                                        "containerd",
                                        "containerd-rootless",
                                        "buildkit",
                                        "libvirt",
                                        "pulse",
                                        "gnupg/S.dirmngr",
                                        "gvfsd",
                                        "emacs",
                                        "i3",
                                        "hypr",
                                        "wezterm",
                                        "zellij",
                                        "at-spi",
                                        "netjail"};
    const char *directory = getenv("XDG_RUNTIME_DIR");
    int status = 0;

    if (!directory || directory[0] != '/' || strncmp(directory, "/run/", 5) == 0)
        return 0;
    for (size_t i = 0; status == 0 && i < ARRAY_LENGTH(names); i++)
        status = name_cover(directory, names[i], error);
    return status;
}

static int entry_cover(const char *directory, const struct dirent *entry, bool deeper,
                       struct error *error);

/* Covers the sockets of a directory; none that is not there or not ours to read. */
static int sockets_cover(const char *path, bool deeper, struct error *error)
{
    DIR *directory = opendir(path);
    const struct dirent *entry;
    int status = 0;

    if (!directory)
        return is_out_of_reach() ? 0 : error_errno(error, -errno, "cannot read '%s'", path);
    while (status == 0) {
        errno = 0; /* readdir(3) says nothing else about why it ended */
        entry = readdir(directory);
        if (!entry)
            break;
        status = entry_cover(path, entry, deeper, error);
    }
    if (status == 0 && errno != 0)
        status = error_errno(error, -errno, "cannot read '%s'", path);
    (void)closedir(directory); /* only read */
    return status;
}

/* The entry of a directory if it is a socket; with `deeper`, the sockets in it. */
static int entry_cover(const char *directory, const struct dirent *entry, bool deeper,
                       struct error *error)
{
    char path[PATH_SIZE];
    int length = snprintf(path, sizeof path, "%s/%s", directory, entry->d_name);

    if (length >= (int)sizeof path)
        return 0;
    if (entry->d_type == DT_SOCK || entry->d_type == DT_UNKNOWN)
        return path_cover(path, false, error);
    return deeper && entry->d_type == DT_DIR && entry->d_name[0] != '.'
               ? sockets_cover(path, false, error)
               : 0;
}

/* Connections of ssh that its next commands share (ControlPath in ssh_config(5)). */
static int ssh_cover(const char *home, struct error *error)
{
    static const char *const names[] = {".ssh", ".ansible/cp"};
    int status = 0;

    for (size_t i = 0; status == 0 && i < ARRAY_LENGTH(names); i++) {
        char path[PATH_SIZE];

        if (snprintf(path, sizeof path, "%s/%s", home, names[i]) < (int)sizeof path)
            status = sockets_cover(path, true, error);
    }
    return status;
}

/* The socket of a browser is a symbolic link to one in /tmp. */
static int home_cover(struct error *error)
{
    static const char *const names[] = {".screen",
                                        ".docker/run",
                                        ".docker/desktop",
                                        ".gnupg/S.dirmngr",
                                        ".config/chromium/SingletonSocket",
                                        ".config/google-chrome/SingletonSocket",
                                        ".config/microsoft-edge/SingletonSocket",
                                        ".config/BraveSoftware/Brave-Browser/SingletonSocket",
                                        ".config/vivaldi/SingletonSocket"};
    const char *home = getenv("HOME");
    int status = 0;

    if (!home || home[0] != '/')
        return 0;
    for (size_t i = 0; status == 0 && i < ARRAY_LENGTH(names); i++)
        status = name_cover(home, names[i], error);
    return status == 0 ? ssh_cover(home, error) : status;
}

/* The socket whose path begins a text and ends at one of the characters. */
static int text_cover(const char *text, const char *end, struct error *error)
{
    size_t length = strcspn(text, end);
    char path[PATH_SIZE];

    if (text[0] != '/' || length >= sizeof path)
        return 0;
    memcpy(path, text, length);
    path[length] = '\0';
    return path_cover(path, false, error);
}

/* Sockets of D-Bus: addresses with keys in any order, as in unix:guid=1,path=/tmp/bus;unix:... */
static int buses_cover(struct error *error)
{
    static const char *const variables[] = {"DBUS_SESSION_BUS_ADDRESS", "DBUS_SYSTEM_BUS_ADDRESS",
                                            "DBUS_STARTER_ADDRESS", "AT_SPI_BUS_ADDRESS"};
    static const char key[] = "path=";
    int status = 0;

    for (size_t i = 0; i < ARRAY_LENGTH(variables); i++) {
        const char *value = getenv(variables[i]);
        const char *at = value ? strstr(value, key) : NULL;

        while (status == 0 && at) {
            status = text_cover(at + sizeof key - 1, ",;", error);
            at = strstr(at + sizeof key - 1, key);
        }
    }
    return status;
}

/* Sockets that the environment names, each behind its own words. */
static int named_cover(struct error *error)
{
    static const struct {
        const char *variable;
        const char *before;
        const char *end; /* characters that end the path */
    } named[] = {
        {"DOCKER_HOST", "unix://", ""},
        {"CONTAINER_HOST", "unix://", ""},
        {"TMUX", "", ","},
        {"PULSE_SERVER", "unix:", " "},
        {"KITTY_LISTEN_ON", "unix:", ""},
        {"ALACRITTY_SOCKET", "", ""},
        {"WEZTERM_UNIX_SOCKET", "", ""},
        {"NVIM", "", ""},
        {"NVIM_LISTEN_ADDRESS", "", ""},
        {"VSCODE_IPC_HOOK_CLI", "", ""},
        {"SWAYSOCK", "", ""},
        {"I3SOCK", "", ""},
        {"NIRI_SOCKET", "", ""},
        {"NOTIFY_SOCKET", "", ""}, /* the jail gets one of its own (notify_jail.c) */
    };
    int status = buses_cover(error);

    for (size_t i = 0; status == 0 && i < ARRAY_LENGTH(named); i++) {
        const char *value = getenv(named[i].variable);
        size_t before = strlen(named[i].before);

        if (value && strncmp(value, named[i].before, before) == 0)
            status = text_cover(value + before, named[i].end, error);
    }
    return status;
}

/* The directories of one /run: those of netjail itself, which masks.c leaves out where it covers
 * all. */
static int state_cover(const char *run, const struct jail_setup *setup, struct error *error)
{
    const uid_t uids[] = {getuid(), setup->identity.keep ? getuid() : setup->identity.uid};
    struct stat state = {0};

    if (lstat(run, &state) < 0 && !is_out_of_reach())
        return error_errno(error, -errno, "cannot look at '%s'", run);
    if (!S_ISDIR(state.st_mode))
        return 0; /* none here, or a symbolic link to the other one */
    int status = name_cover(run, "netjail", error);
    if (status == 0)
        status = name_cover(run, "netns", error);
    for (size_t i = 0; status == 0 && i < ARRAY_LENGTH(uids) && (i == 0 || uids[i] != uids[0]);
         i++) {
        char name[32];

        (void)snprintf(name, sizeof name, "user/%u/netjail", (unsigned)uids[i]); /* fits */
        status = name_cover(run, name, error);
    }
    return status;
}

int masks_state(const struct jail_setup *setup, struct error *error)
{
    const char *directory = getenv("XDG_RUNTIME_DIR");
    int status = state_cover("/run", setup, error);

    if (status == 0)
        status = state_cover("/var/run", setup, error);
    if (status == 0 && directory && directory[0] == '/')
        status = name_cover(directory, "netjail", error);
    return status;
}

/* What does not depend on who asks: windows, engines that start and fetch what they are told. */
static int system_cover(struct error *error)
{
    static const char *const paths[] = {"/tmp/.X11-unix",
                                        "/tmp/.ICE-unix",
                                        "/var/lib/lxd/unix.socket",
                                        "/var/lib/incus/unix.socket",
                                        "/var/snap/lxd/common/lxd/unix.socket",
                                        "/nix/var/nix/daemon-socket/socket",
                                        "/var/guix/daemon-socket/socket"};
    int status = 0;

    for (size_t i = 0; status == 0 && i < ARRAY_LENGTH(paths); i++)
        status = path_cover(paths[i], true, error);
    return status;
}

int masks_elsewhere(const struct jail_setup *setup, struct error *error)
{
    int status = system_cover(error);

    if (status == 0)
        status = user_cover(setup, error);
    if (status == 0)
        status = runtime_cover(error);
    if (status == 0)
        status = home_cover(error);
    return status == 0 ? named_cover(error) : status;
}
