/* Policies from text and an invented host, for tests of the plan. */
#pragma once

#include "base/buf.h"
#include "plan/build.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static inline struct policy *fixture_policy(const char *text)
{
    struct policy *policy = policy_new();
    struct diags *diags = policy_diags(policy);
    cleanup_buf struct buf out = {0};

    if (policy_parse(policy, diags, "test.conf", "test.conf", text, strlen(text), false, NULL, NULL,
                     0) < 0 ||
        policy_check(policy, diags) < 0) {
        diags_print(diags, &out);
        fail_msg("%s", buf_text(&out));
    }
    return policy;
}

/* The same for random text: what the checker thinks of it is not looked at, as its verdicts (a rule
 * that never matches, say) do not change what the rules mean. */
static inline struct policy *fixture_policy_unjudged(const char *text)
{
    struct policy *policy = policy_new();
    struct diags *diags = policy_diags(policy);

    assert_int_equal(policy_parse(policy, diags, "test.conf", "test.conf", text, strlen(text),
                                  false, NULL, NULL, 0),
                     0);
    (void)policy_check(policy, diags); /* see above */
    return policy;
}

/* A host with eth0 (uplink, 192.0.2.10/24 and 2001:db8:1::10/64) and docker0 (172.17.0.1/16). */
static inline struct facts *fixture_facts(void)
{
    static const struct {
        const char *ifname;
        const char *prefix;
    } addresses[] = {{"lo", "127.0.0.1/8"},
                     {"lo", "::1/128"},
                     {"eth0", "192.0.2.10/24"},
                     {"eth0", "2001:db8:1::10/64"},
                     {"docker0", "172.17.0.1/16"}};
    struct facts *facts = facts_new();
    struct fact_link *link;

    facts->privileged = true;
    facts->has_ipv6 = true;
    facts->has_force_forwarding = true;
    facts->seed = 1;
    facts->pid = 4242;
    link = ARENA_PUSH(facts->arena, facts, links);
    memcpy(link->name, "eth0", 5);
    link->is_uplink = true;
    link->accept_ra = 1;
    link = ARENA_PUSH(facts->arena, facts, links);
    memcpy(link->name, "docker0", 8);
    link->is_bridge = true;
    for (size_t i = 0; i < sizeof addresses / sizeof addresses[0]; i++) {
        struct fact_address *address = ARENA_PUSH(facts->arena, facts, addresses);

        memcpy(address->ifname, addresses[i].ifname, strlen(addresses[i].ifname));
        assert_int_equal(
            prefix_parse(addresses[i].prefix, strlen(addresses[i].prefix), &address->prefix), 0);
    }
    return facts;
}

static inline struct plan *fixture_plan(const struct policy *policy, const struct facts *facts,
                                        struct diags *diags)
{
    cleanup_buf struct buf out = {0};
    struct plan *plan = NULL;

    if (plan_build(policy, facts, diags, &plan) < 0) {
        diags_print(diags, &out);
        fail_msg("%s", buf_text(&out));
    }
    return plan;
}
