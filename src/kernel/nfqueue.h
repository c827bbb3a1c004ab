/* NFQUEUE in a jail: the supervisor binds the queue and gives the verdicts, netjail-service reads
 * the packets from the same socket. */
#pragma once

#include "base/diag.h"

#include <stddef.h>
#include <stdint.h>

#define NFQUEUE_LENGTH 16384 /* packets that may wait */

/* Binds `fd`, an unbound NETLINK_NETFILTER socket of the jail, to queue `number`; `copy_bytes` of
 * each packet come with it. Needs CAP_NET_ADMIN over the jail. */
int nfqueue_bind(int fd, uint16_t number, uint32_t copy_bytes, struct error *error);

/* Is nft's own statement for it loaded as a module? */
bool nfqueue_nft_is_loaded(void);

struct nfqueue_verdict {
    uint32_t id;
    uint32_t verdict; /* NF_DROP, NF_ACCEPT, NF_REPEAT */
    uint32_t mark;    /* 0: none */
};

#define NFQUEUE_VERDICTS_MAX 64

/* The verdicts for at most NFQUEUE_VERDICTS_MAX packets, in one message. Never waits. There is no
 * answer; a verdict for a packet that is not there is none. 0 or a negative errno. */
int nfqueue_verdicts(int fd, uint16_t number, const struct nfqueue_verdict *verdicts, size_t count);
