/* The jail's mounts and sysctls. */
#pragma once

#include "base/diag.h"

#include <stdbool.h>

struct jail_setup;

#define CWD_SIZE 4096 /* getcwd(2) tells no longer one */

/* What files_setup() leaves for files_finish(). */
struct files {
    int writable_sys_fd; /* /proc/sys as it was before it became read-only */
    char cwd[CWD_SIZE];  /* to be entered again by its path; "": stays */
    bool sys_kept;       /* the host's /sys stays, covered: a new one was refused */
    bool run_covered;    /* /run is a tmpfs of the jail's own */
};

/* Private mount namespace, /proc (unless `processes shared`), /sys, /run. `user_namespace`: init is
 * in one of its own. Needs CAP_SYS_ADMIN over the mount namespace. */
int files_setup(const struct jail_setup *setup, bool user_namespace, struct files *ret_files,
                struct error *error);

/* Hides the host's sockets below `root` ("/run") by a tmpfs with everything else bound into it.
 * `hidden`: one more path below it that is left out; NULL: none. Returns 1, or 0
 * when there is nothing to hide: no such directory, or a symbolic link. */
int masks_setup(const char *root, const char *hidden, struct error *error);

/* Hides sockets outside of /run: of X servers, tmux, screen, session buses, container engines. */
int masks_elsewhere(const struct jail_setup *setup, struct error *error);

/* Hides the records and names of jails, with /run as it is: who may write there has the host's
 * network changed, and the command may be of root or of the group netjail. */
int masks_state(const struct jail_setup *setup, struct error *error);

/* Makes every mount of /proc, /sys and their like outside of the jail's own read-only. */
int pseudo_lock(struct error *error);

/* Covers `root` by a tmpfs with everything but `hidden` (names below it; NULL ends the list) bound
 * into it. */
#define MASK_PATHS_MAX 2
int masks_cover(const char *root, const char *const hidden[MASK_PATHS_MAX], struct error *error);

/* The jail's own resolv.conf, hosts and nsswitch.conf. Looked at before /run is covered, put in
 * place after it. */
struct name_files {
    bool wanted;
    bool covers_etc;  /* /etc lacks a file that must be there: /etc itself is covered */
    char in_run[256]; /* /etc/resolv.conf is a symbolic link to this path below /run; "": not */
};
void name_files_look(const struct jail_setup *setup, struct name_files *ret_files);
int name_files_setup(const struct jail_setup *setup, const struct name_files *files,
                     struct error *error);

/* Binds the files of /etc/netns/NAME over those of /etc (ip-netns(8)). One that /etc lacks is an
 * error. */
int netns_files_bind(const char *name, struct error *error);

/* The plan's JAIL sysctls, through `sys_fd` (an opened /proc/sys). The first pass (`mapped` false)
 * leaves out those that need the identity's gid mapped; the second writes just these. Values are
 * read back. No path may name a link: there is none yet (`default` and `all` are for it). */
int sysctls_write(const struct jail_setup *setup, int sys_fd, bool mapped, struct error *error);

/* No user namespace can be made in this one any more. Only in a user namespace of our own. */
int sysctls_forbid_namespaces(int sys_fd, struct error *error);
