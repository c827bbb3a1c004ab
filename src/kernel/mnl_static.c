/* libmnl's functions for a program without shared libraries.
 *
 * Distributions ship libmnl as a shared library only, and loading shared libraries is a fifth of a
 * jail's start. So netjail, and only netjail, links these instead, where there is no libmnl.a: what
 * our own code and libnftnl call, to the letter of libmnl.h (tests/unit/test_mnl.c holds each
 * against the library). Everything else is linked with the library itself. A function that is
 * missing here is an error of the linker.
 *
 * Messages are flat: a header, then attributes of type, length and value, each padded to four bytes
 * (netlink(7), linux/netlink.h). What is read here may come from a broken or hostile sender: no
 * attribute is touched that its length does not cover. Pure: memory only. */
#include <assert.h>
#include <errno.h>
#include <libmnl/libmnl.h>
#include <stdlib.h>
#include <string.h>

#define MESSAGE_HEADER   sizeof(struct nlmsghdr)
#define ATTRIBUTE_HEADER sizeof(struct nlattr)

static_assert(MESSAGE_HEADER % MNL_ALIGNTO == 0 && ATTRIBUTE_HEADER % MNL_ALIGNTO == 0,
              "headers need no padding");

static size_t padded(size_t length)
{
    return (length + MNL_ALIGNTO - 1) / MNL_ALIGNTO * MNL_ALIGNTO;
}

/* Building: the caller has seen to the room behind the message. */

static void *tail(const struct nlmsghdr *message)
{
    return (char *)(uintptr_t)message + padded(message->nlmsg_len);
}

static void grow(struct nlmsghdr *message, size_t length)
{
    message->nlmsg_len += (uint32_t)padded(length);
}

size_t mnl_nlmsg_size(size_t length)
{
    return length + MESSAGE_HEADER;
}

struct nlmsghdr *mnl_nlmsg_put_header(void *buffer)
{
    struct nlmsghdr *message = memset(buffer, 0, MESSAGE_HEADER);

    message->nlmsg_len = MESSAGE_HEADER;
    return message;
}

void *mnl_nlmsg_put_extra_header(struct nlmsghdr *message, size_t size)
{
    void *extra = memset((char *)message + message->nlmsg_len, 0, padded(size));

    grow(message, size);
    return extra;
}

void mnl_attr_put(struct nlmsghdr *message, uint16_t type, size_t length, const void *data)
{
    struct nlattr *attribute = tail(message);

    attribute->nla_type = type;
    attribute->nla_len = (uint16_t)(ATTRIBUTE_HEADER + length);
    if (length > 0)
        memcpy((char *)attribute + ATTRIBUTE_HEADER, data, length);
    memset((char *)attribute + ATTRIBUTE_HEADER + length, 0, padded(length) - length);
    grow(message, ATTRIBUTE_HEADER + length);
}

void mnl_attr_put_u8(struct nlmsghdr *message, uint16_t type, uint8_t data)
{
    mnl_attr_put(message, type, sizeof data, &data);
}

void mnl_attr_put_u16(struct nlmsghdr *message, uint16_t type, uint16_t data)
{
    mnl_attr_put(message, type, sizeof data, &data);
}

void mnl_attr_put_u32(struct nlmsghdr *message, uint16_t type, uint32_t data)
{
    mnl_attr_put(message, type, sizeof data, &data);
}

void mnl_attr_put_u64(struct nlmsghdr *message, uint16_t type, uint64_t data)
{
    mnl_attr_put(message, type, sizeof data, &data);
}

void mnl_attr_put_str(struct nlmsghdr *message, uint16_t type, const char *data)
{
    mnl_attr_put(message, type, strlen(data), data);
}

void mnl_attr_put_strz(struct nlmsghdr *message, uint16_t type, const char *data)
{
    mnl_attr_put(message, type, strlen(data) + 1, data);
}

struct nlattr *mnl_attr_nest_start(struct nlmsghdr *message, uint16_t type)
{
    struct nlattr *start = tail(message);

    start->nla_type = NLA_F_NESTED | type;
    grow(message, sizeof *start);
    return start;
}

void mnl_attr_nest_end(struct nlmsghdr *message, struct nlattr *start)
{
    start->nla_len = (uint16_t)((char *)tail(message) - (char *)start);
}

/* Reading. */

bool mnl_nlmsg_ok(const struct nlmsghdr *message, int length)
{
    return length >= (int)sizeof *message && message->nlmsg_len >= sizeof *message &&
           (int)message->nlmsg_len <= length;
}

struct nlmsghdr *mnl_nlmsg_next(const struct nlmsghdr *message, int *length)
{
    *length -= (int)padded(message->nlmsg_len);
    return tail(message);
}

void *mnl_nlmsg_get_payload(const struct nlmsghdr *message)
{
    return (char *)(uintptr_t)message + MESSAGE_HEADER;
}

size_t mnl_nlmsg_get_payload_len(const struct nlmsghdr *message)
{
    return message->nlmsg_len - MESSAGE_HEADER;
}

uint16_t mnl_attr_get_type(const struct nlattr *attribute)
{
    return attribute->nla_type & (uint16_t)NLA_TYPE_MASK;
}

uint16_t mnl_attr_get_payload_len(const struct nlattr *attribute)
{
    return (uint16_t)(attribute->nla_len - ATTRIBUTE_HEADER);
}

void *mnl_attr_get_payload(const struct nlattr *attribute)
{
    return (char *)(uintptr_t)attribute + ATTRIBUTE_HEADER;
}

uint8_t mnl_attr_get_u8(const struct nlattr *attribute)
{
    return *(const uint8_t *)mnl_attr_get_payload(attribute);
}

uint16_t mnl_attr_get_u16(const struct nlattr *attribute)
{
    return *(const uint16_t *)mnl_attr_get_payload(attribute);
}

uint32_t mnl_attr_get_u32(const struct nlattr *attribute)
{
    return *(const uint32_t *)mnl_attr_get_payload(attribute);
}

uint64_t mnl_attr_get_u64(const struct nlattr *attribute)
{
    uint64_t value; /* attributes are aligned to four bytes */

    memcpy(&value, mnl_attr_get_payload(attribute), sizeof value);
    return value;
}

const char *mnl_attr_get_str(const struct nlattr *attribute)
{
    return mnl_attr_get_payload(attribute);
}

bool mnl_attr_ok(const struct nlattr *attribute, int length)
{
    return length >= (int)sizeof *attribute && attribute->nla_len >= sizeof *attribute &&
           (int)attribute->nla_len <= length;
}

struct nlattr *mnl_attr_next(const struct nlattr *attribute)
{
    return (struct nlattr *)((uintptr_t)attribute + padded(attribute->nla_len));
}

int mnl_attr_type_valid(const struct nlattr *attribute, uint16_t type_max)
{
    if (mnl_attr_get_type(attribute) <= type_max)
        return 1;
    errno = EOPNOTSUPP;
    return -1;
}

static int invalid(int code)
{
    errno = code;
    return -1;
}

/* The size that a type has; 0: any. */
static size_t type_size(enum mnl_attr_data_type type)
{
    switch (type) {
    case MNL_TYPE_U8:
        return sizeof(uint8_t);
    case MNL_TYPE_U16:
        return sizeof(uint16_t);
    case MNL_TYPE_U32:
        return sizeof(uint32_t);
    case MNL_TYPE_U64:
    case MNL_TYPE_MSECS:
        return sizeof(uint64_t);
    default:
        return 0;
    }
}

int mnl_attr_validate(const struct nlattr *attribute, enum mnl_attr_data_type type)
{
    size_t length = mnl_attr_get_payload_len(attribute);
    size_t size = type_size(type);

    if (type >= MNL_TYPE_MAX)
        return invalid(EINVAL);
    if (size > 0 && length != size)
        return invalid(ERANGE);
    if (type == MNL_TYPE_FLAG && length > 0)
        return invalid(ERANGE);
    if ((type == MNL_TYPE_STRING || type == MNL_TYPE_NUL_STRING) && length == 0)
        return invalid(ERANGE);
    if (type == MNL_TYPE_NUL_STRING && mnl_attr_get_str(attribute)[length - 1] != '\0')
        return invalid(EINVAL);
    if (type == MNL_TYPE_NESTED && length > 0 && length < ATTRIBUTE_HEADER)
        return invalid(ERANGE);
    return 0;
}

int mnl_attr_parse_payload(const void *payload, size_t length, mnl_attr_cb_t callback,
                           void *context)
{
    const struct nlattr *attribute = payload;
    const char *end = (const char *)payload + length;
    int result = MNL_CB_OK;

    while (mnl_attr_ok(attribute, (int)(end - (const char *)attribute))) {
        result = callback(attribute, context);
        if (result <= MNL_CB_STOP)
            break;
        attribute = mnl_attr_next(attribute);
    }
    return result;
}

int mnl_attr_parse(const struct nlmsghdr *message, unsigned offset, mnl_attr_cb_t callback,
                   void *context)
{
    const char *start = (const char *)mnl_nlmsg_get_payload(message) + padded(offset);
    const char *end = tail(message);

    return end < start ? MNL_CB_OK
                       : mnl_attr_parse_payload(start, (size_t)(end - start), callback, context);
}

int mnl_attr_parse_nested(const struct nlattr *nest, mnl_attr_cb_t callback, void *context)
{
    return mnl_attr_parse_payload(mnl_attr_get_payload(nest), mnl_attr_get_payload_len(nest),
                                  callback, context);
}

/* libnftnl has these in a function that asks whether the kernel knows batches. Nobody calls it;
 * without a socket it gives up before it comes to the others. */

struct mnl_socket *mnl_socket_open(int bus)
{
    (void)bus;
    errno = ENOSYS;
    return NULL;
}

#ifdef __clang__
#pragma clang diagnostic ignored "-Wc2x-extensions" /* parameters without a name */
#endif
#define NEVER_CALLED(result, name, ...)                                                            \
    result name(__VA_ARGS__)                                                                       \
    {                                                                                              \
        abort();                                                                                   \
    }

NEVER_CALLED(int, mnl_socket_bind, struct mnl_socket *, unsigned, pid_t)
NEVER_CALLED(ssize_t, mnl_socket_sendto, const struct mnl_socket *, const void *, size_t)
NEVER_CALLED(ssize_t, mnl_socket_recvfrom, const struct mnl_socket *, void *, size_t)
NEVER_CALLED(unsigned, mnl_socket_get_portid, const struct mnl_socket *)
NEVER_CALLED(int, mnl_socket_close, struct mnl_socket *)
NEVER_CALLED(int, mnl_cb_run, const void *, size_t, unsigned, unsigned, mnl_cb_t, void *)
NEVER_CALLED(struct mnl_nlmsg_batch *, mnl_nlmsg_batch_start, void *, size_t)
NEVER_CALLED(void, mnl_nlmsg_batch_stop, struct mnl_nlmsg_batch *)
NEVER_CALLED(bool, mnl_nlmsg_batch_next, struct mnl_nlmsg_batch *)
NEVER_CALLED(bool, mnl_nlmsg_batch_is_empty, struct mnl_nlmsg_batch *)
NEVER_CALLED(size_t, mnl_nlmsg_batch_size, struct mnl_nlmsg_batch *)
NEVER_CALLED(void *, mnl_nlmsg_batch_head, struct mnl_nlmsg_batch *)
NEVER_CALLED(void *, mnl_nlmsg_batch_current, struct mnl_nlmsg_batch *)
