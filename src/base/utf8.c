/* Decoding of UTF-8, strict: what RFC 3629 calls ill-formed has length 0, and the caller goes on
 * behind one byte. Pure, no privilege. */
#include "base/utf8.h"

#include <stdbool.h>

/* The length that the first byte announces, 0 for a byte that cannot be first. */
static size_t announced_length(unsigned char byte)
{
    if (byte < 0x80)
        return 1;
    if (byte >= 0xc2 && byte <= 0xdf)
        return 2;
    if (byte >= 0xe0 && byte <= 0xef)
        return 3;
    if (byte >= 0xf0 && byte <= 0xf4)
        return 4;
    return 0;
}

size_t utf8_decode(const char *text, size_t length, uint32_t *ret_point)
{
    static const uint32_t smallest[5] = {0, 0, 0x80, 0x800, 0x10000};
    unsigned char first = (unsigned char)text[0];
    size_t size = announced_length(first);
    uint32_t point;

    if (size == 0 || size > length)
        return 0;
    point = size == 1 ? first : first & (0x7fu >> size);
    for (size_t i = 1; i < size; i++) {
        unsigned char byte = (unsigned char)text[i];

        if ((byte & 0xc0) != 0x80)
            return 0;
        point = point << 6 | (byte & 0x3fu);
    }
    if (point < smallest[size] || point > 0x10ffff || (point >= 0xd800 && point <= 0xdfff))
        return 0;
    *ret_point = point;
    return size;
}

static bool point_is_unsafe(uint32_t point)
{
    return point < 0x20 || (point >= 0x7f && point < 0xa0) ||
           (point >= 0x202a && point <= 0x202e) || (point >= 0x2066 && point <= 0x2069) ||
           point == 0x200e || point == 0x200f || point == 0x2028 || point == 0x2029;
}

size_t utf8_printable(const char *text, size_t length)
{
    uint32_t point;
    size_t size = utf8_decode(text, length, &point);

    return size && !point_is_unsafe(point) ? size : 0;
}
