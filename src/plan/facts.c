/* The snapshot of the host as a container; kernel/facts.c fills it. Pure. The records in `others`
 * belong to the facts. */
#include "plan/facts.h"

#include <stdlib.h>

struct facts *facts_new(void)
{
    struct arena *arena = arena_new();
    struct facts *facts;

    if (!arena)
        abort();
    facts = arena_alloc(arena, sizeof *facts);
    facts->arena = arena;
    return facts;
}

void facts_free(struct facts *facts)
{
    if (!facts)
        return;
    for (size_t i = 0; i < facts->others_count; i++)
        record_free(facts->others[i]);
    arena_free(facts->arena);
}
