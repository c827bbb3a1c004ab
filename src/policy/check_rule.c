/* Rules one by one, and the refusal of names against what later rules admit. Pure.
 *
 * `deny` of a NAME works in the resolver: addresses are shared, so a name has none of its own to be
 * dropped. A later rule that admits by address lets the command go to that name's server all the
 * same. That is the one contradiction between rules that is an error: the policy would promise what
 * it does not keep. */
#include "policy/check.h"

#include <netinet/in.h>
#include <string.h>

/* A rule with the facts of its sets. */
struct judged {
    const struct rule *rule;
    struct set_facts from;
    struct set_facts to;
};

static void check_families(const struct judged *judged, struct diags *diags)
{
    const struct rule *rule = judged->rule;
    unsigned from = judged->from.families, to = judged->to.families;
    struct diag *diag;

    if ((from & to) == 0) {
        diag =
            diag_error(diags, rule->to.where, "'from' and 'to' have no address family in common");
        diag_other(diags, diag, rule->from.where, "this is %s only",
                   from == FAMILY_BIT_V4 ? "IPv4" : "IPv6");
        return;
    }
    for (size_t i = 0; i < rule->protocols_count; i++) {
        uint8_t number = rule->protocols[i].number;
        bool is_v4 = number == IPPROTO_ICMP;

        if ((!is_v4 && number != IPPROTO_ICMPV6) ||
            (from & to & (is_v4 ? FAMILY_BIT_V4 : FAMILY_BIT_V6)))
            continue;
        diag = diag_error(diags, rule->to.given ? rule->to.where : rule->from.where,
                          "'%s' does not exist between %s addresses", protocol_name(number),
                          is_v4 ? "IPv6" : "IPv4");
        diag_hint(diags, diag, "did you mean '%s'?", is_v4 ? "icmpv6" : "icmp");
    }
}

static void check_ports(const struct rule *rule, struct diags *diags)
{
    bool all_have_ports = rule->protocols_count > 0;
    struct diag *diag;

    for (size_t i = 0; i < rule->protocols_count; i++) {
        uint8_t number = rule->protocols[i].number;

        if (number != IPPROTO_TCP && number != IPPROTO_UDP && number != IPPROTO_SCTP)
            all_have_ports = false;
    }
    if (!rule->ports.given || all_have_ports)
        return;
    if (rule->protocols_count == 0) {
        diag = diag_error(diags, rule->ports.where, "'port' without a protocol");
        diag_hint(diags, diag, "write 'tcp', 'udp' or 'tcp,udp' behind '%s'",
                  direction_name(rule->direction));
    } else {
        diag = diag_error(diags, rule->ports.where, "'port' with a protocol that has no ports");
        diag_hint(diags, diag, "only tcp, udp and sctp have ports");
    }
}

/* Names are known only when the jail's own resolver has answered: where the jail goes to. */
static void check_name_place(const struct judged *judged, struct diags *diags)
{
    const struct set_item *from = judged->from.name;
    const struct set_item *to = judged->rule->direction == DIRECTION_IN ? judged->to.name : NULL;
    const struct set_item *item = from ? from : to;
    struct diag *diag;

    if (!item)
        return;
    diag = diag_error(diags, item->where, "a DNS name cannot stand %s",
                      from ? "behind 'from'" : "in an 'in' rule");
    diag_hint(diags, diag, "names work in 'to' of an 'out' or 'forward' rule; write an address");
}

/* What can never match because the policy has nothing for it; each is said once. */
struct without {
    bool link;
    bool name;
    bool gateway;
    bool forward;
};

static bool has_gateway(const struct policy *policy)
{
    for (size_t i = 0; i < policy->links_count; i++) {
        if (policy->links[i].gateway != GATEWAY_NONE)
            return true;
    }
    return false;
}

static void warn_once(struct diags *diags, bool *said, struct position where, const char *text,
                      const char *hint)
{
    struct diag *diag;

    if (*said)
        return;
    *said = true;
    diag = diag_warning(diags, where, "%s", text);
    diag_hint(diags, diag, "%s", hint);
}

static void warn_without(const struct policy *policy, const struct judged *judged,
                         struct diags *diags, struct without *said)
{
    const struct rule *rule = judged->rule;
    const struct set_item *name = judged->to.name;
    const struct set_item *gateway = judged->to.gateway ? judged->to.gateway : judged->from.gateway;

    if (rule->direction == DIRECTION_FORWARD && !policy->forward)
        warn_once(diags, &said->forward, rule->where,
                  "a 'forward' rule in a jail that is no router", "add the statement 'forward'");
    if (rule->direction == DIRECTION_OUT && policy->links_count == 0) {
        if (name)
            warn_once(diags, &said->name, name->where, "a name rule in a jail without a resolver",
                      "the resolver needs a way out: add a 'link'");
        if (!policy->name) /* another jail may lay a cable to one with a name */
            warn_once(diags, &said->link, rule->where, "an 'out' rule in a jail without a link",
                      "nothing can leave: add a 'link'");
    } else if (gateway && !has_gateway(policy)) {
        warn_once(diags, &said->gateway, gateway->where, "'gateway' in a jail that has none",
                  "no link has a gateway");
    }
}

void check_rules(const struct policy *policy, struct diags *diags)
{
    struct set_memo memo = {.numbers.arena = diags->arena};
    struct without said = {0};

    for (size_t i = 0; i < policy->rules_count; i++) {
        const struct rule *rule = &policy->rules[i];
        struct judged judged = {rule, set_facts_of(&memo, &rule->from),
                                set_facts_of(&memo, &rule->to)};

        check_families(&judged, diags);
        check_ports(rule, diags);
        check_name_place(&judged, diags);
        warn_without(policy, &judged, diags, &said);
    }
    if (policy->defaults_given[DIRECTION_FORWARD] && !policy->forward)
        warn_once(diags, &said.forward, policy->defaults_where[DIRECTION_FORWARD],
                  "'default forward' in a jail that is no router", "add the statement 'forward'");
}

static bool protocols_overlap(const struct rule *a, const struct rule *b)
{
    if (a->protocols_count == 0 || b->protocols_count == 0)
        return true;
    for (size_t i = 0; i < a->protocols_count; i++) {
        for (size_t j = 0; j < b->protocols_count; j++) {
            if (a->protocols[i].number == b->protocols[j].number)
                return true;
        }
    }
    return false;
}

static bool ports_overlap(const struct ports *a, const struct ports *b)
{
    size_t i = 0, j = 0;

    if (!a->given || !b->given)
        return true;
    while (i < a->ranges_count && j < b->ranges_count) {
        if (a->ranges[i].last < b->ranges[j].first)
            i++;
        else if (b->ranges[j].last < a->ranges[i].first)
            j++;
        else
            return true;
    }
    return false;
}

static void report_admitted(struct diags *diags, const struct set_item *name, struct position where)
{
    struct diag *diag = diag_error(
        diags, name->where, "'%s%s' is refused here, but a later statement admits its addresses",
        name->kind == SET_SUFFIX ? "*." : "", name->name);

    diag_hint(diags, diag,
              "names are refused in the resolver only; admit by name, or refuse by address");
    diag_other(diags, diag, where, "it admits by address");
}

void check_names_refused(const struct policy *policy, struct diags *diags)
{
    const struct rule **broad =
        arena_alloc(diags->arena, (policy->rules_count + 1) * sizeof *broad);
    struct set_memo memo = {.numbers.arena = diags->arena};
    size_t broad_count = 0;

    for (size_t i = policy->rules_count; i-- > 0;) {
        const struct rule *rule = &policy->rules[i];
        struct set_facts to = set_facts_of(&memo, &rule->to);
        size_t j = broad_count;

        if (rule->direction == DIRECTION_IN)
            continue;
        if (rule->verdict == VERDICT_ALLOW) {
            if (to.broad)
                broad[broad_count++] = rule;
            continue;
        }
        if (!to.name)
            continue;
        while (j > 0 && !(broad[j - 1]->direction == rule->direction &&
                          protocols_overlap(rule, broad[j - 1]) &&
                          ports_overlap(&rule->ports, &broad[j - 1]->ports)))
            j--;
        if (j > 0)
            report_admitted(diags, to.name, broad[j - 1]->where);
        else if (policy->defaults[rule->direction] == VERDICT_ALLOW)
            report_admitted(diags, to.name, policy->defaults_where[rule->direction]);
    }
}
