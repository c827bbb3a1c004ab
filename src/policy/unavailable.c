/* What the language has and this version does not do yet. It is refused, each statement at its
 * place, so that no policy runs as if a statement of it were absent. Pure. */
#include "policy/check.h"

#include <errno.h>

static void refuse(struct diags *diags, struct position where, const char *what)
{
    (void)diag_error(diags, where, "%s is not available yet", what); /* no hint would help */
}

static void refuse_links(const struct policy *policy, struct diags *diags)
{
    for (size_t i = 0; i < policy->links_count; i++)
        if (policy->links[i].kind == LINK_DEVICE)
            refuse(diags, policy->links[i].where, "'link ... device'");
}

static void refuse_set(struct set_memo *memo, const struct set *set, struct diags *diags)
{
    struct set_facts facts = set_facts_of(memo, set);

    if (facts.name)
        refuse(diags, facts.name->where, "a DNS name in a rule");
    if (facts.jail)
        refuse(diags, facts.jail->where, "'jail NAME' in a rule");
}

int policy_refuse_unavailable(const struct policy *policy, struct diags *diags)
{
    struct set_memo memo = {.numbers.arena = diags->arena};
    size_t before = diags->error_count;

    refuse_links(policy, diags);
    for (size_t i = 0; i < policy->rules_count; i++) {
        refuse_set(&memo, &policy->rules[i].from, diags);
        refuse_set(&memo, &policy->rules[i].to, diags);
    }
    if (policy->dns.given && policy->dns.directs_count == 0)
        refuse(diags, policy->dns.where, "'dns' without 'direct'");
    return diags->error_count > before ? -EOPNOTSUPP : 0;
}
