/* The verdict on a packet: first match, sets, protocols, ports, publish, defaults. */
#include "base/buf.h"
#include "policy/decide.h"

#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static struct policy *policy_of(const char *text)
{
    struct policy *policy = policy_new();
    struct diags *diags = policy_diags(policy);

    if (policy_parse(policy, diags, "t", NULL, text, strlen(text), true, NULL, NULL, 0) < 0 ||
        policy_check(policy, diags) < 0) {
        cleanup_buf struct buf out = {0};

        diags_print(diags, &out);
        fail_msg("%s", buf_text(&out));
    }
    return policy;
}

static struct packet packet_of(enum direction direction, uint8_t protocol, const char *from,
                               const char *to, uint16_t port)
{
    struct packet packet = {.direction = direction, .protocol = protocol, .port = port};

    assert_int_equal(addr_parse(from, strlen(from), &packet.source), 0);
    assert_int_equal(addr_parse(to, strlen(to), &packet.destination), 0);
    return packet;
}

static enum verdict out_tcp(const struct policy *policy, const char *to, uint16_t port)
{
    bool is_v6 = strchr(to, ':') != NULL;
    struct packet packet =
        packet_of(DIRECTION_OUT, IPPROTO_TCP, is_v6 ? "fd00::2" : "10.0.0.2", to, port);

    return policy_decide(policy, &packet, NULL).verdict;
}

static void the_first_match_decides(void **state)
{
    struct policy *policy = policy_of("deny out tcp to 10.1.0.0/16\nallow out tcp to 10.0.0.0/8\n"
                                      "drop out tcp to 10.2.0.1");
    struct packet packet = packet_of(DIRECTION_OUT, IPPROTO_TCP, "10.0.0.2", "10.2.0.1", 80);
    struct decision decision = policy_decide(policy, &packet, NULL);

    (void)state; /* no fixture */
    assert_int_equal(decision.rule, 1);
    assert_int_equal(decision.where.line, 2);
    assert_false(decision.by_default);
    assert_int_equal(out_tcp(policy, "10.1.2.3", 80), VERDICT_DENY);
    assert_int_equal(out_tcp(policy, "10.2.0.1", 80), VERDICT_ALLOW);
    assert_int_equal(out_tcp(policy, "11.0.0.1", 80), VERDICT_DENY);
    policy_free(policy);
}

static void defaults_are_per_direction(void **state)
{
    struct policy *policy = policy_of("default in drop; default out allow");
    struct packet in = packet_of(DIRECTION_IN, IPPROTO_TCP, "10.0.0.1", "10.0.0.2", 80);
    struct packet forward = packet_of(DIRECTION_FORWARD, IPPROTO_TCP, "10.0.0.1", "10.0.0.2", 80);

    (void)state; /* no fixture */
    assert_int_equal(policy_decide(policy, &in, NULL).verdict, VERDICT_DROP);
    assert_true(policy_decide(policy, &in, NULL).by_default);
    assert_int_equal(out_tcp(policy, "10.0.0.1", 80), VERDICT_ALLOW);
    assert_int_equal(policy_decide(policy, &forward, NULL).verdict, VERDICT_DENY);
    policy_free(policy);
}

static void ports_and_protocols(void **state)
{
    struct policy *policy =
        policy_of("allow out tcp,udp port { 80, 8000-8010 }\n"
                  "allow out icmp echo-request\nallow out icmpv6\nallow out 47");
    struct packet ping = packet_of(DIRECTION_OUT, IPPROTO_ICMP, "10.0.0.2", "10.0.0.1", 0);
    struct packet ping6 = packet_of(DIRECTION_OUT, IPPROTO_ICMPV6, "fd00::2", "fd00::1", 0);
    struct packet wrong = packet_of(DIRECTION_OUT, IPPROTO_ICMPV6, "10.0.0.2", "10.0.0.1", 0);
    struct packet gre = packet_of(DIRECTION_OUT, 47, "10.0.0.2", "10.0.0.1", 0);
    struct packet sctp = packet_of(DIRECTION_OUT, IPPROTO_SCTP, "10.0.0.2", "10.0.0.1", 80);

    (void)state; /* no fixture */
    assert_int_equal(out_tcp(policy, "10.0.0.1", 80), VERDICT_ALLOW);
    assert_int_equal(out_tcp(policy, "10.0.0.1", 8010), VERDICT_ALLOW);
    assert_int_equal(out_tcp(policy, "10.0.0.1", 8011), VERDICT_DENY);
    assert_int_equal(out_tcp(policy, "10.0.0.1", 79), VERDICT_DENY);
    ping.icmp_type = 8;
    assert_int_equal(policy_decide(policy, &ping, NULL).verdict, VERDICT_ALLOW);
    ping.icmp_type = 13;
    assert_int_equal(policy_decide(policy, &ping, NULL).verdict, VERDICT_DENY);
    assert_int_equal(policy_decide(policy, &ping6, NULL).verdict, VERDICT_ALLOW);
    assert_int_equal(policy_decide(policy, &wrong, NULL).verdict, VERDICT_DENY);
    assert_int_equal(policy_decide(policy, &gre, NULL).verdict, VERDICT_ALLOW);
    assert_int_equal(policy_decide(policy, &sctp, NULL).verdict, VERDICT_DENY);
    policy_free(policy);
}

static void constant_sets(void **state)
{
    struct policy *policy =
        policy_of("deny out to metadata\ndrop out to { private, link-local }\n"
                  "allow out to { multicast, broadcast, 2001:db8::/32, 192.0.2.1-192.0.2.9 }");
    static const struct {
        const char *to;
        enum verdict verdict;
    } cases[] = {
        {"169.254.169.254", VERDICT_DENY},  {"169.254.169.253", VERDICT_DROP},
        {"10.255.255.255", VERDICT_DROP},   {"172.32.0.0", VERDICT_DENY},
        {"172.31.255.255", VERDICT_DROP},   {"192.168.3.4", VERDICT_DROP},
        {"100.64.0.1", VERDICT_DROP},       {"fd12::1", VERDICT_DROP},
        {"fe80::1", VERDICT_DROP},          {"fec0::1", VERDICT_DENY},
        {"224.0.0.1", VERDICT_ALLOW},       {"ff02::1", VERDICT_ALLOW},
        {"255.255.255.255", VERDICT_ALLOW}, {"2001:db8::7", VERDICT_ALLOW},
        {"2001:db9::", VERDICT_DENY},       {"192.0.2.9", VERDICT_ALLOW},
        {"192.0.2.10", VERDICT_DENY},       {"fd00:ec2::254", VERDICT_DENY},
    };

    (void)state; /* no fixture */
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        if (out_tcp(policy, cases[i].to, 80) != cases[i].verdict)
            fail_msg("%s", cases[i].to);
    }
    policy_free(policy);
}

/* The gateway is 10.0.0.1 and nothing else is known. */
static bool knows_gateway(void *context, const struct set_item *item, const struct addr *addr)
{
    (void)context; /* not needed */
    return item->kind == SET_GATEWAY && addr->bytes[0] == 10 && addr->bytes[3] == 1;
}

static void the_jail_is_asked_for_the_rest(void **state)
{
    struct policy *policy = policy_of("allow out to { gateway, host, jail db, www.example.org }");
    struct packet packet = packet_of(DIRECTION_OUT, IPPROTO_TCP, "10.0.0.2", "10.0.0.1", 80);
    struct decide_context context = {knows_gateway, NULL};

    (void)state; /* no fixture */
    assert_int_equal(policy_decide(policy, &packet, &context).verdict, VERDICT_ALLOW);
    assert_int_equal(policy_decide(policy, &packet, NULL).verdict, VERDICT_DENY);
    packet.destination.bytes[3] = 3;
    assert_int_equal(policy_decide(policy, &packet, &context).verdict, VERDICT_DENY);
    policy_free(policy);
}

static void publish_comes_behind_the_rules(void **state)
{
    struct policy *policy = policy_of("deny in from 192.0.2.1\npublish 8000-8001 to 80");
    struct packet packet = packet_of(DIRECTION_IN, IPPROTO_TCP, "192.0.2.2", "10.0.0.2", 81);
    struct decision decision;

    (void)state; /* no fixture */
    assert_int_equal(policy_decide(policy, &packet, NULL).verdict, VERDICT_DENY);
    packet.published = true;
    decision = policy_decide(policy, &packet, NULL);
    assert_int_equal(decision.verdict, VERDICT_ALLOW);
    assert_true(decision.by_publish);
    assert_int_equal(decision.where.line, 2);
    packet.port = 82;
    assert_int_equal(policy_decide(policy, &packet, NULL).verdict, VERDICT_DENY);
    packet.port = 80;
    packet.source.bytes[3] = 1;
    assert_false(policy_decide(policy, &packet, NULL).by_publish);
    assert_int_equal(policy_decide(policy, &packet, NULL).verdict, VERDICT_DENY);
    policy_free(policy);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_first_match_decides),
        cmocka_unit_test(defaults_are_per_direction),
        cmocka_unit_test(ports_and_protocols),
        cmocka_unit_test(constant_sets),
        cmocka_unit_test(the_jail_is_asked_for_the_rest),
        cmocka_unit_test(publish_comes_behind_the_rules),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
