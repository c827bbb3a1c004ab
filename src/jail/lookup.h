/* Users and groups of the system's databases (nsswitch.conf(5)), asked of netjail-lookup. */
#pragma once

#include "base/diag.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* What netjail-lookup writes, followed by groups_count group ids. */
struct lookup_answer {
    uint32_t magic; /* LOOKUP_MAGIC */
    int32_t error;  /* 0, or the errno of a database that cannot be asked */
    uint32_t has_user, has_group;
    uint32_t uid, gid;  /* of the user's entry */
    uint32_t group_gid; /* of the group's entry */
    uint32_t groups_count;
};

#define LOOKUP_PROGRAM    "netjail-lookup"
#define LOOKUP_MAGIC      0x6e6a6c75u
#define LOOKUP_GROUPS_MAX 65536 /* NGROUPS_MAX of the kernel */

/* A decimal id; the highest value means "unchanged" to the kernel and is no id. */
bool lookup_id(const char *text, uint32_t *ret_id);

/* Looks up a user by name, or by number where no user has that name, and `group` (may be NULL) by
 * name. *ret_groups are the supplementary groups that a login of the user would have, with
 * `group`, else the group of its entry, as its own; NULL for a user without an entry, else the
 * caller frees them. A name that is not there is no error: see has_user and has_group. `secure`:
 * netjail has privilege that its caller lacks. 0 or a negative errno. */
int lookup_user(const char *user, const char *group, bool secure, struct lookup_answer *ret_answer,
                gid_t **ret_groups, struct error *error);
