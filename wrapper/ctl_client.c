/* Finds running jails and speaks with their supervisors.
 *
 * Leases are looked for where this user's may be: /run/netjail, the user's own runtime directory,
 * and for root those of the users who are logged in. What is read there is other users' text
 * (record_parse() judges it); who listens to a socket is asked of the kernel. Nothing here changes
 * anything. */
#include "wrapper/ctl_client.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "jail/packet.h"
#include "jail/request.h"
#include "kernel/lease_socket.h"
#include "kernel/netns.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <time.h>

#define START_TIMEOUT_MS  2000
#define ANSWER_TIMEOUT_MS 5000
#define PAUSE_NS          5000000L

static int directories_fill(struct jails *jails, size_t from, struct lease_directory *directory)
{
    size_t count = jails->facts->others_count;
    struct lease_directory **list =
        reallocarray(jails->directories, count + 2, sizeof *jails->directories);

    if (!list)
        return -ENOMEM;
    jails->directories = list;
    for (size_t i = from; i < count; i++)
        list[i] = directory;
    list[count] = NULL;
    return 0;
}

/* Adds the jails of one directory (NULL: none there, or not ours to read); takes it over. */
static int scan_directory(struct jails *jails, struct lease_directory *directory,
                          struct error *error)
{
    size_t from = jails->facts->others_count;
    struct error one = {0};
    int result = lease_scan(directory, NULL, jails->facts, NULL, NULL, &one);

    if (result == 0 && jails->facts->others_count == from) {
        lease_directory_close(directory);
        return 0;
    }
    if (result == 0)
        result = directories_fill(jails, from, directory);
    if (result < 0) {
        jails->facts->others_count = from; /* the rest has no directory */
        lease_directory_close(directory);
        *error = one;
    }
    return result;
}

static int read_scope(struct jails *jails, enum lease_scope scope, struct error *error)
{
    struct lease_directory *directory = NULL;
    int result = lease_directory_open(scope, false, &directory, error);

    if (result == 0)
        return scan_directory(jails, directory, error);
    if (result != -ENOENT && result != -EACCES)
        return result;
    *error = (struct error){0};
    return 0;
}

/* The jails of users who are logged in; what cannot be read there is not root's business. */
static void read_users(struct jails *jails)
{
    DIR *users = opendir("/run/user");
    const struct dirent *entry;

    while (users && (entry = readdir(users))) {
        struct lease_directory *directory = NULL;
        struct error ignored = {0};
        char *end;
        unsigned long uid = strtoul(entry->d_name, &end, 10);

        if (!isdigit((unsigned char)entry->d_name[0]) || *end != '\0' || uid == 0)
            continue;
        if (lease_directory_open_of((uid_t)uid, &directory, &ignored) == 0)
            (void)scan_directory(jails, directory, &ignored);
    }
    if (users)
        (void)closedir(users); /* only read */
}

int jails_read(struct jails *ret_jails, struct error *error)
{
    struct jails jails = {.facts = facts_new()};
    int result = directories_fill(&jails, 0, NULL);

    if (result < 0)
        (void)error_errno(error, result, "cannot list the jails");
    if (result == 0)
        result = read_scope(&jails, LEASE_HOST, error);
    jails.host_count = jails.facts->others_count;
    if (result == 0 && geteuid() != 0)
        result = read_scope(&jails, LEASE_USER, error);
    if (result == 0 && geteuid() == 0)
        read_users(&jails);
    if (result < 0) {
        jails_free(&jails);
        return result;
    }
    *ret_jails = jails;
    return 0;
}

void jails_free(struct jails *jails)
{
    const struct lease_directory *last = NULL;

    for (size_t i = 0; jails->facts && i < jails->facts->others_count; i++) {
        if (jails->directories[i] != last)
            lease_directory_close(jails->directories[i]);
        last = jails->directories[i];
    }
    free(jails->directories);
    facts_free(jails->facts);
    *jails = (struct jails){0};
}

static void hint_names(const struct jails *jails, const char *name, struct error *error)
{
    size_t count = jails->facts->others_count;
    const char **names = reallocarray(NULL, count + 1, sizeof *names);
    const char *near = NULL;

    if (names) {
        for (size_t i = 0; i < count; i++)
            names[i] = jails->facts->others[i]->name;
        names[count] = NULL;
        near = suggest_word(name, strlen(name), names);
    }
    if (near)
        error_hint(error, "did you mean '%s'?", near);
    else
        error_hint(error, count ? "`netjailctl list` shows those that run" : "no jail runs");
    free(names);
}

int jail_find(const char *name, struct found_jail *ret_found, struct error *error)
{
    struct found_jail found = {0};
    int result = jails_read(&found.jails, error);

    *ret_found = (struct found_jail){0};
    if (result < 0)
        return result;
    for (size_t i = 0; !found.record && i < found.jails.facts->others_count; i++) {
        if (strcmp(found.jails.facts->others[i]->name, name) != 0)
            continue;
        found.record = found.jails.facts->others[i];
        found.directory = found.jails.directories[i];
        found.is_users = i >= found.jails.host_count;
    }
    *ret_found = found;
    if (found.record)
        return 0;
    (void)error_set(error, -ENOENT, "no jail '%s' is running", name);
    hint_names(&found.jails, name, error);
    return -ENOENT;
}

int jail_connect(const struct found_jail *found, int *ret_fd, struct error *error)
{
    struct timespec pause = {.tv_nsec = PAUSE_NS};
    int64_t end_ms = clock_now_ms() + START_TIMEOUT_MS;

    for (;;) {
        int result = lease_socket_connect(found->directory, found->record, ret_fd, error);

        if (result != -ENOENT || clock_now_ms() >= end_ms)
            return result;
        *error = (struct error){0};
        (void)nanosleep(&pause, NULL); /* a shorter pause does no harm */
    }
}

int jail_request(int fd, int kind, const int *fds, size_t fds_count, struct error *error)
{
    struct request request = {.magic = REQUEST_MAGIC, .kind = (uint32_t)kind};
    int result = packet_send(fd, &request, sizeof request, fds, fds_count, false);

    /* Who is refused is told so before the connection ends. */
    if (result < 0 && result != -EPIPE)
        return error_errno(error, result, "cannot ask the jail's supervisor");
    return 0;
}

static int answer_explain(int code, const struct record *record, struct error *error)
{
    if (code == -EPERM)
        return error_set(error, code,
                         "the supervisor of jail '%s' answers only root and its own user, and "
                         "nobody in another network namespace",
                         record->name);
    if (code == -ESHUTDOWN)
        return error_set(error, code, "jail '%s' is ending", record->name);
    return error_errno(error, code, "the supervisor of jail '%s' refused", record->name);
}

int jail_answer(int fd, const struct record *record, int *ret_fd, struct error *error)
{
    struct pollfd wait = {.fd = fd, .events = POLLIN};
    struct request_event event;
    int fds[PACKET_FDS_MAX];
    size_t count = 0;
    int length;

    if (poll(&wait, 1, ANSWER_TIMEOUT_MS) == 0) {
        (void)error_set(error, -ETIMEDOUT, "the supervisor of jail '%s' (%d) does not answer",
                        record->name, (int)record->pid);
        error_hint(error, "is it stopped? `kill -CONT %d` continues it", (int)record->pid);
        return -ETIMEDOUT;
    }
    length = packet_receive(fd, &event, sizeof event, true, fds, &count);
    if (length == (int)sizeof event && event.kind == EVENT_ANSWER && event.value == 0 &&
        count == (ret_fd ? 1u : 0u)) {
        if (ret_fd)
            *ret_fd = fds[0];
        return 0;
    }
    for (size_t i = 0; i < count; i++)
        (void)close(fds[i]); /* not what was asked for */
    if (length == (int)sizeof event && event.kind == EVENT_ANSWER && event.value < 0)
        return answer_explain(event.value, record, error);
    return error_set(error, -EPROTO, "jail '%s' ended before it answered", record->name);
}

/* A user's supervisor can hand over any namespace that he can open, the host's among them: what is
 * then counted or captured would not be the jail's. */
static int namespace_check(const struct found_jail *found, int netns_fd, struct error *error)
{
    const struct record *record = found->record;
    uid_t owner = 0;
    int code = netns_owner(netns_fd, &owner);
    bool is_his = code == 0 && owner == record->uid;

    if (code != -EINVAL && (is_his || !found->is_users) && netns_is_host(netns_fd) == 0)
        return 0;
    return error_set(error, -EPERM,
                     "the supervisor of jail '%s' (%d of user %u) hands over a network that is not "
                     "the jail's",
                     record->name, (int)record->pid, record->uid);
}

int jail_namespace(const struct found_jail *found, int *ret_fd, struct error *error)
{
    cleanup_fd int fd = -1;
    cleanup_fd int netns_fd = -1;
    int result = jail_connect(found, &fd, error);

    if (result == 0)
        result = jail_request(fd, REQUEST_NAMESPACE, NULL, 0, error);
    if (result == 0)
        result = jail_answer(fd, found->record, &netns_fd, error);
    if (result == 0)
        result = namespace_check(found, netns_fd, error);
    if (result == 0)
        *ret_fd = take_fd(&netns_fd);
    return result;
}
