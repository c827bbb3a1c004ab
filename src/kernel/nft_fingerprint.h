/* The elements of a set as one number. Private to kernel/nft*. */
#pragma once

#include "plan/plan.h"

struct nlattr;

/* Of any number of elements, in any order. Zero-initialised. */
struct nft_fingerprint {
    size_t count; /* as the kernel counts: both ends of an interval */
    uint64_t sum;
};

/* Takes in one element of a message (an NFTA_LIST_ELEM): keys, data, and whether it is the end of
 * an interval; counters and timeouts are left out. A callback of mnl_attr_parse(). */
int nft_fingerprint_element(const struct nlattr *element, void *fingerprint);

/* Takes in all elements of an op as the kernel is to have them. 0 or -EPROTO. */
int nft_fingerprint_op(struct nft_fingerprint *fingerprint, const struct plan *plan,
                       const struct op *op);
