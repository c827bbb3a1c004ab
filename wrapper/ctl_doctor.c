/* netjailctl doctor: can this machine do it?
 *
 * What can be tried is tried, with the code that a jail runs through: a jail with no network, and
 * (with privilege) a jail on a bridge with NAT and a published port, on a scratch host in a network
 * namespace of its own, so that nothing here is touched. What cannot be tried is looked up. */
#include "base/buf.h"
#include "base/cleanup.h"
#include "jail/helper.h"
#include "jail/jail.h"
#include "jail/landlock.h"
#include "jail/lookup.h"
#include "jail/scratch.h"
#include "kernel/apply.h"
#include "kernel/collect.h"
#include "kernel/lease.h"
#include "kernel/sysctl.h"
#include "plan/build.h"
#include "service/config.h"
#include "wrapper/ctl.h"
#include "wrapper/queue.h"
#include "wrapper/report.h"

#include <errno.h>
#include <jansson.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/utsname.h>
#include <sys/wait.h>

enum finding {
    FOUND,     /* as it should be */
    LIMITED,   /* works, but a protection or a function is missing */
    MISSING,   /* netjail cannot work, or not for everything */
    NOT_TRIED, /* needs privilege to find out */
};

/* Crosses a pipe, hence no pointers. */
struct result {
    enum finding finding;
    char detail[400];
    char remedy[400];
};

struct check {
    const char *name;
    void (*run)(struct result *result);
    bool in_child; /* changes its process */
};

static void set(struct result *result, enum finding finding, const char *detail, const char *remedy)
{
    result->finding = finding;
    (void)snprintf(result->detail, sizeof result->detail, "%s", detail); /* shown; may be cut */
    (void)snprintf(result->remedy, sizeof result->remedy, "%s", remedy); /* the same */
}

static void set_error(struct result *result, const struct error *error)
{
    set(result, MISSING, error->text, error->hint);
}

static void check_kernel(struct result *result)
{
    struct utsname name;
    char *end = name.release;
    char detail[200];

    if (uname(&name) != 0) {
        set(result, MISSING, "the kernel does not tell its version", "Linux 5.15 or later");
        return;
    }
    unsigned long major = strtoul(name.release, &end, 10);
    unsigned long minor = *end == '.' ? strtoul(end + 1, NULL, 10) : 0;
    (void)snprintf(detail, sizeof detail, "Linux %s", name.release); /* fits: release is 65 bytes */
    bool is_new_enough = major > 5 || (major == 5 && minor >= 15);
    set(result, is_new_enough ? FOUND : MISSING, detail,
        is_new_enough ? "" : "netjail needs Linux 5.15 or later");
}

/* Everything from policy to a jail that is ready to run a command, and its end. */
struct trial {
    struct policy *policy;
    struct diags *diags;
    struct facts *facts;
    struct kernel *host;
    struct kernel *kernel;
    struct plan *plan;
    struct applied applied;
    struct jail jail;
    bool has_jail;
    struct queue queue;
};

static int trial_plan(struct trial *trial, const char *text, bool privileged, struct error *error)
{
    static const struct jail_sockets no_jail = {.route_fd = -1, .nft_fd = -1, .netns_fd = -1};
    cleanup_buf struct buf messages = {0};

    (void)policy_parse(trial->policy, trial->diags, "trial", NULL, text, strlen(text), true, NULL,
                       NULL, 0); /* errors are counted in diags */
    int result = policy_check(trial->policy, trial->diags);
    if (result == 0 && privileged)
        result = kernel_open(&no_jail, true, &trial->host, error);
    if (result == 0)
        result = facts_collect(trial->host, trial->facts, error);
    if (result < 0 && error->text[0])
        return result;
    trial->facts->privileged = privileged;
    trial->facts->pid = getpid();
    if (result == 0)
        result = plan_build(trial->policy, trial->facts, trial->diags, &trial->plan);
    if (result == 0)
        return 0;
    diags_print(trial->diags, &messages);
    return error_set(error, -EINVAL, "%s", buf_text(&messages));
}

static int trial_jail(struct trial *trial, bool privileged, struct error *error)
{
    static char command[] = "true";
    char *const argv[] = {command, NULL};
    struct jail_setup setup = {.policy = trial->policy,
                               .plan = trial->plan,
                               .identity.keep = true,
                               .privileged = privileged,
                               .name = "doctor",
                               .policy_text = "",
                               .argv = argv};
    int result = jail_start(&setup, &trial->jail, error);

    if (result < 0)
        return result;
    trial->has_jail = true;
    result = jail_open(&trial->jail, &setup, error);
    if (result < 0)
        return result;
    struct jail_sockets sockets = {.route_fd = trial->jail.route_fd,
                                   .nft_fd = trial->jail.nft_fd,
                                   .netns_fd = trial->jail.netns_fd};
    result = kernel_open(&sockets, trial->plan->needs_host, &trial->kernel, error);
    queue_open(&trial->queue, trial->plan, &trial->jail);
    if (result == 0)
        result = queue_apply(&trial->queue, trial->kernel, trial->plan, trial->plan->ops_count,
                             &trial->applied, error);
    if (result == 0)
        result = verify_rules(trial->kernel, trial->plan, error);
    if (result == 0)
        result = verify_links(trial->kernel, trial->plan, error);
    if (result == 0)
        result = jail_ready(&trial->jail, error);
    return result;
}

static void try_policy(const char *text, bool privileged, bool *ret_queues, struct result *result)
{
    struct trial trial = {.policy = policy_new(), .facts = facts_new(), .queue.fd = -1};
    struct error error = {0};

    trial.diags = policy_diags(trial.policy);
    int outcome = signals_take(&error);
    if (outcome == 0)
        outcome = trial_plan(&trial, text, privileged, &error);
    if (outcome == 0)
        outcome = trial_jail(&trial, privileged, &error);
    if (ret_queues)
        *ret_queues = outcome == 0 && trial.plan->queues;
    queue_close(&trial.queue);
    if (trial.has_jail)
        jail_destroy(&trial.jail);
    applied_free(&trial.applied);
    kernel_close(trial.kernel);
    kernel_close(trial.host);
    plan_free(trial.plan);
    facts_free(trial.facts);
    policy_free(trial.policy);
    if (outcome < 0)
        set_error(result, &error);
    else
        set(result, FOUND, "tried: works", "");
}

static void check_jail(struct result *result)
{
    try_policy("", privs_over_host(), NULL, result);
}

static void check_host_links(struct result *result)
{
    struct error error = {0};

    if (!privs_over_host()) {
        bool is_root = geteuid() == 0;
        set(result, NOT_TRIED,
            is_root ? "this root lacks CAP_NET_ADMIN or CAP_SYS_ADMIN"
                    : "an ordinary user cannot make links on the host",
            is_root ? "give its container (podman run --cap-add NET_ADMIN,SYS_ADMIN) or unit both"
                    : "run `sudo netjailctl doctor`; links need root, or CAP_NET_ADMIN and "
                      "CAP_SYS_ADMIN");
        return;
    }
    if (scratch_network(&error) < 0) {
        set_error(result, &error);
        return;
    }
    try_policy("network doctor0 { address 192.0.2.1/24; address 2001:db8::1/64; nat; isolate }\n"
               "link eth0 bridge doctor0\n"
               "allow out tcp,udp to any port 1-1000 rate 10/second\n"
               "deny in icmp\n"
               "publish any:8080 to 80\n",
               true, NULL, result);
}

static void check_landlock(struct result *result)
{
    char detail[120];

    (void)snprintf(detail, sizeof detail,
                   "signals and abstract unix sockets end at the jail (ABI %d)",
                   landlock_abi()); /* fits */
    if (landlock_can_scope(landlock_abi()))
        set(result, FOUND, detail, "");
    else
        set(result, LIMITED, "no Landlock scopes: the command gets a process group of its own",
            "Linux 6.12 or later with landlock among the active security modules (lsm=)");
}

static void check_queue(struct result *result)
{
    bool queues = false;

    try_policy("link relay\nallow out tcp to any port 1-1000\n", privs_over_host(), &queues,
               result);
    if (queues)
        set(result, FOUND,
            "tried: a refused connection of `link relay` is refused with its own reason", "");
    else if (result->finding == FOUND)
        set(result, LIMITED,
            "no NFQUEUE: a connection of `link relay` that the outside refuses is reset after it "
            "was accepted, and pings are refused",
            "a kernel with CONFIG_NETFILTER_NETLINK_QUEUE and CONFIG_NFT_QUEUE (modprobe "
            "nft_queue) or CONFIG_NETFILTER_XT_TARGET_NFQUEUE");
}

/* May the service make ping sockets (icmp(7))? It runs as the caller, or under root as another. */
static bool can_ping(void)
{
    char range[SYSCTL_VALUE_SIZE];
    unsigned first, last;

    if (geteuid() == 0)
        return sysctl_read("net/ipv4/ping_group_range", range) == 0 &&
               sscanf(range, "%u %u", &first, &last) == 2 && first <= SERVICE_UID &&
               last >= SERVICE_UID;
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, IPPROTO_ICMP);
    if (fd >= 0)
        (void)close(fd); /* it was only tried */
    return fd >= 0;
}

static void check_ping(struct result *result)
{
    if (can_ping())
        set(result, FOUND, "`link relay` carries pings where a rule admits them", "");
    else
        set(result, LIMITED, "the host lets the relay make no ping sockets: pings are refused",
            SERVICE_PING_REMEDY);
}

static void check_ipv6(struct result *result)
{
    if (access("/proc/sys/net/ipv6", F_OK) == 0)
        set(result, FOUND, "available", "");
    else
        set(result, LIMITED, "the kernel has no IPv6 (or ipv6.disable=1): jails have IPv4 only",
            "boot without ipv6.disable=1");
}

static void check_forwarding(struct result *result)
{
    if (access("/proc/sys/net/ipv6/conf/all/force_forwarding", F_OK) == 0)
        set(result, FOUND, "per interface, IPv4 and IPv6", "");
    else
        set(result, LIMITED,
            "IPv6 forwarding cannot be switched on per interface: `nat` with IPv6 switches it on "
            "for the whole host, guarded by netjail's rules",
            "Linux 6.17 or later");
}

static void check_service(struct result *result)
{
    char path[400];
    struct error error = {0};

    if (helper_find(LOOKUP_PROGRAM, path, sizeof path, &error) < 0 ||
        helper_find("netjail-service", path, sizeof path, &error) < 0)
        set_error(result, &error);
    else
        set(result, FOUND, path, "");
}

static void check_state(struct result *result)
{
    struct lease_directory *directory = NULL;
    struct error error = {0};
    int outcome =
        lease_directory_open(privs_over_host() ? LEASE_HOST : LEASE_USER, true, &directory, &error);

    if (directory)
        lease_directory_tidy(directory);
    lease_directory_close(directory);
    if (outcome == 0) {
        set(result, FOUND, "the state directory is usable", "");
        return;
    }
    set(result, privs_over_host() ? MISSING : LIMITED, error.text,
        error.hint[0] ? error.hint
                      : "without it `netjailctl list` does not show this user's jails; set "
                        "XDG_RUNTIME_DIR (a login session does)");
}

static const struct check checks[] = {
    {"kernel", check_kernel, false},
    {"jail without network", check_jail, true},
    {"bridge, veth, NAT, publish", check_host_links, true},
    {"scoped signals (Landlock)", check_landlock, false},
    {"IPv6", check_ipv6, false},
    {"relay, NFQUEUE", check_queue, true},
    {"ping sockets", check_ping, false},
    {"forwarding per interface", check_forwarding, false},
    {"netjail-service", check_service, false},
    {"state directory", check_state, false},
};

/* Runs the check in a child, whose changes to itself end with it. */
static void run_in_child(const struct check *check, struct result *result)
{
    int channel[2];

    set(result, MISSING, "the check ended without a result", "report this as a bug");
    if (pipe(channel) != 0) {
        set(result, MISSING, strerror(errno), "");
        return;
    }
    pid_t child = fork();
    if (child == 0) {
        struct result mine = {0};
        check->run(&mine);
        _exit(write(channel[1], &mine, sizeof mine) == (ssize_t)sizeof mine ? 0 : 1);
    }
    (void)close(channel[1]); /* the child's end */
    struct result theirs;
    if (child > 0 && read(channel[0], &theirs, sizeof theirs) == (ssize_t)sizeof theirs)
        *result = theirs;
    (void)close(channel[0]);
    if (child > 0)
        (void)waitpid(child, NULL, 0); /* what it had to say is read */
}

static const char *finding_name(enum finding finding)
{
    static const char *const names[] = {"ok", "limited", "missing", "not tried"};

    return names[finding];
}

static void print_text(const char *name, const struct result *result)
{
    (void)printf("%-9s  %-28s %s\n", finding_name(result->finding), name, result->detail);
    if (result->remedy[0])
        (void)printf("%-9s  %-28s remedy: %s\n", "", "", result->remedy); /* see the flush */
}

int ctl_doctor(const struct ctl_options *options)
{
    json_t *list = json_array();
    bool is_missing = false;

    for (size_t i = 0; i < ARRAY_LENGTH(checks); i++) {
        struct result result = {0};
        if (checks[i].in_child)
            run_in_child(&checks[i], &result);
        else
            checks[i].run(&result);
        is_missing = is_missing || result.finding == MISSING;
        if (!options->json)
            print_text(checks[i].name, &result);
        (void)json_array_append_new(
            list, json_pack("{s:s, s:s, s:s, s:s}", "requirement", checks[i].name, "finding",
                            finding_name(result.finding), "detail", result.detail, "remedy",
                            result.remedy)); /* a failure shows in the dump */
    }
    if (options->json) {
        (void)json_dumpf(list, stdout, JSON_INDENT(2)); /* looked at by ctl_finish_output() */
        (void)fputs("\n", stdout);                      /* the same */
    }
    json_decref(list);
    return is_missing ? CTL_NO : CTL_OK;
}
