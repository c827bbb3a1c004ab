/* The rule compiler: first-match order in, sets out.
 *
 * Neighbouring rules form a group as long as any two of them have the same verdict or cannot match
 * the same packet: then their order does not matter, and the group becomes one set for each verdict
 * and shape of match (group.c). `rate`, `log` and large sets make a rule stand on its own
 * (rules_alone.c), and end the group before it; so do names and jails, whose addresses come later.
 *
 * Pure. What must not happen: a packet that gets another verdict than the first matching rule's.
 * tests/unit/test_rules.c holds the result against that definition with random policies. */
#include "plan/rules_internal.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

#define GROUP_BOXES_MAX 16384
#define CHECKS_MAX      ((size_t)100 * 1000 * 1000)

void rules_begin(struct rules_context *context)
{
    context->checks_left = CHECKS_MAX;
}

void rules_set_name(struct rules_context *context, const char *stem, char name[NFT_NAME_SIZE])
{
    (void)snprintf(name, NFT_NAME_SIZE, "%s%u", stem, ++context->set_number);
}

static void protos_add(struct arena *arena, struct protos *protos, struct proto_match proto)
{
    *ARENA_PUSH(arena, protos, list) = proto;
}

static bool protocol_has_ports(uint8_t number)
{
    return number == IPPROTO_TCP || number == IPPROTO_UDP || number == IPPROTO_SCTP;
}

static void protos_add_ports(struct arena *arena, struct protos *protos, uint8_t number,
                             const struct ports *ports)
{
    for (size_t i = 0; i < ports->ranges_count; i++)
        protos_add(arena, protos,
                   (struct proto_match){MATCH_KIND_PORT, ADDR_NONE, number, number,
                                        ports->ranges[i].first, ports->ranges[i].last});
}

static void protos_add_protocol(struct arena *arena, struct protos *protos,
                                const struct protocol *protocol, const struct ports *ports)
{
    struct proto_match match = {MATCH_KIND_PLAIN, ADDR_NONE, protocol->number,
                                protocol->number, 0,         UINT16_MAX};

    if (protocol->number == IPPROTO_ICMP)
        match.family = ADDR_V4;
    if (protocol->number == IPPROTO_ICMPV6)
        match.family = ADDR_V6;
    if (protocol->has_type && match.family != ADDR_NONE) {
        match.kind = MATCH_KIND_TYPE;
        match.x_first = protocol->icmp_type;
        match.x_last = protocol->icmp_type;
    }
    if (!ports->given)
        protos_add(arena, protos, match);
    else if (protocol_has_ports(protocol->number))
        protos_add_ports(arena, protos, protocol->number, ports);
}

/* `tcp,tcp` is no more than `tcp`; a set does not take an element twice. */
static bool protocol_repeated(const struct rule *rule, size_t index)
{
    const struct protocol *protocol = &rule->protocols[index];

    for (size_t i = 0; i < index; i++)
        if (rule->protocols[i].number == protocol->number &&
            rule->protocols[i].has_type == protocol->has_type &&
            rule->protocols[i].icmp_type == protocol->icmp_type)
            return true;
    return false;
}

void rule_protos(struct arena *arena, const struct rule *rule, struct protos *protos)
{
    static const uint8_t with_ports[] = {IPPROTO_TCP, IPPROTO_UDP, IPPROTO_SCTP};

    for (size_t i = 0; i < rule->protocols_count; i++)
        if (!protocol_repeated(rule, i))
            protos_add_protocol(arena, protos, &rule->protocols[i], &rule->ports);
    if (rule->protocols_count > 0)
        return;
    if (!rule->ports.given)
        protos_add(arena, protos,
                   (struct proto_match){MATCH_KIND_ANY, ADDR_NONE, 0, UINT8_MAX, 0, UINT16_MAX});
    for (size_t i = 0; rule->ports.given && i < sizeof with_ports; i++)
        protos_add_ports(arena, protos, with_ports[i], &rule->ports);
}

bool rule_any_address(struct rules_context *context, const struct rule *rule)
{
    return rules_set_spans(context, &rule->from, ADDR_V4)->is_any &&
           rules_set_spans(context, &rule->from, ADDR_V6)->is_any &&
           rules_set_spans(context, &rule->to, ADDR_V4)->is_any &&
           rules_set_spans(context, &rule->to, ADDR_V6)->is_any;
}

static void boxes_add_product(struct rules_context *context, struct boxes *boxes,
                              const struct spans *from, const struct spans *to,
                              const struct proto_match *proto)
{
    for (size_t i = 0; i < from->list_count; i++) {
        for (size_t k = 0; k < to->list_count; k++) {
            struct box *box = ARENA_PUSH(context->scratch, boxes, list);

            box->from = from->list[i];
            box->to = to->list[k];
            box->any_from = from->is_any;
            box->any_to = to->is_any;
            box->proto = *proto;
        }
    }
}

/* The boxes of one protocol; a match on any address of both families is one box without a family.
 */
static bool boxes_add(struct rules_context *context, const struct rule *rule, bool any_address,
                      const struct proto_match *proto, struct boxes *boxes)
{
    static const uint8_t families[] = {ADDR_V4, ADDR_V6};

    if (any_address && proto->family == ADDR_NONE) {
        struct box *box = ARENA_PUSH(context->scratch, boxes, list);

        box->from = box->to = span_full(ADDR_V6);
        box->any_from = box->any_to = true;
        box->proto = *proto;
        return true;
    }
    for (size_t i = 0; i < sizeof families; i++) {
        struct proto_match match = *proto;
        const struct spans *from = rules_set_spans(context, &rule->from, families[i]);
        const struct spans *to = rules_set_spans(context, &rule->to, families[i]);

        if (proto->family != ADDR_NONE && proto->family != families[i])
            continue;
        if (from->list_count > RULE_BOXES_MAX || to->list_count > RULE_BOXES_MAX ||
            boxes->list_count + from->list_count * to->list_count > RULE_BOXES_MAX)
            return false;
        match.family = families[i];
        boxes_add_product(context, boxes, from, to, &match);
    }
    return true;
}

bool rule_boxes(struct rules_context *context, const struct rule *rule, struct boxes *boxes)
{
    struct protos protos = {0};
    bool any_address = rule_any_address(context, rule);

    rule_protos(context->scratch, rule, &protos);
    if (protos.list_count > RULE_BOXES_MAX)
        return false;
    for (size_t i = 0; i < protos.list_count; i++)
        if (!boxes_add(context, rule, any_address, &protos.list[i], boxes))
            return false;
    for (size_t i = 0; i < boxes->list_count; i++) {
        boxes->list[i].verdict = (uint8_t)rule->verdict;
        boxes->list[i].rule = (uint32_t)(rule - context->policy->rules);
    }
    return boxes->list_count <= RULE_BOXES_MAX;
}

/* Can one packet be in both boxes? */
static bool box_overlaps(const struct box *a, const struct box *b)
{
    if (a->proto.family != b->proto.family && a->proto.family != ADDR_NONE &&
        b->proto.family != ADDR_NONE)
        return false;
    if (a->proto.first > b->proto.last || b->proto.first > a->proto.last ||
        a->proto.x_first > b->proto.x_last || b->proto.x_first > a->proto.x_last)
        return false;
    return (a->any_to || b->any_to || span_overlaps(&a->to, &b->to)) &&
           (a->any_from || b->any_from || span_overlaps(&a->from, &b->from));
}

/* May the boxes of the next rule join the group? When the work gets too much: no. */
static bool group_admits(struct rules_context *context, const struct boxes *group,
                         const struct boxes *next)
{
    if (group->list_count + next->list_count > GROUP_BOXES_MAX)
        return false;
    for (size_t i = 0; i < group->list_count; i++) {
        if (next->list_count == 0 || group->list[i].verdict == next->list[0].verdict)
            continue;
        if (context->checks_left < next->list_count)
            return false;
        context->checks_left -= next->list_count;
        for (size_t k = 0; k < next->list_count; k++)
            if (box_overlaps(&group->list[i], &next->list[k]))
                return false;
    }
    return true;
}

static void group_flush(struct rules_context *context, struct boxes *group,
                        enum direction direction, const char *chain)
{
    if (group->list_count > 0)
        group_emit(context, group, direction, chain);
    group->list_count = 0;
}

/* Does it look at sets whose contents come and go? */
static bool rule_is_dynamic(const struct rule *rule)
{
    return rule->to_names || rule->to_jails || rule->from_jails;
}

static void group_append(struct rules_context *context, struct boxes *group,
                         const struct boxes *boxes)
{
    for (size_t i = 0; i < boxes->list_count; i++)
        *ARENA_PUSH(context->scratch, group, list) = boxes->list[i];
}

void rules_compile(struct rules_context *context, enum direction direction, const char *chain)
{
    const struct policy *policy = context->policy;
    struct boxes group = {0};
    struct boxes boxes = {0};
    uint32_t names = 0; /* set of the rule before */

    for (size_t i = 0; i < policy->rules_count; i++) {
        const struct rule *rule = &policy->rules[i];

        if (rule->direction != direction)
            continue;
        if (rule->to_names && rule->to_names == names)
            continue; /* says the same as the rule before, with whom it shares the set */
        names = rule->to_names;
        boxes.list_count = 0;
        if (rule->rate.given || rule->log || rule_is_dynamic(rule) ||
            !rule_boxes(context, rule, &boxes)) {
            group_flush(context, &group, direction, chain);
            rule_emit_alone(context, rule, chain);
            continue;
        }
        if (!group_admits(context, &group, &boxes))
            group_flush(context, &group, direction, chain);
        group_append(context, &group, &boxes);
    }
    group_flush(context, &group, direction, chain);
}
