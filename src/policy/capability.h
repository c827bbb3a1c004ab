/* The capabilities that `capabilities keep` may name. Private to src/policy/. */
#pragma once

#include "base/arena.h"

#include <stddef.h>

struct capability {
    const char *name;    /* without "cap_" */
    unsigned number;     /* linux/capability.h */
    const char *refusal; /* why it cannot be kept; NULL: it can */
};

/* By name, with or without "cap_", in any case; NULL when there is none. */
const struct capability *capability_find(const char *name, size_t length);

/* The name that was probably meant, or NULL. */
const char *capability_suggest(struct arena *arena, const char *name, size_t length);
