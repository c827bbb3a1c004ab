/* Messages of NFQUEUE, parsed (linux/netfilter/nfnetlink_queue.h). Pure. */
#pragma once

#include "base/addr.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct queue_packet {
    uint32_t id;
    uint8_t protocol; /* IPPROTO_TCP, IPPROTO_ICMP, IPPROTO_ICMPV6 */
    struct addr source;
    struct addr destination;
    uint16_t source_port; /* tcp; ICMP: the identifier */
    uint16_t port;        /* tcp; ICMP: the sequence number */
    uint8_t icmp_type;
    bool is_cut;            /* ICMP: the payload is longer than what was copied */
    const uint8_t *payload; /* ICMP: behind its 8 bytes; as much as was copied */
    size_t payload_length;
};

#define QUEUE_COPY_BYTES 2048 /* of each packet: a ping's payload */

/* Calls `each` for every packet in one datagram of the netlink socket; what cannot be understood
 * but has an id comes with protocol 0, so that it can be dropped. */
void queue_packets_each(const void *bytes, size_t length,
                        void (*each)(void *context, const struct queue_packet *packet),
                        void *context);
