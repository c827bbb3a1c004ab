/* Listening sockets on the host, opened by the supervisor and served by netjail-service.
 *
 * An IPv6 socket is for IPv6 only: both families are asked for by two ops, never by one socket. A
 * port that is taken is an error that names the holder: the inode of the socket is looked up in
 * /proc/net, then the process that has it among its descriptors. Without privilege other users'
 * descriptors cannot be seen; then the message says so. */
#include "kernel/listen.h"

#include "base/cleanup.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#define BACKLOG       4096
#define PROGRAM_SIZE  128
#define TCP_LISTENING 0x0a

/* One line of /proc/net/{tcp,udp}{,6} (proc(5)): local port, state and inode. */
static bool parse_line(const char *line, unsigned *ret_port, unsigned *ret_state,
                       uint64_t *ret_inode)
{
    return sscanf(line, " %*u: %*[0-9A-Fa-f]:%x %*[0-9A-Fa-f]:%*x %x %*s %*s %*s %*s %*s %" SCNu64,
                  ret_port, ret_state, ret_inode) == 3;
}

static uint64_t find_inode_in(const char *path, uint16_t port, bool is_tcp)
{
    cleanup_file FILE *file = fopen(path, "re");
    char line[512];
    while (file && fgets(line, sizeof line, file)) {
        unsigned its_port, state;
        uint64_t inode;
        if (parse_line(line, &its_port, &state, &inode) && its_port == port && inode != 0 &&
            (!is_tcp || state == TCP_LISTENING))
            return inode;
    }
    return 0;
}

static uint64_t find_inode(const struct op *op)
{
    bool is_tcp = op->listen.protocol == IPPROTO_TCP;
    bool is_v4 = op->listen.addr.family == ADDR_V4;
    const char *paths[] = {is_tcp ? "/proc/net/tcp" : "/proc/net/udp",
                           is_tcp ? "/proc/net/tcp6" : "/proc/net/udp6"};
    /* A holder of the other family is possible, too: a dual-stack socket. */
    uint64_t inode = find_inode_in(paths[is_v4 ? 0 : 1], op->listen.port, is_tcp);
    return inode ? inode : find_inode_in(paths[is_v4 ? 1 : 0], op->listen.port, is_tcp);
}

static bool holds_inode(const char *pid, uint64_t inode)
{
    char path[64], wanted[48];
    (void)snprintf(path, sizeof path, "/proc/%.20s/fd", pid);
    (void)snprintf(wanted, sizeof wanted, "socket:[%" PRIu64 "]", inode);
    cleanup_dir DIR *directory = opendir(path);
    const struct dirent *entry;
    while (directory && (entry = readdir(directory))) {
        char target[sizeof wanted + 1];
        ssize_t length = readlinkat(dirfd(directory), entry->d_name, target, sizeof target - 1);
        if (length > 0 && (size_t)length == strlen(wanted) &&
            memcmp(target, wanted, (size_t)length) == 0)
            return true;
    }
    return false;
}

/* The first line or argument of /proc/PID/FILE. It is the program's own choice: only printable
 * characters are taken over. Returns the length that was read. */
static size_t read_process(const char *pid, const char *file, char *text, size_t size)
{
    char path[64];
    (void)snprintf(path, sizeof path, "/proc/%.20s/%s", pid, file); /* fits */
    cleanup_fd int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t length = fd < 0 ? 0 : read(fd, text, size - 1);
    if (length < 0)
        length = 0;
    text[length] = '\0';
    for (char *c = text; c < text + length; c++)
        if (*c != '\0' && !isprint((unsigned char)*c))
            *c = (char)(*c == '\n' ? '\0' : '?');
    return (size_t)length;
}

/* "nginx (pid 123)", or, for what a jail publishes, "jail 'web' (pid 123)". */
static void describe_process(const char *pid, char program[PROGRAM_SIZE])
{
    static const char service[] = SERVICE_PROGRAM;
    char name[32], arguments[sizeof service + JAIL_NAME_MAX + 1];
    if (read_process(pid, "cmdline", arguments, sizeof arguments) > sizeof service &&
        strcmp(arguments, service) == 0) {
        (void)snprintf(program, PROGRAM_SIZE, "jail '%.63s' (pid %.20s)",
                       arguments + sizeof service, pid); /* fits */
        return;
    }
    if (read_process(pid, "comm", name, sizeof name) == 0)
        (void)snprintf(name, sizeof name, "?");                         /* fits */
    (void)snprintf(program, PROGRAM_SIZE, "%s (pid %.20s)", name, pid); /* fits */
}

static bool find_holder(const struct op *op, char program[PROGRAM_SIZE])
{
    uint64_t inode = find_inode(op);
    if (inode == 0)
        return false;
    cleanup_dir DIR *directory = opendir("/proc");
    const struct dirent *entry;
    while (directory && (entry = readdir(directory))) {
        if (!isdigit((unsigned char)entry->d_name[0]) || !holds_inode(entry->d_name, inode))
            continue;
        describe_process(entry->d_name, program);
        return true;
    }
    return false;
}

static int explain_listen(const struct op *op, int code, struct error *error)
{
    char address[ADDR_TEXT_SIZE], program[PROGRAM_SIZE];
    const char *protocol = op->listen.protocol == IPPROTO_TCP ? "TCP" : "UDP";
    bool is_v6 = op->listen.addr.family == ADDR_V6;
    addr_print(&op->listen.addr, address);
    if (code == -EADDRINUSE && find_holder(op, program))
        return error_set(error, code, "cannot listen on %s port %s%s%s:%u: it is in use by %s",
                         protocol, is_v6 ? "[" : "", address, is_v6 ? "]" : "", op->listen.port,
                         program);
    error_errno(error, code, "cannot listen on %s port %s%s%s:%u", protocol, is_v6 ? "[" : "",
                address, is_v6 ? "]" : "", op->listen.port);
    if (code == -EADDRINUSE)
        error_hint(error, "a program that you cannot see has this port; as root `ss -lnp` names "
                          "it, or choose another port");
    else if (code == -EACCES && op->listen.port < 1024)
        error_hint(error,
                   "an ordinary user may not have ports below net.ipv4.ip_unprivileged_port_start "
                   "(usually 1024): publish a higher one, for example %u, run netjail as root, or "
                   "let the administrator lower that setting",
                   op->listen.port + 8000u);
    else if (code == -EADDRNOTAVAIL)
        error_hint(error, "the host has no such address");
    return code;
}

static socklen_t fill_sockaddr(const struct op *op, struct sockaddr_storage *storage)
{
    *storage = (struct sockaddr_storage){0};
    if (op->listen.addr.family == ADDR_V4) {
        struct sockaddr_in *in = (struct sockaddr_in *)storage;
        in->sin_family = AF_INET;
        in->sin_port = htons(op->listen.port);
        memcpy(&in->sin_addr, op->listen.addr.bytes, sizeof in->sin_addr);
        return sizeof *in;
    }
    struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)storage;
    in6->sin6_family = AF_INET6;
    in6->sin6_port = htons(op->listen.port);
    memcpy(&in6->sin6_addr, op->listen.addr.bytes, sizeof in6->sin6_addr);
    return sizeof *in6;
}

static int set_up(int fd, const struct op *op)
{
    int on = 1;
    bool is_tcp = op->listen.protocol == IPPROTO_TCP;
    struct sockaddr_storage address;
    socklen_t length = fill_sockaddr(op, &address);
    if (op->listen.addr.family == ADDR_V6 &&
        setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on) < 0)
        return -errno;
    /* The port is taken all the same: a socket without an interface collides with this one. */
    if (op->listen.is_local && setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, "lo", sizeof "lo") < 0)
        return -errno;
    /* TCP only: connections of a jail that has just ended must not block its port. For UDP it would
     * let two programs share the port. */
    if (is_tcp && setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) < 0)
        return -errno;
    if (bind(fd, (const struct sockaddr *)&address, length) < 0)
        return -errno;
    if (is_tcp && listen(fd, BACKLOG) < 0)
        return -errno;
    return 0;
}

int listen_op(const struct op *op, int *ret_fd, struct error *error)
{
    int family = op->listen.addr.family == ADDR_V4 ? AF_INET : AF_INET6;
    int type = op->listen.protocol == IPPROTO_TCP ? SOCK_STREAM : SOCK_DGRAM;
    cleanup_fd int fd = socket(family, type | SOCK_CLOEXEC | SOCK_NONBLOCK, op->listen.protocol);
    int r = fd < 0 ? -errno : set_up(fd, op);
    if (r < 0)
        return explain_listen(op, r, error);
    *ret_fd = take_fd(&fd);
    return 0;
}
