/* DNS messages: read with ldns, written by hand. Pure. */
#pragma once

#include "base/addr.h"
#include "service/resolver_name.h"

#define DNS_HEADER_SIZE 12
#define DNS_UDP_MIN     512
#define DNS_UDP_MAX     1232 /* what passes everywhere without fragments */
#define DNS_MESSAGE_MAX 65535
#define DNS_CHAIN_MAX   12
#define DNS_ADDRS_MAX   256

enum dns_type {
    DNS_TYPE_A = 1,
    DNS_TYPE_CNAME = 5,
    DNS_TYPE_PTR = 12,
    DNS_TYPE_AAAA = 28,
    DNS_TYPE_OPT = 41,
    DNS_TYPE_ANY = 255,
};

enum dns_rcode {
    DNS_NOERROR = 0,
    DNS_FORMERR = 1,
    DNS_SERVFAIL = 2,
    DNS_NXDOMAIN = 3,
    DNS_NOTIMP = 4,
    DNS_REFUSED = 5,
    DNS_BADVERS = 16,
};

/* What the jail asks. */
struct dns_query {
    uint16_t id;
    uint8_t opcode; /* where it stands in the header; 0: a question */
    bool recursion_desired;
    bool has_edns;
    uint16_t udp_size; /* of the largest answer by UDP, in DNS_UDP_MIN..DNS_UDP_MAX */
    uint16_t type;
    struct dns_name name;
    uint16_t question_size; /* as it was asked, to be repeated: name, type, class */
    uint8_t question[DNS_NAME_MAX + 4];
};

/* Reads a query; the bytes are hostile. Returns DNS_NOERROR, the rcode of what cannot be answered
 * (*ret_query then has what an answer needs, with question_size 0 where there was no question), or
 * -1: to be ignored. */
int dns_query_parse(const uint8_t *bytes, size_t size, struct dns_query *ret_query);

/* What is answered: a chain of names (the first is the one asked for, each the CNAME of the one
 * before), and addresses of the last; or the name that an address has. */
struct dns_answer {
    enum dns_rcode rcode;
    uint32_t ttl_s;
    uint8_t chain_count; /* 0: nothing but the rcode */
    bool is_open;        /* the last name of the chain has still to be asked for */
    bool is_truncated;   /* to be asked by TCP */
    uint16_t addrs_count;
    struct dns_name chain[DNS_CHAIN_MAX];
    struct addr addrs[DNS_ADDRS_MAX];
    struct dns_name pointer; /* PTR; length 0: none */
};

/* Writes the answer to a query. `limit`: bytes that may be written, at most `udp_size` by UDP; what
 * does not fit is marked as truncated. Returns the size; `out` has room for DNS_MESSAGE_MAX. */
size_t dns_answer_write(const struct dns_query *query, const struct dns_answer *answer,
                        size_t limit, uint8_t *out);

/* Writes a question of our own: `mixed` says which letters are large (bit i for the i-th byte of
 * the name). `out` has room for DNS_UDP_MIN bytes. */
size_t dns_question_write(uint16_t id, const struct dns_name *name, uint16_t type,
                          const uint8_t mixed[DNS_NAME_MAX / 8 + 1], uint8_t *out);

/* How an answer relates to the question (dns_question_write()) of `question_size` bytes. */
enum dns_match {
    DNS_MATCH_NO,
    DNS_MATCH_BUT_CASE, /* the server does not keep the case of letters */
    DNS_MATCH_YES,
};
enum dns_match dns_reply_match(const uint8_t *question, size_t question_size, const uint8_t *bytes,
                               size_t size);

/* Reads the answer of an upstream to a question for A or AAAA of `name`; the bytes are hostile and
 * dns_reply_match() is not repeated. False: it makes no sense. A TTL is at most a day. */
bool dns_reply_parse(const uint8_t *bytes, size_t size, const struct dns_name *name, uint16_t type,
                     struct dns_answer *ret_answer);

/* The address of a name below in-addr.arpa or ip6.arpa. */
bool dns_name_address(const struct dns_name *name, struct addr *ret_addr);
