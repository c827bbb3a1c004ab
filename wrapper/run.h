/* Runs a command in a jail, from the checked policy to the end of all clean-up. */
#pragma once

#include "policy/policy.h"
#include "wrapper/options.h"

#define EXIT_NETJAIL_FAILED    125
#define EXIT_CANNOT_EXECUTE    126
#define EXIT_COMMAND_NOT_FOUND 127

/* Does not return where the command ran: the process ends as the command ended (exit_like()).
 * `texts`: the policy's transcript, for a service that decides (plan->decides). Returns 125, 126 or
 * 127, with the message printed, where it did not. */
struct buf;
int run_jail(const struct options *options, struct policy *policy, struct diags *diags,
             const struct buf *texts);
