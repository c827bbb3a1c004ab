/* What the language has and this version does not do yet: nothing at present. A statement that is
 * parsed before its effect is built is refused here, at its place, so that no policy runs as if the
 * statement were absent. Pure. */
#include "policy/check.h"

int policy_refuse_unavailable(const struct policy *policy, struct diags *diags)
{
    (void)policy; /* every statement has its effect */
    (void)diags;
    return 0;
}
