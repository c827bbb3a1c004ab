/* Elements of sets as messages in a batch. Private to kernel/nft*. */
#pragma once

#include "kernel/nft_batch.h"

/* Appends messages of `type` (NFT_MSG_NEWSETELEM, ...) with all elements of the op, each message
 * below 64 kB. 0 or a negative errno (of sending a full batch, with *failure). */
int nft_put_elements(struct nft_batch *batch, const struct plan *plan, const struct op *op,
                     uint16_t type, uint16_t flags);

/* The same with the one element at `index`. */
int nft_put_element(struct nft_batch *batch, const struct plan *plan, const struct op *op,
                    uint16_t type, uint32_t index);

/* More bytes than any one element takes in a message. */
#define NFT_ELEMENT_ROOM ((size_t)512)

/* Appends one element of the plan, as one or two of the kernel's (NFTA_LIST_ELEM). Deleting needs
 * the keys only. */
void nft_write_element(struct nlmsghdr *message, const struct op *op, const uint8_t *packed,
                       bool with_data);
