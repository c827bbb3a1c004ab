/* ICMP errors of the outside, handed on to the jail.
 *
 * A connected UDP socket outside says why nothing can be delivered. Inside, the kernel tells a
 * program only what an ICMP message says about its datagram; so one is made, from addresses and
 * ports, and sent over a raw socket that init opened in the jail. The kernel finds the program's
 * socket by the header inside, and the jail's rules take it for related. No privilege: the socket
 * was opened by one who had it. What must not happen: a byte of the outside in such a message. */
#include "service/relay_errors.h"

#include "service/endpoint.h"

#include <errno.h>
#include <netinet/icmp6.h>
#include <netinet/in.h>
#include <linux/icmp.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct relay_errors {
    int fd4;
    int fd6;
};

/* What a raw socket would receive is nobody's business here, and would only fill its buffer. */
static void receive_nothing(const struct relay_errors *errors)
{
    const uint32_t all4 = UINT32_MAX;
    struct icmp6_filter all6;

    ICMP6_FILTER_SETBLOCKALL(&all6);
    /* Where it fails the buffer fills, and that is all. */
    (void)setsockopt(errors->fd4, SOL_RAW, ICMP_FILTER, &all4, sizeof all4);
    (void)setsockopt(errors->fd6, IPPROTO_ICMPV6, ICMP6_FILTER, &all6, sizeof all6);
}

int relay_errors_new(int fd4, int fd6, struct relay_errors **ret_errors, struct error *error)
{
    struct relay_errors *errors = calloc(1, sizeof *errors);

    if (!errors) {
        (void)close(fd4); /* raw sockets: nothing is lost */
        (void)close(fd6);
        return error_errno(error, -ENOMEM, "cannot start the relay");
    }
    errors->fd4 = fd4;
    errors->fd6 = fd6;
    receive_nothing(errors);
    *ret_errors = errors;
    return 0;
}

void relay_errors_free(struct relay_errors *errors)
{
    if (!errors)
        return;
    (void)close(errors->fd4); /* the same */
    (void)close(errors->fd6);
    free(errors);
}

static void put16(uint8_t *bytes, uint16_t value)
{
    bytes[0] = (uint8_t)(value >> 8);
    bytes[1] = (uint8_t)value;
}

/* RFC 1071. */
static uint16_t checksum(const uint8_t *bytes, size_t length)
{
    uint32_t sum = 0;

    for (size_t i = 0; i + 1 < length; i += 2)
        sum += (uint32_t)(bytes[i] << 8 | bytes[i + 1]);
    while (sum >> 16)
        sum = (sum & 0xffff) + (sum >> 16);
    return (uint16_t)~sum;
}

static void put_udp(uint8_t *bytes, uint16_t source_port, uint16_t port)
{
    put16(bytes, source_port);
    put16(bytes + 2, port);
    put16(bytes + 4, 8);
}

static size_t build4(const struct addr *source, uint16_t source_port,
                     const struct addr *destination, uint16_t port, int refusal, uint8_t *bytes)
{
    uint8_t *inner = bytes + 8;

    bytes[0] = ICMP_DEST_UNREACH;
    bytes[1] = refusal == RELAY_NO_HOST      ? ICMP_HOST_UNREACH
               : refusal == RELAY_NO_NETWORK ? ICMP_NET_UNREACH
               : refusal == RELAY_PROHIBITED ? ICMP_PKT_FILTERED
                                             : ICMP_PORT_UNREACH;
    inner[0] = 0x45;
    put16(inner + 2, 28);
    inner[8] = 64;
    inner[9] = IPPROTO_UDP;
    memcpy(inner + 12, source->bytes, 4);
    memcpy(inner + 16, destination->bytes, 4);
    put16(inner + 10, checksum(inner, 20));
    put_udp(inner + 20, source_port, port);
    put16(bytes + 2, checksum(bytes, 36));
    return 36;
}

/* The checksum is the kernel's (RFC 3542, section 3.1). */
static size_t build6(const struct addr *source, uint16_t source_port,
                     const struct addr *destination, uint16_t port, int refusal, uint8_t *bytes)
{
    uint8_t *inner = bytes + 8;

    bytes[0] = ICMP6_DST_UNREACH;
    bytes[1] = refusal == RELAY_NO_HOST      ? ICMP6_DST_UNREACH_ADDR
               : refusal == RELAY_NO_NETWORK ? ICMP6_DST_UNREACH_NOROUTE
               : refusal == RELAY_PROHIBITED ? ICMP6_DST_UNREACH_ADMIN
                                             : ICMP6_DST_UNREACH_NOPORT;
    inner[0] = 0x60;
    put16(inner + 4, 8);
    inner[6] = IPPROTO_UDP;
    inner[7] = 64;
    memcpy(inner + 8, source->bytes, 16);
    memcpy(inner + 24, destination->bytes, 16);
    put_udp(inner + 40, source_port, port);
    return 56;
}

size_t relay_error_build(const struct addr *source, uint16_t source_port,
                         const struct addr *destination, uint16_t port, int refusal,
                         uint8_t bytes[RELAY_ERROR_SIZE])
{
    memset(bytes, 0, RELAY_ERROR_SIZE);
    return source->family == ADDR_V4
               ? build4(source, source_port, destination, port, refusal, bytes)
               : build6(source, source_port, destination, port, refusal, bytes);
}

void relay_errors_send(struct relay_errors *errors, const struct addr *source, uint16_t source_port,
                       const struct addr *destination, uint16_t port, int refusal)
{
    uint8_t bytes[RELAY_ERROR_SIZE];
    size_t length = relay_error_build(source, source_port, destination, port, refusal, bytes);
    struct endpoint to = endpoint_of(source, 0);

    /* An error that is lost is like any other that a network loses. */
    (void)sendto(source->family == ADDR_V4 ? errors->fd4 : errors->fd6, bytes, length,
                 MSG_DONTWAIT | MSG_NOSIGNAL, &to.any, to.length);
}
