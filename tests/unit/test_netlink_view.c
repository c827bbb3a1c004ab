/* Walks over netlink messages and attributes: every bound exactly, in memory of exactly that size.
 */
#include "service/netlink_view.h"

#include "service/queue_packet.h"

#include <arpa/inet.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_queue.h>
#include <linux/netlink.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct view view_of(const void *bytes, size_t length)
{
    uint8_t *copy = malloc(length ? length : 1);

    assert_non_null(copy);
    memcpy(copy, bytes, length);
    return (struct view){copy, length};
}

/* What one attribute of `stated` bytes is in `length` bytes; false: none is taken, nor anything. */
static bool take_attribute(uint16_t stated, size_t length, size_t *ret_value, size_t *ret_left)
{
    uint8_t bytes[32] = {0};
    struct nlattr header = {.nla_len = stated, .nla_type = 7 | NLA_F_NESTED | NLA_F_NET_BYTEORDER};
    struct view left;
    struct view value;
    uint16_t type;
    const uint8_t *start;
    bool taken;

    memcpy(bytes, &header, sizeof header);
    left = view_of(bytes, length);
    start = left.bytes;
    taken = netlink_take_attribute(&left, &type, &value);
    if (taken) {
        assert_int_equal(type, 7);
        assert_ptr_equal(value.bytes, start + sizeof header);
        *ret_value = value.length;
        *ret_left = left.length;
    } else {
        assert_ptr_equal(left.bytes, start);
        assert_int_equal(left.length, length);
    }
    free((void *)(uintptr_t)start);
    return taken;
}

static void test_attribute(void **state)
{
    size_t value;
    size_t left;

    (void)state;
    for (size_t length = 0; length < sizeof(struct nlattr); length++)
        assert_false(take_attribute(4, length, &value, &left));
    for (uint16_t stated = 0; stated < 4; stated++) /* would be no step at all */
        assert_false(take_attribute(stated, 16, &value, &left));
    assert_true(take_attribute(4, 4, &value, &left));
    assert_int_equal(value, 0);
    assert_int_equal(left, 0);
    assert_true(take_attribute(5, 12, &value, &left));
    assert_int_equal(value, 1);
    assert_int_equal(left, 4);
    for (size_t length = 5; length <= 8; length++) { /* the last one's padding may be missing */
        assert_true(take_attribute(5, length, &value, &left));
        assert_int_equal(value, 1);
        assert_int_equal(left, 0);
    }
    assert_true(take_attribute(16, 16, &value, &left));
    assert_false(take_attribute(17, 16, &value, &left));
    assert_false(take_attribute(0xffff, 16, &value, &left));
}

static void test_message(void **state)
{
    static const uint32_t none[] = {0, 1, 15, 25, 0x7fffffff, 0xfffffffd, 0xffffffff};
    struct nlmsghdr headers[2] = {{.nlmsg_len = 16, .nlmsg_type = 9}};
    struct view left;
    struct view payload;
    uint16_t type;

    (void)state;
    for (size_t i = 0; i < sizeof none / sizeof none[0]; i++) {
        headers[0].nlmsg_len = none[i];
        left = (struct view){(const uint8_t *)headers, 24};
        assert_false(netlink_take_message(&left, &type, &payload));
        assert_int_equal(left.length, 24);
    }
    headers[0].nlmsg_len = 17;
    left = (struct view){(const uint8_t *)headers, 19};
    assert_true(netlink_take_message(&left, &type, &payload));
    assert_int_equal(type, 9);
    assert_int_equal(payload.length, 1);
    assert_int_equal(left.length, 0);
    left = (struct view){(const uint8_t *)headers, 15};
    assert_false(netlink_take_message(&left, &type, &payload));
}

static void keep(void *context, const struct queue_packet *packet)
{
    *(struct queue_packet *)context = *packet;
}

/* A packet whose id is lost would wait in the kernel for ever: what is malformed behind it does not
 * count. */
static void test_id_before_malformed(void **state)
{
    struct {
        struct nlmsghdr header;
        struct nfgenmsg family;
        struct nlattr id_head;
        struct nfqnl_msg_packet_hdr id __attribute__((aligned(4)));
        struct nlattr wrong;
    } message = {
        .header = {.nlmsg_len = sizeof message,
                   .nlmsg_type = NFNL_SUBSYS_QUEUE << 8 | NFQNL_MSG_PACKET},
        .id_head = {.nla_len = sizeof(struct nlattr) + sizeof(struct nfqnl_msg_packet_hdr),
                    .nla_type = NFQA_PACKET_HDR},
        .id = {.packet_id = htonl(77)},
        .wrong = {.nla_len = 3, .nla_type = NFQA_PAYLOAD},
    };
    struct queue_packet packet = {0};

    (void)state;
    queue_packets_each(&message, sizeof message, keep, &packet);
    assert_int_equal(packet.id, 77);
    assert_int_equal(packet.protocol, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_attribute),
        cmocka_unit_test(test_message),
        cmocka_unit_test(test_id_before_malformed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
