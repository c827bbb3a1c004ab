/* The jail's claim on the host.
 *
 * Order: lock, collect the dead, look (facts), plan, write the lease, and only then may anything on
 * the host change. The record in the lease says what will be done before it is done; whoever finds
 * the lease without its lock can take everything back. A jail without business on the host needs no
 * lock, and its lease is written while init is at work. What must not happen: a change that no
 * lease tells of, or two jails that look before one of them has written. */
#include "claim.h"

#include "base/clock.h"
#include "jail/prefault.h"
#include "kernel/collect.h"
#include "kernel/device.h"
#include "kernel/netns_name.h"
#include "kernel/process.h"
#include "kernel/sysctl.h"
#include "plan/undo.h"
#include "policy/relay.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define PLAN_HEAP ((size_t)104 * 1024) /* a plan takes, with what writes it to the kernel */

#define LOCK_TIMEOUT_MS   30000
#define ENDING_TIMEOUT_MS 2000
#define PEER_TIMEOUT_MS   5000
#define ENDING_POLL_MS    10
#define SCANS_MAX         100 /* one for each who dies meanwhile */

static const struct jail_sockets no_jail = {.route_fd = -1, .nft_fd = -1, .netns_fd = -1};

/* A directory that cannot be had, as against one that somebody has tampered with. */
static bool is_out_of_reach(int code)
{
    return code == -ENOENT || code == -EACCES || code == -EROFS || code == -ENOSPC;
}

/* The state directory. A jail that changes nothing on the host can do without one: it is as strong,
 * only unlisted. */
static int open_directory(struct claim *claim, bool privileged, bool must, struct error *error)
{
    int result =
        lease_directory_open(privileged ? LEASE_HOST : LEASE_USER, true, &claim->directory, error);

    if (result == 0)
        return 0;
    claim->directory = NULL;
    if (must || (privileged && !is_out_of_reach(result)))
        return result;
    *error = (struct error){0};
    return 0;
}

/* Cleans up after dead jails. With privilege a failure is one: what is left would be in the way.
 * Without, only leases that owe the host nothing can be removed, and the others are root's. */
static int collect_dead(struct claim *claim, bool privileged, struct error *error)
{
    struct error ignored = {0};
    struct kernel *host = NULL;
    int result = 0;

    if (privileged && !claim->host)
        result = kernel_open(&no_jail, true, &host, error);
    if (result == 0)
        result = lease_collect(claim->directory, claim->host ? claim->host : host, claim->is_locked,
                               privileged ? error : &ignored);
    kernel_close(host);
    return privileged && result < 0 ? result : 0;
}

/* The records of the others, after the dead have been cleaned up. With privilege until none is
 * dead: who dies while we clean up after another is neither there nor gone, and what it left is in
 * the way. */
static int scan(struct claim *claim, bool privileged, struct error *error)
{
    for (int tries = privileged ? SCANS_MAX : 2; tries > 0; tries--) {
        struct dead_lease *dead = NULL;
        size_t dead_count = 0;

        facts_free(claim->facts);
        claim->facts = facts_new();
        int result = lease_scan(claim->directory, NULL, claim->facts, &dead, &dead_count, error);
        lease_dead_free(dead, dead_count);
        if (result < 0 || dead_count == 0 || tries == 1)
            return result;
        result = collect_dead(claim, privileged, error);
        if (result < 0)
            return result;
    }
    return 0;
}

/* Looks at the host: facts, and the records of the others. */
static int look(struct claim *claim, bool privileged, struct error *error)
{
    facts_free(claim->facts);
    claim->facts = facts_new(); /* without a directory nobody else is known */
    int result = claim->directory ? scan(claim, privileged, error) : 0;

    claim->facts->privileged = privileged;
    claim->facts->is_root = geteuid() == 0;
    claim->facts->pid = getpid();
    claim->facts->uid = getuid();
    claim->facts->is_named = claim->is_named;
    return result < 0 ? result : facts_collect(claim->host, claim->facts, error);
}

static int read_setting(const struct op *op, const char *path, char value[SYSCTL_VALUE_SIZE],
                        struct error *error)
{
    int result = sysctl_read(path, value);

    if (result == 0 || result == -ENOENT)
        return result;
    error->where = op->position;
    return error_errno(error, result, "cannot read the setting '%s'", path);
}

static void add_sysctl(struct record *record, const char *path, const char *was, const char *ours)
{
    struct record_sysctl *noted = ARENA_PUSH(record->arena, record, sysctls);

    (void)snprintf(noted->path, sizeof noted->path, "%s", path); /* same size */
    (void)snprintf(noted->was, sizeof noted->was, "%s", was);    /* same size */
    (void)snprintf(noted->ours, sizeof noted->ours, "%s", ours); /* same size */
}

/* Notes the value that the op will change; nothing where it is that value already, or where the
 * file comes with a link that the plan makes: it goes with the link, too. */
static int note_sysctl(const struct op *op, struct record *record, struct error *error)
{
    char value[SYSCTL_VALUE_SIZE];
    char path[SYSCTL_PATH_SIZE];
    int result = read_setting(op, op->sysctl.path, value, error);

    if (result < 0)
        return result == -ENOENT ? 0 : result;
    if (!record_has_sysctl(record, op->sysctl.path) && strcmp(value, op->sysctl.value) != 0)
        add_sysctl(record, op->sysctl.path, value, op->sysctl.value);
    if (!sysctl_switch_path(op->sysctl.path, path) || record_has_sysctl(record, path))
        return 0;
    result = read_setting(op, path, value, error);
    if (result < 0)
        return result == -ENOENT ? 0 : result;
    add_sysctl(record, path, value, value);
    return 0;
}

/* Present values of the host's sysctls that the plan changes, unless another jail changed them
 * before us and noted the original. */
static int note_sysctls(struct claim *claim, struct error *error)
{
    record_inherit_sysctls(claim->record, claim->plan, claim->facts->others,
                           claim->facts->others_count);
    for (size_t i = 0; i < claim->plan->ops_count; i++) {
        const struct op *op = &claim->plan->ops[i];
        if (op->kind != OP_SYSCTL_SET || op->where != WHERE_HOST)
            continue;
        int result = note_sysctl(op, claim->record, error);
        if (result < 0)
            return result;
    }
    return 0;
}

/* Where the denial log goes, for netjailctl log. */
static const char *log_place(const struct policy *policy, struct arena *arena)
{
    char path[PATH_MAX];

    if (!policy->log_denied)
        return "";
    if (policy->log_target != LOG_FILE)
        return policy->log_target == LOG_JOURNAL ? "journal" : "standard error";
    if (policy->log_path[0] == '/' || !getcwd(path, sizeof path))
        return policy->log_path;
    return arena_printf(arena, "%s/%s", path, policy->log_path);
}

static int note_devices(struct claim *claim, struct error *error)
{
    if (claim->record->devices_count == 0)
        return 0;
    int result = device_note(claim->host, claim->record, error);
    for (size_t i = 0; result < 0 && i < claim->plan->ops_count; i++)
        if (claim->plan->ops[i].kind == OP_DEVICE_MOVE)
            error->where = claim->plan->ops[i].position;
    return result;
}

static int make_record(struct claim *claim, const struct policy *policy, const char *command,
                       struct error *error)
{
    struct record *record = record_new();

    record_free(claim->record);
    claim->record = record;
    (void)snprintf(record->name, sizeof record->name, "%s", claim->name); /* same size */
    record->pid = getpid();
    record->pid_start = process_start_time(getpid());
    if (record->pid_start == 0) /* nobody could tell us from a later process of this number */
        return error_set(error, -EIO, "cannot read my own start time in /proc");
    record->uid = getuid();
    record->started_s = (uint64_t)time(NULL);
    record->policy = policy->file_path ? policy->file_path : "";
    record->command = command;
    record->log = log_place(policy, record->arena);
    int result = netns_identity(&record->netns_cookie, &record->netns_inode);
    if (result < 0)
        return error_errno(error, result, "cannot tell the network namespace");
    record_from_plan(record, claim->plan);
    result = note_devices(claim, error);
    return result < 0 ? result : note_sysctls(claim, error);
}

/* Record and lease. -EAGAIN: a jail that is about to end has our name. */
static int write_lease(struct claim *claim, const struct policy *policy, const char *command,
                       struct error *error)
{
    bool is_ending = false;
    int result = make_record(claim, policy, command, error);

    if (result < 0)
        return result == -EINVAL ? -EIO : result;
    if (!claim->directory)
        return 0;
    result = lease_create(claim->directory, claim->record, &claim->lease, &is_ending, error);
    if (result == -EEXIST && is_ending)
        return -EAGAIN;
    if (result == -EEXIST) {
        error->where = policy->name_where;
        return -EEXIST;
    }
    if (result < 0 && !claim->plan->needs_host) {
        *error = (struct error){0}; /* an unlisted jail is as strong as a listed one */
        return 0;
    }
    return result == -EINVAL ? -EIO : result;
}

/* One attempt, under the lock. -EAGAIN: something is in the way that is about to go. */
static int attempt(struct claim *claim, const struct policy *policy, bool privileged,
                   const char *command, struct diags *diags, struct error *error)
{
    int result = look(claim, privileged, error);

    if (result == 0 && claim->host)
        result = facts_collect_forward(claim->host, plan_may_forward(policy), claim->facts, error);
    else if (result == 0 && policy_relays_to_host(policy))
        result = facts_collect_addresses(claim->facts, error);
    if (result < 0)
        return result;
    result = plan_build(policy, claim->facts, diags, &claim->plan);
    if (result < 0)
        return result == -EAGAIN || result == -ENOLINK ? result : -EINVAL;
    result = peers_open(claim->plan, &claim->peers, error);
    if (result == 0)
        result = peers_names_free(claim->plan, claim->peers, error);
    if (result == 0)
        result = joined_open(claim->plan, &claim->join_fd, error);
    if (result < 0 || !claim->host)
        return result == -EINVAL ? -EIO : result;
    return write_lease(claim, policy, command, error);
}

int claim_take(struct claim *claim, const struct policy *policy, bool privileged,
               const char *command, struct diags *diags, struct error *error)
{
    int64_t start_ms = clock_now_ms();
    size_t diags_before = diags->list_count;
    int result;

    if (policy->links_count > 0 || policy->rules_count > 0)
        heap_prefault(PLAN_HEAP);
    plan_jail_name(policy, getpid(), claim->name);
    bool has_links = privileged && policy->links_count > 0;
    result = open_directory(claim, privileged, has_links, error);
    if (result == 0 && has_links)
        result = kernel_open(&no_jail, true, &claim->host, error);
    while (result == 0) {
        if (claim->host) {
            result = lease_lock(claim->directory, LOCK_TIMEOUT_MS, error);
            if (result < 0)
                return result;
            claim->is_locked = true;
        }
        result = attempt(claim, policy, privileged, command, diags, error);
        if (result == 0 && (claim->plan->needs_host || claim->plan->peers_count > 0))
            return 0;
        claim_unlock(claim);
        if (result != -EAGAIN && result != -ENOLINK)
            return result;
        if (clock_now_ms() >= start_ms + (result == -EAGAIN ? ENDING_TIMEOUT_MS : PEER_TIMEOUT_MS))
            return error->text[0] ? (error->code = -EBUSY) : -EINVAL;
        peers_close(claim->peers);
        claim->peers = NULL;
        if (claim->join_fd > 0)
            (void)close(claim->join_fd); /* looked up anew */
        claim->join_fd = -1;
        plan_free(claim->plan);
        claim->plan = NULL;
        diags->list_count = diags_before;
        diags->error_count = 0;
        *error = (struct error){0};
        (void)usleep(ENDING_POLL_MS * 1000); /* an early wake-up only looks again */
        result = 0;
    }
    return result;
}

int claim_list(struct claim *claim, const struct policy *policy, const char *command,
               struct error *error)
{
    int64_t start_ms = clock_now_ms();
    int result;

    if (claim->host)
        return 0; /* claim_take() has done it */
    for (;;) {
        result = write_lease(claim, policy, command, error);
        if (result != -EAGAIN)
            return result;
        if (clock_now_ms() >= start_ms + ENDING_TIMEOUT_MS)
            return error->code = -EBUSY;
        *error = (struct error){0};
        (void)usleep(ENDING_POLL_MS * 1000); /* an early wake-up only looks again */
    }
}

int claim_look(struct claim *claim, const struct policy *policy, struct diags *diags,
               struct error *error)
{
    struct error ignored = {0};

    plan_jail_name(policy, getpid(), claim->name);
    if (lease_directory_open(LEASE_HOST, false, &claim->directory, &ignored) < 0)
        claim->directory = NULL; /* nobody has run a jail here yet */
    claim->facts = facts_new();
    claim->facts->pid = getpid();
    claim->facts->privileged = true;
    int result = 0;
    if (claim->directory)
        result = lease_scan(claim->directory, NULL, claim->facts, NULL, NULL, error);
    /* Links and settings may be read by everybody; privilege is asked for when it is used. */
    if (result == 0)
        result = kernel_open(&no_jail, true, &claim->host, error);
    if (result == 0)
        result = facts_collect(claim->host, claim->facts, error);
    if (result == 0)
        result = facts_collect_forward(claim->host, plan_may_forward(policy), claim->facts, error);
    claim->facts->privileged = true;
    claim->facts->only_shown = true;
    if (result == 0 && plan_build(policy, claim->facts, diags, &claim->plan) < 0)
        result = -EINVAL;
    return result;
}

void claim_unlock(struct claim *claim)
{
    if (claim->is_locked)
        lease_unlock(claim->directory);
    claim->is_locked = false;
}

/* Shared objects go under the lock: only there it is certain that nobody else uses them. */
static int undo_shared_objects(struct claim *claim, struct error *error)
{
    struct facts *facts = facts_new();
    int result = 0;

    if (!claim->is_locked)
        result = lease_lock(claim->directory, LOCK_TIMEOUT_MS, error);
    if (result < 0)
        goto out;
    claim->is_locked = true;
    result = lease_scan(claim->directory, claim->name, facts, NULL, NULL, error);
    if (result == 0) {
        struct plan *plan = undo_shared(claim->record, facts->others, facts->others_count);
        result = apply_undo(claim->host, plan, error);
        plan_free(plan);
    }
out:
    facts_free(facts);
    return result;
}

int claim_keep(struct claim *claim, int netns_fd, struct error *error)
{
    int result;

    if (claim->record->devices_count == 0)
        return 0;
    result = netns_fd_inode(netns_fd, &claim->record->kept_inode);
    if (result < 0)
        return error_errno(error, result, "cannot tell the jail's network namespace");
    result = lease_write(claim->lease, claim->record, error);
    return result < 0 ? result : lease_keep_netns(claim->directory, claim->record, netns_fd, error);
}

int claim_name(struct claim *claim, int netns_fd, struct error *error)
{
    int result;

    if (!claim->lease)
        return error_set(error, -EACCES, "a named jail needs a lease, and none could be made");
    result = netns_fd_inode(netns_fd, &claim->record->jail_inode);
    if (result < 0)
        return error_errno(error, result, "cannot tell the jail's network namespace");
    claim->record->is_named = true;
    result = lease_write(claim->lease, claim->record, error);
    return result < 0 ? result : netns_name_make(claim->name, netns_fd, error);
}

/* The supervisor has given up the right to unmount: then the lease stays for `netjailctl delete` or
 * gc, as that of a dead jail. False: it must stay. */
static bool name_undo(const struct claim *claim, int *result, struct error *error)
{
    struct error own = {0};
    int removed;

    if (!claim->record || !claim->record->is_named)
        return true;
    removed = netns_name_remove(claim->name, claim->record->jail_inode, &own);
    if (removed < 0 && removed != -EPERM && *result == 0) {
        *error = own;
        *result = removed;
    }
    return removed == 0;
}

int claim_undo(struct claim *claim, struct error *error)
{
    int result = 0;
    int own, shared;
    struct error later = {0};
    bool is_done;

    if (claim->lease && claim->host && claim->record && claim->plan && claim->plan->needs_host) {
        struct plan *plan = undo_own(claim->record);
        result = lease_give_back(claim->directory, claim->host, claim->record, error);
        own = apply_undo(claim->host, plan, result < 0 ? &later : error);
        result = result < 0 ? result : own;
        plan_free(plan);
        shared = undo_shared_objects(claim, result < 0 ? &later : error);
        result = result < 0 ? result : shared;
    }
    is_done = name_undo(claim, &result, error);
    /* A lease whose undo failed stays, unlocked: the next netjail or gc tries again. */
    if (claim->lease && result == 0 && is_done)
        result = lease_remove(claim->lease, error);
    else if (claim->lease)
        lease_close(claim->lease);
    claim->lease = NULL;
    claim_unlock(claim);
    if (claim->directory)
        lease_directory_tidy(claim->directory);
    return result;
}

void claim_mark_ending(struct claim *claim)
{
    struct error ignored = {0};

    if (!claim->lease)
        return;
    claim->record->state = RECORD_ENDING;
    (void)lease_write(claim->lease, claim->record, &ignored); /* others then wait no longer */
}

void claim_settle(struct claim *claim)
{
    claim->running = plan_running(claim->plan);
}

void claim_forget(struct claim *claim)
{
    facts_free(claim->facts);
    claim->facts = NULL;
    if (!claim->running)
        return;
    plan_free(claim->plan);
    claim->plan = claim->running;
    claim->running = NULL;
}

void claim_free(struct claim *claim)
{
    plan_free(claim->running);
    claim_unlock(claim);
    peers_close(claim->peers);
    if (claim->join_fd > 0)
        (void)close(claim->join_fd); /* a namespace: nothing is lost */
    kernel_close(claim->host);
    facts_free(claim->facts);
    plan_free(claim->plan);
    record_free(claim->record);
    lease_directory_close(claim->directory);
    *claim = (struct claim){0};
}
