/* Watches over the running command, for the caller as if netjail were the command.
 *
 * All signals are blocked and read from a descriptor (see signals.c). Which of them the command
 * gets:
 *   - sent to netjail's pid: forwarded, once
 *   - from the terminal (si_code SI_KERNEL): the kernel has sent them to the whole foreground
 * group, to which the command belongs; not forwarded. A hang-up also reaches a session leader
 * alone: forwarded
 *   - SIGALRM of a timer that outlasted exec() (alarm(2)): forwarded
 *   - SIGCHLD of our own children: the service is reaped
 * When the command stops, netjail stops itself with the same signal, so that the caller's shell
 * takes the terminal back, and continues the command when it is continued itself.
 *
 * Runs with no capability, or those of struct supervisor_privs at most, not dumpable. What must not
 * happen: a status that is not the command's. An init that ends before it told one is a failure. */
#include "base/cleanup.h"
#include "base/clock.h"
#include "jail/control.h"
#include "jail/events.h"
#include "jail/jail.h"
#include "jail/spawn.h"
#include "jail/trim.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <time.h>

#define TELL_TRIES 3

struct watch {
    const struct supervision *supervision;
    struct jail *jail;
    struct events *events;
    pid_t service_pid;
    int signal_fd;
    bool stopped; /* the command, as last reported */
    int turn;     /* see control_turn() */
    int status;   /* of the command, once jail->state is JAIL_ENDED */
    int64_t renew_at_ms;
    int64_t trim_at_ms; /* 0: has been done */
};

static void watch_renew(struct watch *watch)
{
    const struct supervision *supervision = watch->supervision;

    if (supervision->renew_interval_ms <= 0 || !supervision->renew)
        return;
    supervision->renew(supervision->context);
    watch->renew_at_ms = clock_now_ms() + supervision->renew_interval_ms;
}

static bool renews(const struct watch *watch)
{
    return watch->supervision->renew_interval_ms > 0 && watch->supervision->renew;
}

/* Until something is due; -1: for ever. */
static int watch_timeout_ms(const struct watch *watch)
{
    int64_t due = renews(watch) ? watch->renew_at_ms : INT64_MAX;
    int64_t left;

    if (watch->trim_at_ms > 0 && watch->trim_at_ms < due)
        due = watch->trim_at_ms;
    if (due == INT64_MAX)
        return -1;
    left = due - clock_now_ms();
    return left < 0 ? 0 : (int)left;
}

/* Does what is due, however much else there is to do. */
static void watch_clock(struct watch *watch)
{
    int64_t now = clock_now_ms();

    if (renews(watch) && now >= watch->renew_at_ms)
        watch_renew(watch);
    if (watch->trim_at_ms > 0 && now >= watch->trim_at_ms) {
        if (watch->supervision->forget)
            watch->supervision->forget(watch->supervision->context);
        memory_trim();
        watch->trim_at_ms = 0;
    }
}

static void tell(const struct watch *watch, enum control_kind kind, int value)
{
    /* Not lost to a moment without memory. An init that is gone is noticed by the end of the
     * channel. */
    for (int i = 0; i < TELL_TRIES; i++)
        if (control_send(watch->jail->control_fd, kind, value, NULL, 0) == 0)
            return;
}

static void tell_continue(struct watch *watch)
{
    watch->turn = (watch->turn + 1) % CONTROL_TURNS;
    tell(watch, CONTROL_CONTINUE,
         control_turn(watch->turn, watch->jail->own_group && terminal_is_ours()));
}

/* Takes what is pending of `set` away. */
static void signals_drain(const sigset_t *set)
{
    struct timespec now = {0};

    while (sigtimedwait(set, NULL, &now) > 0)
        ;
}

/* Stops this process as the command was stopped; returns when it is continued. */
static void stop_like(int signal)
{
    sigset_t set, stops, cont;

    (void)sigemptyset(&stops); /* these cannot fail with valid arguments */
    (void)sigaddset(&stops, SIGTSTP);
    (void)sigaddset(&stops, SIGTTIN);
    (void)sigaddset(&stops, SIGTTOU);
    (void)sigemptyset(&cont);
    (void)sigaddset(&cont, SIGCONT);
    (void)sigemptyset(&set);
    (void)sigaddset(&set, signal);
    signals_drain(&stops); /* one stop, not another for the terminal's own signal */
    signals_drain(&cont);  /* what continued us before is past */
    (void)raise(signal);
    (void)sigprocmask(SIG_UNBLOCK, &set, NULL); /* here we stop */
    (void)sigprocmask(SIG_BLOCK, &set, NULL);
    signals_drain(&cont);
}

static void command_stopped(struct watch *watch, int signal)
{
    if (watch->jail->own_group && watch->jail->foreground)
        terminal_give(getpgrp());
    stop_like(signal);
    tell_continue(watch);
    watch_renew(watch);
}

static int watch_status(struct watch *watch, int value, struct error *error)
{
    int status = value & 0xffff;

    if (WIFEXITED(status) || WIFSIGNALED(status)) {
        watch->status = status;
        watch->jail->state = JAIL_ENDED;
        return 0;
    }
    if (!WIFSTOPPED(status) && !WIFCONTINUED(status))
        return error_set(error, -EPROTO, "the jail's init reported a status that cannot be");
    if (value >> 16 != watch->turn)
        return 0;
    watch->stopped = WIFSTOPPED(status);
    if (watch->stopped)
        command_stopped(watch, WSTOPSIG(status));
    return 0;
}

static int watch_report(struct watch *watch, struct error *error)
{
    struct control_message message;
    int status = control_receive_report(watch->jail->control_fd, watch->jail->state, false,
                                        &message, NULL, error);

    if (status == -EAGAIN)
        return 0;
    if (status == -EPIPE && watch->jail->state == JAIL_ENDED) {
        watch->jail->state = JAIL_EMPTY; /* its end ends what was left, and we wait for it */
        jail_wait(watch->jail);
        return 0;
    }
    if (status < 0)
        return status;
    if (message.kind == CONTROL_STATUS || watch->jail->state == JAIL_RUNNING)
        status = watch_status(watch, message.value, error);
    if (status < 0 || message.kind == CONTROL_STATUS)
        return status;
    if (watch->jail->state != JAIL_ENDED)
        return error_set(error, -EPROTO, "the jail's init reported an end without a status");
    watch->jail->state = JAIL_EMPTY;
    return 0;
}

static void watch_service(struct watch *watch)
{
    const struct supervision *supervision = watch->supervision;
    int status;

    if (watch->service_pid <= 0 || waitpid(watch->service_pid, &status, WNOHANG) <= 0)
        return;
    watch->service_pid = 0;
    if (supervision->service_died)
        supervision->service_died(supervision->context, status);
}

/* Did somebody send it to this process, or did the kernel send it to the terminal's group? */
static bool must_forward(const struct watch *watch, const struct signalfd_siginfo *info)
{
    if ((pid_t)info->ssi_pid == getpid() && info->ssi_code == SI_USER)
        return false; /* SIGPIPE of our own */
    if (info->ssi_code != SI_KERNEL || info->ssi_signo == SIGALRM)
        return true; /* alarm(2) outlasts exec(): our caller's, meant for the command */
    if (info->ssi_signo == SIGHUP)
        return watch->jail->own_group || getsid(0) == getpid();
    return watch->jail->own_group && (info->ssi_signo == SIGINT || info->ssi_signo == SIGQUIT ||
                                      info->ssi_signo == SIGTSTP || info->ssi_signo == SIGWINCH);
}

static void watch_signal(struct watch *watch)
{
    struct signalfd_siginfo info;

    if (read(watch->signal_fd, &info, sizeof info) != (ssize_t)sizeof info)
        return; /* somebody else's wait has taken it */
    if (info.ssi_signo == SIGCHLD && info.ssi_code > 0) {
        watch_service(watch);
        return;
    }
    if (info.ssi_signo == SIGCONT)
        watch_renew(watch);
    if (info.ssi_signo == SIGCONT && watch->stopped)
        tell_continue(watch);
    else if (must_forward(watch, &info))
        tell(watch, CONTROL_SIGNAL, (int)info.ssi_signo);
}

/* The caller's pipes must end when the command closes them, not when netjail ends. Messages still
 * go to stderr. */
static void streams_close(void)
{
    descriptors_forget();
    cleanup_fd int null = open("/dev/null", O_RDWR | O_CLOEXEC);

    if (null < 0)
        return;                     /* without /dev/null they stay as they are */
    (void)dup2(null, STDIN_FILENO); /* cannot fail: both descriptors are valid */
    (void)dup2(null, STDOUT_FILENO);
}

static int watch_run(struct watch *watch, struct error *error)
{
    struct pollfd *report = &watch->events->polls[0];
    struct pollfd *signal = &watch->events->polls[1];

    *report = (struct pollfd){.fd = watch->jail->control_fd, .events = POLLIN};
    *signal = (struct pollfd){.fd = watch->signal_fd, .events = POLLIN};
    while (watch->jail->state != JAIL_EMPTY) {
        int count =
            poll(watch->events->polls, events_count(watch->events), watch_timeout_ms(watch));

        if (count < 0 && errno != EINTR)
            return error_errno(error, -errno, "cannot wait for the command");
        watch_clock(watch);
        if (count <= 0)
            continue;
        /* The signal first: one from the terminal is older than the stop that it caused. */
        if (signal->revents)
            watch_signal(watch);
        if (report->revents && watch_report(watch, error) < 0)
            return error->code;
        events_dispatch(watch->events);
    }
    return 0;
}

int supervise(const struct supervision *supervision, int *ret_status, struct error *error)
{
    struct watch watch = {.supervision = supervision,
                          .jail = supervision->jail,
                          .service_pid = supervision->service_pid,
                          .renew_at_ms = clock_now_ms() + supervision->renew_interval_ms,
                          .trim_at_ms = clock_now_ms() + MEMORY_TRIM_AFTER_MS};
    struct events none;
    sigset_t all;
    int status;

    watch.events = supervision->events ? supervision->events : &none;
    if (!supervision->events)
        events_init(&none);
    (void)sigfillset(&all); /* cannot fail with a valid pointer */
    watch.signal_fd = signalfd(supervision->jail->signal_fd, &all, SFD_CLOEXEC | SFD_NONBLOCK);
    if (watch.signal_fd < 0)
        return error_errno(error, -errno, "cannot wait for signals");
    supervision->jail->signal_fd = watch.signal_fd;
    streams_close();
    watch_service(&watch);
    status = watch_run(&watch, error);
    /* A shell in the jail leaves the terminal with a group that is no more. */
    if (supervision->jail->foreground)
        terminal_give(getpgrp());
    if (status == 0)
        *ret_status = watch.status;
    return status;
}
