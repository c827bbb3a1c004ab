/* nftables: ops of a plan to the kernel's messages and back. */
#pragma once

#include "kernel/nl.h"
#include "plan/plan.h"

struct nftnl_rule;
struct nftnl_set;
struct nftnl_chain;

/* How an element that may be there already is replaced. */
enum nft_replace {
    NFT_REPLACE_NONE,    /* plain add: the set is new */
    NFT_REPLACE_DESTROY, /* NFT_MSG_DESTROYSETELEM, then add (Linux 6.3) */
    NFT_REPLACE_READD,   /* add, delete, add: works on every kernel where the data is the same */
};

/* Carries out ops [first, first + count), all nftables ops of one `where`, as one transaction (as
 * several, when the socket's limit forces it: outside the initial user namespace a send is limited
 * by net.core.wmem_max). *lacks_destroy is what is known of the kernel, and updated. On failure
 * *ret_failed is the op that was refused. */
int nft_transaction(struct nl *nl, const struct plan *plan, size_t first, size_t count,
                    bool *lacks_destroy, size_t *ret_failed, struct error *error);

/* Has the namespace a table NFT_TABLE_NAME of this family? */
int nft_has_table(struct nl *nl, enum nft_family family, bool *ret_has, struct error *error);

/* NFPROTO_* of a family. */
uint8_t nft_family_number(enum nft_family family);

/* The kernel's object for an op; the caller frees it (nftnl_*_free). NULL: out of memory. */
struct nftnl_rule *nft_rule_new(const struct plan *plan, const struct op *op);
struct nftnl_set *nft_set_new(const struct op *op, uint32_t id);
struct nftnl_chain *nft_chain_new(const struct op *op);

/* Bytes of a set's key as the kernel has it: fields of a concatenation are padded to 4 bytes. */
size_t nft_kernel_key_size(const struct nft_key *key);

/* Position of a part of a key in the kernel's registers. */
uint32_t nft_register(size_t offset);

/* Takes all rules out of a chain of the jail's table. 0 or a negative errno with *error. */
struct kernel;
int nft_flush_chain(struct kernel *kernel, const char *chain, struct error *error);
