/* netjail-lookup USER [GROUP]: who is that, by the system's databases (nsswitch.conf(5))?
 *
 * Started by netjail, which as a program without shared libraries cannot load the modules of these
 * databases. Writes one struct lookup_answer and the groups to stdout (jail/lookup.h). Runs with
 * netjail's privilege before anything is made, as the modules would in netjail itself. */
#include "base/cleanup.h"
#include "jail/lookup.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>

/* Not there, or a database that cannot be asked? */
static int32_t fault(int code)
{
    return code == 0 || code == ENOENT || code == ESRCH || code == EBADF || code == EPERM ? 0
                                                                                          : code;
}

static void find_user(const char *name, struct lookup_answer *answer, char **ret_name)
{
    const struct passwd *entry;
    uint32_t id;

    errno = 0;
    entry = getpwnam(name);
    answer->error = entry ? 0 : fault(errno);
    if (!entry && lookup_id(name, &id)) {
        entry = getpwuid(id);
        answer->error = 0; /* the number is enough */
    }
    if (!entry)
        return;
    answer->has_user = 1;
    answer->uid = entry->pw_uid;
    answer->gid = entry->pw_gid;
    *ret_name = strdup(entry->pw_name);
    if (!*ret_name)
        answer->error = ENOMEM;
}

static void find_group(const char *name, struct lookup_answer *answer)
{
    const struct group *entry;
    uint32_t id;

    errno = 0;
    entry = getgrnam(name);
    if (entry) {
        answer->has_group = 1;
        answer->group_gid = entry->gr_gid;
    } else if (!lookup_id(name, &id)) {
        answer->error = fault(errno);
    }
}

/* The groups that login would give: those of the group database and `gid`. */
static gid_t *find_groups(const char *user, gid_t gid, struct lookup_answer *answer)
{
    for (int count = 32; count <= LOOKUP_GROUPS_MAX; count *= 2) {
        cleanup_free gid_t *groups = calloc((size_t)count, sizeof *groups);
        int found = count;

        if (!groups)
            break;
        if (getgrouplist(user, gid, groups, &found) >= 0) {
            answer->groups_count = (uint32_t)found;
            return take_ptr(&groups);
        }
    }
    answer->error = E2BIG;
    return NULL;
}

int main(int argc, char **argv)
{
    struct lookup_answer answer = {.magic = LOOKUP_MAGIC};
    cleanup_free char *name = NULL;
    cleanup_free gid_t *groups = NULL;
    uint32_t gid = 0;

    if (argc < 2 || argc > 3) {
        (void)fputs("netjail-lookup is started by netjail\n", stderr); /* nobody to tell */
        return 2;
    }
    find_user(argv[1], &answer, &name);
    if (answer.error == 0 && argc > 2)
        find_group(argv[2], &answer);
    if (answer.error == 0 && name) {
        gid = answer.gid;
        if (answer.has_group)
            gid = answer.group_gid;
        else if (argc > 2)
            (void)lookup_id(argv[2], &gid); /* else netjail refuses the group */
        groups = find_groups(name, gid, &answer);
    }
    bool written = fwrite(&answer, sizeof answer, 1, stdout) == 1 &&
                   fwrite(groups ? (void *)groups : "", sizeof *groups, answer.groups_count,
                          stdout) == answer.groups_count &&
                   fflush(stdout) == 0;
    return written ? 0 : 1;
}
