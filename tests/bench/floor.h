/* What both floors share: the namespaces that netjail makes, /proc, lo, and nothing else. Errors
 * end the program: a floor that did less than it says would be a wrong measure. */
#pragma once

#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <net/if.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static inline void must(int ok, const char *what)
{
    if (ok)
        return;
    perror(what);
    _exit(125);
}

static inline void write_file(const char *path, const char *text)
{
    int fd = open(path, O_WRONLY | O_CLOEXEC);

    must(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text), path);
    (void)close(fd); /* procfs: the write has told */
}

/* A user namespace with the caller's own ids. */
static inline void map_self(uid_t uid, gid_t gid)
{
    char text[64];

    write_file("/proc/self/setgroups", "deny");
    (void)snprintf(text, sizeof text, "%u %u 1", uid, uid); /* fits */
    write_file("/proc/self/uid_map", text);
    (void)snprintf(text, sizeof text, "%u %u 1", gid, gid); /* fits */
    write_file("/proc/self/gid_map", text);
}

static inline void link_up(const char *name)
{
    struct ifreq request = {.ifr_flags = IFF_UP};
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

    (void)snprintf(request.ifr_name, sizeof request.ifr_name, "%s", name); /* names fit */
    must(fd >= 0 && ioctl(fd, SIOCSIFFLAGS, &request) == 0, name);
    (void)close(fd); /* holds nothing */
}

/* 0 in the child, which is pid 1 of the new namespaces. */
static inline pid_t start(void)
{
    uid_t uid = getuid();
    gid_t gid = getgid();
    struct clone_args args = {.flags = CLONE_NEWNET | CLONE_NEWPID | CLONE_NEWNS | CLONE_NEWIPC |
                                       (uid ? CLONE_NEWUSER : 0),
                              .exit_signal = SIGCHLD};
    pid_t pid = (pid_t)syscall(SYS_clone3, &args, sizeof args);

    must(pid >= 0, "clone3");
    if (pid == 0) {
        if (uid)
            map_self(uid, gid);
        must(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0, "mount /");
        must(mount("proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL) == 0,
             "mount /proc");
        link_up("lo");
    }
    return pid;
}

static inline int wait_for(pid_t pid)
{
    int status = 0;

    must(waitpid(pid, &status, 0) == pid, "waitpid");
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}
