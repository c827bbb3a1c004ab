/* The verdict of a policy on the first packet of a flow. The plan compiles the same rules for the
 * kernel; a differential test holds the two against each other. Pure: what only the running jail
 * knows is asked of the caller, and without an answer a set does not contain the address. */
#include "policy/decide.h"

#include "policy/names.h"

#include <netinet/in.h>
#include <string.h>

/* Names whose addresses the policy itself says (`dns { record NAME ADDR }`). */
static bool record_contains(const struct policy *policy, const struct set_item *item,
                            const struct addr *addr)
{
    for (size_t i = 0; i < policy->dns.records_count; i++) {
        const struct dns_record *record = &policy->dns.records[i];

        if (addr_equal(&record->addr, addr) &&
            name_matches(item, record->name, strlen(record->name)))
            return true;
    }
    return false;
}

static bool item_contains(const struct policy *policy, const struct set_item *item,
                          const struct addr *addr, const struct decide_context *context)
{
    const struct addr_range *ranges;
    size_t count;

    if (item->kind == SET_ANY)
        return true;
    if (item->kind == SET_RANGE)
        return range_contains(&item->range, addr);
    if ((item->kind == SET_NAME || item->kind == SET_SUFFIX) && record_contains(policy, item, addr))
        return true;
    count = set_builtin_ranges(item->kind, &ranges);
    for (size_t i = 0; i < count; i++) {
        if (range_contains(&ranges[i], addr))
            return true;
    }
    if (count > 0 && item->kind != SET_BROADCAST)
        return false; /* constant: the jail has nothing to add */
    return context && context->contains && context->contains(context->context, item, addr);
}

static bool set_contains(const struct policy *policy, const struct set *set,
                         const struct addr *addr, const struct decide_context *context)
{
    if (!set->given)
        return true;
    for (size_t i = 0; i < set->items_count; i++) {
        if (item_contains(policy, &set->items[i], addr, context))
            return true;
    }
    return false;
}

static bool protocol_matches(const struct rule *rule, const struct packet *packet)
{
    if (rule->protocols_count == 0)
        return true;
    for (size_t i = 0; i < rule->protocols_count; i++) {
        const struct protocol *protocol = &rule->protocols[i];
        uint8_t family = packet->destination.family;

        if (protocol->number != packet->protocol ||
            (protocol->number == IPPROTO_ICMP && family != ADDR_V4) ||
            (protocol->number == IPPROTO_ICMPV6 && family != ADDR_V6))
            continue;
        if (!protocol->has_type || protocol->icmp_type == packet->icmp_type)
            return true;
    }
    return false;
}

static bool port_matches(const struct ports *ports, uint16_t port)
{
    if (!ports->given)
        return true;
    for (size_t i = 0; i < ports->ranges_count; i++) {
        if (ports->ranges[i].first <= port && port <= ports->ranges[i].last)
            return true;
    }
    return false;
}

static bool rule_matches(const struct policy *policy, const struct rule *rule,
                         const struct packet *packet, const struct decide_context *context)
{
    return rule->direction == packet->direction && protocol_matches(rule, packet) &&
           port_matches(&rule->ports, packet->port) &&
           set_contains(policy, &rule->from, &packet->source, context) &&
           set_contains(policy, &rule->to, &packet->destination, context);
}

/* The `publish` that this packet came through, or NULL. */
static const struct publish *publish_of(const struct policy *policy, const struct packet *packet)
{
    for (size_t i = 0; packet->published && i < policy->publishes_count; i++) {
        const struct publish *publish = &policy->publishes[i];
        unsigned count = (unsigned)(publish->host_ports.last - publish->host_ports.first);

        if (publish->protocol == packet->protocol && publish->jail_port <= packet->port &&
            packet->port <= publish->jail_port + count)
            return publish;
    }
    return NULL;
}

struct decision policy_decide(const struct policy *policy, const struct packet *packet,
                              const struct decide_context *context)
{
    const struct publish *publish;

    for (size_t i = 0; i < policy->rules_count; i++) {
        const struct rule *rule = &policy->rules[i];

        if (rule_matches(policy, rule, packet, context))
            return (struct decision){.verdict = rule->verdict, .rule = i, .where = rule->where};
    }
    publish = packet->direction == DIRECTION_IN ? publish_of(policy, packet) : NULL;
    if (publish)
        return (struct decision){
            .verdict = VERDICT_ALLOW, .by_publish = true, .where = publish->where};
    return (struct decision){.verdict = policy->defaults[packet->direction],
                             .by_default = true,
                             .where = policy->defaults_where[packet->direction]};
}
