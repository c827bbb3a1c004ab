/* The policy in the service: parsed from the same texts as the supervisor's, asked about every flow
 * that the service carries. */
#pragma once

#include "policy/decide.h"
#include "service/config.h"

struct judge;

/* Parses and checks the setup's policy. 0, or a negative errno and a sentence. The setup may be
 * freed afterwards. */
int judge_new(const struct service_setup *setup, struct judge **ret_judge, struct error *error);
void judge_free(struct judge *judge); /* NULL is allowed */

const struct policy *judge_policy(const struct judge *judge);

/* Is `addr` one of the known ranges of this kind? */
bool judge_knows(const struct judge *judge, enum known_kind kind, const struct addr *addr);

/* Whoever knows what names stand for now (SET_NAME, SET_SUFFIX, SET_JAIL); without one these sets
 * contain nothing. */
void judge_name_with(struct judge *judge,
                     bool (*contains)(void *context, const struct set_item *item,
                                      const struct addr *addr),
                     void *context);

/* policy_decide() with what is known here. */
struct decision judge_decide(const struct judge *judge, const struct packet *packet);
