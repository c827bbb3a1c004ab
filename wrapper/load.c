/* Finding, trusting and reading policy files.
 *
 * A policy decides what a command may do, so who can write it can lift it. Therefore the path is
 * walked component by component with openat(O_NOFOLLOW): each directory is judged on the descriptor
 * through which the walk goes on, symbolic links are resolved by hand so that the directory in
 * which a link stands is judged too, and the file is judged on the descriptor that is then read,
 * once. Nothing is looked at by name a second time. */
#include "load.h"

#include "base/cleanup.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/stat.h>

#define CANONICAL_SIZE ((size_t)2 * PATH_MAX)
#define SYMLINKS_MAX   40 /* as the kernel's own limit, path_resolution(7) */

/* The state of a walk: where we are and what is still to go. */
struct walk {
    int directory;        /* O_PATH descriptor of the present directory */
    char rest[PATH_MAX];  /* components still to go, without leading slash */
    char shown[PATH_MAX]; /* the present directory, for messages */
    int symlinks;
};

void trusted_file_free(struct trusted_file *file)
{
    free(file->path);
    free(file->canonical);
    free(file->text);
    *file = (struct trusted_file){0};
}

/* SUDO_UID counts only when root runs the program: anybody else could set it himself. */
static bool sudo_uid(uid_t *ret_uid)
{
    const char *text = getenv("SUDO_UID");
    char *end = NULL;

    if (getuid() != 0 || !text || *text < '0' || *text > '9')
        return false;
    errno = 0;
    unsigned long value = strtoul(text, &end, 10);
    if (errno || *end || value >= UINT32_MAX)
        return false;
    *ret_uid = (uid_t)value;
    return true;
}

static bool owner_is_trusted(uid_t owner)
{
    uid_t sudo;

    if (owner == 0)
        return true;
    if (getauxval(AT_SECURE))
        return false;
    return owner == getuid() || (sudo_uid(&sudo) && owner == sudo);
}

/* Judges a directory or file by its owner and mode. */
static int judge(const struct stat *status, const char *path, struct error *error)
{
    bool sticky_directory = S_ISDIR(status->st_mode) && (status->st_mode & S_ISVTX);
    const char *what = S_ISDIR(status->st_mode) ? "directory" : "file";

    if (!owner_is_trusted(status->st_uid)) {
        error_set(error, -EPERM, "policy not trusted: %s '%s' belongs to user %u", what, path,
                  (unsigned)status->st_uid);
        error_hint(error, "a policy and its directories must belong to root or to you");
        return -EPERM;
    }
    if ((status->st_mode & (S_IWGRP | S_IWOTH)) && !sticky_directory) {
        error_set(error, -EPERM, "policy not trusted: %s '%s' is writable by %s (mode %04o)", what,
                  path, status->st_mode & S_IWOTH ? "others" : "its group",
                  (unsigned)status->st_mode & 07777u);
        error_hint(error, "chmod go-w '%s'", path);
        return -EPERM;
    }
    return 0;
}

static int walk_start(struct walk *walk, const char *path, struct error *error)
{
    char cwd[PATH_MAX] = "";

    if (path[0] != '/' && !getcwd(cwd, sizeof cwd))
        return error_errno(error, -errno, "cannot find the working directory for '%s'", path);
    int length = snprintf(walk->rest, sizeof walk->rest, "%s/%s", cwd, path);
    if (length < 0 || (size_t)length >= sizeof walk->rest)
        return error_errno(error, -ENAMETOOLONG, "cannot open '%s'", path);
    walk->symlinks = 0;
    walk->shown[0] = '\0';
    walk->directory = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
    return walk->directory < 0 ? error_errno(error, -errno, "cannot open '/'") : 0;
}

/* Takes the next component off walk->rest; false when nothing is left. */
static bool walk_component(struct walk *walk, char name[NAME_MAX + 1])
{
    const char *start = walk->rest + strspn(walk->rest, "/");
    size_t length = strcspn(start, "/");

    if (length == 0 || length > NAME_MAX)
        return false;
    memcpy(name, start, length);
    name[length] = '\0';
    memmove(walk->rest, start + length, strlen(start + length) + 1);
    return true;
}

static bool walk_is_last(const struct walk *walk)
{
    return walk->rest[strspn(walk->rest, "/")] == '\0';
}

/* Puts the target of the link `name` in front of what is still to go. */
static int walk_symlink(struct walk *walk, const char *name, const struct stat *status,
                        struct error *error)
{
    char target[PATH_MAX];
    char rest[PATH_MAX];

    if (!owner_is_trusted(status->st_uid))
        return error_set(error, -EPERM,
                         "policy not trusted: symbolic link '%s/%s' belongs to user %u",
                         walk->shown, name, (unsigned)status->st_uid);
    if (++walk->symlinks > SYMLINKS_MAX)
        return error_errno(error, -ELOOP, "cannot follow '%s/%s'", walk->shown, name);
    ssize_t length = readlinkat(walk->directory, name, target, sizeof target - 1);
    if (length < 0)
        return error_errno(error, -errno, "cannot read the link '%s/%s'", walk->shown, name);
    target[length] = '\0';
    int needed = snprintf(rest, sizeof rest, "%s/%s", target, walk->rest);
    if (needed < 0 || (size_t)needed >= sizeof rest)
        return error_errno(error, -ENAMETOOLONG, "cannot follow '%s/%s'", walk->shown, name);
    memcpy(walk->rest, rest, (size_t)needed + 1);
    if (target[0] != '/')
        return 0;
    int root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (root < 0)
        return error_errno(error, -errno, "cannot open '/'");
    (void)close(walk->directory); /* an O_PATH descriptor has nothing to flush */
    walk->directory = root;
    walk->shown[0] = '\0';
    return 0;
}

static int walk_enter(struct walk *walk, const char *name, struct error *error)
{
    int next = openat(walk->directory, name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (next < 0)
        return error_errno(error, -errno, "cannot open the directory '%s/%s'", walk->shown, name);
    (void)close(walk->directory); /* an O_PATH descriptor has nothing to flush */
    walk->directory = next;

    size_t used = strlen(walk->shown);
    if (strcmp(name, "..") == 0) {
        char *slash = strrchr(walk->shown, '/');
        if (slash)
            *slash = '\0';
    } else if (strcmp(name, ".") != 0) {
        (void)snprintf(walk->shown + used, sizeof walk->shown - used, "/%s",
                       name); /* only shown; cut where it would be too long */
    }
    return 0;
}

static int judge_directory(const struct walk *walk, struct error *error)
{
    struct stat status;

    if (fstat(walk->directory, &status) != 0)
        return error_errno(error, -errno, "cannot look at '%s'", walk->shown);
    return judge(&status, walk->shown[0] ? walk->shown : "/", error);
}

/* Opens the last component for reading and judges it. */
static int walk_open_file(const struct walk *walk, const char *name, char shown[CANONICAL_SIZE],
                          int *ret_fd, struct error *error)
{
    struct stat status;

    (void)snprintf(shown, CANONICAL_SIZE, "%s/%s", walk->shown, name); /* fits: both are bounded */
    cleanup_fd int fd =
        openat(walk->directory, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    if (fd < 0)
        return error_errno(error, -errno, "cannot read '%s'", shown);
    if (fstat(fd, &status) != 0)
        return error_errno(error, -errno, "cannot look at '%s'", shown);
    if (S_ISDIR(status.st_mode))
        return error_errno(error, -EISDIR, "cannot read '%s'", shown);
    if (!S_ISREG(status.st_mode))
        return error_set(error, -EINVAL, "'%s' is not a regular file", shown);
    int result = judge(&status, shown, error);
    if (result < 0)
        return result;
    *ret_fd = take_fd(&fd);
    return 0;
}

/* Walks to the file and opens it; directories are judged as the walk passes through them. */
static int open_trusted(const char *path, char canonical[CANONICAL_SIZE], int *ret_fd,
                        struct error *error)
{
    struct walk walk;
    char name[NAME_MAX + 1];
    struct stat status;
    int result = walk_start(&walk, path, error);

    if (result < 0)
        return result;
    while (result == 0 && walk_component(&walk, name)) {
        result = judge_directory(&walk, error);
        if (result < 0)
            break;
        if (fstatat(walk.directory, name, &status, AT_SYMLINK_NOFOLLOW) != 0) {
            result = error_errno(error, -errno, "cannot open '%s'", path);
        } else if (S_ISLNK(status.st_mode)) {
            result = walk_symlink(&walk, name, &status, error);
        } else if (walk_is_last(&walk)) {
            result = walk_open_file(&walk, name, canonical, ret_fd, error);
            goto out;
        } else {
            result = walk_enter(&walk, name, error);
        }
    }
    if (result == 0)
        result = error_errno(error, -EISDIR, "cannot read '%s'", path);
out:
    (void)close(walk.directory); /* an O_PATH descriptor has nothing to flush */
    return result;
}

static int read_whole(int fd, const char *path, size_t size_max, char **ret_text,
                      size_t *ret_length, struct error *error)
{
    size_t capacity = 64u << 10;
    size_t length = 0;
    cleanup_free char *text = malloc(capacity + 1);

    while (text) {
        ssize_t got = read(fd, text + length, capacity - length);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return error_errno(error, -errno, "cannot read '%s'", path);
        if (got == 0)
            break;
        length += (size_t)got;
        if (length > size_max)
            return error_set(error, -EFBIG, "'%s' is larger than %zu MiB", path, size_max >> 20);
        if (length == capacity) {
            char *larger = realloc(text, 2 * capacity + 1);
            if (!larger)
                return error_errno(error, -ENOMEM, "cannot read '%s'", path);
            text = larger;
            capacity *= 2;
        }
    }
    if (!text)
        return error_errno(error, -ENOMEM, "cannot read '%s'", path);
    text[length] = '\0';
    *ret_text = take_ptr(&text);
    *ret_length = length;
    return 0;
}

int load_trusted(const char *path, size_t size_max, struct trusted_file *ret_file,
                 struct error *error)
{
    cleanup_fd int fd = -1;
    struct trusted_file file = {0};
    char canonical[CANONICAL_SIZE];
    int result = open_trusted(path, canonical, &fd, error);

    if (result == 0)
        result = read_whole(fd, path, size_max, &file.text, &file.length, error);
    if (result < 0)
        return result;
    file.path = strdup(path);
    file.canonical = strdup(canonical);
    if (!file.path || !file.canonical) {
        trusted_file_free(&file);
        return error_errno(error, -ENOMEM, "cannot read '%s'", path);
    }
    *ret_file = file;
    return 0;
}

/* Directory number `index` of the policy path; NULL behind the last, "" for one that is not set. */
static const char *policy_directory(size_t index, char buffer[PATH_MAX])
{
    static const char *const fixed[] = {"/etc/netjail", NETJAIL_PREFIX "/share/netjail/policies",
                                        "/usr/share/netjail/policies"};
    const char *config = getenv("XDG_CONFIG_HOME");
    const char *home = getenv("HOME");

    buffer[0] = '\0';
    if (index > ARRAY_LENGTH(fixed))
        return NULL;
    if (index > 0)
        return fixed[index - 1];
    if (getauxval(AT_SECURE))
        return buffer;
    if (config && config[0] == '/')
        (void)snprintf(buffer, PATH_MAX, "%s/netjail", config); /* too long: not found */
    else if (home && home[0] == '/')
        (void)snprintf(buffer, PATH_MAX, "%s/.config/netjail", home); /* too long: not found */
    return buffer;
}

/* Tries NAME and NAME.conf in the policy path. The first file that exists decides, also when it is
 * not trusted: an attacker must not be able to hide a policy behind another one. */
static int load_from_path(const char *name, size_t size_max, struct trusted_file *ret_file,
                          struct error *error)
{
    char buffer[PATH_MAX];
    char path[2 * PATH_MAX];
    const char *directory;

    for (size_t index = 0; (directory = policy_directory(index, buffer)) != NULL; index++) {
        static const char *const suffixes[] = {"", ".conf"};
        for (size_t i = 0; directory[0] && i < ARRAY_LENGTH(suffixes); i++) {
            (void)snprintf(path, sizeof path, "%s/%s%s", directory, name,
                           suffixes[i]); /* fits: both are bounded */
            struct error attempt = {0};
            int result = load_trusted(path, size_max, ret_file, &attempt);
            if (result == -ENOENT || result == -ENOTDIR)
                continue;
            if (result < 0)
                *error = attempt;
            return result;
        }
    }
    return -ENOENT;
}

static bool ends_with(const char *text, const char *end)
{
    size_t length = strlen(text);
    return length >= strlen(end) && strcmp(text + length - strlen(end), end) == 0;
}

int load_policy(const char *name, struct trusted_file *ret_file, struct error *error)
{
    struct error attempt = {0};
    int result = -ENOENT;

    if (name[0] == '\0' || strlen(name) >= PATH_MAX)
        return error_set(error, -EINVAL, "the policy's name is %s", name[0] ? "too long" : "empty");
    if (strchr(name, '/') || ends_with(name, ".conf"))
        result = load_trusted(name, POLICY_FILE_MAX, ret_file, &attempt);
    if (result < 0 && result != -ENOENT)
        *error = attempt;
    if (result == -ENOENT && !strchr(name, '/'))
        result = load_from_path(name, POLICY_FILE_MAX, ret_file, error);
    if (result != -ENOENT)
        return result;
    if (strchr(name, '/') && access(name, F_OK) == 0) { /* what /proc/self/fd/N leads to */
        error_set(error, -EINVAL, "the policy '%s' is a pipe, or has been removed", name);
        error_hint(error, "it must be a regular file, whose directories are judged, too; "
                          "-e gives a statement without any");
        return -EINVAL;
    }
    error_set(error, -ENOENT, "cannot find the policy '%s'", name);
    if (!strchr(name, '/'))
        error_hint(error,
                   "looked in %s~/.config/netjail, /etc/netjail and the installed policies; "
                   "a file elsewhere is written with a slash: ./%s",
                   ends_with(name, ".conf") ? "this directory, " : "", name);
    return -ENOENT;
}

/* Keeps the file until loader_free() and hands out its text. */
static int loader_keep(struct loader *loader, struct trusted_file *file, const char **ret_path,
                       const char **ret_text, size_t *ret_length, struct error *error)
{
    struct trusted_file *files =
        reallocarray(loader->files, loader->files_count + 1, sizeof *files);

    if (!files) {
        trusted_file_free(file);
        return error_errno(error, -ENOMEM, "cannot keep an included file");
    }
    loader->files = files;
    files[loader->files_count++] = *file;
    *ret_path = file->canonical;
    *ret_text = file->text;
    *ret_length = file->length;
    return 0;
}

/* An included file and a list look the same here; the parser holds included files to 16 MiB. */
static int loader_read(void *context, const char *from, const char *name, const char **ret_path,
                       const char **ret_text, size_t *ret_length, struct error *error)
{
    struct trusted_file file = {0};
    char path[2 * PATH_MAX];
    const char *slash = from ? strrchr(from, '/') : NULL;
    int result;

    if (name[0] == '\0' || strlen(name) >= PATH_MAX || (from && strlen(from) >= PATH_MAX))
        return error_errno(error, -ENAMETOOLONG, "cannot read '%.80s'", name);
    if (name[0] == '/' || !slash)
        (void)snprintf(path, sizeof path, "%s", name); /* fits: bounded above */
    else
        (void)snprintf(path, sizeof path, "%.*s/%s", (int)(slash - from), from,
                       name); /* fits: both are bounded */
    result = load_trusted(path, LIST_FILE_MAX, &file, error);
    if (result == -ENOENT && name[0] != '/')
        result = load_from_path(name, LIST_FILE_MAX, &file, error);
    if (result == -ENOENT)
        return error_errno(error, -ENOENT, "cannot read '%s'", path);
    if (result < 0)
        return result;
    return loader_keep(context, &file, ret_path, ret_text, ret_length, error);
}

struct policy_reader loader_reader(struct loader *loader)
{
    return (struct policy_reader){.read = loader_read, .context = loader};
}

void loader_free(struct loader *loader)
{
    for (size_t i = 0; i < loader->files_count; i++)
        trusted_file_free(&loader->files[i]);
    free(loader->files);
    *loader = (struct loader){0};
}
