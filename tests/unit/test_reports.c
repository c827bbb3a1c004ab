/* What the supervisor takes from netjail-service, and what it refuses. */
#include "jail/reports.h"
#include "policy/relay.h"

#include "base/cleanup.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>

#include <cmocka.h>

#define NAMES 3

static int pair[2]; /* 0: supervisor, 1: service */
static struct reports reports;

static int setup(void **state)
{
    (void)state;
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
        return -1;
    reports_begin(&reports, pair[0], 1000);
    reports.names_count = NAMES;
    reports.state = SERVICE_SERVING;
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    (void)close(pair[0]);
    (void)close(pair[1]);
    return 0;
}

static int receive_at(int64_t now_ms, union report_message *message)
{
    struct error error = {0};
    int code = reports_receive(&reports, now_ms, message, &error);

    assert_int_equal(code == -EPROTO, error.text[0] != '\0');
    return code;
}

static int receive(void)
{
    union report_message message;

    return receive_at(1000, &message);
}

static void give(const void *bytes, size_t size)
{
    assert_int_equal(send(pair[1], bytes, size, 0), size);
}

static struct report_pins good_pins(void)
{
    return (struct report_pins){.kind = REPORT_PINS,
                                .number = 7,
                                .set = NAMES,
                                .seconds = PIN_SECONDS_MIN,
                                .count = 1,
                                .addrs = {{.family = ADDR_V4, .bytes = {192, 0, 2, 1}}}};
}

static int receive_pins(const struct report_pins *pin)
{
    give(pin, sizeof *pin);
    reports.state = SERVICE_SERVING;
    return receive();
}

static void test_ready_once(void **state)
{
    struct report ready = {.kind = REPORT_READY};

    (void)state;
    reports.state = SERVICE_STARTING;
    assert_int_equal(receive(), -EAGAIN);
    give(&ready, sizeof ready);
    assert_int_equal(receive(), 0);
    assert_int_equal(reports.state, SERVICE_SERVING);
    give(&ready, sizeof ready);
    assert_int_equal(receive(), -EPROTO);
    assert_int_equal(reports.state, SERVICE_ENDED);
}

static void test_nothing_before_ready(void **state)
{
    struct report_pins pin = good_pins();

    (void)state;
    reports.state = SERVICE_STARTING;
    give(&pin, sizeof pin);
    assert_int_equal(receive(), -EPROTO);
}

static void test_nothing_after_a_refusal(void **state)
{
    struct report_pins pin = good_pins();
    uint32_t unknown = 99;

    (void)state;
    give(&unknown, sizeof unknown);
    assert_int_equal(receive(), -EPROTO);
    give(&pin, sizeof pin);
    assert_int_equal(receive(), -EPROTO);
}

static void test_sizes(void **state)
{
    static const size_t sizes[] = {
        1, 3, 4, 7, 9, sizeof(struct report_pins) - 1, sizeof(struct report_pins) + 1, 4096};

    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(sizes); i++) {
        for (uint32_t kind = 0; kind < 6; kind++) {
            uint8_t bytes[4096] = {0};

            memcpy(bytes, &kind, sizeof kind);
            give(bytes, sizes[i]);
            reports.state = SERVICE_SERVING;
            assert_int_equal(receive(), -EPROTO);
        }
    }
}

static void test_pins(void **state)
{
    struct report_pins pin = good_pins();
    union report_message message;

    (void)state;
    give(&pin, sizeof pin);
    assert_int_equal(receive_at(1000, &message), 0);
    assert_memory_equal(&message.pins, &pin, sizeof pin);
    pin.seconds = PIN_SECONDS_MAX;
    assert_int_equal(receive_pins(&pin), 0);
    pin.seconds = PIN_SECONDS_MAX + 1;
    assert_int_equal(receive_pins(&pin), -EPROTO);
    pin.seconds = PIN_SECONDS_MIN - 1;
    assert_int_equal(receive_pins(&pin), -EPROTO);
    pin = good_pins();
    pin.set = NAMES + 1;
    assert_int_equal(receive_pins(&pin), -EPROTO);
    pin.set = 0;
    assert_int_equal(receive_pins(&pin), -EPROTO);
    pin = good_pins();
    pin.count = 0;
    assert_int_equal(receive_pins(&pin), -EPROTO);
    pin.count = 2; /* the second is no address */
    assert_int_equal(receive_pins(&pin), -EPROTO);
    pin.count = PINS_PER_REPORT + 1;
    assert_int_equal(receive_pins(&pin), -EPROTO);
    pin.count = UINT32_MAX;
    assert_int_equal(receive_pins(&pin), -EPROTO);
    pin = good_pins();
    pin.addrs[PINS_PER_REPORT - 1].bytes[15] = 1;
    assert_int_equal(receive_pins(&pin), -EPROTO);
    pin = good_pins();
    for (int i = 1; i < PINS_PER_REPORT; i++)
        pin.addrs[i] = pin.addrs[0];
    pin.count = PINS_PER_REPORT;
    assert_int_equal(receive_pins(&pin), 0);
}

static void test_pinned_addresses(void **state)
{
    static const struct {
        struct addr addr;
        int code;
    } cases[] = {
        {{ADDR_V4, {10, 0, 0, 1}}, 0},
        {{ADDR_V6, {0x20, 1, [15] = 1}}, 0},
        {{ADDR_V6, {0xfe, 0x80, [15] = 1}}, 0}, /* where `dns { private NAME }` admits it */
        {{ADDR_NONE, {192, 0, 2, 1}}, -EPROTO},
        {{5, {192, 0, 2, 1}}, -EPROTO},
        {{255, {192, 0, 2, 1}}, -EPROTO},
        {{ADDR_V4, {192, 0, 2, 1, 1}}, -EPROTO},
        {{ADDR_V4, {0, 0, 0, 0}}, -EPROTO},
        {{ADDR_V4, {0, 0, 0, 1}}, -EPROTO},
        {{ADDR_V4, {127, 0, 0, 1}}, -EPROTO},
        {{ADDR_V4, {224, 0, 0, 1}}, -EPROTO},
        {{ADDR_V4, {255, 255, 255, 255}}, -EPROTO},
        {{ADDR_V6, {0}}, -EPROTO},
        {{ADDR_V6, {[15] = 1}}, -EPROTO},
        {{ADDR_V6, {0xff, 2, [15] = 1}}, -EPROTO},
        {{ADDR_V6, {[10] = 0xff, 0xff, 192, 0, 2, 1}}, -EPROTO},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        struct report_pins pin = good_pins();

        pin.addrs[0] = cases[i].addr;
        assert_int_equal(receive_pins(&pin), cases[i].code);
    }
}

static void test_notices(void **state)
{
    struct notice_pinned sent = {.kind = NOTICE_PINNED, .number = 7, .code = -ENOSPC};
    struct notice_pinned got;
    int code = 0;

    (void)state;
    assert_int_equal(reports_notify(&reports, &sent, sizeof sent), 0);
    assert_int_equal(recv(pair[1], &got, sizeof got, 0), sizeof got);
    assert_memory_equal(&got, &sent, sizeof sent);
    for (int i = 0; i < 100000 && code == 0; i++)
        code = reports_notify(&reports, &sent, sizeof sent);
    assert_int_equal(code, -EAGAIN); /* nobody reads: it does not wait */
}

static void test_verdicts(void **state)
{
    struct report_verdicts report = {REPORT_VERDICTS, 1, {{1, VERDICT_PACKET_ACCEPT, 0}}};
    struct packet_verdict *verdict = &report.verdicts[0];
    static const struct {
        uint32_t kind;
        uint32_t mark;
        int code;
    } cases[] = {
        {VERDICT_PACKET_DROP, 0, 0},
        {VERDICT_PACKET_REFUSE, RELAY_REFUSED, 0},
        {VERDICT_PACKET_REFUSE, RELAY_PROHIBITED, 0},
        {VERDICT_PACKET_REFUSE, RELAY_REFUSAL_LAST + 1, -EPROTO},
        {VERDICT_PACKET_REFUSE, 0, -EPROTO},
        {VERDICT_PACKET_ACCEPT, RELAY_REFUSED, -EPROTO},
        {VERDICT_PACKET_REFUSE + 1, 0, -EPROTO},
    };

    (void)state;
    give(&report, sizeof report);
    assert_int_equal(receive(), -EPROTO); /* there is no queue */
    reports.verdicts = true;
    reports.state = SERVICE_SERVING;
    give(&report, sizeof report);
    assert_int_equal(receive(), 0);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        reports.state = SERVICE_SERVING;
        verdict->kind = cases[i].kind;
        verdict->mark = cases[i].mark;
        give(&report, sizeof report);
        assert_int_equal(receive(), cases[i].code);
    }
    *verdict = (struct packet_verdict){1, VERDICT_PACKET_DROP, 0};
    for (size_t i = 0; i < 4; i++) {
        static const uint32_t counts[] = {0, VERDICTS_PER_REPORT, 2, VERDICTS_PER_REPORT + 1};

        reports.state = SERVICE_SERVING;
        report.count = counts[i];
        report.verdicts[3].id = i == 2 ? 7 : 0; /* behind the last */
        give(&report, sizeof report);
        assert_int_equal(receive(), i == 1 ? 0 : -EPROTO);
    }
    reports.state = SERVICE_SERVING;
    reports.credit = VERDICTS_PER_REPORT - 1; /* each verdict costs */
    report.count = VERDICTS_PER_REPORT;
    report.verdicts[3].id = 0;
    give(&report, sizeof report);
    assert_int_equal(receive(), -EPROTO);
}

static void test_jail_names(void **state)
{
    static const struct {
        const char *name;
        int code;
    } cases[] = {{"db", 0},        {"a-b_c.d9", 0},   {"", -EPROTO},
                 {"..", -EPROTO},  {".x", -EPROTO},   {"a/b", -EPROTO},
                 {"a b", -EPROTO}, {"a\nb", -EPROTO}, {"\xc3\xa4", -EPROTO}};

    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        struct report_jail jail = {.kind = REPORT_JAIL};

        memcpy(jail.name, cases[i].name, strlen(cases[i].name));
        reports.jails = true;
        reports.state = SERVICE_SERVING;
        give(&jail, sizeof jail);
        assert_int_equal(receive(), cases[i].code);
        reports.jails = false;
        reports.state = SERVICE_SERVING;
        give(&jail, sizeof jail);
        assert_int_equal(receive(), -EPROTO);
        reports.jails = true;
        reports.state = SERVICE_SERVING;
        memset(jail.name, 'a', sizeof jail.name); /* without its end */
        give(&jail, sizeof jail);
        assert_int_equal(receive(), -EPROTO);
    }
}

static void test_rate(void **state)
{
    struct report_verdicts report = {REPORT_VERDICTS, 1, {{1, VERDICT_PACKET_DROP, 0}}};
    union report_message message;

    (void)state;
    reports.verdicts = true;
    for (int i = 0; i < REPORTS_BURST; i++) {
        give(&report, sizeof report);
        assert_int_equal(receive_at(1000, &message), 0);
    }
    give(&report, sizeof report);
    assert_int_equal(receive_at(1001, &message), 0); /* time has passed */
    for (int i = 1; i < REPORTS_PER_SECOND / 1000; i++) {
        give(&report, sizeof report);
        assert_int_equal(receive_at(1001, &message), 0);
    }
    give(&report, sizeof report);
    assert_int_equal(receive_at(1000, &message),
                     -EPROTO); /* a clock that goes back gives nothing */
}

static void test_no_descriptors(void **state)
{
    struct report_pins pin = good_pins();
    struct iovec part = {.iov_base = &pin, .iov_len = sizeof pin};
    union {
        struct cmsghdr header;
        char bytes[CMSG_SPACE(sizeof(int))];
    } control = {0};
    struct msghdr header = {.msg_iov = &part,
                            .msg_iovlen = 1,
                            .msg_control = &control,
                            .msg_controllen = sizeof control};
    struct cmsghdr *cmsg = CMSG_FIRSTHDR(&header);

    (void)state;
    cmsg->cmsg_level = SOL_SOCKET;
    cmsg->cmsg_type = SCM_RIGHTS;
    cmsg->cmsg_len = CMSG_LEN(sizeof(int));
    memcpy(CMSG_DATA(cmsg), &pair[1], sizeof(int));
    assert_int_equal(sendmsg(pair[1], &header, 0), sizeof pin);
    assert_int_equal(receive(), -EPROTO);
}

static void test_end(void **state)
{
    (void)state;
    (void)shutdown(pair[1], SHUT_RDWR);
    assert_int_equal(receive(), -EPIPE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_ready_once, setup, teardown),
        cmocka_unit_test_setup_teardown(test_nothing_before_ready, setup, teardown),
        cmocka_unit_test_setup_teardown(test_nothing_after_a_refusal, setup, teardown),
        cmocka_unit_test_setup_teardown(test_sizes, setup, teardown),
        cmocka_unit_test_setup_teardown(test_pins, setup, teardown),
        cmocka_unit_test_setup_teardown(test_pinned_addresses, setup, teardown),
        cmocka_unit_test_setup_teardown(test_notices, setup, teardown),
        cmocka_unit_test_setup_teardown(test_verdicts, setup, teardown),
        cmocka_unit_test_setup_teardown(test_jail_names, setup, teardown),
        cmocka_unit_test_setup_teardown(test_rate, setup, teardown),
        cmocka_unit_test_setup_teardown(test_no_descriptors, setup, teardown),
        cmocka_unit_test_setup_teardown(test_end, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
