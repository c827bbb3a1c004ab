/* The one place that prints errors. Everything goes out in a single write(), so that messages of
 * several jails in one terminal do not mix. */
#include "report.h"

#include "base/buf.h"
#include "base/cleanup.h"

#include <errno.h>
#include <stdarg.h>
#include <string.h>

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
    diags_print(&shown, &text);
    write_stderr(&text);
}

void report_error(const char *program, const struct sources *sources, const struct error *error)
{
    cleanup_buf struct buf text = {0};

    buf_printf(&text, "%s: ", program);
    if (sources && error->where.source) {
        position_print(sources, error->where, &text);
        buf_puts(&text, ": ");
    }
    buf_put_visible(&text, error->text, strlen(error->text));
    buf_puts(&text, "\n");
    if (sources && error->where.source)
        position_print_line(sources, error->where, NULL, &text);
    if (error->hint[0]) {
        buf_puts(&text, "hint: ");
        buf_put_visible(&text, error->hint, strlen(error->hint));
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
    buf_printf(&text, "%s: ", program);
    buf_put_visible(&text, line, strlen(line));
    buf_puts(&text, "\n");
    write_stderr(&text);
}
