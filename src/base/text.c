/* Positions count lines and characters; texts are bytes. This is the way back from one to the
 * other. Pure, no privilege. */
#include "base/text.h"

#include "base/utf8.h"

#include <string.h>

size_t text_character(const char *text, size_t length)
{
    uint32_t point;
    size_t size = utf8_decode(text, length, &point);

    return size ? size : 1;
}

size_t text_line_end(const struct source *source, size_t offset)
{
    const char *newline = NULL;
    size_t end = source->length;

    if (offset < source->length)
        newline = memchr(source->text + offset, '\n', source->length - offset);
    if (newline)
        end = (size_t)(newline - source->text);
    if (end > offset && source->text[end - 1] == '\r')
        end--;
    return end;
}

static bool seek_line(struct text_cursor *cursor, const struct source *source, uint32_t line)
{
    while (cursor->line < line) {
        const char *start = source->text + cursor->offset;
        const char *newline = NULL;

        if (cursor->offset < source->length)
            newline = memchr(start, '\n', source->length - cursor->offset);
        if (!newline)
            return false;
        cursor->line++;
        cursor->column = 1;
        cursor->offset = (size_t)(newline - source->text) + 1;
        cursor->line_start = cursor->offset;
    }
    return true;
}

bool text_cursor_seek(struct text_cursor *cursor, const struct sources *sources,
                      struct position where)
{
    const struct source *source;
    size_t end;

    if (where.source == 0 || where.source > sources->list_count || where.line == 0)
        return false;
    source = &sources->list[where.source - 1];
    if (cursor->source != where.source || cursor->line > where.line ||
        (cursor->line == where.line && cursor->column > where.column))
        *cursor = (struct text_cursor){.source = where.source, .line = 1, .column = 1};
    if (!seek_line(cursor, source, where.line))
        return false;
    end = text_line_end(source, cursor->offset);
    while (cursor->column < where.column && cursor->offset < end) {
        cursor->offset += text_character(source->text + cursor->offset, end - cursor->offset);
        cursor->column++;
    }
    return true;
}
