/* The real kernel behind struct kernel: its sockets. Private to kernel/. */
#pragma once

#include "kernel/apply.h"
#include "kernel/nl.h"

struct kernel_real {
    struct kernel base;
    struct nl jail_route, jail_nft; /* lent by init */
    struct nl host_route, host_nft; /* our own */
    const struct peers *peers;      /* sockets in other jails, lent; NULL: none */
    int netns_fd;                   /* the jail's namespace, lent; -1: none */
    bool has_ipv6;                  /* on the host */
    bool lacks_destroy;             /* the kernel has no NFT_MSG_DESTROY* (before Linux 6.3) */
};

/* The real kernel of a struct kernel that kernel_open() made. */
struct kernel_real *kernel_real(struct kernel *kernel);

/* The socket for ops at `where`; -ENOTCONN when it was not opened. */
int kernel_route(struct kernel *kernel, enum where where, struct nl **ret_nl, struct error *error);
int kernel_nft(struct kernel *kernel, enum where where, struct nl **ret_nl, struct error *error);
