/* Sets and their elements.
 *
 * A set's key types are those that nft(8) gives them, so that `nft list ruleset` shows names and
 * addresses instead of numbers; its user data says which keys are in host byte order.
 *
 * A range in a set of one field is two elements: its first key, and the key behind its last with
 * the interval-end flag. In a concatenation it is one element with a second key. The elements of an
 * op go into as many messages as needed, each below 64 kB (a netlink attribute's length has 16
 * bits), all in the same transaction. They are written straight from the plan's packed bytes into
 * the batch: one element object per prefix would cost 300 bytes and an allocation for each of a
 * million. */
#include "kernel/nft_set.h"

#include "base/cleanup.h"

#include <assert.h>
#include <endian.h>
#include <errno.h>
#include <libmnl/libmnl.h>
#include <libnftnl/expr.h>
#include <libnftnl/set.h>
#include <libnftnl/udata.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <string.h>

/* Types of nft(8) (its datatype.h): numbers that it stores in NFTA_SET_KEY_TYPE, 6 bits each in a
 * concatenation. */
enum nft_type {
    TYPE_NFPROTO = 2,
    TYPE_INTEGER = 4, /* of the size that the user data tell */
    TYPE_IPADDR = 7,
    TYPE_IP6ADDR = 8,
    TYPE_ETHERADDR = 9,
    TYPE_ETHERTYPE = 10,
    TYPE_INET_PROTOCOL = 12,
    TYPE_INET_SERVICE = 13,
    TYPE_ICMP_TYPE = 14,
    TYPE_IFINDEX = 20,
    TYPE_CT_STATE = 26,
    TYPE_CT_STATUS = 28,
    TYPE_ICMP6_TYPE = 29,
    TYPE_PKTTYPE = 31,
    TYPE_DEVGROUP = 35,
    TYPE_FIB_ADDR = 38,
    TYPE_MARK = 19,
    TYPE_IFNAME = 41,
};
#define TYPE_BITS 6

/* Byte orders as nft(8) stores them in a set's user data. */
enum {
    BYTEORDER_HOST = 1,
    BYTEORDER_BIG = 2,
};

static const struct field_type {
    uint8_t type;
    bool is_host_order;
} field_types[] = {
    [FIELD_IIFNAME] = {TYPE_IFNAME, true},
    [FIELD_OIFNAME] = {TYPE_IFNAME, true},
    [FIELD_IIFGROUP] = {TYPE_DEVGROUP, true},
    [FIELD_OIFGROUP] = {TYPE_DEVGROUP, true},
    [FIELD_NFPROTO] = {TYPE_NFPROTO, true},
    [FIELD_PROTOCOL] = {TYPE_ETHERTYPE, false},
    [FIELD_L4PROTO] = {TYPE_INET_PROTOCOL, false},
    [FIELD_PKTTYPE] = {TYPE_PKTTYPE, true},
    [FIELD_ETHER_SADDR] = {TYPE_ETHERADDR, false},
    [FIELD_IP_SADDR] = {TYPE_IPADDR, false},
    [FIELD_IP_DADDR] = {TYPE_IPADDR, false},
    [FIELD_IP6_SADDR] = {TYPE_IP6ADDR, false},
    [FIELD_IP6_DADDR] = {TYPE_IP6ADDR, false},
    [FIELD_ARP_SADDR_ETHER] = {TYPE_ETHERADDR, false},
    [FIELD_ARP_SADDR_IP] = {TYPE_IPADDR, false},
    [FIELD_TH_DPORT] = {TYPE_INET_SERVICE, false},
    [FIELD_ICMP_TYPE] = {TYPE_ICMP_TYPE, false},
    [FIELD_ICMPV6_TYPE] = {TYPE_ICMP6_TYPE, false},
    [FIELD_CT_STATE] = {TYPE_CT_STATE, true},
    [FIELD_CT_STATUS] = {TYPE_CT_STATUS, true},
    [FIELD_FIB_DADDR_TYPE] = {TYPE_FIB_ADDR, true},
    [FIELD_ETHER_TYPE] = {TYPE_ETHERTYPE, false},
    [FIELD_ETHER_DADDR] = {TYPE_ETHERADDR, false},
    [FIELD_IIF] = {TYPE_IFINDEX, true},
    [FIELD_FIB_SADDR_TYPE] = {TYPE_FIB_ADDR, true},
    [FIELD_FIB_SADDR_OIF] = {TYPE_IFINDEX, true},
    [FIELD_MARK] = {TYPE_MARK, true},
    [FIELD_ND_TARGET] = {TYPE_INTEGER, false},
};
static_assert(ARRAY_LENGTH(field_types) == FIELD_COUNT, "every field has a type");

#define KEY_MAX       64 /* NFT_DATA_VALUE_MAXLEN */
#define MESSAGE_LIMIT ((size_t)60000)
#define WORD          4

static size_t padded(size_t size)
{
    return (size + WORD - 1) / WORD * WORD;
}

/* A set's data in the kernel: address and port, each padded to 4 bytes. */
static size_t data_address_size(enum nft_set_data data)
{
    return data == SET_DATA_ADDR4_PORT ? 4 : 16;
}

static uint32_t key_type(const struct nft_key *key)
{
    uint32_t type = 0;
    for (size_t i = 0; i < key->count; i++)
        type = type << TYPE_BITS | field_types[key->fields[i]].type;
    return type;
}

static bool set_data_kind(struct nftnl_set *set, const struct op *op, uint32_t *flags)
{
    if (op->set.data == SET_DATA_NONE)
        return true;
    *flags |= NFT_SET_MAP;
    if (op->set.data == SET_DATA_VERDICT) {
        nftnl_set_set_u32(set, NFTNL_SET_DATA_TYPE, NFT_DATA_VERDICT);
        return true;
    }
    uint32_t address = op->set.data == SET_DATA_ADDR4_PORT ? TYPE_IPADDR : TYPE_IP6ADDR;
    nftnl_set_set_u32(set, NFTNL_SET_DATA_TYPE, address << TYPE_BITS | TYPE_INET_SERVICE);
    nftnl_set_set_u32(set, NFTNL_SET_DATA_LEN, (uint32_t)data_address_size(op->set.data) + WORD);
    return true;
}

static bool set_fields(struct nftnl_set *set, const struct nft_key *key)
{
    uint8_t lengths[NFT_FIELDS_MAX];
    for (size_t i = 0; i < key->count; i++)
        lengths[i] = (uint8_t)nft_field_size(key->fields[i]);
    return nftnl_set_set_data(set, NFTNL_SET_DESC_CONCAT, lengths, key->count) == 0;
}

static bool set_counter(struct nftnl_set *set)
{
    struct nftnl_expr *counter = nftnl_expr_alloc("counter");
    if (!counter)
        return false;
    nftnl_set_add_expr(set, counter);
    return true;
}

/* `typeof iifname . @th,64,128` as nft(8) 1.0 writes it, for its own lists of the table: an integer
 * has no size of its own. Expressions and their keys are numbered in its expression.h, meta.h,
 * payload.h. */
static const uint8_t typeof_target[] = {
    0x00, 4,  13,   0, 0, 0, 0x01, 56,                      /* a concatenation of: */
    0x00, 14, 0x00, 4, 9, 0, 0,    0,                       /* 0: meta, */
    0x01, 6,  0x00, 4, 6, 0, 0,    0,                       /* iifname */
    0x01, 38, 0x00, 4, 7, 0, 0,    0,                       /* 1: payload, */
    0x01, 30, 0x00, 4, 0, 0, 0,    0,  0x01, 4, 0, 0, 0, 0, /* raw, */
    0x02, 4,  3,    0, 0, 0,                                /* of the transport header, */
    0x03, 4,  64,   0, 0, 0, 0x04, 4,  128,  0, 0, 0,       /* from bit 64 on, 128 bits */
};

static bool is_target_key(const struct nft_key *key)
{
    return key->count == 2 && key->fields[1] == FIELD_ND_TARGET;
}

static bool set_user_data(struct nftnl_set *set, const struct op *op)
{
    struct nftnl_udata_buf *data = nftnl_udata_buf_alloc(NFT_USERDATA_MAXLEN);
    if (!data)
        return false;
    bool is_host = op->set.key.count == 1 && field_types[op->set.key.fields[0]].is_host_order;
    bool done = nftnl_udata_put_u32(data, NFTNL_UDATA_SET_KEYBYTEORDER,
                                    is_host ? BYTEORDER_HOST : BYTEORDER_BIG);
    if (done && (op->set.data == SET_DATA_ADDR4_PORT || op->set.data == SET_DATA_ADDR6_PORT))
        done = nftnl_udata_put_u32(data, NFTNL_UDATA_SET_DATABYTEORDER, BYTEORDER_BIG);
    if (done && is_target_key(&op->set.key))
        done =
            nftnl_udata_put(data, NFTNL_UDATA_SET_KEY_TYPEOF, sizeof typeof_target, typeof_target);
    if (done)
        done = nftnl_set_set_data(set, NFTNL_SET_USERDATA, nftnl_udata_buf_data(data),
                                  nftnl_udata_buf_len(data)) == 0;
    nftnl_udata_buf_free(data);
    return done;
}

static bool set_names(struct nftnl_set *set, const struct op *op)
{
    return nftnl_set_set_str(set, NFTNL_SET_TABLE, NFT_TABLE_NAME) == 0 &&
           nftnl_set_set_str(set, NFTNL_SET_NAME, op->set.name) == 0;
}

struct nftnl_set *nft_set_new(const struct op *op, uint32_t id)
{
    struct nftnl_set *set = nftnl_set_alloc();
    if (!set)
        return NULL;
    uint32_t flags = 0;
    bool is_concatenation = op->set.key.count > 1;
    if (op->set.is_interval)
        flags |= NFT_SET_INTERVAL | (is_concatenation ? NFT_SET_CONCAT : 0u);
    if (op->set.has_timeout)
        flags |= NFT_SET_TIMEOUT;
    nftnl_set_set_u32(set, NFTNL_SET_FAMILY, nft_family_number(op->set.family));
    nftnl_set_set_u32(set, NFTNL_SET_ID, id);
    nftnl_set_set_u32(set, NFTNL_SET_KEY_TYPE, key_type(&op->set.key));
    nftnl_set_set_u32(set, NFTNL_SET_KEY_LEN, (uint32_t)nft_kernel_key_size(&op->set.key));
    if (op->set.size > 0)
        nftnl_set_set_u32(set, NFTNL_SET_DESC_SIZE, op->set.size);
    bool done = set_names(set, op) && set_data_kind(set, op, &flags) && set_user_data(set, op) &&
                (!is_concatenation || !op->set.is_interval || set_fields(set, &op->set.key)) &&
                (!op->set.has_counter || set_counter(set));
    nftnl_set_set_u32(set, NFTNL_SET_FLAGS, flags);
    if (done)
        return set;
    nftnl_set_free(set);
    return NULL;
}

/* A packed key as the kernel has it. Returns its size. */
static size_t unpack_key(const struct nft_key *key, const uint8_t *packed, uint8_t out[KEY_MAX])
{
    if (key->count == 1) {
        size_t size = nft_field_size(key->fields[0]);
        memcpy(out, packed, size);
        return size;
    }
    size_t offset = 0;
    memset(out, 0, KEY_MAX);
    for (size_t i = 0; i < key->count; i++) {
        size_t size = nft_field_size(key->fields[i]);
        memcpy(out + offset, packed, size);
        packed += size;
        offset += padded(size);
    }
    return offset;
}

/* key + 1 as a big-endian number; false where there is none. */
static bool increment(uint8_t *key, size_t size)
{
    for (size_t i = size; i > 0; i--)
        if (++key[i - 1] != 0)
            return true;
    return false;
}

static void put_value(struct nlmsghdr *message, uint16_t type, const void *bytes, size_t size)
{
    struct nlattr *nest = mnl_attr_nest_start(message, type);
    mnl_attr_put(message, NFTA_DATA_VALUE, size, bytes);
    mnl_attr_nest_end(message, nest);
}

static void put_verdict(struct nlmsghdr *message, const uint8_t *bytes)
{
    static const int32_t codes[] = {[NFT_ACCEPT_PACKET] = NF_ACCEPT,
                                    [NFT_DROP_PACKET] = NF_DROP,
                                    [NFT_RETURN_CHAIN] = NFT_RETURN,
                                    [NFT_JUMP_CHAIN] = NFT_JUMP,
                                    [NFT_GOTO_CHAIN] = NFT_GOTO};
    struct nft_verdict_data verdict;
    memcpy(&verdict, bytes, sizeof verdict);
    int32_t code = verdict.kind < ARRAY_LENGTH(codes) ? codes[verdict.kind] : NF_DROP;
    struct nlattr *data = mnl_attr_nest_start(message, NFTA_SET_ELEM_DATA);
    struct nlattr *nest = mnl_attr_nest_start(message, NFTA_DATA_VERDICT);
    mnl_attr_put_u32(message, NFTA_VERDICT_CODE, htobe32((uint32_t)code));
    if (verdict.kind == NFT_JUMP_CHAIN || verdict.kind == NFT_GOTO_CHAIN)
        mnl_attr_put_strz(message, NFTA_VERDICT_CHAIN, verdict.chain);
    mnl_attr_nest_end(message, nest);
    mnl_attr_nest_end(message, data);
}

static void put_data(struct nlmsghdr *message, enum nft_set_data kind, const uint8_t *bytes)
{
    if (kind == SET_DATA_NONE)
        return;
    if (kind == SET_DATA_VERDICT) {
        put_verdict(message, bytes);
        return;
    }
    uint8_t data[16 + WORD] = {0};
    size_t address = data_address_size(kind);
    memcpy(data, bytes, address);
    memcpy(data + address, bytes + address, sizeof(uint16_t));
    put_value(message, NFTA_SET_ELEM_DATA, data, address + WORD);
}

void nft_write_element(struct nlmsghdr *message, const struct op *op, const uint8_t *packed,
                       bool with_data)
{
    const struct nft_key *key = &op->elements.key;
    size_t packed_size = nft_key_size(key);
    bool is_range = op->elements.is_interval;
    uint8_t bytes[KEY_MAX];
    size_t size = unpack_key(key, packed, bytes);
    struct nlattr *element = mnl_attr_nest_start(message, NFTA_LIST_ELEM);
    put_value(message, NFTA_SET_ELEM_KEY, bytes, size);
    if (is_range)
        size = unpack_key(key, packed + packed_size, bytes);
    if (is_range && key->count > 1)
        put_value(message, NFTA_SET_ELEM_KEY_END, bytes, size);
    if (with_data) {
        put_data(message, op->elements.data, packed + packed_size * (is_range ? 2 : 1));
        if (op->elements.timeout_ms > 0)
            mnl_attr_put_u64(message, NFTA_SET_ELEM_TIMEOUT, htobe64(op->elements.timeout_ms));
    }
    mnl_attr_nest_end(message, element);
    if (!is_range || key->count > 1 || !increment(bytes, size))
        return;
    element = mnl_attr_nest_start(message, NFTA_LIST_ELEM);
    put_value(message, NFTA_SET_ELEM_KEY, bytes, size);
    mnl_attr_put_u32(message, NFTA_SET_ELEM_FLAGS, htobe32(NFT_SET_ELEM_INTERVAL_END));
    mnl_attr_nest_end(message, element);
}

static int put_slice(struct nft_batch *batch, const struct plan *plan, const struct op *op,
                     uint16_t type, uint16_t flags, uint32_t *index, uint32_t end)
{
    struct nlmsghdr *message =
        nft_batch_message(batch, type, nft_family_number(op->elements.family), flags);
    if (!message)
        return batch->failure.code;
    size_t limit = batch->nl->send_limit / 4;
    if (limit > MESSAGE_LIMIT)
        limit = MESSAGE_LIMIT;
    size_t element_size = nft_element_size(op);
    mnl_attr_put_strz(message, NFTA_SET_ELEM_LIST_TABLE, NFT_TABLE_NAME);
    mnl_attr_put_strz(message, NFTA_SET_ELEM_LIST_SET, op->elements.set);
    struct nlattr *list = mnl_attr_nest_start(message, NFTA_SET_ELEM_LIST_ELEMENTS);
    do {
        nft_write_element(message, op,
                          plan->bytes + op->elements.first_byte + *index * element_size,
                          type == NFT_MSG_NEWSETELEM);
        ++*index;
    } while (*index < end && message->nlmsg_len + NFT_ELEMENT_ROOM < limit);
    mnl_attr_nest_end(message, list);
    nft_batch_end(batch, message);
    return 0;
}

int nft_put_elements(struct nft_batch *batch, const struct plan *plan, const struct op *op,
                     uint16_t type, uint16_t flags)
{
    uint32_t index = 0;
    int r = 0;
    while (r == 0 && index < op->elements.count)
        r = put_slice(batch, plan, op, type, flags, &index, op->elements.count);
    return r;
}

int nft_put_element(struct nft_batch *batch, const struct plan *plan, const struct op *op,
                    uint16_t type, uint32_t index)
{
    uint32_t next = index;
    return put_slice(batch, plan, op, type, 0, &next, index + 1);
}
