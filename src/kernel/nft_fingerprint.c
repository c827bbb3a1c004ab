/* The elements of a set as one number, to compare what the kernel has with what was meant.
 *
 * The kernel shows a set's elements in an order of its own; the fingerprints of single elements are
 * added up, so that the order does not matter and nothing has to be kept or sorted: a set of 65,000
 * elements is compared with 16 bytes of memory. Both sides go through the same reader: an element
 * of the plan is written as the message that would add it. It is no protection against a kernel
 * that lies; it finds a kernel, or a neighbour in the namespace, that has something else. */
#include "kernel/nft_fingerprint.h"

#include "kernel/nft_set.h"

#include <endian.h>
#include <errno.h>
#include <libmnl/libmnl.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <string.h>

/* The finaliser of splitmix64 (Steele, Lea, Flood 2014): every bit changes every other. */
static uint64_t mix(uint64_t value)
{
    value = (value ^ value >> 30) * 0xbf58476d1ce4e5b9u;
    value = (value ^ value >> 27) * 0x94d049bb133111ebu;
    return value ^ value >> 31;
}

static uint64_t mix_bytes(uint64_t sum, const void *bytes, size_t length)
{
    const uint8_t *at = bytes;

    for (; length > 0; length -= length < 8 ? length : 8, at += 8) {
        uint64_t word = 0;

        memcpy(&word, at, length < 8 ? length : 8);
        sum = mix(sum ^ word) + length;
    }
    return sum;
}

static int mix_part(const struct nlattr *part, void *context)
{
    uint64_t *sum = context;

    *sum = mix_bytes(*sum + mnl_attr_get_type(part), mnl_attr_get_payload(part),
                     mnl_attr_get_payload_len(part));
    return MNL_CB_OK;
}

/* NFTA_DATA_VALUE, or NFTA_DATA_VERDICT with its parts. */
static int mix_data(const struct nlattr *attribute, void *context)
{
    if (mnl_attr_get_type(attribute) == NFTA_DATA_VERDICT)
        return mnl_attr_parse_nested(attribute, mix_part, context);
    return mix_part(attribute, context);
}

static int mix_attribute(const struct nlattr *attribute, void *context)
{
    uint64_t *sum = context;
    uint16_t type = mnl_attr_get_type(attribute);
    uint64_t part = mix(type);

    if (type == NFTA_SET_ELEM_FLAGS && mnl_attr_get_payload_len(attribute) == sizeof(uint32_t)) {
        part = mix(be32toh(mnl_attr_get_u32(attribute)) & NFT_SET_ELEM_INTERVAL_END);
    } else if (type == NFTA_SET_ELEM_KEY || type == NFTA_SET_ELEM_KEY_END ||
               type == NFTA_SET_ELEM_DATA) {
        if (mnl_attr_parse_nested(attribute, mix_data, &part) < 0)
            return MNL_CB_ERROR;
    } else {
        return MNL_CB_OK;
    }
    *sum += part;
    return MNL_CB_OK;
}

int nft_fingerprint_element(const struct nlattr *element, void *context)
{
    struct nft_fingerprint *fingerprint = context;
    uint64_t sum = 0;

    if (mnl_attr_parse_nested(element, mix_attribute, &sum) < 0)
        return MNL_CB_ERROR;
    fingerprint->count++;
    fingerprint->sum += mix(sum);
    return MNL_CB_OK;
}

int nft_fingerprint_op(struct nft_fingerprint *fingerprint, const struct plan *plan,
                       const struct op *op)
{
    _Alignas(struct nlmsghdr) char buffer[NFT_ELEMENT_ROOM + 64];
    size_t size = nft_element_size(op);

    for (uint32_t i = 0; i < op->elements.count; i++) {
        struct nlmsghdr *message = mnl_nlmsg_put_header(buffer);

        nft_write_element(message, op, plan->bytes + op->elements.first_byte + i * size, true);
        if (mnl_attr_parse(message, 0, nft_fingerprint_element, fingerprint) < 0)
            return -EPROTO;
    }
    return 0;
}
