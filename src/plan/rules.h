/* Rules of a policy -> sets and rules of the jail's table. Pure. */
#pragma once

#include "plan/emit.h"
#include "plan/spans.h"

/* What the symbolic sets of a policy stand for in this jail. */
struct symbol_ranges {
    struct addr_range *ranges;
    size_t ranges_count, ranges_capacity;
};

struct symbols {
    struct symbol_ranges gateway;
    struct symbol_ranges host;
    struct symbol_ranges broadcast;
};

struct rules_cache;

/* One compilation; `scratch` holds everything that is needed only meanwhile. */
struct rules_context {
    struct emit emit;
    struct arena *scratch;
    const struct policy *policy;
    const struct symbols *symbols;
    struct diags *diags;
    struct rules_cache *cache; /* zero-initialised; made on first use */
    unsigned set_number;
    size_t checks_left; /* pairs of matches that may still be compared; rules_begin() sets it */
};

/* The sets whose contents come and go (plan/dynamic.h), empty. */
void rules_emit_dynamic_sets(struct rules_context *context);

/* The chain that refuses at once: TCP reset, else administratively prohibited. */
#define CHAIN_REFUSE "refuse"

void rules_begin(struct rules_context *context);

/* Appends the rules of `direction` to `chain`, in first-match order; the sets that they look into
 * (rules_emit_dynamic_sets()) are there already. */
void rules_compile(struct rules_context *context, enum direction direction, const char *chain);

/* The addresses of one family that a set covers (absent: all of them); lives in the scratch arena.
 */
const struct spans *rules_set_spans(struct rules_context *context, const struct set *set,
                                    uint8_t family);

/* The name of the interval set that holds the addresses of `set`; made on first use, so that rules
 * which share a define share its set. */
const char *rules_named_set(struct rules_context *context, const struct set *set, uint8_t family);

/* Makes an interval set of addresses and fills it; its name is put into `name`. */
void rules_emit_addresses(struct rules_context *context, const struct spans *spans, uint8_t family,
                          char name[NFT_NAME_SIZE]);

/* "denied out web.conf:12 TEXT": what NFLOG says about a packet that rules first..last decided. */
void rules_log_prefix(const struct rules_context *context, enum verdict verdict,
                      enum direction direction, const struct rule *first, const struct rule *last,
                      char prefix[64]);

/* The verdict as the end of the open rule. */
void rules_term_verdict(struct plan *plan, enum verdict verdict);
