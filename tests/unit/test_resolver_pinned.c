/* Which addresses names have: times, limits, and what is asked of the table. */
#include "service/resolver_pinned.h"

#include "base/cleanup.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static const struct addr four = {ADDR_V4, {198, 51, 100, 7}};
static const struct addr six = {ADDR_V6, {0x20, 1, [15] = 7}};

static struct dns_name name_of(const char *text)
{
    struct dns_name name;

    assert_true(dns_name_from_text(text, &name));
    return name;
}

static bool note(struct pinned *pinned, const char *text, const struct addr *addr, uint32_t seconds,
                 uint64_t now_ms)
{
    const struct dns_name name = name_of(text);

    return pinned_note(pinned, &name, addr, seconds, now_ms);
}

static bool has(const struct pinned *pinned, enum set_kind kind, const char *text,
                const struct addr *addr, uint64_t now_ms)
{
    char copy[64];
    struct set_item item = {.kind = kind};

    (void)strlcpy(copy, text, sizeof copy);
    item.name = copy;
    return pinned_item_has(pinned, &item, addr, now_ms);
}

static struct addr number(unsigned i)
{
    return (struct addr){ADDR_V4, {10, (uint8_t)(i >> 16), (uint8_t)(i >> 8), (uint8_t)i}};
}

static void test_items_have_the_addresses_of_their_names(void **state)
{
    struct pinned *pinned = pinned_new();

    (void)state;
    assert_true(note(pinned, "www.example.org", &four, 30, 0));
    assert_true(has(pinned, SET_NAME, "www.example.org", &four, 1));
    assert_true(has(pinned, SET_SUFFIX, "example.org", &four, 1));
    assert_false(has(pinned, SET_SUFFIX, "www.example.org", &four, 1)); /* not the bare name */
    assert_false(has(pinned, SET_NAME, "example.org", &four, 1));
    assert_false(has(pinned, SET_NAME, "www.example.org", &six, 1));
    pinned_free(pinned);
}

/* Two names have one address: each rule's item sees its own. */
static void test_one_address_of_two_names(void **state)
{
    struct pinned *pinned = pinned_new();

    (void)state;
    assert_true(note(pinned, "a.example.org", &four, 30, 0));
    assert_false(has(pinned, SET_NAME, "b.example.org", &four, 1));
    assert_true(note(pinned, "b.example.org", &four, 600, 0));
    assert_true(has(pinned, SET_NAME, "a.example.org", &four, 1));
    assert_true(has(pinned, SET_NAME, "b.example.org", &four, 1));
    /* The first one's time is over, the second one's is not. */
    assert_false(has(pinned, SET_NAME, "a.example.org", &four, 60000));
    assert_true(has(pinned, SET_NAME, "b.example.org", &four, 60000));
    pinned_free(pinned);
}

static void test_entries_outlive_the_kernels_a_little(void **state)
{
    struct pinned *pinned = pinned_new();
    uint64_t end_ms = 1000 + 30000 + PINNED_GRACE_MS;

    (void)state;
    assert_true(note(pinned, "www.example.org", &four, 30, 1000));
    assert_true(has(pinned, SET_NAME, "www.example.org", &four, end_ms - 1));
    assert_false(has(pinned, SET_NAME, "www.example.org", &four, end_ms));
    pinned_free(pinned);
}

/* Seen again: the longer time holds, a shorter one takes nothing away. */
static void test_noted_again(void **state)
{
    struct pinned *pinned = pinned_new();

    (void)state;
    assert_true(note(pinned, "www.example.org", &four, 600, 0));
    assert_true(note(pinned, "www.example.org", &four, 30, 1000));
    assert_true(has(pinned, SET_NAME, "www.example.org", &four, 599000));
    assert_true(note(pinned, "www.example.org", &four, 600, 599000));
    assert_true(has(pinned, SET_NAME, "www.example.org", &four, 1100000));
    pinned_free(pinned);
}

static void test_names_of_addresses(void **state)
{
    struct pinned *pinned = pinned_new();
    struct dns_name name;
    char text[DNS_NAME_MAX];

    (void)state;
    assert_false(pinned_name_of(pinned, &four, 0, &name));
    assert_true(note(pinned, "www.example.org", &four, 30, 0));
    assert_true(pinned_name_of(pinned, &four, 1, &name));
    assert_true(dns_name_text(&name, text));
    assert_string_equal(text, "www.example.org");
    /* Behind the kernel's time a hint with the name would be of no use: the rule is there. */
    assert_true(pinned_name_of(pinned, &four, 29999, &name));
    assert_false(pinned_name_of(pinned, &four, 30000, &name));
    assert_true(has(pinned, SET_NAME, "www.example.org", &four, 30000));
    pinned_free(pinned);
}

/* A name may have so many addresses and no more; when their time is over there is room again. */
static void test_addresses_of_a_name_are_bounded(void **state)
{
    struct pinned *pinned = pinned_new();
    struct addr some[8];
    const struct dns_name name = name_of("many.example.org");

    (void)state;
    for (unsigned i = 0; i < PINNED_PER_NAME; i++) {
        const struct addr addr = number(i);

        assert_true(note(pinned, "many.example.org", &addr, 30, 0));
    }
    assert_false(note(pinned, "many.example.org", &four, 30, 0));
    assert_false(note(pinned, "many.example.org", &six, 30, 0));
    assert_true(
        note(pinned, "many.example.org", &(struct addr){ADDR_V4, {10}}, 30, 0)); /* has it */
    assert_true(note(pinned, "other.example.org", &four, 30, 0));
    assert_int_equal(pinned_some_of(pinned, &name, ADDR_V4, 1, some, 8), 8);
    assert_int_equal(pinned_some_of(pinned, &name, ADDR_V6, 1, some, 8), 0);
    assert_true(note(pinned, "many.example.org", &six, 30, 100000));
    assert_int_equal(pinned_some_of(pinned, &name, ADDR_V6, 100000, some, 8), 1);
    assert_true(addr_equal(&some[0], &six));
    assert_int_equal(pinned_some_of(pinned, &name, ADDR_V4, 100000, some, 8), 0);
    pinned_free(pinned);
}

static void test_all_together_are_bounded(void **state)
{
    struct pinned *pinned = pinned_new();

    (void)state;
    for (unsigned i = 0; i < PINNED_MAX; i++) {
        const struct addr addr = number(i);
        char text[32];

        (void)snprintf(text, sizeof text, "n%u.example.org", i / PINNED_PER_NAME);
        assert_true(note(pinned, text, &addr, 30, 0));
    }
    assert_false(note(pinned, "one.more.example.org", &four, 30, 0));
    assert_false(has(pinned, SET_NAME, "one.more.example.org", &four, 1));
    /* Those whose time is over are swept out, whatever their names are. */
    assert_true(note(pinned, "one.more.example.org", &four, 30, 100000));
    pinned_free(pinned);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_items_have_the_addresses_of_their_names),
        cmocka_unit_test(test_one_address_of_two_names),
        cmocka_unit_test(test_entries_outlive_the_kernels_a_little),
        cmocka_unit_test(test_noted_again),
        cmocka_unit_test(test_names_of_addresses),
        cmocka_unit_test(test_addresses_of_a_name_are_bounded),
        cmocka_unit_test(test_all_together_are_bounded),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
