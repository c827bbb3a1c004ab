/* Shared by the files of the rule compiler. */
#pragma once

#include "plan/rules.h"

/* What a match says about protocol and port. The order is that of the buckets. */
enum match_kind {
    MATCH_KIND_ANY,   /* every protocol */
    MATCH_KIND_PLAIN, /* one protocol, all of it */
    MATCH_KIND_PORT,  /* one protocol, a range of destination ports */
    MATCH_KIND_TYPE,  /* ICMP or ICMPv6, one type */
};

/* One protocol with its ports or types. */
struct proto_match {
    enum match_kind kind;
    uint8_t family; /* ADDR_NONE: both */
    uint8_t first;  /* protocol numbers first..last: one, or all */
    uint8_t last;
    uint16_t x_first; /* ports or types */
    uint16_t x_last;
};

/* A box in the space (source, destination, protocol, port or type): one element of a set. */
struct box {
    struct span from;
    struct span to;
    struct proto_match proto; /* its family is that of the box; ADDR_NONE: any addresses */
    bool any_from;
    bool any_to;
    uint8_t verdict; /* enum verdict */
    uint32_t rule;   /* index into policy->rules */
};

struct boxes {
    struct box *list;
    size_t list_count, list_capacity;
};

struct protos {
    struct proto_match *list;
    size_t list_count, list_capacity;
};

/* More boxes than this make a rule stand on its own: with sets whose sizes add up, not multiply. */
#define RULE_BOXES_MAX 64

/* The protocols and ports of a rule as a list. */
void rule_protos(struct arena *arena, const struct rule *rule, struct protos *protos);

/* All boxes of a rule, or false when they are more than RULE_BOXES_MAX. */
bool rule_boxes(struct rules_context *context, const struct rule *rule, struct boxes *boxes);

/* True where both address sets of a rule are every address of both families. */
bool rule_any_address(struct rules_context *context, const struct rule *rule);

/* A rule on its own: rate, log, large sets. */
void rule_emit_alone(struct rules_context *context, const struct rule *rule, const char *chain);

/* A run of rules whose order among each other does not matter, as few sets. Reorders the list. */
void group_emit(struct rules_context *context, struct boxes *boxes, enum direction direction,
                const char *chain);

/* Matches of one family, address and protocol as terms of the open rule. */
void term_match_proto(struct plan *plan, const struct proto_match *proto);
void term_match_span(struct plan *plan, enum nft_field field, const struct span *span,
                     uint8_t family);

/* The end of a rule: [log] counter verdict, as rule and policy ask for it. */
void rule_emit_end(struct rules_context *context, enum verdict verdict, enum direction direction,
                   const struct rule *first, const struct rule *last, bool log);

/* A name for the next set. */
void rules_set_name(struct rules_context *context, const char *stem, char name[NFT_NAME_SIZE]);
