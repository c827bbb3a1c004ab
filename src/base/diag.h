/* Where in which text something stands, and what is to be said about it.
 *
 * A position is a small value without pointers, so that every op of a plan can carry one. Texts are
 * policy files, included files and command-line options; the registry numbers them. Library code
 * collects diagnostics or fills a struct error and prints nothing; wrapper/ prints once. */
#pragma once

#include "base/arena.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct buf;

/* A piece of an option's statement that the user typed: `length` bytes at byte `from` of the
 * statement are those at byte `to` of what was typed. */
struct source_span {
    uint32_t from;
    uint32_t length;
    uint32_t to;
};

#define SOURCE_SPANS_MAX 4

/* One text that statements come from. */
struct source {
    const char *name; /* as shown: a path as the user gave it, or "option --allow" */
    const char *text; /* `length` bytes, may contain NUL */
    size_t length;
    bool is_option; /* shown without a line number */

    /* An option whose statement is not what was typed: NULL where it is, or for a file. */
    const char *typed;
    struct source_span spans[SOURCE_SPANS_MAX]; /* in the order of `from` */
    size_t spans_count;
};

/* The texts of one policy, numbered from 1. Texts and names are copied into the arena. */
struct sources {
    struct arena *arena;
    struct source *list;
    size_t list_count;
    size_t list_capacity;
};

struct position {
    uint32_t source; /* number in struct sources; 0: no position */
    uint32_t line;   /* from 1 */
    uint32_t column; /* from 1, in characters (not bytes) of the line as it stands in the file */
    uint32_t length; /* characters to underline, at least 1 */
};

uint32_t sources_add(struct sources *sources, const char *name, const char *text, size_t length,
                     bool is_option);

/* The statement of source number `source` was made from an option's argument: errors show this one,
 * `typed` (copied), with the caret where the spans lead. */
void sources_set_typed(struct sources *sources, uint32_t source, const char *typed,
                       const struct source_span *spans, size_t spans_count);

enum severity {
    SEVERITY_ERROR,
    SEVERITY_WARNING,
};

/* One message with its place. */
struct diag {
    enum severity severity;
    struct position where;
    const char *text;      /* "unknown protocol 'tpc'" */
    const char *hint;      /* shown behind the caret: "did you mean 'tcp'?"; NULL: none */
    struct position other; /* a second place that disagrees; source 0: none */
    const char *other_text;
};

struct diags {
    struct arena *arena;
    const struct sources *sources;
    struct diag *list;
    size_t list_count;
    size_t list_capacity;
    size_t error_count;
    size_t unlisted_count; /* messages beyond the first 10,000: counted, not kept */
};

/* Each appends a message and returns it, so that hint and other can be filled in. */
struct diag *diag_error(struct diags *diags, struct position where, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
struct diag *diag_warning(struct diags *diags, struct position where, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* Sets diag->hint (printf into the arena). */
void diag_hint(struct diags *diags, struct diag *diag, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
void diag_other(struct diags *diags, struct diag *diag, struct position other, const char *format,
                ...) __attribute__((format(printf, 4, 5)));

/* All messages in the order of their position, each as
 *     web.conf:12:11: error: unknown protocol 'tpc'
 *     allow out tpc to 10.0.0.5 port 5432
 *               ^~~ did you mean 'tcp'?
 * The line is shown with control characters made visible, tabs kept aligned, long lines cut. */
void diags_print(const struct diags *diags, struct buf *out);

/* "web.conf:12:11" (or "option --allow"), "" for no position. */
void position_print(const struct sources *sources, struct position where, struct buf *out);
/* The same as one printable word for a log: "web.conf:12", "web.conf:12-57" (`last` is further
 * down), "option_--allow", or "rule" for no position. What does not fit is cut. */
void position_word(const struct sources *sources, struct position first, struct position last,
                   char *text, size_t size);
/* The source line and the caret line, as in diags_print(); nothing for no position. */
void position_print_line(const struct sources *sources, struct position where, const char *hint,
                         struct buf *out);

/* The best of `words` for a misspelt `word` (Damerau-Levenshtein distance <= max(1, length/3)), or
 * NULL. `words` ends with NULL. */
const char *suggest_word(const char *word, size_t length, const char *const *words);

/* Why an operation failed: filled by the function that failed, printed once by wrapper/. */
struct error {
    int code; /* negative errno; 0: no error */
    struct position where;
    char text[384]; /* "cannot create link 'eth0': Operation not permitted (kernel: ...)" */
    char hint[384]; /* what to do; "" where the text says it all */
};

/* Fill in and return `code`, so that callers can `return error_set(...)`. */
int error_set(struct error *error, int code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* The same with ": " and the errno's text appended. */
int error_errno(struct error *error, int code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
void error_hint(struct error *error, const char *format, ...) __attribute__((format(printf, 2, 3)));
