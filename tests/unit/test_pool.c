/* Choice of addresses, names and MAC addresses. */
#include "plan_fixture.h"

#include "plan/pool.h"

#include <errno.h>
#include <stdlib.h>

static struct prefix prefix_of(const char *text)
{
    struct prefix prefix;

    assert_int_equal(prefix_parse(text, strlen(text), &prefix), 0);
    return prefix;
}

/* Takes addresses until none is left, and counts them. */
static size_t exhaust(const char *network, const char *first, const char *last)
{
    struct prefix prefix = prefix_of(network);
    struct addr used[300];
    struct addr low = {0};
    struct addr high = {0};
    size_t count = 0;

    while (count < 300 && pool_choose_address(&prefix, used, count, "jail", &used[count]) == 0) {
        count++;
        qsort(used, count, sizeof *used, (int (*)(const void *, const void *))addr_compare);
        for (size_t i = 1; i < count; i++)
            assert_true(addr_compare(&used[i - 1], &used[i]) < 0);
    }
    assert_int_equal(addr_parse(first, strlen(first), &low), 0);
    assert_int_equal(addr_parse(last, strlen(last), &high), 0);
    assert_true(addr_equal(&used[0], &low));
    assert_true(addr_equal(&used[count - 1], &high));
    return count;
}

static void test_every_address_and_no_other(void **unused)
{
    (void)unused;
    assert_int_equal(exhaust("10.1.2.1/24", "10.1.2.1", "10.1.2.254"), 254);
    assert_int_equal(exhaust("10.1.2.4/30", "10.1.2.5", "10.1.2.6"), 2);
    assert_int_equal(exhaust("10.1.2.4/31", "10.1.2.4", "10.1.2.5"), 2);
    assert_int_equal(exhaust("10.1.2.4/32", "10.1.2.4", "10.1.2.4"), 1);
    assert_int_equal(exhaust("fd00::/127", "fd00::", "fd00::1"), 2);
    assert_int_equal(exhaust("fd00::/126", "fd00::1", "fd00::3"), 3);
    assert_int_equal(exhaust("fd00::/120", "fd00::1", "fd00::7f"), 127);
}

static void test_same_name_same_address(void **unused)
{
    struct prefix network = prefix_of("10.1.0.1/16");
    struct prefix network6 = prefix_of("fd00::1/64");
    struct addr a = {0};
    struct addr b = {0};

    (void)unused;
    assert_int_equal(pool_choose_address(&network, NULL, 0, "web", &a), 0);
    assert_int_equal(pool_choose_address(&network, NULL, 0, "web", &b), 0);
    assert_true(addr_equal(&a, &b));
    assert_int_equal(pool_choose_address(&network, NULL, 0, "web2", &b), 0);
    assert_false(addr_equal(&a, &b));
    assert_int_equal(pool_choose_address(&network6, NULL, 0, "web", &a), 0);
    assert_true(prefix_contains(&network6, &a));
}

static void test_failure_leaves_output(void **unused)
{
    struct prefix network = prefix_of("10.1.0.1/32");
    struct addr used = network.addr;
    struct addr result = {ADDR_V4, {9, 9, 9, 9}};

    (void)unused;
    assert_int_equal(pool_choose_address(&network, &used, 1, "web", &result), -ENOSPC);
    assert_int_equal(result.bytes[0], 9);
}

static void test_names_avoid_what_is_taken(void **unused)
{
    struct facts *facts = facts_new();
    uint64_t seed = 7;
    uint64_t again = 7;
    char first[IFNAME_SIZE];
    char second[IFNAME_SIZE];

    (void)unused;
    pool_choose_ifname(facts, &seed, first);
    memcpy(ARENA_PUSH(facts->arena, facts, links)->name, first, sizeof first);
    pool_choose_ifname(facts, &again, second);
    assert_string_not_equal(first, second);
    assert_int_equal(strncmp(second, "nj-", 3), 0);
    facts_free(facts);
}

static int compare_names(const void *a, const void *b)
{
    return strcmp(a, b);
}

/* 10,000 links on one host, their makers' chance always the same: what is taken decides. */
static void test_ten_thousand_names(void **unused)
{
    enum { COUNT = 10000 };
    struct facts *facts = facts_new();
    char(*names)[IFNAME_SIZE] = calloc(COUNT, sizeof *names);

    (void)unused;
    assert_non_null(names);
    for (size_t i = 0; i < COUNT; i++) {
        uint64_t seed = i / 10;

        pool_choose_ifname(facts, &seed, names[i]);
        assert_true(strlen(names[i]) <= IFNAME_MAX);
        memcpy(ARENA_PUSH(facts->arena, facts, links)->name, names[i], IFNAME_SIZE);
    }
    qsort(names, COUNT, sizeof *names, compare_names);
    for (size_t i = 1; i < COUNT; i++)
        assert_string_not_equal(names[i - 1], names[i]);
    free(names);
    facts_free(facts);
}

/* A network of 510 jails, then it is exhausted. `taken` is about all networks. */
static void fill_network(unsigned number, uint8_t taken[65536])
{
    struct addr used[510];
    struct addr addr;
    struct prefix network = {{ADDR_V4, {10, 50, (uint8_t)(number * 2), 1}}, 23};
    char name[32];

    for (size_t count = 0; count < 510; count++) {
        (void)snprintf(name, sizeof name, "jail-%u-%zu eth0", number, count);
        assert_int_equal(pool_choose_address(&network, used, count, name, &addr), 0);
        assert_true(prefix_contains(&network, &addr));
        assert_int_equal(taken[addr.bytes[2] << 8 | addr.bytes[3]]++, 0);
        used[count] = addr;
        qsort(used, count + 1, sizeof *used, (int (*)(const void *, const void *))addr_compare);
    }
    assert_int_equal(pool_choose_address(&network, used, 510, "one more", &addr), -ENOSPC);
}

static void test_addresses_of_65000_jails(void **unused)
{
    uint8_t *taken = calloc(65536, 1);
    size_t count = 0;

    (void)unused;
    assert_non_null(taken);
    for (unsigned number = 0; number < 128; number++)
        fill_network(number, taken);
    for (size_t i = 0; i < 65536; i++)
        count += taken[i];
    assert_int_equal(count, 128 * 510);
    free(taken);
}

static void test_mac(void **unused)
{
    static const struct mac known = {{0x02, 0x00, 0x5e, 0x10, 0x00, 0x01}};
    struct addr addr = mac_link_local(&known);
    char text[ADDR_TEXT_SIZE];
    uint64_t seed = 1;

    (void)unused;
    assert_string_equal(addr_print(&addr, text), "fe80::5eff:fe10:1");
    for (int i = 0; i < 100; i++)
        assert_int_equal(pool_choose_mac(&seed).bytes[0] & 3, 2);
}

static void test_mac_of_a_jail(void **unused)
{
    const struct mac mac = pool_stable_mac(1, "web", "eth0", "br0");
    const struct mac others[] = {
        pool_stable_mac(2, "web", "eth0", "br0"), pool_stable_mac(1, "wea", "eth0", "br0"),
        pool_stable_mac(1, "web", "eth1", "br0"), pool_stable_mac(1, "web", "eth0", "br1"),
        pool_stable_mac(1, "we", "beth0", "br0"),
    };
    const struct mac again = pool_stable_mac(1, "web", "eth0", "br0");

    (void)unused;
    assert_memory_equal(&mac, &again, sizeof mac);
    assert_int_equal(mac.bytes[0] & 3, 2);
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        assert_memory_not_equal(&mac, &others[i], sizeof mac);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_address_and_no_other),
        cmocka_unit_test(test_same_name_same_address),
        cmocka_unit_test(test_failure_leaves_output),
        cmocka_unit_test(test_names_avoid_what_is_taken),
        cmocka_unit_test(test_ten_thousand_names),
        cmocka_unit_test(test_addresses_of_65000_jails),
        cmocka_unit_test(test_mac),
        cmocka_unit_test(test_mac_of_a_jail),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
