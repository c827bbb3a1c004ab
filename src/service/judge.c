/* The policy in the service.
 *
 * The kernel's rules in the jail have admitted what arrives here; asking again in user space means
 * that a mistake in either is no hole by itself, and it is what finds the rule for a log line. The
 * texts come from the supervisor, in memory that nobody can change, and are parsed after all
 * privilege is gone. What must not happen: a policy that differs from the supervisor's; a set whose
 * contents are unknown counts as empty, and first match goes on behind it. No privilege. */
#include "service/judge.h"

#include "policy/transcript.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct judge {
    struct policy *policy;
    struct known_range *known;
    size_t known_count;
    bool (*name_contains)(void *context, const struct set_item *item, const struct addr *addr);
    void *name_context;
};

int judge_new(const struct service_setup *setup, struct judge **ret_judge, struct error *error)
{
    struct judge *judge = calloc(1, sizeof *judge);
    int code;

    if (!judge)
        return error_errno(error, -ENOMEM, "cannot keep the policy");
    judge->policy = policy_new();
    judge->known_count = setup->config.known_count;
    judge->known =
        arena_alloc(judge->policy->arena, (judge->known_count + 1) * sizeof *judge->known);
    memcpy(judge->known, setup->known, judge->known_count * sizeof *judge->known);
    code = transcript_replay(setup->policy, (size_t)setup->config.policy_length, judge->policy,
                             policy_diags(judge->policy), error);
    if (code < 0) {
        judge_free(judge);
        return code;
    }
    *ret_judge = judge;
    return 0;
}

void judge_free(struct judge *judge)
{
    if (!judge)
        return;
    policy_free(judge->policy);
    free(judge);
}

const struct policy *judge_policy(const struct judge *judge)
{
    return judge->policy;
}

bool judge_knows(const struct judge *judge, enum known_kind kind, const struct addr *addr)
{
    for (size_t i = 0; i < judge->known_count; i++)
        if (judge->known[i].kind == kind && range_contains(&judge->known[i].range, addr))
            return true;
    return false;
}

void judge_name_with(struct judge *judge,
                     bool (*contains)(void *context, const struct set_item *item,
                                      const struct addr *addr),
                     void *context)
{
    judge->name_contains = contains;
    judge->name_context = context;
}

static bool contains(void *context, const struct set_item *item, const struct addr *addr)
{
    const struct judge *judge = context;

    switch (item->kind) {
    case SET_GATEWAY:
        return judge_knows(judge, KNOWN_GATEWAY, addr);
    case SET_HOST:
        return judge_knows(judge, KNOWN_HOST, addr);
    case SET_BROADCAST:
        return judge_knows(judge, KNOWN_BROADCAST, addr);
    case SET_NAME:
    case SET_SUFFIX:
    case SET_JAIL:
        return judge->name_contains && judge->name_contains(judge->name_context, item, addr);
    default:
        return false; /* policy_decide() knows what they contain */
    }
}

struct decision judge_decide(const struct judge *judge, const struct packet *packet)
{
    struct decide_context context = {.contains = contains,
                                     .context = (void *)(uintptr_t)judge}; /* only read */

    return policy_decide(judge->policy, packet, &context);
}
