/* Names as the resolver keeps and compares them. Pure. What must not happen: a label with a dot or
 * a NUL in it taken for two labels: such a name has no text, and what has no text is not admitted.
 */
#include "service/resolver_name.h"

#include <string.h>

#define LABEL_MAX 63

static uint8_t small(uint8_t byte)
{
    return byte >= 'A' && byte <= 'Z' ? (uint8_t)(byte - 'A' + 'a') : byte;
}

size_t dns_name_take(const uint8_t *bytes, size_t length, struct dns_name *ret_name)
{
    struct dns_name name = {0};
    size_t at = 0;

    for (;;) {
        size_t label = at < length ? bytes[at] : SIZE_MAX;

        if (label > LABEL_MAX || at + label + 1 > length || at + label + 1 > DNS_NAME_MAX)
            return 0;
        name.wire[at] = (uint8_t)label;
        for (size_t i = 1; i <= label; i++)
            name.wire[at + i] = small(bytes[at + i]);
        at += label + 1;
        if (label == 0)
            break;
    }
    name.length = (uint8_t)at;
    *ret_name = name;
    return at;
}

bool dns_name_equal(const struct dns_name *a, const struct dns_name *b)
{
    return a->length == b->length && memcmp(a->wire, b->wire, a->length) == 0;
}

static bool is_host_byte(uint8_t byte)
{
    return (byte >= 'a' && byte <= 'z') || (byte >= '0' && byte <= '9') || byte == '-' ||
           byte == '_';
}

bool dns_name_text(const struct dns_name *name, char text[DNS_NAME_MAX])
{
    size_t at = 0;

    if (name->length <= 1)
        return false; /* the root */
    for (size_t i = 0; name->wire[i] != 0; i += name->wire[i] + 1u) {
        if (at > 0)
            text[at++] = '.';
        for (size_t k = 1; k <= name->wire[i]; k++) {
            if (!is_host_byte(name->wire[i + k]))
                return false;
            text[at++] = (char)name->wire[i + k];
        }
    }
    text[at] = '\0';
    return true;
}

bool dns_name_from_text(const char *text, struct dns_name *ret_name)
{
    struct dns_name name = {0};
    size_t length = strlen(text);
    size_t start = 0; /* of the label, in the wire: its length byte */

    if (length == 0 || length > DNS_NAME_MAX - 2)
        return false;
    for (size_t i = 0; i <= length; i++) {
        uint8_t byte = small((uint8_t)text[i]);

        if (i < length && text[i] != '.') {
            name.wire[i + 1] = byte;
            continue;
        }
        if (i - start == 0 || i - start > LABEL_MAX)
            return false;
        name.wire[start] = (uint8_t)(i - start);
        start = i + 1;
    }
    name.length = (uint8_t)(length + 2);
    *ret_name = name;
    return true;
}

const char *dns_service_host(const char *text)
{
    while (*text == '_' && strchr(text, '.'))
        text = strchr(text, '.') + 1;
    return text;
}
