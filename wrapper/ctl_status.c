/* netjailctl status, top and log: how a running jail is doing.
 *
 * The counters are the kernel's, in the jail's own table. The supervisor may not read them any more
 * (root's has given up the capability), so it hands out the namespace's descriptor, and we read by
 * our own right: root, or the owner of the jail's user namespace. That owner could have changed the
 * table, and has written the lease: to root both are another user's text. */
#include "base/buf.h"
#include "base/cleanup.h"
#include "jail/namespace_enter.h"
#include "kernel/nft_counters.h"
#include "wrapper/ctl.h"
#include "wrapper/ctl_client.h"
#include "wrapper/report.h"

#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>

#define TOP_INTERVAL_MS 2000
#define DIRECTION_WIDTH 9 /* "DIRECTION" */

struct totals {
    uint64_t in_packets, in_bytes;   /* let in */
    uint64_t out_packets, out_bytes; /* let out */
    uint64_t denied;                 /* packets refused or dropped */
};

struct reading {
    struct totals totals;
    json_t *rules; /* NULL: not wanted */
    bool has_printed;
    bool prints;
};

static const char *counted_name(enum counted counted)
{
    static const char *const names[] = {[COUNTED_ALLOWED] = "allow",
                                        [COUNTED_DENIED] = "deny",
                                        [COUNTED_DROPPED] = "drop",
                                        [COUNTED_OTHER] = "-"};

    return names[counted];
}

static void add_totals(struct totals *totals, const struct rule_counter *counter)
{
    if (counter->verdict == COUNTED_DENIED || counter->verdict == COUNTED_DROPPED) {
        totals->denied += counter->packets;
    } else if (counter->verdict == COUNTED_ALLOWED && strcmp(counter->chain, "input") == 0) {
        totals->in_packets += counter->packets;
        totals->in_bytes += counter->bytes;
    } else if (counter->verdict == COUNTED_ALLOWED && strcmp(counter->chain, "output") == 0) {
        totals->out_packets += counter->packets;
        totals->out_bytes += counter->bytes;
    }
}

static const char *what_of(const struct rule_counter *counter)
{
    if (counter->where[0])
        return counter->where;
    if (counter->is_known_flow)
        return "(known connections)";
    return counter->verdict == COUNTED_ALLOWED   ? "(implied)"
           : counter->verdict == COUNTED_DROPPED ? "(guard)"
                                                 : "(default)";
}

static const char *direction_of(const char *chain)
{
    return strcmp(chain, "input") == 0 ? "in" : strcmp(chain, "output") == 0 ? "out" : chain;
}

static void take_counter(void *context, const struct rule_counter *counter)
{
    struct reading *reading = context;

    const char *what = what_of(counter);
    const char *direction = direction_of(counter->chain);
    cleanup_buf struct buf line = {0};

    add_totals(&reading->totals, counter);
    if (reading->rules)
        (void)json_array_append_new(
            reading->rules,
            json_pack("{s:o, s:o, s:s, s:I, s:I}", "rule", ctl_text_json(what), "direction",
                      ctl_text_json(direction), "verdict", counted_name(counter->verdict),
                      "packets", (json_int_t)counter->packets, "bytes",
                      (json_int_t)counter->bytes)); /* see the dump */
    if (!reading->prints)
        return;
    if (!reading->has_printed)
        (void)printf("\n%10s %14s  %-8s %-9s %s\n", "PACKETS", "BYTES", "VERDICT", "DIRECTION",
                     "RULE"); /* looked at by ctl_finish_output() */
    reading->has_printed = true;
    buf_put_visible(&line, direction, strlen(direction));
    while (line.length < DIRECTION_WIDTH)
        buf_puts(&line, " ");
    buf_puts(&line, " ");
    buf_put_visible(&line, what, strlen(what));
    (void)printf("%10llu %14llu  %-8s %s\n", (unsigned long long)counter->packets,
                 (unsigned long long)counter->bytes, counted_name(counter->verdict),
                 buf_text(&line)); /* the same */
}

static int read_counters(const struct found_jail *found, struct reading *reading,
                         struct error *error)
{
    static const struct namespace_socket wanted = {
        .family = AF_NETLINK, .type = SOCK_RAW, .protocol = NETLINK_NETFILTER};
    cleanup_fd int netns_fd = -1;
    int fds[NAMESPACE_SOCKETS_MAX];
    struct nl nl = NL_CLOSED;
    int result = jail_namespace(found, &netns_fd, error);

    if (result == 0)
        result = namespace_sockets(netns_fd, &wanted, 1, fds, error);
    if (result < 0)
        return result;
    result = nl_adopt(fds[0], &nl, error);
    if (result == 0)
        result = nft_read_counters(&nl, take_counter, reading, error);
    (void)close(fds[0]); /* a socket: nothing to lose */
    return result;
}

/* ---- status ---- */

static void print_pair(const char *name, const char *value)
{
    cleanup_buf struct buf visible = {0};

    buf_put_visible(&visible, value, strlen(value));
    (void)printf("%-10s %s\n", name, buf_text(&visible)); /* looked at by ctl_finish_output() */
}

static void print_record(const struct record *record)
{
    char uptime[32], address[PREFIX_TEXT_SIZE];

    ctl_print_uptime(record->started_s, uptime);
    print_pair("jail", record->name);
    (void)printf("%-10s %s, supervisor %d of user %u\n", "state",
                 record->state == RECORD_ENDING ? "ending" : "running", (int)record->pid,
                 record->uid); /* the same */
    print_pair("uptime", uptime);
    print_pair("policy", record->policy && record->policy[0] ? record->policy : "-");
    print_pair("command", record->is_named  ? "(named jail)"
                          : record->command ? record->command
                                            : "");
    for (size_t i = 0; i < record->addresses_count; i++) {
        const struct record_address *one = &record->addresses[i];

        (void)printf("%-10s %s %s%s%s\n", i == 0 ? "addresses" : "", one->ifname,
                     prefix_print(&one->prefix, address), one->network[0] ? " on " : "",
                     one->network); /* the same */
    }
    for (size_t i = 0; i < record->publishes_count; i++) {
        const struct record_publish *one = &record->publishes[i];

        (void)printf("%-10s %s:%u/%s (%s) leads to port %u\n", i == 0 ? "publish" : "",
                     one->kind == PUBLISH_ANY       ? "any"
                     : one->kind == PUBLISH_ADDRESS ? addr_print(&one->addr, address)
                                                    : "loopback",
                     one->port, one->protocol == IPPROTO_UDP ? "udp" : "tcp",
                     one->addr.family == ADDR_V6 ? "IPv6" : "IPv4", one->jail_port); /* the same */
    }
}

static json_t *totals_json(const struct totals *totals)
{
    return json_pack("{s:I, s:I, s:I, s:I, s:I}", "in_packets", (json_int_t)totals->in_packets,
                     "in_bytes", (json_int_t)totals->in_bytes, "out_packets",
                     (json_int_t)totals->out_packets, "out_bytes", (json_int_t)totals->out_bytes,
                     "denied", (json_int_t)totals->denied);
}

static int missing(const struct error *error)
{
    report_error(CTL_PROGRAM, NULL, error);
    return CTL_NO;
}

int ctl_status(const struct ctl_options *options)
{
    struct found_jail found = {0};
    struct error error = {0};
    struct reading reading = {.prints = !options->json};
    int status = CTL_OK;

    if (jail_find(options->arguments[0], &found, &error) < 0) {
        status = error.code == -ENOENT ? missing(&error)
                                       : (report_error(CTL_PROGRAM, NULL, &error), CTL_SYSTEM);
        jails_free(&found.jails);
        return status;
    }
    reading.rules = options->json ? json_array() : NULL;
    if (!options->json)
        print_record(found.record);
    if (read_counters(&found, &reading, &error) < 0) {
        report_error(CTL_PROGRAM, NULL, &error);
        status = CTL_SYSTEM;
    }
    if (options->json) {
        json_t *jail = ctl_jail_json(found.record);

        (void)json_object_set_new(jail, "counters", totals_json(&reading.totals)); /* the dump */
        (void)json_object_set_new(jail, "rules", reading.rules);                   /* the same */
        status = ctl_dump_json(jail) == CTL_OK ? status : CTL_SYSTEM;
    } else if (status == CTL_OK) {
        (void)printf("\n%-10s %llu packets refused or dropped\n", "denied",
                     (unsigned long long)reading.totals.denied); /* the same */
    }
    jails_free(&found.jails);
    return status;
}

/* ---- top ---- */

static void print_size(uint64_t bytes, char text[16])
{
    static const char units[] = "BKMGTP";
    double value = (double)bytes;
    size_t unit = 0;

    while (value >= 9999 && unit + 2 < sizeof units) {
        value /= 1024;
        unit++;
    }
    (void)snprintf(text, 16, "%.0f%c", value, units[unit]); /* fits */
}

static void print_top(const struct record *record, const struct totals *totals, bool known)
{
    char uptime[32], in[16] = "-", out[16] = "-", denied[24] = "-";

    ctl_print_uptime(record->started_s, uptime);
    if (known) {
        print_size(totals->in_bytes, in);
        print_size(totals->out_bytes, out);
        (void)snprintf(denied, sizeof denied, "%llu",
                       (unsigned long long)totals->denied); /* fits */
    }
    (void)printf("%-20.20s %7d  %-8s %10s %10s %10s\n", record->name, (int)record->pid, uptime, in,
                 out, denied); /* looked at by ctl_finish_output() */
}

/* One look at all jails. What ends meanwhile, or is not ours to ask, has no counters. */
static int top_once(json_t *list, struct error *error)
{
    struct jails jails = {0};
    int result = jails_read(&jails, error);

    if (result < 0)
        return result;
    if (!list)
        (void)printf("%-20s %7s  %-8s %10s %10s %10s\n", "JAIL", "PID", "UPTIME", "IN", "OUT",
                     "DENIED"); /* the same */
    for (size_t i = 0; i < jails.facts->others_count; i++) {
        struct found_jail one = {.record = jails.facts->others[i],
                                 .directory = jails.directories[i]};
        struct reading reading = {0};
        struct error ignored = {0};
        bool known = read_counters(&one, &reading, &ignored) == 0;

        if (!list) {
            print_top(one.record, &reading.totals, known);
            continue;
        }
        json_t *jail = ctl_jail_json(one.record);
        (void)json_object_set_new(jail, "counters",
                                  known ? totals_json(&reading.totals) : json_null()); /* dump */
        (void)json_array_append_new(list, jail); /* the same */
    }
    jails_free(&jails);
    return 0;
}

/* On a terminal again and again until a key is hit or Ctrl-C; else once. */
int ctl_top(const struct ctl_options *options)
{
    struct pollfd input = {.fd = STDIN_FILENO, .events = POLLIN};
    bool repeats = !options->json && isatty(STDOUT_FILENO) == 1 && isatty(STDIN_FILENO) == 1;
    json_t *list = options->json ? json_array() : NULL;
    struct error error = {0};

    do {
        if (repeats)
            (void)fputs("\033[H\033[2J", stdout); /* clear the screen */
        if (top_once(list, &error) < 0) {
            report_error(CTL_PROGRAM, NULL, &error);
            json_decref(list);
            return CTL_SYSTEM;
        }
        if (repeats) {
            (void)puts("\nEnter ends it.");
            if (fflush(stdout) != 0)
                return CTL_SYSTEM;
        }
    } while (repeats && poll(&input, 1, TOP_INTERVAL_MS) == 0);
    return list ? ctl_dump_json(list) : CTL_OK;
}
