/* Runs a command in a jail, from the checked policy to the end of all clean-up.
 *
 * The order is the promise (design: "never a moment in which an interface is up and the rules are
 * not there"), so it stands here in one place:
 *
 *   claim      plan made, lease written                         nothing has changed yet
 *   jail       init runs in new namespaces, command does not exist
 *   rules      one transaction with the drop policy, read back
 *   links      bridge, veth, addresses, routes, forwarding      what is on the host is in the lease
 *   service    published sockets are served
 *   self-test  links read back, init has given up its privilege
 *   release    the command runs; the supervisor has given up its privilege
 *   supervise  status mirrored
 *   undo       by a child, while the caller has its status already
 *
 * Any failure before the release: everything is undone, the command never ran, 125. */
#include "run.h"

#include "base/buf.h"
#include "base/cleanup.h"
#include "claim.h"
#include "jail/events.h"
#include "jail/jail.h"
#include "jail/landlock.h"
#include "jail/server.h"
#include "kernel/lease_socket.h"
#include "manager.h"
#include "plan/print.h"
#include "plan/undo.h"
#include "queue.h"
#include "report.h"
#include "service_start.h"
#include "talk.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>

#define PROGRAM               "netjail"
#define RENEW_INTERVAL_MS     (HOST_ELEMENT_TIMEOUT_MS / 3)
#define WAIT_CLEAN_TIMEOUT_MS 60000

/* Its thread may still be held up in the kernel when the process ends. */
static struct notify notify_relay = {.manager_fd = -1, .jail_fd = -1};

/* Not on the stack: a jail without a service touches none of its pages. */
static struct talk service_talk;

struct run {
    const struct options *options;
    const struct policy *policy;
    const struct buf *texts; /* for a service that decides */
    struct diags *diags;
    bool privileged;
    struct identity identity;
    struct claim claim;
    struct jail jail;
    bool has_jail;
    struct kernel *kernel; /* the jail's sockets, and the host's when the plan needs them */
    struct applied applied;
    struct service service;
    struct service_wants wants; /* what the service was started for */
    struct talk *talk;          /* with the service */
    struct notify *notify;      /* the one below; it may outlive this struct by a moment */
    struct queue queue;         /* connections of the jail that wait */
    struct events events;       /* what the supervisor waits for beside the command */
    struct server server;       /* the control socket */
    struct error error;
};

static void note(const struct run *run, const char *text)
{
    if (run->options->verbose > 0)
        report_note(PROGRAM, "%s: %s", run->claim.name, text);
}

/* What holds the command, as far as this kernel and the policy have it. */
static void note_protections(const struct run *run)
{
    static const char *const sockets[] = {[UNIX_SOCKETS_MASKED] = "masked",
                                          [UNIX_SOCKETS_HOST] = "the host's",
                                          [UNIX_SOCKETS_NONE] = "none"};
    int abi = landlock_abi();

    if (run->options->verbose == 0)
        return;
    report_note(PROGRAM,
                "%s: protections: no_new_privs, seccomp, %s, %s process namespace, Landlock %s "
                "(ABI %d), unix sockets %s, namespaces %s",
                run->claim.name,
                run->policy->capabilities_kept ? "some capabilities kept" : "no capability",
                run->policy->processes_shared ? "the host's" : "own",
                landlock_can_scope(abi) ? "scopes" : "without scopes: own process group", abi,
                sockets[run->policy->unix_sockets],
                run->policy->namespaces_allow ? "allowed" : "forbidden");
}

static void warn_uid0(const struct run *run)
{
    uid_t uid = run->identity.keep ? geteuid() : run->identity.uid;

    if (uid == 0 && run->privileged && !run->options->quiet)
        report_note(PROGRAM, "warning: the command runs as root and can change the host's files; "
                             "`user NAME` in the policy or --user NAME gives it another user");
}

/* Nothing but Landlock keeps them out of reach where the command sees them. */
static void warn_shared(const struct run *run)
{
    if (run->policy->processes_shared && !run->options->quiet &&
        !landlock_can_scope(landlock_abi()))
        report_note(PROGRAM,
                    "warning: `processes shared` without Landlock scopes (Linux 6.12): the "
                    "command can signal the processes of its user outside");
}

/* Everything that can be known without changing anything. */
static int prepare(struct run *run)
{
    int result = signals_take(&run->error);

    run->privileged = privs_over_host();
    if (result == 0 && !run->options->dry_run)
        result = identity_resolve(run->policy, run->privileged, &run->identity, &run->error);
    return result;
}

/* In init, which has a copy of everything, while the command runs: of all this it needs the policy.
 */
static void forget_in_init(void *context)
{
    struct claim *claim = &((struct run *)context)->claim;

    facts_free(claim->facts);
    plan_free(claim->plan);
    record_free(claim->record);
    claim->facts = NULL;
    claim->plan = NULL;
    claim->record = NULL;
}

static const char *command_name(const struct options *options)
{
    return options->named ? "" : options->command[0];
}

/* Beside init, and behind it: init must not have its channel. */
static int start_service(struct run *run)
{
    if (!run->claim.plan->needs_service || run->claim.plan->joins)
        return 0;
    run->wants = (struct service_wants){.policy = run->policy,
                                        .texts = run->texts,
                                        .plan = run->claim.plan,
                                        .jail_name = run->claim.name};
    return service_start(&run->wants, &run->service, &run->error);
}

static int start_init(struct run *run)
{
    struct jail_setup setup = {
        .policy = run->policy,
        .plan = run->claim.plan,
        .identity = run->identity,
        .joins = run->claim.plan->joins,
        .join_fd = run->claim.join_fd,
        .privileged = run->privileged,
        .name = run->claim.name,
        .policy_text = run->policy->file_path ? run->policy->file_path : "",
        .argv = run->options->command,
        .keep_fds = run->options->keep_fds,
        .keep_fds_count = run->options->keep_fds_count,
        .notify =
            !run->options->named && manager_find(run->policy, run->options->quiet, run->notify),
        .verbose = run->options->verbose,
        .forget = forget_in_init,
        .context = run,
    };
    int result = jail_start(&setup, &run->jail, &run->error);

    if (result < 0)
        return result;
    run->has_jail = true;
    result = start_service(run);
    if (result == 0)
        result = claim_list(&run->claim, run->policy, command_name(run->options), &run->error);
    if (result == 0)
        result = jail_open(&run->jail, &setup, &run->error);
    if (result < 0)
        return result;
    struct jail_sockets sockets = {.route_fd = run->jail.route_fd,
                                   .nft_fd = run->jail.nft_fd,
                                   .netns_fd = run->jail.netns_fd,
                                   .peers = run->claim.peers};
    return kernel_open(&sockets, run->claim.plan->needs_host, &run->kernel, &run->error);
}

/* The number of ops at the beginning of the plan that must be in force before any link is up. */
static size_t count_rule_ops(const struct plan *plan)
{
    size_t count = 0;

    while (count < plan->ops_count && plan->ops[count].where == WHERE_JAIL &&
           plan->ops[count].kind != OP_LINK_UP && plan->ops[count].kind != OP_ADDRESS_ADD &&
           plan->ops[count].kind != OP_ROUTE_ADD)
        count++;
    return count;
}

static int start_talk(struct run *run)
{
    if (run->service.pid <= 0 && run->policy->jail_sets_count == 0)
        return 0; /* nobody to talk with, and nothing that may change */
    run->talk->policy = run->policy;
    run->talk->kernel = run->kernel;
    run->talk->service = &run->service;
    run->talk->jail_name = run->claim.name;
    run->talk->leases = run->claim.directory;
    run->talk->events = &run->events;
    run->talk->verdicts = queue_verdicts;
    run->talk->context = &run->queue;
    return talk_begin(run->talk, &run->error);
}

/* Rules, links, service, self-test: the network as the policy says. */
static int build_network(struct run *run)
{
    const struct plan *plan = run->claim.plan;
    size_t rules = count_rule_ops(plan);
    if (plan->joins) { /* its rules are its own; nothing in it is touched */
        claim_unlock(&run->claim);
        return joined_verify(run->claim.join_fd, run->jail.netns_fd, &run->error);
    }

    queue_open(&run->queue, run->claim.plan, &run->jail);
    int result =
        queue_apply(&run->queue, run->kernel, run->claim.plan, rules, &run->applied, &run->error);
    if (result == 0)
        result = verify_rules(run->kernel, plan, &run->error);
    if (result == 0)
        note(run, plan->has_rules ? "rules are loaded and read back"
                                  : "nothing to judge: no link and no rule");
    if (result == 0 && plan->relays && !plan->queues)
        note(run,
             "no NFQUEUE: what the outside refuses is reset after it began, no ping is carried");
    if (result == 0)
        result = claim_keep(&run->claim, run->jail.netns_fd, &run->error);
    if (result == 0)
        result = apply_plan(run->kernel, plan, rules, plan->ops_count - rules, &run->applied,
                            &run->error);
    claim_unlock(&run->claim);
    if (result == 0 && run->service.pid > 0)
        result = service_begin(&run->service, &run->wants, &run->applied, &run->jail, &run->error);
    if (result == 0)
        result = start_talk(run);
    if (result == 0)
        result = verify_links(run->kernel, plan, &run->error);
    if (result == 0)
        note(run, "links are up and read back");
    if (result == 0 && run->service.pid > 0)
        result = service_wait_ready(&run->service, &run->error);
    if (result < 0 && run->service.pid > 0)
        jail_last_words(&run->jail, &run->error); /* the service ends with init, which knows why */
    return result;
}

static void close_fd(int *fd)
{
    if (*fd >= 0)
        (void)close(*fd); /* sockets and pipes of ours: nothing is lost */
    *fd = -1;
}

/* After the set-up the supervisor needs no privilege, unless something on the host must be undone
 * or sets of the jail change: names and jails come and go. */
static int shrink(struct run *run)
{
    applied_free(&run->applied);
    claim_settle(&run->claim);
    peers_close(run->claim.peers); /* or we would keep those namespaces when their jails end */
    run->claim.peers = NULL;
    close_fd(&run->claim.join_fd);
    close_fd(&run->jail.service_fd);
    close_fd(&run->jail.nflog_fd);
    jail_close_relay(&run->jail);
    bool others = !run->identity.keep || run->service.pid > 0; /* have another uid, perhaps */
    const struct plan *plan = run->claim.plan;
    bool changes = plan->name_sets_count > 0 || plan->jail_sets_count > 0 || plan->queues;
    const struct supervisor_privs keep = {
        .net_admin = plan->needs_host || changes,
        .sys_admin = run->claim.record && run->claim.record->devices_count > 0,
        .read = plan->needs_host && lease_directory_is_shared(run->claim.directory),
        .kill = others,
    };
    int result = privs_shrink_supervisor(&keep, &run->error);

    if (result < 0 || !run->jail.notify)
        return result;
    return notify_begin(run->notify, take_fd(&run->jail.notify_fd),
                        run->options->quiet ? NULL : manager_descriptors_refused, NULL,
                        &run->error);
}

/* A link to the host goes with its end there, also where somebody outside keeps the jail's network
 * (the command has handed him a socket of it). A child of an interface has no such end. */
static void cut_children(struct run *run)
{
    struct error ignored = {0}; /* then it goes with the network */
    struct plan *plan;

    if (!run->has_jail || !run->kernel)
        return;
    plan = undo_children(run->policy);
    (void)apply_undo(run->kernel, plan, &ignored);
    plan_free(plan);
}

static void end_children(struct run *run)
{
    service_reap(&run->service);
    jail_end_strays(&run->jail);
}

/* Takes everything back, in this process. */
static void take_back(struct run *run)
{
    struct error error = {0};

    talk_end(run->talk);
    cut_children(run);
    if (run->has_jail)
        jail_destroy(&run->jail);
    service_stop(&run->service);
    if (claim_undo(&run->claim, &error) < 0) {
        report_error(PROGRAM, NULL, &error);
        report_note(PROGRAM, "hint: `netjailctl gc` tries again to remove what is left");
    } else if (error.text[0]) {
        report_note(PROGRAM, "%s: %s", run->claim.name, error.text);
    }
    end_children(run);
}

static void release_memory(struct run *run)
{
    applied_free(&run->applied);
    kernel_close(run->kernel);
    claim_free(&run->claim);
    free(run->identity.groups);
}

static int fail(struct run *run, int status)
{
    if (run->diags->error_count > 0)
        report_diags(run->diags, true);
    else
        report_error(PROGRAM, &run->policy->sources, &run->error);
    notify_end(run->notify);
    take_back(run);
    release_memory(run);
    return status;
}

static void renew(void *context)
{
    struct run *run = context;
    struct error error = {0};

    const struct plan *running = run->claim.running ? run->claim.running : run->claim.plan;

    if (apply_renew(run->kernel, running, &error) < 0)
        report_error(PROGRAM, NULL, &error); /* until then the elements last 60 s more */
}

static void forget(void *context)
{
    struct run *run = context;

    claim_forget(&run->claim);
}

static void service_died(void *context, int wait_status)
{
    struct run *run = context;

    run->service.pid = 0;
    queue_service_gone(&run->queue, run->kernel);
    if (WIFEXITED(wait_status) && WEXITSTATUS(wait_status) == 0)
        return; /* the jail has ended, and the service has heard of it before us */
    report_note(PROGRAM,
                "%s: netjail-service ended unexpectedly (%s %d): published ports on the "
                "host's loopback no longer answer%s",
                run->claim.name, WIFSIGNALED(wait_status) ? "signal" : "status",
                WIFSIGNALED(wait_status) ? WTERMSIG(wait_status) : WEXITSTATUS(wait_status),
                run->claim.plan->relays && run->policy->needs_resolver
                    ? ", the relay carries nothing and names no longer resolve"
                : run->claim.plan->relays     ? ", and the relay carries nothing"
                : run->policy->needs_resolver ? ", and names no longer resolve"
                                              : "");
}

/* systemd kills the remaining processes of a unit when its main process has ended, and a container
 * ends with its pid 1: there is nobody to leave the clean-up to. */
static bool must_clean_here(const struct run *run)
{
    const char *systemd_pid = getenv("SYSTEMD_EXEC_PID");

    return run->options->wait_clean || getpid() == 1 ||
           (systemd_pid && strtol(systemd_pid, NULL, 10) == getpid());
}

/* In the child that cleans up: nothing of the caller's may be held open, or a pipe would not end.
 */
static void detach(void)
{
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);

    (void)setsid(); /* fails only for a group leader, which a new child is not */
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
        if (null < 0 || dup2(null, fd) < 0)
            (void)close(fd); /* without /dev/null the descriptor is just closed */
    close_fd(&null);
}

/* The end: the caller gets its status now, the host is cleaned by a child. */
static void finish(struct run *run, int wait_status)
{
    struct error error = {0};

    service_stop(&run->service);
    if (run->jail.processes_shared)
        end_children(run); /* now, when there is no other child yet */
    if (!run->claim.plan->needs_host || must_clean_here(run)) {
        take_back(run);
        if (run->options->wait_clean && run->claim.directory &&
            lease_wait_clean(run->claim.directory, WAIT_CLEAN_TIMEOUT_MS, &error) < 0)
            report_error(PROGRAM, NULL, &error);
        exit_like(wait_status);
    }
    claim_mark_ending(&run->claim);
    pid_t child = fork();
    if (child == 0) {
        detach();
        take_back(run);
        _exit(0);
    }
    if (child < 0)
        take_back(run);
    else
        jail_reap(&run->jail);
    service_reap(&run->service);
    exit_like(wait_status);
}

/* What netjailctl asks is answered from now on. The command runs already: a jail that nobody can
 * ask is as strong as any. */
static void open_control(struct run *run)
{
    struct error error = {0};
    int fd;

    if (!run->claim.lease)
        return; /* nobody could find it */
    if (lease_socket_listen(run->claim.lease, &fd, &error) < 0 ||
        server_start(&run->server, fd, &run->jail, &run->events, &error) < 0) {
        if (!run->options->quiet)
            report_note(PROGRAM, "warning: netjailctl cannot reach this jail: %s", error.text);
    }
}

static int supervise_command(struct run *run)
{
    struct supervision supervision = {
        .jail = &run->jail,
        .service_pid = run->service.pid,
        .renew_interval_ms = run->claim.plan->needs_host ? RENEW_INTERVAL_MS : 0,
        .renew = renew,
        .forget = forget,
        .service_died = service_died,
        .context = run,
        .events = &run->events,
    };
    int wait_status = 0;
    int result;

    open_control(run);
    result =
        run->options->ready ? run->options->ready(run->options->ready_context, &run->error) : 0;
    if (result == 0)
        result = supervise(&supervision, &wait_status, &run->error);
    server_stop(&run->server);

    notify_end(run->notify);
    if (result < 0)
        return fail(run, EXIT_NETJAIL_FAILED);
    finish(run, wait_status);
    return 0; /* finish() does not return */
}

static int start(struct run *run)
{
    int result = start_init(run);

    if (result == 0)
        result = build_network(run);
    if (result == 0)
        result = jail_ready(&run->jail, &run->error);
    if (result == 0 && run->options->named)
        result = claim_name(&run->claim, run->jail.netns_fd, &run->error);
    if (result == 0)
        result = shrink(run);
    if (result < 0)
        return fail(run, EXIT_NETJAIL_FAILED);
    if (run->jail.sys_kept && !run->options->quiet)
        report_note(PROGRAM,
                    "warning: a new /sys is refused here (a container that covers parts of "
                    "it, perhaps): the command sees the old one, read-only and without "
                    "the host's interfaces");
    note_protections(run);
    note(run, "the command runs now");
    result = jail_release(&run->jail, &run->error);
    if (run->jail.ended_by) {
        notify_end(run->notify);
        take_back(run);
        exit_like(run->jail.ended_by);
    }
    if (result < 0)
        return fail(run, !run->jail.refused  ? EXIT_NETJAIL_FAILED
                         : result == -ENOENT ? EXIT_COMMAND_NOT_FOUND
                                             : EXIT_CANNOT_EXECUTE);
    return supervise_command(run);
}

static int show_plan(struct run *run)
{
    cleanup_buf struct buf text = {0};

    plan_print(run->claim.plan, run->claim.name, &text);
    (void)fputs(buf_text(&text), stdout); /* looked at by fflush() */
    bool failed = fflush(stdout) != 0;
    if (failed)
        error_errno(&run->error, -errno, "cannot write the plan");
    release_memory(run);
    return failed ? EXIT_NETJAIL_FAILED : 0;
}

/* A dry run looks, plans and prints; it takes no lease and no lock. */
static int dry_run(struct run *run)
{
    int result = claim_look(&run->claim, run->policy, run->diags, &run->error);

    if (result < 0)
        return fail(run, EXIT_NETJAIL_FAILED);
    if (run->diags->list_count > 0 && !run->options->quiet)
        report_diags(run->diags, false);
    return show_plan(run);
}

int run_jail(const struct options *options, struct policy *policy, struct diags *diags,
             const struct buf *texts)
{
    struct run run = {
        .options = options,
        .policy = policy,
        .texts = texts,
        .diags = diags,
        .claim.is_named = options->named,
        .service.report_fd = -1,
        .queue.fd = -1,
        .notify = &notify_relay,
        .talk = &service_talk,
        .jail = {.init_pidfd = -1,
                 .control_fd = -1,
                 .service_fd = -1,
                 .route_fd = -1,
                 .nft_fd = -1,
                 .nflog_fd = -1,
                 .netns_fd = -1,
                 .notify_fd = -1,
                 .signal_fd = -1},
    };
    events_init(&run.events);
    int result = prepare(&run);

    if (result < 0)
        return fail(&run, EXIT_NETJAIL_FAILED);
    if (options->dry_run)
        return dry_run(&run);
    if (!options->named)
        warn_uid0(&run);
    warn_shared(&run);
    result =
        claim_take(&run.claim, policy, run.privileged, command_name(options), diags, &run.error);
    if (result < 0)
        return fail(&run, EXIT_NETJAIL_FAILED);
    if (diags->list_count > 0 && !options->quiet)
        report_diags(diags, false); /* warnings of the plan */
    return start(&run);
}
