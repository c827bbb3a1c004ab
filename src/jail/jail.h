/* The jail's processes as the supervisor sees them.
 *
 * jail_start() makes init with one clone3 (network, pid, mount, ipc, and user namespace when the
 * caller lacks privilege); init sends back the sockets it opened inside and builds its mounts while
 * the supervisor configures the network; jail_release() lets the command run. The supervisor never
 * changes its own namespaces. */
#pragma once

#include "plan/plan.h"
#include "policy/policy.h"
#include "service/protocol.h"

#include <signal.h>
#include <sys/types.h>

/* Who the command runs as. */
struct identity {
    uid_t uid;
    gid_t gid;
    gid_t *groups; /* supplementary groups; owned */
    size_t groups_count;
    bool keep; /* nothing to change: the caller's own identity */
};

/* Looks up `user NAME[:GROUP]` of the policy; without it SUDO_UID/SUDO_GID when root was reached by
 * sudo, else the caller's own. As an ordinary user only the own identity is possible: else -EPERM
 * with the statement's position. */
int identity_resolve(const struct policy *policy, bool privileged, struct identity *ret_identity,
                     struct error *error);

/* Has the caller CAP_NET_ADMIN and CAP_SYS_ADMIN (effective) over its own namespaces? */
bool privs_over_host(void);

/* Refuses to run set-user-ID or set-group-ID (real != effective id): -EPERM. To be called before
 * anything is read. */
int privs_refuse_setuid(struct error *error);

/* Before the command runs: drops every capability of the supervisor but those that are kept; makes
 * it not dumpable; reads the result back. */
struct supervisor_privs {
    bool net_admin; /* the host is to be tidied, or a set updated */
    bool sys_admin; /* a moved device is given back from inside the jail's namespace */
    bool read;      /* the leases of others tell what of the host is still used */
    bool kill;      /* init or the service has another uid: without it neither a SIGKILL nor the
                       parent-death signal would reach them */
};
int privs_shrink_supervisor(const struct supervisor_privs *kept, struct error *error);

struct jail_setup {
    const struct policy *policy;
    const struct plan *plan; /* init writes its JAIL sysctls; NULL: none */
    struct identity identity;
    bool joins; /* init enters `join_fd` instead of a network namespace of its own */
    int join_fd;
    bool privileged;         /* no user namespace is needed */
    const char *name;        /* NETJAIL_NAME */
    const char *policy_text; /* NETJAIL_POLICY */
    char *const *argv;       /* NULL: a named jail without a command, until SIGTERM */
    const int *keep_fds;     /* --keep-fd */
    size_t keep_fds_count;
    bool notify; /* NOTIFY_SOCKET leads to jail->notify_fd; else it is taken away */
    int verbose;
    /* Called in init, once, a second after the start: frees what only the start needed. `plan` is
     * not looked at any more, `policy` and the texts are. NULL: nothing to free. */
    void (*forget)(void *context);
    void *context;
};

struct jail {
    pid_t init_pid; /* in the supervisor's pid namespace */
    int init_pidfd;
    int control_fd; /* SOCK_SEQPACKET to init: supervisor's commands, init's reports */
    int service_fd; /* the service's end of its channel to init (service/protocol.h); -1 once given
                       away */
    int route_fd;   /* sockets and namespace that init opened inside */
    int nft_fd;
    int nflog_fd;             /* NETLINK_NETFILTER for NFLOG, not yet bound */
    bool has_relay;           /* relay_fds are open */
    int relay_fds[RELAY_FDS]; /* enum relay_fd */
    int netns_fd;
    int signal_fd; /* signalfd(2), from jail_release() on: what has not been read is pending */
    int notify_fd; /* datagrams of the jail's sd_notify(3); -1: none, or given away */
    int state;     /* enum jail_state (jail/control.h): which reports of init are permitted now */
    bool notify;   /* CONTROL_NOTIFY is to come */
    bool processes_shared; /* no pid namespace: init's death does not end the others by itself */
    bool adopts;           /* then they are ours: see jail_end_strays() */
    bool own_group;        /* the command has a process group of its own (no Landlock scope) */
    bool sys_kept;   /* a new /sys was refused: the host's is read-only, its interfaces hidden */
    bool foreground; /* netjail had the terminal when the command was released */
    bool refused;    /* jail_release() failed in execve(2) itself */
    int ended_by;    /* jail_release() was ended by this signal; 0: it was not */
    int64_t released_ms; /* when the command began; 0: it has not */
};

/* Must be called early in main(): blocks the signals that the supervisor handles and remembers the
 * caller's mask and dispositions, which the command gets back. */
int signals_take(struct error *error);

/* Gives this process the mask and the dispositions that netjail's caller had: for a child, before
 * its exec() (jail_release() does it for the command by itself). */
void signals_restore(void);

/* Does `signal`, whose default is to end a process, end one with the caller's mask and disposition?
 */
bool signals_end_a_command(int signal);

/* The inherited descriptors that the command will not get, as text for -v: "3 (directory), 7
 * (socket)";
 * "" when there are none. */
struct buf;
int spawn_list_closed(const int *keep_fds, size_t keep_fds_count, struct buf *ret_text,
                      struct error *error);

/* Starts init. On failure nothing is left. */
int jail_start(const struct jail_setup *setup, struct jail *ret_jail, struct error *error);

/* Waits until init's descriptors have come. */
int jail_open(struct jail *jail, const struct jail_setup *setup, struct error *error);

/* Waits for init's "ready": mounts, sysctls, identity, capabilities, no_new_privs are in place.
 * Init's failures come back in *error with their text and errno. */
int jail_ready(struct jail *jail, struct error *error);

/* When something else has failed: if init has failed, too, or is gone, that is the cause, and
 * *error says it; else it stays as it is. Messages of init that have not been read are lost. */
void jail_last_words(const struct jail *jail, struct error *error);

/* Lets the command run; returns when exec() has succeeded or failed, with the text in *error. When
 * jail->refused is set it was execve(2) that failed: -ENOENT (exit status 127), -EACCES or another
 * errno (126); else something before it, and no command may run (125). -ECANCELED without a text:
 * execve(2) did not return, and jail->ended_by would have ended it: it is to end the caller. */
int jail_release(struct jail *jail, struct error *error);

/* What the supervisor waits for. */
struct events;
struct supervision {
    struct jail *jail;
    pid_t service_pid;     /* 0: none */
    int renew_interval_ms; /* 0: nothing to renew */
    void (*renew)(void *context);
    void (*service_died)(void *context, int wait_status);
    void (*forget)(void *context); /* once, a second after the start; NULL: nothing to forget */
    void *context;
    struct events *events; /* what else to wait for (jail/events.h); NULL: nothing */
};

/* Mirrors signals, stops and continues until the command (and, with `on-exit wait`, all its
 * descendants) has ended; then ends what is left in the jail. *ret_status is the command's
 * status in the form of wait(2). */
int supervise(const struct supervision *supervision, int *ret_status, struct error *error);

/* Waits for the end of init. */
void jail_wait(const struct jail *jail);

/* After supervise(): ends init and waits for it, so that the processor time of the command counts
 * as netjail's for whoever waits for netjail (times(2)); unless the command ran so shortly that the
 * kernel's clean-up of init's mounts would be noticed. */
void jail_reap(const struct jail *jail);

/* Ends what a killed init has left behind, where there is no pid namespace to do it: the command
 * may send signals to init then. All our other children must have been waited for. Safe to call at
 * any time, twice. */
void jail_end_strays(const struct jail *jail);

/* Closes jail->relay_fds, if they are open. */
void jail_close_relay(struct jail *jail);

/* Kills everything in the jail and waits for it (when supervise() has seen the end of everything
 * but init, init's own end is waited for as by jail_reap() only); safe to call at any time, twice.
 */
void jail_destroy(struct jail *jail);

/* Ends this process as the command ended: exit status, or the same signal without a second core
 * file; as pid 1, which cannot die of a signal, 128 + N. Does not return. */
void exit_like(int wait_status) __attribute__((noreturn));
