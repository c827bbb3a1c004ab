/* How messages look: place, text, the source line, the caret with the hint.
 *
 * Pure, no privilege. What must not happen: a caret that points beside what it means (tabs, several
 * bytes per character, control characters shown as escapes), or a line of megabytes on a terminal.
 */
#include "base/buf.h"
#include "base/diag.h"
#include "base/text.h"
#include "base/utf8.h"

#include <stdlib.h>
#include <string.h>

/* Of a line of more bytes than this, so many characters before and behind the caret are shown. */
#define LINE_SHOWN     160
#define CONTEXT_BEFORE 60
#define CONTEXT_AFTER  80

void position_print(const struct sources *sources, struct position where, struct buf *out)
{
    const struct source *source;

    if (where.source == 0 || where.source > sources->list_count)
        return;
    source = &sources->list[where.source - 1];
    buf_put_visible(out, source->name, strlen(source->name));
    if (!source->is_option)
        buf_printf(out, ":%u:%u", where.line, where.column);
}

void position_word(const struct sources *sources, struct position first, struct position last,
                   char *text, size_t size)
{
    const struct source *source = NULL;
    const char *base;

    if (first.source > 0 && first.source <= sources->list_count)
        source = &sources->list[first.source - 1];
    base = !source                      ? "rule"
           : strrchr(source->name, '/') ? strrchr(source->name, '/') + 1
                                        : source->name;
    /* What is cut off is not missed. */
    if (!source || source->is_option)
        (void)snprintf(text, size, "%.24s", base);
    else if (last.source != first.source || last.line == first.line)
        (void)snprintf(text, size, "%.24s:%u", base, first.line);
    else
        (void)snprintf(text, size, "%.24s:%u-%u", base, first.line, last.line);
    for (; *text; text++)
        if (*text <= ' ' || *text > '~' || *text == '"' || *text == '\\')
            *text = *text == ' ' ? '_' : '?';
}

/* One character of the line and, below it, `below` in the width that it takes. */
static void put_character(const char *text, size_t size, char below, char rest, struct buf *line,
                          struct buf *carets)
{
    if (*text == '\t') {
        buf_puts(line, "\t");
        buf_puts(carets, below == ' ' ? "\t" : "^");
        return;
    }
    buf_put_visible(line, text, size);
    buf_append(carets, &below, 1);
    if (utf8_printable(text, size) == 0) {
        for (size_t i = 1; i < 4 * size; i++)
            buf_append(carets, &rest, 1);
    }
}

/* What of a line is shown: byte offsets, and whether something is left out before and behind. */
struct window {
    size_t start;
    size_t end;
    bool cut_before;
    bool cut_after;
};

static struct window window_of(const struct source *source, const struct text_cursor *cursor)
{
    struct window window = {cursor->offset, cursor->offset, false, false};
    size_t line_end = text_line_end(source, cursor->line_start);
    size_t count;

    if (line_end - cursor->line_start <= LINE_SHOWN)
        return (struct window){cursor->line_start, line_end, false, false};
    for (count = 0; count < CONTEXT_BEFORE && window.start > cursor->line_start; count++) {
        window.start--;
        while (window.start > cursor->line_start &&
               ((unsigned char)source->text[window.start] & 0xc0) == 0x80)
            window.start--;
    }
    window.cut_before = window.start > cursor->line_start;
    for (count = 0; count < CONTEXT_AFTER && window.end < line_end; count++)
        window.end += text_character(source->text + window.end, line_end - window.end);
    window.cut_after = window.end < line_end;
    return window;
}

static void print_line_at(const struct source *source, const struct text_cursor *cursor,
                          uint32_t underline, const char *hint, struct buf *out)
{
    struct window window = window_of(source, cursor);
    cleanup_buf struct buf line = {0};
    cleanup_buf struct buf carets = {0};
    uint32_t marked = 0;
    size_t i = window.start;

    if (window.cut_before) {
        buf_puts(&line, "...");
        buf_puts(&carets, "   ");
    }
    while (i < window.end) {
        size_t size = text_character(source->text + i, window.end - i);
        bool is_marked = i >= cursor->offset && marked < underline;
        char below = !is_marked ? ' ' : marked == 0 ? '^' : '~';

        if (i >= cursor->offset && !is_marked) {
            buf_put_visible(&line, source->text + i, source->text[i] == '\t' ? 0 : size);
            if (source->text[i] == '\t')
                buf_puts(&line, "\t");
        } else {
            put_character(source->text + i, size, below, is_marked ? '~' : ' ', &line, &carets);
        }
        marked += is_marked;
        i += size;
    }
    if (marked == 0)
        buf_puts(&carets, "^");
    buf_printf(out, "%s%s\n%s", buf_text(&line), window.cut_after ? "..." : "", buf_text(&carets));
    if (hint) {
        buf_puts(out, " ");
        buf_put_visible(out, hint, strlen(hint));
    }
    buf_puts(out, "\n");
}

/* Where the user typed what stands at byte `offset` of the statement; what he did not type is about
 * the whole of it, and behind the statement's end is behind what was typed. */
static struct position typed_position(const struct source *source, size_t offset,
                                      struct position where)
{
    size_t length = strlen(source->typed);

    for (size_t i = 0; i < source->spans_count; i++) {
        const struct source_span *span = &source->spans[i];

        if (offset < span->from || offset >= (size_t)span->from + span->length)
            continue;
        where.column = span->to + (uint32_t)(offset - span->from) + 1;
        if (where.length > span->length - (offset - span->from))
            where.length = span->length - (uint32_t)(offset - span->from);
        return where;
    }
    where.column = offset < source->length ? 1 : (uint32_t)length + 1;
    where.length = offset < source->length && length > 0 ? (uint32_t)length : 1;
    return where;
}

/* The argument of an option instead of the statement that was made of it. */
static void print_typed(const struct sources *sources, struct position where, const char *hint,
                        const struct text_cursor *cursor, struct buf *out)
{
    const struct source *source = &sources->list[where.source - 1];
    struct source shown = {.name = source->name, .text = source->typed, .is_option = true};
    struct sources one = {.list = &shown, .list_count = 1};
    struct text_cursor own = {0};

    shown.length = strlen(source->typed);
    where = typed_position(source, cursor->offset, where);
    where.source = 1;
    if (text_cursor_seek(&own, &one, where))
        print_line_at(&shown, &own, where.length, hint, out);
}

static void print_line(const struct sources *sources, struct position where, const char *hint,
                       struct text_cursor *cursor, struct buf *out)
{
    if (text_cursor_seek(cursor, sources, where) && sources->list[where.source - 1].typed) {
        print_typed(sources, where, hint, cursor, out);
        return;
    }
    if (!text_cursor_seek(cursor, sources, where))
        return;
    print_line_at(&sources->list[where.source - 1], cursor, where.length ? where.length : 1, hint,
                  out);
}

void position_print_line(const struct sources *sources, struct position where, const char *hint,
                         struct buf *out)
{
    struct text_cursor cursor = {0};

    print_line(sources, where, hint, &cursor, out);
}

static int compare_numbers(uint32_t a, uint32_t b)
{
    return a < b ? -1 : a > b;
}

static int compare_diags(const void *a, const void *b)
{
    const struct diag *left = *(const struct diag *const *)a;
    const struct diag *right = *(const struct diag *const *)b;
    int order = compare_numbers(left->where.source, right->where.source);

    if (order == 0)
        order = compare_numbers(left->where.line, right->where.line);
    if (order == 0)
        order = compare_numbers(left->where.column, right->where.column);
    if (order == 0) /* the array's own order: qsort is not stable */
        order = left < right ? -1 : left > right;
    return order;
}

static void print_place(const struct sources *sources, struct position where, struct buf *out)
{
    size_t before = out->length;

    position_print(sources, where, out);
    if (out->length > before)
        buf_puts(out, ": ");
}

static void print_diag(const struct diags *diags, const struct diag *diag,
                       struct text_cursor cursors[2], struct buf *out)
{
    const struct sources *sources = diags->sources;

    print_place(sources, diag->where, out);
    buf_puts(out, diag->severity == SEVERITY_ERROR ? "error: " : "warning: ");
    buf_put_visible(out, diag->text, strlen(diag->text));
    buf_puts(out, "\n");
    if (diag->where.source)
        print_line(sources, diag->where, diag->hint, &cursors[0], out);
    else if (diag->hint)
        buf_printf(out, "hint: %s\n", diag->hint);
    if (diag->other.source) {
        print_place(sources, diag->other, out);
        buf_put_visible(out, diag->other_text, strlen(diag->other_text));
        buf_puts(out, "\n");
        print_line(sources, diag->other, NULL, &cursors[1], out);
    }
}

void diags_print(const struct diags *diags, struct buf *out)
{
    struct text_cursor cursors[2] = {0};
    const struct diag **order = arena_alloc(diags->arena, (diags->list_count + 1) * sizeof *order);

    for (size_t i = 0; i < diags->list_count; i++)
        order[i] = &diags->list[i];
    qsort(order, diags->list_count, sizeof *order, compare_diags);
    for (size_t i = 0; i < diags->list_count; i++)
        print_diag(diags, order[i], cursors, out);
    if (diags->unlisted_count)
        buf_printf(out, "%zu more messages are not shown\n", diags->unlisted_count);
}
