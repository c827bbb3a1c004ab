/* Records: what is printed is read back; what netjail would not have written is refused. */
#include "plan_fixture.h"

#include "plan/record.h"

#include <errno.h>

#define POLICY                                                                                     \
    "name web\n"                                                                                   \
    "network app { address 10.10.0.1/24; address fd00:10::1/64; nat }\n"                           \
    "link eth0 bridge app\n"                                                                       \
    "publish 8080 to 80\npublish any:8443 to 443\nallow out tcp to host port 53\n"

static void add_device(struct record *record)
{
    struct record_device *device = ARENA_PUSH(record->arena, record, devices);
    *device = (struct record_device){.name = "usb0",
                                     .jail_name = "wan",
                                     .alias = "50% \"off\"",
                                     .group = UINT32_MAX,
                                     .mtu = 1400,
                                     .was_up = true,
                                     .noted_s = UINT64_MAX};
    struct record_device_address *address = ARENA_PUSH(record->arena, record, device_addresses);
    *address = (struct record_device_address){.device = "usb0",
                                              .prefix = {{ADDR_V4, {10, 77, 0, 1}}, 32},
                                              .peer = {ADDR_V4, {10, 77, 0, 2}},
                                              .label = "usb0:x",
                                              .scope = 253,
                                              .protocol = 3,
                                              .flags = 0x200,
                                              .preferred_s = 5,
                                              .valid_s = UINT32_MAX,
                                              .metric = 77};
    struct record_device_route *route = ARENA_PUSH(record->arena, record, device_routes);
    *route = (struct record_device_route){.device = "usb0",
                                          .prefix = {{ADDR_V6, {0xfd}}, 8},
                                          .source = {{ADDR_V6, {0xfc}}, 7},
                                          .table = 1000,
                                          .protocol = 4,
                                          .scope = 0,
                                          .type = 1,
                                          .tos = 8,
                                          .preference = 1,
                                          .flags = 4,
                                          .metric = 60,
                                          .via = {ADDR_V6, {0xfe, 0x80, [15] = 1}},
                                          .prefsrc = {ADDR_V6, {0xfd, [15] = 9}},
                                          .metrics = {[2] = 1300, [17] = UINT32_MAX}};
    struct record_device_setting *setting = ARENA_PUSH(record->arena, record, device_settings);
    *setting = (struct record_device_setting){
        .device = "usb0", .directory = "ipv4/conf", .name = "rp_filter", .value = "-1"};
    record->kept_inode = UINT64_MAX;
}

static void assert_device(const struct record *got, const struct record *want)
{
    assert_int_equal(got->kept_inode, want->kept_inode);
    assert_int_equal(got->devices_count, 1);
    assert_memory_equal(got->devices, want->devices, sizeof *want->devices);
    assert_int_equal(got->device_addresses_count, 1);
    assert_memory_equal(got->device_addresses, want->device_addresses,
                        sizeof *want->device_addresses);
    assert_int_equal(got->device_routes_count, 1);
    assert_memory_equal(got->device_routes, want->device_routes, sizeof *want->device_routes);
    assert_int_equal(got->device_settings_count, 1);
    assert_memory_equal(got->device_settings, want->device_settings, sizeof *want->device_settings);
}

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
    add_device(record);
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
    assert_device(again, record);
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
        "device a/b wan - up 0 1400 1",
        "device usb0 wan - sideways 0 1400 1",
        "device usb0 wan - up 4294967296 1400 1",
        "device-address usb0 10.0.0.1 - - - 0 0 0 0 0 0",
        "device-address usb0 10.0.0.1/24 x - - 0 0 0 0 0 0",
        "device-address usb0 10.0.0.1/24 - - - 256 0 0 0 0 0",
        "device-route usb0 10.0.0.0/24 - - - 254 3 0 1 0 0 0 0 00",
        "device-setting usb0 ipv4/conf rp_filter",
        "device-setting usb0 ipv4/conf - 1",
        "device-setting usb/0 ipv4/conf rp_filter 1",
        "device-setting usb0 ipv4/conf/and/more rp_filter 1",
        "kept x",
        "uid  1",
        "rules",
        "rules all",
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
