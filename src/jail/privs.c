/* Capabilities, uids and prctl().
 *
 * Order in init and in the service, never changed: bounding set and securebits (need CAP_SETPCAP)
 * -> identity (needs CAP_SETUID and CAP_SETGID) -> the other sets -> no_new_privs -> not dumpable
 * -> parent-death signal (each change of credentials clears it). Everything is read back from the
 * kernel and compared: a step that seemed to work and did not is a failure. What must not happen: a
 * capability that is left in any set, or a way to regain one (securebits are locked, so neither uid
 * 0 nor a set-user-ID file gives any). */
#include "jail/privs.h"

#include "jail/jail.h"

#include <errno.h>
#include <grp.h>
#include <linux/capability.h>
#include <linux/securebits.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define BIT(cap) ((uint64_t)1 << (cap))
#define CAP_BITS 64

/* No set-user-ID root, no capabilities by becoming uid 0, none lost by leaving it. KEEP_CAPS is not
 * locked: with empty sets there is nothing to keep, and ping(8) gives up when it cannot set it. */
#define EARLY_SECUREBITS                                                                           \
    (SECBIT_NOROOT | SECBIT_NOROOT_LOCKED | SECBIT_NO_SETUID_FIXUP | SECBIT_NO_SETUID_FIXUP_LOCKED)
#define LOCKED_SECUREBITS                                                                          \
    (EARLY_SECUREBITS | SECBIT_NO_CAP_AMBIENT_RAISE | SECBIT_NO_CAP_AMBIENT_RAISE_LOCKED)

/* The three sets of a thread as bits (capget(2)). */
struct caps {
    uint64_t effective;
    uint64_t permitted;
    uint64_t inheritable;
};

static bool caps_read(struct caps *ret_caps)
{
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3];

    if (syscall(SYS_capget, &header, data) < 0)
        return false;
    ret_caps->effective = data[0].effective | (uint64_t)data[1].effective << 32;
    ret_caps->permitted = data[0].permitted | (uint64_t)data[1].permitted << 32;
    ret_caps->inheritable = data[0].inheritable | (uint64_t)data[1].inheritable << 32;
    return true;
}

static bool caps_write(const struct caps *caps)
{
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3] = {
        {(uint32_t)caps->effective, (uint32_t)caps->permitted, (uint32_t)caps->inheritable},
        {(uint32_t)(caps->effective >> 32), (uint32_t)(caps->permitted >> 32),
         (uint32_t)(caps->inheritable >> 32)},
    };

    return syscall(SYS_capset, &header, data) == 0;
}

static bool caps_effective(uint64_t wanted)
{
    struct caps caps;

    return caps_read(&caps) && (caps.effective & wanted) == wanted;
}

bool privs_over_host(void)
{
    return caps_effective(BIT(CAP_NET_ADMIN) | BIT(CAP_SYS_ADMIN));
}

bool privs_over_self(void)
{
    return caps_effective(BIT(CAP_SETUID) | BIT(CAP_SETGID) | BIT(CAP_SETPCAP));
}

int privs_refuse_setuid(struct error *error)
{
    uid_t uid, euid, suid;
    gid_t gid, egid, sgid;

    if (getresuid(&uid, &euid, &suid) < 0 || getresgid(&gid, &egid, &sgid) < 0)
        return error_errno(error, -errno, "cannot read the user and group ids");
    if (uid == euid && uid == suid && gid == egid && gid == sgid)
        return 0;
    (void)error_set(error, -EPERM, "must not be installed set-user-ID or set-group-ID");
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
    if (setgroups(identity->groups_count, identity->groups) < 0) {
        (void)error_errno(error, -errno, "cannot set the supplementary groups");
        if (error->code == -EPERM)
            error_hint(error, "the user namespace that netjail runs in denies setgroups(2) "
                              "(unshare -r, a container without subordinate ids): leave out "
                              "`user` there");
        return error->code;
    }
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

/* Are the sets of capget(2) exactly `keep`? */
static int caps_compare(uint64_t keep, struct error *error)
{
    struct caps caps;

    if (!caps_read(&caps))
        return error_errno(error, -errno, "cannot read the capabilities back");
    if (caps.effective != keep || caps.permitted != keep || caps.inheritable != keep)
        return error_set(error, -EPERM, "the kernel did not take the capability sets");
    return 0;
}

/* And the bounding and ambient sets? */
static int caps_compare_others(uint64_t keep, struct error *error)
{
    for (unsigned cap = 0; cap < CAP_BITS; cap++) {
        int bounding = prctl(PR_CAPBSET_READ, cap, 0, 0, 0);
        int wanted = (keep >> cap) & 1;

        if (bounding < 0)
            return 0; /* the kernel knows no capability from here on */
        /* The kernel keeps the ambient set within the permitted one, which is compared too: only
         * what shall be there is looked for. */
        if (bounding != wanted ||
            (wanted && prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_IS_SET, cap, 0, 0) != 1))
            return error_set(error, -EPERM, "the kernel did not take capability %u %s", cap,
                             wanted ? "into the jail" : "away");
    }
    return 0;
}

/* Before the identity, for the change of uid would take CAP_SETPCAP away otherwise. A drop that the
 * kernel did not do is found by caps_compare_others(). */
int privs_lock(uint64_t keep, struct error *error)
{
    for (unsigned cap = 0; cap < CAP_BITS; cap++) {
        if ((keep >> cap) & 1)
            continue;
        if (prctl(PR_CAPBSET_DROP, cap, 0, 0, 0) == 0)
            continue;
        if (errno == EINVAL)
            break; /* the kernel knows no capability from here on */
        return error_errno(error, -errno, "cannot drop capability %u for good", cap);
    }
    if (prctl(PR_SET_SECUREBITS, EARLY_SECUREBITS, 0, 0, 0) < 0)
        return error_errno(error, -errno, "cannot lock the securebits");
    return 0;
}

/* Only what the caller has can be kept. */
static int ambient_raise(uint64_t keep, struct error *error)
{
    if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) < 0)
        return error_errno(error, -errno, "cannot clear the ambient capabilities");
    for (unsigned cap = 0; cap < CAP_BITS; cap++) {
        if (!((keep >> cap) & 1))
            continue;
        if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, cap, 0, 0) < 0)
            return error_errno(error, -errno, "cannot keep capability %u", cap);
    }
    return 0;
}

/* For this thread and all that it becomes, for good. */
static int no_new_privs_set(struct error *error)
{
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
        return error_errno(error, -errno, "cannot set no_new_privs");
    if (prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) != 1)
        return error_set(error, -EPERM, "no_new_privs did not stick");
    return 0;
}

int privs_drop(uint64_t keep, struct error *error)
{
    uint64_t now = keep | BIT(CAP_SETPCAP);
    int status;

    if (!caps_write(&(struct caps){now, now, keep})) {
        (void)error_errno(error, -errno, "cannot reduce the capabilities");
        if (keep != 0)
            error_hint(error, "`capabilities keep` gives only what netjail's caller has");
        return error->code;
    }
    status = ambient_raise(keep, error);
    if (status < 0)
        return status;
    if (prctl(PR_SET_SECUREBITS, LOCKED_SECUREBITS, 0, 0, 0) < 0)
        return error_errno(error, -errno, "cannot lock the securebits");
    if (!caps_write(&(struct caps){keep, keep, keep}))
        return error_errno(error, -errno, "cannot drop the capabilities");
    if (prctl(PR_GET_SECUREBITS, 0, 0, 0, 0) != (int)LOCKED_SECUREBITS)
        return error_set(error, -EPERM, "the securebits did not stick");
    status = no_new_privs_set(error);
    if (status == 0)
        status = caps_compare(keep, error);
    return status < 0 ? status : caps_compare_others(keep, error);
}

/* Started by an ordinary user the service has nothing to drop but the chance to gain: without
 * CAP_SETPCAP the bounding set and the securebits stay, which without capabilities, with
 * no_new_privs and without execve() (seccomp) gives nothing. */
static int drop_unlocked(struct error *error)
{
    int status = ambient_raise(0, error);

    if (status == 0 && !caps_write(&(struct caps){0}))
        return error_errno(error, -errno, "cannot drop the capabilities");
    if (status == 0)
        status = no_new_privs_set(error);
    return status < 0 ? status : caps_compare(0, error);
}

int privs_drop_service(uid_t uid, gid_t gid, struct error *error)
{
    const struct identity identity = {.uid = uid, .gid = gid, .keep = uid == (uid_t)-1};
    bool can_lock = caps_effective(BIT(CAP_SETPCAP));
    int status = can_lock ? privs_lock(0, error) : 0;

    if (status == 0)
        status = privs_take_identity(&identity, error);
    if (status == 0)
        status = can_lock ? privs_drop(0, error) : drop_unlocked(error);
    return status < 0 ? status : privs_hide(error);
}

int privs_lend(bool lend, struct error *error)
{
    struct caps caps;

    if (!caps_read(&caps))
        return error_errno(error, -errno, "cannot read the capabilities of netjail");
    caps.inheritable = lend ? caps.permitted : 0;
    if (!caps_write(&caps))
        return error_errno(error, -errno, "cannot change the inheritable capabilities");
    return ambient_raise(caps.inheritable, error);
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

int privs_shrink_supervisor(const struct supervisor_privs *kept, struct error *error)
{
    struct caps caps;
    uint64_t keep;

    if (!caps_read(&caps))
        return error_errno(error, -errno, "cannot read the capabilities of netjail");
    keep =
        caps.permitted &
        ((kept->net_admin ? BIT(CAP_NET_ADMIN) : 0) | (kept->kill ? BIT(CAP_KILL) : 0) |
         (kept->sys_admin ? BIT(CAP_SYS_ADMIN) : 0) | (kept->read ? BIT(CAP_DAC_READ_SEARCH) : 0));
    if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) < 0 ||
        !caps_write(&(struct caps){keep, keep, 0}))
        return error_errno(error, -errno, "cannot drop the capabilities of netjail");
    if (!caps_read(&caps) || caps.effective != keep || caps.permitted != keep ||
        caps.inheritable != 0)
        return error_set(error, -EPERM, "the kernel did not take the capabilities of netjail");
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
