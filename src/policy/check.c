/* Judges a policy as a whole, when all of its texts are parsed: what contradicts, what cannot work
 * is an error; what has no effect is a warning. Networks come first, since links are held against
 * them; then links, addresses, gateways, published ports, rules. Later parts may rely on the
 * references that earlier ones have set, but not on the absence of errors. Pure.
 *
 * What must not happen: a policy accepted that the kernel will refuse half-way through its plan, or
 * that means something else than it says. */
#include "policy/check.h"

#include "policy/parser.h"

#include <errno.h>
#include <string.h>

const char *family_name(uint8_t family)
{
    return family == ADDR_V4 ? "IPv4" : "IPv6";
}

/* Every -D must have met its define or param, here or in another policy of the same command. */
void check_values(const struct policy *policy, struct diags *diags)
{
    const struct policy_names *names = policy->names;
    const char **words = arena_alloc(diags->arena, (names->defines_count + 1) * sizeof *words);

    for (size_t i = 0; i < names->defines_count; i++)
        words[i] = names->defines[i].name;
    for (size_t i = 0; i < names->values_count; i++) {
        const struct given_value *value = &names->values[i];
        const char *suggestion;
        struct diag *diag;

        if (value->used || policy->values_shared)
            continue;
        diag = diag_error(diags, value->where, "-D %s: the policy has no such 'define' or 'param'",
                          value->name);
        suggestion = suggest_word(value->name, strlen(value->name), words);
        if (suggestion)
            diag_hint(diags, diag, "did you mean '%s'?", suggestion);
    }
}

/* `user root` leaves the command without capabilities, but owner of the host's files. */
static void check_user(const struct policy *policy, struct diags *diags)
{
    struct diag *diag;

    if (!policy->user || (strcmp(policy->user, "root") != 0 && strcmp(policy->user, "0") != 0))
        return;
    diag = diag_warning(diags, policy->user_where, "the command runs as root");
    diag_hint(diags, diag, "root can change the host's files; name an ordinary user");
}

int policy_check(struct policy *policy, struct diags *diags)
{
    check_values(policy, diags);
    check_networks(policy, diags);
    check_links(policy, diags);
    check_addresses(policy, diags);
    check_gateways(policy, diags);
    check_publishes(policy, diags);
    check_rules(policy, diags);
    check_names_refused(policy, diags);
    check_shadowed(policy, diags);
    names_number(policy);
    check_dns(policy, diags);
    check_user(policy, diags);
    return diags->error_count ? -EINVAL : 0;
}
