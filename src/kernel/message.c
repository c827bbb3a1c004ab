/* How messages of rtnetlink and nfnetlink begin, and what their attributes say.
 *
 * Attributes are checked for their length before they are read; an unknown one is skipped. */
#include "kernel/message.h"

#include <arpa/inet.h>
#include <linux/netfilter/nfnetlink.h>
#include <string.h>

void *rtnl_request_init(struct rtnl_request *request, uint16_t type, int flags, size_t header_size)
{
    request->message = mnl_nlmsg_put_header(request->buffer);
    request->message->nlmsg_type = type;
    request->message->nlmsg_flags = (uint16_t)(NLM_F_REQUEST | flags);
    return mnl_nlmsg_put_extra_header(request->message, header_size);
}

struct nlmsghdr *nfnl_message(char *buffer, uint8_t subsystem, uint8_t type, int flags,
                              uint8_t family, uint16_t number)
{
    struct nlmsghdr *message = mnl_nlmsg_put_header(buffer);

    message->nlmsg_type = (uint16_t)(subsystem << 8 | type);
    message->nlmsg_flags = (uint16_t)(NLM_F_REQUEST | flags);
    struct nfgenmsg *header = mnl_nlmsg_put_extra_header(message, sizeof *header);
    header->nfgen_family = family;
    header->version = NFNETLINK_V0;
    header->res_id = htons(number);
    return message;
}

static int collect(const struct nlattr *attribute, void *context)
{
    struct attributes *attributes = context;
    uint16_t type = mnl_attr_get_type(attribute);

    if (type < ATTRIBUTES_MAX)
        attributes->list[type] = attribute;
    return MNL_CB_OK;
}

bool attributes_parse(const struct nlmsghdr *message, size_t header_size,
                      struct attributes *ret_attributes)
{
    size_t offset = NLMSG_SPACE(header_size);

    memset(ret_attributes, 0, sizeof *ret_attributes);
    if (message->nlmsg_len < NLMSG_LENGTH(header_size))
        return false;
    /* Not mnl_attr_parse(), which rounds the length of the message up. */
    return message->nlmsg_len <= offset ||
           mnl_attr_parse_payload((const char *)message + offset, message->nlmsg_len - offset,
                                  collect, ret_attributes) >= 0;
}

uint32_t attribute_u32(const struct nlattr *attribute, uint32_t missing)
{
    return attribute && mnl_attr_get_payload_len(attribute) >= sizeof(uint32_t)
               ? mnl_attr_get_u32(attribute)
               : missing;
}

uint8_t attribute_u8(const struct nlattr *attribute, uint8_t missing)
{
    return attribute && mnl_attr_get_payload_len(attribute) >= sizeof(uint8_t)
               ? mnl_attr_get_u8(attribute)
               : missing;
}

bool attribute_addr(const struct nlattr *attribute, uint8_t family, struct addr *ret_addr)
{
    if (!attribute || mnl_attr_get_payload_len(attribute) != addr_size(family))
        return false;
    *ret_addr = (struct addr){.family = family};
    memcpy(ret_addr->bytes, mnl_attr_get_payload(attribute), addr_size(family));
    return true;
}

uint8_t family_from_os(uint8_t family)
{
    if (family == AF_INET)
        return ADDR_V4;
    return family == AF_INET6 ? ADDR_V6 : ADDR_NONE;
}

uint8_t family_to_os(uint8_t family)
{
    return family == ADDR_V4 ? AF_INET : AF_INET6;
}
