/* From a netlink message of NFQUEUE to the few fields of a packet that decide about it.
 *
 * The packets were made by programs of the jail, in the end by its kernel; their headers are taken
 * as hostile all the same: every length is looked at before what it speaks of. Pure; fuzzed. What
 * must not happen: a byte read behind the message, or a packet whose id is lost (it would wait in
 * the kernel for ever). */
#include "service/queue_packet.h"

#include "service/netlink_view.h"

#include <arpa/inet.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_queue.h>
#include <linux/netlink.h>
#include <netinet/in.h>
#include <string.h>

#define PACKET_TYPE ((NFNL_SUBSYS_QUEUE << 8) | NFQNL_MSG_PACKET)

static uint16_t get16(const uint8_t *bytes)
{
    uint16_t value;

    memcpy(&value, bytes, sizeof value);
    return ntohs(value);
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
    if (view_skip(&view, header))
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
    (void)view_skip(&view, 40); /* they are there */
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

/* One message; false: it has no id. Malformed attributes end it, what was before them counts. */
static bool read_message(struct view view, struct queue_packet *packet)
{
    bool has_id = false;
    uint16_t type;
    struct view value;
    struct view payload = {0};

    if (!view_skip(&view, NLMSG_ALIGN(sizeof(struct nfgenmsg))))
        return false;
    while (netlink_take_attribute(&view, &type, &value)) {
        struct nfqnl_msg_packet_hdr header;

        if (type == NFQA_PACKET_HDR && value.length >= sizeof header) {
            memcpy(&header, value.bytes, sizeof header);
            packet->id = ntohl(header.packet_id);
            has_id = true;
        } else if (type == NFQA_PAYLOAD) {
            payload = value;
        }
    }
    read_payload(payload, packet);
    return has_id;
}

void queue_packets_each(const void *bytes, size_t length,
                        void (*each)(void *context, const struct queue_packet *packet),
                        void *context)
{
    struct view left = {bytes, length};
    struct view message;
    uint16_t type;

    while (netlink_take_message(&left, &type, &message)) {
        struct queue_packet packet = {0};

        if (type == PACKET_TYPE && read_message(message, &packet))
            each(context, &packet);
    }
}
