/* Who the command runs as: `user NAME[:GROUP]` of the policy, else the user who called sudo, else
 * the caller.
 *
 * Runs outside the jail, before anything is made. What must not happen: a name that is not found
 * taken for "unchanged", a numeric name read loosely ("1000x"), or the groups of root kept by
 * another user. */
#include "base/cleanup.h"
#include "jail/jail.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <string.h>
#include <unistd.h>

#define GROUPS_MAX 65536 /* NGROUPS_MAX of the kernel */

/* A decimal id; the highest value means "unchanged" to the kernel and is refused. */
static bool id_parse(const char *text, unsigned *ret_id)
{
    char *end;
    unsigned long long value;

    if (text[0] < '0' || text[0] > '9')
        return false;
    errno = 0;
    value = strtoull(text, &end, 10);
    if (errno != 0 || *end != '\0' || value >= UINT32_MAX)
        return false;
    *ret_id = (unsigned)value;
    return true;
}

/* A user by name or number; passwd entry NULL for a number that has none. */
static int user_find(const char *name, uid_t *ret_uid, const struct passwd **ret_entry,
                     struct error *error)
{
    const struct passwd *entry;
    unsigned id;

    errno = 0;
    entry = getpwnam(name);
    if (entry) {
        *ret_uid = entry->pw_uid;
        *ret_entry = entry;
        return 0;
    }
    if (id_parse(name, &id)) {
        *ret_uid = id;
        *ret_entry = getpwuid(id);
        return 0;
    }
    if (errno != 0 && errno != ENOENT && errno != ESRCH)
        return error_errno(error, -errno, "cannot look up user '%s'", name);
    return error_set(error, -ENOENT, "there is no user '%s'", name);
}

static int group_find(const char *name, gid_t *ret_gid, struct error *error)
{
    const struct group *entry;
    unsigned id;

    errno = 0;
    entry = getgrnam(name);
    if (entry) {
        *ret_gid = entry->gr_gid;
        return 0;
    }
    if (id_parse(name, &id)) {
        *ret_gid = id;
        return 0;
    }
    if (errno != 0 && errno != ENOENT && errno != ESRCH)
        return error_errno(error, -errno, "cannot look up group '%s'", name);
    return error_set(error, -ENOENT, "there is no group '%s'", name);
}

/* The groups that login would give: those of the group database and `gid`. */
static int groups_find(const char *user, struct identity *identity, struct error *error)
{
    for (int count = 32; count <= GROUPS_MAX; count *= 2) {
        cleanup_free gid_t *groups = calloc((size_t)count, sizeof *groups);
        int found = count;

        if (!groups)
            return error_errno(error, -ENOMEM, "cannot list the groups of '%s'", user);
        if (getgrouplist(user, identity->gid, groups, &found) >= 0) {
            identity->groups = take_ptr(&groups);
            identity->groups_count = (size_t)found;
            return 0;
        }
    }
    return error_set(error, -E2BIG, "user '%s' is in too many groups", user);
}

/* A user without an entry has just the one group. */
static int groups_only(struct identity *identity, struct error *error)
{
    identity->groups = calloc(1, sizeof *identity->groups);
    if (!identity->groups)
        return error_errno(error, -ENOMEM, "cannot make a list of groups");
    identity->groups[0] = identity->gid;
    identity->groups_count = 1;
    return 0;
}

static int identity_look_up(const char *user, const char *group, struct identity *identity,
                            struct error *error)
{
    const struct passwd *entry = NULL;
    int status = user_find(user, &identity->uid, &entry, error);

    if (status < 0)
        return status;
    if (group)
        status = group_find(group, &identity->gid, error);
    else if (entry)
        identity->gid = entry->pw_gid;
    else
        status = error_set(error, -ENOENT, "user %s has no entry, so its group is not known", user);
    if (status < 0) {
        if (!group)
            error_hint(error, "give the group too: user %s:GROUP", user);
        return status;
    }
    if (entry) {
        cleanup_free char *name = strdup(entry->pw_name); /* getgrouplist() may reuse the entry */

        if (!name)
            return error_errno(error, -ENOMEM, "cannot look up user '%s'", user);
        return groups_find(name, identity, error);
    }
    return groups_only(identity, error);
}

/* Under sudo the command runs as the user who called it; a root that came from nowhere stays root.
 */
static bool sudo_user(char uid_text[16], char gid_text[16])
{
    const char *uid = getenv("SUDO_UID");
    const char *gid = getenv("SUDO_GID");
    unsigned id;

    if (geteuid() != 0 || !uid || !gid || !id_parse(uid, &id) || id == 0 || strlen(uid) > 15)
        return false;
    if (!id_parse(gid, &id) || strlen(gid) > 15)
        return false;
    memcpy(uid_text, uid, strlen(uid) + 1);
    memcpy(gid_text, gid, strlen(gid) + 1);
    return true;
}

/* An ordinary user can be nobody but itself; naming itself is fine. */
static int identity_own(const struct policy *policy, const struct identity *found,
                        struct identity *ret_identity, struct error *error)
{
    if (found->uid == geteuid() && found->gid == getegid()) {
        *ret_identity = (struct identity){.uid = geteuid(), .gid = getegid(), .keep = true};
        return 0;
    }
    (void)error_set(error, -EPERM, "cannot become user %s%s%s without privilege", policy->user,
                    policy->group ? ":" : "", policy->group ? policy->group : "");
    error_hint(error, "run netjail as root, or leave out `user`");
    error->where = policy->user_where;
    return -EPERM;
}

int identity_resolve(const struct policy *policy, bool privileged, struct identity *ret_identity,
                     struct error *error)
{
    struct identity found = {0};
    char uid[16];
    char gid[16];
    int status;

    if (policy->user)
        status = identity_look_up(policy->user, policy->group, &found, error);
    else if (privileged && sudo_user(uid, gid))
        status = identity_look_up(uid, gid, &found, error);
    else {
        *ret_identity = (struct identity){.uid = geteuid(), .gid = getegid(), .keep = true};
        return 0;
    }
    if (status == 0 && !privileged)
        status = identity_own(policy, &found, ret_identity, error);
    else if (status == 0)
        *ret_identity = found;
    if (status < 0)
        error->where = policy->user_where;
    if (status < 0 || !privileged)
        free(found.groups);
    return status;
}
