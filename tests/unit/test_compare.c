/* What one policy admits that another does not, held against policy_decide() on random policies and
 * packets; and questions about one flow. */
#include "random_policy.h"

#include "policy/compare.h"
#include "policy/query.h"

/* Random rules may contradict each other: they are not judged. */
static struct policy *policy_parsed(const char *text, bool judge)
{
    struct policy *policy = policy_new();
    struct diags *diags = policy_diags(policy);
    struct buf shown = {0};
    int result =
        policy_parse(policy, diags, "test.conf", NULL, text, strlen(text), false, NULL, NULL, 0);

    if (result == 0 && judge)
        result = policy_check(policy, diags);
    if (result < 0) {
        diags_print(diags, &shown);
        fail_msg("%s\n%s", text, buf_text(&shown));
    }
    return policy;
}

static struct policy *policy_of(const char *text)
{
    return policy_parsed(text, true);
}

static bool place_has(const struct place *place, const struct addr *addr)
{
    return !place->symbol && range_contains(&place->range, addr);
}

static bool region_has(const struct region *region, const struct packet *packet)
{
    bool has_detail = region->protocol_first == region->protocol_last;
    uint16_t detail =
        packet->protocol == 1 || packet->protocol == 58 ? packet->icmp_type : packet->port;

    if (region->direction != packet->direction || packet->protocol < region->protocol_first ||
        packet->protocol > region->protocol_last)
        return false;
    if (region->family != ADDR_NONE && region->family != packet->source.family)
        return false;
    if (has_detail && (detail < region->detail_first || detail > region->detail_last))
        return false;
    /* Where both families are one, so is every address. */
    if (region->family == ADDR_NONE)
        return !region->from.symbol && !region->to.symbol;
    return place_has(&region->from, &packet->source) &&
           place_has(&region->to, &packet->destination);
}

static bool comparison_has(const struct comparison *comparison, const struct packet *packet)
{
    size_t found = 0;

    for (size_t i = 0; i < comparison->regions_count; i++)
        found += region_has(&comparison->regions[i], packet);
    assert_true(found <= 1); /* regions do not overlap */
    return found == 1;
}

static struct packet random_flow(void)
{
    static const uint8_t protocols[] = {6, 6, 17, 132, 1, 47};
    struct packet packet = {.direction = (enum direction)pick(3)};
    bool v6 = pick(2);

    packet.protocol = protocols[pick(6)];
    if (packet.protocol == 1 && v6)
        packet.protocol = 58;
    packet.port = (uint16_t)pick(12);
    packet.icmp_type = packet.protocol == 58 ? (uint8_t)(128 + pick(2)) : (uint8_t)(pick(2) * 8);
    random_address(v6, &packet.source);
    random_address(v6, &packet.destination);
    return packet;
}

static void put_policy(struct buf *out)
{
    buf_puts(out, HEADER);
    for (unsigned i = 1 + pick(8); i > 0; i--)
        put_rule(out, false);
    if (pick(4) == 0)
        buf_puts(out, "default out allow\n");
}

static void test_random(void **unused)
{
    size_t different = 0;

    (void)unused;
    for (int round = 0; round < 200; round++) {
        struct buf text_a = {0}, text_b = {0};
        struct policy *a, *b;
        struct comparison only_a, only_b;
        struct arena *arena = arena_new();

        put_policy(&text_a);
        put_policy(&text_b);
        a = policy_parsed(buf_text(&text_a), false);
        b = policy_parsed(buf_text(&text_b), false);
        policy_compare(a, b, arena, &only_a);
        policy_compare(b, a, arena, &only_b);
        assert_false(only_a.is_cut || only_b.is_cut);
        for (int i = 0; i < 300; i++) {
            struct packet packet = random_flow();
            bool by_a = policy_decide(a, &packet, NULL).verdict == VERDICT_ALLOW;
            bool by_b = policy_decide(b, &packet, NULL).verdict == VERDICT_ALLOW;

            if (comparison_has(&only_a, &packet) != (by_a && !by_b) ||
                comparison_has(&only_b, &packet) != (by_b && !by_a))
                fail_msg("protocol %u port %u: a %d b %d\n--- a\n%s\n--- b\n%s", packet.protocol,
                         packet.port, by_a, by_b, buf_text(&text_a), buf_text(&text_b));
            different += by_a != by_b;
        }
        policy_compare(a, a, arena, &only_a);
        assert_int_equal(only_a.regions_count, 0);
        arena_free(arena);
        policy_free(a);
        policy_free(b);
        buf_free(&text_a);
        buf_free(&text_b);
    }
    assert_true(different > 1000); /* else the packets asked nothing */
}

/* All that `a` admits and `b` does not, a line each. */
static void compare_text(const char *text_a, const char *text_b, struct buf *out)
{
    struct policy *a = policy_of(text_a);
    struct policy *b = policy_of(text_b);
    struct arena *arena = arena_new();
    struct comparison only;

    policy_compare(a, b, arena, &only);
    for (size_t i = 0; i < only.regions_count; i++) {
        const struct region *region = &only.regions[i];

        regions_print(&region, 1, out);
        buf_puts(out, "\n");
    }
    arena_free(arena);
    policy_free(a);
    policy_free(b);
}

static void test_words(void **unused)
{
    static const struct {
        const char *a, *b, *only;
    } cases[] = {
        {"allow out tcp to 10.0.0.5 port 80", "", "out tcp to 10.0.0.5 port 80\n"},
        {"", "allow out tcp to 10.0.0.5 port 80", ""},
        {"allow out tcp to any port 443", "allow out tcp to 0.0.0.0/0 port 443",
         "out tcp to ::/0 port 443\n"},
        {"allow out tcp to any port 443", "allow out tcp to any port 80", "out tcp port 443\n"},
        {"allow out tcp to any port 80-90", "allow out tcp to any port 85",
         "out tcp port 80-84\nout tcp port 86-90\n"},
        {"allow out udp to 10.0.0.0/8", "allow out udp to 10.128.0.0/9", "out udp to 10.0.0.0/9\n"},
        {"allow out icmp echo-request", "", "out icmp 8 to 0.0.0.0/0\n"},
        {"allow out to any", "default out allow", ""},
        {"default out allow", "allow out tcp,udp to any",
         "out protocols 0-5\nout protocols 7-16\nout protocols 18-255\n"},
        {"deny out to 10.0.0.5\nallow out tcp to 10.0.0.4/31 port 1", "",
         "out tcp to 10.0.0.4 port 1\n"},
        {"dns { any }\nallow out tcp to example.com port 443", "",
         "out tcp to example.com port 443\n"},
        {"dns { any }\nallow out tcp to { example.com, a.example.com } port 443",
         "dns { any }\nallow out tcp to *.example.com port 443",
         "out tcp to example.com port 443\n"},
        {"allow in tcp from 10.0.0.7 port 22", "", "in tcp from 10.0.0.7 port 22\n"},
    };

    (void)unused;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct buf text = {0};

        compare_text(cases[i].a, cases[i].b, &text);
        assert_string_equal(buf_text(&text), cases[i].only);
        buf_free(&text);
    }
}

static const char asked[] = "network app { address 10.10.0.1/24; address fd00:10::1/64 }\n"
                            "link eth0 bridge app { address 10.10.0.5/24; address fd00:10::5/64 }\n"
                            "dns { upstream 10.10.0.1 }\n"
                            "deny out to gateway\n"
                            "allow out tcp to *.example.com port 443\n"
                            "allow out tcp to 10.0.0.0/8 port 1-9\n"
                            "allow out icmp echo-request\n"
                            "allow out udp to jail database\n"
                            "drop in tcp from 10.9.0.0/16\n"
                            "publish any:8080 to 80\n";

static void test_questions(void **unused)
{
    static const struct {
        const char *question;
        const char *understood; /* NULL: it is none */
        enum verdict verdict;
        unsigned line; /* 0: the default */
    } cases[] = {
        {"out tcp www.example.com 443", "out tcp to www.example.com port 443", VERDICT_ALLOW, 5},
        {"out tcp example.com 443", "out tcp to example.com port 443", VERDICT_DENY, 0},
        {"out tcp to www.example.com port 80", "out tcp to www.example.com port 80", VERDICT_DENY,
         0},
        {"out 10.2.3.4 5", "out tcp to 10.2.3.4 port 5", VERDICT_ALLOW, 6},
        {"out 10.10.0.1 5", "out tcp to 10.10.0.1 port 5", VERDICT_DENY, 4},
        {"out gateway 5", "out tcp to gateway port 5", VERDICT_DENY, 4},
        {"out icmp 10.2.3.4", "out icmp to 10.2.3.4", VERDICT_ALLOW, 7},
        {"out icmp echo-request 10.2.3.4", "out icmp echo-request to 10.2.3.4", VERDICT_ALLOW, 7},
        {"out icmp 3 10.2.3.4", "out icmp 3 to 10.2.3.4", VERDICT_DENY, 0},
        {"out udp jail database port 53", "out udp to jail database port 53", VERDICT_ALLOW, 8},
        {"out udp jail other 53", "out udp to jail other port 53", VERDICT_DENY, 0},
        {"in tcp 10.9.1.1 80", "in tcp from 10.9.1.1 port 80", VERDICT_DROP, 9},
        {"in 10.8.1.1 80", "in tcp from 10.8.1.1 port 80", VERDICT_DENY, 0},
        {"out 47 10.0.0.1", "out 47 to 10.0.0.1", VERDICT_DENY, 0},
        {"out tcp 10.0.0.0/8 5", NULL, 0, 0},
        {"out tcp { 10.0.0.1, 10.0.0.2 } 5", NULL, 0, 0},
        {"out tcp 10.0.0.1 port 5-6", NULL, 0, 0},
        {"out tcp 10.0.0.1 5; allow in", NULL, 0, 0},
        {"out tcp 10.0.0.1 5\nname x", NULL, 0, 0},
        {"up tcp 10.0.0.1 5", NULL, 0, 0},
        {"out tcp $X 5", NULL, 0, 0},
        {"", NULL, 0, 0},
        {"out tcp 10.0.0.1 70000", NULL, 0, 0},
    };
    struct policy *policy = policy_of(asked);

    (void)unused;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct policy *holder = policy_new();
        struct diags *diags = policy_diags(holder);
        struct answer answers[2];
        struct query *query;
        int result = query_parse(cases[i].question, holder, diags, &query);

        if (!cases[i].understood) {
            if (result == 0)
                fail_msg("'%s' was understood as '%s'", cases[i].question, query_text(query));
            assert_true(diags->error_count > 0);
        } else {
            assert_int_equal(result, 0);
            assert_string_equal(query_text(query), cases[i].understood);
            assert_int_equal(query_answer(query, policy, false, answers), 1);
            assert_int_equal(answers[0].decision.verdict, cases[i].verdict);
            assert_int_equal(answers[0].decision.where.line, cases[i].line);
        }
        policy_free(holder);
    }
    policy_free(policy);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_random),
        cmocka_unit_test(test_words),
        cmocka_unit_test(test_questions),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
