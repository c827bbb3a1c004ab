/* Messages of rtnetlink and nfnetlink: how they begin, and their attributes. Nothing is sent. */
#pragma once

#include "base/addr.h"

#include <libmnl/libmnl.h>
#include <linux/netlink.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MESSAGE_SIZE   4096
#define ATTRIBUTES_MAX 128

/* A request to rtnetlink. Its attributes are bounded by the sizes of struct op and struct record:
 * it always fits. */
struct rtnl_request {
    _Alignas(struct nlmsghdr) char buffer[MESSAGE_SIZE];
    struct nlmsghdr *message;
};

/* Begins it, with a header of its family behind the common one; returns that header, zeroed. */
void *rtnl_request_init(struct rtnl_request *request, uint16_t type, int flags, size_t header_size);

/* Begins a message of nfnetlink in `buffer`. `family` is AF_...; `number`: of the group or queue.
 */
struct nlmsghdr *nfnl_message(char *buffer, uint8_t subsystem, uint8_t type, int flags,
                              uint8_t family, uint16_t number);

/* The attributes of a message, by type; of two with the same type the last. They point into it. */
struct attributes {
    const struct nlattr *list[ATTRIBUTES_MAX];
};

/* false: the message is cut short, or an attribute lies about its length. */
bool attributes_parse(const struct nlmsghdr *message, size_t header_size,
                      struct attributes *ret_attributes);

/* The value of an attribute; `missing` where it is NULL or too short. */
uint32_t attribute_u32(const struct nlattr *attribute, uint32_t missing);
uint8_t attribute_u8(const struct nlattr *attribute, uint8_t missing);

/* false, and *ret_addr untouched: NULL, or not an address of this family (ADDR_V4, ADDR_V6). */
bool attribute_addr(const struct nlattr *attribute, uint8_t family, struct addr *ret_addr);

/* Between AF_INET, AF_INET6 and ADDR_V4, ADDR_V6. From the kernel, another one is ADDR_NONE. */
uint8_t family_from_os(uint8_t family);
uint8_t family_to_os(uint8_t family);
