/* Starts netjail-service for a jail: the configuration as a sealed memfd, few descriptors at fixed
 * numbers (service/protocol.h), an empty environment. The service gives up its privilege by itself
 * before it reads anything that comes from the jail or the network, and gets the jail's sockets
 * when the rules are in force: mustn't before. */
#include "service_start.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/write.h"
#include "jail/helper.h"
#include "jail/packet.h"
#include "kernel/nflog.h"
#include "report.h"
#include "service/protocol.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>

#define SERVICE_READY_TIMEOUT_MS 5000
#define SERVICE_LAST_WORDS_MS    2000

/* Where a connection to the listener's port goes inside the jail, in the order of trying. */
static void fill_targets(const struct plan *plan, const struct addr *listen,
                         struct service_listener *listener)
{
    static const struct addr loopback4 = {.family = ADDR_V4, .bytes = {127, 0, 0, 1}};
    static const struct addr loopback6 = {.family = ADDR_V6, .bytes = {[15] = 1}};
    bool is_v4 = listen->family == ADDR_V4;
    uint8_t count = 0;

    for (size_t i = 0; i < plan->addresses_count && count == 0; i++)
        if (plan->addresses[i].prefix.addr.family == listen->family)
            listener->targets[count++] = plan->addresses[i].prefix.addr;
    listener->targets[count++] = is_v4 ? loopback4 : loopback6;
    listener->targets[count++] = is_v4 ? loopback6 : loopback4;
    listener->target_count = count;
}

static int count_listeners(const struct plan *plan, size_t *ret_count, struct error *error)
{
    size_t count = 0;

    for (size_t i = 0; i < plan->ops_count; i++)
        count += plan->ops[i].kind == OP_LISTEN;
    if (count > SERVICE_LISTENERS_MAX)
        return error_set(error, -E2BIG, "too many published ports: %zu sockets, at most %d", count,
                         SERVICE_LISTENERS_MAX);
    *ret_count = count;
    return 0;
}

static int write_listeners(int fd, const struct plan *plan)
{
    int result = 0;

    for (size_t i = 0; result == 0 && i < plan->ops_count; i++) {
        const struct op *op = &plan->ops[i];
        if (op->kind != OP_LISTEN)
            continue;
        struct service_listener listener = {.protocol = op->listen.protocol,
                                            .jail_port = op->listen.jail_port};
        fill_targets(plan, &op->listen.addr, &listener);
        result = write_all(fd, &listener, sizeof listener);
    }
    return result;
}

/* The configuration in a memfd that nobody can change any more. */
static int make_config(const struct service_wants *wants, size_t listeners, int *ret_fd,
                       struct error *error)
{
    const struct policy *policy = wants->policy;
    const struct plan *plan = wants->plan;
    struct service_config config = {
        .magic = SERVICE_MAGIC,
        .listener_count = (uint32_t)listeners,
        .known_count = (uint32_t)plan->known_count,
        .policy_length = plan->decides ? wants->texts->length : 0,
        .connection_limit = policy->connection_limit,
        .rate_count = policy->connection_rate.given ? (uint32_t)policy->connection_rate.count : 0,
        .rate_unit_s = policy->connection_rate.unit_s,
        .rate_burst = policy->connection_rate.burst,
        .limit_given = policy->connection_limit_given,
        .relay = plan->relays,
        .resolver_on_loopback = access("/etc", F_OK) != 0,
        .log = policy->log_denied,
        .log_json = policy->log_json,
        .log_journal = policy->log_target == LOG_JOURNAL,
    };
    cleanup_fd int fd = memfd_create("netjail-service", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (fd < 0)
        return error_errno(error, -errno, "cannot make the service's configuration");

    (void)snprintf(config.jail_name, sizeof config.jail_name, "%s", wants->jail_name); /* fits */
    (void)snprintf(config.policy_name, sizeof config.policy_name, "%s",
                   policy->file_path ? policy->file_path : ""); /* shown only; may be cut */
    int result = write_all(fd, &config, sizeof config);
    if (result == 0)
        result = write_listeners(fd, plan);
    if (result == 0)
        result = write_all(fd, plan->known, plan->known_count * sizeof *plan->known);
    if (result == 0)
        result = write_all(fd, wants->texts->data, (size_t)config.policy_length);
    if (result == 0 &&
        (lseek(fd, 0, SEEK_SET) != 0 ||
         fcntl(fd, F_ADD_SEALS, F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE) != 0))
        result = -errno;
    if (result < 0)
        return error_errno(error, result, "cannot write the service's configuration");
    *ret_fd = take_fd(&fd);
    return 0;
}

/* File actions that put descriptors at their fixed numbers. */
struct placement {
    posix_spawn_file_actions_t actions;
    int moved[SERVICE_FDS_END]; /* copies above all targets, so that dup2() overwrites none; closed
                                   after the spawn */
    size_t moved_count;
};

static int place(struct placement *placement, int fd, int target)
{
    int copy = fcntl(fd, F_DUPFD_CLOEXEC, SERVICE_FDS_END);

    if (copy < 0)
        return -errno;
    placement->moved[placement->moved_count++] = copy;
    return -posix_spawn_file_actions_adddup2(&placement->actions, copy, target);
}

static void placement_end(struct placement *placement)
{
    for (size_t i = 0; i < placement->moved_count; i++)
        (void)close(placement->moved[i]);                        /* our copies only */
    (void)posix_spawn_file_actions_destroy(&placement->actions); /* cannot fail on Linux */
}

/* The jail's name is an argument for those who look at the list of processes. */
static int spawn_service(const char *path, const char *jail_name, struct placement *placement,
                         pid_t *ret_pid)
{
    char name[JAIL_NAME_MAX + 1];
    char *const argv[] = {(char[]){SERVICE_PROGRAM}, name, NULL};
    char *const environment[] = {NULL};
    posix_spawnattr_t attributes;
    sigset_t all;

    (void)snprintf(name, sizeof name, "%s", jail_name); /* fits: it is a jail's name */
    (void)sigfillset(&all);                             /* cannot fail */
    int result = posix_spawnattr_init(&attributes);
    if (result != 0)
        return -result;
    /* Until it has ignored them: one to our whole group may have met the child before it left. */
    (void)posix_spawnattr_setsigmask(&attributes, &all);    /* cannot fail */
    (void)posix_spawnattr_setsigdefault(&attributes, &all); /* cannot fail */
    /* A group of its own: signals of the terminal are the command's. */
    (void)posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF |
                                                    POSIX_SPAWN_SETPGROUP); /* cannot fail */
    result = posix_spawn(ret_pid, path, &placement->actions, &attributes, argv, environment);
    (void)posix_spawnattr_destroy(&attributes); /* cannot fail */
    return -result;
}

/* The journal's own socket: its entries then have the jail's name as a field. */
static int open_journal(const struct policy *policy, int *ret_fd, struct error *error)
{
    static const struct sockaddr_un journal = {.sun_family = AF_UNIX,
                                               .sun_path = "/run/systemd/journal/socket"};
    cleanup_fd int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

    if (fd >= 0 && connect(fd, (const struct sockaddr *)&journal, sizeof journal) == 0) {
        *ret_fd = take_fd(&fd);
        return 0;
    }
    error->where = policy->log_where;
    error_errno(error, -errno, "cannot reach the journal at '%s'", journal.sun_path);
    error_hint(error, "is systemd-journald running? `log denied` without `to journal` writes to "
                      "standard error");
    return error->code;
}

static int open_log(const struct policy *policy, int *ret_fd, struct error *error)
{
    if (!policy->log_denied)
        return 0;
    if (policy->log_target == LOG_JOURNAL)
        return open_journal(policy, ret_fd, error);
    /* A pipe that nobody reads is an error, and nothing to wait for. */
    int fd =
        policy->log_target == LOG_FILE
            ? open(policy->log_path,
                   O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NOCTTY | O_NONBLOCK,
                   0640)
            : fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3);
    if (fd < 0) {
        error->where = policy->log_where;
        return error_errno(error, -errno, "cannot open the log '%s'",
                           policy->log_target == LOG_FILE ? policy->log_path : "stderr");
    }
    *ret_fd = fd;
    return 0;
}

int service_start(const struct service_wants *wants, struct service *ret_service,
                  struct error *error)
{
    const struct policy *policy = wants->policy;
    struct placement placement = {0};
    char path[PATH_MAX];
    size_t listeners = 0;
    cleanup_fd int config_fd = -1;
    cleanup_fd int log_fd = -1;
    int report[2];
    pid_t pid;

    int result = helper_find("netjail-service", path, sizeof path, error);
    if (result == 0)
        result = count_listeners(wants->plan, &listeners, error);
    if (result == 0)
        result = make_config(wants, listeners, &config_fd, error);
    if (result == 0)
        result = open_log(policy, &log_fd, error);
    if (result < 0)
        return result;
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, report) != 0)
        return error_errno(error, -errno, "cannot make a channel to netjail-service");
    cleanup_fd int report_ours = report[0];
    cleanup_fd int report_theirs = report[1];

    result = -posix_spawn_file_actions_init(&placement.actions);
    if (result < 0)
        return error_errno(error, result, "cannot start netjail-service");
    result = place(&placement, config_fd, SERVICE_CONFIG_FD);
    if (result == 0)
        result = place(&placement, report_theirs, SERVICE_REPORT_FD);
    if (result == 0 && log_fd >= 0)
        result = place(&placement, log_fd, SERVICE_LOG_FD);
    if (result == 0)
        result = spawn_service(path, wants->jail_name, &placement, &pid);
    placement_end(&placement);
    if (result < 0)
        return error_errno(error, result, "cannot start '%s'", path);
    *ret_service = (struct service){.pid = pid, .report_fd = take_fd(&report_ours)};
    reports_begin(&ret_service->reports, ret_service->report_fd, clock_now_ms());
    return 0;
}

/* The jail's sockets in the order of service/protocol.h; how many. `fds` has room for all. */
static size_t list_sockets(const struct service_wants *wants, const struct applied *applied,
                           const struct jail *jail, int *fds)
{
    const struct plan *plan = wants->plan;
    size_t count = 0;

    fds[count++] = jail->service_fd;
    if (wants->policy->log_denied)
        fds[count++] = jail->nflog_fd;
    for (size_t i = 0; i < plan->ops_count; i++)
        if (plan->ops[i].kind == OP_LISTEN)
            fds[count++] = applied->listen_fds[i];
    for (size_t i = 0; plan->relays && i < RELAY_FDS; i++)
        fds[count++] = jail->relay_fds[i];
    return count;
}

static int hand_over(const struct service *service, const int *fds, size_t count, bool queues)
{
    int result = 0;

    while (result == 0 && count > 0) {
        size_t now = count < PACKET_FDS_MAX ? count : PACKET_FDS_MAX;
        const struct notice_begin begin = {
            .kind = NOTICE_BEGIN, .left = (uint32_t)(count - now), .queues = queues};

        result = packet_send(service->report_fd, &begin, sizeof begin, fds, now, true);
        fds += now;
        count -= now;
    }
    return result;
}

int service_begin(struct service *service, const struct service_wants *wants,
                  const struct applied *applied, struct jail *jail, struct error *error)
{
    bool queues = wants->plan->queues;
    cleanup_free int *fds = calloc(wants->plan->ops_count + 2 + RELAY_FDS, sizeof *fds);
    int result = fds ? 0 : -ENOMEM;

    if (wants->policy->log_denied && nflog_bind(jail->nflog_fd, NFLOG_GROUP_DENIED, error) < 0)
        return error->code;
    if (result == 0)
        result = hand_over(service, fds, list_sockets(wants, applied, jail, fds), queues);
    (void)close(jail->service_fd); /* the service has it now: when it dies init is told */
    jail->service_fd = -1;
    service->reports.verdicts = queues;
    if (result == -EPIPE || result == -ECONNRESET)
        return error_set(error, -EPIPE, "netjail-service ended before it was ready");
    return result < 0 ? error_errno(error, result, "cannot hand over the jail's sockets") : 0;
}

int service_wait_ready(struct service *service, struct error *error)
{
    struct pollfd wait = {.fd = service->report_fd, .events = POLLIN};
    union report_message message;
    int ready;
    int code;

    do
        ready = poll(&wait, 1, SERVICE_READY_TIMEOUT_MS);
    while (ready < 0 && errno == EINTR);
    if (ready < 0)
        return error_errno(error, -errno, "cannot wait for netjail-service");
    if (ready == 0)
        return error_set(error, -ETIMEDOUT, "netjail-service did not become ready within 5 s");
    code = reports_receive(&service->reports, clock_now_ms(), &message, error);
    if (code == -EAGAIN || code == -EPIPE)
        return error_set(error, -EPIPE, "netjail-service ended before it was ready");
    return code; /* nothing but "ready" is permitted here */
}

/* It closes its end by itself when init has ended: when what the jail wrote has been delivered
 * (after a second at the latest) and what was denied has been counted. */
static void await_last_words(const struct service *service)
{
    struct pollfd wait = {.fd = service->report_fd, .events = 0};

    while (poll(&wait, 1, SERVICE_LAST_WORDS_MS) < 0 && errno == EINTR)
        continue;
}

void service_stop(struct service *service)
{
    if (service->report_fd < 0)
        return;
    if (service->pid > 0 && service->reports.state != SERVICE_STARTING)
        await_last_words(service);
    /* Our child that was not waited for can be signalled also when it has ended. */
    if (service->pid > 0)
        service->cannot_end = kill(service->pid, SIGKILL) < 0;
    (void)close(service->report_fd); /* nothing is lost that somebody could still want */
    service->report_fd = -1;
}

/* What cannot be signalled has another uid and this is a root without CAP_KILL: it ends by itself,
 * and nobody waits for it for ever. */
static void await_end(pid_t pid)
{
    cleanup_fd int pidfd = (int)syscall(SYS_pidfd_open, pid, 0u);
    struct pollfd wait = {.fd = pidfd, .events = POLLIN};

    while (pidfd >= 0 && poll(&wait, 1, SERVICE_LAST_WORDS_MS) < 0 && errno == EINTR)
        continue;
}

void service_reap(struct service *service)
{
    if (service->pid > 0 && service->cannot_end)
        await_end(service->pid);
    /* Nobody else reaps it. */
    if (service->pid > 0 && waitpid(service->pid, NULL, service->cannot_end ? WNOHANG : 0) == 0)
        report_note("netjail", "netjail-service (process %d) does not end, and cannot be ended",
                    (int)service->pid);
    service->pid = 0;
}
