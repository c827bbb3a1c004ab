/* Rules of ours in the chain that Docker keeps for the rules of others. */
#pragma once

#include "kernel/nl.h"
#include "plan/plan.h"

/* OP_DOCKER_ACCEPT: what comes and goes by the interface is accepted at the head of DOCKER-USER in
 * the family's filter table; nothing where both rules are there. OP_DOCKER_FORGET: they are
 * removed; nothing where they, the chain or the table are gone. */
int nft_docker_op(struct nl *nl, const struct plan *plan, const struct op *op, struct error *error);
