/* Relays sd_notify(3) from the jail to the caller's service manager.
 *
 * systemd believes a datagram by the sender's pid, and a pid of the jail means nothing to it, so
 * the main process, which is netjail, sends each anew. The sender in the jail is hostile: its text
 * is judged by notify_text.c, and of its descriptors only those go out that hold nothing of the
 * jail.
 *
 * A thread does it, because closing a descriptor of somebody else's making can take as long as he
 * likes (a socket that lingers, a file of his own FUSE daemon): the supervisor must not wait for
 * that, and the sender's pid is the same. It may wait for the manager, too: then the jail's queue
 * fills and the jail waits, as it would for systemd. It allocates nothing, has the capabilities of
 * the supervisor after its last change, and ends with the process.
 *
 * What must not happen: a system call on a received file that asks its driver (fstat() of a FUSE
 * file is a question to its daemon) before it is known to be a pipe, a memory file or a socket; and
 * a socket of the jail's namespace leaving it, which would keep the namespace alive. */
#include "jail/notify.h"

#include "base/cleanup.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdalign.h>
#include <stddef.h>
#include <string.h>
#include <time.h>

/* 1,000 datagrams in a second at most; who has more waits. */
#define BURST              100
#define BURST_NS           100000000
#define LAST_WORDS_S       1
#define THREAD_STACK_BYTES 65536

union descriptors {
    char buffer[CMSG_SPACE(sizeof(int) * NOTIFY_FDS_MAX)];
    struct cmsghdr align;
};

int notify_connect(struct notify *notify, const char *address)
{
    struct sockaddr_un manager = {.sun_family = AF_UNIX};
    size_t length = strlen(address);
    bool abstract = address[0] == '@';

    if ((address[0] != '/' && !abstract) || length < 2)
        return -EAFNOSUPPORT;
    if (length >= sizeof manager.sun_path)
        return -ENAMETOOLONG;
    memcpy(manager.sun_path, address, length);
    if (abstract)
        manager.sun_path[0] = '\0';
    notify->manager_length =
        (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length + (abstract ? 0 : 1));
    cleanup_fd int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || connect(fd, (struct sockaddr *)&manager, notify->manager_length) < 0)
        return -errno;
    notify->manager = manager;
    notify->manager_fd = take_fd(&fd);
    return 0;
}

/* A descriptor that may be handed to the manager: nothing of the jail hangs on it. Only questions
 * that the kernel answers by itself. */
static bool may_leave(const struct notify *notify, int fd)
{
    socklen_t length = sizeof(uint64_t);
    uint64_t cookie = 0;

    if (fcntl(fd, F_GETPIPE_SZ) > 0 || fcntl(fd, F_GET_SEALS) >= 0)
        return true;
    return getsockopt(fd, SOL_SOCKET, SO_NETNS_COOKIE, &cookie, &length) == 0 &&
           cookie != notify->jail_cookie;
}

static bool descriptors_pass(const struct notify *notify, enum notify_text_purpose purpose,
                             size_t count)
{
    if (purpose == NOTIFY_TEXT_BARRIER)
        return count == 1 && fcntl(notify->fds[0], F_GETPIPE_SZ) > 0;
    for (size_t i = 0; i < count; i++) {
        if (!may_leave(notify, notify->fds[i]))
            return false;
    }
    return purpose == NOTIFY_TEXT_STORE;
}

/* Takes the descriptors out of a received header. */
static size_t descriptors_take(struct notify *notify, struct msghdr *header)
{
    size_t taken = 0;

    for (struct cmsghdr *cmsg = CMSG_FIRSTHDR(header); cmsg; cmsg = CMSG_NXTHDR(header, cmsg)) {
        size_t count = (cmsg->cmsg_len - CMSG_LEN(0)) / sizeof(int);

        if (cmsg->cmsg_level != SOL_SOCKET || cmsg->cmsg_type != SCM_RIGHTS)
            continue;
        for (size_t i = 0; i < count && taken < NOTIFY_FDS_MAX; i++)
            memcpy(&notify->fds[taken++], CMSG_DATA(cmsg) + i * sizeof(int), sizeof(int));
    }
    return taken;
}

/* The next datagram. Returns its length, 0 for one to be ignored, or -1 at the end. */
static ssize_t message_receive(struct notify *notify, size_t *ret_count, bool *ret_cut)
{
    union descriptors control;
    struct iovec part = {.iov_base = notify->text, .iov_len = sizeof notify->text};
    struct msghdr header = {.msg_iov = &part,
                            .msg_iovlen = 1,
                            .msg_control = control.buffer,
                            .msg_controllen = sizeof control.buffer};
    ssize_t length = recvmsg(notify->jail_fd, &header, MSG_CMSG_CLOEXEC);

    *ret_count = 0;
    if (length <= 0) /* empty, a signal, or no memory: the next one, at the pace of a burst */
        return atomic_load(&notify->ending) ? -1 : 0;
    *ret_count = descriptors_take(notify, &header);
    /* systemd ignores what has lost descriptors on the way. */
    *ret_cut = (header.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) != 0;
    return length;
}

static void message_send(struct notify *notify, size_t length, size_t count)
{
    union descriptors control = {0};
    struct iovec part = {.iov_base = notify->text, .iov_len = length};
    struct msghdr header = {.msg_iov = &part, .msg_iovlen = 1};

    if (count > 0) {
        struct cmsghdr *cmsg;

        header.msg_control = control.buffer;
        header.msg_controllen = CMSG_SPACE(sizeof(int) * count);
        cmsg = CMSG_FIRSTHDR(&header);
        cmsg->cmsg_level = SOL_SOCKET;
        cmsg->cmsg_type = SCM_RIGHTS;
        cmsg->cmsg_len = CMSG_LEN(sizeof(int) * count);
        memcpy(CMSG_DATA(cmsg), notify->fds, sizeof(int) * count);
    }
    if (sendmsg(notify->manager_fd, &header, MSG_NOSIGNAL) >= 0 || errno != ECONNREFUSED)
        return; /* it arrived, or the manager cannot take it, which systemd's clients ignore, too */
    /* A manager that was restarted has made its socket anew. */
    if (connect(notify->manager_fd, (struct sockaddr *)&notify->manager, notify->manager_length) ==
        0)
        (void)sendmsg(notify->manager_fd, &header, MSG_NOSIGNAL);
}

static void message_refuse(struct notify *notify)
{
    if (!notify->told && notify->refused)
        notify->refused(notify->context);
    notify->told = true;
}

static void message_relay(struct notify *notify, size_t length, size_t count)
{
    enum notify_text_purpose purpose = notify_text_purpose(notify->text, length);
    bool pass = count > 0 && descriptors_pass(notify, purpose, count);
    size_t kept = 0;

    if (purpose != NOTIFY_TEXT_INVALID)
        kept = notify_text_filter(notify->text, length, pass);
    if (count > 0 && !pass && purpose == NOTIFY_TEXT_STORE)
        message_refuse(notify);
    if (kept > 0)
        message_send(notify, kept, pass ? count : 0);
}

static void descriptors_drop(struct notify *notify, size_t count)
{
    static const struct linger none = {0};

    for (size_t i = 0; i < count; i++) {
        (void)setsockopt(notify->fds[i], SOL_SOCKET, SO_LINGER, &none, sizeof none); /* no socket */
        (void)close(notify->fds[i]); /* the jail's, or the manager has its own by now */
    }
}

/* Lets the rest of a burst's time pass. */
static void rest(const struct notify *notify, struct timespec *begin)
{
    struct timespec until = *begin;

    until.tv_nsec += BURST_NS;
    until.tv_sec += until.tv_nsec / 1000000000;
    until.tv_nsec %= 1000000000;
    if (!atomic_load(&notify->ending))
        (void)clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL); /* shorter: no harm */
    (void)clock_gettime(CLOCK_MONOTONIC, begin); /* cannot fail with this clock */
}

static void *relay(void *argument)
{
    struct notify *notify = argument;
    struct timespec begin;
    size_t count;
    bool cut = false;

    (void)clock_gettime(CLOCK_MONOTONIC, &begin); /* cannot fail with this clock */
    for (unsigned number = 1;; number++) {
        ssize_t length = message_receive(notify, &count, &cut);

        if (length < 0)
            return NULL;
        if (length > 0 && !cut)
            message_relay(notify, (size_t)length, count);
        descriptors_drop(notify, count);
        if (number % BURST == 0)
            rest(notify, &begin);
    }
}

static int thread_start(struct notify *notify)
{
    pthread_attr_t attributes;
    int code = pthread_attr_init(&attributes);

    if (code != 0)
        return -code;
    code = pthread_attr_setstacksize(&attributes, THREAD_STACK_BYTES);
    if (code == 0)
        code = pthread_create(&notify->thread, &attributes, relay, notify);
    (void)pthread_attr_destroy(&attributes); /* cannot fail */
    return -code;
}

int notify_begin(struct notify *notify, int jail_fd, void (*refused)(void *context), void *context,
                 struct error *error)
{
    socklen_t length = sizeof notify->jail_cookie;
    int status;

    notify->jail_fd = jail_fd;
    notify->refused = refused;
    notify->context = context;
    if (getsockopt(jail_fd, SOL_SOCKET, SO_NETNS_COOKIE, &notify->jail_cookie, &length) < 0)
        return error_errno(error, -errno, "cannot tell the jail's network namespace");
    status = thread_start(notify);
    if (status < 0)
        return error_errno(error, status, "cannot start the relay of notifications");
    notify->runs = true;
    return 0;
}

void notify_end(struct notify *notify)
{
    struct timespec until;

    if (notify->runs) {
        atomic_store(&notify->ending, true);
        /* Its recvmsg() returns 0 when the queue is empty. */
        (void)shutdown(notify->jail_fd, SHUT_RD);
        (void)clock_gettime(CLOCK_REALTIME, &until); /* cannot fail with this clock */
        until.tv_sec += LAST_WORDS_S;
        /* One that is still held up ends with this process. */
        if (pthread_timedjoin_np(notify->thread, NULL, &until) != 0)
            return;
    }
    if (notify->manager_fd < 0 && notify->jail_fd < 0)
        return; /* nothing was relayed */
    notify->runs = false;
    cleanup_close_fd(&notify->jail_fd);
    cleanup_close_fd(&notify->manager_fd);
    notify->jail_fd = notify->manager_fd = -1;
}
