/* A growing text buffer, and the one place where untrusted text is made fit for a terminal.
 *
 * Pure memory, no privilege. What must not happen: a control character or a broken UTF-8 sequence
 * from a file or a packet reaching somebody's terminal through buf_put_visible(). */
#include "base/buf.h"

#include "base/utf8.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static _Noreturn void out_of_memory(void)
{
    (void)fputs("netjail: out of memory\n", stderr); /* the process ends in any case */
    exit(125);
}

/* Room for `extra` more bytes and the NUL. */
static void buf_reserve(struct buf *buf, size_t extra)
{
    size_t needed;
    size_t capacity = buf->capacity ? buf->capacity : 256;
    char *data;

    if (__builtin_add_overflow(buf->length, extra, &needed) ||
        __builtin_add_overflow(needed, 1, &needed))
        out_of_memory();
    if (needed <= buf->capacity)
        return;
    while (capacity < needed) {
        if (__builtin_mul_overflow(capacity, 2, &capacity))
            out_of_memory();
    }
    data = realloc(buf->data, capacity);
    if (!data)
        out_of_memory();
    buf->data = data;
    buf->capacity = capacity;
}

void buf_append(struct buf *buf, const void *bytes, size_t length)
{
    if (length == 0)
        return;
    buf_reserve(buf, length);
    memcpy(buf->data + buf->length, bytes, length);
    buf->length += length;
    buf->data[buf->length] = '\0';
}

void buf_puts(struct buf *buf, const char *text)
{
    buf_append(buf, text, strlen(text));
}

void buf_printf(struct buf *buf, const char *format, ...)
{
    va_list args;
    char *text = NULL;
    int length;

    va_start(args, format);
    length = vasprintf(&text, format, args);
    va_end(args);
    if (length < 0)
        out_of_memory();
    buf_append(buf, text, (size_t)length);
    free(text);
}

void buf_put_visible(struct buf *buf, const char *text, size_t length)
{
    size_t i = 0;

    while (i < length) {
        size_t size = utf8_printable(text + i, length - i);

        if (size == 0) {
            buf_printf(buf, "\\x%02x", (unsigned char)text[i]);
            size = 1;
        } else {
            buf_append(buf, text + i, size);
        }
        i += size;
    }
}

void buf_put_json(struct buf *buf, const char *text)
{
    size_t left = strlen(text);

    buf_puts(buf, "\"");
    while (left > 0) {
        uint32_t point;
        size_t size = utf8_decode(text, left, &point);

        if (size == 0) {
            buf_puts(buf, "\\ufffd");
            size = 1;
        } else if (point == '"' || point == '\\') {
            buf_printf(buf, "\\%c", (char)point);
        } else if (point < 0x20 || (point >= 0x7f && point < 0xa0)) {
            buf_printf(buf, "\\u%04x", point);
        } else {
            buf_append(buf, text, size);
        }
        text += size;
        left -= size;
    }
    buf_puts(buf, "\"");
}

const char *buf_text(const struct buf *buf)
{
    return buf->data ? buf->data : "";
}

void buf_free(struct buf *buf)
{
    free(buf->data);
    *buf = (struct buf){0};
}
