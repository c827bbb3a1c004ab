/* The `dns` statement against the rest of the policy. Pure.
 *
 * `direct` means: no resolver of the jail's own, the named servers are asked straight away.
 * Whatever needs the resolver then contradicts it; and what the rules do not let out is not
 * reached. */
#include "policy/check.h"

#include "base/buf.h"
#include "policy/decide.h"
#include "policy/names.h"

#include <netinet/in.h>
#include <string.h>

#define DIRECTS_MAX   3 /* MAXNS of the C library: it asks no more */
#define UPSTREAMS_MAX 8

static void refuse_beside_direct(struct diags *diags, const struct dns *dns, struct position where,
                                 const char *what)
{
    struct diag *diag = diag_error(
        diags, where, "%s needs the jail's own resolver, which 'direct' leaves out", what);

    diag_other(diags, diag, dns->directs[0].where, "the command asks this server itself");
}

static void check_direct(const struct policy *policy, struct diags *diags)
{
    const struct dns *dns = &policy->dns;

    if (dns->directs_count == 0)
        return;
    if (dns->directs_count > DIRECTS_MAX)
        (void)diag_error(diags, dns->directs[DIRECTS_MAX].where,
                         "more than %d servers behind 'direct'", DIRECTS_MAX); /* says it all */
    if (dns->upstreams_count > 0)
        refuse_beside_direct(diags, dns, dns->upstreams[0].where, "'upstream'");
    if (dns->privates_count > 0)
        refuse_beside_direct(diags, dns, dns->privates[0].where, "'private'");
    if (dns->any)
        refuse_beside_direct(diags, dns, dns->where, "'any'");
    for (size_t i = 0; i < policy->rules_count; i++) {
        const struct rule *rule = &policy->rules[i];

        for (size_t k = 0; rule->to_names && k < rule->to.items_count; k++) {
            const struct set_item *item = &rule->to.items[k];

            if (item->kind != SET_NAME && item->kind != SET_SUFFIX)
                continue;
            refuse_beside_direct(diags, dns, item->where, "a DNS name in a rule");
            return;
        }
    }
}

/* A server that no rule lets the jail reach. */
static void warn_unreachable(const struct policy *policy, struct diags *diags)
{
    for (size_t i = 0; i < policy->dns.directs_count; i++) {
        const struct addr_item *direct = &policy->dns.directs[i];
        struct packet packet = {.direction = DIRECTION_OUT,
                                .protocol = IPPROTO_UDP,
                                .source.family = direct->addr.family,
                                .destination = direct->addr,
                                .port = 53};
        char text[ADDR_TEXT_SIZE];
        struct diag *diag;

        if (direct->addr.family == ADDR_V4 && direct->addr.bytes[0] == 127)
            continue; /* a server inside the jail */
        if (policy_decide(policy, &packet, NULL).verdict == VERDICT_ALLOW)
            continue;
        diag = diag_warning(diags, direct->where, "no rule lets the jail ask this server");
        diag_hint(diags, diag, "add: allow out tcp,udp to %s port 53",
                  addr_print(&direct->addr, text));
    }
}

static void warn_private(const struct policy *policy, struct diags *diags)
{
    struct names *names = policy->dns.privates_count > 0 ? names_new(policy, diags->arena) : NULL;

    for (size_t i = 0; i < policy->dns.privates_count; i++) {
        const struct named_item *item = &policy->dns.privates[i];
        struct name_judgement judgement;
        struct diag *diag;

        names_judge(names, item->name, strlen(item->name), &judgement);
        if (judgement.admitted)
            continue;
        diag = diag_warning(diags, item->where, "no rule admits '%s'", item->name);
        diag_hint(diags, diag, "'private' only says that its addresses may be private");
    }
}

static bool is_name(const struct set_item *item)
{
    return item->kind == SET_NAME || item->kind == SET_SUFFIX;
}

/* Of a rule's names the first that an earlier rule has decided otherwise. */
static void warn_decided(const struct policy *policy, size_t number, struct names *names,
                         struct diags *diags)
{
    const struct rule *rule = &policy->rules[number];

    for (size_t i = 0; i < rule->to.items_count; i++) {
        const struct set_item *item = &rule->to.items[i];
        const char *star = item->kind == SET_SUFFIX ? "*." : ""; /* a label of no name */
        cleanup_buf struct buf name = {0};
        struct name_judgement judgement;
        struct diag *diag;

        if (!is_name(item))
            continue;
        buf_printf(&name, "%s%s", star, item->name);
        names_judge(names, name.data, name.length, &judgement);
        if (judgement.rule >= number || judgement.admitted == (rule->verdict == VERDICT_ALLOW))
            continue;
        diag = diag_warning(diags, item->where, "'%s' is %s by an earlier rule, and stays so",
                            name.data, judgement.admitted ? "admitted" : "refused");
        diag_hint(diags, diag, "the first rule that mentions a name decides, whatever its ports");
        diag_other(diags, diag, policy->rules[judgement.rule].where, "it decides");
        return;
    }
}

static bool speaks_of_names(struct set_memo *memo, const struct rule *rule)
{
    return rule->direction != DIRECTION_IN && set_facts_of(memo, &rule->to).name;
}

static void warn_names(const struct policy *policy, struct diags *diags)
{
    struct set_memo memo = {.numbers.arena = diags->arena};
    struct names *names = NULL;

    /* Where no name is refused there is nothing to disagree about. */
    for (size_t i = 0; i < policy->rules_count && !names; i++) {
        if (policy->rules[i].verdict != VERDICT_ALLOW && speaks_of_names(&memo, &policy->rules[i]))
            names = names_new(policy, diags->arena);
    }
    for (size_t i = 0; i < policy->rules_count && names; i++) {
        if (speaks_of_names(&memo, &policy->rules[i]))
            warn_decided(policy, i, names, diags);
    }
}

void check_dns(const struct policy *policy, struct diags *diags)
{
    const struct dns *dns = &policy->dns;

    check_direct(policy, diags);
    if (dns->upstreams_count > UPSTREAMS_MAX)
        (void)diag_error(diags, dns->upstreams[UPSTREAMS_MAX].where,
                         "more than %d servers behind 'upstream'", UPSTREAMS_MAX); /* says it all */
    warn_unreachable(policy, diags);
    warn_private(policy, diags);
    warn_names(policy, diags);
}
