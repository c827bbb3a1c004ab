/* Undo: all that a plan made on the host is taken back, by the last jail that has a share in it. */
#include "plan_fixture.h"

#include "plan/undo.h"

#define NETWORK "network app { address 10.10.0.1/24; address fd00:10::1/64; nat }\n"

static struct record *record_of(const char *text, const char *name, struct facts *facts,
                                struct plan **ret_plan)
{
    struct policy *policy = fixture_policy(text);
    struct plan *plan = fixture_plan(policy, facts, policy_diags(policy));
    struct record *record = record_new();

    memcpy(record->name, name, strlen(name));
    record_from_plan(record, plan);
    for (size_t i = 0; i < plan->ops_count; i++) {
        const struct op *op = &plan->ops[i];
        struct record_sysctl *sysctl;

        if (op->kind != OP_SYSCTL_SET || op->where != WHERE_HOST)
            continue;
        sysctl = ARENA_PUSH(record->arena, record, sysctls);
        memcpy(sysctl->path, op->sysctl.path, sizeof sysctl->path);
        memcpy(sysctl->ours, op->sysctl.value, sizeof sysctl->ours);
        memcpy(sysctl->was, "0", 2);
    }
    plan->sources = NULL; /* the policy goes */
    policy_free(policy);
    facts->seed++;
    if (ret_plan)
        *ret_plan = plan;
    else
        plan_free(plan);
    return record;
}

static size_t count_ops(const struct plan *plan, enum op_kind kind)
{
    size_t count = 0;

    for (size_t i = 0; i < plan->ops_count; i++)
        count += plan->ops[i].kind == kind;
    return count;
}

static bool deletes_link(const struct plan *plan, const char *name, uint32_t group)
{
    for (size_t i = 0; i < plan->ops_count; i++)
        if (plan->ops[i].kind == OP_LINK_DELETE && plan->ops[i].link_delete.group == group &&
            strcmp(plan->ops[i].link_delete.name, name) == 0)
            return true;
    return false;
}

/* Is every element that the plan added deleted by one of the two? */
static bool deletes_element(const struct plan *plan, const char *set, const uint8_t *key,
                            size_t length)
{
    for (size_t i = 0; i < plan->ops_count; i++) {
        const struct op *op = &plan->ops[i];

        if (op->kind != OP_NFT_ELEMENTS_DELETE || strcmp(op->elements.set, set) != 0)
            continue;
        for (uint32_t k = 0; k < op->elements.count; k++)
            if (memcmp(plan->bytes + op->elements.first_byte + k * length, key, length) == 0)
                return true;
    }
    return false;
}

static void check_all_elements(const struct plan *plan, const struct plan *own,
                               const struct plan *shared)
{
    for (size_t i = 0; i < plan->ops_count; i++) {
        const struct op *op = &plan->ops[i];
        const uint8_t *bytes = plan->bytes + op->elements.first_byte;
        size_t length;

        if (op->kind != OP_NFT_ELEMENTS_ADD || op->where != WHERE_HOST)
            continue;
        length = nft_element_size(op) - nft_data_size(op->elements.data);
        for (uint32_t k = 0; k < op->elements.count; k++, bytes += nft_element_size(op))
            assert_true(deletes_element(own, op->elements.set, bytes, length) !=
                        deletes_element(shared, op->elements.set, bytes, length));
    }
}

static void test_last_jail_takes_all(void **unused)
{
    struct facts *facts = fixture_facts();
    struct plan *plan = NULL;
    struct record *record =
        record_of("name web\n" NETWORK "link eth0 bridge app { host-name port0 }\n"
                  "link up0 veth host { address 10.9.0.2/30; peer-address 10.9.0.1/30; "
                  "gateway none; peer-name cab0 }\n"
                  "publish any:8000-8010\nallow out to host\n",
                  "web", facts, &plan);
    struct plan *own = undo_own(record);
    struct plan *shared = undo_shared(record, NULL, 0);

    (void)unused;
    check_all_elements(plan, own, shared);
    assert_true(deletes_link(own, "port0", GROUP_PORT));
    assert_true(deletes_link(own, "cab0", GROUP_CABLE));
    assert_true(deletes_link(shared, "app", GROUP_NETWORK));
    assert_int_equal(count_ops(shared, OP_NFT_TABLE_DELETE), 2);
    assert_int_equal(shared->ops[0].kind, OP_SYSCTL_RESTORE);  /* before the guards go */
    assert_int_equal(count_ops(shared, OP_SYSCTL_RESTORE), 2); /* eth0; app and cab0 vanish */
    for (size_t i = 0; i < own->ops_count; i++)
        assert_int_equal(own->ops[i].where, WHERE_HOST);
    plan_free(own);
    plan_free(shared);
    plan_free(plan);
    record_free(record);
    facts_free(facts);
}

/* As long as another jail uses it, nothing shared is touched. */
static void test_others_keep_what_is_shared(void **unused)
{
    struct facts *facts = fixture_facts();
    struct record *web =
        record_of("name web\n" NETWORK "link eth0 bridge app\n", "web", facts, NULL);
    struct record *db = record_of("name db\n" NETWORK "link eth0 bridge app\n", "db", facts, NULL);
    struct plan *shared = undo_shared(web, &db, 1);
    struct plan *own = undo_own(web);

    (void)unused;
    assert_int_equal(shared->ops_count, 0);
    assert_int_equal(count_ops(own, OP_LINK_DELETE), 1);
    assert_int_equal(count_ops(own, OP_FLOWS_FORGET), 2); /* both families */
    assert_int_equal(own->ops[own->ops_count - 1].kind, OP_FLOWS_FORGET);
    assert_true(count_ops(own, OP_NFT_ELEMENTS_DELETE) > 0);
    plan_free(shared);
    plan_free(own);
    record_free(web);
    record_free(db);
    facts_free(facts);
}

/* Another network of another jail keeps the tables, the uplink and its guard, not our bridge. */
static void test_other_network(void **unused)
{
    struct facts *facts = fixture_facts();
    struct record *web =
        record_of("name web\n" NETWORK "link eth0 bridge app\n", "web", facts, NULL);
    struct record *db = record_of("name db\nnetwork other { address 10.20.0.1/24; nat }\n"
                                  "link eth0 bridge other\n",
                                  "db", facts, NULL);
    struct plan *shared = undo_shared(web, &db, 1);

    (void)unused;
    assert_true(deletes_link(shared, "app", GROUP_NETWORK));
    assert_int_equal(count_ops(shared, OP_NFT_TABLE_DELETE), 0);
    assert_int_equal(count_ops(shared, OP_SYSCTL_RESTORE), 1); /* IPv6, which only web had */
    for (size_t i = 0; i < shared->ops_count; i++)
        if (shared->ops[i].kind == OP_NFT_ELEMENTS_DELETE)
            assert_string_not_equal(shared->ops[i].elements.set, "guard4");
    plan_free(shared);
    record_free(web);
    record_free(db);
    facts_free(facts);
}

static void test_external_bridge_stays(void **unused)
{
    struct facts *facts = fixture_facts();
    struct record *record = record_of("network docker0 { external; address 172.17.0.1/16; nat }\n"
                                      "link eth0 bridge docker0 { address 172.17.0.9/16 }\n",
                                      "web", facts, NULL);
    struct plan *shared = undo_shared(record, NULL, 0);
    bool restored = false;

    (void)unused;
    assert_int_equal(count_ops(shared, OP_LINK_DELETE), 0);
    for (size_t i = 0; i < shared->ops_count; i++)
        restored |= shared->ops[i].kind == OP_SYSCTL_RESTORE &&
                    strcmp(shared->ops[i].sysctl.path, "net/ipv4/conf/docker0/forwarding") == 0;
    assert_true(restored);
    plan_free(shared);
    record_free(record);
    facts_free(facts);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_last_jail_takes_all),
        cmocka_unit_test(test_others_keep_what_is_shared),
        cmocka_unit_test(test_other_network),
        cmocka_unit_test(test_external_bridge_stays),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
