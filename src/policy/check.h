/* The parts of policy_check(). Each appends to diags. Private to src/policy/. */
#pragma once

#include "base/map.h"
#include "policy/policy.h"

void check_values(const struct policy *policy, struct diags *diags);
void check_networks(struct policy *policy, struct diags *diags);
void check_links(struct policy *policy, struct diags *diags);
void check_addresses(const struct policy *policy, struct diags *diags);
void check_gateways(const struct policy *policy, struct diags *diags);
void check_publishes(const struct policy *policy, struct diags *diags);
void check_rules(const struct policy *policy, struct diags *diags);
void check_names_refused(const struct policy *policy, struct diags *diags);
void check_shadowed(const struct policy *policy, struct diags *diags);
void check_dns(const struct policy *policy, struct diags *diags);

/* Numbers the sets of names and of jails, and decides whether there is a resolver. */
void names_number(struct policy *policy);

/* Is `addr` in a prefix of the link: of its addresses, or with `address auto` of its network? */
bool link_reaches(const struct policy *policy, const struct link *link, const struct addr *addr);
/* Has the link an address of this family? */
bool link_has_family(const struct policy *policy, const struct link *link, uint8_t family);
/* "IPv4" or "IPv6" */
const char *family_name(uint8_t family);
/* What the checks ask about a set. Items are NULL where the set has none of the kind. */
struct set_facts {
    unsigned families; /* FAMILY_BIT_* that its addresses can have */
    bool broad;        /* takes in addresses wholesale: any, a prefix, a range, a long list */
    const struct set_item *name; /* a DNS name or suffix */
    const struct set_item *jail;
    const struct set_item *gateway;
};

#define FAMILY_BIT_V4 1u
#define FAMILY_BIT_V6 2u
#define FAMILY_BITS   3u

/* Remembers the facts of long lists, which many rules may share. */
struct set_memo {
    struct map numbers; /* with its arena set */
    struct set_facts *list;
    size_t list_count;
    size_t list_capacity;
};

struct set_facts set_facts_of(struct set_memo *memo, const struct set *set);

/* Set items of `inner` all within items of `outer`; false also when it would take too long. */
bool set_covers(const struct set *outer, const struct set *inner);
