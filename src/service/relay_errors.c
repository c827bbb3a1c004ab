/* ICMP of the outside, handed on to the jail: errors and answers to pings.
 *
 * A connected UDP socket outside says why nothing can be delivered. Inside, the kernel tells a
 * program only what an ICMP message says about its datagram; so one is made, from addresses and
 * ports, and sent over a raw socket that init opened in the jail. The kernel finds the program's
 * socket by the header inside, and the jail's rules take it for related. No privilege: the socket
 * was opened by one who had it. What must not happen: a byte of the outside in an error. */
#include "service/relay_errors.h"

#include "service/endpoint.h"

#include <errno.h>
#include <linux/icmp.h>
#include <netinet/icmp6.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#ifndef IPV6_FREEBIND
#define IPV6_FREEBIND 78 /* linux/in6.h */
#endif

struct relay_errors {
    int fd4;
    int fd6;
};

/* What a raw socket would receive is nobody's business here, and would only fill its buffer. */
static void receive_nothing(const struct relay_errors *errors)
{
    const uint32_t all4 = UINT32_MAX;
    struct icmp6_filter all6;

    const int on = 1;

    ICMP6_FILTER_SETBLOCKALL(&all6);
    /* Where it fails the buffer fills, and that is all. */
    (void)setsockopt(errors->fd4, SOL_RAW, ICMP_FILTER, &all4, sizeof all4);
    (void)setsockopt(errors->fd6, IPPROTO_ICMPV6, ICMP6_FILTER, &all6, sizeof all6);
    /* Where this fails no ping of IPv6 is answered. */
    (void)setsockopt(errors->fd6, IPPROTO_IPV6, IPV6_FREEBIND, &on, sizeof on);
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
    if (length % 2)
        sum += (uint32_t)bytes[length - 1] << 8;
    while (sum >> 16)
        sum = (sum & 0xffff) + (sum >> 16);
    return (uint16_t)~sum;
}

/* The first 8 bytes of what failed. */
static void put_transport(uint8_t *bytes, const struct failed_packet *failed)
{
    if (failed->protocol == IPPROTO_UDP) {
        put16(bytes, failed->source_port);
        put16(bytes + 2, failed->port);
        put16(bytes + 4, 8);
    } else {
        bytes[0] = failed->protocol == IPPROTO_ICMP ? ICMP_ECHO : ICMP6_ECHO_REQUEST;
        put16(bytes + 4, failed->source_port);
        put16(bytes + 6, failed->port);
    }
}

static size_t build4(const struct failed_packet *failed, int refusal, uint8_t *bytes)
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
    inner[9] = failed->protocol;
    memcpy(inner + 12, failed->source.bytes, 4);
    memcpy(inner + 16, failed->destination.bytes, 4);
    put16(inner + 10, checksum(inner, 20));
    put_transport(inner + 20, failed);
    put16(bytes + 2, checksum(bytes, 36));
    return 36;
}

/* The checksum is the kernel's (RFC 3542, section 3.1). */
static size_t build6(const struct failed_packet *failed, int refusal, uint8_t *bytes)
{
    uint8_t *inner = bytes + 8;

    bytes[0] = ICMP6_DST_UNREACH;
    bytes[1] = refusal == RELAY_NO_HOST      ? ICMP6_DST_UNREACH_ADDR
               : refusal == RELAY_NO_NETWORK ? ICMP6_DST_UNREACH_NOROUTE
               : refusal == RELAY_PROHIBITED ? ICMP6_DST_UNREACH_ADMIN
                                             : ICMP6_DST_UNREACH_NOPORT;
    inner[0] = 0x60;
    put16(inner + 4, 8);
    inner[6] = failed->protocol;
    inner[7] = 64;
    memcpy(inner + 8, failed->source.bytes, 16);
    memcpy(inner + 24, failed->destination.bytes, 16);
    put_transport(inner + 40, failed);
    return 56;
}

size_t relay_error_build(const struct failed_packet *failed, int refusal,
                         uint8_t bytes[RELAY_ERROR_SIZE])
{
    memset(bytes, 0, RELAY_ERROR_SIZE);
    return failed->source.family == ADDR_V4 ? build4(failed, refusal, bytes)
                                            : build6(failed, refusal, bytes);
}

void relay_errors_send(struct relay_errors *errors, const struct failed_packet *failed, int refusal)
{
    uint8_t bytes[RELAY_ERROR_SIZE];
    size_t length = relay_error_build(failed, refusal, bytes);
    struct endpoint to = endpoint_of(&failed->source, 0);

    /* An error that is lost is like any other that a network loses. */
    (void)sendto(to.any.sa_family == AF_INET ? errors->fd4 : errors->fd6, bytes, length,
                 MSG_DONTWAIT | MSG_NOSIGNAL, &to.any, to.length);
}

/* The address that the message is to come from (ip(7); RFC 3542, section 6.1). */
static void put_source(struct msghdr *message, const struct addr *from)
{
    struct in_pktinfo v4 = {0};
    struct in6_pktinfo v6 = {0};

    if (from->family == ADDR_V4) {
        memcpy(&v4.ipi_spec_dst, from->bytes, sizeof v4.ipi_spec_dst);
        endpoint_put_control(message, IPPROTO_IP, IP_PKTINFO, &v4, sizeof v4);
    } else {
        memcpy(&v6.ipi6_addr, from->bytes, sizeof v6.ipi6_addr);
        endpoint_put_control(message, IPPROTO_IPV6, IPV6_PKTINFO, &v6, sizeof v6);
    }
}

void relay_errors_pass(struct relay_errors *errors, const struct addr *from, const struct addr *to,
                       uint8_t *bytes, size_t length)
{
    struct endpoint endpoint = endpoint_of(to, 0);
    struct iovec part = {bytes, length};
    union {
        struct cmsghdr align;
        char bytes[CMSG_SPACE(sizeof(struct in6_pktinfo))];
    } control = {0};
    struct msghdr message = {.msg_name = &endpoint.any,
                             .msg_namelen = endpoint.length,
                             .msg_iov = &part,
                             .msg_iovlen = 1,
                             .msg_control = &control,
                             .msg_controllen = sizeof control};

    if (to->family == ADDR_V4)
        put16(bytes + 2, checksum(bytes, length));
    put_source(&message, from);
    /* What cannot be sent is lost, as on any network. */
    (void)sendmsg(to->family == ADDR_V4 ? errors->fd4 : errors->fd6, &message,
                  MSG_DONTWAIT | MSG_NOSIGNAL);
}
