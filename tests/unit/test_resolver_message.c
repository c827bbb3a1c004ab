/* DNS messages byte by byte: what is read of queries and replies, what is written. */
#include "service/resolver_message.h"

#include "base/cleanup.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define HEADER(flags1, flags2, questions, answers, others, additional)                             \
    "\x12\x34" flags1 flags2 "\0" questions "\0" answers "\0" others "\0" additional
#define WWW        "\3www\7example\3org\0"
#define A_IN       "\0\1\0\1"
#define AAAA_IN    "\0\x1c\0\1"
#define EDNS(size) "\0\0\x29" size "\0\0\0\0\0\0"
#define TTL_300    "\0\0\x01\x2c"
/* Counts the zeroes inside, but not the last one. */
#define BYTES(text) (const uint8_t *)(text), sizeof(text) - 1

static uint8_t out[DNS_MESSAGE_MAX];
static struct dns_answer answer;
static struct dns_query query;

static struct dns_name name_of(const char *text)
{
    struct dns_name name;

    assert_true(dns_name_from_text(text, &name));
    return name;
}

static const char *text_of(const struct dns_name *name)
{
    static char text[DNS_NAME_MAX];

    return dns_name_text(name, text) ? text : "?";
}

/* ---- queries ---- */

static void test_query(void **state)
{
    (void)state;
    assert_int_equal(
        dns_query_parse(
            BYTES(HEADER("\1", "\0", "\1", "\0", "\0", "\0") "\3wWw\7EXAMPLE\3org\0" A_IN), &query),
        DNS_NOERROR);
    assert_int_equal(query.id, 0x1234);
    assert_true(query.recursion_desired);
    assert_false(query.has_edns);
    assert_int_equal(query.udp_size, DNS_UDP_MIN);
    assert_int_equal(query.type, DNS_TYPE_A);
    assert_string_equal(text_of(&query.name), "www.example.org");
    assert_int_equal(query.question_size, sizeof WWW - 1 + 4);
    assert_memory_equal(query.question, "\3wWw\7EXAMPLE", 12); /* as it was asked */
}

static void test_query_with_edns(void **state)
{
    (void)state;
    assert_int_equal(
        dns_query_parse(
            BYTES(HEADER("\0", "\0", "\1", "\0", "\0", "\1") WWW AAAA_IN EDNS("\x04\x00")), &query),
        DNS_NOERROR);
    assert_true(query.has_edns);
    assert_false(query.recursion_desired);
    assert_int_equal(query.udp_size, 1024);
    assert_int_equal(query.type, DNS_TYPE_AAAA);
    assert_int_equal(
        dns_query_parse(
            BYTES(HEADER("\0", "\0", "\1", "\0", "\0", "\1") WWW AAAA_IN EDNS("\xff\xff")), &query),
        DNS_NOERROR);
    assert_int_equal(query.udp_size, DNS_UDP_MAX);
    assert_int_equal(
        dns_query_parse(BYTES(HEADER("\0", "\0", "\1", "\0", "\0", "\1") WWW AAAA_IN EDNS("\0\1")),
                        &query),
        DNS_NOERROR);
    assert_int_equal(query.udp_size, DNS_UDP_MIN);
    /* Version 1: RFC 6891 section 6.1.3. */
    assert_int_equal(dns_query_parse(BYTES(HEADER("\0", "\0", "\1", "\0", "\0", "\1") WWW AAAA_IN
                                           "\0\0\x29\x04\x00\0\1\0\0\0\0"),
                                     &query),
                     DNS_BADVERS);
}

static void test_queries_that_are_none(void **state)
{
    (void)state;
    assert_int_equal(dns_query_parse(BYTES(""), &query), -1);
    assert_int_equal(dns_query_parse(BYTES("\x12\x34\1\0\0\1\0\0\0\0\0"), &query), -1);
    /* An answer is not answered: two servers would talk for ever. */
    assert_int_equal(
        dns_query_parse(BYTES(HEADER("\x81", "\0", "\1", "\0", "\0", "\0") WWW A_IN), &query), -1);
    assert_int_equal(
        dns_query_parse(BYTES(HEADER("\x21", "\0", "\1", "\0", "\0", "\0") WWW A_IN), &query),
        DNS_NOTIMP);
    assert_int_equal(query.question_size, 0);
    assert_int_equal(dns_query_parse(BYTES(HEADER("\1", "\0", "\0", "\0", "\0", "\0")), &query),
                     DNS_FORMERR);
    assert_int_equal(
        dns_query_parse(BYTES(HEADER("\1", "\0", "\2", "\0", "\0", "\0") WWW A_IN WWW A_IN),
                        &query),
        DNS_FORMERR);
    assert_int_equal(
        dns_query_parse(BYTES(HEADER("\1", "\0", "\1", "\0", "\0", "\0") WWW "\0\1"), &query),
        DNS_FORMERR);
    /* A pointer to itself, one forwards, a label of 64, a name without end. */
    assert_int_equal(
        dns_query_parse(BYTES(HEADER("\1", "\0", "\1", "\0", "\0", "\0") "\xc0\x0c" A_IN), &query),
        DNS_FORMERR);
    assert_int_equal(
        dns_query_parse(BYTES(HEADER("\1", "\0", "\1", "\0", "\0", "\0") "\xc0\x10" A_IN "\0"),
                        &query),
        DNS_FORMERR);
    assert_int_equal(
        dns_query_parse(BYTES(HEADER("\1", "\0", "\1", "\0", "\0", "\0") "\x40" A_IN), &query),
        DNS_FORMERR);
    assert_int_equal(
        dns_query_parse(BYTES(HEADER("\1", "\0", "\1", "\0", "\0", "\0") "\3www"), &query),
        DNS_FORMERR);
    /* Another class than IN. */
    assert_int_equal(
        dns_query_parse(BYTES(HEADER("\1", "\0", "\1", "\0", "\0", "\0") WWW "\0\1\0\3"), &query),
        DNS_REFUSED);
    assert_int_equal(query.question_size, sizeof WWW - 1 + 4);
}

/* ---- answers ---- */

static void ask(bool has_edns, uint16_t udp_size)
{
    assert_int_equal(
        dns_query_parse(BYTES(HEADER("\1", "\0", "\1", "\0", "\0", "\0") WWW A_IN), &query),
        DNS_NOERROR);
    query.has_edns = has_edns;
    query.udp_size = udp_size;
}

static void add_address(uint8_t last)
{
    answer.addrs[answer.addrs_count++] = (struct addr){ADDR_V4, {192, 0, 2, last}};
}

static void begin_answer(void)
{
    answer = (struct dns_answer){.ttl_s = 300, .chain_count = 1};
    answer.chain[0] = name_of("www.example.org");
}

/* What is no question is told so in its own words, else nobody takes it for the answer. */
static void test_other_opcode(void **state)
{
    static const char expected[] = HEADER("\xa1", "\x84", "\0", "\0", "\0", "\0");

    (void)state;
    assert_int_equal(
        dns_query_parse(BYTES(HEADER("\x21", "\0", "\1", "\0", "\0", "\0") WWW A_IN), &query),
        DNS_NOTIMP);
    answer = (struct dns_answer){.rcode = DNS_NOTIMP};
    assert_int_equal(dns_answer_write(&query, &answer, DNS_UDP_MIN, out), sizeof expected - 1);
    assert_memory_equal(out, expected, sizeof expected - 1);
}

static void test_answer(void **state)
{
    static const char expected[] = HEADER("\x81", "\x80", "\1", "\1", "\0", "\0") WWW A_IN
        "\xc0\x0c" A_IN TTL_300 "\0\4\xc0\0\2\7";

    (void)state;
    ask(false, DNS_UDP_MIN);
    begin_answer();
    add_address(7);
    assert_int_equal(dns_answer_write(&query, &answer, DNS_UDP_MIN, out), sizeof expected - 1);
    assert_memory_equal(out, expected, sizeof expected - 1);
}

static void test_answer_with_chain_and_edns(void **state)
{
    static const char expected[] = HEADER("\x81", "\x80", "\1", "\2", "\0", "\1") WWW A_IN
        "\xc0\x0c\0\5\0\1" TTL_300 "\0\4\2me\0"
        "\xc0\x2d" A_IN TTL_300 "\0\4\xc0\0\2\7"
        "\0\0\x29\x04\xd0\0\0\0\0\0\0";

    (void)state;
    ask(true, DNS_UDP_MAX);
    begin_answer();
    answer.chain[answer.chain_count++] = name_of("me");
    add_address(7);
    assert_int_equal(dns_answer_write(&query, &answer, DNS_UDP_MAX, out), sizeof expected - 1);
    assert_memory_equal(out, expected, sizeof expected - 1);
}

static void test_refusal(void **state)
{
    static const char expected[] = HEADER("\x81", "\x85", "\1", "\0", "\0", "\0") WWW A_IN;

    (void)state;
    ask(false, DNS_UDP_MIN);
    answer = (struct dns_answer){.rcode = DNS_REFUSED};
    assert_int_equal(dns_answer_write(&query, &answer, DNS_UDP_MIN, out), sizeof expected - 1);
    assert_memory_equal(out, expected, sizeof expected - 1);
    /* BADVERS is 16: its upper bits are in the OPT record. */
    ask(true, DNS_UDP_MIN);
    answer = (struct dns_answer){.rcode = DNS_BADVERS};
    assert_int_equal(dns_answer_write(&query, &answer, DNS_UDP_MIN, out), sizeof expected - 1 + 11);
    assert_int_equal(out[3], 0x80);
    assert_int_equal(out[sizeof expected - 1 + 5], 1);
}

/* What does not fit is left out as a whole, and said to be. */
static void test_truncation(void **state)
{
    size_t size;

    (void)state;
    ask(true, DNS_UDP_MIN);
    begin_answer();
    for (int i = 0; i < 28; i++)
        add_address((uint8_t)i);
    size = dns_answer_write(&query, &answer, DNS_UDP_MIN, out);
    assert_int_equal(size, DNS_HEADER_SIZE + sizeof WWW - 1 + 4 + 28 * 16 + 11);
    assert_false(out[2] & 2);
    add_address(28);
    size = dns_answer_write(&query, &answer, DNS_UDP_MIN, out);
    assert_int_equal(size, DNS_HEADER_SIZE + sizeof WWW - 1 + 4 + 11);
    assert_true(out[2] & 2);
    assert_int_equal(out[7], 0);
    size = dns_answer_write(&query, &answer, DNS_MESSAGE_MAX, out); /* by TCP */
    assert_false(out[2] & 2);
    assert_int_equal(out[7], 29);
    assert_int_equal(size, DNS_HEADER_SIZE + sizeof WWW - 1 + 4 + 29 * 16 + 11);
}

/* ---- our questions ---- */

static void test_question_and_its_reply(void **state)
{
    const struct dns_name name = name_of("www.example.org");
    uint8_t mixed[DNS_NAME_MAX / 8 + 1] = {0x02}; /* the first letter: the length byte is bit 0 */
    uint8_t question[DNS_UDP_MIN];
    uint8_t reply[DNS_UDP_MIN];
    size_t size = dns_question_write(0x1234, &name, DNS_TYPE_A, mixed, question);

    (void)state;
    assert_int_equal(size, DNS_HEADER_SIZE + sizeof WWW - 1 + 4);
    assert_memory_equal(question, HEADER("\1", "\0", "\1", "\0", "\0", "\0") "\3Www\7example", 24);
    memcpy(reply, question, size);
    assert_int_equal(dns_reply_match(question, size, reply, size), DNS_MATCH_NO); /* a question */
    reply[2] |= 0x80;
    assert_int_equal(dns_reply_match(question, size, reply, size), DNS_MATCH_YES);
    assert_int_equal(dns_reply_match(question, size, reply, size - 1), DNS_MATCH_NO);
    reply[13] = 'w';
    assert_int_equal(dns_reply_match(question, size, reply, size), DNS_MATCH_BUT_CASE);
    reply[14] = 'x';
    assert_int_equal(dns_reply_match(question, size, reply, size), DNS_MATCH_NO);
    reply[14] = 'w';
    reply[1] ^= 1;
    assert_int_equal(dns_reply_match(question, size, reply, size), DNS_MATCH_NO); /* id */
    reply[1] ^= 1;
    reply[size - 3] = DNS_TYPE_AAAA;
    assert_int_equal(dns_reply_match(question, size, reply, size), DNS_MATCH_NO);
    reply[size - 3] = DNS_TYPE_A;
    reply[size - 1] = 3;
    assert_int_equal(dns_reply_match(question, size, reply, size), DNS_MATCH_NO); /* class */
    reply[size - 1] = 1;
    reply[5] = 2;
    assert_int_equal(dns_reply_match(question, size, reply, size),
                     DNS_MATCH_NO); /* two questions */
    reply[5] = 1;
    assert_int_equal(dns_reply_match(question, size, reply, size), DNS_MATCH_BUT_CASE);
}

/* ---- replies ---- */

#define parse(bytes, type) parse_bytes(bytes, sizeof(bytes) - 1, type)
static bool parse_bytes(const char *bytes, size_t size, uint16_t type)
{
    const struct dns_name name = name_of("www.example.org");

    memset(&answer, 0xff, sizeof answer);
    return dns_reply_parse((const uint8_t *)bytes, size, &name, type, &answer);
}

static void test_reply(void **state)
{
    (void)state;
    assert_true(parse(HEADER("\x81", "\x80", "\1", "\2", "\0", "\0") WWW A_IN
                      "\xc0\x0c" A_IN TTL_300 "\0\4\xc0\0\2\7"
                      "\xc0\x0c" A_IN "\0\0\0\x14"
                      "\0\4\xc0\0\2\x08",
                      DNS_TYPE_A));
    assert_int_equal(answer.rcode, DNS_NOERROR);
    assert_int_equal(answer.ttl_s, 20); /* the shortest */
    assert_int_equal(answer.chain_count, 1);
    assert_int_equal(answer.addrs_count, 2);
    assert_int_equal(answer.addrs[0].family, ADDR_V4);
    assert_int_equal(answer.addrs[1].bytes[3], 8);
    assert_false(answer.is_open);
    assert_false(answer.is_truncated);
}

/* Records of others, of other types and classes, and of odd sizes are nothing to us. */
static void test_reply_with_foreign_records(void **state)
{
    (void)state;
    assert_true(parse(HEADER("\x81", "\x80", "\1", "\5", "\0", "\1") WWW A_IN
                      "\4evil\xc0\x10" A_IN TTL_300 "\0\4\x01\1\1\1"
                      "\xc0\x0c" AAAA_IN TTL_300 "\0\x10\x20\1\0\0\0\0\0\0\0\0\0\0\0\0\0\1"
                      "\xc0\x0c\0\1\0\3" TTL_300 "\0\4\x01\1\1\1"
                      "\xc0\x0c\0\x10\0\1" TTL_300 "\0\4\3abc"
                      "\xc0\x0c" A_IN TTL_300 "\0\4\xc0\0\2\7"
                      "\xc0\x0c" A_IN TTL_300 "\0\4\x01\1\1\1", /* additional */
                      DNS_TYPE_A));
    assert_int_equal(answer.addrs_count, 1);
    assert_int_equal(answer.addrs[0].bytes[0], 192);
    /* An A record of three bytes: no address is read out of it and what comes behind. */
    assert_false(parse(HEADER("\x81", "\x80", "\1", "\1", "\0", "\0") WWW A_IN
                       "\xc0\x0c" A_IN TTL_300 "\0\3\xc0\0\2\7",
                       DNS_TYPE_A));
}

static void test_reply_with_chain(void **state)
{
    (void)state;
    /* In any order; the name at the end has the addresses. */
    assert_true(parse(HEADER("\x81", "\x80", "\1", "\4", "\0", "\0") WWW A_IN
                      "\1b\0" A_IN TTL_300 "\0\4\xc0\0\2\7"
                      "\1a\0\0\5\0\1" TTL_300 "\0\3\1b\0"
                      "\xc0\x0c\0\5\0\1" TTL_300 "\0\3\1a\0"
                      "\1a\0" A_IN TTL_300 "\0\4\x01\1\1\1",
                      DNS_TYPE_A));
    assert_int_equal(answer.chain_count, 3);
    assert_string_equal(text_of(&answer.chain[1]), "a");
    assert_string_equal(text_of(&answer.chain[2]), "b");
    assert_int_equal(answer.addrs_count, 1);
    assert_int_equal(answer.addrs[0].bytes[0], 192);
    assert_false(answer.is_open);
    /* Its end is elsewhere. */
    assert_true(parse(HEADER("\x81", "\x80", "\1", "\1", "\0", "\0") WWW A_IN
                      "\xc0\x0c\0\5\0\1" TTL_300 "\0\3\1a\0",
                      DNS_TYPE_A));
    assert_true(answer.is_open);
    assert_int_equal(answer.chain_count, 2);
}

static void test_reply_that_goes_in_circles(void **state)
{
    (void)state;
    (void)parse(HEADER("\x81", "\x80", "\1", "\2", "\0", "\0") WWW A_IN
                "\xc0\x0c\0\5\0\1" TTL_300 "\0\3\1a\0"
                "\1a\0\0\5\0\1" TTL_300 "\0\2\xc0\x0c",
                DNS_TYPE_A);
    assert_in_range(answer.chain_count, 1, DNS_CHAIN_MAX);
    assert_int_equal(answer.addrs_count, 0);
    /* A name that points at itself inside the message. */
    assert_false(parse(HEADER("\x81", "\x80", "\1", "\1", "\0", "\0") WWW A_IN
                       "\xc0\x21" A_IN TTL_300 "\0\4\xc0\0\2\7",
                       DNS_TYPE_A));
}

static void test_negative_reply(void **state)
{
    (void)state;
    assert_true(parse(HEADER("\x81", "\x83", "\1", "\0", "\0", "\0") WWW A_IN, DNS_TYPE_A));
    assert_int_equal(answer.rcode, DNS_NXDOMAIN);
    assert_int_equal(answer.addrs_count, 0);
    assert_in_range(answer.ttl_s, 1, 60);
    assert_false(answer.is_open);
}

static void test_reply_cut_off(void **state)
{
    static const char whole[] = HEADER("\x81", "\x80", "\1", "\1", "\0", "\0") WWW A_IN
        "\xc0\x0c" A_IN TTL_300 "\0\4\xc0\0\2\7";

    (void)state;
    for (size_t size = 0; size < sizeof whole - 1; size++) {
        if (parse_bytes(whole, size, DNS_TYPE_A))
            fail_msg("%zu of %zu bytes were believed", size, sizeof whole - 1);
    }
    assert_true(parse(whole, DNS_TYPE_A));
    /* Said to be truncated: nothing in it counts. */
    assert_true(parse(HEADER("\x83", "\x80", "\1", "\1", "\0", "\0") WWW A_IN
                      "\xc0\x0c" A_IN TTL_300 "\0\4\xc0\0\2\7",
                      DNS_TYPE_A));
    assert_true(answer.is_truncated);
    assert_int_equal(answer.addrs_count, 0);
}

static void test_times(void **state)
{
    (void)state;
    assert_true(parse(HEADER("\x81", "\x80", "\1", "\1", "\0", "\0") WWW A_IN "\xc0\x0c" A_IN
                                                                              "\x7f\xff\xff\xff"
                                                                              "\0\4\xc0\0\2\7",
                      DNS_TYPE_A));
    assert_int_equal(answer.ttl_s, 86400);
}

/* ---- names ---- */

static void test_addresses_as_names(void **state)
{
    struct dns_name name = name_of("7.2.0.192.in-addr.arpa");
    struct addr addr;

    (void)state;
    assert_true(dns_name_address(&name, &addr));
    assert_int_equal(addr.family, ADDR_V4);
    assert_memory_equal(addr.bytes, "\xc0\0\2\7", 4);
    name = name_of("1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa");
    assert_true(dns_name_address(&name, &addr));
    assert_int_equal(addr.family, ADDR_V6);
    assert_memory_equal(addr.bytes, "\x20\1\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\1", 16);
    name = name_of("2.0.192.in-addr.arpa");
    assert_false(dns_name_address(&name, &addr));
    name = name_of("256.2.0.192.in-addr.arpa");
    assert_false(dns_name_address(&name, &addr));
    name = name_of("7.2.0.192.in-addr.arpa.example.org");
    assert_false(dns_name_address(&name, &addr));
    name = name_of("g.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa");
    assert_false(dns_name_address(&name, &addr));
}

/* A dot or a NUL inside a label must not make two labels of one. */
static void test_names_that_are_no_host_names(void **state)
{
    static const uint8_t dot[] = "\7www.exa\3org";
    static const uint8_t nul[] = "\3www\7example\3org\4\0bad";
    static const uint8_t bar[] = "\4www|\3org";
    struct dns_name name;
    char text[DNS_NAME_MAX];

    (void)state;
    assert_int_equal(dns_name_take(dot, sizeof dot, &name), sizeof dot);
    assert_false(dns_name_text(&name, text));
    assert_int_equal(dns_name_take(nul, sizeof nul, &name), sizeof nul);
    assert_false(dns_name_text(&name, text));
    assert_int_equal(dns_name_take(bar, sizeof bar, &name), sizeof bar);
    assert_false(dns_name_text(&name, text));
    assert_int_equal(dns_name_take((const uint8_t *)"", 1, &name), 1);
    assert_false(dns_name_text(&name, text));
    assert_false(dns_name_from_text("", &name));
    assert_false(dns_name_from_text("a..b", &name));
    assert_false(dns_name_from_text(".a", &name));
    assert_false(dns_name_from_text("a.", &name));
}

static void test_service_hosts(void **state)
{
    (void)state;
    assert_string_equal(dns_service_host("_http._tcp.www.example.org"), "www.example.org");
    assert_string_equal(dns_service_host("_8443._https._x.example.org"), "example.org");
    assert_string_equal(dns_service_host("www._tcp.example.org"), "www._tcp.example.org");
    assert_string_equal(dns_service_host("_http"), "_http");
    assert_string_equal(dns_service_host("_a._b"), "_b");
}

static void test_longest_name(void **state)
{
    char text[300];
    uint8_t wire[300];
    struct dns_name name;
    size_t at = 0;

    (void)state;
    memset(text, 'a', sizeof text);
    text[63] = text[127] = text[191] = '.';
    text[253] = '\0';
    assert_true(dns_name_from_text(text, &name));
    assert_int_equal(name.length, DNS_NAME_MAX);
    text[253] = 'a';
    text[254] = '\0';
    assert_false(dns_name_from_text(text, &name));
    text[63] = 'a'; /* a label of 127 */
    text[200] = '\0';
    assert_false(dns_name_from_text(text, &name));
    for (int i = 0; i < 4; i++) { /* 4 * 64 + 1 = 257 bytes */
        wire[at] = 63;
        memset(wire + at + 1, 'a', 63);
        at += 64;
    }
    wire[at] = 0;
    assert_int_equal(dns_name_take(wire, at + 1, &name), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_query),
        cmocka_unit_test(test_query_with_edns),
        cmocka_unit_test(test_queries_that_are_none),
        cmocka_unit_test(test_answer),
        cmocka_unit_test(test_other_opcode),
        cmocka_unit_test(test_answer_with_chain_and_edns),
        cmocka_unit_test(test_refusal),
        cmocka_unit_test(test_truncation),
        cmocka_unit_test(test_question_and_its_reply),
        cmocka_unit_test(test_reply),
        cmocka_unit_test(test_reply_with_foreign_records),
        cmocka_unit_test(test_reply_with_chain),
        cmocka_unit_test(test_reply_that_goes_in_circles),
        cmocka_unit_test(test_negative_reply),
        cmocka_unit_test(test_reply_cut_off),
        cmocka_unit_test(test_times),
        cmocka_unit_test(test_addresses_as_names),
        cmocka_unit_test(test_names_that_are_no_host_names),
        cmocka_unit_test(test_service_hosts),
        cmocka_unit_test(test_longest_name),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
