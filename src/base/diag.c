/* Messages with their places: collected here, shown by diag_print.c.
 *
 * Pure, no privilege. What must not happen: a message whose text carries a control character to the
 * terminal (the printer makes all of it visible, error_set() does so at once), or a hostile text of
 * 16 MiB that is one error per byte filling the memory: behind DIAGS_MAX they are only counted. */
#include "base/diag.h"

#include "base/buf.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DIAGS_MAX 10000

uint32_t sources_add(struct sources *sources, const char *name, const char *text, size_t length,
                     bool is_option)
{
    struct source *source = ARENA_PUSH(sources->arena, sources, list);

    source->name = arena_strndup(sources->arena, name, strlen(name));
    source->text = arena_strndup(sources->arena, text, length);
    source->length = length;
    source->is_option = is_option;
    return (uint32_t)sources->list_count;
}

void sources_set_typed(struct sources *sources, uint32_t source, const char *typed,
                       const struct source_span *spans, size_t spans_count)
{
    struct source *entry = &sources->list[source - 1];

    entry->typed = arena_strndup(sources->arena, typed, strlen(typed));
    entry->spans_count = spans_count < SOURCE_SPANS_MAX ? spans_count : SOURCE_SPANS_MAX;
    memcpy(entry->spans, spans, entry->spans_count * sizeof *spans);
}

/* A new message, or one that nobody sees when there are too many. */
static struct diag *diag_add(struct diags *diags, enum severity severity, struct position where)
{
    struct diag *diag;

    if (severity == SEVERITY_ERROR)
        diags->error_count++;
    if (diags->list_count == DIAGS_MAX) {
        diags->unlisted_count++;
        diag = arena_alloc(diags->arena, sizeof *diag);
    } else {
        diag = ARENA_PUSH(diags->arena, diags, list);
    }
    diag->severity = severity;
    diag->where = where;
    return diag;
}

__attribute__((format(printf, 2, 0))) static const char *
arena_vprintf(struct arena *arena, const char *format, va_list args)
{
    char *text = NULL;
    const char *copy;

    if (vasprintf(&text, format, args) < 0)
        return ""; /* out of memory: the position still stands */
    copy = arena_strndup(arena, text, strlen(text));
    free(text);
    return copy;
}

struct diag *diag_error(struct diags *diags, struct position where, const char *format, ...)
{
    struct diag *diag = diag_add(diags, SEVERITY_ERROR, where);
    va_list args;

    va_start(args, format);
    diag->text = arena_vprintf(diags->arena, format, args);
    va_end(args);
    return diag;
}

struct diag *diag_warning(struct diags *diags, struct position where, const char *format, ...)
{
    struct diag *diag = diag_add(diags, SEVERITY_WARNING, where);
    va_list args;

    va_start(args, format);
    diag->text = arena_vprintf(diags->arena, format, args);
    va_end(args);
    return diag;
}

void diag_hint(struct diags *diags, struct diag *diag, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    diag->hint = arena_vprintf(diags->arena, format, args);
    va_end(args);
}

void diag_other(struct diags *diags, struct diag *diag, struct position other, const char *format,
                ...)
{
    va_list args;

    va_start(args, format);
    diag->other = other;
    diag->other_text = arena_vprintf(diags->arena, format, args);
    va_end(args);
}

/* vsnprintf with control characters and invalid UTF-8 made visible, cut to the size. */
__attribute__((format(printf, 3, 0))) static void visible_print(char *text, size_t size,
                                                                const char *format, va_list args)
{
    cleanup_buf struct buf visible = {0};
    char raw[512];

    (void)vsnprintf(raw, sizeof raw, format, args); /* cutting a long text is wanted */
    buf_put_visible(&visible, raw, strlen(raw));
    (void)snprintf(text, size, "%s", buf_text(&visible));
}

int error_set(struct error *error, int code, const char *format, ...)
{
    va_list args;

    error->code = code;
    error->hint[0] = '\0';
    va_start(args, format);
    visible_print(error->text, sizeof error->text, format, args);
    va_end(args);
    return code;
}

int error_errno(struct error *error, int code, const char *format, ...)
{
    va_list args;
    size_t length;

    error->code = code;
    error->hint[0] = '\0';
    va_start(args, format);
    visible_print(error->text, sizeof error->text, format, args);
    va_end(args);
    length = strlen(error->text);
    (void)snprintf(error->text + length, sizeof error->text - length, ": %s", strerror(-code));
    return code;
}

void error_hint(struct error *error, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    visible_print(error->hint, sizeof error->hint, format, args);
    va_end(args);
}
