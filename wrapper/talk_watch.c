/* What changes outside while the command runs: the host's resolv.conf, the leases of other jails.
 *
 * One inotify descriptor. The host's name servers are handed to the service as addresses: it cannot
 * open files, and need not. resolv.conf is often a symbolic link, or replaced as a whole, so its
 * directory and that of its target are watched.
 *
 * Whoever closes an inotify descriptor with watches waits until all processors have let go of them
 * (5 to 15 ms), as long as everything else of a short jail takes. So a jail in which only
 * resolv.conf can change is watched over from WATCH_AFTER_MS on; what has changed until then is
 * looked for at that moment. Where rules speak of jails the watch is there before the command: the
 * address of one that ends is another's soon.
 *
 * The kernel takes a mount away, in every mount namespace, where the file below it is replaced or
 * removed (Linux 3.18), and with it the jail's own resolv.conf; only a place in the jail's own /run
 * is safe from that. Nobody here has the right to mount there again, so all that is done is to say
 * so. */
#include "talk.h"

#include "base/cleanup.h"
#include "plan/name_files.h"
#include "report.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdalign.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/timerfd.h>

#define RESOLV       "/etc/resolv.conf"
#define CHANGES      (IN_CLOSE_WRITE | IN_MODIFY | IN_CREATE | IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO)
#define REPLACES     (IN_CREATE | IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO)
#define LEASE_SUFFIX ".lease"

#define WATCH_AFTER_MS 50

/* The directory of what the link points to now; the link itself lies in /etc, watched once. */
static int watch_target(const struct talk *talk)
{
    char path[PATH_MAX];
    char *slash;

    if (!realpath(RESOLV, path) || !(slash = strrchr(path, '/')) || slash == path)
        return -1;
    *slash = '\0';
    return strcmp(path, "/etc") != 0
               ? inotify_add_watch(talk->watch_source.fd, path, CHANGES) /* else seen later */
               : -1;
}

static void tell_servers(struct talk *talk)
{
    union notice notice = {
        .addrs = {.kind = NOTICE_SERVERS, .count = (uint32_t)talk->servers_count}};

    memcpy(notice.addrs.addrs, talk->servers, sizeof talk->servers);
    talk_notify(talk, &notice);
}

static bool reads_servers(const struct talk *talk)
{
    return talk->policy->needs_resolver && talk->policy->dns.upstreams_count == 0;
}

/* A file that cannot be read is one without a line. */
static void read_servers(struct talk *talk)
{
    char text[4096];
    cleanup_fd int fd = open(RESOLV, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    ssize_t length = fd < 0 ? 0 : read(fd, text, sizeof text);
    struct addr servers[TALK_SERVERS_MAX] = {0};
    size_t count =
        name_files_parse_servers(text, length < 0 ? 0 : (size_t)length, servers, TALK_SERVERS_MAX);

    if (count == talk->servers_count && memcmp(servers, talk->servers, sizeof servers) == 0)
        return;
    memcpy(talk->servers, servers, sizeof servers);
    talk->servers_count = count;
    tell_servers(talk);
}

/* The jail's name of a lease's file name. */
static bool jail_of(const char *file, char name[JAIL_NAME_MAX + 1])
{
    size_t length = strlen(file);
    size_t suffix = sizeof LEASE_SUFFIX - 1;

    if (length <= suffix || length - suffix > JAIL_NAME_MAX ||
        strcmp(file + length - suffix, LEASE_SUFFIX) != 0)
        return false;
    memcpy(name, file, length - suffix);
    name[length - suffix] = '\0';
    return true;
}

static void jail_changed(struct talk *talk, const char *name)
{
    struct error error = {0};

    if (talk_jail_changed(talk, name, &error) < 0)
        report_error("netjail", NULL, &error);
}

static bool link_text(char text[TALK_LINK_SIZE])
{
    ssize_t length = readlink(RESOLV, text, TALK_LINK_SIZE - 1);

    text[length < 0 ? 0 : length] = '\0';
    return length > 0;
}

/* Which file resolv.conf is. Its number alone may have been given to the next one. */
static void read_identity(struct talk_resolv_identity *identity)
{
    struct statx state;

    *identity = (struct talk_resolv_identity){0};
    if (statx(AT_FDCWD, RESOLV, AT_NO_AUTOMOUNT, STATX_INO | STATX_BTIME, &state) < 0)
        return;
    identity->device = makedev(state.stx_dev_major, state.stx_dev_minor);
    identity->number = state.stx_ino;
    identity->born_s = state.stx_btime.tv_sec;
    identity->born_ns = state.stx_btime.tv_nsec;
}

/* What the jail's resolv.conf lies on, as jail/name_files.c put it there. */
static void note_resolv(struct talk *talk)
{
    struct talk_resolv *resolv = &talk->resolv;
    bool is_link = link_text(resolv->link);
    char path[PATH_MAX];
    const char *slash;

    resolv->is_in_run = is_link && talk->policy->unix_sockets == UNIX_SOCKETS_MASKED &&
                        name_files_below_run(resolv->link);
    resolv->is_on_nothing =
        (!resolv->is_in_run && access(RESOLV, F_OK) < 0) || access("/etc/hosts", F_OK) < 0;
    if (!resolv->is_in_run && realpath(RESOLV, path) && (slash = strrchr(path, '/')))
        (void)strlcpy(resolv->file, slash + 1, sizeof resolv->file); /* longer: not recognised */
    read_identity(&resolv->identity);
}

static bool is_link_changed(const struct talk_resolv *resolv)
{
    char text[TALK_LINK_SIZE];

    return !link_text(text) || strcmp(text, resolv->link) != 0;
}

/* Was what the jail's resolv.conf lies on replaced before it was watched? */
static bool was_replaced(const struct talk_resolv *resolv)
{
    struct talk_resolv_identity now;

    if (resolv->is_on_nothing)
        return false;
    if (resolv->is_in_run)
        return is_link_changed(resolv);
    read_identity(&now);
    return memcmp(&now, &resolv->identity, sizeof now) != 0;
}

/* Has the host put another file in the place of what the jail's resolv.conf lies on? */
static bool is_replaced(const struct talk *talk, const struct inotify_event *event)
{
    const struct talk_resolv *resolv = &talk->resolv;

    if (resolv->is_on_nothing || event->len == 0 || !(event->mask & REPLACES))
        return false;
    if (event->wd == resolv->target_watch && !resolv->is_in_run)
        return strcmp(event->name, resolv->file) == 0;
    if (event->wd != resolv->etc_watch || strcmp(event->name, "resolv.conf") != 0)
        return false;
    return !resolv->is_in_run || is_link_changed(resolv);
}

static void say_replaced(struct talk *talk)
{
    struct error error = {0};

    if (talk->resolv.is_lost)
        return;
    talk->resolv.is_lost = true;
    (void)error_set(&error, -ENOENT,
                    "the host has replaced " RESOLV
                    ", and the kernel took the jail's own away with it: names fail in the jail");
    error_hint(&error, "start the jail again; this does not happen where " RESOLV
                       " is a link to a file in /run (systemd-resolved, resolvconf)");
    report_error("netjail", NULL, &error);
}

static void take_event(struct talk *talk, const struct inotify_event *event, bool *ret_resolv)
{
    char name[JAIL_NAME_MAX + 1];

    if (is_replaced(talk, event))
        say_replaced(talk);
    if (event->mask & IN_Q_OVERFLOW)
        jail_changed(talk, NULL);
    if (event->wd != talk->leases_watch)
        *ret_resolv = true;
    else if (event->len > 0 && jail_of(event->name, name))
        jail_changed(talk, name);
}

static void watch_ready(void *context, short revents)
{
    struct talk *talk = context;
    alignas(struct inotify_event) char buffer[4096];
    ssize_t length = read(talk->watch_source.fd, buffer, sizeof buffer);
    bool resolv = false;

    (void)revents; /* reading tells */
    for (ssize_t at = 0; at < length;) {
        const struct inotify_event *event =
            (const struct inotify_event *)(const void *)(buffer + at);

        take_event(talk, event, &resolv);
        at += (ssize_t)(sizeof *event + event->len);
    }
    if (resolv && reads_servers(talk)) {
        (void)watch_target(talk);
        read_servers(talk);
    }
}

static int watch_add(struct talk *talk, int fd, void (*ready)(void *context, short revents),
                     struct error *error)
{
    int code = fd < 0 ? -errno : 0;

    talk->watch_source =
        (struct event_source){.fd = fd, .events = POLLIN, .ready = ready, .context = talk};
    if (code == 0)
        code = events_add(talk->events, &talk->watch_source);
    return code < 0 ? error_errno(error, code, "cannot watch files for changes") : 0;
}

static int watch_files(struct talk *talk, struct error *error)
{
    int code = watch_add(talk, inotify_init1(IN_CLOEXEC | IN_NONBLOCK), watch_ready, error);
    int fd = talk->watch_source.fd;

    if (code < 0)
        return code;
    if (talk->leases && talk->policy->jail_sets_count > 0)
        talk->leases_watch = inotify_add_watch(fd, lease_directory_path(talk->leases), CHANGES);
    if (talk->policy->needs_resolver) {
        /* without /etc nothing changes there */
        talk->resolv.etc_watch = inotify_add_watch(fd, "/etc", CHANGES);
        talk->resolv.target_watch = watch_target(talk);
    }
    return 0;
}

/* The command has run for a moment: what changes from now on is seen, what has changed is read. */
static void watch_is_due(void *context, short revents)
{
    struct talk *talk = context;
    struct error error = {0};

    (void)revents; /* the timer's only one */
    talk_watch_end(talk);
    if (watch_files(talk, &error) < 0)
        report_note("netjail", "%s: %s: the jail keeps the name servers of its start",
                    talk->jail_name, error.text);
    if (was_replaced(&talk->resolv))
        say_replaced(talk);
    if (reads_servers(talk))
        read_servers(talk);
}

static int watch_later(struct talk *talk, struct error *error)
{
    static const struct itimerspec once = {.it_value.tv_nsec = WATCH_AFTER_MS * 1000000L};
    int code = watch_add(talk, timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK),
                         watch_is_due, error);

    if (code == 0 && timerfd_settime(talk->watch_source.fd, 0, &once, NULL) < 0)
        code = error_errno(error, -errno, "cannot watch files for changes");
    return code;
}

int talk_watch_begin(struct talk *talk, struct error *error)
{
    int code;

    talk->leases_watch = talk->resolv.etc_watch = talk->resolv.target_watch = -1;
    code = talk->policy->jail_sets_count > 0 ? watch_files(talk, error) : watch_later(talk, error);
    if (code == 0 && talk->policy->needs_resolver)
        note_resolv(talk);
    if (code == 0 && reads_servers(talk))
        read_servers(talk);
    return code;
}

void talk_watch_end(struct talk *talk)
{
    events_remove(talk->events, &talk->watch_source);
    if (talk->watch_source.fd >= 0)
        (void)close(talk->watch_source.fd); /* only read */
    talk->watch_source.fd = -1;
}
