/* Records: what is printed is read back; what netjail would not have written is refused. */
#include "plan_fixture.h"

#include "plan/record.h"

#include <errno.h>

#define POLICY                                                                                     \
    "name web\n"                                                                                   \
    "network app { address 10.10.0.1/24; address fd00:10::1/64; nat }\n"                           \
    "link eth0 bridge app\n"                                                                       \
    "publish 8080 to 80\npublish any:8443 to 443\nallow out tcp to host port 53\n"

static struct record *make_record(void)
{
    struct facts *facts = fixture_facts();
    struct policy *policy = fixture_policy(POLICY);
    struct plan *plan = fixture_plan(policy, facts, policy_diags(policy));
    struct record *record = record_new();
    struct record_sysctl *sysctl;

    memcpy(record->name, "web", 4);
    record->pid = 12;
    record->pid_start = UINT64_MAX;
    record->policy = "/tmp/a b%-\n";
    record->command = "-";
    record->state = RECORD_ENDING;
    record_from_plan(record, plan);
    sysctl = ARENA_PUSH(record->arena, record, sysctls);
    memcpy(sysctl->path, "net/ipv4/conf/eth0/forwarding", 30);
    memcpy(sysctl->was, "0", 2);
    memcpy(sysctl->ours, "1", 2);
    struct record_docker *docker = ARENA_PUSH(record->arena, record, dockers);
    docker->family = ADDR_V6;
    memcpy(docker->ifname, "app", 4);
    plan_free(plan);
    policy_free(policy);
    facts_free(facts);
    return record;
}

static void test_round_trip(void **unused)
{
    cleanup_buf struct buf first = {0};
    cleanup_buf struct buf second = {0};
    struct record *record = make_record();
    struct record *again = NULL;
    struct error error = {0};

    (void)unused;
    record_print(record, &first);
    assert_int_equal(record_parse(buf_text(&first), first.length, &again, &error), 0);
    record_print(again, &second);
    assert_string_equal(buf_text(&first), buf_text(&second));
    assert_string_equal(again->policy, record->policy);
    assert_string_equal(again->command, "-");
    assert_int_equal(again->state, RECORD_ENDING);
    assert_true(again->uses_host_tables);
    assert_int_equal(again->dockers_count, 1);
    assert_int_equal(again->dockers[0].family, ADDR_V6);
    assert_true(again->networks[0].uses_forwarding);
    assert_int_equal(again->publishes_count, 4);
    assert_int_equal(again->elements_count, record->elements_count);
    record_free(record);
    record_free(again);
}

/* A file that was cut anywhere is refused. */
static void test_every_prefix_is_refused(void **unused)
{
    cleanup_buf struct buf text = {0};
    struct record *record = make_record();

    (void)unused;
    record_print(record, &text);
    for (size_t length = 0; length < text.length; length++) {
        struct record *again = NULL;
        struct error error = {0};

        assert_int_equal(record_parse(buf_text(&text), length, &again, &error), -EINVAL);
        assert_null(again);
        assert_int_not_equal(error.text[0], 0);
    }
    record_free(record);
}

static int parse_with(const char *line)
{
    cleanup_buf struct buf text = {0};
    struct record *record = NULL;
    struct error error = {0};
    int code;

    buf_printf(&text, "netjail-record 1\nname x\n%s\nend\n", line);
    code = record_parse(buf_text(&text), text.length, &record, &error);
    record_free(record);
    return code;
}

static void test_hostile_lines(void **unused)
{
    static const char *const bad[] = {
        "sysctl net/ipv4/ip_forward 0 1",
        "docker ipx app",
        "docker ip a/b",
        "sysctl net/ipv4/conf/../forwarding 0 1",
        "sysctl net/ipv4/conf/a/b/forwarding 0 1",
        "sysctl ../../etc/passwd 0 1",
        "sysctl kernel/core_pattern 0 1",
        "sysctl net/ipv4/conf/eth0/forwarding x 1",
        "sysctl net/ipv4/conf/eth0/forwarding 0%0a1 1",
        "link eth0 uplink",
        "link a/b port",
        "link .. port",
        "link 0123456789abcdef port",
        "network app own forwarding w",
        "element inet nosuchset own - 00",
        "element bridge nets own - 61707000000000000000000000000000",
        "element inet nets own - 6170",
        "element inet nets own - 6170700000000000000000000000000g",
        "pid -1",
        "pid 99999999999",
        "name ../x",
        "name %00x",
        "name %2",
        "publish tcp any 0.0.0.0 65536 1",
        "publish icmp any 0.0.0.0 1 1",
        "state dying",
        "nonsense",
        "uid  1",
        "uid 1 ",
        "end",
        "",
    };

    (void)unused;
    assert_int_equal(parse_with("sysctl net/ipv4/conf/eth0.1/forwarding 0 1"), 0);
    assert_int_equal(parse_with("element inet nets own - 61707000000000000000000000000000"), 0);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        if (parse_with(bad[i]) != -EINVAL)
            fail_msg("accepted: %s", bad[i]);
}

static void test_inherit_sysctls(void **unused)
{
    struct facts *facts = fixture_facts();
    struct policy *policy = fixture_policy(POLICY);
    struct plan *plan = fixture_plan(policy, facts, policy_diags(policy));
    struct record *other = make_record();
    struct record *record = record_new();

    (void)unused;
    record_inherit_sysctls(record, plan, &other, 1);
    record_inherit_sysctls(record, plan, &other, 1);
    assert_int_equal(record->sysctls_count, 1);
    assert_string_equal(record->sysctls[0].was, "0");
    record_free(record);
    record_free(other);
    plan_free(plan);
    policy_free(policy);
    facts_free(facts);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_every_prefix_is_refused),
        cmocka_unit_test(test_hostile_lines),
        cmocka_unit_test(test_inherit_sysctls),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
