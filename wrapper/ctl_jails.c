/* netjailctl list and gc: the jails that run, and what dead ones left. */
#include "base/buf.h"
#include "base/cleanup.h"
#include "jail/jail.h"
#include "kernel/apply.h"
#include "kernel/lease.h"
#include "wrapper/ctl.h"
#include "wrapper/report.h"

#include <errno.h>
#include <jansson.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

/* Adds the running jails of one scope; that there is none, or that it is not ours to read, is fine.
 */
static int read_scope(enum lease_scope scope, struct facts *facts, struct error *error)
{
    struct lease_directory *directory = NULL;
    int result = lease_directory_open(scope, false, &directory, error);

    if (result == 0)
        result = lease_scan(directory, NULL, facts, NULL, NULL, error);
    lease_directory_close(directory);
    if (result != -ENOENT && result != -EACCES)
        return result;
    *error = (struct error){0};
    return 0;
}

/* The records of all running jails: the host's, and the user's own. */
static int read_jails(struct facts **ret_facts, struct error *error)
{
    struct facts *facts = facts_new();
    int result = read_scope(LEASE_HOST, facts, error);

    if (result == 0 && geteuid() != 0)
        result = read_scope(LEASE_USER, facts, error);
    if (result < 0) {
        facts_free(facts);
        return result;
    }
    *ret_facts = facts;
    return 0;
}

static void print_uptime(uint64_t started_s, char text[32])
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

static void print_jail(const struct record *record)
{
    cleanup_buf struct buf addresses = {0};
    cleanup_buf struct buf line = {0};
    char uptime[32];

    print_uptime(record->started_s, uptime);
    print_addresses(record, &addresses);
    buf_printf(&line, "%-20s %7d  %-8s %-7s %-24s ", record->name, (int)record->pid, uptime,
               state_name(record), record->policy && record->policy[0] ? record->policy : "-");
    buf_printf(&line, "%-32s ", buf_text(&addresses));
    if (record->command)
        buf_put_visible(&line, record->command, strlen(record->command));
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

static json_t *jail_json(const struct record *record)
{
    return json_pack("{s:s, s:i, s:I, s:I, s:s, s:s, s:s, s:o, s:o}", "name", record->name, "pid",
                     (int)record->pid, "uid", (json_int_t)record->uid, "started",
                     (json_int_t)record->started_s, "state", state_name(record), "policy",
                     record->policy ? record->policy : "", "command",
                     record->command ? record->command : "", "addresses", addresses_json(record),
                     "publish", publishes_json(record));
}

static int list_json(const struct facts *facts)
{
    json_t *list = json_array();

    for (size_t i = 0; i < facts->others_count; i++)
        if (json_array_append_new(list, jail_json(facts->others[i])) != 0)
            report_note(CTL_PROGRAM, "cannot show the jail '%s' as JSON", facts->others[i]->name);
    bool failed = json_dumpf(list, stdout, JSON_INDENT(2)) != 0;
    (void)fputs("\n", stdout); /* looked at by ctl_finish_output() */
    json_decref(list);
    return failed ? CTL_SYSTEM : CTL_OK;
}

int ctl_list(const struct ctl_options *options)
{
    struct facts *facts = NULL;
    struct error error = {0};
    int status = CTL_OK;

    if (read_jails(&facts, &error) < 0) {
        report_error(CTL_PROGRAM, NULL, &error);
        return CTL_SYSTEM;
    }
    if (options->json) {
        status = list_json(facts);
    } else {
        (void)printf("%-20s %7s  %-8s %-7s %-24s %-32s %s\n", "JAIL", "PID", "UPTIME", "STATE",
                     "POLICY", "ADDRESSES", "COMMAND"); /* looked at by ctl_finish_output() */
        for (size_t i = 0; i < facts->others_count; i++)
            print_jail(facts->others[i]);
    }
    facts_free(facts);
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
