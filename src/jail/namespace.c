/* Makes the jail's namespaces and talks to its init.
 *
 * One clone3() makes init in all new namespaces; the supervisor keeps its own. Without privilege
 * there is a user namespace too, in which the caller's uid and gid are mapped to themselves; its
 * maps are written from here, because inside nobody may. Then the channel: sockets come, the caller
 * configures the network, ready, release. What must not happen: an init that outlives a failure
 * here (every path after the clone that fails destroys it), or a map that names more than the
 * caller's own ids. */
#include "base/cleanup.h"
#include "base/clock.h"
#include "jail/control.h"
#include "jail/init.h"
#include "jail/jail.h"
#include "jail/offspring.h"
#include "jail/privs.h"
#include "jail/spawn.h"
#include "jail/stack.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#define EXEC_GRACE_MS  200 /* a command that has begun gets its signals itself */
#define USAGE_AFTER_MS 100 /* init's end takes 0.3 ms */

/* The number in a sysctl; `missing` where there is none. */
static long sysctl_number(const char *path, long missing)
{
    cleanup_fd int fd = open(path, O_RDONLY | O_CLOEXEC);
    char text[32];
    ssize_t length = fd < 0 ? -1 : read(fd, text, sizeof text - 1);

    if (length <= 0)
        return missing;
    text[length] = '\0';
    return strtol(text, NULL, 10);
}

/* Which of the known switches forbids user namespaces here. */
static void hint_user_namespaces(struct error *error)
{
    if (sysctl_number("/proc/sys/user/max_user_namespaces", 1) == 0)
        error_hint(error,
                   "user namespaces are switched off: sysctl user.max_user_namespaces=10000, "
                   "or run netjail as root");
    else if (sysctl_number("/proc/sys/kernel/unprivileged_userns_clone", 1) == 0)
        error_hint(error, "user namespaces are for root only: sysctl "
                          "kernel.unprivileged_userns_clone=1, or run netjail as root");
    else if (sysctl_number("/proc/sys/kernel/apparmor_restrict_unprivileged_userns", 0) == 1)
        error_hint(error,
                   "AppArmor restricts user namespaces: give netjail a profile with `userns,`, "
                   "or sysctl kernel.apparmor_restrict_unprivileged_userns=0, or run as root");
    else
        error_hint(error,
                   "a container or a chroot forbids user namespaces; allow them there "
                   "(podman, docker: --security-opt seccomp=unconfined), or run netjail as root");
}

/* `unshare -p` without a new process, or setns(2): the kernel makes no namespace below one that it
 * has only put our children in. */
static bool children_go_elsewhere(void)
{
    char own[64], children[64];
    ssize_t own_length = readlink("/proc/self/ns/pid", own, sizeof own);
    ssize_t length = readlink("/proc/self/ns/pid_for_children", children, sizeof children);

    return own_length > 0 && (length != own_length || memcmp(own, children, (size_t)length) != 0);
}

static int clone_explain(int code, bool user_namespace, struct error *error)
{
    (void)error_errno(error, code, "cannot make the jail's namespaces");
    if (code == -ENOSPC || code == -EUSERS) {
        if (user_namespace && sysctl_number("/proc/sys/user/max_user_namespaces", 1) == 0)
            hint_user_namespaces(error);
        else
            error_hint(error, "a limit is reached: see sysctl user.max_user_namespaces, "
                              "user.max_net_namespaces, user.max_pid_namespaces and "
                              "user.max_mnt_namespaces; namespaces nest 32 deep");
    } else if (code == -EAGAIN) {
        error_hint(error, "the limit of processes is reached: see ulimit -u, and the cgroup's "
                          "pids.max (TasksMax= of a unit)");
    } else if (code == -EINVAL && children_go_elsewhere()) {
        error_hint(error, "the children of this process are born in another pid namespace than its "
                          "own: start it with `unshare --pid --fork`");
    } else if (code == -EINVAL) {
        error_hint(error,
                   "the kernel needs CONFIG_NET_NS, CONFIG_PID_NS, CONFIG_IPC_NS and, without "
                   "root, CONFIG_USER_NS");
    } else if (code == -EPERM && user_namespace) {
        hint_user_namespaces(error);
    } else if (code == -EPERM) {
        error_hint(error, "a container forbids new namespaces even to root; allow them there "
                          "(podman, docker: --security-opt seccomp=unconfined)");
    }
    return code;
}

static int map_write(const char *path, const char *text, uid_t uid, struct error *error)
{
    cleanup_fd int fd = open(path, O_WRONLY | O_CLOEXEC);

    if (fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text))
        return 0;
    (void)error_errno(error, -errno, "cannot write %s of the jail's user namespace", path);
    if (getauxval(AT_SECURE))
        error_hint(error, "with file capabilities netjail needs cap_setuid, cap_setgid and "
                          "cap_setpcap besides cap_net_admin and cap_sys_admin");
    else if (uid == 0)
        error_hint(error,
                   "uid 0 without CAP_SETFCAP cannot be mapped (user_namespaces(7)); give this "
                   "process that capability or run it as another user");
    else
        hint_user_namespaces(error);
    return error->code;
}

/* user_namespaces(7): one line, the caller's own id; setgroups is denied before the gid may be
 * mapped. Called inside: nobody has to wait for another. */
static int maps_write(uid_t uid, gid_t gid, struct error *error)
{
    char text[64];
    int status;

    (void)snprintf(text, sizeof text, "%u %u 1\n", uid, uid); /* fits */
    status = map_write("/proc/self/uid_map", text, uid, error);
    if (status == 0)
        status = map_write("/proc/self/setgroups", "deny", uid, error);
    (void)snprintf(text, sizeof text, "%u %u 1\n", gid, gid); /* fits */
    return status < 0 ? status : map_write("/proc/self/gid_map", text, uid, error);
}

/* The next report, which must be of this kind. */
static int await(struct jail *jail, enum control_kind kind, struct control_message *message,
                 int *fds, struct error *error)
{
    int status = control_receive_report(jail->control_fd, jail->state, true, message, fds, error);

    if (status == 0 && message->kind != kind)
        status = error_set(error, -EPROTO, "the jail's init answered out of order");
    return status;
}

static int tell(const struct jail *jail, enum control_kind kind, int value, struct error *error)
{
    int status = control_send(jail->control_fd, kind, value, NULL, 0);
    struct control_message message = {0};

    if (status == 0)
        return 0;
    /* It has ended; its last words say why. */
    status = control_receive_report(jail->control_fd, jail->state, false, &message, NULL, error);
    return status < 0 && status != -EAGAIN
               ? status
               : error_set(error, -EPIPE, "the jail's init ended unexpectedly");
}

/* The next report, which brings CONTROL_FDS descriptors. */
static int receive_two(struct jail *jail, enum control_kind kind, int *ret_first, int *ret_second,
                       struct error *error)
{
    struct control_message message = {0};
    int fds[PACKET_FDS_MAX];
    int status = await(jail, kind, &message, fds, error);

    if (status < 0)
        return status;
    *ret_first = fds[0];
    *ret_second = fds[1];
    return 0;
}

static int receive_relay(struct jail *jail, struct error *error)
{
    struct control_message message = {0};
    int fds[PACKET_FDS_MAX];
    int status = await(jail, CONTROL_RELAY, &message, fds, error);

    for (size_t i = 0; status == 0 && i < RELAY_FDS; i++)
        jail->relay_fds[i] = fds[i];
    jail->has_relay = status == 0;
    return status;
}

static int pair_make(int fds[2], struct error *error)
{
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds) < 0)
        return error_errno(error, -errno, "cannot make a channel to the jail's init");
    return 0;
}

/* Without the means to change identity and empty the bounding set (a unit with only CAP_NET_ADMIN
 * and CAP_SYS_ADMIN), a user namespace gives them over the jail alone. */
static bool needs_user_namespace(const struct jail_setup *setup)
{
    return !setup->privileged || !privs_over_self();
}

static int identity_check(const struct jail_setup *setup, bool user_namespace, struct error *error)
{
    if (!user_namespace || setup->identity.keep)
        return 0;
    (void)error_set(error, -EPERM,
                    "cannot become user %u without CAP_SETUID, CAP_SETGID and "
                    "CAP_SETPCAP",
                    setup->identity.uid);
    error->where = setup->policy->user_where;
    return -EPERM;
}

static int join_network(const struct jail_setup *setup, struct error *error)
{
    if (!setup->joins || setns(setup->join_fd, CLONE_NEWNET) == 0)
        return 0;
    (void)error_errno(error, -errno, "cannot join the network");
    error_hint(error, "it needs CAP_SYS_ADMIN over that network namespace: run netjail as root");
    return error->code;
}

/* What the new process is told. The ids are those outside, for which it cannot ask before they are
 * mapped. */
struct birth {
    struct init_args args;
    uid_t uid;
    gid_t gid;
};

/* In the new process: what is left of making it, then it is init. */
static int init_start(void *argument)
{
    const struct birth *birth = argument;
    const struct init_args *args = &birth->args;
    struct error error = {0};
    int status;

    stack_touch();
    status = args->user_namespace ? maps_write(birth->uid, birth->gid, &error) : 0;
    if (status == 0)
        status = join_network(args->setup, &error);
    if (status == 0)
        init_run(args);
    (void)control_send_failure(args->control_fd, CONTROL_FAILED, &error); /* it ends all the same */
    _exit(125);
}

/* As fork(2), but init begins on a stack of its own: on a copy of ours the first write to each page
 * would copy it, and init would keep all that is on it. */
static int clone_process(int flags, struct birth *birth, struct jail *jail, struct error *error)
{
    struct stack stack;
    int status = stack_make(birth->args.setup->argv, &stack, error);

    if (status < 0)
        return status;
    jail->init_pid =
        clone(init_start, stack.top, flags | CLONE_PIDFD | SIGCHLD, birth, &jail->init_pidfd);
    if (jail->init_pid < 0) {
        jail->init_pidfd = -1;
        status = clone_explain(-errno, birth->args.user_namespace, error);
    }
    stack_free(&stack); /* init has its copy */
    return status;
}

static int clone_init(const struct jail_setup *setup, bool user_namespace, struct jail *jail,
                      struct error *error)
{
    int flags = (setup->joins ? 0 : CLONE_NEWNET) | CLONE_NEWNS | CLONE_NEWIPC;
    int control[2], service[2];

    if (pair_make(control, error) < 0)
        return error->code;
    cleanup_fd int control_theirs = control[1];
    jail->control_fd = control[0];
    if (pair_make(service, error) < 0)
        return error->code;
    cleanup_fd int service_theirs = service[1];
    jail->service_fd = service[0];

    struct birth birth = {.args = {.setup = setup,
                                   .netjail_pid = getpid(),
                                   .control_fd = control_theirs,
                                   .service_fd = service_theirs,
                                   .supervisor_control_fd = control[0],
                                   .supervisor_service_fd = service[0],
                                   .user_namespace = user_namespace},
                          .uid = geteuid(),
                          .gid = getegid()};
    flags |= user_namespace ? CLONE_NEWUSER : 0;
    flags |= setup->policy->processes_shared ? 0 : CLONE_NEWPID;
    return clone_process(flags, &birth, jail, error);
}

/* Children that netjail's process had before it became netjail are the caller's: with them beside
 * it could not be told what is the jail's. */
static int adopt(struct jail *jail, struct error *error)
{
    jail->adopts = !offspring_exists();
    return jail->adopts ? privs_adopt_orphans(error) : 0;
}

int jail_start(const struct jail_setup *setup, struct jail *ret_jail, struct error *error)
{
    bool user_namespace = needs_user_namespace(setup);
    struct jail jail = {.init_pid = -1,
                        .init_pidfd = -1,
                        .control_fd = -1,
                        .service_fd = -1,
                        .route_fd = -1,
                        .nft_fd = -1,
                        .nflog_fd = -1,
                        .netns_fd = -1,
                        .notify_fd = -1,
                        .signal_fd = -1,
                        .notify = setup->notify,
                        .state = JAIL_CLONED,
                        .processes_shared = setup->policy->processes_shared};
    const char *outer_jail = getenv("NETJAIL_NAME");
    int status = identity_check(setup, user_namespace, error);

    if (status == 0)
        status = environment_name(setup, error);
    if (status == 0 && jail.processes_shared)
        status = adopt(&jail, error);
    if (status == 0) {
        status = clone_init(setup, user_namespace, &jail, error);
        if (status == -EPERM && outer_jail)
            error_hint(error,
                       "this is inside the jail '%s' (NETJAIL_NAME), and a jail makes no jails: "
                       "start it outside",
                       outer_jail);
    }
    if (status < 0) {
        jail_destroy(&jail);
        return status;
    }
    *ret_jail = jail;
    return 0;
}

int jail_open(struct jail *jail, const struct jail_setup *setup, struct error *error)
{
    int status = receive_two(jail, CONTROL_OPENED, &jail->route_fd, &jail->netns_fd, error);

    if (status < 0)
        return status;
    jail->state = JAIL_OPENED;
    if (!setup->plan || setup->plan->has_rules)
        status = receive_two(jail, CONTROL_RULES, &jail->nft_fd, &jail->nflog_fd, error);
    return status == 0 && setup->plan && setup->plan->relays ? receive_relay(jail, error) : status;
}

int jail_ready(struct jail *jail, struct error *error)
{
    struct control_message message = {0};
    int fds[PACKET_FDS_MAX];
    int status = 0;

    if (jail->notify) {
        status = await(jail, CONTROL_NOTIFY, &message, fds, error);
        jail->notify_fd = status < 0 ? -1 : fds[0];
    }
    if (status == 0)
        status = await(jail, CONTROL_READY, &message, NULL, error);
    if (status < 0)
        return status;
    jail->own_group = message.value & READY_OWN_GROUP;
    jail->sys_kept = message.value & READY_SYS_KEPT;
    jail->state = JAIL_READY;
    return 0;
}

void jail_last_words(const struct jail *jail, struct error *error)
{
    struct control_message message;
    struct error cause = {0};
    int fds[PACKET_FDS_MAX];
    int status;

    do {
        status =
            control_receive_report(jail->control_fd, jail->state, false, &message, fds, &cause);
        if (status == 0 && message.kind == CONTROL_NOTIFY)
            (void)close(fds[0]); /* a socket that nobody will read */
    } while (status == 0);
    if (status != -EAGAIN)
        *error = cause;
}

static const int early_signals[] = {SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2, SIGALRM};

/* Signals that came before the command existed, each once, as while they are pending. */
struct early {
    int signals[ARRAY_LENGTH(early_signals)];
    size_t count;
    int fd; /* signalfd(2): more have come */
};

/* What came before the command existed was meant for it all the same: Ctrl-C during the set-up. */
static int early_begin(struct early *early, struct error *error)
{
    sigset_t set;

    (void)sigemptyset(&set); /* these cannot fail with valid arguments */
    for (size_t i = 0; i < ARRAY_LENGTH(early_signals); i++)
        (void)sigaddset(&set, early_signals[i]);
    early->fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    return early->fd < 0 ? error_errno(error, -errno, "cannot wait for signals") : 0;
}

/* One that would end the command, or 0. */
static int early_take(struct early *early)
{
    struct signalfd_siginfo info;
    int ends = 0;

    while (read(early->fd, &info, sizeof info) == (ssize_t)sizeof info) {
        int signal = (int)info.ssi_signo;
        size_t at = 0;

        while (at < early->count && early->signals[at] != signal)
            at++;
        early->signals[at] = signal;
        if (at == early->count)
            early->count++;
        if (ends == 0 && signals_end_a_command(signal))
            ends = signal;
    }
    return ends;
}

/* Waits for init's answer. A file system that does not answer holds execve(2), and init with it,
 * for as long as it likes; a signal that would end the command in there ends the wait: returned. */
static int await_answer(const struct jail *jail, struct early *early)
{
    struct pollfd waits[] = {{.fd = jail->control_fd, .events = POLLIN},
                             {.fd = early->fd, .events = POLLIN}};

    for (;;) {
        int ready = poll(waits, 2, -1);
        int ends;

        if (ready > 0 ? waits[0].revents != 0 : errno != EINTR)
            return 0; /* it is there, or nobody tells and what follows waits, too */
        ends = early_take(early);
        if (ends && poll(waits, 1, EXEC_GRACE_MS) == 0)
            return ends;
    }
}

static int release(struct jail *jail, struct early *early, struct error *error)
{
    struct control_message message = {0};
    int status;

    jail->foreground = terminal_is_ours();
    status = tell(jail, CONTROL_RELEASE, jail->foreground, error);
    if (status == 0)
        jail->ended_by = await_answer(jail, early);
    if (jail->ended_by)
        return -ECANCELED;
    if (status == 0)
        status = control_receive_report(jail->control_fd, jail->state, true, &message, NULL, error);
    if (status < 0)
        return status;
    jail->refused = message.kind == CONTROL_REFUSED;
    if (jail->refused)
        return message.value;
    if (message.kind != CONTROL_STARTED)
        return error_set(error, -EPROTO, "the jail's init answered out of order");
    jail->state = JAIL_RUNNING;
    jail->released_ms = clock_now_ms();
    for (size_t i = 0; status == 0 && i < early->count; i++)
        status = tell(jail, CONTROL_SIGNAL, early->signals[i], error);
    return status;
}

int jail_release(struct jail *jail, struct error *error)
{
    struct early early = {.fd = -1};

    if (early_begin(&early, error) < 0) /* supervise() could not either, too late */
        return error->code;
    jail->signal_fd = early.fd;
    (void)early_take(&early);
    return release(jail, &early, error);
}

static void close_fd(int *fd)
{
    if (*fd >= 0)
        (void)close(*fd); /* sockets: there is nothing to lose */
    *fd = -1;
}

void jail_wait(const struct jail *jail)
{
    siginfo_t info;

    while (jail->init_pidfd >= 0 && waitid(P_PIDFD, (id_t)jail->init_pidfd, &info, WEXITED) < 0 &&
           errno == EINTR)
        ;
}

/* Has the command run for so long that its caller would not notice the wait for init's end? */
static bool took_its_time(const struct jail *jail)
{
    return jail->released_ms > 0 && clock_now_ms() - jail->released_ms >= USAGE_AFTER_MS;
}

void jail_reap(const struct jail *jail)
{
    if (took_its_time(jail) &&
        syscall(SYS_pidfd_send_signal, jail->init_pidfd, SIGKILL, NULL, 0u) == 0)
        jail_wait(jail);
}

void jail_end_strays(const struct jail *jail)
{
    if (jail->adopts)
        offspring_kill();
}

void jail_close_relay(struct jail *jail)
{
    for (size_t i = 0; i < RELAY_FDS && jail->has_relay; i++)
        (void)close(jail->relay_fds[i]); /* sockets without data of ours */
    jail->has_relay = false;
}

void jail_destroy(struct jail *jail)
{
    /* The end of the channel ends init too: the signal is refused when init has another uid and
     * we lack CAP_KILL, and without a pid namespace init must end the others first. */
    if (jail->init_pidfd >= 0 && !jail->processes_shared)
        (void)syscall(SYS_pidfd_send_signal, jail->init_pidfd, SIGKILL, NULL, 0u);
    close_fd(&jail->control_fd);
    close_fd(&jail->service_fd);
    close_fd(&jail->route_fd);
    close_fd(&jail->nft_fd);
    close_fd(&jail->nflog_fd);
    jail_close_relay(jail);
    close_fd(&jail->netns_fd);
    close_fd(&jail->notify_fd);
    close_fd(&jail->signal_fd);
    if (jail->state != JAIL_EMPTY || took_its_time(jail))
        jail_wait(jail); /* else only the kernel's clean-up of the mounts is left to it */
    close_fd(&jail->init_pidfd);
    jail->init_pid = -1;
}
