/* Reading the kernel's refusals: extended acks, and messages that are cut anywhere. */
#include "kernel/nl.h"

#include <errno.h>
#include <libmnl/libmnl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static struct nlmsghdr *make_error(void *buffer, int code, uint16_t flags, const char *text)
{
    struct nlmsghdr *message = mnl_nlmsg_put_header(buffer);
    message->nlmsg_type = NLMSG_ERROR;
    message->nlmsg_flags = flags;
    message->nlmsg_seq = 77;
    struct nlmsgerr *answer = mnl_nlmsg_put_extra_header(message, sizeof *answer);
    answer->error = code;
    answer->msg.nlmsg_len = sizeof answer->msg;
    if (text)
        mnl_attr_put_strz(message, NLMSGERR_ATTR_MSG, text);
    return message;
}

static void test_errors(void **state)
{
    (void)state; /* no fixture */
    _Alignas(struct nlmsghdr) char buffer[512];
    struct nl_failure failure;
    assert_true(nl_parse_error(make_error(buffer, 0, NLM_F_CAPPED, NULL), &failure));
    assert_int_equal(failure.code, 0);
    struct nlmsghdr *message =
        make_error(buffer, -EEXIST, NLM_F_CAPPED | NLM_F_ACK_TLVS, "name is taken");
    assert_true(nl_parse_error(message, &failure));
    assert_int_equal(failure.code, -EEXIST);
    assert_int_equal(failure.seq, 77);
    assert_string_equal(failure.text, "name is taken");
    assert_false(nl_parse_error(make_error(buffer, 5, 0, NULL), &failure));
    assert_false(nl_parse_error(make_error(buffer, -5000, 0, NULL), &failure));
}

static void test_cut_anywhere(void **state)
{
    (void)state; /* no fixture */
    _Alignas(struct nlmsghdr) char buffer[512];
    uint32_t whole = make_error(buffer, -EPERM, NLM_F_ACK_TLVS, "no")->nlmsg_len;
    for (uint32_t length = sizeof(struct nlmsghdr); length <= whole; length++) {
        struct nlmsghdr *message = make_error(buffer, -EPERM, NLM_F_ACK_TLVS, "no");
        struct nl_failure failure = {0};
        message->nlmsg_len = length;
        bool is_complete = length >= sizeof(struct nlmsghdr) + sizeof(struct nlmsgerr);
        assert_int_equal(nl_parse_error(message, &failure), is_complete);
        /* The last byte is padding; nothing behind the length counts, though it is in the buffer.
         */
        assert_string_equal(failure.text, length + 1 >= whole ? "no" : "");
    }
}

static void test_sequence_never_zero(void **state)
{
    (void)state; /* no fixture */
    struct nl nl = {.fd = -1, .seq = UINT32_MAX - 2};
    assert_int_equal(nl_take_seq(&nl, 5), 1);
    assert_int_equal(nl_take_seq(&nl, 1), 6);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_errors),
                                       cmocka_unit_test(test_cut_anywhere),
                                       cmocka_unit_test(test_sequence_never_zero)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
