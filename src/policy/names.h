/* What a policy says about a DNS name: what the jail's resolver asks. Pure. */
#pragma once

#include "policy/policy.h"

struct names;

/* What becomes of a name. */
struct name_judgement {
    bool admitted;        /* it may be asked for and answered */
    bool mentioned;       /* a rule speaks of it: `rule` is the first that does */
    bool may_be_private;  /* `dns { private NAME }` */
    size_t rule;          /* index into policy->rules */
    const uint32_t *sets; /* numbers (from 1) of the sets that its addresses go into; valid until */
    size_t sets_count;    /* the next question */
};

/* Makes the index of a checked policy's names; it lives in `arena` and refers to the policy. */
struct names *names_new(const struct policy *policy, struct arena *arena);

/* Judges a name: lower case, without trailing dot. The first rule that mentions it decides. */
void names_judge(struct names *names, const char *name, size_t length,
                 struct name_judgement *ret_judgement);

/* Does the item (SET_NAME, SET_SUFFIX) mean this name? `*.suffix` does not mean the bare suffix. */
bool name_matches(const struct set_item *item, const char *name, size_t length);
