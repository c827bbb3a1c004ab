/* Capabilities, uids and prctl().
 *
 * Order in init, never changed: identity (needs CAP_SETUID and CAP_SETGID) -> bounding set and
 * securebits (need CAP_SETPCAP) -> the other sets -> no_new_privs -> not dumpable -> parent-death
 * signal (each change of credentials clears it). Everything is read back from the kernel and
 * compared: a step that seemed to work and did not is a failure. What must not happen: a capability
 * that is left in any set, or a way to regain one (securebits are locked, so neither uid 0 nor a
 * set-user-ID file gives any). */
#include "jail/privs.h"

#include "jail/jail.h"

#include <cap-ng.h>
#include <errno.h>
#include <grp.h>
#include <linux/capability.h>
#include <linux/securebits.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#define LOCKED_SECUREBITS                                                                          \
    (SECBIT_NOROOT | SECBIT_NOROOT_LOCKED | SECBIT_NO_SETUID_FIXUP |                               \
     SECBIT_NO_SETUID_FIXUP_LOCKED | SECBIT_KEEP_CAPS_LOCKED | SECBIT_NO_CAP_AMBIENT_RAISE |       \
     SECBIT_NO_CAP_AMBIENT_RAISE_LOCKED)

/* libcap-ng remembers the thread it looked at; after a fork that is somebody else. */
static bool caps_read(void)
{
    capng_clear(CAPNG_SELECT_ALL);
    capng_setpid((int)gettid());
    return capng_get_caps_process() == 0;
}

static bool caps_effective(const unsigned *wanted, size_t count)
{
    if (!caps_read())
        return false;
    for (size_t i = 0; i < count; i++) {
        if (!capng_have_capability(CAPNG_EFFECTIVE, wanted[i]))
            return false;
    }
    return true;
}

bool privs_over_host(void)
{
    static const unsigned wanted[] = {CAP_NET_ADMIN, CAP_SYS_ADMIN};

    return caps_effective(wanted, sizeof wanted / sizeof wanted[0]);
}

bool privs_over_self(void)
{
    static const unsigned wanted[] = {CAP_SETUID, CAP_SETGID, CAP_SETPCAP};

    return caps_effective(wanted, sizeof wanted / sizeof wanted[0]);
}

int privs_refuse_setuid(struct error *error)
{
    uid_t uid, euid, suid;
    gid_t gid, egid, sgid;

    if (getresuid(&uid, &euid, &suid) < 0 || getresgid(&gid, &egid, &sgid) < 0)
        return error_errno(error, -errno, "cannot read the user and group ids");
    if (uid == euid && uid == suid && gid == egid && gid == sgid)
        return 0;
    (void)error_set(error, -EPERM, "netjail refuses to run set-user-ID or set-group-ID");
    error_hint(error,
               "remove the bit (chmod ug-s); netjail works through a user namespace instead");
    return -EPERM;
}

static int groups_compare(const struct identity *identity)
{
    gid_t groups[256];
    int count = getgroups(0, NULL);

    if (count < 0 || (size_t)count != identity->groups_count)
        return -EPERM;
    if ((size_t)count > sizeof groups / sizeof groups[0])
        return 0; /* the number is right; a list this long is not compared */
    count = getgroups(count, groups);
    for (int i = 0; i < count; i++) {
        bool found = false;

        for (size_t k = 0; k < identity->groups_count; k++)
            found = found || identity->groups[k] == groups[i];
        if (!found)
            return -EPERM;
    }
    return count < 0 ? -errno : 0;
}

int privs_take_identity(const struct identity *identity, struct error *error)
{
    uid_t uid, euid, suid;
    gid_t gid, egid, sgid;

    if (identity->keep)
        return 0;
    if (setgroups(identity->groups_count, identity->groups) < 0)
        return error_errno(error, -errno, "cannot set the supplementary groups");
    if (setresgid(identity->gid, identity->gid, identity->gid) < 0)
        return error_errno(error, -errno, "cannot become group %u", identity->gid);
    if (setresuid(identity->uid, identity->uid, identity->uid) < 0)
        return error_errno(error, -errno, "cannot become user %u", identity->uid);
    if (getresuid(&uid, &euid, &suid) < 0 || getresgid(&gid, &egid, &sgid) < 0)
        return error_errno(error, -errno, "cannot read the user and group ids back");
    if (uid != identity->uid || euid != uid || suid != uid || gid != identity->gid || egid != gid ||
        sgid != gid || groups_compare(identity) < 0)
        return error_set(error, -EPERM, "the kernel did not take the identity %u:%u", identity->uid,
                         identity->gid);
    return 0;
}

/* Is every set exactly `keep`? */
static int caps_compare(uint64_t keep, struct error *error)
{
    static const capng_type_t sets[] = {CAPNG_EFFECTIVE, CAPNG_PERMITTED, CAPNG_INHERITABLE,
                                        CAPNG_BOUNDING_SET, CAPNG_AMBIENT};
    static const char *const names[] = {"effective", "permitted", "inheritable", "bounding",
                                        "ambient"};

    if (!caps_read())
        return error_set(error, -EIO, "cannot read the capabilities back");
    for (unsigned cap = 0; cap < 64 && prctl(PR_CAPBSET_READ, cap, 0, 0, 0) >= 0; cap++) {
        bool wanted = (keep >> cap) & 1;

        for (size_t i = 0; i < sizeof sets / sizeof sets[0]; i++) {
            if ((capng_have_capability(sets[i], cap) != 0) == wanted)
                continue;
            (void)error_set(error, -EPERM, "capability %s is %s the %s set",
                            capng_capability_to_name(cap) ?: "?",
                            wanted ? "missing from" : "still in", names[i]);
            if (wanted)
                error_hint(error, "`capabilities keep` gives only what netjail's caller has");
            return -EPERM;
        }
    }
    return 0;
}

static void caps_select(uint64_t keep)
{
    capng_clear(CAPNG_SELECT_ALL);
    capng_setpid((int)gettid());
    for (unsigned cap = 0; cap < 64; cap++) {
        if ((keep >> cap) & 1)
            (void)capng_update(CAPNG_ADD,
                               CAPNG_EFFECTIVE | CAPNG_PERMITTED | CAPNG_INHERITABLE |
                                   CAPNG_BOUNDING_SET | CAPNG_AMBIENT,
                               cap); /* an unknown one is found missing by caps_compare() */
    }
}

/* The bounding set while CAP_SETPCAP is there; a drop that did not happen is found by
 * caps_compare(). */
static int bounding_drop(uint64_t keep, struct error *error)
{
    for (unsigned cap = 0; cap < 64; cap++) {
        if ((keep >> cap) & 1)
            continue;
        if (prctl(PR_CAPBSET_DROP, cap, 0, 0, 0) < 0) {
            if (errno == EINVAL)
                return 0; /* the kernel knows no capability from here on */
            return error_errno(error, -errno, "cannot drop capability %u for good", cap);
        }
    }
    return 0;
}

int privs_drop(uint64_t keep, struct error *error)
{
    /* Ambient capabilities are raised before the securebits forbid it. */
    unsigned bits = LOCKED_SECUREBITS;
    int status = bounding_drop(keep, error);

    if (status < 0)
        return status;
    if (keep == 0 && prctl(PR_SET_SECUREBITS, bits, 0, 0, 0) < 0)
        return error_errno(error, -errno, "cannot lock the securebits");
    if (keep != 0) {
        caps_select(keep | (uint64_t)1 << CAP_SETPCAP);
        if (capng_apply(CAPNG_SELECT_CAPS | CAPNG_SELECT_AMBIENT) != 0)
            return error_set(error, -EPERM, "cannot keep the capabilities of `capabilities keep`");
        if (prctl(PR_SET_SECUREBITS, bits, 0, 0, 0) < 0)
            return error_errno(error, -errno, "cannot lock the securebits");
    }
    caps_select(keep);
    if (capng_apply(CAPNG_SELECT_CAPS) != 0)
        return error_set(error, -EPERM, "cannot drop the capabilities");
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
        return error_errno(error, -errno, "cannot set no_new_privs");
    if (prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) != 1 ||
        prctl(PR_GET_SECUREBITS, 0, 0, 0, 0) != (int)bits)
        return error_set(error, -EPERM, "no_new_privs or the securebits did not stick");
    return caps_compare(keep, error);
}

int privs_hide(struct error *error)
{
    if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0 || prctl(PR_GET_DUMPABLE, 0, 0, 0, 0) != 0)
        return error_set(error, -EPERM, "cannot become not dumpable");
    return 0;
}

int privs_follow_parent(int signal, struct error *error)
{
    if (prctl(PR_SET_PDEATHSIG, signal, 0, 0, 0) < 0)
        return error_errno(error, -errno, "cannot tie this process to its parent");
    return 0;
}

int privs_adopt_orphans(struct error *error)
{
    if (prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) < 0)
        return error_errno(error, -errno, "cannot adopt orphaned processes");
    return 0;
}

int privs_shrink_supervisor(bool keep_net_admin, struct error *error)
{
    bool kept;

    if (!caps_read())
        return error_set(error, -EIO, "cannot read the capabilities of netjail");
    kept = keep_net_admin && capng_have_capability(CAPNG_PERMITTED, CAP_NET_ADMIN);
    capng_clear(CAPNG_SELECT_CAPS);
    if (kept)
        (void)capng_update(CAPNG_ADD, CAPNG_EFFECTIVE | CAPNG_PERMITTED, CAP_NET_ADMIN);
    if (capng_apply(CAPNG_SELECT_CAPS) != 0 || !caps_read())
        return error_set(error, -EPERM, "cannot drop the capabilities of netjail");
    for (unsigned cap = 0; cap < 64 && prctl(PR_CAPBSET_READ, cap, 0, 0, 0) >= 0; cap++) {
        bool wanted = kept && cap == CAP_NET_ADMIN;

        if ((capng_have_capability(CAPNG_PERMITTED, cap) != 0) != wanted ||
            (capng_have_capability(CAPNG_EFFECTIVE, cap) != 0) != wanted)
            return error_set(error, -EPERM, "netjail did not lose capability %u", cap);
    }
    return privs_hide(error);
}

_Noreturn void exit_like(int wait_status)
{
    struct rlimit none = {0};
    struct sigaction action = {.sa_handler = SIG_DFL};
    sigset_t set;
    int signal;

    if (WIFEXITED(wait_status))
        _exit(WEXITSTATUS(wait_status));
    signal = WTERMSIG(wait_status);
    /* The command has left its core file; a second one, of netjail, would only confuse. Each of
     * these can fail only harmlessly: the exit below says the same. */
    (void)setrlimit(RLIMIT_CORE, &none);
    (void)prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
    (void)sigaction(signal, &action, NULL);
    (void)sigemptyset(&set);
    (void)sigaddset(&set, signal);
    if (getpid() != 1) {
        (void)raise(signal);
        (void)sigprocmask(SIG_UNBLOCK, &set, NULL);
    }
    _exit(128 + signal);
}
