/* The texts of a policy, written down and parsed again. */
#include "policy/transcript.h"

#include "base/cleanup.h"
#include "policy/decide.h"

#include <errno.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static const char main_text[] = "param port \"where to\"\n"
                                "include lists.conf\n"
                                "define big file \"big.txt\"\n"
                                "link relay\n"
                                "allow out tcp to $small port $port\n"
                                "deny out udp to $big\n";

/* The files of the test; counts how often it is asked. */
static int read_file(void *context, const char *from, const char *name, const char **ret_path,
                     const char **ret_text, size_t *ret_length, struct error *error)
{
    static const char *const files[][3] = {
        {"lists.conf", "/etc/lists.conf", "define small { 192.0.2.1, 2001:db8::1 }\n"},
        {"big.txt", "/etc/big.txt", "198.51.100.0/24\n203.0.113.0/24\n"},
    };

    assert_string_equal(from, "/etc/main.conf");
    ++*(int *)context;
    for (size_t i = 0; i < ARRAY_LENGTH(files); i++) {
        if (strcmp(files[i][0], name) == 0) {
            *ret_path = files[i][1];
            *ret_text = files[i][2];
            *ret_length = strlen(files[i][2]);
            return 0;
        }
    }
    return error_set(error, -ENOENT, "no such file");
}

static struct policy *parse_original(struct buf *bytes)
{
    struct policy *policy = policy_new();
    struct diags *diags = policy_diags(policy);
    struct transcript transcript;
    int reads = 0;

    transcript_begin(&transcript, policy, diags,
                     (struct policy_reader){.read = read_file, .context = &reads});
    assert_int_equal(transcript_value(&transcript, "no value"), -EINVAL);
    assert_int_equal(transcript_value(&transcript, "port=443"), 0);
    transcript_parse(&transcript, "main.conf", "/etc/main.conf", main_text, strlen(main_text),
                     false);
    transcript_parse(&transcript, "option --allow", NULL, "allow out icmp", 14, true);
    assert_int_equal(policy_check(policy, diags), 0);
    assert_int_equal(reads, 2);
    assert_true(policy_asks_service(policy));
    transcript_write(&transcript, bytes);
    return policy;
}

static int replay(const void *bytes, size_t length, struct policy **ret_policy)
{
    struct policy *policy = policy_new();
    struct error error = {0};
    int code = transcript_replay(bytes, length, policy, policy_diags(policy), &error);

    if (code < 0)
        assert_true(error.text[0] != '\0');
    if (ret_policy)
        *ret_policy = policy;
    else
        policy_free(policy);
    return code;
}

static void test_same_policy(void **state)
{
    cleanup_buf struct buf bytes = {0};
    struct policy *first = parse_original(&bytes);
    struct policy *second;
    struct packet packet = {.direction = DIRECTION_OUT,
                            .protocol = IPPROTO_TCP,
                            .source = {ADDR_V4, {10, 0, 0, 1}},
                            .destination = {ADDR_V4, {192, 0, 2, 1}},
                            .port = 443};

    (void)state;
    assert_int_equal(replay(bytes.data, bytes.length, &second), 0);
    assert_int_equal(second->rules_count, first->rules_count);
    assert_int_equal(second->sources.list_count, first->sources.list_count);
    for (size_t i = 0; i < first->rules_count; i++)
        assert_memory_equal(&first->rules[i].where, &second->rules[i].where,
                            sizeof first->rules[i].where);
    for (unsigned i = 0; i < 512; i++) {
        struct decision a, b;

        packet.port = (uint16_t)(i % 2 ? 443 : 80);
        packet.protocol = i % 4 < 2 ? IPPROTO_TCP : IPPROTO_UDP;
        packet.destination.bytes[0] = i % 8 < 4 ? 192 : 198;
        packet.destination.bytes[1] = i % 8 < 4 ? 0 : 51;
        packet.destination.bytes[2] = i % 8 < 4 ? 2 : 100;
        a = policy_decide(first, &packet, NULL);
        b = policy_decide(second, &packet, NULL);
        assert_int_equal(a.verdict, b.verdict);
        assert_int_equal(a.rule, b.rule);
    }
    policy_free(first);
    policy_free(second);
}

/* Every cut, and every byte changed: an error or a policy, never a fault. */
static void test_broken(void **state)
{
    cleanup_buf struct buf bytes = {0};
    struct policy *first = parse_original(&bytes);

    (void)state;
    for (size_t length = 1; length < bytes.length; length++)
        assert_int_equal(replay(bytes.data, length, NULL), -EINVAL);
    for (size_t i = 0; i < bytes.length; i++) {
        bytes.data[i] ^= 1;
        (void)replay(bytes.data, bytes.length, NULL);
        bytes.data[i] ^= 1;
    }
    policy_free(first);
}

static void test_who_asks(void **state)
{
    static const struct {
        const char *text;
        bool asks;
    } cases[] = {
        {"", false},
        {"allow out tcp to 192.0.2.1 port 80", false},
        {"allow out tcp to example.com port 80; link relay", true},
        {"link relay", true},
        {"expose 80", true},
        {"dns { any }", true},
        {"define n { a.example }; network b { address 10.0.0.1/24 }; link eth0 bridge b; "
         "allow out tcp to $n port 80",
         true},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        struct policy *policy = policy_new();
        struct diags *diags = policy_diags(policy);

        assert_int_equal(policy_parse(policy, diags, "test", NULL, cases[i].text,
                                      strlen(cases[i].text), true, NULL, NULL, 0),
                         0);
        assert_int_equal(policy_check(policy, diags), 0);
        assert_int_equal(policy_asks_service(policy), cases[i].asks);
        policy_free(policy);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_same_policy),
        cmocka_unit_test(test_broken),
        cmocka_unit_test(test_who_asks),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
