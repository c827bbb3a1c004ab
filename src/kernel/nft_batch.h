/* One nftables transaction as a growing piece of memory. Private to kernel/nft*. */
#pragma once

#include "kernel/nft.h"

struct nlmsghdr;

struct nft_batch {
    struct nl *nl;
    uint8_t *data; /* owned */
    size_t length;
    size_t capacity;
    size_t last_message; /* offset of the message that will ask for the acknowledgement */
    bool is_open;
    uint32_t seq; /* of the messages that are appended now */
    struct nl_failure failure;
};

/* Room that every message may use behind the batch's end. */
#define NFT_MESSAGE_ROOM ((size_t)96 * 1024)

/* Begins a message at the end of the batch, with NFT_MESSAGE_ROOM behind it; sends what is there
 * before when the socket could not carry more. NULL: failed (batch->failure). */
struct nlmsghdr *nft_batch_message(struct nft_batch *batch, uint16_t type, uint8_t family,
                                   uint16_t flags);
/* Ends it: the message's length is counted in. */
void nft_batch_end(struct nft_batch *batch, const struct nlmsghdr *message);

/* Sends what has gathered. 0 or the kernel's negative errno with batch->failure. */
int nft_batch_send(struct nft_batch *batch);

void nft_batch_free(struct nft_batch *batch);
