/* Networks: is it ours, does it exist, do others agree, is it in the way of something.
 *
 * Pure. A network is made by its first jail; all its jails must describe it in the same words,
 * since there is one bridge. What must not happen: a bridge that is not ours being changed. */
#include "plan/build_internal.h"

#include "base/buf.h"
#include "plan/pool.h"

#include <stdio.h>
#include <string.h>

/* The statement in canonical words, to be compared and shown. */
static const char *network_text(struct build *build, const struct network *network)
{
    cleanup_buf struct buf text = {0};
    char prefix[PREFIX_TEXT_SIZE];

    if (network->external)
        buf_puts(&text, "; external");
    for (size_t i = 0; i < network->addresses_count; i++)
        buf_printf(&text, "; address %s", prefix_print(&network->addresses[i].prefix, prefix));
    if (network->nat)
        buf_puts(&text, "; nat");
    if (network->isolate)
        buf_puts(&text, "; isolate");
    if (text.length == 0)
        return "";
    return arena_strndup(build->plan->arena, buf_text(&text) + 2, text.length - 2);
}

static const struct fact_link *find_link(const struct facts *facts, const char *name)
{
    for (size_t i = 0; i < facts->links_count; i++)
        if (strcmp(facts->links[i].name, name) == 0)
            return &facts->links[i];
    return NULL;
}

static const struct record_network *find_in_record(const struct record *record, const char *name)
{
    for (size_t i = 0; i < record->networks_count; i++)
        if (strcmp(record->networks[i].name, name) == 0)
            return &record->networks[i];
    return NULL;
}

bool build_network_exists(const struct build *build, const struct network *network)
{
    return find_link(build->facts, network->name) != NULL;
}

/* The addresses that the policy says the host has on a bridge that is not ours to change. */
static void check_external_addresses(struct build *build, const struct network *network)
{
    for (size_t i = 0; i < network->addresses_count; i++) {
        const struct prefix *stated = &network->addresses[i].prefix;
        char text[PREFIX_TEXT_SIZE];
        const struct fact_address *found = NULL;
        struct diag *diag;

        for (size_t k = 0; k < build->facts->addresses_count; k++) {
            const struct fact_address *address = &build->facts->addresses[k];

            if (strcmp(address->ifname, network->name) != 0 ||
                address->prefix.addr.family != stated->addr.family)
                continue;
            if (!found || addr_equal(&address->prefix.addr, &stated->addr))
                found = address;
        }
        if (found && addr_equal(&found->prefix.addr, &stated->addr) &&
            found->prefix.length == stated->length)
            continue;
        diag = build_error(build, NULL, network->addresses[i].where,
                           "the host's bridge '%s' does not have the address %s", network->name,
                           prefix_print(stated, text));
        if (found)
            diag_hint(build->diags, diag, "it has %s", prefix_print(&found->prefix, text));
        else
            diag_hint(build->diags, diag,
                      "an external bridge is not changed: ip address add %s dev %s",
                      prefix_print(stated, text), network->name);
    }
}

/* An interface of that name that no other jail knows as its network. */
static void check_foreign(struct build *build, const struct network *network)
{
    const struct fact_link *link = find_link(build->facts, network->name);
    struct diag *diag;

    if (network->external) {
        if (!link)
            (void)build_error(build, NULL, network->where,
                              "there is no bridge '%s' on this host, and it is said to be external",
                              network->name);
        else if (!link->is_bridge)
            (void)build_error(build, NULL, network->where,
                              "the external network '%s' is not a bridge", network->name);
        else
            check_external_addresses(build, network);
        return;
    }
    if (!link)
        return;
    diag = build_error(build, NULL, network->where, "the host has an interface '%s' already",
                       network->name);
    if (link->group == GROUP_NETWORK)
        diag_hint(build->diags, diag,
                  "no running jail has it: remove it with 'ip link delete dev %s', or run "
                  "'netjailctl gc' where a jail that died left it",
                  network->name);
    else if (link->is_bridge)
        diag_hint(build->diags, diag, "to use this bridge as it is, say 'external' in the network");
    else
        diag_hint(build->diags, diag, "give the network another name");
}

/* True when another jail has the network, too. */
static bool check_others(struct build *build, const struct network *network, const char *text)
{
    bool found = false;

    for (size_t i = 0; i < build->facts->others_count; i++) {
        const struct record *other = build->facts->others[i];
        const struct record_network *theirs = find_in_record(other, network->name);

        if (!theirs)
            continue;
        found = true;
        if (strcmp(theirs->text, text) == 0)
            continue;
        (void)build_error(build, other, network->where,
                          "network '%s' is { %s } here, but jail '%s' runs with { %s } (%s)",
                          network->name, text, other->name, theirs->text, theirs->where);
        break;
    }
    return found;
}

static bool network_is_used(const struct build *build, const struct network *network)
{
    for (size_t i = 0; i < build->links_count; i++)
        if (build->links[i].network == network)
            return true;
    return false;
}

void build_check_networks(struct build *build)
{
    for (size_t i = 0; i < build->policy->networks_count; i++) {
        const struct network *network = &build->policy->networks[i];
        bool exists = build_network_exists(build, network);
        struct plan_network *entry;
        bool shared;

        if (!network_is_used(build, network))
            continue;
        entry = ARENA_PUSH(build->plan->arena, build->plan, networks);
        memcpy(entry->name, network->name, strnlen(network->name, IFNAME_MAX));
        entry->text = network_text(build, network);
        entry->external = network->external;
        if (network->where.source > 0 && network->where.source <= build->policy->sources.list_count)
            (void)snprintf(entry->where, sizeof entry->where, "%.110s:%u", /* shown only */
                           build->policy->sources.list[network->where.source - 1].name,
                           network->where.line);
        shared = check_others(build, network, entry->text);
        if (!shared || network->external)
            check_foreign(build, network);
        for (size_t k = 0; !network->external && !exists && k < network->addresses_count; k++)
            build_check_overlap(build, &network->addresses[k], network->name);
    }
}

/* The bridge's MAC follows from its name: stated, so that it does not change with its ports. */
static struct mac network_mac(const char *name)
{
    uint64_t seed = 0x6e65746a61696cu;

    for (; *name; name++)
        seed = seed * 0x100000001b3u ^ (uint8_t)*name;
    return pool_choose_mac(&seed);
}

static void emit_bridge(struct build *build, const struct network *network)
{
    struct plan *plan = build->plan;
    struct op *op = plan_push(plan, OP_BRIDGE_ADD, WHERE_HOST, network->where);

    memcpy(op->bridge.name, network->name, strnlen(network->name, IFNAME_MAX));
    (void)snprintf(op->bridge.alias, sizeof op->bridge.alias, "netjail network %s", /* fits */
                   network->name);
    op->bridge.mac = network_mac(network->name);
    op = plan_push(plan, OP_SYSCTL_SET, WHERE_HOST, network->where);
    (void)snprintf(op->sysctl.path, sizeof op->sysctl.path,
                   "net/ipv6/conf/%s/accept_dad", /* fits */
                   network->name);
    memcpy(op->sysctl.value, "0", 2);
    op->sysctl.optional = true;
    for (size_t i = 0; i < network->addresses_count; i++) {
        op = plan_push(plan, OP_ADDRESS_ADD, WHERE_HOST, network->addresses[i].where);
        memcpy(op->address.ifname, network->name, strnlen(network->name, IFNAME_MAX));
        op->address.prefix = network->addresses[i].prefix;
    }
    op = plan_push(plan, OP_LINK_UP, WHERE_HOST, network->where);
    memcpy(op->ifname, network->name, strnlen(network->name, IFNAME_MAX));
}

void build_networks(struct build *build)
{
    for (size_t i = 0; i < build->policy->networks_count; i++) {
        const struct network *network = &build->policy->networks[i];

        if (network_is_used(build, network) && !network->external &&
            !build_network_exists(build, network))
            emit_bridge(build, network);
    }
}
