/* The one place that prints errors. */
#pragma once

#include "base/diag.h"

/* From now on every message is a line of JSON on stderr: severity (error, warning, note), text, and
 * where there are such: program, file, line, column, hint. */
void report_use_json(void);

/* All diagnostics to stderr; with `quiet` only errors. */
void report_diags(const struct diags *diags, bool quiet);

/* `PROGRAM: web.conf:12:1: cannot ...`, the line of the policy with its caret, and the hint.
 * `sources` may be NULL. */
void report_error(const char *program, const struct sources *sources, const struct error *error);

/* One line of --verbose: `netjail: ...`. */
void report_note(const char *program, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
