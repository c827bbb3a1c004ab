/* Policy files: finding, trusting and reading them. */
#pragma once

#include "policy/policy.h"

struct trusted_file {
    char *path;      /* as it is shown; owned */
    char *canonical; /* absolute, without links: one name per file; owned */
    char *text;      /* `length` bytes, NUL behind them; owned */
    size_t length;
};

void trusted_file_free(struct trusted_file *file);

/* Reads one policy file of at most POLICY_FILE_MAX bytes, once, from the descriptor that was
 * judged.
 *
 * The file and every directory on the way to it, symbolic links resolved by hand, must belong to
 * root or to the caller (when root was reached by sudo: or to SUDO_UID) and must not be writable by
 * group or others; a sticky directory is fine, since what lies in it is judged as well. With
 * AT_SECURE (file capabilities) only root counts. Must be called before any user namespace is
 * entered. 0, or a negative errno with *error filled; -ENOENT only when there is no such file. */
int load_trusted(const char *path, size_t size_max, struct trusted_file *ret_file,
                 struct error *error);

#define POLICY_FILE_MAX ((size_t)16 << 20)
#define LIST_FILE_MAX   ((size_t)64 << 20) /* `define NAME file`: a million prefixes */

/* Reads the policy that the user named: a path (with '/'), a file in the working directory (ending
 * in ".conf"), else NAME or NAME.conf in the policy path: $XDG_CONFIG_HOME/netjail, /etc/netjail,
 * /usr/share/netjail/policies and the installation's own. */
int load_policy(const char *name, struct trusted_file *ret_file, struct error *error);

/* The reader for `include` and `define NAME file`: relative to the including file, then the policy
 * path. The texts live in the context until loader_free(). */
struct loader {
    struct trusted_file *files;
    size_t files_count;
};
struct policy_reader loader_reader(struct loader *loader);
void loader_free(struct loader *loader);
