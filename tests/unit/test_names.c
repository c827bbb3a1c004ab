/* Names in policies: which rule decides about a name, and into which sets its addresses go. */
#include "policy/names.h"

#include "base/buf.h"
#include "base/cleanup.h"
#include "plan/name_files.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

struct fixture {
    struct policy *policy;
    struct names *names;
};

static struct fixture parse(const char *text)
{
    struct fixture fixture = {.policy = policy_new()};
    struct diags *diags = policy_diags(fixture.policy);

    assert_int_equal(policy_parse(fixture.policy, diags, "test.conf", NULL, text, strlen(text),
                                  false, NULL, NULL, 0),
                     0);
    (void)policy_check(fixture.policy, diags); /* some have errors that are no matter here */
    fixture.names = names_new(fixture.policy, fixture.policy->arena);
    return fixture;
}

static struct name_judgement judge(const struct fixture *fixture, const char *name)
{
    struct name_judgement judgement;

    names_judge(fixture->names, name, strlen(name), &judgement);
    return judgement;
}

static void assert_judged(const struct fixture *fixture, const char *name, bool admitted,
                          bool mentioned, size_t rule, size_t sets)
{
    struct name_judgement judgement = judge(fixture, name);

    assert_int_equal(judgement.admitted, admitted);
    assert_int_equal(judgement.mentioned, mentioned);
    if (mentioned)
        assert_int_equal(judgement.rule, rule);
    assert_int_equal(judgement.sets_count, sets);
}

static void test_names_and_suffixes(void **state)
{
    struct fixture fixture = parse("link eth0 veth host\n"
                                   "allow out tcp to pypi.org port 443\n"
                                   "allow out tcp to *.example.com port 80\n"
                                   "allow out udp to { a.example.com, 10.0.0.1 } port 53\n");

    (void)state;
    assert_judged(&fixture, "pypi.org", true, true, 0, 1);
    assert_judged(&fixture, "www.pypi.org", false, false, 0, 0);
    assert_judged(&fixture, "xpypi.org", false, false, 0, 0);
    assert_judged(&fixture, "org", false, false, 0, 0);
    assert_judged(&fixture, "", false, false, 0, 0);
    assert_judged(&fixture, "example.com", false, false, 0, 0);
    assert_judged(&fixture, "b.example.com", true, true, 1, 1);
    assert_judged(&fixture, "x.y.example.com", true, true, 1, 1);
    assert_judged(&fixture, "a.example.com", true, true, 1, 2);
    assert_judged(&fixture, "aexample.com", false, false, 0, 0);
    assert_int_equal(fixture.policy->name_sets_count, 3);
    assert_true(fixture.policy->needs_resolver);
    policy_free(fixture.policy);
}

static void test_first_mention_decides(void **state)
{
    struct fixture fixture = parse("link eth0 veth host\n"
                                   "deny out to bad.example.com\n"
                                   "allow out tcp to *.example.com port 443\n"
                                   "drop out to late.example.com\n");

    (void)state;
    assert_judged(&fixture, "bad.example.com", false, true, 0, 0);
    assert_judged(&fixture, "late.example.com", true, true, 1, 1);
    assert_judged(&fixture, "good.example.com", true, true, 1, 1);
    policy_free(fixture.policy);
}

static void test_any(void **state)
{
    struct fixture fixture = parse("link eth0 veth host\n"
                                   "deny out to ads.example.com\n"
                                   "allow out tcp to www.example.com port 1-1024\n"
                                   "allow out tcp,udp to any port 443\n");

    (void)state;
    assert_judged(&fixture, "ads.example.com", false, true, 0, 0);
    assert_judged(&fixture, "www.example.com", true, true, 1, 1);
    assert_judged(&fixture, "whatever.test", true, false, 0, 0);
    policy_free(fixture.policy);

    fixture = parse("link eth0 veth host\nallow out icmp to any\n");
    assert_judged(&fixture, "whatever.test", false, false, 0, 0);
    assert_false(fixture.policy->needs_resolver);
    policy_free(fixture.policy);

    fixture = parse("link eth0 veth host\ndns { any }\nallow out tcp to 10.0.0.0/8 port 80\n");
    assert_judged(&fixture, "whatever.test", true, false, 0, 0);
    policy_free(fixture.policy);

    fixture = parse("allow in tcp from any port 80\n");
    assert_judged(&fixture, "whatever.test", false, false, 0, 0);
    policy_free(fixture.policy);
}

/* Neighbours that say the same but for the name share a set; others do not. */
static void test_shared_sets(void **state)
{
    struct fixture fixture = parse("link eth0 veth host\n"
                                   "allow out tcp to a.test port 443\n"
                                   "allow out tcp to b.test port 443\n"
                                   "allow out tcp to c.test port 80\n"
                                   "allow out tcp to { d.test, 10.0.0.1 } port 80\n"
                                   "allow out tcp to e.test port 443 log\n"
                                   "allow out tcp to f.test port 443\n"
                                   "deny out tcp to 10.0.0.9\n"
                                   "allow out tcp to g.test port 443\n");
    const struct rule *rules = fixture.policy->rules;
    static const uint32_t numbers[] = {1, 1, 2, 3, 4, 5, 0, 6};

    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(numbers); i++)
        assert_int_equal(rules[i].to_names, numbers[i]);
    assert_int_equal(judge(&fixture, "b.test").sets[0], 1);
    policy_free(fixture.policy);
}

static void test_jails(void **state)
{
    struct fixture fixture = parse("define dbs { jail a, jail b }\n"
                                   "link eth0 veth host\n"
                                   "allow out tcp to $dbs port 1\n"
                                   "allow in tcp from $dbs port 2\n"
                                   "deny in tcp from jail c\n");
    const struct rule *rules = fixture.policy->rules;

    (void)state;
    assert_int_equal(rules[0].to_jails, 1);
    assert_int_equal(rules[1].from_jails, 1);
    assert_int_equal(rules[2].from_jails, 2);
    assert_int_equal(fixture.policy->jail_sets_count, 2);
    policy_free(fixture.policy);
}

static void test_private(void **state)
{
    struct fixture fixture = parse("link eth0 veth host\n"
                                   "dns { private intra.test *.corp.test }\n"
                                   "allow out tcp to { intra.test, *.corp.test, x.test } port 1\n");

    (void)state;
    assert_true(judge(&fixture, "intra.test").may_be_private);
    assert_true(judge(&fixture, "a.b.corp.test").may_be_private);
    assert_false(judge(&fixture, "corp.test").may_be_private);
    assert_false(judge(&fixture, "www.intra.test").may_be_private);
    assert_false(judge(&fixture, "x.test").may_be_private);
    policy_free(fixture.policy);
}

static void test_matches(void **state)
{
    struct set_item name = {.kind = SET_NAME, .name = "a.test"};
    struct set_item suffix = {.kind = SET_SUFFIX, .name = "a.test"};
    struct set_item any = {.kind = SET_ANY};

    (void)state;
    assert_true(name_matches(&name, "a.test", 6));
    assert_false(name_matches(&name, "b.test", 6));
    assert_false(name_matches(&name, "a.testx", 7));
    assert_true(name_matches(&suffix, "b.a.test", 8));
    assert_false(name_matches(&suffix, "a.test", 6));
    assert_false(name_matches(&suffix, "ba.test", 7));
    assert_false(name_matches(&any, "a.test", 6));
}

static void assert_nsswitch(const char *text, const char *expected)
{
    cleanup_buf struct buf out = {0};
    bool changed = name_files_print_nsswitch(text, strlen(text), &out);

    assert_int_equal(changed, expected != NULL);
    if (expected)
        assert_string_equal(buf_text(&out), expected);
}

static void test_nsswitch(void **state)
{
    (void)state;
    assert_nsswitch("", NULL);
    assert_nsswitch("hosts: files dns\n", NULL);
    assert_nsswitch("hosts:\tfiles dns [NOTFOUND=return] myhostname # mdns\n", NULL);
    assert_nsswitch("#hosts: mdns\nhosts: files dns", NULL);
    assert_nsswitch("hostsx: mdns\npasswd: systemd\n", NULL);
    assert_nsswitch("hosts: files resolve dns", "hosts: files dns\n");
    assert_nsswitch("a: b\n hosts :mdns4_minimal[NOTFOUND=return]dns\nc: d\n",
                    "a: b\nhosts: files dns\nc: d\n");
    assert_nsswitch("hosts: files [unclosed mdns\n", NULL); /* the C library skips it, too */
    assert_nsswitch("hosts: files\nhosts: wins\n", "hosts: files\nhosts: files dns\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names_and_suffixes),
        cmocka_unit_test(test_first_mention_decides),
        cmocka_unit_test(test_any),
        cmocka_unit_test(test_shared_sets),
        cmocka_unit_test(test_jails),
        cmocka_unit_test(test_private),
        cmocka_unit_test(test_matches),
        cmocka_unit_test(test_nsswitch),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
