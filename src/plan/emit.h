/* Appending nftables ops to a plan: tables, chains, sets, rules term by term, elements byte by
 * byte. The rule or elements op that was begun last is the one that terms and bytes go to. Pure. */
#pragma once

#include "plan/plan.h"

/* What a set is, as data: the sets of the shared tables are such a list (host_tables.h). */
struct set_definition {
    enum nft_family family;
    char name[NFT_NAME_SIZE];
    struct nft_key key;
    bool is_interval;
    bool has_timeout;
    bool has_counter;
    uint32_t size;
    enum nft_set_data data;
};

/* Which table the following ops belong to. */
struct emit {
    struct plan *plan;
    enum where where;
    enum nft_family family;
    struct position position;
};

void emit_table(const struct emit *emit);
/* A base chain; `type` is "filter" or "nat", hook NF_INET_* or NF_BR_*. */
void emit_base_chain(const struct emit *emit, const char *name, const char *type, unsigned hook,
                     int priority, bool policy_drop);
void emit_chain(const struct emit *emit, const char *name);
void emit_set(const struct emit *emit, const struct set_definition *set);

/* Begins a rule at the end of a chain; the term_* calls that follow fill it from left to right. */
void emit_rule(const struct emit *emit, const char *chain);
void term_match(struct plan *plan, enum nft_field field, enum match_op op, const void *value,
                const void *last);
void term_match_byte(struct plan *plan, enum nft_field field, uint8_t value);
void term_match_port(struct plan *plan, uint16_t first, uint16_t last);
/* Fields in host byte order: groups, ct state, ct status, fib. */
void term_match_word(struct plan *plan, enum nft_field field, enum match_op op, uint32_t value);
void term_match_ifname(struct plan *plan, enum nft_field field, const char *name);
void term_match_addr(struct plan *plan, enum nft_field field, const struct addr *first,
                     const struct addr *last);
/* meta nfproto of an address family. */
void term_match_family(struct plan *plan, uint8_t family);
void term_lookup(struct plan *plan, const struct nft_key *key, const char *set, bool invert);
void term_dnat(struct plan *plan, const struct nft_key *key, const char *map, uint8_t family);
void term_simple(struct plan *plan, enum term_kind kind);
void term_tproxy(struct plan *plan, const struct addr *addr, uint16_t port);
void term_limit(struct plan *plan, uint64_t rate, uint32_t unit_s, uint32_t burst);
void term_log(struct plan *plan, const char *prefix);
void term_verdict(struct plan *plan, enum nft_verdict verdict, const char *chain);

/* Begins an op of elements; each element is some element_* calls and one element_end. */
void emit_elements(const struct emit *emit, const struct set_definition *set, uint32_t timeout_ms);
void element_bytes(struct plan *plan, const void *bytes, size_t length);
void element_ifname(struct plan *plan, const char *name);
void element_addr(struct plan *plan, const struct addr *addr);
void element_byte(struct plan *plan, uint8_t value);
void element_port(struct plan *plan, uint16_t port);
void element_end(struct plan *plan);

/* The source and destination address fields of a family. */
enum nft_field field_saddr(uint8_t family);
enum nft_field field_daddr(uint8_t family);
