/* Emptying one chain of the jail's table: a transaction of a single message. Needs CAP_NET_ADMIN
 * over the jail. */
#include "kernel/explain.h"
#include "kernel/nft.h"
#include "kernel/nft_batch.h"
#include "kernel/real.h"

#include <errno.h>
#include <libmnl/libmnl.h>
#include <linux/netfilter/nf_tables.h>

int nft_flush_chain(struct kernel *kernel, const char *chain, struct error *error)
{
    struct nft_batch batch = {0};
    struct nlmsghdr *message;
    int code = kernel_nft(kernel, WHERE_JAIL, &batch.nl, error);

    if (code < 0)
        return code;
    batch.seq = nl_take_seq(batch.nl, 1);
    message = nft_batch_message(&batch, NFT_MSG_DELRULE, nft_family_number(NFT_INET), 0);
    if (!message) {
        code = -ENOMEM;
    } else {
        mnl_attr_put_strz(message, NFTA_RULE_TABLE, NFT_TABLE_NAME);
        mnl_attr_put_strz(message, NFTA_RULE_CHAIN, chain);
        nft_batch_end(&batch, message);
        code = nft_batch_send(&batch);
    }
    nft_batch_free(&batch);
    if (code == 0)
        return 0;
    batch.failure.code = code;
    return explain("empty a chain of the jail", &batch.failure, error);
}
