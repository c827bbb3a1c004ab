/* Printing: words for messages, and a script that a shell reads as it is meant. */
#include "plan_fixture.h"

#include "plan/print.h"

static void test_describe(void **unused)
{
    struct facts *facts = fixture_facts();
    struct policy *policy = fixture_policy("network app { address 10.10.0.1/24; nat }\n"
                                           "link eth0 bridge app { address 10.10.0.5/24 }\n"
                                           "publish 8080 to 80\n");
    struct plan *plan = fixture_plan(policy, facts, policy_diags(policy));
    cleanup_buf struct buf all = {0};

    (void)unused;
    for (size_t i = 0; i < plan->ops_count; i++) {
        cleanup_buf struct buf one = {0};

        op_describe(plan, &plan->ops[i], &one);
        assert_true(one.length > 0);
        buf_printf(&all, "%s\n", buf_text(&one));
    }
    assert_non_null(strstr(buf_text(&all), "create bridge 'app'\n"));
    assert_non_null(strstr(buf_text(&all), "create link 'eth0'\n"));
    assert_non_null(strstr(buf_text(&all), "add address 10.10.0.5/24 to 'eth0'\n"));
    assert_non_null(strstr(buf_text(&all), "listen on port 8080/tcp of ::1\n"));
    plan_free(plan);
    policy_free(policy);
    facts_free(facts);
}

/* Names that a shell would read stay one word; comments stay comments. */
static void test_quoting(void **unused)
{
    struct facts *facts = fixture_facts();
    struct policy *policy = fixture_policy("allow out tcp to 10.0.0.1 # `x` $(y)\n");
    struct plan *plan = fixture_plan(policy, facts, policy_diags(policy));
    cleanup_buf struct buf out = {0};

    (void)unused;
    plan_print(plan, "it's", &out);
    assert_non_null(strstr(buf_text(&out), "ip netns add 'it'\\''s'\n"));
    assert_non_null(strstr(buf_text(&out), "\n# test.conf:1: allow out tcp"));
    assert_null(strstr(buf_text(&out), "\nallow"));
    plan_free(plan);
    policy_free(policy);
    facts_free(facts);
}

static void test_ruleset(void **unused)
{
    struct facts *facts = fixture_facts();
    struct policy *policy = fixture_policy("allow out tcp to { 10.0.0.0/8, 192.0.2.1 } port 80-90\n"
                                           "allow in icmp 8 rate 3/minute burst 7\n");
    struct plan *plan = fixture_plan(policy, facts, policy_diags(policy));
    cleanup_buf struct buf out = {0};

    (void)unused;
    plan_print_ruleset(plan, WHERE_JAIL, NFT_INET, &out);
    assert_non_null(strstr(buf_text(&out), "10.0.0.0/8 . 6 . 80-90, 192.0.2.1 . 6 . 80-90"));
    assert_non_null(strstr(buf_text(&out), "icmp type 8 limit rate 3/minute burst 7 packets"));
    assert_non_null(strstr(buf_text(&out), "type filter hook input priority 0; policy drop;"));
    plan_free(plan);
    policy_free(policy);
    facts_free(facts);
}

static size_t count_terms(const struct plan *plan, enum term_kind kind)
{
    size_t count = 0;

    for (size_t i = 0; i < plan->terms_count; i++)
        count += plan->terms[i].kind == kind;
    return count;
}

/* By either of the kernel's two ways the same packets wait; without one none does. */
static void test_queue(void **unused)
{
    struct facts *facts = fixture_facts();
    struct policy *policy = fixture_policy("link relay\nallow out tcp to any port 443\n");
    struct plan *plan = fixture_plan(policy, facts, policy_diags(policy));
    cleanup_buf struct buf planned = {0};
    cleanup_buf struct buf other = {0};
    cleanup_buf struct buf without = {0};

    (void)unused;
    assert_true(plan->queues);
    assert_int_equal(count_terms(plan, TERM_QUEUE), 1);
    plan_print_ruleset(plan, WHERE_JAIL, NFT_INET, &planned);
    assert_non_null(strstr(buf_text(&planned), "queue to 0"));
    plan_queue_by(plan, TERM_QUEUE_NFT);
    assert_int_equal(count_terms(plan, TERM_QUEUE), 0);
    assert_int_equal(count_terms(plan, TERM_QUEUE_NFT), 1);
    plan_print_ruleset(plan, WHERE_JAIL, NFT_INET, &other);
    assert_string_equal(buf_text(&planned), buf_text(&other));
    plan_queue_by(plan, TERM_QUEUE);
    assert_int_equal(count_terms(plan, TERM_QUEUE), 1);
    plan_queue_by(plan, TERM_QUEUE_NFT);
    plan_forget_queue(plan);
    assert_false(plan->queues);
    assert_int_equal(count_terms(plan, TERM_QUEUE) + count_terms(plan, TERM_QUEUE_NFT), 0);
    plan_print_ruleset(plan, WHERE_JAIL, NFT_INET, &without);
    assert_null(strstr(buf_text(&without), "queue to 0"));
    plan_free(plan);
    policy_free(policy);
    facts_free(facts);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_describe),
        cmocka_unit_test(test_quoting),
        cmocka_unit_test(test_ruleset),
        cmocka_unit_test(test_queue),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
