/* The packet log: parsing of hostile messages, the words, counting. */
#include "base/buf.h"
#include "base/cleanup.h"
#include "policy/relay.h"
#include "service/config.h"
#include "service/denials.h"
#include "service/log.h"
#include "service/loop.h"

#include <errno.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_log.h>
#include <linux/netlink.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>

#include <cmocka.h>

/* 10.10.0.5:40000 -> 192.0.2.1:443, the first bytes of a TCP SYN. */
static const uint8_t tcp4[] = {0x45, 0,  0, 40, 0,   0, 0, 0, 64,   6,    0,    0,
                               10,   10, 0, 5,  192, 0, 2, 1, 0x9c, 0x40, 0x01, 0xbb};

static size_t put_attribute(uint8_t *bytes, uint16_t type, const void *value, size_t length)
{
    struct nlattr attribute = {.nla_len = (uint16_t)(sizeof attribute + length), .nla_type = type};

    memcpy(bytes, &attribute, sizeof attribute);
    memcpy(bytes + sizeof attribute, value, length);
    return (sizeof attribute + length + 3) & ~(size_t)3;
}

/* A message as the kernel makes it; returns its length. */
static size_t make_message(uint8_t *bytes, const char *prefix, const uint8_t *packet, size_t length)
{
    struct nlmsghdr header = {.nlmsg_type = NFNL_SUBSYS_ULOG << 8 | NFULNL_MSG_PACKET};
    size_t at = sizeof header + sizeof(struct nfgenmsg);

    memset(bytes, 0, 512);
    at += put_attribute(bytes + at, NFULA_PREFIX, prefix, strlen(prefix) + 1);
    at += put_attribute(bytes + at, NFULA_PAYLOAD, packet, length);
    header.nlmsg_len = (uint32_t)at;
    memcpy(bytes, &header, sizeof header);
    return at;
}

static void keep(void *context, const struct nflog_packet *packet)
{
    *(struct nflog_packet *)context = *packet;
}

static void test_message(void **state)
{
    uint8_t bytes[1024];
    struct nflog_packet packet = {0};
    size_t length = make_message(bytes, "denied out default", tcp4, sizeof tcp4);

    (void)state;
    assert_int_equal(nflog_each(bytes, length, keep, &packet), 1);
    assert_string_equal(packet.prefix, "denied out default");
    assert_int_equal(packet.protocol, IPPROTO_TCP);
    assert_true(packet.has_ports);
    assert_int_equal(packet.source_port, 40000);
    assert_int_equal(packet.port, 443);
    length += make_message(bytes + length, "denied in default", tcp4, sizeof tcp4);
    assert_int_equal(nflog_each(bytes, length, keep, &packet), 2);
}

/* Every truncation, and every single wrong byte: nothing is read outside (ASan looks), nothing
 * hangs. */
static void test_hostile_message(void **state)
{
    uint8_t bytes[1024];
    struct nflog_packet packet = {0};
    size_t length = make_message(bytes, "denied out default", tcp4, sizeof tcp4);

    (void)state;
    for (size_t cut = 0; cut < length; cut++) {
        cleanup_free uint8_t *copy = malloc(cut + 1);

        memcpy(copy, bytes, cut);
        assert_int_equal(nflog_each(copy, cut, keep, &packet), 0);
    }
    for (size_t i = 0; i < length * 256; i++) {
        cleanup_free uint8_t *copy = malloc(length);

        memcpy(copy, bytes, length);
        copy[i / 256] = (uint8_t)i;
        assert_in_range(nflog_each(copy, length, keep, &packet), 0, 1);
    }
}

static void test_packets(void **state)
{
    struct nflog_packet packet = {0};
    uint8_t v6[40 + 8 + 8] = {0x60};
    uint8_t fragment[sizeof tcp4];

    (void)state;
    for (size_t cut = 0; cut < 20; cut++)
        assert_false(nflog_parse_packet(tcp4, cut, &packet));
    packet = (struct nflog_packet){0};
    assert_true(nflog_parse_packet(tcp4, 23, &packet)); /* without the last byte of the ports */
    assert_false(packet.has_ports);
    memcpy(fragment, tcp4, sizeof tcp4);
    fragment[7] = 1; /* not the first fragment: what follows are no ports */
    assert_true(nflog_parse_packet(fragment, sizeof fragment, &packet));
    assert_false(packet.has_ports);
    v6[6] = IPPROTO_HOPOPTS;
    v6[40] = IPPROTO_UDP;
    v6[40 + 8 + 3] = 53;
    assert_true(nflog_parse_packet(v6, sizeof v6, &packet));
    assert_int_equal(packet.protocol, IPPROTO_UDP);
    assert_int_equal(packet.port, 53);
    v6[41] = 255; /* a header longer than the packet */
    packet = (struct nflog_packet){0};
    assert_true(nflog_parse_packet(v6, sizeof v6, &packet));
    assert_false(packet.has_ports);
}

static void expect_line(const char *prefix, unsigned count, const char *expected)
{
    struct nflog_packet packet = {0};
    const struct denial denial = {.jail_name = "web", .packet = &packet, .count = count};
    cleanup_buf struct buf out = {0};

    assert_true(nflog_parse_packet(tcp4, sizeof tcp4, &packet));
    strcpy(packet.prefix, prefix);
    denial_print(&denial, &out);
    assert_string_equal(buf_text(&out), expected);
}

static void test_lines(void **state)
{
    (void)state;
    expect_line("denied out default", 1,
                "netjail: web: denied out tcp 10.10.0.5 -> 192.0.2.1:443 (default deny out)\n"
                "netjail: web: hint: allow out tcp to 192.0.2.1 port 443\n");
    expect_line("denied out default", 17,
                "netjail: web: denied out tcp 10.10.0.5 -> 192.0.2.1:443 (default deny out) "
                "(17 times)\n");
    expect_line("dropped in web.conf:12 no \x1b[2J", 1,
                "netjail: web: dropped in tcp 10.10.0.5 -> 192.0.2.1:443 (web.conf:12) "
                "no \\x1b[2J\n"
                "netjail: web: hint: allow in tcp from 10.10.0.5 port 443 before web.conf:12\n");
    expect_line("allowed forward web.conf:3", 1,
                "netjail: web: allowed forward tcp 10.10.0.5 -> 192.0.2.1:443 (web.conf:3)\n");
    expect_line("something else", 1,
                "netjail: web: something else tcp 10.10.0.5 -> 192.0.2.1:443\n");
}

static void expect_denial(const struct denial *denial, const char *expected)
{
    cleanup_buf struct buf out = {0};

    denial_print(denial, &out);
    assert_string_equal(buf_text(&out), expected);
}

/* Who asked for a name is told of a rule with the name; not where a rule has refused it. */
static void test_names(void **state)
{
    struct nflog_packet packet = {0};
    struct denial denial = {
        .jail_name = "web", .policy_name = "", .packet = &packet, .count = 1, .name = "x.example"};
    cleanup_buf struct buf out = {0};

    (void)state;
    assert_true(nflog_parse_packet(tcp4, sizeof tcp4, &packet));
    strcpy(packet.prefix, "denied out default");
    expect_denial(&denial,
                  "netjail: web: denied out tcp 10.10.0.5 -> 192.0.2.1:443 (default deny out)\n"
                  "netjail: web: hint: allow out tcp to x.example port 443\n");
    denial_print_json(&denial, &out);
    assert_non_null(strstr(buf_text(&out), ",\"name\":\"x.example\","));
    denial.name = NULL;
    strcpy(packet.question, "y.example");
    expect_denial(&denial,
                  "netjail: web: denied out tcp 10.10.0.5 -> 192.0.2.1:443 asking for y.example "
                  "(default deny out)\n"
                  "netjail: web: hint: allow out tcp to y.example port 443\n");
    strcpy(packet.prefix, "denied out web.conf:2");
    expect_denial(&denial,
                  "netjail: web: denied out tcp 10.10.0.5 -> 192.0.2.1:443 (web.conf:2)\n"
                  "netjail: web: hint: allow out tcp to 192.0.2.1 port 443 before web.conf:2\n");
}

/* What the rules admit and the service refuses. */
static void test_causes(void **state)
{
    struct nflog_packet packet = {0};
    struct denial denial = {.jail_name = "web",
                            .policy_name = "",
                            .packet = &packet,
                            .count = 1,
                            .cause = DENIAL_HOST_ADDRESS};
    cleanup_buf struct buf out = {0};

    (void)state;
    assert_true(nflog_parse_packet(tcp4, sizeof tcp4, &packet));
    strcpy(packet.prefix, "denied out web.conf:2");
    expect_denial(&denial,
                  "netjail: web: denied out tcp 10.10.0.5 -> 192.0.2.1:443 (an address of "
                  "this host)\n"
                  "netjail: web: hint: allow out tcp to host port 443 before web.conf:2\n");
    denial_print_json(&denial, &out);
    assert_non_null(strstr(buf_text(&out), "\"rule\":\"web.conf:2\",\"text\":\"an address of this "
                                           "host\""));
    assert_non_null(strstr(buf_text(&out), "\"hint\":\"allow out tcp to host port 443\""));
    denial.cause = DENIAL_NO_MACHINE; /* no rule opens it: none is named in the hint */
    expect_denial(&denial,
                  "netjail: web: denied out tcp 10.10.0.5 -> 192.0.2.1:443 (no address of a "
                  "machine that the relay can reach)\n"
                  "netjail: web: hint: multicast, broadcast and link-local need a bridge, veth or "
                  "macvlan link\n");
}

static void count_packet(void *context, const struct nflog_packet *packet)
{
    (void)packet;
    ++*(unsigned *)context;
}

/* 192.0.2.1 is asked by 10.10.0.5 for the address of a.example. */
static const uint8_t query4[] = {0x45, 0,   0,   57,  0,   0,   0,   0,   64, 17, 0, 0,  10, 10,
                                 0,    5,   192, 0,   2,   1,   1,   2,   0,  53, 0, 37, 0,  0,
                                 7,    7,   1,   0,   0,   1,   0,   0,   0,  0,  0, 0,  1,  'a',
                                 7,    'e', 'x', 'A', 'm', 'p', 'l', 'e', 0,  0,  1, 0,  1};

static void test_question(void **state)
{
    struct nflog_packet packet = {0};
    uint8_t copy[sizeof query4];

    (void)state;
    for (size_t cut = 0; cut < sizeof query4; cut++) {
        packet = (struct nflog_packet){0};
        (void)nflog_parse_packet(query4, cut, &packet);
        assert_string_equal(packet.question, cut < sizeof query4 - 4 ? "" : "a.example");
    }
    memcpy(copy, query4, sizeof copy);
    copy[30] = 0x81; /* an answer */
    packet = (struct nflog_packet){0};
    assert_true(nflog_parse_packet(copy, sizeof copy, &packet));
    assert_string_equal(packet.question, "");
    memcpy(copy, query4, sizeof copy);
    copy[44] = '\x1b'; /* no host's name */
    packet = (struct nflog_packet){0};
    assert_true(nflog_parse_packet(copy, sizeof copy, &packet));
    assert_string_equal(packet.question, "");
}

/* What `expose` opens no rule can. */
static void test_exposable(void **state)
{
    struct nflog_packet packet = {.prefix = "denied out default",
                                  .source = relay_addr(RELAY_JAIL, ADDR_V4),
                                  .destination = relay_addr(RELAY_HOST, ADDR_V4),
                                  .protocol = IPPROTO_UDP,
                                  .has_ports = true,
                                  .port = 53};
    const struct denial denial = {.jail_name = "web", .packet = &packet, .count = 1};
    cleanup_buf struct buf out = {0};

    (void)state;
    denial_print(&denial, &out);
    assert_string_equal(buf_text(&out),
                        "netjail: web: denied out udp 192.0.0.2 -> 192.0.0.1:53 (default deny "
                        "out)\nnetjail: web: hint: expose 53 udp\n");
}

static void test_json(void **state)
{
    struct nflog_packet packet = {0};
    const struct denial denial = {.jail_name = "web",
                                  .policy_name = "a\"b\\c\n\xff.conf",
                                  .packet = &packet,
                                  .count = 1,
                                  .time_s = 5};
    cleanup_buf struct buf out = {0};

    (void)state;
    assert_true(nflog_parse_packet(tcp4, sizeof tcp4, &packet));
    strcpy(packet.prefix, "denied out default");
    denial_print_json(&denial, &out);
    assert_string_equal(
        buf_text(&out),
        "{\"time\":5,\"jail\":\"web\",\"policy\":\"a\\\"b\\\\c\\u000a\\ufffd.conf\",\"verdict\":"
        "\"denied\",\"direction\":\"out\",\"rule\":\"default\",\"protocol\":\"tcp\",\"source\":"
        "\"10.10.0.5\",\"source_port\":40000,\"destination\":\"192.0.2.1\",\"port\":443,\"count\":"
        "1,"
        "\"hint\":\"allow out tcp to 192.0.2.1 port 443\"}\n");
}

static void read_log(int fd, char *text, size_t size)
{
    ssize_t got = recv(fd, text, size - 1, MSG_DONTWAIT);

    text[got > 0 ? got : 0] = 0;
}

/* denials that read from one end of a pair and write to another. */
struct watched {
    struct service_log log;
    struct denials *denials;
    struct loop *loop;
    int nflog[2], out[2];
};

static void watched_open(struct watched *watched)
{
    struct error error = {0};

    *watched = (struct watched){.log.jail_name = "web"};
    assert_int_equal(loop_new(&watched->loop, &error), 0);
    assert_int_equal(socketpair(AF_UNIX, SOCK_DGRAM, 0, watched->nflog), 0);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, watched->out), 0);
    watched->log.fd = watched->out[0];
    watched->log.loop = watched->loop;
    assert_int_equal(denials_open(watched->loop, watched->nflog[0], &watched->log, "web",
                                  "web.conf", false, &watched->denials, &error),
                     0);
}

static void watched_take(struct watched *watched, const uint8_t *bytes, size_t length)
{
    struct error error = {0};

    assert_int_equal(send(watched->nflog[1], bytes, length, MSG_DONTWAIT), (ssize_t)length);
    assert_int_equal(loop_round(watched->loop, 0, &error), 0);
}

/* After denials_close(). */
static void watched_close(struct watched *watched)
{
    close(watched->nflog[1]);
    close(watched->out[0]);
    close(watched->out[1]);
    loop_free(watched->loop);
}

/* Twenty packets of one flow: one line at once, one with the count at the end. */
static void test_counting(void **state)
{
    struct watched watched;
    uint8_t bytes[1024];
    char text[4096];

    (void)state;
    watched_open(&watched);
    for (int i = 0; i < 20; i++) {
        size_t length = make_message(bytes, "denied out default", tcp4, sizeof tcp4);

        bytes[length - 4] = (uint8_t)i; /* the source port differs: still the same flow */
        watched_take(&watched, bytes, length);
    }
    read_log(watched.out[1], text, sizeof text);
    assert_string_equal(text,
                        "netjail: web: denied out tcp 10.10.0.5 -> 192.0.2.1:443 (default deny "
                        "out)\nnetjail: web: hint: allow out tcp to 192.0.2.1 port 443\n");
    denials_close(watched.denials);
    read_log(watched.out[1], text, sizeof text);
    assert_non_null(strstr(text, "(20 times)"));
    watched_close(&watched);
}

/* The kernel's own report of its groups is no attempt of anybody. */
static void test_group_report(void **state)
{
    static const uint8_t report[48] = {
        0x60, [5] = 8, [6] = IPPROTO_ICMPV6, [8] = 0xfe, 0x80, [24] = 0xff, 0x02, [39] = 0x16, 143};
    static const uint8_t igmp[32] = {
        0x46, [3] = 32, [9] = IPPROTO_IGMP, [16] = 224, [19] = 22, [20] = 0x94, 4, [24] = 0x22};
    struct watched watched;
    uint8_t bytes[1024], query[sizeof report];
    char text[4096];
    unsigned refused = 0;

    (void)state;
    watched_open(&watched);
    watched_take(&watched, bytes,
                 make_message(bytes, "denied out web.conf:4", report, sizeof report));
    read_log(watched.out[1], text, sizeof text);
    assert_string_equal(text, "");
    memcpy(query, report, sizeof query);
    query[40] = 130;
    watched_take(&watched, bytes,
                 make_message(bytes, "denied out web.conf:4", query, sizeof query));
    read_log(watched.out[1], text, sizeof text);
    assert_non_null(strstr(text, "denied out icmpv6 130 fe80:: -> ff02::16"));
    watched_take(&watched, bytes, make_message(bytes, "denied out web.conf:4", igmp, sizeof igmp));
    read_log(watched.out[1], text, sizeof text);
    assert_string_equal(text, "");
    /* What the relay's own rules refuse is somebody else's to tell. */
    denials_relay_with(watched.denials, count_packet, &refused);
    watched_take(&watched, bytes, make_message(bytes, RELAY_LOG_PREFIX, tcp4, sizeof tcp4));
    read_log(watched.out[1], text, sizeof text);
    assert_string_equal(text, "");
    assert_int_equal(refused, 1);
    denials_close(watched.denials);
    watched_close(&watched);
}

/* A flood is cut, and said to be. */
static void test_rate(void **state)
{
    struct service_log log = {.jail_name = "web"};
    struct loop *loop = NULL;
    struct error error = {0};
    char text[65536];
    int out[2];
    int written = 0;

    (void)state;
    assert_int_equal(loop_new(&loop, &error), 0);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, out), 0);
    log.fd = out[0];
    log.loop = loop;
    for (int i = 0; i < 500; i++)
        written += service_log_write(&log, "line\n");
    assert_int_equal(written, SERVICE_LOG_LINES_PER_SECOND);
    log.second--; /* the next second */
    log.second--;
    assert_true(service_log_write(&log, "later\n"));
    read_log(out[1], text, sizeof text);
    assert_non_null(strstr(text, "netjail: web: 450 more lines were not written\nlater\n"));
    log.json = true;
    log.policy_name = "a\"b";
    log.lost = 3;
    service_log_limit(&log, "limit of %u \x1b", 20u);
    read_log(out[1], text, sizeof text);
    assert_non_null(
        strstr(text, ",\"jail\":\"web\",\"policy\":\"a\\\"b\",\"message\":\"3 more lines were not "
                     "written\"}\n{\"time\":"));
    assert_non_null(strstr(text, ",\"message\":\"limit of 20 \\u001b\"}\n"));
    close(out[0]);
    close(out[1]);
    loop_free(loop);
}

static int parse_config(const void *whole, size_t length)
{
    struct service_setup setup = {0};
    struct error error = {0};
    int code = service_config_parse(whole, length, &setup, &error);

    if (code == 0) {
        assert_int_equal(setup.listeners[0].jail_port, 80);
        assert_int_equal(setup.known[0].kind, KNOWN_HOST);
        assert_memory_equal(setup.policy, "text", 4);
    }
    service_setup_free(&setup);
    return code;
}

static void test_config(void **state)
{
    struct {
        struct service_config config;
        struct service_listener listener;
        struct known_range known;
        char policy[4];
    } __attribute__((packed))
    whole = {.config = {.magic = SERVICE_MAGIC,
                        .listener_count = 1,
                        .known_count = 1,
                        .policy_length = 4,
                        .connection_limit = 10,
                        .jail_name = "web"},
             .listener = {.protocol = IPPROTO_TCP,
                          .target_count = 1,
                          .jail_port = 80,
                          .targets = {{.family = ADDR_V4, .bytes = {127, 0, 0, 1}}}},
             .known = {KNOWN_HOST, {{ADDR_V4, {192, 0, 2, 1}}, {ADDR_V4, {192, 0, 2, 1}}}},
             .policy = {'t', 'e', 'x', 't'}};

    (void)state;
    assert_int_equal(parse_config(&whole, sizeof whole), 0);
    for (size_t length = 0; length < sizeof whole; length++)
        assert_int_equal(parse_config(&whole, length), -EINVAL);
    whole.listener.targets[0].bytes[7] = 1; /* an IPv4 address ends after four bytes */
    assert_int_equal(parse_config(&whole, sizeof whole), -EINVAL);
    whole.listener.targets[0].bytes[7] = 0;
    whole.known.range.last.bytes[3] = 0; /* before the first */
    assert_int_equal(parse_config(&whole, sizeof whole), -EINVAL);
    whole.known.range.last.bytes[3] = 1;
    whole.config.policy_length = UINT64_MAX - 2;
    assert_int_equal(parse_config(&whole, sizeof whole), -EINVAL);
    whole.config.policy_length = 4;
    memset(whole.config.jail_name, 'a', sizeof whole.config.jail_name);
    assert_int_equal(parse_config(&whole, sizeof whole), -EINVAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_message),      cmocka_unit_test(test_hostile_message),
        cmocka_unit_test(test_packets),      cmocka_unit_test(test_lines),
        cmocka_unit_test(test_names),        cmocka_unit_test(test_causes),
        cmocka_unit_test(test_question),     cmocka_unit_test(test_exposable),
        cmocka_unit_test(test_json),         cmocka_unit_test(test_counting),
        cmocka_unit_test(test_group_report), cmocka_unit_test(test_rate),
        cmocka_unit_test(test_config),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
