/* netjail-service: the unprivileged helper of one jail. It carries published connections from the
 * host into the jail and writes the denial log.
 *
 * Stages, never in another order:
 *
 * - sort: signals, descriptors 0..2, the descriptor limit, everything that was inherited and is not
 *   ours. Mustn't look at anything that came from a policy or the network.
 * - drop: another uid when started by root, no capabilities, no_new_privs, not dumpable, seccomp.
 * - read: the configuration is read and judged. The jail is built meanwhile.
 * - begin: the jail's rules are in force; its sockets come from the supervisor and are listened to.
 * - serve: "ready" to the supervisor, then the loop, until init closes its channel (the jail has
 *   ended) or the supervisor is gone. Mustn't end because of anything a client or the jail does.
 *
 * It ignores SIGTERM and the signals of the terminal: a unit that is stopped sends SIGTERM to all
 * its processes, and connections must live until the command has ended. The supervisor ends it with
 * SIGKILL. Exit status: 0 the jail has ended, 125 it could not start. */
#include "base/cleanup.h"
#include "jail/prefault.h"
#include "jail/privs.h"
#include "jail/seccomp.h"
#include "policy/relay.h"
#include "service/begin.h"
#include "service/config.h"
#include "service/denials.h"
#include "service/judge.h"
#include "service/limits.h"
#include "service/log.h"
#include "service/loop.h"
#include "service/relay.h"
#include "service/relay_echo.h"
#include "service/resolver.h"
#include "service/supply.h"
#include "service/tcp.h"
#include "service/udp.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/netlink.h>
#include <malloc.h>
#include <netinet/in.h>
#include <pwd.h>
#include <signal.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>

#define EXIT_FAILED 125

/* What the service needs besides connections and flows: its own descriptors, the stock of jail
 * sockets, name servers that are asked; and pipes, a share of what there is. As root it asks for as
 * many descriptors as the default limits need. */
#define OTHER_FDS   (192 + RELAY_ECHO_FLOWS_MAX)
#define PIPES_MAX   256
#define PIPES_MIN   8
#define PIPES_SHARE 16
#define WANTED_FDS  65536

/* Tables of this size and more are mapped, and so empty without being written: their pages cost the
 * start more than all the rest of it. The C library's own limit is 128 KiB. */
#define TABLE_BYTES 32768

/* What the start of it uses of the heap. */
#define HEAP_BYTES ((size_t)120 * 1024)

/* After the jail's end: how long connections may deliver what they hold, and how often we look. */
#define DRAIN_MAX_MS  1000
#define DRAIN_POLL_MS 2

struct service {
    struct service_setup setup;
    struct judge *judge; /* NULL: nothing is decided here */
    int *given;          /* the jail's sockets, in the order of service/protocol.h */
    bool queues;         /* the jail's connections wait until we have judged them */
    struct loop *loop;
    struct service_log log;
    struct supply *supply;
    struct limits limits;
    struct tcp_relay *tcp;
    struct relay *relay; /* NULL: the jail's own connections are not carried */
    int route_fd;        /* of the host, for the relay; -1: none */
    int look_fd;         /* the same for the resolver */
    struct udp_relay *udp;
    struct denials *denials;
    struct resolver *resolver; /* NULL: the policy needs none */
    struct error *error;       /* why it ends */
    struct loop_source report;
    struct loop_timer drain_timer;
    uint64_t drain_end_ms;
};

static int ignore_signals(struct error *error)
{
    static const int signals[] = {SIGHUP,  SIGINT,  SIGQUIT, SIGTERM,
                                  SIGPIPE, SIGTSTP, SIGUSR1, SIGUSR2};
    struct sigaction action = {.sa_handler = SIG_IGN};
    const struct timespec now = {0};
    sigset_t all, none;

    (void)sigemptyset(&none); /* cannot fail */
    (void)sigfillset(&all);   /* the same */
    for (size_t i = 0; i < ARRAY_LENGTH(signals); i++) {
        if (sigaction(signals[i], &action, NULL) < 0)
            return error_errno(error, -errno, "cannot ignore signal %d", signals[i]);
    }
    /* We begin with all blocked. What is pending was for the group that we have left. */
    while (sigtimedwait(&all, NULL, &now) > 0)
        ;
    if (sigprocmask(SIG_SETMASK, &none, NULL) < 0)
        return error_errno(error, -errno, "cannot set the signal mask");
    return 0;
}

static bool is_open(int fd)
{
    return fcntl(fd, F_GETFD) >= 0;
}

/* Puts /dev/null in the place of `fd`: the number stays taken, so that no later descriptor gets it.
 */
static int occupy(int fd, struct error *error)
{
    cleanup_fd int null = open("/dev/null", O_RDWR | O_CLOEXEC);

    if (null < 0)
        return error_errno(error, -errno, "cannot open /dev/null");
    if (null == fd)
        return take_fd(&null) >= 0 ? 0 : -EBADF;
    if (dup3(null, fd, O_CLOEXEC) < 0)
        return error_errno(error, -errno, "cannot occupy descriptor %d", fd);
    return 0;
}

/* A socket that asks for the host's routes. */
static int open_route(int *ret_fd, struct error *error)
{
    *ret_fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
    return *ret_fd < 0 ? error_errno(error, -errno, "cannot ask for the host's routes") : 0;
}

/* Closes what we were not given. Standard input and output go: a pipe held open by us would keep
 * its reader waiting; standard error goes when we are ready. Our own sockets come last, when every
 * number with a meaning is taken. */
static int sort_descriptors(struct service *service, struct error *error)
{
    int code = 0;

    if (!is_open(SERVICE_CONFIG_FD) || !is_open(SERVICE_REPORT_FD))
        return error_set(error, -EBADF, "netjail-service is started by netjail only");
    if (close_range(SERVICE_FDS_END, UINT_MAX, 0) < 0)
        return error_errno(error, -errno, "cannot close inherited descriptors");
    service->log.fd = is_open(SERVICE_LOG_FD) ? SERVICE_LOG_FD : -1;
    for (int fd = 0; fd <= 1 && code == 0; fd++)
        code = occupy(fd, error);
    if (code == 0 && !is_open(STDERR_FILENO))
        code = occupy(STDERR_FILENO, error);
    if (code == 0 && service->log.fd < 0)
        code = occupy(SERVICE_LOG_FD, error);
    if (code == 0)
        code = open_route(&service->route_fd, error);
    return code == 0 ? open_route(&service->look_fd, error) : code;
}

static void raise_descriptor_limit(void)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
        return;
    if (limit.rlim_max < WANTED_FDS) {
        const struct rlimit wanted = {WANTED_FDS, WANTED_FDS};

        if (setrlimit(RLIMIT_NOFILE, &wanted) == 0) /* as root */
            return;
    }
    limit.rlim_cur = limit.rlim_max;
    (void)setrlimit(RLIMIT_NOFILE, &limit); /* fit_limits() looks at what we have in the end */
}

/* Is `id` a user of this user namespace? In a container or below `unshare -r` it may not be. */
static bool is_mapped(const char *map, unsigned id)
{
    cleanup_file FILE *file = fopen(map, "re");
    char line[128];

    if (!file)
        return true;                         /* without /proc: trying will tell */
    while (fgets(line, sizeof line, file)) { /* inside, outside, count */
        char *end = line;
        unsigned long first = strtoul(end, &end, 10);
        unsigned long count;

        (void)strtoul(end, &end, 10); /* the number outside is of no interest */
        count = strtoul(end, &end, 10);
        if (id >= first && id - first < count)
            return true;
    }
    return false;
}

/* Who the service becomes; -1: stays who it is. /etc/passwd is read directly: the resolver of user
 * names would load foreign libraries into a process that still has all privilege. */
static void choose_identity(uid_t *ret_uid, gid_t *ret_gid)
{
    cleanup_file FILE *file = NULL;
    const struct passwd *entry;

    *ret_uid = (uid_t)-1;
    *ret_gid = (gid_t)-1;
    if (geteuid() != 0)
        return;
    if (!is_mapped("/proc/self/uid_map", SERVICE_UID) ||
        !is_mapped("/proc/self/gid_map", SERVICE_UID))
        return; /* a namespace with one user: there is no other to become */
    *ret_uid = SERVICE_UID;
    *ret_gid = SERVICE_UID;
    file = fopen("/etc/passwd", "re");
    while (file && (entry = fgetpwent(file))) {
        if (strcmp(entry->pw_name, SERVICE_USER) == 0 && entry->pw_uid != 0 && entry->pw_gid != 0) {
            *ret_uid = entry->pw_uid;
            *ret_gid = entry->pw_gid;
        }
    }
}

static int drop_privilege(struct error *error)
{
    uid_t uid;
    gid_t gid;
    int code;

    choose_identity(&uid, &gid);
    code = privs_drop_service(uid, gid, error);
    if (code == 0)
        code = privs_follow_parent(SIGKILL, error);
    if (code == 0)
        code = seccomp_load_service(error);
    return code;
}

/* Looks whether the last bytes have been delivered. */
static void drain(void *context)
{
    struct service *service = context;

    if (tcp_relay_count(service->tcp) == 0 || loop_now_ms(service->loop) >= service->drain_end_ms)
        loop_stop(service->loop);
    else
        loop_arm(service->loop, &service->drain_timer, DRAIN_POLL_MS);
}

/* Everything in the jail has ended; what it wrote before may still be on its way through us. */
static void jail_ended(void *context)
{
    struct service *service = context;

    tcp_relay_close_listeners(service->tcp);
    service->drain_end_ms = loop_now_ms(service->loop) + DRAIN_MAX_MS;
    service->drain_timer = (struct loop_timer){.due = drain, .context = service};
    drain(service);
}

/* Without its supervisor the service has nobody to serve; what the supervisor answers is the
 * resolver's. */
static void supervisor_spoke(void *context, uint32_t events)
{
    struct service *service = context;
    union notice notice;
    ssize_t size = recv(SERVICE_REPORT_FD, &notice, sizeof notice, MSG_DONTWAIT);

    (void)events;
    if (size == 0 || (size < 0 && errno != EAGAIN && errno != EINTR))
        loop_stop(service->loop);
    else if (size >= (ssize_t)sizeof notice.kind && service->resolver)
        resolver_notice(service->resolver, &notice, (size_t)size);
}

/* As many connections and flows as the descriptors suffice for in any case, so that they never run
 * out. Returns for how many pipes there are some, too. */
static uint32_t fit_limits(struct service *service)
{
    const struct service_config *config = &service->setup.config;
    struct rlimit limit = {.rlim_cur = 1024};
    rlim_t available = 0;
    rlim_t pipes;

    (void)getrlimit(RLIMIT_NOFILE, &limit); /* the default is what POSIX promises */
    if (limit.rlim_cur > UINT32_MAX)
        limit.rlim_cur = UINT32_MAX;
    if (limit.rlim_cur > config->listener_count + OTHER_FDS)
        available = limit.rlim_cur - config->listener_count - OTHER_FDS;
    pipes = available / PIPES_SHARE;
    pipes = pipes > PIPES_MAX ? PIPES_MAX : pipes < PIPES_MIN ? PIPES_MIN : pipes;
    available = available > pipes * 2 ? available - pipes * 2 : 0;
    service->limits = (struct limits){
        .loop = service->loop,
        .log = &service->log,
        .connections = config->connection_limit,
        .places = available >= LIMITS_FDS ? (uint32_t)(available / LIMITS_FDS) : 1,
        .rate_count = config->rate_count,
        .rate_unit_s = config->rate_unit_s,
        .rate_burst = config->rate_burst,
    };
    if (config->limit_given && service->limits.places < config->connection_limit)
        service_log_limit(&service->log, "open files (ulimit -n) suffice for %u connections only",
                          service->limits.places);
    return (uint32_t)pipes;
}

/* Where something stands among the descriptors that were given. */
static size_t given_nflog(void)
{
    return 1;
}

static size_t given_listeners(const struct service_config *config)
{
    return given_nflog() + config->log;
}

static size_t given_relay(const struct service_config *config)
{
    return given_listeners(config) + config->listener_count;
}

static int take_listeners(struct service *service, struct error *error)
{
    const int *fds = service->given + given_listeners(&service->setup.config);

    for (uint32_t i = 0; i < service->setup.config.listener_count; i++) {
        const struct service_listener *listener = &service->setup.listeners[i];
        int code = listener->protocol == IPPROTO_TCP
                       ? tcp_relay_listen(service->tcp, fds[i], listener, error)
                       : udp_relay_listen(service->udp, fds[i], listener, error);

        if (code < 0)
            return code;
    }
    return 0;
}

static int start_log(struct service *service, struct error *error)
{
    const struct service_config *config = &service->setup.config;
    int code;

    if (!config->log)
        return 0;
    if (service->log.fd < 0)
        return error_set(error, -EBADF, "the descriptor of the log is missing");
    code =
        denials_open(service->loop, service->given[given_nflog()], &service->log, config->jail_name,
                     config->policy_name, config->log_json, &service->denials, error);
    if (service->judge && policy_relays(judge_policy(service->judge)) &&
        !judge_policy(service->judge)->needs_resolver &&
        judge_policy(service->judge)->dns.directs_count == 0)
        denials_tell_questions(service->denials);
    return code;
}

static int start_relay(struct service *service, struct error *error)
{
    const struct relay_ground ground = {
        .loop = service->loop,
        .supply = service->supply,
        .log = &service->log,
        .judge = service->judge,
        .denials = service->denials,
        .tcp = service->tcp,
        .limits = &service->limits,
        .report_fd = SERVICE_REPORT_FD,
        .queues = service->queues,
    };
    const int *fds = service->given + given_relay(&service->setup.config);
    int route_fd = service->route_fd;

    service->route_fd = -1;
    if (!service->setup.config.relay) {
        (void)close(route_fd); /* not asked anything */
        return 0;
    }
    return relay_new(&ground, fds, route_fd, &service->relay, error);
}

static int start_relays(struct service *service, struct error *error)
{
    uint32_t pipes = fit_limits(service);
    int code =
        supply_open(service->loop, service->given[0], jail_ended, service, &service->supply, error);

    if (code == 0)
        code = tcp_relay_new(service->loop, service->supply, &service->log, &service->limits, pipes,
                             &service->tcp, error);
    if (code == 0)
        code = udp_relay_new(service->loop, service->supply, &service->log, &service->limits,
                             &service->udp, error);
    if (code == 0)
        code = take_listeners(service, error);
    if (code == 0)
        code = start_relay(service, error);
    return code;
}

/* What needs nothing of the jail. */
static int prepare(struct service *service, struct error *error)
{
    int code = service_config_read(SERVICE_CONFIG_FD, &service->setup, error);

    if (code == 0 && service->setup.config.policy_length > 0)
        code = judge_new(&service->setup, &service->judge, error);
    return code == 0 ? loop_new(&service->loop, error) : code;
}

static int await_begin(struct service *service, struct error *error)
{
    const struct service_config *config = &service->setup.config;
    size_t count = given_relay(config) + (config->relay ? RELAY_FDS : 0);

    service->given = calloc(count, sizeof *service->given);
    return service->given
               ? begin_await(SERVICE_REPORT_FD, service->given, count, &service->queues, error)
               : error_errno(error, -ENOMEM, "cannot take over the jail's sockets");
}

static int start(struct service *service, struct error *error)
{
    int code;

    service->log.jail_name = service->setup.config.jail_name;
    service->log.policy_name = service->setup.config.policy_name;
    service->log.json = service->setup.config.log_json;
    service->log.is_journal = service->setup.config.log_journal;
    service->log.loop = service->loop;
    service->report = (struct loop_source){
        .fd = SERVICE_REPORT_FD, .ready = supervisor_spoke, .context = service};
    code = loop_watch(service->loop, &service->report, EPOLLIN);
    if (code < 0)
        return error_errno(error, code, "cannot watch the supervisor");
    code = start_log(service, error);
    if (code == 0)
        code = start_relays(service, error);
    return code;
}

static int say_ready(struct error *error);

static void resolver_ready(void *context, int code)
{
    struct service *service = context;

    if (code < 0)
        (void)error_errno(service->error, code, "cannot listen for names in the jail (port 53)");
    else
        (void)say_ready(service->error); /* in the error when not */
    if (service->error->code < 0)
        loop_stop(service->loop);
}

static int start_resolver(struct service *service, struct error *error)
{
    const struct resolver_setup setup = {
        .loop = service->loop,
        .supply = service->supply,
        .log = &service->log,
        .denials = service->denials,
        .judge = service->judge,
        .policy_name = service->setup.config.policy_name,
        .log_json = service->setup.config.log_json,
        .on_loopback = service->setup.config.resolver_on_loopback,
        .report_fd = SERVICE_REPORT_FD,
        .route_fd = service->look_fd,
        .ready = resolver_ready,
        .context = service,
    };

    service->error = error;
    return resolver_new(&setup, &service->resolver, error);
}

/* Standard error is the caller's and not ours to keep; /dev/null is at descriptor 0. */
static int say_ready(struct error *error)
{
    struct report ready = {.kind = REPORT_READY};

    (void)close(STDERR_FILENO); /* the next line takes its number; the filter has no dup2() */
    if (fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, STDERR_FILENO) != STDERR_FILENO)
        return error_errno(error, -errno, "cannot let go of standard error");
    if (send(SERVICE_REPORT_FD, &ready, sizeof ready, MSG_NOSIGNAL) < 0)
        return error_errno(error, -errno, "cannot report to netjail");
    return 0;
}

static void service_end(struct service *service)
{
    tcp_relay_abort(service->tcp);
    denials_close(service->denials);
    (void)close(SERVICE_REPORT_FD); /* netjail need not wait for the rest */
    relay_free(service->relay);
    resolver_free(service->resolver);
    tcp_relay_free(service->tcp);
    udp_relay_free(service->udp);
    supply_close(service->supply);
    loop_free(service->loop);
    judge_free(service->judge);
    free(service->given);
    service_setup_free(&service->setup);
}

static int serve(struct service *service, struct error *error)
{
    int code = ignore_signals(error);

    heap_prefault(HEAP_BYTES);
    (void)mallopt(M_MMAP_THRESHOLD, TABLE_BYTES); /* where it fails it takes longer */
    if (code == 0)
        code = sort_descriptors(service, error);
    if (code < 0)
        return code;
    raise_descriptor_limit();
    code = drop_privilege(error);
    if (code == 0)
        code = prepare(service, error);
    if (code == 0)
        code = await_begin(service, error);
    if (code == 0)
        code = start(service, error);
    if (code == 0 && service->judge && judge_policy(service->judge)->needs_resolver)
        code = start_resolver(service, error);
    else if (code == 0)
        code = say_ready(error);
    if (code == 0)
        code = loop_run(service->loop, error);
    return code == 0 ? error->code : code;
}

int main(void)
{
    struct service service = {.log.fd = -1, .route_fd = -1, .look_fd = -1};
    struct error error = {0};
    int code = serve(&service, &error);

    if (code < 0 && code != -ECANCELED)
        (void)fprintf(stderr, "netjail-service: %s\n",
                      error.text); /* the exit status says it too */
    service_end(&service);
    return code < 0 ? EXIT_FAILED : 0;
}
