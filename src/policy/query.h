/* A question about one flow, `out tcp pypi.org 443`, and what a policy answers: `netjailctl why`.
 * Pure. */
#pragma once

#include "policy/decide.h"

struct query;

/* Reads a question: the words of a rule without its verdict, and shorter: the words `to` (for `in`:
 * `from`) and `port` may be left out, and without a protocol it is tcp. One address, name or symbol
 * each, one port. -EINVAL: errors are in the diags of `policy`, an empty one that holds the
 * question. */
int query_parse(const char *text, struct policy *policy, struct diags *diags,
                struct query **ret_query);

/* One answer per family that the question leaves open, at most two; the same answers count as one.
 * `through_publish`: what comes in through a published port. */
struct answer {
    uint8_t family; /* ADDR_NONE: it does not matter */
    struct decision decision;
};
size_t query_answer(const struct query *query, const struct policy *policy, bool through_publish,
                    struct answer answers[2]);

/* The question as it was understood, "out tcp to pypi.org port 443"; lives in its policy. */
const char *query_text(const struct query *query);

enum direction query_direction(const struct query *query);
