/* UTF-8 (RFC 3629): the length of one character, and whether it may be shown. */
#pragma once

#include <stddef.h>
#include <stdint.h>

/* The bytes of the character at `text` (1..4) and its code point, or 0 when the first bytes are not
 * a well-formed character (truncated, overlong, surrogate, above U+10FFFF). `length` > 0. */
size_t utf8_decode(const char *text, size_t length, uint32_t *ret_point);

/* The same, but 0 also for characters that must not reach a terminal as they are: C0 and C1
 * controls, DEL, and the bidirectional overrides, which make a line read differently from what it
 * says (Unicode TR 36, section 2.7). */
size_t utf8_printable(const char *text, size_t length);
