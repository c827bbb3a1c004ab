/* Ends descendants without a pid namespace.
 *
 * Children are found in /proc by their parent. When a child dies its own children become ours
 * (PR_SET_CHILD_SUBREAPER), so that killing and reaping the direct ones until there is none ends
 * the whole tree. What must not happen: a signal to a reused pid. Only direct children are
 * signalled, and a pid of a child cannot be reused before we reap it. */
#include "jail/offspring.h"

#include "base/cleanup.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <string.h>
#include <sys/wait.h>

#define REAP_MAX     1000 /* between two rounds of signals */
#define QUICK_ROUNDS 100

/* The parent's pid in /proc/PID/stat: the second field behind the last ')' (proc(5)); 0: unknown.
 */
static pid_t parent_of(int proc_fd, const char *name)
{
    char path[32];
    char text[512];
    const char *end;
    ssize_t length;

    (void)snprintf(path, sizeof path, "%.15s/stat", name); /* a pid fits */
    cleanup_fd int fd = openat(proc_fd, path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return 0;
    length = read(fd, text, sizeof text - 1);
    if (length <= 0)
        return 0;
    text[length] = '\0';
    end = strrchr(text, ')');
    return end && strlen(end) > 4 ? (pid_t)strtol(end + 4, NULL, 10) : 0;
}

void offspring_signal(int signal)
{
    DIR *directory = opendir("/proc");
    const struct dirent *entry;

    if (!directory)
        return;
    while ((entry = readdir(directory))) {
        pid_t pid = (pid_t)strtol(entry->d_name, NULL, 10);

        if (pid > 0 && parent_of(dirfd(directory), entry->d_name) == getpid())
            (void)kill(pid, signal); /* it may have ended */
    }
    (void)closedir(directory); /* only read */
}

bool offspring_exists(void)
{
    siginfo_t info;

    return waitid(P_ALL, 0, &info, WEXITED | WSTOPPED | WNOHANG | WNOWAIT) == 0 || errno != ECHILD;
}

/* The children that the kernel lists, which is much faster, but may leave one out while others end
 * (proc(5)). False: there is no such list. */
static bool listed_kill(void)
{
    cleanup_fd int fd = open("/proc/thread-self/children", O_RDONLY | O_CLOEXEC);
    char text[4096];
    ssize_t length = fd < 0 ? -1 : read(fd, text, sizeof text - 1);

    if (length <= 0)
        return false;
    text[length] = '\0';
    for (char *at = text; *at;) {
        pid_t pid = (pid_t)strtol(at, &at, 10);

        if (pid > 0 && *at == ' ')    /* the last one may be cut */
            (void)kill(pid, SIGKILL); /* it may have ended */
        at += strspn(at, " ");
    }
    return true;
}

static bool reap_ready(void)
{
    int reaped = 0;

    while (reaped < REAP_MAX && waitpid(-1, NULL, WNOHANG) > 0)
        reaped++;
    return reaped > 0;
}

void offspring_kill(void)
{
    /* Looking through /proc takes long where the host has many processes. */
    if (!offspring_exists())
        return;
    /* Those that fork and end as fast as they can are met in quick rounds. Then one is waited for
     * after signals to all: a child that came to us after these is met by the next ones, and never
     * waited for before. */
    do {
        for (int i = 0; i < QUICK_ROUNDS && listed_kill() && reap_ready(); i++)
            ;
        offspring_signal(SIGKILL);
    } while (waitpid(-1, NULL, 0) > 0);
}
