/* From init's fork to the command's exec().
 *
 * The child has init's identity, capabilities and Landlock domain already. Order: process group and
 * terminal -> environment -> descriptors -> the caller's signal mask -> seccomp -> exec(), which
 * searches PATH as the command would. A failure travels through a close-on-exec pipe; its silent
 * end is the success of exec(). What must not happen: the child going on as init. */
#include "jail/spawn.h"

#include "base/cleanup.h"
#include "jail/privs.h"
#include "jail/seccomp.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/wait.h>

/* What the child says through the pipe when there will be no command. */
struct refusal {
    struct error error;
    bool by_exec; /* else by one of the steps before it, without which nothing may run */
};

static int terminal_open(void)
{
    return open("/dev/tty", O_RDWR | O_NOCTTY | O_CLOEXEC);
}

void terminal_give(pid_t group)
{
    cleanup_fd int fd = terminal_open();

    if (fd >= 0)
        (void)tcsetpgrp(fd, group); /* a terminal that hung up meanwhile is nobody's */
}

bool terminal_is_ours(void)
{
    cleanup_fd int fd = terminal_open();

    return fd >= 0 && tcgetpgrp(fd) == getpgrp();
}

static int variable_set(const char *name, const char *value, struct error *error)
{
    if (setenv(name, value, 1) < 0)
        return error_errno(error, -errno, "cannot set %s", name);
    return 0;
}

/* A variable that held netjail's pid holds the command's. */
static int pid_variable_set(const char *name, pid_t netjail_pid, struct error *error)
{
    const char *old = getenv(name);
    char text[16];

    if (!old || strtol(old, NULL, 10) != netjail_pid)
        return 0;
    (void)snprintf(text, sizeof text, "%d", (int)getpid()); /* a pid fits */
    if (strcmp(name, "LISTEN_PID") == 0)
        (void)unsetenv("LISTEN_PIDFDID"); /* the same said in another way, and no longer true */
    return variable_set(name, text, error);
}

int environment_set(const struct jail_setup *setup, pid_t netjail_pid, struct error *error)
{
    int status = variable_set("NETJAIL_NAME", setup->name, error);

    if (status == 0)
        status = variable_set("NETJAIL_POLICY", setup->policy_text, error);
    if (status == 0)
        status = pid_variable_set("LISTEN_PID", netjail_pid, error);
    if (status == 0)
        status = pid_variable_set("WATCHDOG_PID", netjail_pid, error);
    return status;
}

static int group_take(const struct spawn *spawn, struct error *error)
{
    if (!spawn->own_group)
        return 0;
    if (setpgid(0, 0) < 0)
        return error_errno(error, -errno, "cannot give the command a process group");
    if (spawn->foreground)
        terminal_give(getpid());
    return 0;
}

static int exec_command(const struct spawn *spawn, struct error *error)
{
    char *const *argv = spawn->setup->argv;

    (void)execvpe(argv[0], argv, environ); /* returns only on failure */
    if (errno == ENOENT && !strchr(argv[0], '/'))
        return error_set(error, -ENOENT, "command '%s' not found", argv[0]);
    return error_errno(error, -errno, "cannot run '%s'", argv[0]);
}

static int child_prepare(const struct spawn *spawn, struct error *error)
{
    const struct jail_setup *setup = spawn->setup;
    int status = group_take(spawn, error);

    if (status == 0 && setup->policy->processes_shared)
        status = privs_follow_parent(SIGKILL, error);
    if (status == 0)
        status = environment_set(setup, spawn->netjail_pid, error);
    if (status == 0)
        status = descriptors_close(setup, spawn->netjail_pid, error);
    return status;
}

_Noreturn static void child_run(const struct spawn *spawn, int report_fd)
{
    struct refusal refusal = {0};
    int status = child_prepare(spawn, &refusal.error);

    signals_restore();
    if (status == 0)
        status = seccomp_load(spawn->setup->policy, &refusal.error);
    if (status == 0) {
        refusal.by_exec = true;
        status = exec_command(spawn, &refusal.error);
    }
    refusal.error.code = status;
    /* A parent that is gone has no use for the report. */
    (void)!write(report_fd, &refusal, sizeof refusal);
    _exit(127);
}

int spawn_command(const struct spawn *spawn, pid_t *ret_pid, bool *ret_refused, struct error *error)
{
    struct refusal refusal;
    int pipe_fds[2];
    ssize_t length;
    pid_t pid;

    *ret_refused = false;
    if (pipe2(pipe_fds, O_CLOEXEC) < 0)
        return error_errno(error, -errno, "cannot make a pipe");
    pid = fork();
    if (pid == 0)
        child_run(spawn, pipe_fds[1]);
    (void)close(pipe_fds[1]); /* the child's end */
    cleanup_fd int report_fd = pipe_fds[0];
    if (pid < 0)
        return error_errno(error, -errno, "cannot fork the command");
    do
        length = read(report_fd, &refusal, sizeof refusal);
    while (length < 0 && errno == EINTR);
    if (length == 0) {
        *ret_pid = pid;
        return 0;
    }
    (void)waitpid(pid, NULL, 0); /* it has ended or is about to */
    if (length != (ssize_t)sizeof refusal || refusal.error.code >= 0)
        return error_set(error, -EIO, "the command ended before its start");
    *error = refusal.error;
    *ret_refused = refusal.by_exec;
    return refusal.error.code;
}
