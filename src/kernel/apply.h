/* Carries out plans. The interpreter in apply.c knows no system call: it goes through struct
 * kernel, whose functions are the real ones (kernel_open()) or a test's that fail at step k. */
#pragma once

#include "plan/plan.h"

struct kernel;
struct peers;

/* What the kernel side of an op needs. Each returns 0 or a negative errno with *error filled
 * (text with the kernel's extended ack; position is filled in by apply_plan()). */
struct kernel_functions {
    /* Configures links, addresses, routes: one op, waits for the ack. */
    int (*link_op)(struct kernel *kernel, const struct plan *plan, const struct op *op,
                   struct error *error);
    /* One nftables transaction of ops [first, first + count), all of the same `where`. On failure
     * *ret_failed is the index of the op that the kernel refused. */
    int (*nft_batch)(struct kernel *kernel, const struct plan *plan, size_t first, size_t count,
                     size_t *ret_failed, struct error *error);
    int (*sysctl_op)(struct kernel *kernel, const struct op *op, struct error *error);
    /* Opens the listening (TCP) or bound (UDP) socket. */
    int (*listen_op)(struct kernel *kernel, const struct op *op, int *ret_fd, struct error *error);
};

/* The result of apply_plan(): what was done, and the sockets that OP_LISTEN opened. */
struct applied {
    size_t done;         /* ops [0, done) are done */
    int *listen_fds;     /* one per op of the plan; -1 where it is no OP_LISTEN. Owned. */
    size_t listen_count; /* length of listen_fds = plan->ops_count */
};

/* Carries out ops [first, first + count) in order; neighbouring nft ops of one `where` go as one
 * transaction; JAIL sysctls are skipped (init writes them). Stops at the first failure, whose op's
 * position is put into *error. `applied` must be zeroed before the first call and is valid after a
 * failure as well; the caller frees it with applied_free(). */
int apply_plan(struct kernel *kernel, const struct plan *plan, size_t first, size_t count,
               struct applied *applied, struct error *error);

/* Undo plans: carries out every op, also behind one that fails; returns the first failure. */
int apply_undo(struct kernel *kernel, const struct plan *plan, struct error *error);

void applied_free(struct applied *applied);

/* Opens the real kernel. Descriptors of the jail (-1: none) come from init and stay the caller's;
 * `use_host` opens route and nftables sockets in the present namespace, too. */
struct jail_sockets {
    int route_fd;              /* NETLINK_ROUTE opened in the jail */
    int nft_fd;                /* NETLINK_NETFILTER opened in the jail */
    int netns_fd;              /* the jail's network namespace */
    const struct peers *peers; /* of the plan (kernel/peers.h); NULL: none */
};
int kernel_open(const struct jail_sockets *jail, bool use_host, struct kernel **ret_kernel,
                struct error *error);
void kernel_close(struct kernel *kernel);

/* For apply.c and for fakes in tests: the first member of every struct kernel. */
struct kernel {
    const struct kernel_functions *functions;
};

/* Renews the timeouts of all host elements in one batch (delete and add again): of plan_running().
 */
int apply_renew(struct kernel *kernel, const struct plan *running, struct error *error);

/* Reads back what the kernel has and compares it with the plan; a mismatch is -EUCLEAN with a
 * sentence. verify_rules(): the jail's tables, chains (hook, policy), sets with their elements
 * (up to 65,536 of them), and every rule's expressions; call it before any link is up.
 * verify_links(): links, addresses and routes of the jail are those of the plan and no others
 * (fallback tunnel devices that are down are tolerated). */
int verify_rules(struct kernel *kernel, const struct plan *plan, struct error *error);
int verify_links(struct kernel *kernel, const struct plan *plan, struct error *error);
