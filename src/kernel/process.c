/* Facts about processes, from /proc. */
#include "kernel/process.h"

#include "base/cleanup.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

/* Fields of /proc/PID/stat, counted from 1; field 2 is the name in parentheses. */
#define FIELD_PARENT     4
#define FIELD_START_TIME 22

/* A number out of an opened /proc/PID/stat; false: there is none. */
static bool stat_number(int fd, int wanted, uint64_t *ret_number)
{
    char text[1024];
    ssize_t length = fd < 0 ? -1 : read(fd, text, sizeof text - 1);

    if (length <= 0)
        return false;
    text[length] = '\0';
    /* The name may contain anything, also ") "; it ends at the last parenthesis. */
    const char *at = strrchr(text, ')');
    for (int field = 2; at && field < wanted; field++)
        at = strchr(at + 1, ' ');
    if (!at)
        return false;
    *ret_number = strtoull(at, NULL, 10);
    return true;
}

uint64_t process_start_time(pid_t pid)
{
    char path[64];
    uint64_t number = 0;

    (void)snprintf(path, sizeof path, "/proc/%d/stat", (int)pid); /* fits */
    cleanup_fd int fd = open(path, O_RDONLY | O_CLOEXEC);
    return stat_number(fd, FIELD_START_TIME, &number) ? number : 0;
}

int process_user(int process_fd, uid_t *ret_uid)
{
    static const char key[] = "\nUid:\t";
    cleanup_fd int fd = openat(process_fd, "status", O_RDONLY | O_CLOEXEC);
    char text[1024];
    ssize_t length = fd < 0 ? -1 : read(fd, text, sizeof text - 1);
    const char *at;

    if (length <= 0)
        return -ESRCH;
    text[length] = '\0';
    at = strstr(text, key); /* the name before it has its newlines escaped (proc(5)) */
    if (!at)
        return -ESRCH;
    *ret_uid = (uid_t)strtoul(at + strlen(key), NULL, 10);
    return 0;
}

int process_parent(int process_fd, pid_t *ret_parent)
{
    cleanup_fd int fd = openat(process_fd, "stat", O_RDONLY | O_CLOEXEC);
    uint64_t number;

    if (!stat_number(fd, FIELD_PARENT, &number))
        return -ESRCH;
    *ret_parent = (pid_t)number;
    return 0;
}
