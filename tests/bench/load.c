/* The programs of tests/bench/relay.
 *
 *   load serve ADDRESS                   echoes: TCP and UDP at port 9000
 *   load rate ADDRESS CLIENTS            connect, a byte there, a byte back, close: how often a
 * second load datagrams ADDRESS CLIENTS       a datagram there, one back: how often a second load
 * many ADDRESS COUNT              holds connections until standard input ends load forward NETNS
 * ADDRESS           the floor of a relay: what listens at ADDRESS in the namespace NETNS (ports
 * 5201, 9000) is connected to the same ADDRESS outside
 *
 * Clients are processes; each waits for its answer before it asks again. */
#include <arpa/inet.h>
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define PORT    9000
#define SECONDS 3.0
/* Of all clients together. Half of a namespace's ports (ip_local_port_range) are taken first; when
 * they wait in TIME_WAIT, what is measured is the search for another. */
#define CONNECTIONS 12000
#define FDS_MAX     262144

static double now(void)
{
    struct timespec time;

    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

static struct sockaddr_in place(const char *address, int port)
{
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};

    if (inet_pton(AF_INET, address, &to.sin_addr) != 1)
        errx(1, "%s is no IPv4 address", address);
    return to;
}

static int open_at(const char *address, int port, int type)
{
    struct sockaddr_in to = place(address, port);
    int fd = socket(AF_INET, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &(int){1}, sizeof(int)) < 0 ||
        bind(fd, (struct sockaddr *)&to, sizeof to) < 0 ||
        (type == SOCK_STREAM && listen(fd, 4096) < 0))
        err(1, "%s:%d", address, port);
    return fd;
}

static void raise_files(void)
{
    struct rlimit limit = {FDS_MAX, FDS_MAX};

    if (setrlimit(RLIMIT_NOFILE, &limit) == 0 || getrlimit(RLIMIT_NOFILE, &limit) < 0)
        return;
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
}

static void watch(int epoll, int fd, uint32_t events)
{
    struct epoll_event event = {.events = events, .data.fd = fd};

    if (epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) < 0)
        err(1, "epoll_ctl");
}

static void echo_datagrams(int fd)
{
    char buffer[2048];
    struct sockaddr_in from;
    socklen_t size = sizeof from;
    ssize_t got = recvfrom(fd, buffer, sizeof buffer, 0, (struct sockaddr *)&from, &size);

    if (got >= 0)
        sendto(fd, buffer, (size_t)got, 0, (struct sockaddr *)&from, size);
}

static void serve(const char *address)
{
    int listener = open_at(address, PORT, SOCK_STREAM);
    int datagrams = open_at(address, PORT, SOCK_DGRAM);
    int epoll = epoll_create1(EPOLL_CLOEXEC);

    watch(epoll, listener, EPOLLIN);
    watch(epoll, datagrams, EPOLLIN);
    for (;;) {
        struct epoll_event events[64];
        int count = epoll_wait(epoll, events, 64, -1);

        for (int i = 0; i < count; i++) {
            char buffer[2048];
            int fd = events[i].data.fd;
            ssize_t got;

            if (fd == listener) {
                if ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0)
                    watch(epoll, fd, EPOLLIN);
            } else if (fd == datagrams) {
                echo_datagrams(fd);
            } else if ((got = read(fd, buffer, sizeof buffer)) <= 0 ||
                       write(fd, buffer, (size_t)got) < 0) {
                close(fd);
            }
        }
    }
}

static void ask_by_tcp(const struct sockaddr_in *to)
{
    char byte = 'x';
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    if (fd < 0 || connect(fd, (const struct sockaddr *)to, sizeof *to) < 0 ||
        write(fd, &byte, 1) != 1 || read(fd, &byte, 1) != 1)
        err(1, "connection");
    close(fd);
}

static void ask_by_udp(int fd)
{
    char buffer[64] = {0};

    if (send(fd, buffer, sizeof buffer, 0) < 0)
        err(1, "send");
    while (recv(fd, buffer, sizeof buffer, 0) < 0)
        if (errno != EAGAIN || send(fd, buffer, sizeof buffer, 0) < 0) /* lost: once more */
            err(1, "recv");
}

/* How often a second, asking no more than `most` times. */
static double client(const char *address, int is_udp, double most)
{
    struct sockaddr_in to = place(address, PORT);
    struct timeval patience = {.tv_sec = 1};
    double start = now();
    double count = 0;
    int fd = socket(AF_INET, SOCK_DGRAM, 0);

    if (fd < 0 || connect(fd, (struct sockaddr *)&to, sizeof to) < 0 ||
        setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience) < 0)
        err(1, "socket");
    for (; now() < start + SECONDS && count < most; count++)
        is_udp ? ask_by_udp(fd) : ask_by_tcp(&to);
    return count / (now() - start);
}

static void clients(const char *address, int count, int is_udp)
{
    double most = is_udp ? 1e9 : CONNECTIONS / count;
    double sum = 0;
    double one;
    int ends[2];

    if (pipe(ends) < 0)
        err(1, "pipe");
    for (int i = 0; i < count; i++) {
        if (fork() != 0)
            continue;
        one = client(address, is_udp, most);
        exit(write(ends[1], &one, sizeof one) != sizeof one);
    }
    close(ends[1]);
    for (int i = 0; i < count; i++) {
        int status;

        if (wait(&status) < 0 || status != 0)
            errx(1, "a client failed");
    }
    while (read(ends[0], &one, sizeof one) == sizeof one)
        sum += one;
    printf("%.0f\n", sum);
}

static void many(const char *address, int count)
{
    struct sockaddr_in to = place(address, PORT);
    double start = now();
    int held = 0;
    char byte;

    raise_files();
    for (; held < count; held++) {
        int fd = socket(AF_INET, SOCK_STREAM, 0);

        if (fd < 0 || connect(fd, (struct sockaddr *)&to, sizeof to) < 0) {
            printf("after %d connections: %s\n", held, strerror(errno));
            break;
        }
        byte = 'x'; /* a byte there and back: it is carried, then it is idle */
        if (write(fd, &byte, 1) != 1 || read(fd, &byte, 1) != 1) {
            printf("after %d connections: nothing is carried\n", held);
            break;
        }
    }
    printf("%d connections in %.1f s\n", held, now() - start);
    fflush(stdout);
    while (read(STDIN_FILENO, &byte, 1) > 0)
        ;
}

/* The floor. By descriptor: the other side, and the pipe that its bytes go into. */
static struct {
    int peer;
    int pipe[2];
    size_t pending;
    int ended;
} * ends_of;
static struct sockaddr_in outside[2];
static int inside[2], inside_datagrams, floor_epoll;
static int free_pipes[64][2], free_count;
static int flows[65536]; /* by the client's port */
static struct sockaddr_in flow_client[65536];

static void connect_outside(int which)
{
    int fd = accept4(inside[which], NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    int outer;

    if (fd < 0)
        return;
    outer = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (outer < 0 ||
        (connect(outer, (struct sockaddr *)&outside[which], sizeof outside[which]) < 0 &&
         errno != EINPROGRESS))
        err(1, "connect");
    memset(&ends_of[fd], 0, sizeof ends_of[fd]);
    memset(&ends_of[outer], 0, sizeof ends_of[outer]);
    ends_of[fd].peer = outer;
    ends_of[outer].peer = fd;
    watch(floor_epoll, fd, EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET);
    watch(floor_epoll, outer, EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET);
}

static void give_pipe(int fd)
{
    if (!ends_of[fd].pipe[1])
        return;
    if (ends_of[fd].pending == 0 && free_count < 64) {
        memcpy(free_pipes[free_count++], ends_of[fd].pipe, sizeof free_pipes[0]);
    } else {
        close(ends_of[fd].pipe[0]);
        close(ends_of[fd].pipe[1]);
    }
    ends_of[fd].pipe[1] = 0;
}

static void take_pipe(int fd)
{
    if (ends_of[fd].pipe[1])
        return;
    if (free_count > 0) {
        memcpy(ends_of[fd].pipe, free_pipes[--free_count], sizeof free_pipes[0]);
        return;
    }
    if (pipe2(ends_of[fd].pipe, O_NONBLOCK | O_CLOEXEC) < 0)
        err(1, "pipe");
    fcntl(ends_of[fd].pipe[1], F_SETPIPE_SZ, 1 << 20);
}

static int carry(int fd)
{
    int peer = ends_of[fd].peer;

    while (!ends_of[fd].ended) {
        ssize_t got;

        take_pipe(fd);
        got = splice(fd, NULL, ends_of[fd].pipe[1], NULL, 1 << 20, SPLICE_F_NONBLOCK);
        if (got > 0)
            ends_of[fd].pending += (size_t)got;
        else if (got < 0 && errno != EAGAIN)
            return -1;
        if (ends_of[fd].pending > 0) {
            ssize_t put = splice(ends_of[fd].pipe[0], NULL, peer, NULL, ends_of[fd].pending,
                                 SPLICE_F_NONBLOCK);

            if (put < 0)
                return errno == EAGAIN ? 0 : -1;
            ends_of[fd].pending -= (size_t)put;
            continue;
        }
        give_pipe(fd);
        if (got < 0)
            return 0;
        ends_of[fd].ended = 1;
        shutdown(peer, SHUT_WR);
    }
    return 0;
}

static void event(int fd)
{
    int peer = ends_of[fd].peer;

    if (peer == 0)
        return;
    if (carry(fd) == 0 && carry(peer) == 0 && !(ends_of[fd].ended && ends_of[peer].ended))
        return;
    give_pipe(fd);
    give_pipe(peer);
    ends_of[fd].peer = ends_of[peer].peer = 0;
    close(fd);
    close(peer);
}

static void pass_datagram(void)
{
    char buffer[2048];
    struct sockaddr_in from;
    socklen_t size = sizeof from;
    ssize_t got =
        recvfrom(inside_datagrams, buffer, sizeof buffer, 0, (struct sockaddr *)&from, &size);
    int port = ntohs(from.sin_port);
    int fd;

    if (got < 0)
        return;
    fd = flows[port];
    if (!fd) {
        fd = flows[port] = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        if (fd < 0 || connect(fd, (struct sockaddr *)&outside[1], sizeof outside[1]) < 0)
            err(1, "connect");
        flow_client[fd] = from;
        ends_of[fd].peer = -1;
        watch(floor_epoll, fd, EPOLLIN);
    }
    send(fd, buffer, (size_t)got, 0);
}

static void pass_answer(int fd)
{
    char buffer[2048];
    ssize_t got = recv(fd, buffer, sizeof buffer, 0);

    if (got >= 0)
        sendto(inside_datagrams, buffer, (size_t)got, 0, (struct sockaddr *)&flow_client[fd],
               sizeof flow_client[fd]);
}

static void forward(const char *netns, const char *address)
{
    int own = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
    int jail = open(netns, O_RDONLY | O_CLOEXEC);
    const int ports[2] = {5201, PORT};

    raise_files();
    ends_of = calloc(FDS_MAX, sizeof *ends_of);
    floor_epoll = epoll_create1(EPOLL_CLOEXEC);
    if (!ends_of || own < 0 || jail < 0 || setns(jail, CLONE_NEWNET) < 0)
        err(1, "%s", netns);
    inside_datagrams = open_at(address, PORT, SOCK_DGRAM);
    watch(floor_epoll, inside_datagrams, EPOLLIN);
    for (int i = 0; i < 2; i++) {
        outside[i] = place(address, ports[i]);
        inside[i] = open_at(address, ports[i], SOCK_STREAM);
        watch(floor_epoll, inside[i], EPOLLIN);
    }
    if (setns(own, CLONE_NEWNET) < 0)
        err(1, "setns");
    for (;;) {
        struct epoll_event events[128];
        int count = epoll_wait(floor_epoll, events, 128, -1);

        for (int i = 0; i < count; i++) {
            int fd = events[i].data.fd;

            if (fd == inside[0] || fd == inside[1])
                connect_outside(fd == inside[1]);
            else if (fd == inside_datagrams)
                pass_datagram();
            else if (ends_of[fd].peer < 0)
                pass_answer(fd);
            else
                event(fd);
        }
    }
}

int main(int argc, char **argv)
{
    const char *what = argc > 2 ? argv[1] : "";
    int number = argc > 3 ? atoi(argv[3]) : 1;

    if (strcmp(what, "serve") == 0) {
        raise_files();
        serve(argv[2]);
    } else if (strcmp(what, "rate") == 0) {
        clients(argv[2], number, 0);
    } else if (strcmp(what, "datagrams") == 0) {
        clients(argv[2], number, 1);
    } else if (strcmp(what, "many") == 0) {
        many(argv[2], number);
    } else if (strcmp(what, "forward") == 0 && argc > 3) {
        forward(argv[2], argv[3]);
    } else {
        errx(2, "usage: load serve|rate|datagrams|many|forward ADDRESS|NETNS [NUMBER|ADDRESS]");
    }
    return 0;
}
