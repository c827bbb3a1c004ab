/* Which name server is asked when. */
#include "service/resolver_servers.h"

#include "base/cleanup.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define A                                                                                          \
    {                                                                                              \
        ADDR_V4,                                                                                   \
        {                                                                                          \
            192, 0, 2, 1                                                                           \
        }                                                                                          \
    }
#define B                                                                                          \
    {                                                                                              \
        ADDR_V6,                                                                                   \
        {                                                                                          \
            0x20, 1, 0xd, 0xb8, [15] = 2                                                           \
        }                                                                                          \
    }
#define C                                                                                          \
    {                                                                                              \
        ADDR_V4,                                                                                   \
        {                                                                                          \
            192, 0, 2, 3                                                                           \
        }                                                                                          \
    }

static const struct addr abc[] = {A, B, C};
static const struct addr a = A, b = B, c = C;

/* Goes through all turns; each server that is asked as its letter. */
static const char *turns(const struct dns_servers *servers, uint64_t now_ms)
{
    static char text[2 * DNS_SERVERS_MAX + 1];
    const struct addr *server;
    struct dns_turns turns;
    size_t i = 0;

    turns_begin(&turns, servers, now_ms);
    while ((server = turns_server(&turns)) && i < sizeof text - 1) {
        text[i++] = addr_equal(server, &a)   ? 'a'
                    : addr_equal(server, &b) ? 'b'
                    : addr_equal(server, &c) ? 'c'
                                             : '?';
        turns_next(&turns, servers, now_ms);
    }
    text[i] = '\0';
    return text;
}

static void test_in_order_twice_round(void **state)
{
    struct dns_servers servers = {0};

    (void)state;
    assert_string_equal(turns(&servers, 0), "");
    servers_set(&servers, abc, 1);
    assert_string_equal(turns(&servers, 0), "aa");
    servers_set(&servers, abc, 3);
    assert_string_equal(turns(&servers, 0), "abcabc");
}

static void test_failed_go_last_for_a_while(void **state)
{
    struct dns_servers servers = {0};

    (void)state;
    servers_set(&servers, abc, 3);
    servers_blame(&servers, &a, 1000);
    assert_string_equal(turns(&servers, 1000), "bcabca");
    servers_blame(&servers, &b, 2000);
    assert_string_equal(turns(&servers, 2000), "cabcab");
    assert_string_equal(turns(&servers, 1000 + DNS_SERVERS_FAILED_MS), "acbacb");
    assert_string_equal(turns(&servers, 2000 + DNS_SERVERS_FAILED_MS), "abcabc");
    servers_blame(&servers, &(struct addr){ADDR_V4, {9}}, 0); /* nobody's */
}

/* All have failed: all are asked all the same. */
static void test_all_failed(void **state)
{
    struct dns_servers servers = {0};

    (void)state;
    servers_set(&servers, abc, 2);
    servers_blame(&servers, &a, 0);
    servers_blame(&servers, &b, 0);
    assert_string_equal(turns(&servers, 1), "abab");
}

static void test_order_is_kept_within_a_question(void **state)
{
    struct dns_servers servers = {0};
    struct dns_turns turn;

    (void)state;
    servers_set(&servers, abc, 2);
    turns_begin(&turn, &servers, 0);
    servers_blame(&servers, turns_server(&turn), 0);
    turns_next(&turn, &servers, 0);
    assert_true(addr_equal(turns_server(&turn), &b));
    turns_next(&turn, &servers, 0);
    assert_true(addr_equal(turns_server(&turn), &a));
}

/* Whatever is asked, an answer that can come comes within the 5 s of the C library. */
static void test_first_round_is_short(void **state)
{
    struct dns_servers servers = {0};
    struct dns_turns turn;
    unsigned before_last_ms = 0;

    (void)state;
    servers_set(&servers, abc, 3);
    for (turns_begin(&turn, &servers, 0); turn.attempt < 2; turns_next(&turn, &servers, 0))
        before_last_ms += turns_limit_ms(&turn);
    assert_in_range(before_last_ms, 1, 4000);
    turn.attempt = 3;
    assert_true(turns_limit_ms(&turn) > before_last_ms / 2);
}

static void test_new_list_is_begun_at_once(void **state)
{
    struct dns_servers servers = {0};
    struct dns_turns turn;

    (void)state;
    servers_set(&servers, abc, 2);
    turns_begin(&turn, &servers, 0);
    servers_set(&servers, &c, 1);
    assert_true(addr_equal(turns_server(&turn), &a)); /* under way */
    turns_next(&turn, &servers, 0);
    assert_true(addr_equal(turns_server(&turn), &c));
    turns_next(&turn, &servers, 0);
    turns_next(&turn, &servers, 0);
    assert_null(turns_server(&turn));
}

/* One that changes at each turn ends the question, too. */
static void test_list_that_never_rests(void **state)
{
    struct dns_servers servers = {0};
    struct dns_turns turn;
    unsigned asked = 0;

    (void)state;
    servers_set(&servers, abc, 3);
    for (turns_begin(&turn, &servers, 0); turns_server(&turn) && asked < 1000; asked++) {
        servers_set(&servers, abc, 3);
        turns_next(&turn, &servers, 0);
    }
    assert_in_range(asked, 6, 20);
}

static void test_failure_is_remembered_over_a_new_list(void **state)
{
    struct dns_servers servers = {0};
    static const struct addr ab[] = {A, B};

    (void)state;
    servers_set(&servers, abc, 3);
    servers_blame(&servers, &a, 0);
    servers_set(&servers, ab, 2);
    assert_string_equal(turns(&servers, 1), "baba");
    servers_set(&servers, &b, 1);
    servers_set(&servers, ab, 2); /* it was away: forgotten */
    assert_string_equal(turns(&servers, 1), "abab");
}

static void test_no_more_than_there_is_room_for(void **state)
{
    struct dns_servers servers = {0};
    struct addr many[DNS_SERVERS_MAX + 3];

    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(many); i++)
        many[i] = (struct addr){ADDR_V4, {10, 0, 0, (uint8_t)i}};
    servers_set(&servers, many, ARRAY_LENGTH(many));
    assert_int_equal(servers.count, DNS_SERVERS_MAX);
    assert_string_equal(turns(&servers, 0), "????????????????");
    servers_set(&servers, many, 0);
    assert_string_equal(turns(&servers, 0), "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_in_order_twice_round),
        cmocka_unit_test(test_failed_go_last_for_a_while),
        cmocka_unit_test(test_all_failed),
        cmocka_unit_test(test_order_is_kept_within_a_question),
        cmocka_unit_test(test_first_round_is_short),
        cmocka_unit_test(test_new_list_is_begun_at_once),
        cmocka_unit_test(test_list_that_never_rests),
        cmocka_unit_test(test_failure_is_remembered_over_a_new_list),
        cmocka_unit_test(test_no_more_than_there_is_room_for),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
