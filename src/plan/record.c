/* The record of a jail: made from its plan, printed as text; record_parse.c reads it back.
 *
 * Pure. Written before the first change to the host, so it lists what may exist, and undoing what
 * does not exist is no error. What must not happen: an object on the host that no record names. */
#include "plan/record.h"

#include "base/buf.h"
#include "base/cleanup.h"
#include "plan/host_tables.h"
#include "plan/record_text.h"

#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct record *record_new(void)
{
    struct arena *arena = arena_new();
    struct record *record;

    if (!arena)
        abort();
    record = arena_alloc(arena, sizeof *record);
    record->arena = arena;
    record->policy = "";
    record->command = "";
    record->log = "";
    return record;
}

void record_free(struct record *record)
{
    if (record)
        arena_free(record->arena);
}

static void add_publish(struct record *record, const struct op *op)
{
    static const struct addr loopback[] = {{ADDR_V4, {127, 0, 0, 1}}, {ADDR_V6, {[15] = 1}}};
    static const struct addr any[] = {{.family = ADDR_V4}, {.family = ADDR_V6}};
    struct record_publish *publish = ARENA_PUSH(record->arena, record, publishes);

    publish->protocol = op->listen.protocol;
    publish->addr = op->listen.addr;
    publish->port = op->listen.port;
    publish->jail_port = op->listen.jail_port;
    publish->kind = PUBLISH_ADDRESS;
    for (size_t i = 0; i < 2; i++) {
        if (addr_equal(&op->listen.addr, &loopback[i]))
            publish->kind = PUBLISH_LOOPBACK;
        if (addr_equal(&op->listen.addr, &any[i]))
            publish->kind = PUBLISH_ANY;
    }
}

static void add_link(struct record *record, const struct op *op)
{
    struct record_link *link = ARENA_PUSH(record->arena, record, links);

    memcpy(link->name, op->veth.host_name, sizeof link->name);
    link->group = op->veth.group;
}

/* What it is like is noted by who can see it, kernel/device_note.c. */
static void add_device(struct record *record, const struct op *op)
{
    struct record_device *device = ARENA_PUSH(record->arena, record, devices);

    memcpy(device->name, op->device.name, sizeof device->name);
    memcpy(device->jail_name, op->device.jail_name, sizeof device->jail_name);
}

void device_mark(const char *jail, const char *jail_name, char mark[LINK_ALIAS_SIZE])
{
    memset(mark, 0, LINK_ALIAS_SIZE);
    (void)snprintf(mark, LINK_ALIAS_SIZE, "netjail device %s %s", jail, jail_name); /* fits */
}

/* Elements of these sets are the same for all jails that have them. */
static bool set_is_shared(const char *name)
{
    static const enum host_set shared[] = {HOST_SET_GUARD4, HOST_SET_GUARD6, HOST_SET_INSIDE4,
                                           HOST_SET_INSIDE6};

    for (size_t i = 0; i < ARRAY_LENGTH(shared); i++)
        if (strcmp(name, host_set(shared[i])->name) == 0)
            return true;
    return false;
}

/* Elements that begin with a network's bridge, an uplink or a network's prefix are its jails' in
 * common. */
static void mark_shared(const struct record *record, const struct op *op,
                        struct record_element *element)
{
    char ifname[IFNAME_SIZE];

    memcpy(ifname, element->bytes, sizeof ifname);
    if (op->elements.timeout_ms != 0)
        return;
    element->is_shared = set_is_shared(op->elements.set);
    for (size_t i = 0; i < record->networks_count; i++)
        if (strcmp(record->networks[i].name, ifname) == 0) {
            element->is_shared = true;
            memcpy(element->network, ifname, sizeof element->network);
        }
}

static void add_elements(struct record *record, const struct plan *plan, const struct op *op)
{
    size_t key = nft_key_size(&op->elements.key) * (op->elements.is_interval ? 2 : 1);
    const uint8_t *bytes = plan->bytes + op->elements.first_byte;

    for (uint32_t i = 0; i < op->elements.count; i++, bytes += nft_element_size(op)) {
        struct record_element *element = ARENA_PUSH(record->arena, record, elements);

        element->family = op->elements.family;
        memcpy(element->set, op->elements.set, sizeof element->set);
        element->key = op->elements.key;
        element->is_interval = op->elements.is_interval;
        element->length = (uint8_t)key;
        memcpy(element->bytes, bytes, key);
        mark_shared(record, op, element);
    }
}

static void add_networks(struct record *record, const struct plan *plan)
{
    for (size_t i = 0; i < plan->networks_count; i++) {
        struct record_network *network = ARENA_PUSH(record->arena, record, networks);

        memcpy(network->name, plan->networks[i].name, sizeof network->name);
        memcpy(network->where, plan->networks[i].where, sizeof network->where);
        network->external = plan->networks[i].external;
        /* A text that is cut compares as it was cut, on both sides. */
        (void)snprintf(network->text, sizeof network->text, "%s", plan->networks[i].text);
    }
    for (size_t i = 0; i < plan->addresses_count; i++) {
        struct record_address *address = ARENA_PUSH(record->arena, record, addresses);

        memcpy(address->network, plan->addresses[i].network, sizeof address->network);
        memcpy(address->ifname, plan->addresses[i].ifname, sizeof address->ifname);
        address->prefix = plan->addresses[i].prefix;
    }
}

static void mark_forwarding(struct record *record, const struct op *op)
{
    char interface[IFNAME_SIZE];

    if (!sysctl_path_interface(op->sysctl.path, interface) ||
        !strstr(op->sysctl.path, "forwarding"))
        return;
    for (size_t i = 0; i < record->networks_count; i++)
        if (strcmp(record->networks[i].name, interface) == 0)
            record->networks[i].uses_forwarding = true;
}

void record_from_plan(struct record *record, const struct plan *plan)
{
    add_networks(record, plan);
    record->has_no_rules = !plan->joins && !plan->has_rules;
    for (size_t i = 0; i < plan->ops_count; i++) {
        const struct op *op = &plan->ops[i];

        if (op->kind == OP_LISTEN)
            add_publish(record, op);
        if (op->where != WHERE_HOST)
            continue;
        if (op->kind == OP_VETH_ADD) {
            record->uses_host_tables = true;
            add_link(record, op);
        } else if (op->kind == OP_DEVICE_MOVE) {
            add_device(record, op);
        } else if (op->kind == OP_NFT_ELEMENTS_ADD) {
            add_elements(record, plan, op);
        } else if (op->kind == OP_DOCKER_ACCEPT) {
            struct record_docker *docker = ARENA_PUSH(record->arena, record, dockers);

            docker->family = op->docker.family;
            memcpy(docker->ifname, op->docker.ifname, sizeof docker->ifname);
        } else if (op->kind == OP_SYSCTL_SET) {
            mark_forwarding(record, op);
        }
    }
}

bool record_has_sysctl(const struct record *record, const char *path)
{
    for (size_t i = 0; i < record->sysctls_count; i++)
        if (strcmp(record->sysctls[i].path, path) == 0)
            return true;
    return false;
}

bool sysctl_switch_path(const char *path, char ret_path[SYSCTL_PATH_SIZE])
{
    char interface[IFNAME_SIZE];
    const char *slash = strrchr(path, '/');

    if (!slash || !strstr(slash, "forwarding") || !sysctl_path_interface(path, interface) ||
        strcmp(interface, "all") == 0)
        return false;
    (void)snprintf(ret_path, SYSCTL_PATH_SIZE, "net/%s/conf/all/forwarding",
                   strncmp(path, "net/ipv6/", 9) == 0 ? "ipv6" : "ipv4"); /* fits */
    return true;
}

/* Takes over the entry of this path from the first of the others that has it, with this value of
 * ours (NULL: any). */
static void inherit(struct record *record, const char *path, const char *ours,
                    struct record *const *others, size_t others_count)
{
    for (size_t k = 0; k < others_count; k++)
        for (size_t n = 0; n < others[k]->sysctls_count; n++) {
            const struct record_sysctl *theirs = &others[k]->sysctls[n];

            if (strcmp(theirs->path, path) == 0 && (!ours || strcmp(theirs->ours, ours) == 0) &&
                !record_has_sysctl(record, path))
                *ARENA_PUSH(record->arena, record, sysctls) = *theirs;
        }
}

void record_inherit_sysctls(struct record *record, const struct plan *plan,
                            struct record *const *others, size_t others_count)
{
    for (size_t i = 0; i < plan->ops_count; i++) {
        const struct op *op = &plan->ops[i];
        char path[SYSCTL_PATH_SIZE];

        if (op->kind != OP_SYSCTL_SET || op->where != WHERE_HOST)
            continue;
        inherit(record, op->sysctl.path, op->sysctl.value, others, others_count);
        if (sysctl_switch_path(op->sysctl.path, path))
            inherit(record, path, NULL, others, others_count);
    }
}

/* A word without spaces: what is not a plain character is written as %XX. */
static void print_word(const char *text, struct buf *out)
{
    if (!*text || strcmp(text, "-") == 0) {
        buf_puts(out, *text ? "%2d" : "-");
        return;
    }
    for (; *text; text++) {
        unsigned char byte = (unsigned char)*text;

        if (byte <= ' ' || byte > '~' || byte == '%')
            buf_printf(out, "%%%02x", byte);
        else
            buf_append(out, text, 1);
    }
}

static void print_words(struct buf *out, const char *keyword, const char *const *words,
                        size_t count)
{
    buf_puts(out, keyword);
    for (size_t i = 0; i < count; i++) {
        buf_puts(out, " ");
        print_word(words[i], out);
    }
    buf_puts(out, "\n");
}

static void print_header(const struct record *record, struct buf *out)
{
    buf_puts(out, RECORD_HEADER "\n");
    print_words(out, "name", (const char *const[]){record->name}, 1);
    buf_printf(out, "pid %d\npid-start %llu\nuid %u\nstarted %llu\n", record->pid,
               (unsigned long long)record->pid_start, record->uid,
               (unsigned long long)record->started_s);
    buf_printf(out, "netns-cookie %llu\nnetns-inode %llu\nstate %s\n",
               (unsigned long long)record->netns_cookie, (unsigned long long)record->netns_inode,
               record->state == RECORD_ENDING ? "ending" : "running");
    if (record->has_no_rules)
        buf_puts(out, "rules none\n");
    if (record->is_named)
        buf_printf(out, "named %llu\n", (unsigned long long)record->jail_inode);
    print_words(out, "policy", (const char *const[]){record->policy}, 1);
    print_words(out, "command", (const char *const[]){record->command}, 1);
    if (record->log && record->log[0])
        print_words(out, "log", (const char *const[]){record->log}, 1);
}

static void print_networks(const struct record *record, struct buf *out)
{
    char prefix[PREFIX_TEXT_SIZE];

    for (size_t i = 0; i < record->networks_count; i++) {
        const struct record_network *network = &record->networks[i];

        print_words(out, "network",
                    (const char *const[]){network->name, network->external ? "external" : "own",
                                          network->uses_forwarding ? "forwarding" : "local",
                                          network->where, network->text},
                    5);
    }
    for (size_t i = 0; i < record->addresses_count; i++) {
        const struct record_address *address = &record->addresses[i];

        print_words(out, "address",
                    (const char *const[]){address->network, address->ifname,
                                          prefix_print(&address->prefix, prefix)},
                    3);
    }
}

static void print_publishes(const struct record *record, struct buf *out)
{
    static const char *const kinds[] = {
        [PUBLISH_LOOPBACK] = "loopback", [PUBLISH_ANY] = "any", [PUBLISH_ADDRESS] = "address"};
    char addr[ADDR_TEXT_SIZE];

    for (size_t i = 0; i < record->publishes_count; i++) {
        const struct record_publish *publish = &record->publishes[i];

        buf_printf(out, "publish %s %s %s %u %u\n",
                   publish->protocol == IPPROTO_TCP ? "tcp" : "udp", kinds[publish->kind],
                   addr_print(&publish->addr, addr), publish->port, publish->jail_port);
    }
}

static void print_elements(const struct record *record, struct buf *out)
{
    for (size_t i = 0; i < record->elements_count; i++) {
        const struct record_element *element = &record->elements[i];

        buf_printf(out, "element %s %s %s ", element->family == NFT_INET ? "inet" : "bridge",
                   element->set, element->is_shared ? "shared" : "own");
        print_word(element->network, out);
        buf_puts(out, " ");
        for (size_t k = 0; k < element->length; k++)
            buf_printf(out, "%02x", element->bytes[k]);
        buf_puts(out, "\n");
    }
}

static const char *print_addr(const struct addr *addr, char text[ADDR_TEXT_SIZE])
{
    return addr->family == ADDR_NONE ? "" : addr_print(addr, text);
}

static void print_device_addresses(const struct record *record, struct buf *out)
{
    char prefix[PREFIX_TEXT_SIZE], peer[ADDR_TEXT_SIZE], broadcast[ADDR_TEXT_SIZE], numbers[96];

    for (size_t i = 0; i < record->device_addresses_count; i++) {
        const struct record_device_address *a = &record->device_addresses[i];

        (void)snprintf(numbers, sizeof numbers, " %u %u %u %u %u %u\n", a->scope, a->protocol,
                       a->flags, a->preferred_s, a->valid_s, a->metric); /* fits */
        print_words(out, "device-address",
                    (const char *const[]){a->device, prefix_print(&a->prefix, prefix),
                                          print_addr(&a->peer, peer),
                                          print_addr(&a->broadcast, broadcast), a->label},
                    5);
        out->length--; /* the line goes on */
        buf_puts(out, numbers);
    }
}

static void print_device_routes(const struct record *record, struct buf *out)
{
    char prefix[PREFIX_TEXT_SIZE], source[PREFIX_TEXT_SIZE];
    char via[ADDR_TEXT_SIZE], prefsrc[ADDR_TEXT_SIZE];

    for (size_t i = 0; i < record->device_routes_count; i++) {
        const struct record_device_route *r = &record->device_routes[i];
        bool any = r->source.addr.family == ADDR_NONE;

        print_words(out, "device-route",
                    (const char *const[]){r->device, prefix_print(&r->prefix, prefix),
                                          any ? "" : prefix_print(&r->source, source),
                                          print_addr(&r->via, via),
                                          print_addr(&r->prefsrc, prefsrc)},
                    5);
        out->length--; /* the line goes on */
        buf_printf(out, " %u %u %u %u %u %u %u %u ", r->table, r->protocol, r->scope, r->type,
                   r->tos, r->preference, r->flags, r->metric);
        for (size_t k = 0; k < ROUTE_METRICS; k++)
            buf_printf(out, "%08x", r->metrics[k]);
        buf_puts(out, "\n");
    }
}

static void print_device_settings(const struct record *record, struct buf *out)
{
    for (size_t i = 0; i < record->device_settings_count; i++) {
        const struct record_device_setting *s = &record->device_settings[i];

        print_words(out, "device-setting",
                    (const char *const[]){s->device, s->directory, s->name, s->value}, 4);
    }
}

static void print_devices(const struct record *record, struct buf *out)
{
    if (record->kept_inode)
        buf_printf(out, "kept %llu\n", (unsigned long long)record->kept_inode);
    for (size_t i = 0; i < record->devices_count; i++) {
        const struct record_device *device = &record->devices[i];

        print_words(out, "device",
                    (const char *const[]){device->name, device->jail_name, device->alias}, 3);
        out->length--; /* the line goes on */
        buf_printf(out, " %s %u %u %llu\n", device->was_up ? "up" : "down", device->group,
                   device->mtu, (unsigned long long)device->noted_s);
    }
    print_device_addresses(record, out);
    print_device_routes(record, out);
    print_device_settings(record, out);
}

void record_print(const struct record *record, struct buf *out)
{
    print_header(record, out);
    print_networks(record, out);
    print_publishes(record, out);
    for (size_t i = 0; i < record->sysctls_count; i++)
        print_words(out, "sysctl",
                    (const char *const[]){record->sysctls[i].path, record->sysctls[i].was,
                                          record->sysctls[i].ours},
                    3);
    for (size_t i = 0; i < record->links_count; i++)
        print_words(out, "link",
                    (const char *const[]){record->links[i].name,
                                          record->links[i].group == GROUP_CABLE ? "cable" : "port"},
                    2);
    print_elements(record, out);
    for (size_t i = 0; i < record->dockers_count; i++)
        print_words(out, "docker",
                    (const char *const[]){record->dockers[i].family == ADDR_V4 ? "ip" : "ip6",
                                          record->dockers[i].ifname},
                    2);
    print_devices(record, out);
    if (record->uses_host_tables)
        buf_puts(out, "host-tables\n");
    buf_puts(out, "end\n");
}
