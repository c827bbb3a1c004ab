/* Messages of the kernel's packet log (NFLOG, linux/netfilter/nfnetlink_log.h) as values. Pure. */
#pragma once

#include "base/addr.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define NFLOG_QUESTION_MAX 96 /* longer ones do not fit into what the kernel copies */

struct nflog_packet {
    char prefix[128]; /* what the rule says: "denied out default"; untrusted text */
    struct addr source;
    struct addr destination; /* family ADDR_NONE: no IP packet, or cut too short */
    uint8_t protocol;        /* IPPROTO_*; the last header that could be reached */
    bool has_ports;
    uint16_t source_port;
    uint16_t port; /* of the destination */
    bool has_type;
    uint8_t type;                      /* ICMP, ICMPv6 */
    char question[NFLOG_QUESTION_MAX]; /* the host name that a DNS query (UDP) asks for; "": none */
};

/* Calls `seen` for every logged packet in the `length` bytes that one recv() of the netlink socket
 * gave. The bytes are hostile: what is malformed is left out. Returns how many packets were seen.
 */
size_t nflog_each(const void *bytes, size_t length,
                  void (*seen)(void *context, const struct nflog_packet *packet), void *context);

/* Takes apart an IP packet that may be cut off; false when it is none. */
bool nflog_parse_packet(const uint8_t *bytes, size_t length, struct nflog_packet *packet);
