/* How netjail-service gives up what it was started with.
 *
 * Order: bounding set and securebits (need CAP_SETPCAP, where it is there) -> identity (needs
 * CAP_SETUID and CAP_SETGID) -> the other sets -> no_new_privs -> not dumpable -> parent-death
 * signal (each change of credentials clears it). All of it is read back. Started by an ordinary
 * user there is nothing to drop but the chance to gain: without CAP_SETPCAP the bounding set stays,
 * which without capabilities, with no_new_privs and without execve() (seccomp) gives nothing. What
 * must not happen: a service that serves with a capability in its permitted set. */
#include "jail/jail.h"
#include "jail/privs.h"

#include <cap-ng.h>
#include <errno.h>
#include <linux/capability.h>
#include <linux/securebits.h>
#include <sys/prctl.h>
#include <unistd.h>

#define SERVICE_SECUREBITS                                                                         \
    (SECBIT_NOROOT | SECBIT_NOROOT_LOCKED | SECBIT_KEEP_CAPS_LOCKED |                              \
     SECBIT_NO_CAP_AMBIENT_RAISE | SECBIT_NO_CAP_AMBIENT_RAISE_LOCKED)

static int drop_bounding(struct error *error)
{
    for (unsigned cap = 0; cap < 64; cap++) {
        if (prctl(PR_CAPBSET_DROP, cap, 0, 0, 0) == 0)
            continue;
        if (errno == EINVAL)
            break; /* the kernel knows no capability from here on */
        return error_errno(error, -errno, "cannot drop capability %u for good", cap);
    }
    if (prctl(PR_SET_SECUREBITS, SERVICE_SECUREBITS, 0, 0, 0) < 0)
        return error_errno(error, -errno, "cannot lock the securebits");
    return 0;
}

/* Every set empty; the bounding set only where it could be dropped. */
static int compare(bool with_bounding, struct error *error)
{
    static const capng_type_t sets[] = {CAPNG_EFFECTIVE, CAPNG_PERMITTED, CAPNG_INHERITABLE,
                                        CAPNG_AMBIENT, CAPNG_BOUNDING_SET};
    const size_t count = sizeof sets / sizeof sets[0] - (with_bounding ? 0 : 1);

    capng_clear(CAPNG_SELECT_ALL);
    if (capng_get_caps_process() != 0)
        return error_set(error, -EIO, "cannot read the capabilities back");
    for (unsigned cap = 0; cap < 64 && prctl(PR_CAPBSET_READ, cap, 0, 0, 0) >= 0; cap++) {
        for (size_t i = 0; i < count; i++) {
            if (capng_have_capability(sets[i], cap))
                return error_set(error, -EPERM, "capability %u did not go away", cap);
        }
    }
    if (prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) != 1)
        return error_set(error, -EPERM, "no_new_privs did not stick");
    return 0;
}

int privs_drop_service(uid_t uid, gid_t gid, struct error *error)
{
    const struct identity identity = {.uid = uid, .gid = gid, .keep = uid == (uid_t)-1};
    bool with_bounding;
    int code = 0;

    capng_clear(CAPNG_SELECT_ALL);
    if (capng_get_caps_process() != 0)
        return error_set(error, -EIO, "cannot read the capabilities");
    with_bounding = capng_have_capability(CAPNG_EFFECTIVE, CAP_SETPCAP) != 0;
    if (with_bounding)
        code = drop_bounding(error);
    if (code == 0)
        code = privs_take_identity(&identity, error);
    if (code < 0)
        return code;
    capng_clear(CAPNG_SELECT_CAPS);
    if (capng_apply(CAPNG_SELECT_CAPS) != 0)
        return error_set(error, -EPERM, "cannot drop the capabilities");
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
        return error_errno(error, -errno, "cannot set no_new_privs");
    code = compare(with_bounding, error);
    if (code == 0)
        code = privs_hide(error);
    return code;
}
