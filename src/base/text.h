/* Lines and characters of a source text, found again from a position. */
#pragma once

#include "base/diag.h"

/* A place in a text that was found before: the next look-up goes on from there when it lies behind,
 * so that showing many positions in order costs one walk. Zero-initialised. */
struct text_cursor {
    uint32_t source;
    uint32_t line;
    uint32_t column;
    size_t line_start; /* byte offsets */
    size_t offset;
};

/* Moves the cursor to `where`; columns behind the end of the line stop there. False when the source
 * has no such line. */
bool text_cursor_seek(struct text_cursor *cursor, const struct sources *sources,
                      struct position where);

/* The end of the line at `offset`, without its newline and a carriage return before it. */
size_t text_line_end(const struct source *source, size_t offset);

/* The bytes of the character at `text`: a well-formed one, else one byte. */
size_t text_character(const char *text, size_t length);
