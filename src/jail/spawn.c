/* From init's fork to the command's exec().
 *
 * The child has init's identity, capabilities and Landlock domain already. Order: descriptors ->
 * environment (LISTEN_FDS is read before it is rewritten) -> seccomp -> release -> process group
 * and terminal -> the caller's signal mask -> exec(), which searches PATH as the command would.
 * What can be done before the release is: the supervisor needs that time for the network.
 *
 * As with vfork(2) the child borrows init's memory, and init sleeps until exec() or the child's
 * end: no page is copied, which is 0.15 ms of the start, and a failure is simply left where init
 * finds it. Only what is init's no longer may be changed there, as the environment. What must not
 * happen: the child going on as init; child_run() never returns. */
#include "jail/spawn.h"

#include "base/cleanup.h"
#include "jail/privs.h"
#include "jail/seccomp.h"
#include "jail/stack.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <string.h>
#include <sys/wait.h>

/* What the child is told, and what it says when there will be no command. */
struct spawning {
    const struct spawn *spawn;
    struct error error;
    bool by_exec; /* it was refused by exec(), else by a step before it */
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

int environment_name(const struct jail_setup *setup, struct error *error)
{
    int status = variable_set("NETJAIL_NAME", setup->name, error);

    return status < 0 ? status : variable_set("NETJAIL_POLICY", setup->policy_text, error);
}

int environment_pids(pid_t netjail_pid, struct error *error)
{
    int status = pid_variable_set("LISTEN_PID", netjail_pid, error);

    return status < 0 ? status : pid_variable_set("WATCHDOG_PID", netjail_pid, error);
}

static int group_take(const struct spawn *spawn, bool foreground, struct error *error)
{
    if (!spawn->own_group)
        return 0;
    if (setpgid(0, 0) < 0)
        return error_errno(error, -errno, "cannot give the command a process group");
    if (foreground)
        terminal_give(getpid());
    return 0;
}

/* Has a directory of PATH such a file? Its frame is not for the way of every start. */
__attribute__((noinline)) static bool is_in_path(const char *name)
{
    const char *at = getenv("PATH");
    char file[PATH_MAX];

    for (; at; at = at[strcspn(at, ":")] ? strchr(at, ':') + 1 : NULL) {
        int length = (int)strcspn(at, ":");

        if (snprintf(file, sizeof file, "%.*s/%s", length > 0 ? length : 1, length > 0 ? at : ".",
                     name) < (int)sizeof file &&
            access(file, F_OK) == 0)
            return true;
    }
    return false;
}

int command_execute(char *const *argv)
{
    (void)execvpe(argv[0], argv, environ); /* returns only on failure */
    int status = -errno;

    /* Of a directory in PATH that may not be looked into execvpe(3) says the same. */
    return status == -EACCES && !strchr(argv[0], '/') && !is_in_path(argv[0]) ? -ENOENT : status;
}

static int exec_command(const struct spawn *spawn, struct error *error)
{
    const char *name = spawn->setup->argv[0];
    int status = command_execute(spawn->setup->argv);

    if (status == -ENOENT && !strchr(name, '/'))
        return error_set(error, status, "command '%s' not found", name);
    (void)error_errno(error, status, "cannot run '%s'", name);
    if (status == -ENOENT && access(name, F_OK) == 0)
        error_hint(error,
                   "the file is there; what its first line (#!) names, or its loader, is not");
    return status;
}

static int child_prepare(const struct spawn *spawn, struct error *error)
{
    const struct jail_setup *setup = spawn->setup;
    int status = 0;

    if (setup->policy->processes_shared)
        status = privs_follow_parent(SIGKILL, error);
    /* Before the environment, which says which descriptors are activation's as long as LISTEN_PID
     * is netjail's. */
    if (status == 0)
        status = descriptors_close(setup, spawn->netjail_pid, error);
    if (status == 0)
        status = environment_pids(spawn->netjail_pid, error);
    return status < 0 ? status : seccomp_load(setup->policy, error);
}

/* The child's side. It runs in our memory: what it leaves in *spawning is read by us. */
static int child_run(void *argument)
{
    struct spawning *spawning = argument;
    const struct spawn *spawn = spawning->spawn;
    struct error *error = &spawning->error;
    int status = child_prepare(spawn, error);

    if (status == 0)
        status = group_take(spawn, spawn->wait_release(spawn->context), error);
    if (status == 0) {
        /* A signal that has come meanwhile, to the whole group perhaps, ends it as it would end the
         * command: that is no failure of ours. */
        spawning->by_exec = true;
        error->code = 0;
        signals_restore();
        status = exec_command(spawn, error);
    }
    error->code = status;
    _exit(127);
}

int spawn_command(const struct spawn *spawn, pid_t *ret_pid, bool *ret_refused, struct error *error)
{
    struct spawning spawning = {.spawn = spawn};
    pid_t pid;

    /* A child that ends before exec() has failed, whatever ended it. */
    (void)error_set(&spawning.error, -EPIPE, "the command's process has ended before it ran");
    *ret_refused = false;
    pid = clone(child_run, stack_below(), CLONE_VM | CLONE_VFORK | SIGCHLD, &spawning);
    if (pid < 0)
        return error_errno(error, -errno, "cannot fork the command");
    if (spawning.error.code == 0) {
        *ret_pid = pid;
        return 0;
    }
    (void)waitpid(pid, NULL, 0); /* it has ended or is about to */
    *error = spawning.error;
    *ret_refused = spawning.by_exec;
    return error->code;
}
