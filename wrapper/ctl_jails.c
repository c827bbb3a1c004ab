/* netjailctl list and gc: the jails that run, and what dead ones left. */
#include "base/buf.h"
#include "base/cleanup.h"
#include "jail/jail.h"
#include "kernel/apply.h"
#include "kernel/lease.h"
#include "wrapper/ctl.h"
#include "wrapper/ctl_client.h"
#include "wrapper/report.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>

void ctl_print_uptime(uint64_t started_s, char text[32])
{
    uint64_t now_s = (uint64_t)time(NULL);
    uint64_t seconds = now_s > started_s ? now_s - started_s : 0;

    if (seconds < 60)
        (void)snprintf(text, 32, "%us", (unsigned)seconds); /* fits */
    else if (seconds < 3600)
        (void)snprintf(text, 32, "%um", (unsigned)(seconds / 60)); /* fits */
    else if (seconds < 86400)
        (void)snprintf(text, 32, "%uh%02um", (unsigned)(seconds / 3600),
                       (unsigned)(seconds / 60 % 60)); /* fits */
    else
        (void)snprintf(text, 32, "%ud%02uh", (unsigned)(seconds / 86400),
                       (unsigned)(seconds / 3600 % 24)); /* fits */
}

static void print_addresses(const struct record *record, struct buf *text)
{
    char address[ADDR_TEXT_SIZE];

    if (record->addresses_count == 0)
        buf_puts(text, "-");
    for (size_t i = 0; i < record->addresses_count; i++)
        buf_printf(text, "%s%s", i ? "," : "",
                   addr_print(&record->addresses[i].prefix.addr, address));
}

static const char *state_name(const struct record *record)
{
    return record->state == RECORD_ENDING ? "ending" : "running";
}

/* At most `width` characters: the end of a path says more than its beginning, the beginning of a
 * list more than its end. */
static void put_cut(struct buf *line, const char *text, size_t width, bool keep_end)
{
    cleanup_buf struct buf visible = {0};
    size_t length;

    buf_put_visible(&visible, text, strlen(text));
    length = visible.length;
    if (length <= width)
        buf_printf(line, "%-*s ", (int)width, buf_text(&visible));
    else if (keep_end)
        buf_printf(line, "...%s ", buf_text(&visible) + length - width + 3);
    else
        buf_printf(line, "%.*s... ", (int)width - 3, buf_text(&visible));
}

/* Columns of policy, addresses and command on a terminal; 0: none, nothing is cut. */
struct columns {
    size_t policy;
    size_t addresses;
    size_t command;
};

static struct columns columns_fit(void)
{
    struct winsize size;
    size_t fixed = sizeof "JAIL-----------------    PID  UPTIME   STATE   ";
    size_t left;

    if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) < 0 || size.ws_col == 0)
        return (struct columns){0};
    left = size.ws_col > fixed + 36 ? size.ws_col - fixed - 2 : 34;
    return (struct columns){.policy = left * 2 / 6, .addresses = left / 2, .command = left / 6};
}

static size_t at_least(size_t width, const char *text)
{
    return strlen(text) > width ? strlen(text) : width;
}

static void print_jail(const struct record *record, const struct columns *columns)
{
    cleanup_buf struct buf addresses = {0};
    cleanup_buf struct buf line = {0};
    const char *policy = record->policy && record->policy[0] ? record->policy : "-";
    const char *command = record->is_named ? "(named)" : record->command ? record->command : "";
    bool cuts = columns->policy > 0;
    char uptime[32];

    ctl_print_uptime(record->started_s, uptime);
    print_addresses(record, &addresses);
    put_cut(&line, record->name, cuts ? 20 : at_least(20, record->name), false);
    buf_printf(&line, "%7d  %-8s %-7s ", (int)record->pid, uptime, state_name(record));
    put_cut(&line, policy, cuts ? columns->policy : at_least(24, policy), true);
    put_cut(&line, buf_text(&addresses),
            cuts ? columns->addresses : at_least(32, buf_text(&addresses)), false);
    put_cut(&line, command, cuts ? columns->command : 4096, false);
    while (line.data[line.length - 1] == ' ')
        line.data[--line.length] = '\0';
    (void)puts(buf_text(&line)); /* looked at by ctl_finish_output() */
}

static json_t *addresses_json(const struct record *record)
{
    json_t *list = json_array();

    for (size_t i = 0; i < record->addresses_count; i++) {
        char text[PREFIX_TEXT_SIZE];
        const struct record_address *address = &record->addresses[i];
        (void)json_array_append_new(
            list,
            json_pack("{s:s, s:s, s:s}", "interface", address->ifname, "network", address->network,
                      "address", prefix_print(&address->prefix, text))); /* see the dump */
    }
    return list;
}

static json_t *publishes_json(const struct record *record)
{
    json_t *list = json_array();

    for (size_t i = 0; i < record->publishes_count; i++) {
        const struct record_publish *publish = &record->publishes[i];
        char text[ADDR_TEXT_SIZE] = "loopback";
        if (publish->kind == PUBLISH_ADDRESS)
            (void)addr_print(&publish->addr, text); /* returns text */
        (void)json_array_append_new(
            list, json_pack("{s:s, s:s, s:s, s:i, s:i}", "protocol",
                            publish->protocol == IPPROTO_UDP ? "udp" : "tcp", "family",
                            publish->addr.family == ADDR_V6 ? "ipv6" : "ipv4", "address",
                            publish->kind == PUBLISH_ANY ? "any" : text, "port", (int)publish->port,
                            "jail_port", (int)publish->jail_port)); /* see the dump */
    }
    return list;
}

json_t *ctl_jail_json(const struct record *record)
{
    return json_pack(
        "{s:s, s:i, s:I, s:I, s:s, s:o, s:o, s:b, s:o, s:o}", "name", record->name, "pid",
        (int)record->pid, "uid", (json_int_t)record->uid, "started", (json_int_t)record->started_s,
        "state", state_name(record), "policy", ctl_text_json(record->policy ? record->policy : ""),
        "command", ctl_text_json(record->command ? record->command : ""), "named", record->is_named,
        "addresses", addresses_json(record), "publish", publishes_json(record));
}

static int list_json(const struct jails *jails)
{
    json_t *list = json_array();

    for (size_t i = 0; i < jails->facts->others_count; i++)
        (void)json_array_append_new(list,
                                    ctl_jail_json(jails->facts->others[i])); /* see the dump */
    return ctl_dump_json(list);
}

int ctl_list(const struct ctl_options *options)
{
    struct columns columns = columns_fit();
    bool cuts = columns.policy > 0;
    struct jails jails = {0};
    struct error error = {0};
    int status = CTL_OK;

    if (jails_read(&jails, &error) < 0) {
        report_error(CTL_PROGRAM, NULL, &error);
        return CTL_SYSTEM;
    }
    if (options->json) {
        status = list_json(&jails);
    } else {
        (void)printf("%-20s %7s  %-8s %-7s %-*s %-*s %s\n", "JAIL", "PID", "UPTIME", "STATE",
                     cuts ? (int)columns.policy : 24, "POLICY", cuts ? (int)columns.addresses : 32,
                     "ADDRESSES", "COMMAND"); /* looked at by ctl_finish_output() */
        for (size_t i = 0; i < jails.facts->others_count; i++)
            print_jail(jails.facts->others[i], &columns);
    }
    jails_free(&jails);
    return status;
}

static int collect(struct lease_directory *directory, struct error *error)
{
    static const struct jail_sockets no_jail = {.route_fd = -1, .nft_fd = -1, .netns_fd = -1};
    struct kernel *kernel = NULL;
    int result = kernel_open(&no_jail, privs_over_host(), &kernel, error);

    if (result == 0)
        result = lease_collect(directory, kernel, false, error);
    kernel_close(kernel);
    return result;
}

int ctl_gc(const struct ctl_options *options)
{
    struct lease_directory *directory = NULL;
    struct error error = {0};
    int result = lease_directory_open(privs_over_host() ? LEASE_HOST : LEASE_USER, false,
                                      &directory, &error);

    if (result == -ENOENT) {
        result = 0;
        error = (struct error){0};
    } else if (result == 0) {
        result = collect(directory, &error);
    }
    lease_directory_close(directory);
    if (result < 0 || error.text[0]) {
        report_error(CTL_PROGRAM, NULL, &error);
        if (result < 0)
            return CTL_SYSTEM;
    }
    if (options->json)
        (void)printf("{\"removed\": %d}\n", result); /* looked at by ctl_finish_output() */
    else if (result == 0)
        (void)puts("nothing to remove"); /* the same */
    else
        (void)printf("removed what %d dead jail%s left\n", result,
                     result == 1 ? "" : "s"); /* the same */
    return CTL_OK;
}
