/* Hides sockets outside of /run through which a program outside would act for the command.
 *
 * X servers take keystrokes for any window, tmux, screen, editors and window managers run what they
 * are told, a session bus starts services, container engines start containers, a sound server sends
 * to where it is told. They live in known places of /tmp and of the
 * user's directories, or an environment variable names them. Directories are covered by an empty
 * one, so that a socket made anew in them stays hidden; a socket by itself is covered by /dev/null
 * and is hidden as long as it is not made anew. What is not there at the start is not covered.
 * Agents (ssh, gpg) are left: they sign, but reach nothing. Runs in init like masks.c. What must
 * not happen: something that is no socket being covered because a variable names it. */
#include "jail/files.h"
#include "jail/jail.h"

#include "base/cleanup.h"

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

static int home_cover(struct error *error)
{
    static const char *const names[] = {".screen", ".docker/run", ".docker/desktop"};
    const char *home = getenv("HOME");
    int status = 0;

    for (size_t i = 0; home && home[0] == '/' && status == 0 && i < ARRAY_LENGTH(names); i++)
        status = name_cover(home, names[i], error);
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
        {"DBUS_SESSION_BUS_ADDRESS", "unix:path=", ",;"},
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
    };
    int status = 0;

    for (size_t i = 0; status == 0 && i < ARRAY_LENGTH(named); i++) {
        const char *value = getenv(named[i].variable);
        size_t before = strlen(named[i].before);
        char path[PATH_SIZE];

        if (!value || strncmp(value, named[i].before, before) != 0 || value[before] != '/')
            continue;
        size_t length = strcspn(value + before, named[i].end);
        if (length >= sizeof path)
            continue;
        memcpy(path, value + before, length);
        path[length] = '\0';
        status = path_cover(path, false, error);
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

int masks_elsewhere(const struct jail_setup *setup, struct error *error)
{
    int status = name_cover("/tmp", ".X11-unix", error);

    if (status == 0)
        status = name_cover("/tmp", ".ICE-unix", error);
    if (status == 0)
        status = user_cover(setup, error);
    if (status == 0)
        status = runtime_cover(error);
    if (status == 0)
        status = home_cover(error);
    return status == 0 ? named_cover(error) : status;
}
