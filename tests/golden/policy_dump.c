/* policy_dump FILE [-e STATEMENT | -D NAME=VALUE | --refuse | --quiet]...: parses and checks one
 * policy, prints the messages as `netjail` would, and, when there is no error, the policy in one
 * canonical form. For the golden tests: nothing is opened but FILE and what it includes, relative
 * to it. Exit status 0, 1 on errors in the policy, 2 when it cannot work. */
#include "base/buf.h"
#include "base/cleanup.h"
#include "policy/policy.h"

#include <errno.h>
#include <netinet/in.h>
#include <string.h>

/* The texts that were read: they must stay until the parser returns. */
struct files {
    struct arena *arena;
};

static int read_whole(struct arena *arena, const char *path, const char **ret_text,
                      size_t *ret_length)
{
    cleanup_file FILE *file = fopen(path, "re");
    cleanup_buf struct buf text = {0};
    char block[65536];
    size_t length;

    if (!file)
        return -errno;
    while ((length = fread(block, 1, sizeof block, file)) > 0)
        buf_append(&text, block, length);
    if (ferror(file))
        return -EIO;
    *ret_text = arena_strndup(arena, buf_text(&text), text.length);
    *ret_length = text.length;
    return 0;
}

static int read_relative(void *context, const char *from, const char *name, const char **ret_path,
                         const char **ret_text, size_t *ret_length, struct error *error)
{
    struct files *files = context;
    const char *slash = from ? strrchr(from, '/') : NULL;
    const char *path = name;
    int result;

    if (slash && name[0] != '/')
        path = arena_printf(files->arena, "%.*s/%s", (int)(slash - from), from, name);
    result = read_whole(files->arena, path, ret_text, ret_length);
    if (result < 0)
        return error_errno(error, result, "cannot read '%s'", name);
    *ret_path = path;
    return 0;
}

static void put_item(const struct set_item *item, struct buf *out)
{
    static const char *const words[] = {
        [SET_ANY] = "any",
        [SET_GATEWAY] = "gateway",
        [SET_HOST] = "host",
        [SET_LINK_LOCAL] = "link-local",
        [SET_PRIVATE] = "private",
        [SET_MULTICAST] = "multicast",
        [SET_BROADCAST] = "broadcast",
        [SET_METADATA] = "metadata",
    };
    char first[PREFIX_TEXT_SIZE], last[ADDR_TEXT_SIZE];
    struct prefix prefix;

    switch (item->kind) {
    case SET_RANGE:
        if (range_prefix(&item->range, &prefix))
            buf_puts(out, prefix_print(&prefix, first));
        else
            buf_printf(out, "%s-%s", addr_print(&item->range.first, first),
                       addr_print(&item->range.last, last));
        break;
    case SET_NAME:
        buf_puts(out, item->name);
        break;
    case SET_SUFFIX:
        buf_printf(out, "*.%s", item->name);
        break;
    case SET_JAIL:
        buf_printf(out, "jail %s", item->name);
        break;
    default:
        buf_puts(out, words[item->kind]);
        break;
    }
}

static void put_set(const char *clause, const struct set *set, struct buf *out)
{
    if (!set->given)
        return;
    buf_printf(out, " %s {", clause);
    for (size_t i = 0; i < set->items_count; i++) {
        buf_puts(out, i ? ", " : " ");
        put_item(&set->items[i], out);
    }
    buf_puts(out, " }");
}

static void put_protocols(const struct rule *rule, struct buf *out)
{
    for (size_t i = 0; i < rule->protocols_count; i++) {
        const struct protocol *protocol = &rule->protocols[i];
        const char *name = protocol_name(protocol->number);

        buf_puts(out, i ? "," : " ");
        if (name)
            buf_puts(out, name);
        else
            buf_printf(out, "%u", protocol->number);
        if (protocol->has_type)
            buf_printf(out, " %u", protocol->icmp_type);
    }
}

static void put_rule(const struct rule *rule, struct buf *out)
{
    buf_printf(out, "%s %s", verdict_name(rule->verdict), direction_name(rule->direction));
    put_protocols(rule, out);
    put_set("from", &rule->from, out);
    put_set("to", &rule->to, out);
    if (rule->ports.given) {
        buf_puts(out, " port {");
        for (size_t i = 0; i < rule->ports.ranges_count; i++)
            buf_printf(out, "%s%u-%u", i ? ", " : " ", rule->ports.ranges[i].first,
                       rule->ports.ranges[i].last);
        buf_puts(out, " }");
    }
    if (rule->rate.given)
        buf_printf(out, " rate %llu/%us burst %u", (unsigned long long)rule->rate.count,
                   rule->rate.unit_s, rule->rate.burst);
    if (rule->log)
        buf_printf(out, " log%s%s", rule->log_text ? " " : "",
                   rule->log_text ? rule->log_text : "");
    buf_puts(out, "\n");
}

static void put_addresses(const char *word, const struct link_address *addresses, size_t count,
                          struct buf *out)
{
    char text[PREFIX_TEXT_SIZE];

    for (size_t i = 0; i < count; i++)
        buf_printf(out, "    %s %s\n", word,
                   addresses[i].automatic ? "auto"
                   : addresses[i].keep    ? "keep"
                                          : prefix_print(&addresses[i].prefix, text));
}

static void put_routes(const char *word, const struct route *routes, size_t count, struct buf *out)
{
    char prefix[PREFIX_TEXT_SIZE], via[ADDR_TEXT_SIZE];

    for (size_t i = 0; i < count; i++)
        buf_printf(out, "    %s %s via %s\n", word, prefix_print(&routes[i].prefix, prefix),
                   addr_print(&routes[i].via, via));
}

static void put_network(const struct network *network, struct buf *out)
{
    buf_printf(out, "network %s {\n", network->name);
    put_addresses("address", network->addresses, network->addresses_count, out);
    buf_printf(out, "%s%s%s}\n", network->nat ? "    nat\n" : "",
               network->isolate ? "    isolate\n" : "", network->external ? "    external\n" : "");
}

static void put_link(const struct policy *policy, const struct link *link, struct buf *out)
{
    static const char *const kinds[] = {
        [LINK_BRIDGE] = "bridge", [LINK_VETH_HOST] = "veth host", [LINK_VETH_JAIL] = "veth jail",
        [LINK_DEVICE] = "device", [LINK_MACVLAN] = "macvlan",     [LINK_IPVLAN] = "ipvlan",
        [LINK_RELAY] = "relay",   [LINK_JOIN] = "join",
    };
    char text[ADDR_TEXT_SIZE], mac[MAC_TEXT_SIZE];

    buf_printf(out, "link %s%s%s%s%s {\n", link->ifname ? link->ifname : "",
               link->ifname ? " " : "", kinds[link->kind], link->target ? " " : "",
               link->target ? link->target : "");
    if (link->kind == LINK_BRIDGE)
        buf_printf(out, "    # network %zu of %zu\n", link->network + 1, policy->networks_count);
    put_addresses("address", link->addresses, link->addresses_count, out);
    if (link->gateway == GATEWAY_NONE)
        buf_puts(out, "    gateway none\n");
    for (size_t i = 0; i < link->gateways_count; i++)
        buf_printf(out, "    gateway %s\n", addr_print(&link->gateways[i], text));
    put_routes("route", link->routes, link->routes_count, out);
    if (link->has_mac)
        buf_printf(out, "    mac %s\n", mac_print(&link->mac, mac));
    if (link->mtu)
        buf_printf(out, "    mtu %u\n", link->mtu);
    if (link->rate_bit_s)
        buf_printf(out, "    rate %llubit\n", (unsigned long long)link->rate_bit_s);
    if (link->host_ifname)
        buf_printf(out, "    host end %s\n", link->host_ifname);
    put_addresses("peer-address", link->peer_addresses, link->peer_addresses_count, out);
    put_routes("peer-route", link->peer_routes, link->peer_routes_count, out);
    if (link->mode)
        buf_printf(out, "    mode %s\n", link->mode);
    buf_printf(out, "%s}\n", link->nat ? "    nat\n" : "");
}

static void put_dns(const struct dns *dns, struct buf *out)
{
    char text[ADDR_TEXT_SIZE];

    if (!dns->given)
        return;
    buf_puts(out, dns->any ? "dns {\n    any\n" : "dns {\n");
    for (size_t i = 0; i < dns->upstreams_count; i++)
        buf_printf(out, "    upstream %s\n", addr_print(&dns->upstreams[i].addr, text));
    for (size_t i = 0; i < dns->searches_count; i++)
        buf_printf(out, "    search %s\n", dns->searches[i].name);
    for (size_t i = 0; i < dns->records_count; i++)
        buf_printf(out, "    record %s %s\n", dns->records[i].name,
                   addr_print(&dns->records[i].addr, text));
    for (size_t i = 0; i < dns->privates_count; i++)
        buf_printf(out, "    private %s\n", dns->privates[i].name);
    for (size_t i = 0; i < dns->directs_count; i++)
        buf_printf(out, "    direct %s\n", addr_print(&dns->directs[i].addr, text));
    buf_puts(out, "}\n");
}

static void put_publish(const struct publish *publish, struct buf *out)
{
    char text[ADDR_TEXT_SIZE];

    buf_printf(out, "publish %s port %u-%u to %u %s%s\n",
               publish->kind == PUBLISH_LOOPBACK ? "loopback"
               : publish->kind == PUBLISH_ANY    ? "any"
                                                 : addr_print(&publish->addr, text),
               publish->host_ports.first, publish->host_ports.last, publish->jail_port,
               protocol_name(publish->protocol),
               publish->preserve_source ? " preserve-source" : "");
}

static void put_command(const struct policy *policy, struct buf *out)
{
    static const char *const unix_sockets[] = {"masked", "host", "none"};
    static const char *const targets[] = {"stderr", "journal", "file"};

    if (policy->connection_rate.given)
        buf_printf(out, "limit rate %llu in %u s burst %u\n",
                   (unsigned long long)policy->connection_rate.count,
                   policy->connection_rate.unit_s, policy->connection_rate.burst);
    if (policy->connection_limit_given)
        buf_printf(out, "limit connections %u\n", policy->connection_limit);
    if (policy->user)
        buf_printf(out, "user %s group %s\n", policy->user, policy->group ? policy->group : "-");
    if (policy->capabilities_kept)
        buf_printf(out, "capabilities %#llx\n", (unsigned long long)policy->capabilities_kept);
    if (policy->families_given)
        buf_printf(out, "families %#x\n", policy->families);
    if (policy->unix_sockets_given)
        buf_printf(out, "unix-sockets %s\n", unix_sockets[policy->unix_sockets]);
    if (policy->namespaces_allow)
        buf_puts(out, "namespaces allow\n");
    if (policy->processes_shared)
        buf_puts(out, "processes shared\n");
    if (policy->on_exit_wait)
        buf_puts(out, "on-exit wait\n");
    if (policy->log_denied)
        buf_printf(out, "log denied to %s %s%s\n", targets[policy->log_target],
                   policy->log_path ? policy->log_path : "-", policy->log_json ? " json" : "");
}

static void put_policy(const struct policy *policy, struct buf *out)
{
    if (policy->name)
        buf_printf(out, "name %s\n", policy->name);
    for (size_t i = 0; i < policy->networks_count; i++)
        put_network(&policy->networks[i], out);
    for (size_t i = 0; i < policy->links_count; i++)
        put_link(policy, &policy->links[i], out);
    if (policy->lo_addresses_count) {
        buf_puts(out, "lo {\n");
        put_addresses("address", policy->lo_addresses, policy->lo_addresses_count, out);
        buf_puts(out, "}\n");
    }
    buf_puts(out, policy->forward ? "forward\n" : "");
    put_dns(&policy->dns, out);
    for (unsigned i = 0; i < DIRECTION_COUNT; i++)
        buf_printf(out, "default %s %s\n", direction_name((enum direction)i),
                   verdict_name(policy->defaults[i]));
    for (size_t i = 0; i < policy->rules_count; i++)
        put_rule(&policy->rules[i], out);
    for (size_t i = 0; i < policy->publishes_count; i++)
        put_publish(&policy->publishes[i], out);
    for (size_t i = 0; i < policy->exposes_count; i++)
        buf_printf(out, "expose %u %s\n", policy->exposes[i].port,
                   protocol_name(policy->exposes[i].protocol));
    put_command(policy, out);
}

/* What the command line asks for. */
struct request {
    const char *file;
    struct policy_value values[64];
    size_t values_count;
    const char *statements[64];
    size_t statements_count;
    bool refuse;
    bool quiet;
};

static int add_value(struct policy *policy, struct request *request, char *argument)
{
    char *equals = strchr(argument, '=');
    struct policy_value *value = &request->values[request->values_count];

    if (!equals || request->values_count == ARRAY_LENGTH(request->values))
        return -EINVAL;
    value->where = (struct position){
        sources_add(&policy->sources, "option -D", argument, strlen(argument), true), 1,
        (uint32_t)(equals - argument) + 2, (uint32_t)strlen(equals + 1)};
    *equals = '\0';
    value->name = argument;
    value->value = equals + 1;
    request->values_count++;
    return 0;
}

static int parse_arguments(struct policy *policy, int argc, char **argv, struct request *request)
{
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--refuse") == 0)
            request->refuse = true;
        else if (strcmp(argv[i], "--quiet") == 0)
            request->quiet = true;
        else if (strcmp(argv[i], "-D") == 0 && i + 1 < argc) {
            if (add_value(policy, request, argv[++i]) < 0)
                return -EINVAL;
        } else if (strcmp(argv[i], "-e") == 0 && i + 1 < argc &&
                   request->statements_count < ARRAY_LENGTH(request->statements))
            request->statements[request->statements_count++] = argv[++i];
        else if (!request->file)
            request->file = argv[i];
        else
            return -EINVAL;
    }
    return request->file ? 0 : -EINVAL;
}

static void parse_all(struct policy *policy, struct diags *diags, const struct request *request,
                      const char *text, size_t length)
{
    struct files files = {policy->arena};
    struct policy_reader reader = {read_relative, &files};

    /* The errors of each are in diags. */
    (void)policy_parse(policy, diags, request->file, request->file, text, length, false, &reader,
                       request->values, request->values_count);
    for (size_t i = 0; i < request->statements_count; i++)
        (void)policy_parse(policy, diags, "option -e", NULL, request->statements[i],
                           strlen(request->statements[i]), true, &reader, request->values,
                           request->values_count);
    (void)policy_check(policy, diags);
    if (request->refuse)
        (void)policy_refuse_unavailable(policy, diags);
}

int main(int argc, char **argv)
{
    struct policy *policy = policy_new();
    struct diags *diags = policy_diags(policy);
    cleanup_buf struct buf out = {0};
    struct request request = {0};
    const char *text;
    size_t length;
    int result = 0;

    if (parse_arguments(policy, argc, argv, &request) < 0 ||
        read_whole(policy->arena, request.file, &text, &length) < 0) {
        (void)fputs("usage: policy_dump FILE [-e STATEMENT] [-D NAME=VALUE] [--refuse] [--quiet]\n",
                    stderr); /* the exit status says it too */
        policy_free(policy);
        return 2;
    }
    parse_all(policy, diags, &request, text, length);
    diags_print(diags, &out);
    if (diags->error_count)
        result = 1;
    else if (!request.quiet)
        put_policy(policy, &out);
    if (fputs(buf_text(&out), stdout) < 0 || fflush(stdout) != 0)
        result = 2;
    policy_free(policy);
    return result;
}
