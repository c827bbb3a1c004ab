/* Giving up power: every capability, uid and prctl() call of the jail stands behind these. */
#pragma once

#include "base/diag.h"

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct identity;

/* Can this process make namespaces, change its identity and empty its capability sets without a
 * user namespace: CAP_SETUID, CAP_SETGID and CAP_SETPCAP effective? */
bool privs_over_self(void);

/* Drops all but `keep` (bit n: capability n) from the bounding set for good and sets the securebits
 * under which a change of uid neither gives nor takes capabilities. */
int privs_lock(uint64_t keep, struct error *error);

/* Takes the identity: supplementary groups, gid, uid (real, effective, saved), read back. */
int privs_take_identity(const struct identity *identity, struct error *error);

/* Reduces the inheritable, ambient, permitted and effective sets to `keep`, locks the securebits,
 * sets no_new_privs; reads all of it and the bounding set back. */
int privs_drop(uint64_t keep, struct error *error);

/* Lets programs that this process starts have its capabilities too (inheritable and ambient sets),
 * until called with false. */
int privs_lend(bool lend, struct error *error);

/* Not dumpable: /proc/PID of this process belongs to root, and nobody of the same uid can trace it.
 */
int privs_hide(struct error *error);

/* This process gets `signal` when its parent ends. Cleared by every change of credentials. */
int privs_follow_parent(int signal, struct error *error);

/* Orphaned descendants become children of this process. */
int privs_adopt_orphans(struct error *error);

/* netjail-service: becomes uid:gid without supplementary groups (uid -1: stays who it is), empties
 * every capability set, sets no_new_privs, becomes not dumpable; reads it back. */
int privs_drop_service(uid_t uid, gid_t gid, struct error *error);
