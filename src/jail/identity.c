/* Who the command runs as: `user NAME[:GROUP]` of the policy, else the user who called sudo, else
 * the caller.
 *
 * Runs outside the jail, before anything is made. What must not happen: a name that is not found
 * taken for "unchanged", a numeric name read loosely ("1000x"), or the groups of root kept by
 * another user. */
#include "base/cleanup.h"
#include "jail/jail.h"
#include "jail/lookup.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <unistd.h>

/* The user's uid: of its entry, else the number itself. */
static int user_take(const char *name, const struct lookup_answer *answer, uid_t *ret_uid,
                     struct error *error)
{
    if (answer->has_user)
        *ret_uid = answer->uid;
    else if (!lookup_id(name, ret_uid))
        return error_set(error, -ENOENT, "there is no user '%s'", name);
    return 0;
}

/* `group`, else that of the user's entry. */
static int group_take(const char *user, const char *group, const struct lookup_answer *answer,
                      gid_t *ret_gid, struct error *error)
{
    if (group && answer->has_group) {
        *ret_gid = answer->group_gid;
    } else if (group && !lookup_id(group, ret_gid)) {
        return error_set(error, -ENOENT, "there is no group '%s'", group);
    } else if (!group && answer->has_user) {
        *ret_gid = answer->gid;
    } else if (!group) {
        (void)error_set(error, -ENOENT, "user %s has no entry, so its group is not known", user);
        error_hint(error, "give the group too: user %s:GROUP", user);
        return -ENOENT;
    }
    return 0;
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
    struct lookup_answer answer;
    cleanup_free gid_t *groups = NULL;
    int status = lookup_user(user, group, getauxval(AT_SECURE) != 0, &answer, &groups, error);

    if (status == 0)
        status = user_take(user, &answer, &identity->uid, error);
    if (status == 0)
        status = group_take(user, group, &answer, &identity->gid, error);
    if (status < 0)
        return status;
    if (!groups)
        return groups_only(identity, error);
    identity->groups = take_ptr(&groups);
    identity->groups_count = answer.groups_count;
    return 0;
}

/* Under sudo the command runs as the user who called it; a root that came from nowhere stays root.
 */
static bool sudo_user(char uid_text[16], char gid_text[16])
{
    const char *uid = getenv("SUDO_UID");
    const char *gid = getenv("SUDO_GID");
    uint32_t id;

    if (geteuid() != 0 || !uid || !gid || !lookup_id(uid, &id) || id == 0 || strlen(uid) > 15)
        return false;
    if (!lookup_id(gid, &id) || strlen(gid) > 15)
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
