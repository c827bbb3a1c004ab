/* The resolver's cache: times, replacement, limits. */
#include "service/resolver_cache.h"

#include "base/cleanup.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static struct dns_answer answer;
static struct dns_answer found;

static struct dns_name name_of(const char *text)
{
    struct dns_name name;

    assert_true(dns_name_from_text(text, &name));
    return name;
}

static void put(struct dns_cache *cache, const char *text, uint64_t now_ms, uint32_t ttl_s,
                uint8_t last_byte)
{
    const struct dns_name name = name_of(text);

    answer = (struct dns_answer){.ttl_s = ttl_s, .chain_count = 1, .addrs_count = 1};
    answer.chain[0] = name;
    answer.addrs[0] = (struct addr){ADDR_V4, {192, 0, 2, last_byte}};
    dns_cache_put(cache, &name, DNS_TYPE_A, now_ms, &answer);
}

static bool find(struct dns_cache *cache, const char *text, uint16_t type, uint64_t now_ms)
{
    const struct dns_name name = name_of(text);

    return dns_cache_find(cache, &name, type, now_ms, &found);
}

static void test_found_with_what_is_left_of_its_time(void **state)
{
    struct dns_cache *cache = dns_cache_new();

    (void)state;
    put(cache, "www.example.org", 1000, 60, 7);
    assert_true(find(cache, "www.example.org", DNS_TYPE_A, 11000));
    assert_int_equal(found.ttl_s, 50);
    assert_int_equal(found.rcode, DNS_NOERROR);
    assert_int_equal(found.addrs_count, 1);
    assert_int_equal(found.addrs[0].bytes[3], 7);
    assert_true(find(cache, "WWW.Example.ORG", DNS_TYPE_A, 60999));
    assert_int_equal(found.ttl_s, 0);
    assert_false(find(cache, "www.example.org", DNS_TYPE_A, 61000));
    assert_false(find(cache, "www.example.org", DNS_TYPE_A, 1000)); /* it has been removed */
    dns_cache_free(cache);
}

static void test_type_and_name_are_both_the_key(void **state)
{
    struct dns_cache *cache = dns_cache_new();

    (void)state;
    put(cache, "a.example.org", 0, 60, 1);
    assert_false(find(cache, "a.example.org", DNS_TYPE_AAAA, 1));
    assert_false(find(cache, "b.example.org", DNS_TYPE_A, 1));
    assert_false(find(cache, "example.org", DNS_TYPE_A, 1));
    dns_cache_free(cache);
}

static void test_newer_answer_replaces_older(void **state)
{
    struct dns_cache *cache = dns_cache_new();

    (void)state;
    put(cache, "a.example.org", 0, 60, 1);
    put(cache, "a.example.org", 5000, 600, 2);
    assert_true(find(cache, "a.example.org", DNS_TYPE_A, 100000));
    assert_int_equal(found.addrs[0].bytes[3], 2);
    put(cache, "a.example.org", 100000, 0, 3); /* not to be kept, and the old one is old */
    assert_false(find(cache, "a.example.org", DNS_TYPE_A, 100000));
    dns_cache_free(cache);
}

static void test_whole_answer_comes_back(void **state)
{
    struct dns_cache *cache = dns_cache_new();
    const struct dns_name name = name_of("alias.example.org");

    (void)state;
    answer = (struct dns_answer){.rcode = DNS_NOERROR,
                                 .ttl_s = 9,
                                 .chain_count = DNS_CHAIN_MAX,
                                 .addrs_count = DNS_ADDRS_MAX,
                                 .is_open = true};
    answer.chain[0] = name;
    for (size_t i = 1; i < DNS_CHAIN_MAX; i++) {
        char text[32];

        (void)snprintf(text, sizeof text, "hop%zu.example.net", i);
        answer.chain[i] = name_of(text);
    }
    for (size_t i = 0; i < DNS_ADDRS_MAX; i++)
        answer.addrs[i] = (struct addr){ADDR_V6, {0x20, 1, [15] = (uint8_t)i}};
    dns_cache_put(cache, &name, DNS_TYPE_AAAA, 0, &answer);
    memset(&found, 0xff, sizeof found);
    assert_true(find(cache, "alias.example.org", DNS_TYPE_AAAA, 0));
    assert_int_equal(found.chain_count, DNS_CHAIN_MAX);
    assert_int_equal(found.addrs_count, DNS_ADDRS_MAX);
    assert_int_equal(found.pointer.length, 0);
    assert_false(found.is_open);
    assert_false(found.is_truncated);
    for (size_t i = 0; i < DNS_CHAIN_MAX; i++)
        assert_true(dns_name_equal(&found.chain[i], &answer.chain[i]));
    assert_memory_equal(found.addrs, answer.addrs, sizeof answer.addrs);
    dns_cache_free(cache);
}

static void test_refusals_are_kept(void **state)
{
    struct dns_cache *cache = dns_cache_new();
    const struct dns_name name = name_of("nosuch.example.org");

    (void)state;
    answer = (struct dns_answer){.rcode = DNS_NXDOMAIN, .ttl_s = 5, .chain_count = 1};
    answer.chain[0] = name;
    dns_cache_put(cache, &name, DNS_TYPE_A, 0, &answer);
    assert_true(find(cache, "nosuch.example.org", DNS_TYPE_A, 4000));
    assert_int_equal(found.rcode, DNS_NXDOMAIN);
    assert_int_equal(found.addrs_count, 0);
    dns_cache_free(cache);
}

/* The least recently used goes first, and one that is used stays. */
static void test_entries_are_bounded(void **state)
{
    struct dns_cache *cache = dns_cache_new();
    char text[32];

    (void)state;
    for (unsigned i = 0; i < DNS_CACHE_ENTRIES; i++) {
        (void)snprintf(text, sizeof text, "n%u.example.org", i);
        put(cache, text, 0, 600, (uint8_t)i);
    }
    assert_true(find(cache, "n0.example.org", DNS_TYPE_A, 1));
    put(cache, "one.more.example.org", 1, 600, 1);
    assert_true(find(cache, "n0.example.org", DNS_TYPE_A, 1));
    assert_false(find(cache, "n1.example.org", DNS_TYPE_A, 1));
    assert_true(find(cache, "n2.example.org", DNS_TYPE_A, 1));
    assert_true(find(cache, "one.more.example.org", DNS_TYPE_A, 1));
    dns_cache_free(cache);
}

static void test_bytes_are_bounded(void **state)
{
    struct dns_cache *cache = dns_cache_new();
    size_t size = DNS_ADDRS_MAX * sizeof(struct addr);
    size_t fit = DNS_CACHE_BYTES / size; /* more than do fit */
    unsigned left = 0;

    (void)state;
    for (unsigned i = 0; i < fit + 10; i++) {
        char text[32];
        struct dns_name name;

        (void)snprintf(text, sizeof text, "n%u.example.org", i);
        name = name_of(text);
        answer = (struct dns_answer){.ttl_s = 60, .chain_count = 1, .addrs_count = DNS_ADDRS_MAX};
        dns_cache_put(cache, &name, DNS_TYPE_A, 0, &answer);
    }
    for (unsigned i = 0; i < fit + 10; i++) {
        char text[32];

        (void)snprintf(text, sizeof text, "n%u.example.org", i);
        left += find(cache, text, DNS_TYPE_A, 1);
    }
    assert_in_range(left, fit / 2, fit);
    assert_true(find(cache, "n1900.example.org", DNS_TYPE_A, 1) || fit < 1900);
    assert_false(find(cache, "n0.example.org", DNS_TYPE_A, 1));
    dns_cache_free(cache);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_found_with_what_is_left_of_its_time),
        cmocka_unit_test(test_type_and_name_are_both_the_key),
        cmocka_unit_test(test_newer_answer_replaces_older),
        cmocka_unit_test(test_whole_answer_comes_back),
        cmocka_unit_test(test_refusals_are_kept),
        cmocka_unit_test(test_entries_are_bounded),
        cmocka_unit_test(test_bytes_are_bounded),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
