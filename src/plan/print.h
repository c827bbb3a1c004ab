/* A plan as the equivalent `ip`, `sysctl` and `nft` commands, runnable as a shell script. Pure. */
#pragma once

#include "plan/plan.h"

struct buf;

/* Appends the commands, each group with the policy line that asked for it as a comment. `netns` is
 * the name under which the script makes the jail's namespace (ip netns add). */
void plan_print(const struct plan *plan, const char *netns, struct buf *out);

/* One op in a few words, for messages: "create bridge 'app_br'", "add address 10.0.0.1/24 to
 * 'eth0'". */
void op_describe(const struct plan *plan, const struct op *op, struct buf *out);

/* The rules of one family as `nft` text (`table inet netjail { ... }`). */
void plan_print_ruleset(const struct plan *plan, enum where where, enum nft_family family,
                        struct buf *out);
