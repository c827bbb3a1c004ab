/* Walks netlink messages, their attributes, and the headers of the packet in them.
 *
 * All of it is hostile: the jail chose the packet. Nothing is read before what is left was found to
 * be long enough; each step of a walk takes bytes, so that every walk ends. No system call.
 * Formats: netlink(7), linux/netfilter/nfnetlink_log.h, RFC 791, RFC 8200, RFC 9293, RFC 768, RFC
 * 1035. */
#include "service/nflog.h"

#include "service/netlink_view.h"
#include "service/resolver_name.h"

#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_log.h>
#include <linux/netlink.h>
#include <netinet/in.h>
#include <string.h>

#define UDP_HEADER  8
#define DNS_HEADER  12
#define DNS_PORT    53
#define PACKET_TYPE ((NFNL_SUBSYS_ULOG << 8) | NFULNL_MSG_PACKET)

static uint16_t read_u16(const uint8_t *bytes)
{
    return (uint16_t)((unsigned)bytes[0] << 8 | bytes[1]);
}

/* A query to a name server (RFC 1035, section 4.1): behind the UDP header, with one question. */
static void parse_question(struct view view, struct nflog_packet *packet)
{
    static const uint8_t one_question[2] = {0, 1};
    struct dns_name name;
    char text[DNS_NAME_MAX];

    if (!view_skip(&view, UDP_HEADER) || view.length < DNS_HEADER || view.bytes[2] & 0x80 ||
        memcmp(view.bytes + 4, one_question, sizeof one_question) != 0)
        return;
    (void)view_skip(&view, DNS_HEADER); /* it is there */
    if (dns_name_take(view.bytes, view.length, &name) > 0 && dns_name_text(&name, text) &&
        strlen(text) < sizeof packet->question)
        memcpy(packet->question, text, strlen(text) + 1);
}

static void parse_ports(struct view view, struct nflog_packet *packet)
{
    switch (packet->protocol) {
    case IPPROTO_TCP:
    case IPPROTO_UDP:
    case IPPROTO_SCTP:
    case IPPROTO_UDPLITE:
        if (view.length < 4)
            return;
        packet->has_ports = true;
        packet->source_port = read_u16(view.bytes);
        packet->port = read_u16(view.bytes + 2);
        if (packet->protocol == IPPROTO_UDP && packet->port == DNS_PORT)
            parse_question(view, packet);
        return;
    case IPPROTO_ICMP:
    case IPPROTO_ICMPV6:
        if (view.length < 1)
            return;
        packet->has_type = true;
        packet->type = view.bytes[0];
        return;
    default:
        return;
    }
}

static bool parse_v4(struct view view, struct nflog_packet *packet)
{
    size_t header;
    bool is_first;

    if (view.length < 20)
        return false;
    header = (size_t)(view.bytes[0] & 0x0f) * 4;
    if (header < 20)
        return false;
    packet->protocol = view.bytes[9];
    packet->source.family = packet->destination.family = ADDR_V4;
    memcpy(packet->source.bytes, view.bytes + 12, 4);
    memcpy(packet->destination.bytes, view.bytes + 16, 4);
    is_first = (read_u16(view.bytes + 6) & 0x1fff) == 0; /* fragment offset */
    if (is_first && view_skip(&view, header))
        parse_ports(view, packet);
    return true;
}

/* Steps over one extension header (RFC 8200, section 4); false when `next` is none, or it is cut
 * off, or what follows is not the first fragment. */
static bool skip_extension(struct view *view, uint8_t *next)
{
    size_t size;

    switch (*next) {
    case IPPROTO_HOPOPTS:
    case IPPROTO_ROUTING:
    case IPPROTO_DSTOPTS:
        if (view->length < 2)
            return false;
        size = ((size_t)view->bytes[1] + 1) * 8;
        break;
    case IPPROTO_FRAGMENT:
        if (view->length < 8 || (read_u16(view->bytes + 2) & 0xfff8) != 0)
            return false;
        size = 8;
        break;
    default:
        return false;
    }
    if (size > view->length)
        return false;
    *next = view->bytes[0];
    return view_skip(view, size);
}

static bool is_extension(uint8_t protocol)
{
    return protocol == IPPROTO_HOPOPTS || protocol == IPPROTO_ROUTING ||
           protocol == IPPROTO_DSTOPTS || protocol == IPPROTO_FRAGMENT;
}

static bool parse_v6(struct view view, struct nflog_packet *packet)
{
    if (view.length < 40)
        return false;
    packet->protocol = view.bytes[6];
    packet->source.family = packet->destination.family = ADDR_V6;
    memcpy(packet->source.bytes, view.bytes + 8, 16);
    memcpy(packet->destination.bytes, view.bytes + 24, 16);
    if (!view_skip(&view, 40))
        return true;
    while (skip_extension(&view, &packet->protocol))
        ;
    if (!is_extension(packet->protocol))
        parse_ports(view, packet);
    return true;
}

bool nflog_parse_packet(const uint8_t *bytes, size_t length, struct nflog_packet *packet)
{
    const struct view view = {bytes, length};

    if (length < 1)
        return false;
    if (bytes[0] >> 4 == 4)
        return parse_v4(view, packet);
    return bytes[0] >> 4 == 6 && parse_v6(view, packet);
}

static void take_attribute(unsigned type, struct view value, struct nflog_packet *packet)
{
    if (type == NFULA_PREFIX) {
        size_t length = strnlen((const char *)value.bytes, value.length);

        if (length >= sizeof packet->prefix)
            length = sizeof packet->prefix - 1;
        memcpy(packet->prefix, value.bytes, length);
        packet->prefix[length] = 0;
    } else if (type == NFULA_PAYLOAD) {
        /* No IP packet: it is shown with its prefix alone. */
        (void)nflog_parse_packet(value.bytes, value.length, packet);
    }
}

static bool take_message(struct view view, struct nflog_packet *packet)
{
    uint16_t type;
    struct view value;

    if (!view_skip(&view, NLMSG_ALIGN(sizeof(struct nfgenmsg))))
        return false;
    while (netlink_take_attribute(&view, &type, &value))
        take_attribute(type, value, packet);
    return view.length < sizeof(struct nlattr); /* else it is malformed */
}

size_t nflog_each(const void *bytes, size_t length,
                  void (*seen)(void *context, const struct nflog_packet *packet), void *context)
{
    struct view left = {bytes, length};
    struct view message;
    uint16_t type;
    size_t count = 0;

    while (netlink_take_message(&left, &type, &message)) {
        struct nflog_packet packet = {0};

        if (type == PACKET_TYPE && take_message(message, &packet)) {
            seen(context, &packet);
            count++;
        }
    }
    return count;
}
