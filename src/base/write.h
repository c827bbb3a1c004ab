/* Writing as a whole. Inline: the objects of this folder make no system call. */
#pragma once

#include <errno.h>
#include <stddef.h>
#include <unistd.h>

/* Writes all `length` bytes to a blocking descriptor. 0 or a negative errno; -EIO: it took none. */
static inline int write_all(int fd, const void *bytes, size_t length)
{
    const char *at = bytes;

    while (length > 0) {
        ssize_t wrote = write(fd, at, length);
        if (wrote < 0 && errno == EINTR)
            continue;
        if (wrote <= 0)
            return wrote < 0 ? -errno : -EIO;
        at += wrote;
        length -= (size_t)wrote;
    }
    return 0;
}
