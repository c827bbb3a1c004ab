/* ICMP errors of the outside, handed on to the jail. */
#pragma once

#include "base/diag.h"
#include "policy/relay.h"

#include <stddef.h>
#include <stdint.h>

struct relay_errors;

/* `fd4`, `fd6`: raw ICMP and ICMPv6 sockets of the jail, owned from here on. */
int relay_errors_new(int fd4, int fd6, struct relay_errors **ret_errors, struct error *error);
void relay_errors_free(struct relay_errors *errors); /* NULL is allowed */

/* Tells the program that sent a datagram from source:source_port to destination:port how it failed.
 */
void relay_errors_send(struct relay_errors *errors, const struct addr *source, uint16_t source_port,
                       const struct addr *destination, uint16_t port, int refusal);

/* The message for it (RFC 792, RFC 4443), with the header of what failed in it; its length. `bytes`
 * has RELAY_ERROR_SIZE. Pure. */
#define RELAY_ERROR_SIZE 64
size_t relay_error_build(const struct addr *source, uint16_t source_port,
                         const struct addr *destination, uint16_t port, int refusal,
                         uint8_t bytes[RELAY_ERROR_SIZE]);
