/* A growing text buffer. */
#pragma once

#include <stddef.h>

struct buf {
    char *data;    /* NUL-terminated when length > 0; owned, NULL when empty */
    size_t length; /* bytes without the NUL */
    size_t capacity;
};

/* Append; out of memory ends the process with exit status 125, as arena_alloc(). */
void buf_append(struct buf *buf, const void *bytes, size_t length);
void buf_puts(struct buf *buf, const char *text);
void buf_printf(struct buf *buf, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Appends `length` bytes of untrusted text with control characters and invalid UTF-8 made visible
 * (`\x1b`), so that it can be shown on a terminal. */
void buf_put_visible(struct buf *buf, const char *text, size_t length);

/* Appends a JSON string (RFC 8259); bytes that are no UTF-8 become U+FFFD, since JSON has no way to
 * carry them. */
void buf_put_json(struct buf *buf, const char *text);

/* The text, "" when empty; valid until the next change. */
const char *buf_text(const struct buf *buf);

void buf_free(struct buf *buf);
#define cleanup_buf __attribute__((cleanup(buf_free)))
