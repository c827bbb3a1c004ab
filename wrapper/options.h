/* The command line of netjail as data. */
#pragma once

#include "base/diag.h"

#include <stdbool.h>
#include <stddef.h>

/* An option that equals a policy statement. */
struct option_statement {
    const char *option; /* as in --help: "--allow" */
    char *text;         /* the statement; owned */
    const char *typed;  /* the argument, into argv, and where the statement has its pieces */
    struct source_span spans[SOURCE_SPANS_MAX];
    size_t spans_count;
};

struct options {
    const char *policy;  /* NULL: none */
    const char **values; /* -D NAME=VALUE, in order; the array is owned */
    size_t values_count;
    bool values_shared; /* between several policies, see struct policy */
    struct option_statement *statements;
    size_t statements_count;
    const char *net; /* --net; NULL: not given */
    int *keep_fds;
    size_t keep_fds_count;
    bool dry_run;
    bool json;
    bool quiet;
    bool wait_clean;
    int verbose;
    char **command; /* into argv, NULL-terminated; NULL: none was given */
    bool named;     /* a named jail without a command (netjailctl create) */
    /* Called when it is there, before it is supervised; where it fails, so does the start. */
    int (*ready)(void *context, struct error *error);
    void *ready_context;
};

enum options_action {
    OPTIONS_RUN,
    OPTIONS_HELP,
    OPTIONS_VERSION,
};

/* Parses argv; options end at the first word that is none. 0 and the action, or -EINVAL with *error
 * (and -EOPNOTSUPP for an option whose effect is not built yet). options_free() is always safe. */
int options_parse(int argc, char **argv, struct options *ret_options,
                  enum options_action *ret_action, struct error *error);
void options_free(struct options *options);

/* What getopt_long(3) has just not known: a word, or one letter of "-vx", written to ret_letter. */
const char *options_unknown_word(char **argv, char ret_letter[3]);

/* The text of --help. */
extern const char options_help[];
