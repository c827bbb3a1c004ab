/* Addresses, prefixes and ranges: what is taken, what is refused, what is computed. */
#include "base/addr.h"
#include "base/cleanup.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static struct addr addr_of(const char *text)
{
    struct addr addr;

    assert_int_equal(addr_parse(text, strlen(text), &addr), 0);
    return addr;
}

static struct prefix prefix_of(const char *text)
{
    struct prefix prefix;

    assert_int_equal(prefix_parse(text, strlen(text), &prefix), 0);
    return prefix;
}

static void assert_addr_text(const struct addr *addr, const char *wanted)
{
    char text[ADDR_TEXT_SIZE];

    assert_string_equal(addr_print(addr, text), wanted);
}

static void addresses_are_read_and_printed(void **state)
{
    static const char *const texts[][2] = {
        {"0.0.0.0", "0.0.0.0"},
        {"255.255.255.255", "255.255.255.255"},
        {"2001:DB8:0:0:0:0:0:1", "2001:db8::1"},
        {"::", "::"},
        {"2001:db8:0:1:1:1:1:1", "2001:db8:0:1:1:1:1:1"},
        {"2001:0:0:1:0:0:0:1", "2001:0:0:1::1"},
        {"ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"},
    };

    (void)state; /* no fixture */
    for (size_t i = 0; i < ARRAY_LENGTH(texts); i++) {
        struct addr addr = addr_of(texts[i][0]);

        assert_addr_text(&addr, texts[i][1]);
    }
}

static void bad_addresses_are_refused(void **state)
{
    static const char *const texts[] = {
        "",
        "1",
        "1.2.3",
        "1.2.3.4.5",
        "256.1.1.1",
        "01.2.3.4",
        "1.2.3.04",
        "1.2.3.4 ",
        " 1.2.3.4",
        "1.2.3.-4",
        "0x1.2.3.4",
        "1..2.3",
        ":",
        ":::",
        "1::2::3",
        "2001:db8::1%lo",
        "12345::",
        "::g",
        "[::1]",
        "1.2.3.4/8",
        "::1/128",
        "::ffff:10.0.0.1",
        "::ffff:0:0",
        "1:2:3:4:5:6:7",
        "1:2:3:4:5:6:7:8:9",
    };
    struct addr addr = {.family = 99};

    (void)state; /* no fixture */
    for (size_t i = 0; i < ARRAY_LENGTH(texts); i++) {
        if (addr_parse(texts[i], strlen(texts[i]), &addr) != -EINVAL)
            fail_msg("'%s' was taken", texts[i]);
        assert_int_equal(addr.family, 99);
    }
    assert_int_equal(addr_parse("1.2.3.4\0", 8, &addr), -EINVAL);
}

static void prefixes_are_exact(void **state)
{
    static const char *const bad[] = {"10.0.0.0",     "10.0.0.0/",    "10.0.0.0/33", "10.0.0.0/08",
                                      "10.0.0.0/+8",  "10.0.0.0/8 ",  "/8",          "::/129",
                                      "10.0.0.0/8/8", "10.0.0.0/1000"};
    struct prefix prefix = prefix_of("10.1.2.3/8"), network;
    struct addr_range range = prefix_range(&prefix);
    char text[PREFIX_TEXT_SIZE];

    (void)state; /* no fixture */
    assert_true(prefix_has_host_bits(&prefix));
    network = prefix_network(&prefix);
    assert_string_equal(prefix_print(&network, text), "10.0.0.0/8");
    assert_false(prefix_has_host_bits(&network));
    assert_addr_text(&range.first, "10.0.0.0");
    assert_addr_text(&range.last, "10.255.255.255");
    for (size_t i = 0; i < ARRAY_LENGTH(bad); i++) {
        if (prefix_parse(bad[i], strlen(bad[i]), &prefix) != -EINVAL)
            fail_msg("'%s' was taken", bad[i]);
    }
}

/* For every length of both families: the range has the right ends, and leads back. */
static void every_prefix_length_leads_back(void **state)
{
    static const char *const texts[] = {"202.254.186.190",
                                        "cafe:babe:dead:beef:1234:5678:9abc:def1"};

    (void)state; /* no fixture */
    for (size_t i = 0; i < 2; i++) {
        struct addr addr = addr_of(texts[i]);

        for (unsigned length = 0; length <= addr_bits(addr.family); length++) {
            struct prefix prefix = {addr, (uint8_t)length}, back;
            struct prefix network = prefix_network(&prefix);
            struct addr_range range = prefix_range(&prefix);
            struct addr outside;

            assert_true(range_prefix(&range, &back));
            assert_int_equal(back.length, length);
            assert_true(addr_equal(&back.addr, &network.addr));
            assert_true(prefix_contains(&prefix, &range.first));
            assert_true(prefix_contains(&prefix, &range.last));
            assert_int_equal(addr_next(&range.last, &outside) && prefix_contains(&prefix, &outside),
                             0);
            assert_int_equal(
                addr_previous(&range.first, &outside) && prefix_contains(&prefix, &outside), 0);
        }
    }
}

static void ranges_are_ordered_and_of_one_family(void **state)
{
    struct addr_range range;
    struct prefix prefix;

    (void)state; /* no fixture */
    assert_int_equal(range_parse("10.0.0.1-10.0.0.9", 17, &range), 0);
    assert_false(range_prefix(&range, &prefix));
    assert_int_equal(range_parse("10.0.0.9-10.0.0.1", 17, &range), -EINVAL);
    assert_int_equal(range_parse("10.0.0.9-::1", 12, &range), -EINVAL);
    assert_int_equal(range_parse("10.0.0.9", 8, &range), -EINVAL);
    assert_int_equal(range_parse("10.0.0.1-10.0.0.1-", 18, &range), -EINVAL);
}

static void steps_stop_at_the_ends(void **state)
{
    struct addr addr = addr_of("10.0.255.255"), last = addr_of("255.255.255.255");
    struct addr first = addr_of("::"), moved = {0};

    (void)state; /* no fixture */
    assert_true(addr_next(&addr, &moved));
    assert_addr_text(&moved, "10.1.0.0");
    assert_true(addr_previous(&moved, &moved));
    assert_addr_text(&moved, "10.0.255.255");
    assert_false(addr_next(&last, &moved));
    assert_false(addr_previous(&first, &moved));
    assert_addr_text(&moved, "10.0.255.255");
    assert_true(addr_add(&first, UINT64_MAX, &moved));
    assert_addr_text(&moved, "::ffff:ffff:ffff:ffff");
    assert_true(addr_next(&moved, &moved));
    assert_addr_text(&moved, "0:0:0:1::");
    assert_false(addr_add(&addr, UINT64_C(1) << 32, &moved));
}

static void ranges_overlap_only_within_a_family(void **state)
{
    struct prefix wide = prefix_of("10.0.0.0/8"), narrow = prefix_of("10.1.0.0/16");
    struct prefix other = prefix_of("11.0.0.0/8"), all_v6 = prefix_of("::/0");
    struct addr_range a = prefix_range(&wide), b = prefix_range(&narrow);
    struct addr_range c = prefix_range(&other), d = prefix_range(&all_v6);

    (void)state; /* no fixture */
    assert_true(range_overlaps(&a, &b));
    assert_true(range_overlaps(&b, &a));
    assert_true(range_covers(&a, &b));
    assert_false(range_covers(&b, &a));
    assert_false(range_overlaps(&a, &c));
    assert_false(range_overlaps(&a, &d));
    assert_false(range_contains(&d, &a.first));
    assert_true(addr_compare(&a.first, &d.first) < 0);
}

static void mac_addresses(void **state)
{
    static const char *const bad[] = {"",
                                      "02:00:00:00:00",
                                      "02:00:00:00:00:0",
                                      "02-00-00-00-00-01",
                                      "02:00:00:00:00:0g",
                                      "02:00:00:00:00:011"};
    struct mac mac;
    char text[MAC_TEXT_SIZE];

    (void)state; /* no fixture */
    assert_int_equal(mac_parse("02:AB:cd:00:ff:01", 17, &mac), 0);
    assert_string_equal(mac_print(&mac, text), "02:ab:cd:00:ff:01");
    for (size_t i = 0; i < ARRAY_LENGTH(bad); i++)
        assert_int_equal(mac_parse(bad[i], strlen(bad[i]), &mac), -EINVAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(addresses_are_read_and_printed),
        cmocka_unit_test(bad_addresses_are_refused),
        cmocka_unit_test(prefixes_are_exact),
        cmocka_unit_test(every_prefix_length_leads_back),
        cmocka_unit_test(ranges_are_ordered_and_of_one_family),
        cmocka_unit_test(steps_stop_at_the_ends),
        cmocka_unit_test(ranges_overlap_only_within_a_family),
        cmocka_unit_test(mac_addresses),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
