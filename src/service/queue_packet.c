/* From a netlink message of NFQUEUE to the few fields of a packet that decide about it.
 *
 * The packets were made by programs of the jail, in the end by its kernel; their headers are taken
 * as hostile all the same: every length is looked at before what it speaks of. Pure; fuzzed. What
 * must not happen: a byte read behind the message, or a packet whose id is lost (it would wait in
 * the kernel for ever). */
#include "service/queue_packet.h"

#include <arpa/inet.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_queue.h>
#include <linux/netlink.h>
#include <netinet/in.h>
#include <string.h>

struct view {
    const uint8_t *bytes;
    size_t length;
};

static uint16_t get16(const uint8_t *bytes)
{
    uint16_t value;

    memcpy(&value, bytes, sizeof value);
    return ntohs(value);
}

/* The bytes behind the first `count`; false: there are not so many. */
static bool skip(struct view *view, size_t count)
{
    if (view->length < count)
        return false;
    view->bytes += count;
    view->length -= count;
    return true;
}

/* `total`: bytes of the whole packet behind the IP header, as that says. */
static void read_transport(struct view view, size_t total, struct queue_packet *packet,
                           uint8_t protocol)
{
    if (protocol == IPPROTO_TCP && view.length >= 20) {
        packet->source_port = get16(view.bytes);
        packet->port = get16(view.bytes + 2);
        packet->protocol = protocol;
    } else if ((protocol == IPPROTO_ICMP || protocol == IPPROTO_ICMPV6) && view.length >= 8 &&
               total >= 8) {
        packet->icmp_type = view.bytes[0];
        packet->source_port = get16(view.bytes + 4);
        packet->port = get16(view.bytes + 6);
        packet->payload = view.bytes + 8;
        packet->payload_length = (view.length < total ? view.length : total) - 8;
        packet->is_cut = view.length < total;
        packet->protocol = protocol;
    }
}

static void read_v4(struct view view, struct queue_packet *packet)
{
    size_t header;
    size_t total;
    const uint8_t *bytes = view.bytes;

    if (view.length < 20)
        return;
    header = (size_t)(bytes[0] & 0x0f) * 4;
    if (header < 20 || (get16(bytes + 6) & 0x1fff) != 0) /* a fragment has no port */
        return;
    packet->source.family = packet->destination.family = ADDR_V4;
    memcpy(packet->source.bytes, bytes + 12, 4);
    memcpy(packet->destination.bytes, bytes + 16, 4);
    total = get16(bytes + 2);
    if (skip(&view, header))
        read_transport(view, total > header ? total - header : 0, packet, bytes[9]);
}

/* The jail's kernel puts no extension header in front of what it connects with; a packet that has
 * one is not carried. */
static void read_v6(struct view view, struct queue_packet *packet)
{
    const uint8_t *bytes = view.bytes;

    if (view.length < 40)
        return;
    packet->source.family = packet->destination.family = ADDR_V6;
    memcpy(packet->source.bytes, bytes + 8, 16);
    memcpy(packet->destination.bytes, bytes + 24, 16);
    (void)skip(&view, 40); /* they are there */
    read_transport(view, get16(bytes + 4), packet, bytes[6]);
}

static void read_payload(struct view view, struct queue_packet *packet)
{
    if (view.length == 0)
        return;
    if (view.bytes[0] >> 4 == 4)
        read_v4(view, packet);
    else if (view.bytes[0] >> 4 == 6)
        read_v6(view, packet);
}

/* The attributes of one message; false: it has no id. */
static bool read_attributes(struct view view, struct queue_packet *packet)
{
    bool has_id = false;
    struct view payload = {0};

    while (view.length >= sizeof(struct nlattr)) {
        struct nlattr attribute;
        struct nfqnl_msg_packet_hdr header;
        struct view value;

        memcpy(&attribute, view.bytes, sizeof attribute);
        if (attribute.nla_len < sizeof attribute || attribute.nla_len > view.length)
            break;
        value = (struct view){view.bytes + sizeof attribute, attribute.nla_len - sizeof attribute};
        if ((attribute.nla_type & NLA_TYPE_MASK) == NFQA_PACKET_HDR &&
            value.length >= sizeof header) {
            memcpy(&header, value.bytes, sizeof header);
            packet->id = ntohl(header.packet_id);
            has_id = true;
        } else if ((attribute.nla_type & NLA_TYPE_MASK) == NFQA_PAYLOAD) {
            payload = value;
        }
        if (!skip(&view, NLA_ALIGN(attribute.nla_len)))
            break;
    }
    read_payload(payload, packet);
    return has_id;
}

void queue_packets_each(const void *bytes, size_t length,
                        void (*each)(void *context, const struct queue_packet *packet),
                        void *context)
{
    struct view view = {bytes, length};

    while (view.length >= sizeof(struct nlmsghdr)) {
        struct queue_packet packet = {0};
        struct nlmsghdr header;
        struct view message;

        memcpy(&header, view.bytes, sizeof header);
        if (header.nlmsg_len < sizeof header || header.nlmsg_len > view.length)
            return;
        message = (struct view){view.bytes, header.nlmsg_len};
        if (header.nlmsg_type == ((NFNL_SUBSYS_QUEUE << 8) | NFQNL_MSG_PACKET) &&
            skip(&message, NLMSG_HDRLEN + NLMSG_ALIGN(sizeof(struct nfgenmsg))) &&
            read_attributes(message, &packet))
            each(context, &packet);
        if (!skip(&view, NLMSG_ALIGN(header.nlmsg_len)))
            return;
    }
}
