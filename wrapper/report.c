/* The one place that prints errors. Everything goes out in a single write(), so that messages of
 * several jails in one terminal do not mix. */
#include "report.h"

#include "base/buf.h"
#include "base/cleanup.h"

#include <errno.h>
#include <stdarg.h>
#include <string.h>

static bool uses_json;

void report_use_json(void)
{
    uses_json = true;
}

static void write_stderr(const struct buf *text)
{
    size_t done = 0;

    while (done < text->length) {
        ssize_t wrote = write(STDERR_FILENO, text->data + done, text->length - done);
        if (wrote < 0 && errno == EINTR)
            continue;
        if (wrote <= 0)
            return; /* a closed stderr: there is nowhere left to say so */
        done += (size_t)wrote;
    }
}

/* Adds `,"key":"value"` (RFC 8259); nothing for NULL and "". What is no text is made visible. */
static void put_member(struct buf *text, const char *key, const char *value)
{
    cleanup_buf struct buf visible = {0};

    if (!value || !value[0])
        return;
    buf_put_visible(&visible, value, strlen(value));
    buf_printf(text, ",\"%s\":\"", key);
    for (const char *at = buf_text(&visible); *at; at++) {
        if (*at == '"' || *at == '\\')
            buf_puts(text, "\\");
        buf_append(text, at, 1);
    }
    buf_puts(text, "\"");
}

static void put_position(struct buf *text, const struct sources *sources, struct position where)
{
    if (!sources || !where.source)
        return;
    put_member(text, "file", sources->list[where.source - 1].name);
    buf_printf(text, ",\"line\":%u,\"column\":%u", where.line, where.column);
}

static void put_message(struct buf *text, const char *severity, const char *program,
                        const char *message)
{
    buf_printf(text, "{\"severity\":\"%s\"", severity);
    put_member(text, "program", program);
    put_member(text, "text", message);
}

static void report_diags_json(const struct diags *diags)
{
    cleanup_buf struct buf text = {0};

    for (size_t i = 0; i < diags->list_count; i++) {
        const struct diag *diag = &diags->list[i];

        put_message(&text, diag->severity == SEVERITY_ERROR ? "error" : "warning", NULL,
                    diag->text);
        put_position(&text, diags->sources, diag->where);
        put_member(&text, "hint", diag->hint);
        buf_puts(&text, "}\n");
    }
    write_stderr(&text);
}

/* Whatever it was that could not be opened: that is not what is wrong. */
static const char *hint_of(const struct error *error)
{
    return error->code == -EMFILE ? "the limit of open files is too low: ulimit -n 1024"
                                  : error->hint;
}

static void report_error_json(const char *program, const struct sources *sources,
                              const struct error *error)
{
    cleanup_buf struct buf text = {0};

    put_message(&text, "error", program, error->text);
    put_position(&text, sources, error->where);
    put_member(&text, "hint", hint_of(error));
    buf_puts(&text, "}\n");
    write_stderr(&text);
}

static void report_note_json(const char *program, const char *line)
{
    static const char warning[] = "warning: ";
    bool is_warning = strncmp(line, warning, sizeof warning - 1) == 0;
    cleanup_buf struct buf text = {0};

    put_message(&text, is_warning ? "warning" : "note", program,
                is_warning ? line + sizeof warning - 1 : line);
    buf_puts(&text, "}\n");
    write_stderr(&text);
}

void report_diags(const struct diags *diags, bool quiet)
{
    cleanup_buf struct buf text = {0};
    struct diags shown = *diags;

    if (quiet) {
        shown.list = arena_alloc(diags->arena, (diags->list_count + 1) * sizeof *shown.list);
        shown.list_count = 0;
        for (size_t i = 0; i < diags->list_count; i++)
            if (diags->list[i].severity == SEVERITY_ERROR)
                shown.list[shown.list_count++] = diags->list[i];
    }
    if (uses_json) {
        report_diags_json(&shown);
        return;
    }
    diags_print(&shown, &text);
    write_stderr(&text);
}

void report_error(const char *program, const struct sources *sources, const struct error *error)
{
    const char *hint = hint_of(error);
    cleanup_buf struct buf text = {0};

    if (uses_json) {
        report_error_json(program, sources, error);
        return;
    }
    buf_printf(&text, "%s: ", program);
    if (sources && error->where.source) {
        position_print(sources, error->where, &text);
        buf_puts(&text, ": ");
    }
    buf_put_visible(&text, error->text, strlen(error->text));
    buf_puts(&text, "\n");
    if (sources && error->where.source)
        position_print_line(sources, error->where, NULL, &text);
    if (hint[0]) {
        buf_puts(&text, "hint: ");
        buf_put_visible(&text, hint, strlen(hint));
        buf_puts(&text, "\n");
    }
    write_stderr(&text);
}

void report_note(const char *program, const char *format, ...)
{
    cleanup_buf struct buf text = {0};
    char line[1024];
    va_list arguments;

    va_start(arguments, format);
    (void)vsnprintf(line, sizeof line, format, arguments); /* a longer note is cut */
    va_end(arguments);
    if (uses_json) {
        report_note_json(program, line);
        return;
    }
    buf_printf(&text, "%s: ", program);
    buf_put_visible(&text, line, strlen(line));
    buf_puts(&text, "\n");
    write_stderr(&text);
}
