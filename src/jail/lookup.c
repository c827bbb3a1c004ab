/* Asks netjail-lookup who a user is.
 *
 * Databases beyond files (LDAP, systemd's users) come as modules for the C library, which a program
 * without shared libraries cannot load. So a helper that has them is asked, with an empty
 * environment and through a pipe. It is as trusted as we are: it comes from our own directory, and
 * where we have privilege that our caller lacks (file capabilities) it gets this privilege too, or
 * the caller could trace it and answer in its place. What must not happen: an answer cut short
 * taken for a whole one. */
#include "jail/lookup.h"

#include "base/cleanup.h"
#include "jail/helper.h"
#include "jail/privs.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <sys/wait.h>

bool lookup_id(const char *text, uint32_t *ret_id)
{
    char *end;
    unsigned long long value;

    if (text[0] < '0' || text[0] > '9')
        return false;
    errno = 0;
    value = strtoull(text, &end, 10);
    if (errno != 0 || *end != '\0' || value >= UINT32_MAX)
        return false;
    *ret_id = (uint32_t)value;
    return true;
}

static int spawn_with(const char *path, char *const argv[], int out_fd,
                      posix_spawn_file_actions_t *actions, posix_spawnattr_t *attributes,
                      pid_t *ret_pid)
{
    char *const environment[] = {NULL};
    sigset_t none, all;
    int result;

    (void)sigemptyset(&none); /* these cannot fail with valid arguments */
    (void)sigfillset(&all);
    (void)posix_spawnattr_setsigmask(attributes, &none);
    (void)posix_spawnattr_setsigdefault(attributes, &all);
    (void)posix_spawnattr_setflags(attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
    result = posix_spawn_file_actions_addopen(actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    if (result == 0)
        result = posix_spawn_file_actions_adddup2(actions, out_fd, STDOUT_FILENO);
    if (result == 0)
        result = posix_spawn_file_actions_addclosefrom_np(actions, STDERR_FILENO + 1);
    return result != 0 ? result
                       : posix_spawn(ret_pid, path, actions, attributes, argv, environment);
}

static int helper_spawn(const char *path, char *const argv[], int out_fd, pid_t *ret_pid)
{
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    int result = posix_spawn_file_actions_init(&actions);

    if (result != 0)
        return -result;
    result = posix_spawnattr_init(&attributes);
    if (result == 0) {
        result = spawn_with(path, argv, out_fd, &actions, &attributes, ret_pid);
        (void)posix_spawnattr_destroy(&attributes); /* cannot fail on Linux */
    }
    (void)posix_spawn_file_actions_destroy(&actions); /* the same */
    return -result;
}

static int helper_start(const char *user, const char *group, bool secure, int out_fd,
                        pid_t *ret_pid, struct error *error)
{
    struct error ignored = {0};
    char path[PATH_MAX];
    char *const argv[] = {(char[]){LOOKUP_PROGRAM}, (char *)(uintptr_t)user,
                          (char *)(uintptr_t)group, NULL};
    int status = helper_find(LOOKUP_PROGRAM, path, sizeof path, error);

    if (status == 0 && secure)
        status = privs_lend(true, error);
    if (status < 0)
        return status;
    status = helper_spawn(path, argv, out_fd, ret_pid);
    if (status < 0)
        (void)error_errno(error, status, "cannot start '%s'", path);
    if (secure && privs_lend(false, status < 0 ? &ignored : error) < 0 && status == 0)
        status = error->code;
    return status;
}

static int read_all(int fd, void *bytes, size_t length)
{
    char *at = bytes;

    while (length > 0) {
        ssize_t got = read(fd, at, length);

        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return got < 0 ? -errno : -EPIPE;
        at += got;
        length -= (size_t)got;
    }
    return 0;
}

static int answer_read(int fd, struct lookup_answer *answer, gid_t **ret_groups)
{
    int status = read_all(fd, answer, sizeof *answer);

    *ret_groups = NULL;
    if (status < 0)
        return status;
    if (answer->magic != LOOKUP_MAGIC || answer->groups_count > LOOKUP_GROUPS_MAX)
        return -EPROTO;
    if (answer->error != 0)
        return answer->error > 0 ? -answer->error : -EPROTO;
    if (answer->groups_count == 0)
        return 0;
    cleanup_free gid_t *groups = calloc(answer->groups_count, sizeof *groups);
    if (!groups)
        return -ENOMEM;
    status = read_all(fd, groups, answer->groups_count * sizeof *groups);
    if (status == 0)
        *ret_groups = take_ptr(&groups);
    return status;
}

int lookup_user(const char *user, const char *group, bool secure, struct lookup_answer *ret_answer,
                gid_t **ret_groups, struct error *error)
{
    int ends[2];
    int wait_status = 0;
    pid_t pid = 0;

    if (pipe2(ends, O_CLOEXEC) < 0)
        return error_errno(error, -errno, "cannot make a pipe");
    cleanup_fd int in = ends[0];
    cleanup_fd int out = ends[1];
    int status = helper_start(user, group, secure, out, &pid, error);
    if (status < 0)
        return status;
    cleanup_close_fd(&out);
    out = -1;
    status = answer_read(in, ret_answer, ret_groups);
    while (waitpid(pid, &wait_status, 0) < 0 && errno == EINTR)
        continue;
    if (status < 0)
        return error_errno(error, status, "cannot look up user '%s'", user);
    return 0;
}
