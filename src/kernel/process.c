/* Facts about processes, from /proc. */
#include "kernel/process.h"

#include "base/cleanup.h"

#include <fcntl.h>
#include <string.h>

#define FIELD_START_TIME 22 /* counted from 1; field 2 is the name in parentheses */

uint64_t process_start_time(pid_t pid)
{
    char path[64];
    char text[1024];

    (void)snprintf(path, sizeof path, "/proc/%d/stat", (int)pid); /* fits */
    cleanup_fd int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return 0;
    ssize_t length = read(fd, text, sizeof text - 1);
    if (length <= 0)
        return 0;
    text[length] = '\0';
    /* The name may contain anything, also ") "; it ends at the last parenthesis. */
    const char *at = strrchr(text, ')');
    for (int field = 2; at && field < FIELD_START_TIME; field++)
        at = strchr(at + 1, ' ');
    return at ? strtoull(at, NULL, 10) : 0;
}
