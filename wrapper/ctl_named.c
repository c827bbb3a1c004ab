/* netjailctl create and delete: named jails.
 *
 * `create` is netjail without a command: the same run_jail(), in a process of the background, which
 * stays as the supervisor; the jail's network namespace gets its name in /run/netns when all rules
 * are loaded and read back, and `create` returns when everything is there. The supervisor gives up
 * its privilege as any other, so it cannot take the name away again: `delete` ends it and removes
 * what is left, as gc does when the supervisor was killed. What must not happen: a name in
 * /run/netns before the rules. */
#include "base/cleanup.h"
#include "base/clock.h"
#include "jail/jail.h"
#include "kernel/apply.h"
#include "kernel/lease.h"
#include "kernel/netns_name.h"
#include "kernel/process.h"
#include "wrapper/assemble.h"
#include "wrapper/ctl.h"
#include "wrapper/ctl_client.h"
#include "wrapper/report.h"
#include "wrapper/run.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>

#define END_TIMEOUT_MS  10000
#define KILL_TIMEOUT_MS 5000
#define PAUSE_NS        5000000L

struct creation {
    const struct ctl_options *options;
    const char *name;
    int ready_fd; /* our end of the pipe; -1: stays in the foreground */
};

static int fail(const struct error *error)
{
    report_error(CTL_PROGRAM, NULL, error);
    return CTL_SYSTEM;
}

static int need_privilege(const char *what)
{
    struct error error = {0};

    if (privs_over_host())
        return CTL_OK;
    (void)error_set(&error, -EPERM, "%s a named jail needs root", what);
    error_hint(&error,
               "its name is a mount in " NETNS_NAMES "; a jail of your own lasts as long as "
               "its command: netjail -p POLICY sleep infinity");
    return fail(&error);
}

/* ---- what the dead leave ---- */

/* Is the jail among the dead whose leases are still there? */
static bool is_dead_named(struct lease_directory *directory, const char *name)
{
    struct facts *facts = facts_new();
    struct dead_lease *dead = NULL;
    size_t dead_count = 0;
    struct error ignored = {0};
    bool found = false;

    if (lease_scan(directory, NULL, facts, &dead, &dead_count, &ignored) == 0) {
        for (size_t i = 0; i < dead_count; i++)
            found = found || (dead[i].record && dead[i].record->is_named &&
                              strcmp(dead[i].record->name, name) == 0);
        lease_dead_free(dead, dead_count);
    }
    facts_free(facts);
    return found;
}

/* Removes what the dead have left, this jail's among it. False: it had left nothing. */
static int remove_rest(const char *name, bool *ret_found, struct error *error)
{
    static const struct jail_sockets no_jail = {.route_fd = -1, .nft_fd = -1, .netns_fd = -1};
    struct lease_directory *directory = NULL;
    struct kernel *kernel = NULL;
    int result = lease_directory_open(LEASE_HOST, false, &directory, error);

    *ret_found = false;
    if (result == -ENOENT) {
        *error = (struct error){0};
        return 0; /* no jail runs, and none has left anything */
    }
    if (result == 0)
        result = kernel_open(&no_jail, true, &kernel, error);
    if (result == 0) {
        *ret_found = is_dead_named(directory, name);
        result = lease_collect(directory, kernel, false, error);
    }
    kernel_close(kernel);
    lease_directory_close(directory);
    return result < 0 ? result : 0;
}

/* ---- create ---- */

/* "READY=1" for Type=notify (sd_notify(3)). */
static void notify_manager(void)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    const char *path = getenv("NOTIFY_SOCKET");
    size_t length = path ? strlen(path) : 0;
    cleanup_fd int fd = -1;

    if (length < 2 || length >= sizeof address.sun_path || !strchr("/@", path[0]))
        return;
    memcpy(address.sun_path, path, length);
    if (path[0] == '@')
        address.sun_path[0] = '\0';
    fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd >= 0)
        (void)sendto(fd, "READY=1", 7, MSG_NOSIGNAL, (const struct sockaddr *)&address,
                     (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length));
}

/* Everything is there. In the background nothing of the caller's is held open from now on. */
static int ready(void *context, struct error *error)
{
    struct creation *creation = context;
    cleanup_fd int null = -1;

    if (creation->ready_fd < 0) {
        notify_manager();
        return 0;
    }
    /* A caller that is gone does not wait. One that is there must learn of it. */
    if (write(creation->ready_fd, "R", 1) < 0 && errno != EPIPE)
        return error_errno(error, -errno, "cannot say that the jail is there");
    cleanup_close_fd(&creation->ready_fd);
    null = open("/dev/null", O_RDWR | O_CLOEXEC);
    for (int fd = STDIN_FILENO; null >= 0 && fd <= STDERR_FILENO; fd++)
        (void)dup2(null, fd); /* both are valid */
    return 0;
}

static int assemble(const struct creation *creation, struct options *line,
                    struct assembled *assembled)
{
    struct error error = {0};
    struct option_statement statement = {.option = "NAME"};
    char text[128];
    int result = assemble_policy(line, assembled, &error);

    /* The name is a statement like any other, unless the policy says the same. */
    if (result == 0 && assembled->policy->name &&
        strcmp(assembled->policy->name, creation->name) != 0)
        result = error_set(&error, -EINVAL, "the policy is for a jail named '%s'",
                           assembled->policy->name);
    if (result == 0 && !assembled->policy->name) {
        assembled_free(assembled);
        (void)snprintf(text, sizeof text, "name \"%.100s\"", creation->name); /* may be cut */
        statement.text = text;
        statement.typed = creation->name;
        line->statements = &statement;
        line->statements_count = 1;
        result = assemble_policy(line, assembled, &error);
        line->statements = NULL;
        line->statements_count = 0;
    }
    if (assembled->diags->list_count > 0)
        report_diags(assembled->diags, false);
    if (result == 0)
        return CTL_OK;
    if (error.text[0])
        report_error(CTL_PROGRAM, &assembled->policy->sources, &error);
    return assembled->diags->error_count > 0 ? CTL_POLICY : CTL_SYSTEM;
}

/* Does not return where the jail came to life, but ends as it ended. */
static int supervise_named(struct creation *creation, struct options *line,
                           struct assembled *assembled)
{
    line->named = true;
    line->ready = ready;
    line->ready_context = creation;
    assembled->diags->list_count = 0;
    return run_jail(line, assembled->policy, assembled->diags, &assembled->texts) == 0 ? CTL_OK
                                                                                       : CTL_SYSTEM;
}

/* Signals that would end us: `create` undoes what it has begun first (SIGQUIT ends it at once).
 * `old` is the mask before. */
static int stops_take(sigset_t *old, int *ret_fd, struct error *error)
{
    static const int signals[] = {SIGHUP, SIGINT, SIGTERM};
    struct sigaction action;
    sigset_t set;

    (void)sigemptyset(&set); /* these cannot fail with valid arguments */
    for (size_t i = 0; i < ARRAY_LENGTH(signals); i++)
        if (sigaction(signals[i], NULL, &action) == 0 && action.sa_handler == SIG_DFL)
            (void)sigaddset(&set, signals[i]);
    *ret_fd = signalfd(-1, &set, SFD_CLOEXEC);
    if (*ret_fd < 0 || sigprocmask(SIG_BLOCK, &set, old) < 0)
        return error_errno(error, -errno, "cannot wait for signals");
    return 0;
}

/* What the supervisor says, 0 bytes when it has ended, or a negative errno. *ret_stop: a signal
 * that came meanwhile. */
static ssize_t await_byte(int ready_fd, int stops_fd, int *ret_stop)
{
    struct pollfd waits[] = {{.fd = ready_fd, .events = POLLIN},
                             {.fd = stops_fd, .events = POLLIN}};
    struct signalfd_siginfo info;
    ssize_t got;
    char byte;

    while (poll(waits, *ret_stop ? 1 : 2, -1) < 0 || !waits[0].revents) {
        if (*ret_stop || !waits[1].revents ||
            read(stops_fd, &info, sizeof info) != (ssize_t)sizeof info)
            continue;
        *ret_stop = (int)info.ssi_signo;
    }
    do
        got = read(ready_fd, &byte, 1);
    while (got < 0 && errno == EINTR);
    return got < 0 ? -errno : got;
}

static int end_living(const char *name, bool *ret_found, struct error *error);

/* The parent's side: the exit status of `create`. *ret_stop: by this signal it is to end. */
static int await_ready(const struct creation *creation, pid_t child, int stops_fd, int *ret_stop)
{
    struct error error = {0};
    ssize_t got = await_byte(creation->ready_fd, stops_fd, ret_stop);
    bool found;
    int status;

    if (got == 1 && !*ret_stop)
        return CTL_OK;
    if (got == 1 && end_living(creation->name, &found, &error) < 0)
        (void)fail(&error);
    if (got < 0) {
        (void)error_errno(&error, (int)got, "cannot hear whether the jail is there");
        (void)fail(&error);
        (void)kill(child, SIGTERM); /* as long as we do not wait for it, it is there to hear it */
    }
    if (waitpid(child, &status, 0) < 0 || !WIFEXITED(status) || WEXITSTATUS(status) == 0)
        return CTL_SYSTEM; /* it has said why */
    return WEXITSTATUS(status);
}

static int create_in_background(struct creation *creation, struct options *line,
                                struct assembled *assembled)
{
    struct error error = {0};
    bool has_left;
    sigset_t mask;
    int ready_fds[2];
    int stops_fd;
    int stop = 0;
    pid_t child;

    if (pipe2(ready_fds, O_CLOEXEC) < 0) {
        (void)error_errno(&error, -errno, "cannot make a pipe to the jail's supervisor");
        return fail(&error);
    }
    if (stops_take(&mask, &stops_fd, &error) < 0)
        return fail(&error);
    (void)fflush(stdout); /* nothing is in it yet */
    child = fork();
    if (child == 0) {
        (void)close(ready_fds[0]);
        (void)close(stops_fd);
        creation->ready_fd = ready_fds[1];
        (void)setsid();                              /* a new child is no group leader */
        (void)sigprocmask(SIG_SETMASK, &mask, NULL); /* it was valid when it was read */
        (void)!chdir("/");                           /* it must not keep a file system busy */
        _exit(supervise_named(creation, line, assembled));
    }
    if (child < 0)
        (void)error_errno(&error, -errno, "cannot start the jail's supervisor");
    (void)close(ready_fds[1]);
    creation->ready_fd = ready_fds[0];
    int status = child < 0 ? fail(&error) : await_ready(creation, child, stops_fd, &stop);
    (void)close(ready_fds[0]);
    (void)close(stops_fd);
    /* The supervisor has no right any more to take the name away; we have. */
    if (status != CTL_OK && child > 0 && remove_rest(creation->name, &has_left, &error) < 0)
        status = fail(&error);
    /* A signal that comes now comes too late: the status tells that the jail is there. */
    if (status != CTL_OK)
        (void)sigprocmask(SIG_SETMASK, &mask, NULL); /* it was valid when it was read */
    if (stop)
        (void)raise(stop);
    return status;
}

int ctl_create(const struct ctl_options *options)
{
    struct creation creation = {.options = options, .name = options->arguments[0], .ready_fd = -1};
    struct options line = {.policy = options->policy,
                           .values = options->values,
                           .values_count = (size_t)options->values_count};
    struct assembled assembled = {0};
    struct error error = {0};
    int status = need_privilege("making");

    if (status != CTL_OK)
        return status;
    status = assemble(&creation, &line, &assembled);
    if (status == CTL_OK && netns_name_exists(assembled.policy->name)) {
        (void)error_set(&error, -EEXIST, NETNS_NAMES "/%s exists already", creation.name);
        error_hint(&error,
                   "`netjailctl delete %s` removes a named jail, `ip netns delete` another "
                   "namespace",
                   creation.name);
        status = fail(&error);
    }
    if (status == CTL_OK && options->foreground)
        status = supervise_named(&creation, &line, &assembled);
    else if (status == CTL_OK)
        status = create_in_background(&creation, &line, &assembled);
    if (status == CTL_OK && options->json)
        (void)printf("{\"name\": \"%s\", \"namespace\": \"" NETNS_NAMES "/%s\"}\n", creation.name,
                     creation.name); /* a jail's name needs no escape; see ctl_finish_output() */
    assembled_free(&assembled);
    return status;
}

/* ---- delete ---- */

/* Is it the process that the record speaks of? A record can name any process; its writer may speak
 * for his own only. */
static bool is_supervisor(const struct record *record)
{
    char path[64];
    uid_t uid;

    (void)snprintf(path, sizeof path, "/proc/%d", (int)record->pid); /* fits */
    cleanup_fd int fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
    return fd >= 0 && process_user(fd, &uid) == 0 && uid == record->uid &&
           process_start_time(record->pid) == record->pid_start;
}

/* The process of the record and no later one of its number. -1: it has ended. */
static int supervisor_open(const struct record *record)
{
    int fd = (int)syscall(SYS_pidfd_open, record->pid, 0u);

    if (fd >= 0 && !is_supervisor(record)) {
        (void)close(fd);
        return -1;
    }
    return fd;
}

/* Also when nobody fetches its status, as in a container whose pid 1 is no init: a pidfd is
 * readable from the end on. */
static bool await_end(int pidfd, int timeout_ms)
{
    struct pollfd ended = {.fd = pidfd, .events = POLLIN};
    int64_t end_ms = clock_now_ms() + timeout_ms;

    for (;;) {
        int64_t left_ms = end_ms - clock_now_ms();
        int ready = poll(&ended, 1, left_ms > 0 ? (int)left_ms : 0);

        if (ready > 0)
            return true;
        if (left_ms <= 0 || (ready < 0 && errno != EINTR))
            return false;
    }
}

static int supervisor_end(const struct record *record, struct error *error)
{
    cleanup_fd int fd = supervisor_open(record);

    if (fd < 0)
        return 0;
    (void)syscall(SYS_pidfd_send_signal, fd, SIGTERM, NULL, 0u); /* it may be ending by itself */
    (void)syscall(SYS_pidfd_send_signal, fd, SIGCONT, NULL, 0u);
    if (await_end(fd, END_TIMEOUT_MS))
        return 0;
    (void)syscall(SYS_pidfd_send_signal, fd, SIGKILL, NULL, 0u);
    if (await_end(fd, KILL_TIMEOUT_MS))
        return 0;
    return error_set(error, -ETIMEDOUT, "the supervisor of jail '%s' (%d) does not end",
                     record->name, (int)record->pid);
}

/* A named jail is the host's. A user's own jail of that name is somebody else's, and as good as
 * none: it must not keep us from ours. */
static int host_jail_find(const char *name, struct found_jail *ret_found, struct error *error)
{
    int result = jail_find(name, ret_found, error);

    if (result == 0 && ret_found->is_users)
        return error_set(error, -ENOENT, "no named jail '%s' is running", name);
    return result;
}

/* The same, but waits for one that is just being made: neither named yet, nor with a command. */
static int made_jail_find(const char *name, struct found_jail *ret_found, struct error *error)
{
    struct timespec pause = {.tv_nsec = PAUSE_NS};
    int64_t end_ms = clock_now_ms() + END_TIMEOUT_MS;

    for (;;) {
        int result = host_jail_find(name, ret_found, error);

        if (result < 0 || ret_found->record->is_named || ret_found->record->command[0] ||
            clock_now_ms() >= end_ms)
            return result;
        jails_free(&ret_found->jails);
        (void)nanosleep(&pause, NULL); /* a shorter pause does no harm */
    }
}

/* Its clean-up goes on in a child, which holds the lease. A new one of that name may be there
 * before we look. */
static int await_clean_up(const struct record *ended, struct error *error)
{
    struct timespec pause = {.tv_nsec = PAUSE_NS};
    int64_t end_ms = clock_now_ms() + END_TIMEOUT_MS;

    for (;;) {
        struct found_jail found = {0};
        struct error ignored = {0};
        bool is_there = host_jail_find(ended->name, &found, &ignored) == 0 &&
                        found.record->pid == ended->pid &&
                        found.record->pid_start == ended->pid_start;

        jails_free(&found.jails);
        if (!is_there)
            return 0;
        if (clock_now_ms() >= end_ms)
            return error_set(error, -ETIMEDOUT, "the clean-up of jail '%s' takes too long",
                             ended->name);
        (void)nanosleep(&pause, NULL); /* a shorter pause does no harm */
    }
}

static int end_living(const char *name, bool *ret_found, struct error *error)
{
    struct found_jail found = {0};
    int result = made_jail_find(name, &found, error);

    *ret_found = result == 0;
    if (result == 0 && !found.record->is_named) {
        result = error_set(error, -EBUSY,
                           "jail '%s' is no named jail: it lasts as long as its "
                           "command",
                           name);
        error_hint(error, "`kill %d` ends it", (int)found.record->pid);
    } else if (result == 0) {
        result = supervisor_end(found.record, error);
        if (result == 0)
            result = await_clean_up(found.record, error);
    } else if (result == -ENOENT) {
        result = 0;
    }
    jails_free(&found.jails);
    return result;
}

int ctl_delete(const struct ctl_options *options)
{
    const char *name = options->arguments[0];
    struct error error = {0};
    bool was_alive = false, has_left = false;
    int status = need_privilege("removing");
    int result;

    if (status != CTL_OK)
        return status;
    result = end_living(name, &was_alive, &error);
    if (result == -EBUSY) {
        report_error(CTL_PROGRAM, NULL, &error);
        return CTL_NO;
    }
    if (result == 0) {
        struct error cause = {0};

        result = remove_rest(name, &has_left, &cause);
        error = result < 0 ? cause : error;
    }
    if (result < 0)
        return fail(&error);
    if (!was_alive && !has_left) {
        report_error(CTL_PROGRAM, NULL, &error); /* "no jail 'x' is running" */
        return CTL_NO;
    }
    if (options->json)
        (void)printf("{\"removed\": \"%s\"}\n", name); /* a jail's name needs no escape */
    return CTL_OK;
}
