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

int policy_refuse_unavailable(const struct policy *policy, struct diags *diags)
{
    size_t before = diags->error_count;

    refuse_links(policy, diags);
    return diags->error_count > before ? -EOPNOTSUPP : 0;
}
