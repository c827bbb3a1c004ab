/* What the outside says by ICMP, handed on to the jail. */
#pragma once

#include "base/diag.h"
#include "policy/relay.h"

#include <stddef.h>
#include <stdint.h>

struct relay_errors;

/* `fd4`, `fd6`: raw ICMP and ICMPv6 sockets of the jail, owned from here on. */
int relay_errors_new(int fd4, int fd6, struct relay_errors **ret_errors, struct error *error);
void relay_errors_free(struct relay_errors *errors); /* NULL is allowed */

/* A packet of the jail that came to nothing. */
struct failed_packet {
    uint8_t protocol; /* IPPROTO_UDP, IPPROTO_ICMP, IPPROTO_ICMPV6 */
    struct addr source;
    struct addr destination;
    uint16_t source_port; /* ICMP: the identifier */
    uint16_t port;        /* ICMP: the sequence number */
};

/* Tells the program that sent the packet how it failed (enum relay_refusal). */
void relay_errors_send(struct relay_errors *errors, const struct failed_packet *failed,
                       int refusal);

/* Sends an ICMP message (its checksum 0: it is put in) that comes from `from`, an address of the
 * outside, to an address of the jail. */
void relay_errors_pass(struct relay_errors *errors, const struct addr *from, const struct addr *to,
                       uint8_t *bytes, size_t length);

/* The message for it (RFC 792, RFC 4443), with the header of what failed in it; its length. `bytes`
 * has RELAY_ERROR_SIZE. Pure. */
#define RELAY_ERROR_SIZE 64
size_t relay_error_build(const struct failed_packet *failed, int refusal,
                         uint8_t bytes[RELAY_ERROR_SIZE]);
