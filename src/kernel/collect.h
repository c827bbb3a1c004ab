/* Takes the snapshot of the host that plan_build() needs. */
#pragma once

#include "plan/facts.h"

struct kernel;

/* Fills links, addresses, tables, sysctls and privilege of the present network namespace. Without
 * host sockets in `kernel` (NULL: an ordinary user) only what needs no privilege is filled. */
int facts_collect(struct kernel *kernel, struct facts *facts, struct error *error);

/* Fills the addresses alone, for a caller without host sockets: everybody may read them. */
int facts_collect_addresses(struct facts *facts, struct error *error);

/* Fills forwards, the host's chains that drop what is forwarded, where a plan can meet them:
 * `may_forward` (plan_may_forward()), or bridged frames pass the forward hook, too. */
int facts_collect_forward(struct kernel *kernel, bool may_forward, struct facts *facts,
                          struct error *error);
