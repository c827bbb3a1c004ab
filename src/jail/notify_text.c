/* The lines of an sd_notify(3) datagram.
 *
 * systemd splits at newline and carriage return and ignores a datagram with a NUL inside; so do we,
 * else a line could be hidden from us and seen by it. Lines that are not known pass: they are for
 * the manager to judge. No system call, no allocation. */
#include "jail/notify_text.h"

#include "base/cleanup.h"

#include <string.h>

/* Lines that begin so never pass. MAINPID, MAINPIDFDID, MAINPIDFD...: all of these name a process.
 */
static const char *const refused[] = {"MAINPID", "NOTIFYACCESS="};
static const char *const about_descriptors[] = {"FDSTORE=1", "FDNAME=", "FDPOLL=", "BARRIER="};

static bool is_separator(char byte)
{
    return byte == '\n' || byte == '\r';
}

static bool begins(const char *line, size_t length, const char *prefix)
{
    size_t size = strlen(prefix);

    return length >= size && memcmp(line, prefix, size) == 0;
}

static bool equals(const char *line, size_t length, const char *text)
{
    return length == strlen(text) && memcmp(line, text, length) == 0;
}

/* The next line that is not empty, from *position on; false at the end. */
static bool line_next(const char *text, size_t length, size_t *position, size_t *ret_start,
                      size_t *ret_length)
{
    size_t start = *position;
    size_t end;

    while (start < length && is_separator(text[start]))
        start++;
    for (end = start; end < length && !is_separator(text[end]); end++)
        ;
    *position = end;
    *ret_start = start;
    *ret_length = end - start;
    return end > start;
}

/* systemd takes a NUL at the end for the end. */
static size_t length_without_nul(const char *text, size_t length)
{
    return length > 0 && text[length - 1] == '\0' ? length - 1 : length;
}

enum notify_text_purpose notify_text_purpose(const char *text, size_t length)
{
    enum notify_text_purpose purpose = NOTIFY_TEXT_PLAIN;
    size_t position = 0, start, size;

    if (length > NOTIFY_TEXT_MAX)
        return NOTIFY_TEXT_INVALID;
    length = length_without_nul(text, length);
    if (length == 0 || memchr(text, '\0', length))
        return NOTIFY_TEXT_INVALID;
    while (line_next(text, length, &position, &start, &size)) {
        if (equals(text + start, size, "BARRIER=1"))
            return NOTIFY_TEXT_BARRIER;
        if (equals(text + start, size, "FDSTORE=1"))
            purpose = NOTIFY_TEXT_STORE;
    }
    return purpose;
}

static bool passes(const char *line, size_t length, bool descriptors)
{
    for (size_t i = 0; i < ARRAY_LENGTH(refused); i++) {
        if (begins(line, length, refused[i]))
            return false;
    }
    for (size_t i = 0; !descriptors && i < ARRAY_LENGTH(about_descriptors); i++) {
        if (begins(line, length, about_descriptors[i]))
            return false;
    }
    return true;
}

/* FDSTOREREMOVE=1 needs its FDNAME: a name stays when it has no FDSTORE beside it. */
static bool removes_stored(const char *text, size_t length)
{
    size_t position = 0, start, size;
    bool removes = false;

    while (line_next(text, length, &position, &start, &size)) {
        if (equals(text + start, size, "FDSTORE=1"))
            return false;
        removes = removes || equals(text + start, size, "FDSTOREREMOVE=1");
    }
    return removes;
}

size_t notify_text_filter(char *text, size_t length, bool descriptors)
{
    size_t position = 0, start, size, kept = 0;

    length = length_without_nul(text, length);
    descriptors = descriptors || removes_stored(text, length);
    while (line_next(text, length, &position, &start, &size)) {
        if (!passes(text + start, size, descriptors))
            continue;
        if (kept > 0)
            text[kept++] = '\n'; /* in the place of the separator that was there */
        memmove(text + kept, text + start, size);
        kept += size;
    }
    return kept;
}
