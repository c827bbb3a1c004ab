/* policy + facts -> plan. Pure. */
#pragma once

#include "plan/facts.h"

/* Makes the plan. Errors (address taken, pool exhausted, networks that disagree, privilege missing,
 * interface name taken, published port taken by another jail) go to `diags` with the position that
 * asked; returns 0 and a plan that the caller frees with plan_free(), or a negative errno:
 * -EAGAIN: all that is in the way is held by a jail that is ending; wait for it and try again, with
 * a new `diags` (this one has the messages, for when the waiting is over). -ENOLINK: the same,
 * about a jail that a cable leads to and that does not run (yet). */
int plan_build(const struct policy *policy, const struct facts *facts, struct diags *diags,
               struct plan **ret_plan);

/* Can a plan of this policy let the host forward? Then facts->forwards is asked for. */
bool plan_may_forward(const struct policy *policy);

/* The jail's name: the policy's own, else <base>-<pid>, else jail-<pid>. */
void plan_jail_name(const struct policy *policy, int32_t pid, char name[JAIL_NAME_MAX + 1]);
