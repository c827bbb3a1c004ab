/* Which addresses the name of a stranger may have. */
#include "service/resolver_guard.h"

#include "base/cleanup.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static struct addr addr_of(const char *text)
{
    struct addr addr = {0};

    assert_int_equal(addr_parse(text, strlen(text), &addr), 0);
    return addr;
}

static void check(const char *const *texts, size_t count, bool is_never, bool is_private)
{
    for (size_t i = 0; i < count; i++) {
        const struct addr addr = addr_of(texts[i]);

        if (guard_is_never(&addr) != is_never ||
            (!is_never && guard_is_private(&addr) != is_private))
            fail_msg("%s: never %d, private %d", texts[i], guard_is_never(&addr),
                     guard_is_private(&addr));
    }
}

static void test_public(void **state)
{
    static const char *const texts[] = {
        "1.1.1.1",         "9.255.255.255",   "11.0.0.0",    "100.63.255.255",   "100.128.0.0",
        "126.0.0.1",       "128.0.0.1",       "169.253.0.1", "169.255.0.1",      "172.15.255.255",
        "172.32.0.0",      "192.167.255.255", "192.169.0.0", "198.17.255.255",   "198.20.0.0",
        "223.255.255.255", "2600::1",         "2a00::1",     "64:ff9b::808:808", "2001:4860::8888",
    };

    (void)state;
    check(texts, ARRAY_LENGTH(texts), false, false);
}

static void test_somebodys_own(void **state)
{
    static const char *const texts[] = {
        "10.0.0.0",
        "10.255.255.255",
        "172.16.0.0",
        "172.31.255.255",
        "192.168.0.1",
        "127.0.0.1",
        "127.255.255.255",
        "169.254.169.254",
        "169.254.0.1",
        "100.64.0.1",
        "192.0.0.192",
        "198.18.0.1",
        "2001:2::1",
        "5f00::1",
        "100::1",
        "198.19.255.255",
        "::1",
        "fe80::1",
        "febf::1",
        "fc00::1",
        "fdff::1",
        "fec0::1",
        "fd00:ec2::254",
        "64:ff9b::7f00:1",
        "64:ff9b::a00:1",
        "64:ff9b::a9fe:a9fe",
    };

    (void)state;
    check(texts, ARRAY_LENGTH(texts), false, true);
}

static void test_nobodys(void **state)
{
    static const char *const texts[] = {
        "0.0.0.0",          "0.255.255.255",   "224.0.0.1",    "239.255.255.255",
        "240.0.0.1",        "255.255.255.255", "::",           "::2",
        "::a00:1",          "ff02::1",         "2002:a00:1::", "2001::1",
        "64:ff9b:1::a00:1", "64:ff9b::e000:1", "64:ff9b::",    "::ffff:0:a00:1",
    };

    (void)state;
    check(texts, ARRAY_LENGTH(texts), true, false);
}

static void test_mapped(void **state)
{
    struct addr mapped = {ADDR_V6, {[10] = 0xff, 0xff, 8, 8, 8, 8}};

    (void)state;
    assert_true(guard_is_never(&mapped));
    mapped.bytes[12] = 127;
    assert_true(guard_is_never(&mapped));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_public),
        cmocka_unit_test(test_somebodys_own),
        cmocka_unit_test(test_nobodys),
        cmocka_unit_test(test_mapped),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
