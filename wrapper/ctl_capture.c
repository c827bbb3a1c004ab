/* netjailctl capture: the packets of one jail as pcap.
 *
 * A packet socket is opened in the jail's network namespace by our own right (root, or the owner of
 * the jail's user namespace); the supervisor only gives the namespace's descriptor. All interfaces,
 * lo included, are one file of link type LINUX_SLL2 (276), which tells them apart; one interface
 * (-i) is plain Ethernet. Ends with SIGINT, SIGTERM, SIGHUP, and when the jail ends. Nothing of a
 * packet is interpreted here. What must not happen: half a packet in the file. */
#include "base/buf.h"
#include "base/cleanup.h"
#include "jail/namespace_enter.h"
#include "wrapper/ctl.h"
#include "wrapper/ctl_client.h"
#include "wrapper/report.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_packet.h>
#include <linux/sockios.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>

#define PCAP_MAGIC_NS  0xa1b23c4du /* pcap with nanoseconds */
#define LINKTYPE_ETHER 1
#define LINKTYPE_SLL2  276
#define SNAP_LENGTH    262144
#define RECEIVE_BUFFER (8 << 20)

struct pcap_header {
    uint32_t magic;
    uint16_t major, minor;
    uint32_t zone, accuracy;
    uint32_t snap_length;
    uint32_t link_type;
};

struct pcap_packet {
    uint32_t seconds, nanoseconds;
    uint32_t captured, length;
};

/* LINKTYPE_LINUX_SLL2, tcpdump.org/linktypes. */
struct sll2 {
    uint16_t protocol, reserved;
    uint32_t interface;
    uint16_t hardware;
    uint8_t packet_type, address_length;
    uint8_t address[8];
};

struct capture {
    int packet_fd;
    int supervisor_fd; /* a pidfd: readable when the jail's supervisor has ended */
    int signal_fd;
    int out_fd;
    bool is_cooked;
    uint64_t packets;
    uint8_t *buffer; /* headers, then the packet */
};

/* Whole, or not at all: a pipe may take only a part at a time. */
static int write_whole(int fd, const void *data, size_t size)
{
    const char *at = data;

    while (size > 0) {
        ssize_t written = write(fd, at, size);

        if (written < 0 && errno == EINTR)
            continue;
        if (written < 0)
            return -errno;
        at += written;
        size -= (size_t)written;
    }
    return 0;
}

static int write_header(const struct capture *capture)
{
    struct pcap_header header = {.magic = PCAP_MAGIC_NS,
                                 .major = 2,
                                 .minor = 4,
                                 .snap_length = SNAP_LENGTH,
                                 .link_type = capture->is_cooked ? LINKTYPE_SLL2 : LINKTYPE_ETHER};

    return write_whole(capture->out_fd, &header, sizeof header);
}

static void fill_sll2(const struct sockaddr_ll *from, struct sll2 *ret)
{
    *ret = (struct sll2){.protocol = from->sll_protocol,
                         .interface = htonl((uint32_t)from->sll_ifindex),
                         .hardware = htons(from->sll_hatype),
                         .packet_type = from->sll_pkttype,
                         .address_length = from->sll_halen};
    memcpy(ret->address, from->sll_addr, sizeof ret->address);
}

static int take_packet(struct capture *capture)
{
    size_t extra = capture->is_cooked ? sizeof(struct sll2) : 0;
    size_t front = sizeof(struct pcap_packet) + extra;
    struct sockaddr_ll from = {0};
    socklen_t from_length = sizeof from;
    struct timespec now;
    ssize_t length = recvfrom(capture->packet_fd, capture->buffer + front, SNAP_LENGTH - extra,
                              MSG_DONTWAIT | MSG_TRUNC, (struct sockaddr *)&from, &from_length);

    if (length < 0)
        return errno == EAGAIN || errno == EINTR || errno == ENETDOWN ? 0 : -errno;
    /* On lo a packet is seen twice, as it leaves and as it comes: once is enough. */
    if (from.sll_hatype == ARPHRD_LOOPBACK && from.sll_pkttype == PACKET_OUTGOING)
        return 0;
    if (ioctl(capture->packet_fd, SIOCGSTAMPNS, &now) < 0)
        (void)clock_gettime(CLOCK_REALTIME, &now); /* cannot fail with this clock */
    size_t captured = (size_t)length < SNAP_LENGTH - extra ? (size_t)length : SNAP_LENGTH - extra;
    struct pcap_packet packet = {.seconds = (uint32_t)now.tv_sec,
                                 .nanoseconds = (uint32_t)now.tv_nsec,
                                 .captured = (uint32_t)(captured + extra),
                                 .length = (uint32_t)((size_t)length + extra)};
    memcpy(capture->buffer, &packet, sizeof packet);
    if (capture->is_cooked) {
        struct sll2 cooked;

        fill_sll2(&from, &cooked);
        memcpy(capture->buffer + sizeof packet, &cooked, sizeof cooked);
    }
    capture->packets++;
    return write_whole(capture->out_fd, capture->buffer, front + captured);
}

/* 0: ended as it should. */
static int run(struct capture *capture)
{
    int result = write_header(capture);

    while (result == 0) {
        struct pollfd fds[] = {{.fd = capture->packet_fd, .events = POLLIN},
                               {.fd = capture->signal_fd, .events = POLLIN},
                               {.fd = capture->supervisor_fd, .events = POLLIN},
                               {.fd = capture->out_fd}}; /* POLLERR: nobody reads any more */

        if (poll(fds, ARRAY_LENGTH(fds), -1) < 0)
            continue; /* only EINTR */
        if (fds[0].revents)
            result = take_packet(capture);
        else if (fds[1].revents || fds[2].revents || fds[3].revents & POLLERR)
            return 0; /* what had come before is written */
    }
    return result;
}

static int bind_socket(struct capture *capture, const char *interface, struct error *error)
{
    struct sockaddr_ll address = {.sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_ALL)};
    int size = RECEIVE_BUFFER;

    /* A larger buffer where that is permitted; without, a storm loses packets earlier. */
    if (setsockopt(capture->packet_fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof size) < 0)
        (void)setsockopt(capture->packet_fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof size);
    if (interface) {
        struct ifreq request = {0};

        (void)snprintf(request.ifr_name, sizeof request.ifr_name, "%.15s", interface); /* cut */
        if (strlen(interface) > 15 || ioctl(capture->packet_fd, SIOCGIFINDEX, &request) < 0)
            return error_set(error, -ENODEV, "the jail has no interface '%s'", interface);
        address.sll_ifindex = request.ifr_ifindex;
    }
    if (bind(capture->packet_fd, (const struct sockaddr *)&address, sizeof address) < 0)
        return error_errno(error, -errno, "cannot listen to the jail's packets");
    return 0;
}

static int open_socket(struct capture *capture, const struct found_jail *found,
                       const char *interface, struct error *error)
{
    struct namespace_socket wanted = {
        .family = AF_PACKET, .type = interface ? SOCK_RAW : SOCK_DGRAM, .protocol = 0};
    cleanup_fd int netns_fd = -1;
    int fds[NAMESPACE_SOCKETS_MAX];
    int result = jail_namespace(found, &netns_fd, error);

    if (result == 0)
        result = namespace_sockets(netns_fd, &wanted, 1, fds, error);
    if (result < 0)
        return result;
    capture->packet_fd = fds[0];
    capture->is_cooked = !interface;
    capture->supervisor_fd = (int)syscall(SYS_pidfd_open, found->record->pid, 0u);
    if (capture->supervisor_fd < 0)
        return error_errno(error, -errno, "cannot wait for the end of jail '%s'",
                           found->record->name);
    return bind_socket(capture, interface, error);
}

/* Packets are secrets: a file that somebody else has put there, or that others may read, is none
 * for them. A pipe by name is what its maker wants. */
static int open_file(struct capture *capture, const char *file, struct error *error)
{
    struct stat state;
    cleanup_fd int fd = open(file, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOCTTY, 0600);

    if (fd < 0 || fstat(fd, &state) < 0)
        return error_errno(error, -errno, "cannot write '%s'", file);
    if (S_ISREG(state.st_mode) && state.st_uid != geteuid()) {
        (void)error_set(error, -EPERM, "'%s' belongs to user %u, who could read the packets", file,
                        (unsigned)state.st_uid);
        error_hint(error, "write to a file that is not there yet");
        return -EPERM;
    }
    if (S_ISREG(state.st_mode) && (fchmod(fd, 0600) < 0 || ftruncate(fd, 0) < 0))
        return error_errno(error, -errno, "cannot write '%s'", file);
    capture->out_fd = take_fd(&fd);
    return 0;
}

static int open_output(struct capture *capture, const char *file, struct error *error)
{
    sigset_t set;

    (void)sigemptyset(&set); /* these cannot fail with valid arguments */
    (void)sigaddset(&set, SIGINT);
    (void)sigaddset(&set, SIGTERM);
    (void)sigaddset(&set, SIGHUP);
    (void)sigprocmask(SIG_BLOCK, &set, NULL);
    (void)signal(SIGPIPE, SIG_IGN); /* write(2) says it */
    capture->signal_fd = signalfd(-1, &set, SFD_CLOEXEC);
    if (capture->signal_fd < 0)
        return error_errno(error, -errno, "cannot wait for signals");
    capture->buffer = malloc(sizeof(struct pcap_packet) + SNAP_LENGTH);
    if (!capture->buffer)
        return error_errno(error, -ENOMEM, "cannot capture");
    if (!file || strcmp(file, "-") == 0) {
        capture->out_fd = fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 3);
        if (isatty(STDOUT_FILENO) == 1) {
            (void)error_set(error, -EINVAL, "packets are nothing for a terminal");
            error_hint(error, "-w FILE, or a pipe: netjailctl capture JAIL | tcpdump -nr -");
            return -EINVAL;
        }
        return 0;
    }
    return open_file(capture, file, error);
}

int ctl_capture(const struct ctl_options *options)
{
    struct capture capture = {.packet_fd = -1, .supervisor_fd = -1, .signal_fd = -1, .out_fd = -1};
    struct found_jail found = {0};
    struct error error = {0};
    int result = jail_find(options->arguments[0], &found, &error);
    bool is_missing = result == -ENOENT;
    bool is_usage = false;

    if (result == 0)
        result = open_socket(&capture, &found, options->interface, &error);
    if (result == 0) {
        result = open_output(&capture, options->file, &error);
        is_usage = result == -EINVAL;
    }
    if (result == 0) {
        if (options->file && strcmp(options->file, "-") != 0)
            report_note(CTL_PROGRAM, "packets of jail '%s' go to %s; Ctrl-C ends it",
                        found.record->name, options->file);
        result = run(&capture);
        if (result == -EPIPE)
            result = 0; /* who reads has seen enough */
        if (result < 0)
            (void)error_errno(&error, result, "cannot go on");
        else if (options->file)
            report_note(CTL_PROGRAM, "%llu packets", (unsigned long long)capture.packets);
    }
    if (result < 0)
        report_error(CTL_PROGRAM, NULL, &error);
    jails_free(&found.jails);
    free(capture.buffer);
    cleanup_close_fd(&capture.packet_fd);
    cleanup_close_fd(&capture.supervisor_fd);
    cleanup_close_fd(&capture.signal_fd);
    cleanup_close_fd(&capture.out_fd);
    return result == 0 ? CTL_OK : is_missing ? CTL_NO : is_usage ? CTL_USAGE : CTL_SYSTEM;
}
