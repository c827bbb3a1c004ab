/* The jail's claim on the host: state directory, facts, plan, record and lease. */
#pragma once

#include "kernel/apply.h"
#include "kernel/lease.h"
#include "kernel/peers.h"
#include "plan/build.h"

/* What one jail holds on the host, from the first look to the end of the clean-up. */
struct claim {
    struct lease_directory *directory; /* NULL: none can be had, and none is needed */
    struct lease *lease;               /* NULL: unlisted */
    struct kernel *host;               /* host sockets; NULL without privilege */
    struct facts *facts;
    struct plan *plan;
    struct plan *running; /* what is left of it, see claim_settle() */
    struct record *record;
    int join_fd;         /* the network that is joined; -1 or, before claim_take(), 0: none */
    struct peers *peers; /* sockets in the jails that cables lead to; NULL: none */
    bool is_named;       /* set before: a jail for netjailctl create */
    bool is_locked;      /* we hold the pool's lock */
    char name[JAIL_NAME_MAX + 1];
};

/* Takes the pool's lock (with privilege), cleans up after dead jails, makes the plan and, for a
 * jail that has business on the host, record and lease. Waits up to 2 s for what a jail that is
 * ending still holds, and up to 5 s for a jail that a cable leads to. The lock stays held when the
 * plan changes the host, or another jail: claim_unlock() when the changes are made. -EINVAL: the
 * errors are in diags; else *error. */
int claim_take(struct claim *claim, const struct policy *policy, bool privileged,
               const char *command, struct diags *diags, struct error *error);

/* Record and lease of a jail that has none yet: the command must not run before. Waits up to 2 s
 * for a name that a jail which is ending still holds. Errors as those of claim_take(). */
int claim_list(struct claim *claim, const struct policy *policy, const char *command,
               struct error *error);

/* Looks and plans without lock and lease: for dry runs. Privilege is taken as given. */
int claim_look(struct claim *claim, const struct policy *policy, struct diags *diags,
               struct error *error);

/* Before a device moves into the jail: keeps the jail's namespace alive until it is given back. */
int claim_keep(struct claim *claim, int netns_fd, struct error *error);

/* Gives the jail's network namespace its name in /run/netns; the lease tells of it first. */
int claim_name(struct claim *claim, int netns_fd, struct error *error);

void claim_unlock(struct claim *claim);

/* Takes back what the plan did to the host and removes the lease. Safe on a half-made claim. */
int claim_undo(struct claim *claim, struct error *error);

/* Marks the lease as ending, so that others know that it pays to wait. */
void claim_mark_ending(struct claim *claim);

/* Before the command runs: prepares claim_forget(), which then needs no memory. */
void claim_settle(struct claim *claim);

/* While the command runs: gives up what only the start needed. `plan` is then what plan_running()
 * has left of it. */
void claim_forget(struct claim *claim);

/* Frees memory and descriptors; the lease stays as it is. */
void claim_free(struct claim *claim);
