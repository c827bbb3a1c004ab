/* resolv.conf, hosts and nsswitch.conf of a jail. Pure.
 *
 * What must not happen: a module left in nsswitch.conf that asks a daemon of the host (resolve,
 * mdns, mymachines, wins, sss...): it would resolve by another network than the jail's. */
#include "plan/name_files.h"

#include "base/buf.h"
#include "base/cleanup.h"
#include "policy/relay.h"

#include <string.h>

#define COMMENT "# Made by netjail, for this jail only.\n"

bool name_files_wanted(const struct policy *policy)
{
    return policy->needs_resolver || policy->dns.directs_count > 0 || policy->exposes_count > 0;
}

static bool is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\r';
}

const char *name_files_below_run(const char *target)
{
    static const char *const starts[] = {"/run/", "../run/", "/var/run/", "../var/run/"};

    for (size_t i = 0; i < ARRAY_LENGTH(starts); i++) {
        if (strncmp(target, starts[i], strlen(starts[i])) == 0)
            return target + strlen(starts[i]);
    }
    return NULL;
}

size_t name_files_parse_servers(const char *text, size_t length, struct addr *ret_addrs, size_t max)
{
    static const char key[] = "nameserver";
    static const struct addr loopback = {.family = ADDR_V4, .bytes = {127, 0, 0, 1}};
    size_t count = 0;

    for (size_t i = 0; i < length && count < max;) {
        const char *newline = memchr(text + i, '\n', length - i);
        size_t end = newline ? (size_t)(newline - text) : length;
        size_t start = i + sizeof key - 1;
        size_t stop;

        if (end > start && memcmp(text + i, key, sizeof key - 1) == 0 && is_space(text[start])) {
            while (start < end && is_space(text[start]))
                start++;
            for (stop = start; stop < end && !is_space(text[stop]); stop++)
                ;
            count += addr_parse(text + start, stop - start, &ret_addrs[count]) == 0;
        }
        i = end + 1;
    }
    if (count == 0 && max > 0)
        ret_addrs[count++] = loopback;
    return count;
}

void name_files_print_resolv(const struct policy *policy, struct buf *out)
{
    const struct dns *dns = &policy->dns;
    char text[ADDR_TEXT_SIZE];

    buf_puts(out, COMMENT);
    if (policy->needs_resolver)
        buf_puts(out, "nameserver " RESOLVER_ADDRESS "\n");
    for (size_t i = 0; i < dns->directs_count; i++)
        buf_printf(out, "nameserver %s\n", addr_print(&dns->directs[i].addr, text));
    for (size_t i = 0; i < dns->searches_count; i++)
        buf_printf(out, "%s%s", i == 0 ? "search " : " ", dns->searches[i].name);
    if (dns->searches_count > 0)
        buf_puts(out, "\n");
}

void name_files_print_hosts(const struct policy *policy, const char *host_name, struct buf *out)
{
    const struct dns *dns = &policy->dns;
    char text[ADDR_TEXT_SIZE];

    buf_puts(out, COMMENT "127.0.0.1 localhost\n::1 localhost ip6-localhost ip6-loopback\n");
    if (host_name[0] && strcmp(host_name, "localhost") != 0)
        buf_printf(out, "127.0.1.1 %s\n", host_name);
    for (size_t i = 0; policy->exposes_count > 0 && i < 2; i++) {
        struct addr host = relay_addr(RELAY_HOST, i == 0 ? ADDR_V4 : ADDR_V6);

        buf_printf(out, "%s " RELAY_HOST_NAME "\n", addr_print(&host, text));
    }
    for (size_t i = 0; i < dns->records_count; i++)
        buf_printf(out, "%s %s\n", addr_print(&dns->records[i].addr, text), dns->records[i].name);
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

/* Is every module of the line one that asks nobody but files and our resolver? */
static bool modules_are_ours(const char *text, size_t length)
{
    static const char *const ours[] = {"files", "dns", "myhostname"};

    for (size_t i = 0; i < length;) {
        size_t start, end;
        bool known = false;

        for (start = i; start < length && is_blank(text[start]); start++)
            ;
        for (end = start; end < length && !is_blank(text[end]) && text[end] != '['; end++)
            ;
        if (end < length && text[end] == '[' && end == start) {
            const char *close = memchr(text + start, ']', length - start);

            i = close ? (size_t)(close - text) + 1 : length; /* [NOTFOUND=return] */
            continue;
        }
        for (size_t k = 0; k < ARRAY_LENGTH(ours); k++)
            known |=
                strlen(ours[k]) == end - start && memcmp(ours[k], text + start, end - start) == 0;
        if (end > start && !known)
            return false;
        i = end > i ? end : i + 1;
    }
    return true;
}

/* The length of "hosts:" with the blanks around it, when the line begins so. */
static size_t hosts_key(const char *line, size_t length)
{
    size_t i = 0;

    while (i < length && is_blank(line[i]))
        i++;
    if (length - i < 5 || memcmp(line + i, "hosts", 5) != 0)
        return 0;
    for (i += 5; i < length && is_blank(line[i]); i++)
        ;
    return i < length && line[i] == ':' ? i + 1 : 0;
}

bool name_files_print_nsswitch(const char *text, size_t length, struct buf *out)
{
    bool changed = false;

    for (size_t i = 0; i < length;) {
        const char *end = memchr(text + i, '\n', length - i);
        size_t line = end ? (size_t)(end - text) - i : length - i;
        const char *comment = memchr(text + i, '#', line);
        size_t code = comment ? (size_t)(comment - text) - i : line;
        size_t key = hosts_key(text + i, code);

        if (key > 0 && !modules_are_ours(text + i + key, code - key)) {
            buf_puts(out, "hosts: files dns\n");
            changed = true;
        } else {
            buf_append(out, text + i, line);
            buf_puts(out, "\n");
        }
        i += line + 1;
    }
    return changed;
}
