/* Init: process 1 of the jail.
 *
 * In this order, never changed:
 *   1 sysctls       before any link can exist (no link comes before 2)
 *   2 sockets       opened inside, sent out: the supervisor configures the network while we go on
 *   3 mounts
 *   4 late sysctls  those that name our ids; no user namespaces in here from now on
 *   5 bounding set, identity, capabilities, no_new_privs, not dumpable, Landlock; death with the
 *                   supervisor
 *   6 the command   on release, for which the network must be there; then reap, report, obey,
 *                   serve sockets, until the channel ends
 *
 * Should: hold nothing but its channels after 6. Mustn't: parse anything (messages are fixed-size),
 * wait for the service, outlive the supervisor, run the command before the release. With a pid
 * namespace our end is the end of everything in the jail; with `processes shared` we are a child
 * subreaper and end it by hand. */
#include "jail/init.h"

#include "base/cleanup.h"
#include "jail/control.h"
#include "jail/files.h"
#include "jail/landlock.h"
#include "jail/notify.h"
#include "jail/offspring.h"
#include "jail/privs.h"
#include "jail/program.h"
#include "jail/sockets.h"
#include "jail/spawn.h"
#include "jail/trim.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/signalfd.h>
#include <sys/wait.h>

#define REAP_MAX 64 /* between two looks at the channels */

struct init {
    const struct init_args *args;
    const struct jail_setup *setup;
    struct files *files; /* until all is prepared */
    int control_fd;
    int service_fd; /* -1: nobody asks any more */
    int signal_fd;
    bool own_group;
    bool is_released, foreground;
    pid_t command; /* 0: not started, or ended */
    bool started;
    bool stopped;
    unsigned stops; /* how often it stopped */
    int turn;       /* see control_turn() */
};

/* Says why and ends; with a pid namespace everything ends with us. */
_Noreturn static void init_fail(const struct init *init, enum control_kind kind,
                                const struct error *error)
{
    /* Nobody left to tell: we end as well. */
    (void)control_send_failure(init->control_fd, kind, error);
    _exit(125);
}

/* The channel has ended, or spoke nonsense: nobody supervises the jail any more. */
_Noreturn static void init_end(const struct init *init)
{
    if (init->setup->policy->processes_shared)
        offspring_kill();
    _exit(0);
}

static void init_serve(struct init *init)
{
    if (sockets_serve(init->service_fd) == 0)
        return;
    (void)close(init->service_fd); /* the service is gone or broken */
    init->service_fd = -1;
}

/* Waits for the release, serving sockets meanwhile. True: the command shall get the terminal. */
static bool init_wait_release(struct init *init)
{
    struct control_message message;

    for (;;) {
        struct pollfd fds[] = {{.fd = init->control_fd, .events = POLLIN},
                               {.fd = init->service_fd, .events = POLLIN}};

        if (poll(fds, ARRAY_LENGTH(fds), -1) < 0)
            continue; /* only EINTR: all signals are blocked */
        if (fds[1].revents)
            init_serve(init);
        if (!fds[0].revents)
            continue;
        if (control_receive_command(init->control_fd, true, &message, NULL) < 0 ||
            message.kind != CONTROL_RELEASE)
            init_end(init);
        return message.value != 0;
    }
}

/* Sysctls through the caller's /proc, unless that is read-only (a container). */
static bool sysctls_try(const struct init *init)
{
    struct error ignored = {0}; /* tried again through our own /proc, and reported then */
    cleanup_fd int sys_fd = open("/proc/sys", O_PATH | O_DIRECTORY | O_CLOEXEC);

    return sys_fd >= 0 && sysctls_write(init->setup, sys_fd, false, &ignored) == 0;
}

/* Opens the jail's notification socket, where one is wanted, and hands it out. */
static int init_notify(const struct init *init, struct error *error)
{
    int opened = -1;
    int status = notify_open(init->setup, init->files->run_covered, &opened, error);
    cleanup_fd int fd = opened;

    if (status < 0 || fd < 0)
        return status;
    status = control_send(init->control_fd, CONTROL_NOTIFY, 0, &fd, 1);
    return status < 0 ? error_errno(error, status, "cannot send the notification socket") : 0;
}

/* Steps 1 to 3; where the first cannot be done before the mounts, the links wait for them. */
static int init_build(struct init *init, struct error *error)
{
    bool early = sysctls_try(init);
    int status = 0;

    if (early)
        status = sockets_send(init->control_fd, init->setup->plan, error);
    if (status < 0)
        return status;
    status = files_setup(init->setup, init->args->user_namespace, init->files, error);
    if (status < 0 || early)
        return status;
    status = sysctls_write(init->setup, init->files->writable_sys_fd, false, error);
    return status < 0 ? status : sockets_send(init->control_fd, init->setup->plan, error);
}

static int init_finish_files(struct init *init, struct error *error)
{
    int status = sysctls_write(init->setup, init->files->writable_sys_fd, true, error);

    if (status == 0 && init->files->run_covered)
        status = init_notify(init, error);
    if (status == 0 && init->args->user_namespace && !init->setup->policy->namespaces_allow)
        status = sysctls_forbid_namespaces(init->files->writable_sys_fd, error);
    (void)close(init->files->writable_sys_fd); /* an O_PATH descriptor */
    return status;
}

/* Our parent may have ended before the signal was asked for; getppid() is 0 in a new pid namespace
 * and cannot tell, the channel can. */
static int init_follow(const struct init *init, struct error *error)
{
    struct pollfd control = {.fd = init->control_fd};
    int status;

    /* Without a pid namespace a killed init would leave the others behind; the end of the channel
     * tells it, and it ends them first. */
    if (init->setup->policy->processes_shared)
        status = privs_adopt_orphans(error);
    else
        status = privs_follow_parent(SIGKILL, error);
    if (status == 0 && poll(&control, 1, 0) > 0 && (control.revents & (POLLHUP | POLLERR)))
        init_end(init);
    return status;
}

static int init_shrink(struct init *init, struct error *error)
{
    const struct jail_setup *setup = init->setup;
    int status = privs_lock(setup->policy->capabilities_kept, error);

    if (status == 0) {
        status = privs_take_identity(&setup->identity, error);
        if (status < 0)
            error->where = setup->policy->user_where;
    }
    if (status == 0)
        status = privs_drop(setup->policy->capabilities_kept, error);
    if (status == 0 && init->files->cwd[0] != '\0' && chdir(init->files->cwd) < 0)
        status = error_errno(error, -errno, "cannot enter %s in the jail", init->files->cwd);
    if (status == 0)
        status = privs_hide(error);
    init->own_group = !landlock_can_scope(landlock_abi());
    if (status == 0 && !init->own_group)
        status = landlock_scope(error);
    else if (status == 0 && setup->policy->processes_shared && landlock_can_isolate(landlock_abi()))
        status = landlock_isolate(error);
    /* An abstract socket is reached by the command only from within its own domain. */
    if (status == 0 && !init->files->run_covered)
        status = init_notify(init, error);
    return status < 0 ? status : init_follow(init, error);
}

static void report(const struct init *init, enum control_kind kind, int value)
{
    if (control_send(init->control_fd, kind, value, NULL, 0) < 0)
        init_end(init);
}

/* After the command: what it left is ended, or waited for. False: our own end must do it. */
static bool init_clear(const struct init *init)
{
    const struct policy *policy = init->setup->policy;

    if (policy->on_exit_wait)
        return true;
    if (policy->processes_shared)
        offspring_kill();
    else if (policy->capabilities_kept != 0 || kill(-1, SIGKILL) < 0)
        /* Others may have another uid; the end of process 1 spares nobody. */
        return policy->capabilities_kept == 0 && errno == ESRCH;
    return true;
}

/* Reaps what is dead, at most REAP_MAX. True: nothing is left. */
static bool init_is_empty(void)
{
    for (int i = 0; i < REAP_MAX; i++) {
        pid_t pid = waitpid(-1, NULL, WNOHANG);

        if (pid <= 0)
            return pid < 0 && errno == ECHILD;
    }
    return false;
}

/* Nothing is left, and the supervisor knows it: it is to run now, and not our end, which takes the
 * kernel longer than all that remains for it to do. It ends us, as does its death. The service must
 * hear it now: the supervisor waits for it before it ends us. */
_Noreturn static void init_await_end(const struct init *init)
{
    struct pollfd control = {.fd = init->control_fd};

    if (init->service_fd >= 0)
        (void)close(init->service_fd); /* nothing is under way in it that anybody waits for */
    while (poll(&control, 1, -1) < 0 && errno == EINTR)
        ;
    _exit(0);
}

_Noreturn static void init_empty(const struct init *init, int value)
{
    report(init, CONTROL_EMPTY, value);
    init_await_end(init);
}

/* The command has ended with `status`. The supervisor hears it when what was left is dead, so that
 * it wakes up once for both. */
static void init_command_ended(struct init *init, int status)
{
    bool is_cleared = init_clear(init);
    int value = control_turn(init->turn, status);

    if (is_cleared && init_is_empty())
        init_empty(init, value);
    report(init, CONTROL_STATUS, value);
    if (!is_cleared)
        _exit(0);
}

static void init_command_changed(struct init *init, int status)
{
    init->stopped = WIFSTOPPED(status);
    init->stops += init->stopped;
    if (WIFEXITED(status) || WIFSIGNALED(status)) {
        init->command = 0;
        init_command_ended(init, status);
        return;
    }
    report(init, CONTROL_STATUS, control_turn(init->turn, status));
}

/* Reaps what has ended, at most REAP_MAX so that a storm of dying orphans does not keep us from the
 * channel; ends when there is nothing left. True: there may be more to reap. */
static bool init_reap(struct init *init)
{
    for (int i = 0; i < REAP_MAX; i++) {
        int status;
        pid_t pid = waitpid(-1, &status, WNOHANG | WUNTRACED | WCONTINUED);

        if (pid == init->command && pid > 0)
            init_command_changed(init, status);
        else if (pid < 0 && errno == ECHILD && init->started && init->command == 0)
            init_empty(init, 0);
        if (pid < 0 && errno != ECHILD)
            init_end(init); /* nobody could tell when the command ends */
        if (pid <= 0)
            return false;
    }
    return true;
}

static bool asks_to_end(int signal)
{
    return signal == SIGTERM || signal == SIGINT || signal == SIGHUP || signal == SIGQUIT;
}

/* A jail without a command ends when it is told to. */
static void init_quit(struct init *init, int signal)
{
    if (!asks_to_end(signal))
        return;
    init->started = true; /* init_reap() ends when nothing is left */
    init_command_ended(init, 0);
}

/* A command that took another user (`capabilities keep setuid`) is out of the reach of our signals,
 * and not of our end: it dies as if the signal had killed it. */
static void init_unreachable(const struct init *init, int signal)
{
    if (!asks_to_end(signal))
        return;
    report(init, CONTROL_STATUS, control_turn(init->turn, signal));
    init_end(init);
}

static void init_signal(struct init *init, int signal)
{
    if (!init->setup->argv) {
        init_quit(init, signal);
        return;
    }
    /* The command, or when it has ended (`on-exit wait`) those it left. One that is just ending
     * cannot be reached any more, which is no failure. */
    if (init->command > 0 && kill(init->command, signal) < 0 && errno != ESRCH)
        init_unreachable(init, signal);
    else if (init->command == 0 && init->setup->policy->processes_shared)
        offspring_signal(signal);
    else if (init->command == 0)
        (void)kill(-1, signal);
}

/* Whoever continued netjail may have continued the whole group: then the command runs already, or
 * has stopped anew, which is a stop of this turn. */
static void init_continue(struct init *init, int value)
{
    unsigned stops = init->stops;

    init->turn = value >> 16;
    (void)init_reap(init); /* init_loop() reaps the rest */
    if (init->command <= 0)
        return;
    if (init->own_group && (value & 1))
        terminal_give(init->command);
    if (init->stopped && init->stops == stops)
        (void)kill(init->own_group ? -init->command : init->command, SIGCONT); /* may be ending */
}

/* A program beside the command. What came is for the child alone; here nothing of it is read. */
static void init_program(const struct init *init, const int fds[CONTROL_PROGRAM_FDS])
{
    struct program_args args = {.setup = init->setup,
                                .client_fd = fds[0],
                                .description_fd = fds[1],
                                .standard_fds = {fds[2], fds[3], fds[4]}};

    /* One that comes when the command has just ended would outlive it. */
    bool has_ended = init->started && init->command == 0;
    if (!has_ended && fork() == 0)
        program_run(&args);
    /* Where there is no child the client sees the end of its connection. */
    for (size_t i = 0; i < CONTROL_PROGRAM_FDS; i++)
        (void)close(fds[i]); /* the child's now */
}

static void init_obey(struct init *init)
{
    struct control_message message;
    int fds[CONTROL_PROGRAM_FDS];
    int status = control_receive_command(init->control_fd, false, &message, fds);

    if (status == -EAGAIN)
        return;
    if (status < 0)
        init_end(init);
    if (message.kind == CONTROL_SIGNAL && message.value > 0 && message.value < NSIG)
        init_signal(init, message.value);
    else if (message.kind == CONTROL_CONTINUE && message.value >= 0)
        init_continue(init, message.value);
    else if (message.kind == CONTROL_PROGRAM)
        init_program(init, fds);
    else
        init_end(init);
}

_Noreturn static void init_loop(struct init *init)
{
    int idle_ms = MEMORY_TRIM_AFTER_MS;

    for (;;) {
        struct pollfd fds[] = {{.fd = init->control_fd, .events = POLLIN},
                               {.fd = init->signal_fd, .events = POLLIN},
                               {.fd = init->service_fd, .events = POLLIN}};
        struct signalfd_siginfo info;

        bool more = init_reap(init);
        int ready = poll(fds, ARRAY_LENGTH(fds), more ? 0 : idle_ms);

        if (ready < 0)
            continue; /* only EINTR: all signals are blocked */
        if (ready == 0 && !more) {
            if (init->setup->forget)
                init->setup->forget(init->setup->context);
            memory_trim_below(init->args); /* the supervisor's stack, of which we have a copy */
            memory_trim();
            idle_ms = -1;
        }
        if (fds[1].revents)
            (void)!read(init->signal_fd, &info, sizeof info); /* init_reap() looks for itself */
        if (fds[0].revents)
            init_obey(init);
        if (fds[2].revents)
            init_serve(init);
    }
}

/* Nothing of the caller's stays open here: a pipe must end when the command closes it. */
static void init_close_others(const struct init *init)
{
    int keep[] = {init->control_fd, init->service_fd, init->signal_fd};
    unsigned from = 0;

    for (;;) {
        int next = -1;

        for (size_t i = 0; i < ARRAY_LENGTH(keep); i++) {
            if (keep[i] >= (int)from && (next < 0 || keep[i] < next))
                next = keep[i];
        }
        /* Cannot fail: the range is valid. */
        if (next < 0) {
            (void)close_range(from, ~0u, 0);
            return;
        }
        if ((unsigned)next > from)
            (void)close_range(from, (unsigned)next - 1, 0);
        from = (unsigned)next + 1;
    }
}

/* As the command's process, or before there is one. */
static bool init_released(void *context)
{
    struct init *init = context;

    if (!init->is_released)
        init->foreground = init_wait_release(init);
    init->is_released = true;
    return init->foreground;
}

_Noreturn static void init_command(struct init *init, struct error *error)
{
    struct spawn spawn = {.setup = init->setup,
                          .netjail_pid = init->args->netjail_pid,
                          .own_group = init->own_group,
                          .wait_release = init_released,
                          .context = init};
    bool refused;

    /* The command's process is under the command's filter, which may forbid the sockets that the
     * service asks for: then the release is waited for here. A named jail has no such process. */
    if (!init->setup->argv || (init->setup->plan && init->setup->plan->needs_service))
        (void)init_released(init);

    if (init->setup->argv) {
        if (spawn_command(&spawn, &init->command, &refused, error) < 0)
            init_fail(init, refused ? CONTROL_REFUSED : CONTROL_FAILED, error);
        init->started = true;
    }
    init_close_others(init);
    report(init, CONTROL_STARTED, 0);
    init_loop(init);
}

/* Steps 1 to 5, in a frame that ends with them: it is large. *ret_ready: READY_*. */
__attribute__((noinline)) static int init_prepare(struct init *init, int *ret_ready,
                                                  struct error *error)
{
    struct files files = {0};
    int status;

    init->files = &files;
    status = init_build(init, error);
    if (status == 0)
        status = init_finish_files(init, error);
    if (status == 0)
        status = init_shrink(init, error);
    *ret_ready = (init->own_group ? READY_OWN_GROUP : 0) | (files.sys_kept ? READY_SYS_KEPT : 0);
    init->files = NULL;
    return status;
}

_Noreturn void init_run(const struct init_args *args)
{
    struct init init = {.args = args,
                        .setup = args->setup,
                        .control_fd = args->control_fd,
                        .service_fd = args->service_fd};
    struct error error = {0};
    sigset_t child;
    int ready = 0;
    int status;

    (void)close(args->supervisor_control_fd); /* or our channel would never end */
    (void)close(args->supervisor_service_fd);
    status = init_prepare(&init, &ready, &error);
    (void)sigemptyset(&child);
    (void)sigaddset(&child, SIGCHLD);
    init.signal_fd = status < 0 ? -1 : signalfd(-1, &child, SFD_CLOEXEC | SFD_NONBLOCK);
    if (status == 0 && init.signal_fd < 0)
        status = error_errno(&error, -errno, "cannot wait for signals in the jail");
    if (status < 0)
        init_fail(&init, CONTROL_FAILED, &error);
    report(&init, CONTROL_READY, ready);
    init_command(&init, &error);
}
