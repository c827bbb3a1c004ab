/* The commands of netjailctl. Each takes its own arguments (argv[0] is the command's name) and
 * returns the exit status: 0, 1 no or negative answer, 2 usage, 3 policy errors, 4 system errors.
 */
#pragma once

#include "base/diag.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#define CTL_OK     0
#define CTL_NO     1
#define CTL_USAGE  2
#define CTL_POLICY 3
#define CTL_SYSTEM 4

struct ctl_options {
    bool json;
    char **arguments; /* what is not an option; NULL-terminated */
    int arguments_count;
    const char **values; /* -D NAME=VALUE */
    int values_count;
    bool *values_used;      /* by one of several policies; NULL: there is only one */
    const char **variables; /* -E NAME=VALUE */
    int variables_count;
    const char *policy;    /* -p; NULL: not given */
    const char *file;      /* -w; NULL: not given */
    const char *interface; /* -i; NULL: not given */
    bool follow;           /* -f */
    bool foreground;       /* --foreground */
};

int ctl_check(const struct ctl_options *options);
int ctl_plan(const struct ctl_options *options);
int ctl_list(const struct ctl_options *options);
int ctl_gc(const struct ctl_options *options);
int ctl_doctor(const struct ctl_options *options);
int ctl_create(const struct ctl_options *options);
int ctl_delete(const struct ctl_options *options);
int ctl_status(const struct ctl_options *options);
int ctl_top(const struct ctl_options *options);
int ctl_log(const struct ctl_options *options);
int ctl_capture(const struct ctl_options *options);
int ctl_why(const struct ctl_options *options);
int ctl_diff(const struct ctl_options *options);
/* As netjail itself: end as the program ended, or 125, 126, 127. */
int ctl_exec(const struct ctl_options *options);
int ctl_shell(const struct ctl_options *options);

/* Assembles the policy `name` with the values of the command line; prints nothing. As
 * assemble_policy(). */
struct assembled;
int ctl_assemble(const struct ctl_options *options, const char *name, struct assembled *assembled,
                 struct error *error);

/* When all policies of a command are assembled: CTL_POLICY and a message for each -D that none of
 * them has taken. */
int ctl_values_judge(const struct ctl_options *options);

/* One jail as `list --json` has it. */
struct record;
json_t *ctl_jail_json(const struct record *record);

/* "3h07m" since then. */
void ctl_print_uptime(uint64_t started_s, char text[32]);

/* A text that may be another user's: what is not printable UTF-8 is made visible, since JSON has no
 * way to carry it. NULL only without memory. */
json_t *ctl_text_json(const char *text);

/* Prints the value and drops it. CTL_OK, or CTL_SYSTEM when it is NULL or cannot be written. */
int ctl_dump_json(json_t *value);

/* Flushes standard output; a full disk or closed pipe is CTL_SYSTEM. */
int ctl_finish_output(int status);

#define CTL_PROGRAM "netjailctl"
