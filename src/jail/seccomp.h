/* The seccomp filters of the command (made at build time by seccomp_gen.c). */
#pragma once

#include "base/diag.h"

struct policy;

/* Loads the filters that the policy asks for into this process; needs no_new_privs. They
 * cannot be taken off again and are inherited by every child. */
int seccomp_load(const struct policy *policy, struct error *error);

/* The same for netjail-service: what it needs after its start and nothing else. */
int seccomp_load_service(struct error *error);
