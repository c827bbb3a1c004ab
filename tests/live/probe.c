/* A command that looks at the jail it is in:
 *     probe FILE [network] [LINK | name/NAME | closed/NAME | tcp/ADDRESS/PORT]...
 * writes `strong` or `weak: WHY` to FILE. Somebody listens at the addresses, which must be out of
 * reach. NAMEs are asked for, whatever comes, and only the `closed` must not be answered. With
 * `network`, it is no jail's command, but looks from outside at a jail's network alone.
 *
 * faults.py runs it while single system calls are made to fail, in it as well as in netjail. So a
 * failure here says nothing: everything is tried TRIES times, and only what was seen to be possible
 * is a weakness. LINKs are the only interfaces that may exist besides lo. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <unistd.h>

#define TRIES 3

static char weakness[200];

static void weak(const char *why)
{
    if (!weakness[0])
        (void)snprintf(weakness, sizeof weakness, "weak: %s\n", why);
}

static void read_file(const char *path, char *text, size_t size)
{
    for (int i = 0; i < TRIES; i++) {
        int fd = open(path, O_RDONLY | O_CLOEXEC);
        ssize_t length = fd < 0 ? -1 : read(fd, text, size - 1);

        if (fd >= 0)
            (void)close(fd);
        if (length > 0) {
            text[length] = '\0';
            return;
        }
    }
    text[0] = '\0';
}

static void check_status(void)
{
    static const char *const lines[] = {"NoNewPrivs:\t1",
                                        "Seccomp:\t2",
                                        "CapInh:\t0000000000000000",
                                        "CapPrm:\t0000000000000000",
                                        "CapEff:\t0000000000000000",
                                        "CapBnd:\t0000000000000000",
                                        "CapAmb:\t0000000000000000",
                                        "Seccomp_filters:\t1"};
    char text[8192];

    read_file("/proc/self/status", text, sizeof text);
    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++) {
        if (!strstr(text, lines[i]))
            weak(lines[i]);
    }
}

static void check_interfaces(char **allowed)
{
    char text[8192];
    char *save;

    read_file("/proc/self/net/dev", text, sizeof text);
    for (char *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
        char name[64];
        bool known = false;

        if (sscanf(line, " %63[^: |]:", name) != 1 || !strchr(line, ':'))
            continue;
        known = strcmp(name, "lo") == 0;
        for (char **one = allowed; *one; one++)
            known = known || strcmp(name, *one) == 0;
        if (!known && strcmp(name, "sit0") != 0 && strncmp(name, "ip6", 3) != 0 &&
            strncmp(name, "tunl", 4) != 0 && strncmp(name, "gre", 3) != 0 &&
            strncmp(name, "erspan", 6) != 0 && strncmp(name, "ip_vti", 6) != 0)
            weak(name);
    }
}

static void check_mounts(void)
{
    struct statvfs state;

    for (int i = 0; i < TRIES; i++) {
        if (statvfs("/", &state) == 0 && !(state.f_flag & ST_NOSUID))
            weak("programs with a set-user-ID bit");
        if (statvfs("/proc/sys", &state) == 0 && !(state.f_flag & ST_RDONLY))
            weak("a writable /proc/sys");
    }
}

/* Only the filters answer so: clone3() would be EINVAL, socketpair() EOPNOTSUPP, keyctl() ENOKEY.
 */
static void check_filters(void)
{
    int pair[2];

    for (int i = 0; i < TRIES; i++) {
        if (syscall(SYS_clone3, NULL, 0) < 0 && errno == EINVAL)
            weak("no filter of calls");
        if (socketpair(AF_INET, SOCK_STREAM, 0, pair) < 0 && errno == EOPNOTSUPP)
            weak("no filter of families");
    }
}

static void check_calls(void)
{
    for (int i = 0; i < TRIES; i++) {
        if (socket(AF_PACKET, SOCK_RAW, 0) >= 0 || socket(AF_VSOCK, SOCK_STREAM, 0) >= 0)
            weak("a socket of a forbidden family");
        if (socket(AF_INET, SOCK_RAW, 1) >= 0)
            weak("a raw socket");
        if (syscall(SYS_unshare, 0x10000000 /* CLONE_NEWUSER */) == 0)
            weak("unshare");
        if (mount("none", "/mnt", "tmpfs", 0, NULL) == 0)
            weak("mount");
        if (open("/proc/sys/net/ipv4/ip_forward", O_WRONLY) >= 0)
            weak("a writable sysctl");
        if (open("/sys/kernel/uevent_helper", O_WRONLY) >= 0)
            weak("a writable /sys");
        if (access("/run/docker.sock", F_OK) == 0)
            weak("/run/docker.sock");
        if (open("/proc/1/mem", O_RDWR) >= 0)
            weak("init's memory");
    }
    for (int fd = 3; fd < 64; fd++) {
        struct stat state;

        if (fstat(fd, &state) == 0 && (S_ISSOCK(state.st_mode) || S_ISDIR(state.st_mode)) &&
            !(fcntl(fd, F_GETFD) & FD_CLOEXEC))
            weak("an inherited socket or directory");
    }
}

/* tcp/ADDRESS/PORT */
static void check_closed(const char *text)
{
    struct sockaddr_storage address = {0};
    char host[64];
    unsigned port;
    int fd;

    if (sscanf(text, "tcp/%63[^/]/%u", host, &port) != 2)
        return;
    struct sockaddr_in *four = (struct sockaddr_in *)&address;
    struct sockaddr_in6 *six = (struct sockaddr_in6 *)&address;
    if (inet_pton(AF_INET, host, &four->sin_addr) == 1) {
        four->sin_family = AF_INET;
        four->sin_port = htons((uint16_t)port);
    } else if (inet_pton(AF_INET6, host, &six->sin6_addr) == 1) {
        six->sin6_family = AF_INET6;
        six->sin6_port = htons((uint16_t)port);
    } else {
        weak("an address that is none");
    }
    fd = socket(address.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const struct timeval limit = {.tv_usec = 500000};
    (void)setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
    if (connect(fd, (struct sockaddr *)&address, sizeof address) == 0)
        weak(text);
    (void)close(fd);
}

/* NAME/NAME as a DNS question (RFC 1035) for its address; returns the number of answers. */
static int ask_name(const char *name)
{
    const struct sockaddr_in server = {
        .sin_family = AF_INET, .sin_port = htons(53), .sin_addr.s_addr = htonl(0x7f000035)};
    const struct timeval limit = {.tv_usec = 700000};
    unsigned char packet[512] = {0x12, 0x34, 0x01, 0, 0, 1};
    size_t length = 12;

    while (*name) {
        size_t label = strcspn(name, ".");

        packet[length++] = (unsigned char)label;
        memcpy(packet + length, name, label);
        length += label;
        name += label + (name[label] == '.');
    }
    packet[length + 2] = 1; /* A */
    packet[length + 4] = 1; /* IN */
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    (void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    ssize_t received = -1;
    if (connect(fd, (const struct sockaddr *)&server, sizeof server) == 0 &&
        send(fd, packet, length + 5, 0) > 0)
        received = recv(fd, packet, sizeof packet, 0);
    (void)close(fd);
    return received < 12 ? 0 : packet[6] << 8 | packet[7];
}

static void check_name(const char *text)
{
    if (strncmp(text, "name/", 5) == 0)
        (void)ask_name(text + 5);
    if (strncmp(text, "closed/", 7) == 0 && ask_name(text + 7) > 0)
        weak(text);
}

int main(int argc, char **argv)
{
    int fd = -1;

    if (argc < 2)
        return 2;
    check_interfaces(argv + 2);
    if (argc < 3 || strcmp(argv[2], "network") != 0) {
        check_status();
        check_mounts();
        check_filters();
        check_calls();
    }
    for (int i = 2; i < argc; i++) {
        check_name(argv[i]);
        check_closed(argv[i]);
    }
    for (int i = 0; fd < 0 && i < TRIES; i++)
        fd = open(argv[1], O_WRONLY | O_CREAT | O_TRUNC, 0644);
    for (int i = 0; i < TRIES; i++) {
        const char *text = weakness[0] ? weakness : "strong\n";

        if (write(fd, text, strlen(text)) > 0)
            break;
    }
    return weakness[0] ? 1 : 0;
}
