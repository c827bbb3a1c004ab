/* What golden tests of texts cannot say: sizes, speed, readers, values, and the structure itself.
 */
#include "base/buf.h"
#include "policy/policy.h"

#include <errno.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

static double seconds_now(void)
{
    struct timespec now;

    assert_int_equal(clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now), 0);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* One text as every file. */
struct one_file {
    const char *text;
    size_t length;
    unsigned reads;
};

static int read_one(void *context, const char *from, const char *name, const char **ret_path,
                    const char **ret_text, size_t *ret_length, struct error *error)
{
    struct one_file *file = context;

    file->reads++;
    if (!file->text)
        return error_set(error, -EACCES, "cannot read '%s' from '%s'", name, from ? from : "-");
    *ret_path = name;
    *ret_text = file->text;
    *ret_length = file->length;
    return 0;
}

static int parse(struct policy *policy, struct diags *diags, const char *text,
                 struct one_file *file)
{
    struct policy_reader reader = {read_one, file};

    return policy_parse(policy, diags, "web.conf", "/etc/netjail/web.conf", text, strlen(text),
                        false, file ? &reader : NULL, NULL, 0);
}

static void assert_message(const struct diags *diags, const char *part)
{
    cleanup_buf struct buf out = {0};

    diags_print(diags, &out);
    if (!strstr(buf_text(&out), part))
        fail_msg("'%s' is not in:\n%s", part, buf_text(&out));
}

static void an_empty_policy_has_the_defaults(void **state)
{
    struct policy *policy = policy_new();
    struct diags *diags = policy_diags(policy);

    (void)state; /* no fixture */
    assert_int_equal(parse(policy, diags, "", NULL), 0);
    assert_int_equal(policy_check(policy, diags), 0);
    assert_int_equal(policy_refuse_unavailable(policy, diags), 0);
    assert_int_equal(policy->defaults[DIRECTION_OUT], VERDICT_DENY);
    assert_int_equal(policy->connection_limit, 10000);
    assert_int_equal(policy->families, FAMILY_ALL);
    assert_int_equal(policy->unix_sockets, UNIX_SOCKETS_MASKED);
    assert_string_equal(policy->file_base, "web");
    assert_string_equal(policy->file_path, "/etc/netjail/web.conf");
    policy_free(policy);
}

static void statements_reach_the_structure(void **state)
{
    struct policy *policy = policy_new();
    struct diags *diags = policy_diags(policy);
    const struct rule *rule;

    (void)state; /* no fixture */
    assert_int_equal(parse(policy, diags,
                           "network web { address 10.0.0.1/24 ; nat }\n"
                           "link eth0 bridge web { mtu 1400 }\n"
                           "allow in tcp from 10.0.0.0/8 port { 90, 80-85, 86 } rate 7/minute\n"
                           "capabilities keep net_bind_service\n",
                           NULL),
                     0);
    assert_int_equal(policy_check(policy, diags), 0);
    assert_int_equal(policy->links[0].network, 0);
    assert_int_equal(policy->links[0].addresses_count, 1);
    assert_true(policy->links[0].addresses[0].automatic);
    rule = &policy->rules[0];
    assert_int_equal(rule->where.line, 3);
    assert_int_equal(rule->where.column, 1);
    assert_int_equal(rule->ports.ranges_count, 2);
    assert_int_equal(rule->ports.ranges[0].first, 80);
    assert_int_equal(rule->ports.ranges[0].last, 86);
    assert_int_equal(rule->rate.unit_s, 60);
    assert_int_equal(rule->rate.burst, 5);
    assert_int_equal(policy->capabilities_kept, 1u << 10);
    policy_free(policy);
}

static void an_error_in_any_text_fails_the_check(void **state)
{
    struct policy *policy = policy_new();
    struct diags *diags = policy_diags(policy);

    (void)state; /* no fixture */
    assert_int_equal(parse(policy, diags, "allow in tcp", NULL), 0);
    assert_int_equal(
        policy_parse(policy, diags, "option -e", NULL, "nonsense", 8, true, NULL, NULL, 0),
        -EINVAL);
    assert_int_equal(
        policy_parse(policy, diags, "option -e", NULL, "allow out", 9, true, NULL, NULL, 0), 0);
    assert_int_equal(policy_check(policy, diags), -EINVAL);
    assert_int_equal(policy->rules_count, 2);
    policy_free(policy);
}

static void readers_fail_with_a_place(void **state)
{
    struct policy *policy = policy_new();
    struct diags *diags = policy_diags(policy);
    struct one_file file = {0};

    (void)state; /* no fixture */
    assert_int_equal(parse(policy, diags, "include a.conf\ndefine L file b.txt", &file), -EINVAL);
    assert_int_equal(file.reads, 2);
    assert_message(diags, "web.conf:1:9: error: cannot read 'a.conf' from '/etc/netjail/web.conf'");
    assert_message(diags, "web.conf:2:15: error: cannot read 'b.txt'");
    assert_int_equal(parse(policy, diags, "include a.conf", NULL), -EINVAL);
    assert_message(diags, "'include' is not possible here");
    policy_free(policy);
}

static void includes_are_bounded(void **state)
{
    struct policy *policy = policy_new();
    struct diags *diags = policy_diags(policy);
    struct one_file file = {.text = "include a\ninclude b\ninclude c\n", .length = 30};

    (void)state; /* no fixture */
    assert_int_equal(parse(policy, diags, "include a", &file), -EINVAL);
    assert_true(file.reads < 1100);
    policy_free(policy);
}

static void a_file_beyond_16_mib_is_refused(void **state)
{
    size_t length = ((size_t)16 << 20) + 1;
    char *text = malloc(length + 1);
    struct policy *policy = policy_new();
    struct diags *diags = policy_diags(policy);

    (void)state; /* no fixture */
    assert_non_null(text);
    memset(text, '\n', length);
    text[length] = '\0';
    assert_int_equal(parse(policy, diags, text, NULL), -EINVAL);
    assert_message(diags, "16 MiB");
    text[length - 1] = '\0';
    assert_int_equal(parse(policy, diags, text, NULL), 0);
    free(text);
    policy_free(policy);
}

static void a_list_of_a_million_is_shared_and_fast(void **state)
{
    cleanup_buf struct buf list = {0};
    struct policy *policy = policy_new();
    struct diags *diags = policy_diags(policy);
    struct one_file file;
    double start;

    (void)state; /* no fixture */
    for (unsigned i = 0; i < 1000000; i++)
        buf_printf(&list, "%u.%u.%u.0/24\n", 1 + i % 200, i / 200 % 256, i / 51200);
    file = (struct one_file){buf_text(&list), list.length, 0};
    start = seconds_now();
    assert_int_equal(parse(policy, diags,
                           "define L file list.txt\nallow in tcp from $L port 80\n"
                           "deny in udp from $L\nallow in tcp from { $L, 10.0.0.1 } port 81\n",
                           &file),
                     0);
    assert_int_equal(policy_check(policy, diags), 0);
    assert_int_equal(policy->rules[0].from.items_count, 1000000);
    assert_ptr_equal(policy->rules[0].from.items, policy->rules[1].from.items);
    assert_int_equal(policy->rules[2].from.items_count, 1000001);
    print_message("%.2f s of CPU\n", seconds_now() - start);
    policy_free(policy);
}

static void lists_of_lists_are_bounded(void **state)
{
    cleanup_buf struct buf text = {0};
    struct policy *policy = policy_new();
    struct diags *diags = policy_diags(policy);

    (void)state; /* no fixture */
    buf_puts(&text, "define L0 { 10.0.0.1 }\n");
    for (unsigned i = 1; i < 40; i++)
        buf_printf(&text, "define L%u { $L%u, $L%u }\n", i, i - 1, i - 1);
    assert_int_equal(parse(policy, diags, buf_text(&text), NULL), -EINVAL);
    assert_message(diags, "addresses in its lists");
    policy_free(policy);
}

static void ten_thousand_rules_are_fast(void **state)
{
    cleanup_buf struct buf text = {0};
    struct policy *policy = policy_new();
    struct diags *diags = policy_diags(policy);
    double start;

    (void)state; /* no fixture */
    for (unsigned i = 0; i < 10000; i++)
        buf_printf(&text, "allow in tcp from 10.%u.%u.0/24 port %u\n", i % 256, i / 256, 1000 + i);
    buf_puts(&text,
             "allow in tcp from 10.0.0.7 port 1000\ndeny in tcp from 10.5.0.0/24 port 1005\n");
    start = seconds_now();
    assert_int_equal(parse(policy, diags, buf_text(&text), NULL), 0);
    assert_int_equal(policy_check(policy, diags), 0);
    print_message("%.2f s of CPU\n", seconds_now() - start);
    assert_int_equal(policy->rules_count, 10002);
    assert_message(diags, "web.conf:10002:1: warning: this rule never matches");
    assert_message(diags, "web.conf:6:1: this one takes all that it would, with another verdict");
    policy_free(policy);
}

static void values_meet_their_names(void **state)
{
    static const struct policy_value values[] = {{"DB", "10.0.0.7", {0}}, {"NO", "1", {0}}};
    static const char text[] = "param DB\nallow in from $DB";
    struct policy *policy = policy_new();
    struct diags *diags = policy_diags(policy);

    (void)state; /* no fixture */
    assert_int_equal(
        policy_parse(policy, diags, "a", NULL, text, sizeof text - 1, true, NULL, values, 2), 0);
    assert_int_equal(policy_parse(policy, diags, "b", NULL, "", 0, true, NULL, values, 2), 0);
    assert_int_equal(policy->rules[0].from.items[0].range.first.bytes[3], 7);
    assert_int_equal(policy_check(policy, diags), -EINVAL);
    assert_int_equal(diags->error_count, 1);
    assert_message(diags, "-D NO: the policy has no such");
    policy_free(policy);
}

static void constant_sets_are_sorted(void **state)
{
    (void)state; /* no fixture */
    for (int kind = SET_ANY; kind <= SET_METADATA; kind++) {
        const struct addr_range *ranges = NULL;
        size_t count = set_builtin_ranges((enum set_kind)kind, &ranges);

        assert_int_equal(count > 0, kind >= SET_LINK_LOCAL);
        for (size_t i = 0; i < count; i++) {
            assert_true(addr_compare(&ranges[i].first, &ranges[i].last) <= 0);
            assert_true(i == 0 || addr_compare(&ranges[i - 1].last, &ranges[i].first) < 0);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_empty_policy_has_the_defaults),
        cmocka_unit_test(statements_reach_the_structure),
        cmocka_unit_test(an_error_in_any_text_fails_the_check),
        cmocka_unit_test(readers_fail_with_a_place),
        cmocka_unit_test(includes_are_bounded),
        cmocka_unit_test(a_file_beyond_16_mib_is_refused),
        cmocka_unit_test(a_list_of_a_million_is_shared_and_fast),
        cmocka_unit_test(lists_of_lists_are_bounded),
        cmocka_unit_test(ten_thousand_rules_are_fast),
        cmocka_unit_test(values_meet_their_names),
        cmocka_unit_test(constant_sets_are_sorted),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
