/* Other mounts of the kernel's own file systems, read-only: a second /proc (of a chroot, say) has
 * the same sysctls as the first one, and uid 0 needs no capability to write there:
 * kernel.core_pattern starts programs outside of every jail.
 *
 * Runs in init, in the jail's mount namespace, after /proc and /sys are the jail's own and before
 * the identity is taken. The list of mounts only says where to look: what is opened there is
 * judged. What must not happen: a plain file system made read-only because it covers such a mount.
 */
#include "jail/files.h"

#include "base/cleanup.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/mount.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>

#define READ_SIZE ((size_t)4096)

/* linux/magic.h */
static const unsigned magics[] = {
    0x9fa0 /* proc */,         0x62656572 /* sysfs */,    0x27e0eb /* cgroup */,
    0x63677270 /* cgroup2 */,  0x64626720 /* debug */,    0x74726163 /* tracing */,
    0x73636673 /* security */, 0x62656570 /* configfs */, 0x42494e4d /* binfmt_misc */,
    0xde5e81e4 /* efivarfs */, 0xcafe4a11 /* bpf */,      0x6165676c /* pstore */,
    0x65735543 /* fusectl */,  0x6e667364 /* nfsd */,     0x7655821 /* resctrl */,
    0xf97cff8c /* SELinux */,  0x43415d53 /* Smack */,    0xabba1974 /* Xen */,
};

static bool is_pseudo(const struct statfs *state)
{
    for (size_t i = 0; i < ARRAY_LENGTH(magics); i++) {
        if ((unsigned)state->f_type == magics[i])
            return true;
    }
    return false;
}

/* In place: proc(5) writes blanks and backslashes as three octal digits. */
static void unescape(char *text)
{
    char *to = text;

    for (const char *from = text; *from; to++) {
        if (from[0] == '\\' && from[1] && from[2] && from[3]) {
            *to = (char)((from[1] - '0') * 64 + (from[2] - '0') * 8 + (from[3] - '0'));
            from += 4;
        } else {
            *to = *from++;
        }
    }
    *to = '\0';
}

static int lock_one(char *path, struct error *error)
{
    struct mount_attr attr = {.attr_set = MOUNT_ATTR_RDONLY};
    struct statfs state;

    unescape(path);
    cleanup_fd int fd = open(path, O_PATH | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0 && (errno == ENOENT || errno == ENOTDIR || errno == ELOOP || errno == EACCES))
        return 0; /* covered, or out of reach for the command, too */
    if (fd < 0 || fstatfs(fd, &state) < 0)
        return error_errno(error, -errno, "cannot look at the mount of %s", path);
    if (!is_pseudo(&state))
        return 0; /* covered */
    if (syscall(SYS_mount_setattr, fd, "", (unsigned)AT_EMPTY_PATH, &attr, sizeof attr) < 0)
        return error_errno(error, -errno, "cannot make %s read-only", path);
    return 0;
}

/* Is it in what the jail has of its own? */
static bool is_own(const char *path)
{
    static const char *const own[] = {"/proc", "/sys"};

    for (size_t i = 0; i < ARRAY_LENGTH(own); i++) {
        size_t length = strlen(own[i]);

        if (strncmp(path, own[i], length) == 0 && (path[length] == '\0' || path[length] == '/'))
            return true;
    }
    return false;
}

/* Lines of a file, read without the C library's streams, whose pages each start would pay for. */
struct lines {
    int fd;
    size_t start, end;
    char text[32 * 1024]; /* a path of PATH_MAX with every byte escaped, and the rest of its line */
};

/* The next line into *ret_line, without its newline: 1; 0: there is none; or a negative errno. */
static int lines_next(struct lines *lines, char **ret_line)
{
    size_t seen = lines->start;

    for (;;) {
        char *newline = memchr(lines->text + seen, '\n', lines->end - seen);
        size_t room;
        ssize_t got;

        if (newline) {
            *newline = '\0';
            *ret_line = lines->text + lines->start;
            lines->start = (size_t)(newline + 1 - lines->text);
            return 1;
        }
        lines->end -= lines->start;
        memmove(lines->text, lines->text + lines->start, lines->end);
        lines->start = 0;
        seen = lines->end;
        room = sizeof lines->text - lines->end;
        if (room == 0)
            return -E2BIG;
        got = read(lines->fd, lines->text + lines->end, room < READ_SIZE ? room : READ_SIZE);
        if (got <= 0)
            return got < 0 ? -errno : 0;
        lines->end += (size_t)got;
    }
}

int pseudo_lock(struct error *error)
{
    static const char *const kinds[] = {
        "proc",       "sysfs",    "cgroup",   "cgroup2",   "debugfs",     "tracefs",
        "securityfs", "configfs", "efivarfs", "bpf",       "binfmt_misc", "pstore",
        "fusectl",    "nfsd",     "resctrl",  "selinuxfs", "smackfs",     "xenfs"};
    static struct lines lines; /* only its first page is touched, as a rule */
    cleanup_fd int fd = open("/proc/self/mounts", O_RDONLY | O_CLOEXEC);
    char *line = NULL;
    int status;

    if (fd < 0)
        return error_errno(error, -errno, "cannot read the list of mounts");
    lines.fd = fd;
    lines.start = lines.end = 0;
    while ((status = lines_next(&lines, &line)) > 0) {
        char *path = strchr(line, ' ');
        char *kind = path ? strchr(path + 1, ' ') : NULL;
        char *end = kind ? strchr(kind + 1, ' ') : NULL;

        if (!end)
            continue;
        *kind = *end = '\0';
        for (size_t i = 0; i < ARRAY_LENGTH(kinds); i++) {
            if (strcmp(kind + 1, kinds[i]) != 0 || is_own(path + 1))
                continue;
            status = lock_one(path + 1, error);
            if (status < 0)
                return status;
            break;
        }
    }
    return status < 0 ? error_errno(error, status, "cannot read the list of mounts") : 0;
}
