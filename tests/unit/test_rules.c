/* The rule compiler against the definition: for random policies and packets, the compiled sets and
 * rules must give the verdict of policy_decide(), which walks the rules one by one. */
#include "nft_model.h"
#include "plan_fixture.h"
#include "random_policy.h"

#include "policy/relay.h"

#include <netinet/in.h>
#include <stdlib.h>
#include <time.h>

static struct model_packet random_packet(void)
{
    static const uint8_t protocols[] = {IPPROTO_TCP,  IPPROTO_TCP,    IPPROTO_UDP, IPPROTO_SCTP,
                                        IPPROTO_ICMP, IPPROTO_ICMPV6, 47,          255};
    struct model_packet packet = {.iifname = "eth0", .oifname = "eth0", .ct_state = 8};
    bool v6 = pick(2);

    packet.family = v6 ? ADDR_V6 : ADDR_V4;
    random_address(v6, &packet.source);
    random_address(v6, &packet.destination);
    packet.protocol = protocols[pick(8)];
    packet.port = (uint16_t)(1 + pick(14));
    packet.icmp_type = pick(2) ? 8 : 128;
    packet.has_transport = packet.protocol != 255;
    return packet;
}

static enum model_verdict wanted_verdict(const struct policy *policy,
                                         const struct model_packet *packet,
                                         enum direction direction)
{
    const struct decide_context context = {.contains = contains};
    const struct packet question = {.direction = direction,
                                    .protocol = packet->protocol,
                                    .source = packet->source,
                                    .destination = packet->destination,
                                    .port = packet->port,
                                    .icmp_type = packet->icmp_type};

    switch (policy_decide(policy, &question, &context).verdict) {
    case VERDICT_ALLOW:
        return MODEL_ACCEPT;
    case VERDICT_DROP:
        return MODEL_DROP;
    case VERDICT_DENY:
        break;
    }
    return packet->protocol == IPPROTO_TCP ? MODEL_RESET : MODEL_PROHIBITED;
}

static void check_packets(const struct policy *policy, const struct plan *plan, const char *text)
{
    static const char *const chains[] = {"input", "output", "forward"};

    for (unsigned i = 0; i < 200; i++) {
        struct model_packet packet = random_packet();
        enum direction direction = (enum direction)pick(3);
        enum model_verdict got = model_chain(plan, chains[direction], &packet);
        enum model_verdict wanted = wanted_verdict(policy, &packet, direction);
        char source[ADDR_TEXT_SIZE];
        char destination[ADDR_TEXT_SIZE];

        if (got != wanted)
            fail_msg("%s\n%s %s -> %s protocol %u port %u type %u: %d, wanted %d", text,
                     chains[direction], addr_print(&packet.source, source),
                     addr_print(&packet.destination, destination), packet.protocol, packet.port,
                     packet.icmp_type, got, wanted);
    }
}

static void test_random_policies(void **unused)
{
    struct facts *facts = fixture_facts();
    unsigned sets = 0;

    (void)unused;
    for (unsigned round = 0; round < 400; round++) {
        cleanup_buf struct buf text = {0};
        struct policy *policy;
        struct plan *plan;

        buf_puts(&text, HEADER);
        for (unsigned i = 0, count = pick(30); i < count; i++)
            put_rule(&text, true);
        if (pick(4) == 0)
            buf_puts(&text, "log denied\n");
        if (pick(4) == 0)
            buf_puts(&text, "default in drop\ndefault forward allow\n");
        policy = fixture_policy_unjudged(buf_text(&text));
        plan = fixture_plan(policy, facts, policy_diags(policy));
        assert_true(model_sets_disjoint(plan));
        check_packets(policy, plan, buf_text(&text));
        for (size_t i = 0; i < plan->ops_count; i++)
            sets += plan->ops[i].kind == OP_NFT_SET_ADD && plan->ops[i].where == WHERE_JAIL &&
                    plan->ops[i].set.key.count > 1;
        plan_free(plan);
        policy_free(policy);
    }
    assert_true(sets > 1000); /* the generator does reach the concatenations */
    facts_free(facts);
}

static size_t count_rules(const struct plan *plan, const char *chain)
{
    size_t count = 0;

    for (size_t i = 0; i < plan->ops_count; i++)
        count += plan->ops[i].kind == OP_NFT_RULE_ADD && plan->ops[i].where == WHERE_JAIL &&
                 strcmp(plan->ops[i].rule.chain, chain) == 0;
    return count;
}

static double seconds(void)
{
    struct timespec now;

    assert_int_equal(clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now), 0);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* Allow and deny by turns, at disjoint destinations: a handful of rules, whatever their number. */
static void test_ten_thousand_rules(void **unused)
{
    struct facts *facts = fixture_facts();
    cleanup_buf struct buf text = {0};
    struct policy *policy;
    struct plan *plan;
    double start;

    (void)unused;
    buf_puts(&text, HEADER);
    for (unsigned i = 0; i < 10000; i++)
        buf_printf(&text, "%s out tcp to 20.%u.%u.%u port %u\n", i % 2 ? "deny" : "allow", i / 2500,
                   i / 50 % 50, i % 50, 1 + i % 1000);
    policy = fixture_policy(buf_text(&text));
    start = seconds();
    plan = fixture_plan(policy, facts, policy_diags(policy));
    print_message("%.2f s of CPU\n", seconds() - start);
    assert_true(count_rules(plan, "output") < 10);
    plan_free(plan);
    policy_free(policy);
    facts_free(facts);
}

/* A large define is one set, made once, aggregated, whatever number of rules name it. */
static void test_million_prefixes(void **unused)
{
    enum { COUNT = 1000000 };
    struct facts *facts = fixture_facts();
    struct policy *policy = fixture_policy(HEADER "allow out tcp to any port 1 log\n"
                                                  "allow out udp to any port 2 log\n");
    struct set_item *items = calloc(COUNT, sizeof *items);
    struct plan *plan;
    size_t elements = 0;
    double start;

    (void)unused;
    assert_non_null(items);
    for (uint32_t i = 0; i < COUNT; i++) {
        /* Single addresses in a shuffled order; each two are adjacent. */
        uint32_t place = (uint32_t)((uint64_t)i * 7919 % COUNT);
        uint32_t value = htonl(0x20000000u + place / 2 * 4 + place % 2);

        items[i].kind = SET_RANGE;
        items[i].range.first.family = items[i].range.last.family = ADDR_V4;
        memcpy(items[i].range.first.bytes, &value, 4);
        memcpy(items[i].range.last.bytes, &value, 4);
    }
    for (size_t i = 0; i < 2; i++)
        policy->rules[i].to = (struct set){.given = true, .items = items, .items_count = COUNT};
    start = seconds();
    plan = fixture_plan(policy, facts, policy_diags(policy));
    print_message("%.2f s of CPU\n", seconds() - start);
    for (size_t i = 0; i < plan->ops_count; i++)
        if (plan->ops[i].kind == OP_NFT_ELEMENTS_ADD && plan->ops[i].where == WHERE_JAIL &&
            plan->ops[i].elements.key.count == 1)
            elements += plan->ops[i].elements.count;
    assert_in_range(elements, COUNT / 2, COUNT / 2 + 10);
    plan_free(plan);
    policy_free(policy);
    facts_free(facts);
    free(items);
}

/* One limit for a rule that needs several nft rules. */
static void test_rate_is_one_limit(void **unused)
{
    struct facts *facts = fixture_facts();
    struct policy *policy = fixture_policy(
        HEADER "allow in tcp,icmp from { 10.10.0.7, fd00:10::7 } rate 5/minute burst 2\n");
    struct plan *plan = fixture_plan(policy, facts, policy_diags(policy));
    size_t limits = 0;

    (void)unused;
    for (size_t i = 0; i < plan->terms_count; i++)
        limits += plan->terms[i].kind == TERM_LIMIT;
    assert_int_equal(limits, 1);
    plan_free(plan);
    policy_free(policy);
    facts_free(facts);
}

static void test_log_prefix(void **unused)
{
    struct facts *facts = fixture_facts();
    struct policy *policy =
        fixture_policy(HEADER "drop in tcp port 9 log \"say \\\"x\\\"\"\nlog denied\n");
    struct plan *plan = fixture_plan(policy, facts, policy_diags(policy));
    bool found_rule = false;
    bool found_default = false;

    (void)unused;
    for (size_t i = 0; i < plan->terms_count; i++) {
        if (plan->terms[i].kind != TERM_LOG)
            continue;
        assert_null(strpbrk(plan->terms[i].log.prefix, "\"\\"));
        found_rule |= strncmp(plan->terms[i].log.prefix, "dropped in test.conf:3", 22) == 0;
        found_default |= strcmp(plan->terms[i].log.prefix, "denied out default") == 0;
    }
    assert_true(found_rule);
    assert_true(found_default);
    assert_true(plan->needs_service);
    plan_free(plan);
    policy_free(policy);
    facts_free(facts);
}

static void assert_base_chains_closed(const struct plan *plan, size_t wanted)
{
    size_t count = 0;

    for (size_t i = 0; i < plan->ops_count; i++)
        if (plan->ops[i].kind == OP_NFT_CHAIN_ADD && plan->ops[i].where == WHERE_JAIL &&
            plan->ops[i].chain.is_base) {
            assert_true(plan->ops[i].chain.policy_drop);
            count++;
        }
    assert_int_equal(count, wanted);
}

/* Nothing to judge: no table, and the record says so. */
static void test_empty_policy_has_no_table(void **unused)
{
    struct facts *facts = fixture_facts();
    struct policy *policy = fixture_policy("");
    struct plan *plan = fixture_plan(policy, facts, policy_diags(policy));
    struct record *record = record_new();

    (void)unused;
    for (size_t i = 0; i < plan->ops_count; i++)
        assert_int_not_equal(plan->ops[i].kind, OP_NFT_TABLE_ADD);
    record_from_plan(record, plan);
    assert_true(record->has_no_rules);
    record_free(record);
    plan_free(plan);
    policy_free(policy);
    facts_free(facts);
}

/* A named jail is there for others to add links to: it has a table, closed for all but lo. */
static void test_named_jail_is_closed(void **unused)
{
    struct facts *facts = fixture_facts();
    struct policy *policy = fixture_policy("");
    struct plan *plan;
    struct model_packet packet = {.iifname = "lo",
                                  .oifname = "lo",
                                  .family = ADDR_V6,
                                  .protocol = IPPROTO_TCP,
                                  .source = {ADDR_V6, {[15] = 1}},
                                  .destination = {ADDR_V6, {[15] = 1}},
                                  .has_transport = true,
                                  .ct_state = 8};

    (void)unused;
    facts->is_named = true;
    plan = fixture_plan(policy, facts, policy_diags(policy));
    assert_false(plan->needs_host);
    assert_base_chains_closed(plan, 2);
    assert_int_equal(model_chain(plan, "leaving", &packet), MODEL_ACCEPT);
    assert_int_equal(model_chain(plan, "arriving", &packet), MODEL_ACCEPT);
    packet.oifname = "eth0";
    packet.iifname = "eth0";
    packet.ct_state = 2; /* established: not even that */
    assert_int_not_equal(model_chain(plan, "leaving", &packet), MODEL_ACCEPT);
    assert_int_not_equal(model_chain(plan, "arriving", &packet), MODEL_ACCEPT);
    plan_free(plan);
    policy_free(policy);
    facts_free(facts);
}

/* With links lo works between own addresses only: no way around the rules leads over it. */
static void test_loopback_between_own_addresses(void **unused)
{
    struct facts *facts = fixture_facts();
    struct policy *policy = fixture_policy(HEADER);
    struct plan *plan = fixture_plan(policy, facts, policy_diags(policy));
    struct model_packet packet = {.iifname = "lo",
                                  .oifname = "lo",
                                  .family = ADDR_V4,
                                  .protocol = IPPROTO_TCP,
                                  .source = {ADDR_V4, {127, 0, 0, 1}},
                                  .destination = {ADDR_V4, {127, 3, 2, 1}},
                                  .has_transport = true,
                                  .ct_state = 8};

    (void)unused;
    assert_int_equal(model_chain(plan, "output", &packet), MODEL_ACCEPT);
    packet.destination.bytes[0] = 8;
    assert_int_equal(model_chain(plan, "output", &packet), MODEL_DROP);
    packet.oifname = "eth0";
    assert_int_equal(model_chain(plan, "output", &packet), MODEL_RESET);
    assert_base_chains_closed(plan, 3);
    plan_free(plan);
    policy_free(policy);
    facts_free(facts);
}

/* What comes through a published port: not from neighbours, but from the host and from afar. */
static void test_published_port(void **unused)
{
    struct facts *facts = fixture_facts();
    struct policy *policy = fixture_policy(HEADER "publish any:8080 to 80\n");
    struct plan *plan = fixture_plan(policy, facts, policy_diags(policy));
    struct model_packet packet = {.iifname = "eth0",
                                  .oifname = "",
                                  .family = ADDR_V4,
                                  .protocol = IPPROTO_TCP,
                                  .source = {ADDR_V4, {10, 10, 0, 9}},
                                  .destination = {ADDR_V4, {10, 10, 0, 5}},
                                  .has_transport = true,
                                  .port = 80,
                                  .ct_state = 8};

    (void)unused;
    assert_int_equal(model_chain(plan, "input", &packet), MODEL_RESET);
    packet.source.bytes[3] = 1;
    assert_int_equal(model_chain(plan, "input", &packet), MODEL_ACCEPT);
    packet.source = (struct addr){ADDR_V4, {203, 0, 113, 7}};
    assert_int_equal(model_chain(plan, "input", &packet), MODEL_ACCEPT);
    packet.port = 8080;
    assert_int_equal(model_chain(plan, "input", &packet), MODEL_RESET);
    plan_free(plan);
    policy_free(policy);
    facts_free(facts);
}

/* Whom the rules of relay_in hand a packet of a connection to, by the order of the rules. */
static size_t tproxies_of(const struct plan *plan, uint8_t family, const struct term *ret_found[4])
{
    size_t count = 0;

    for (size_t i = 0; i < plan->ops_count; i++) {
        const struct op *op = &plan->ops[i];
        bool is_udp = false;

        if (op->kind != OP_NFT_RULE_ADD || strcmp(op->rule.chain, "relay_in") != 0)
            continue;
        for (uint32_t t = 0; t < op->rule.term_count; t++) {
            const struct term *term = &plan->terms[op->rule.first_term + t];

            is_udp |= term->kind == TERM_MATCH && term->match.field == FIELD_L4PROTO &&
                      term->match.value[0] == IPPROTO_UDP;
            if (term->kind == TERM_TPROXY && term->tproxy.addr.family == family && !is_udp) {
                assert_true(count < 4);
                ret_found[count++] = term;
            }
        }
    }
    return count;
}

/* While the kernel puts a connection in the place of its request, one look may find neither (Linux
 * 6.18: one of several 100,000 connections was reset): only the second may find the listener. */
static void test_relay_looks_for_a_connection_twice(void **unused)
{
    struct facts *facts = fixture_facts();
    struct policy *policy = fixture_policy("link relay\nallow out to any\n");
    struct plan *plan = fixture_plan(policy, facts, policy_diags(policy));

    (void)unused;
    for (int i = 0; i < 2; i++) {
        uint8_t family = i ? ADDR_V6 : ADDR_V4;
        struct addr listener = relay_addr(RELAY_LISTENER, family);
        const struct term *found[4];

        assert_int_equal(tproxies_of(plan, family, found), 2);
        assert_false(addr_equal(&found[0]->tproxy.addr, &listener));
        assert_true(addr_equal(&found[1]->tproxy.addr, &listener));
    }
    plan_free(plan);
    policy_free(policy);
    facts_free(facts);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_random_policies),
        cmocka_unit_test(test_ten_thousand_rules),
        cmocka_unit_test(test_million_prefixes),
        cmocka_unit_test(test_rate_is_one_limit),
        cmocka_unit_test(test_log_prefix),
        cmocka_unit_test(test_empty_policy_has_no_table),
        cmocka_unit_test(test_named_jail_is_closed),
        cmocka_unit_test(test_published_port),
        cmocka_unit_test(test_loopback_between_own_addresses),
        cmocka_unit_test(test_relay_looks_for_a_connection_twice),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
