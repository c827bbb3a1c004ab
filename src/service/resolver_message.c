/* Queries in, answers out. Pure, but for the memory that ldns takes and gives back.
 *
 * Messages from the jail and from upstreams are hostile. ldns takes them apart as a whole, and what
 * it does not accept is not looked at; names are then read from its uncompressed form. Answers are
 * written here: header, question as asked, CNAMEs, addresses, EDNS. What must not happen: a record
 * of another name than those of the chain believed (an upstream may send whatever it likes). */
#include "service/resolver_message.h"

#include <ldns/ldns.h>
#include <string.h>

#define TTL_MAX       86400
#define TTL_NEGATIVE  5
#define FLAG_QR       0x80
#define FLAG_OPCODE   0x78
#define FLAG_TC       0x02
#define FLAG_RD       0x01
#define FLAG_RA       0x80
#define POINTER       0xc000u
#define CLASS_IN      1
#define RECORD_HEADER 10 /* type, class, TTL, size */
#define EDNS_SIZE     11

static uint16_t get16(const uint8_t *bytes)
{
    return (uint16_t)(bytes[0] << 8 | bytes[1]);
}

static uint8_t *put16(uint8_t *at, unsigned value)
{
    *at++ = (uint8_t)(value >> 8);
    *at++ = (uint8_t)value;
    return at;
}

static uint8_t *put32(uint8_t *at, uint32_t value)
{
    return put16(put16(at, value >> 16), value & 0xffff);
}

static uint8_t *put_bytes(uint8_t *at, const void *bytes, size_t size)
{
    memcpy(at, bytes, size);
    return at + size;
}

static void cleanup_packet(ldns_pkt **packet)
{
    if (*packet)
        ldns_pkt_free(*packet);
}
#define cleanup_pkt __attribute__((cleanup(cleanup_packet)))

static void take_edns(const ldns_pkt *packet, struct dns_query *query)
{
    uint16_t size = ldns_pkt_edns_udp_size(packet);

    query->udp_size = DNS_UDP_MIN;
    query->has_edns = ldns_pkt_edns(packet);
    if (query->has_edns && size > DNS_UDP_MIN)
        query->udp_size = size < DNS_UDP_MAX ? size : DNS_UDP_MAX;
}

int dns_query_parse(const uint8_t *bytes, size_t size, struct dns_query *ret_query)
{
    struct dns_query query = {.udp_size = DNS_UDP_MIN};
    cleanup_pkt ldns_pkt *packet = NULL;
    size_t length;

    if (size < DNS_HEADER_SIZE || (bytes[2] & FLAG_QR))
        return -1;
    query.id = get16(bytes);
    query.opcode = bytes[2] & FLAG_OPCODE;
    query.recursion_desired = bytes[2] & FLAG_RD;
    *ret_query = query;
    if (query.opcode)
        return DNS_NOTIMP;
    if (get16(bytes + 4) != 1 || ldns_wire2pkt(&packet, bytes, size) != LDNS_STATUS_OK)
        return DNS_FORMERR;
    length = dns_name_take(bytes + DNS_HEADER_SIZE, size - DNS_HEADER_SIZE, &query.name);
    if (length == 0 || DNS_HEADER_SIZE + length + 4 > size)
        return DNS_FORMERR;
    query.question_size = (uint16_t)(length + 4);
    memcpy(query.question, bytes + DNS_HEADER_SIZE, query.question_size);
    query.type = get16(query.question + length);
    take_edns(packet, &query);
    *ret_query = query;
    if (query.has_edns && ldns_pkt_edns_version(packet) != 0)
        return DNS_BADVERS;
    return get16(query.question + length + 2) == CLASS_IN ? DNS_NOERROR : DNS_REFUSED;
}

/* The beginning of a record: its owner by a pointer, where the message is short enough for one. */
static uint8_t *put_owner(uint8_t *at, size_t offset, const struct dns_name *name)
{
    return offset < POINTER >> 2 ? put16(at, POINTER | (unsigned)offset)
                                 : put_bytes(at, name->wire, name->length);
}

static uint8_t *put_record(uint8_t *at, uint16_t type, uint32_t ttl_s, size_t size)
{
    at = put16(put16(at, type), CLASS_IN);
    return put16(put32(at, ttl_s), (unsigned)size);
}

/* The records; NULL when they need more than the room until `end`. */
static uint8_t *put_answer(const struct dns_answer *answer, uint8_t *out, uint8_t *at,
                           const uint8_t *end, unsigned *ret_count)
{
    size_t owner = DNS_HEADER_SIZE;
    const struct dns_name *name = &answer->chain[0];

    for (size_t i = 1; i < answer->chain_count; i++) {
        const struct dns_name *next = &answer->chain[i];

        if (end - at < name->length + RECORD_HEADER + next->length)
            return NULL;
        at = put_record(put_owner(at, owner, name), DNS_TYPE_CNAME, answer->ttl_s, next->length);
        owner = (size_t)(at - out);
        at = put_bytes(at, next->wire, next->length);
        name = next;
        ++*ret_count;
    }
    for (size_t i = 0; i < answer->addrs_count; i++) {
        const struct addr *addr = &answer->addrs[i];
        size_t size = addr_size(addr->family);

        if (end - at < (ptrdiff_t)(name->length + RECORD_HEADER + size))
            return NULL;
        at = put_record(put_owner(at, owner, name),
                        addr->family == ADDR_V4 ? DNS_TYPE_A : DNS_TYPE_AAAA, answer->ttl_s, size);
        at = put_bytes(at, addr->bytes, size);
        ++*ret_count;
    }
    if (answer->pointer.length == 0)
        return at;
    if (end - at < name->length + RECORD_HEADER + answer->pointer.length)
        return NULL;
    at =
        put_record(put_owner(at, owner, name), DNS_TYPE_PTR, answer->ttl_s, answer->pointer.length);
    ++*ret_count;
    return put_bytes(at, answer->pointer.wire, answer->pointer.length);
}

size_t dns_answer_write(const struct dns_query *query, const struct dns_answer *answer,
                        size_t limit, uint8_t *out)
{
    uint8_t *at = put16(out, query->id);
    const uint8_t *end = out + limit - (query->has_edns ? EDNS_SIZE : 0);
    unsigned count = 0;
    uint8_t *records;

    *at++ = (uint8_t)(FLAG_QR | query->opcode | (query->recursion_desired ? FLAG_RD : 0));
    *at++ = (uint8_t)(FLAG_RA | (answer->rcode & 0xf));
    at = put16(put16(at, query->question_size > 0), 0);
    at = put16(put16(at, 0), query->has_edns);
    at = put_bytes(at, query->question, query->question_size);
    records = answer->chain_count > 0 ? put_answer(answer, out, at, end, &count) : at;
    if (records)
        at = records;
    else
        out[2] |= FLAG_TC;
    (void)put16(out + 6, records ? count : 0);
    if (!query->has_edns)
        return (size_t)(at - out);
    *at++ = 0; /* the root */
    at = put16(put16(at, DNS_TYPE_OPT), DNS_UDP_MAX);
    at = put32(at, (uint32_t)(answer->rcode >> 4) << 24);
    return (size_t)(put16(at, 0) - out);
}

size_t dns_question_write(uint16_t id, const struct dns_name *name, uint16_t type,
                          const uint8_t mixed[DNS_NAME_MAX / 8 + 1], uint8_t *out)
{
    uint8_t *at = put16(out, id);
    uint8_t *start;

    *at++ = FLAG_RD;
    *at++ = 0;
    at = put16(put16(at, 1), 0);
    start = at = put16(put16(at, 0), 0);
    at = put_bytes(at, name->wire, name->length);
    for (size_t i = 0; i < name->length; i++) {
        bool large = mixed[i / 8] >> i % 8 & 1;

        if (large && start[i] >= 'a' && start[i] <= 'z')
            start[i] = (uint8_t)(start[i] - 'a' + 'A');
    }
    return (size_t)(put16(put16(at, type), CLASS_IN) - out);
}

enum dns_match dns_reply_match(const uint8_t *question, size_t question_size, const uint8_t *bytes,
                               size_t size)
{
    size_t length = question_size - DNS_HEADER_SIZE;
    struct dns_name ours, theirs;

    if (size < question_size || memcmp(question, bytes, 2) != 0 || !(bytes[2] & FLAG_QR) ||
        (bytes[2] & FLAG_OPCODE) || get16(bytes + 4) != 1)
        return DNS_MATCH_NO;
    if (memcmp(question + DNS_HEADER_SIZE, bytes + DNS_HEADER_SIZE, length) == 0)
        return DNS_MATCH_YES;
    return dns_name_take(question + DNS_HEADER_SIZE, length, &ours) == length - 4 &&
                   dns_name_take(bytes + DNS_HEADER_SIZE, length, &theirs) == length - 4 &&
                   dns_name_equal(&ours, &theirs) &&
                   memcmp(question + question_size - 4, bytes + question_size - 4, 4) == 0
               ? DNS_MATCH_BUT_CASE
               : DNS_MATCH_NO;
}

static bool take_rdf(const ldns_rdf *rdf, struct dns_name *ret_name)
{
    return rdf && ldns_rdf_get_type(rdf) == LDNS_RDF_TYPE_DNAME &&
           dns_name_take(ldns_rdf_data(rdf), ldns_rdf_size(rdf), ret_name) == ldns_rdf_size(rdf);
}

static void lower_ttl(struct dns_answer *answer, uint32_t ttl_s)
{
    if (ttl_s < answer->ttl_s)
        answer->ttl_s = ttl_s;
}

/* The CNAME of the chain's last name; false when there is none. */
static bool follow(const ldns_rr_list *records, struct dns_answer *answer)
{
    const struct dns_name *last = &answer->chain[answer->chain_count - 1];

    for (size_t i = 0; i < ldns_rr_list_rr_count(records); i++) {
        const ldns_rr *record = ldns_rr_list_rr(records, i);
        struct dns_name owner, target;

        if (ldns_rr_get_type(record) != LDNS_RR_TYPE_CNAME ||
            ldns_rr_get_class(record) != LDNS_RR_CLASS_IN ||
            !take_rdf(ldns_rr_owner(record), &owner) || !dns_name_equal(&owner, last) ||
            !take_rdf(ldns_rr_rdf(record, 0), &target))
            continue;
        if (answer->chain_count == DNS_CHAIN_MAX)
            return false;
        answer->chain[answer->chain_count++] = target;
        lower_ttl(answer, ldns_rr_ttl(record));
        return true;
    }
    return false;
}

static void take_addresses(const ldns_rr_list *records, uint16_t type, struct dns_answer *answer)
{
    const struct dns_name *last = &answer->chain[answer->chain_count - 1];
    uint8_t family = type == DNS_TYPE_A ? ADDR_V4 : ADDR_V6;

    for (size_t i = 0; i < ldns_rr_list_rr_count(records); i++) {
        const ldns_rr *record = ldns_rr_list_rr(records, i);
        const ldns_rdf *data = ldns_rr_rdf(record, 0);
        struct addr addr = {.family = family};
        struct dns_name owner;

        if (ldns_rr_get_type(record) != (ldns_rr_type)type ||
            ldns_rr_get_class(record) != LDNS_RR_CLASS_IN || !data ||
            ldns_rdf_size(data) != addr_size(family) || !take_rdf(ldns_rr_owner(record), &owner) ||
            !dns_name_equal(&owner, last) || answer->addrs_count == DNS_ADDRS_MAX)
            continue;
        memcpy(addr.bytes, ldns_rdf_data(data), addr_size(family));
        answer->addrs[answer->addrs_count++] = addr;
        lower_ttl(answer, ldns_rr_ttl(record));
    }
}

bool dns_reply_parse(const uint8_t *bytes, size_t size, const struct dns_name *name, uint16_t type,
                     struct dns_answer *ret_answer)
{
    cleanup_pkt ldns_pkt *packet = NULL;
    struct dns_answer *answer = ret_answer;
    const ldns_rr_list *records;

    answer->chain[0] = *name;
    answer->chain_count = 1;
    answer->addrs_count = 0;
    answer->pointer.length = 0;
    answer->is_open = answer->is_truncated = false;
    answer->ttl_s = TTL_MAX;
    if (size >= DNS_HEADER_SIZE && (bytes[2] & FLAG_TC)) {
        answer->is_truncated = true;
        return true;
    }
    if (ldns_wire2pkt(&packet, bytes, size) != LDNS_STATUS_OK)
        return false;
    answer->rcode = (enum dns_rcode)(bytes[3] & 0xf);
    records = ldns_pkt_answer(packet);
    while (follow(records, answer))
        ;
    take_addresses(records, type, answer);
    if (answer->addrs_count == 0)
        lower_ttl(answer, TTL_NEGATIVE);
    answer->is_open =
        answer->rcode == DNS_NOERROR && answer->addrs_count == 0 && answer->chain_count > 1;
    return true;
}

static int hex_digit(uint8_t byte)
{
    if (byte >= '0' && byte <= '9')
        return byte - '0';
    return byte >= 'a' && byte <= 'f' ? byte - 'a' + 10 : -1;
}

/* d.c.b.a.in-addr.arpa */
static bool address4(const char *text, struct addr *ret_addr)
{
    struct addr reversed, addr = {.family = ADDR_V4};
    const char *suffix = strstr(text, ".in-addr.arpa");

    if (!suffix || suffix[sizeof ".in-addr.arpa" - 1] != '\0' ||
        addr_parse(text, (size_t)(suffix - text), &reversed) < 0 || reversed.family != ADDR_V4)
        return false;
    for (size_t i = 0; i < 4; i++)
        addr.bytes[i] = reversed.bytes[3 - i];
    *ret_addr = addr;
    return true;
}

bool dns_name_address(const struct dns_name *name, struct addr *ret_addr)
{
    static const uint8_t suffix[] = "\3ip6\4arpa"; /* with the root's zero */
    struct addr addr = {.family = ADDR_V6};
    char text[DNS_NAME_MAX];

    if (name->length != 64 + sizeof suffix || memcmp(name->wire + 64, suffix, sizeof suffix) != 0)
        return dns_name_text(name, text) && address4(text, ret_addr);
    for (size_t i = 0; i < 32; i++) {
        int digit = hex_digit(name->wire[2 * i + 1]);

        if (name->wire[2 * i] != 1 || digit < 0)
            return false;
        addr.bytes[15 - i / 2] |= (uint8_t)(digit << (i % 2 * 4));
    }
    *ret_addr = addr;
    return true;
}
