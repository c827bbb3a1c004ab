/* The interpreter of plans.
 *
 * Order is the plan's. Neighbouring nftables ops of one `where` are one transaction, so that rules
 * are there as a whole or not at all. JAIL sysctls are init's work and skipped. The first failure
 * ends it: what is done is applied->done ops, what the host owes is in the lease, and undoing is
 * the caller's decision.
 *
 * Undo goes on behind failures: what can be taken back is. A transaction that the kernel refuses is
 * tried op by op.
 *
 * No system call here: everything goes through struct kernel_functions, so that a test can fail at
 * every step. */
#include "kernel/apply.h"

#include "base/cleanup.h"

#include <errno.h>
#include <stdlib.h>

static bool is_nft(const struct op *op)
{
    switch (op->kind) {
    case OP_NFT_TABLE_ADD:
    case OP_NFT_CHAIN_ADD:
    case OP_NFT_SET_ADD:
    case OP_NFT_RULE_ADD:
    case OP_NFT_ELEMENTS_ADD:
    case OP_NFT_ELEMENTS_DELETE:
    case OP_NFT_TABLE_DELETE:
        return true;
    default:
        return false;
    }
}

static bool is_init_work(const struct op *op)
{
    return op->kind == OP_SYSCTL_SET && op->where == WHERE_JAIL;
}

/* Length of the run of nftables ops of one `where` from `first` on. */
static size_t nft_run(const struct plan *plan, size_t first, size_t end)
{
    size_t next = first;
    while (next < end && is_nft(&plan->ops[next]) &&
           plan->ops[next].where == plan->ops[first].where)
        next++;
    return next - first;
}

static int fail(const struct plan *plan, size_t index, int code, struct error *error)
{
    /* A function that knew a better place has put it there. */
    if (error->where.source == 0)
        error->where = plan->ops[index].position;
    return code;
}

static int apply_one(struct kernel *kernel, const struct plan *plan, size_t index,
                     struct applied *applied, struct error *error)
{
    const struct op *op = &plan->ops[index];
    switch (op->kind) {
    case OP_SYSCTL_SET:
    case OP_SYSCTL_RESTORE:
        return kernel->functions->sysctl_op(kernel, op, error);
    case OP_LISTEN:
        if (!applied)
            return 0; /* nothing to take back: closed with its process */
        return kernel->functions->listen_op(kernel, op, &applied->listen_fds[index], error);
    default:
        return kernel->functions->link_op(kernel, plan, op, error);
    }
}

static int prepare(struct applied *applied, size_t count, struct error *error)
{
    if (applied->listen_fds || count == 0)
        return 0;
    applied->listen_fds = calloc(count, sizeof *applied->listen_fds);
    if (!applied->listen_fds)
        return error_set(error, -ENOMEM, "out of memory");
    for (size_t i = 0; i < count; i++)
        applied->listen_fds[i] = -1;
    applied->listen_count = count;
    return 0;
}

int apply_plan(struct kernel *kernel, const struct plan *plan, size_t first, size_t count,
               struct applied *applied, struct error *error)
{
    if (first > plan->ops_count || count > plan->ops_count - first)
        return error_set(error, -EINVAL, "the plan has %zu steps, not %zu", plan->ops_count,
                         first + count);
    int r = prepare(applied, plan->ops_count, error);
    size_t end = first + count;
    for (size_t i = first; i < end && r == 0;) {
        size_t failed = i;
        size_t done = 1;
        if (is_nft(&plan->ops[i])) {
            done = nft_run(plan, i, end);
            r = kernel->functions->nft_batch(kernel, plan, i, done, &failed, error);
        } else if (!is_init_work(&plan->ops[i])) {
            r = apply_one(kernel, plan, i, applied, error);
        }
        if (r < 0)
            return fail(plan, failed, r, error);
        i += done;
        applied->done = i;
    }
    return r;
}

/* Keeps the first of several failures. */
static void keep_first(struct error *kept, const struct error *new_error, int code)
{
    if (kept->code == 0) {
        *kept = *new_error;
        kept->code = code;
    }
}

static void undo_nft(struct kernel *kernel, const struct plan *plan, size_t first, size_t count,
                     struct error *kept)
{
    struct error error = {0};
    size_t failed = first;
    if (kernel->functions->nft_batch(kernel, plan, first, count, &failed, &error) == 0)
        return;
    for (size_t i = first; i < first + count; i++) {
        error = (struct error){0};
        int r = kernel->functions->nft_batch(kernel, plan, i, 1, &failed, &error);
        /* Elements of a set that is gone are gone. */
        if (r < 0 && r != -ENOENT)
            keep_first(kept, &error, fail(plan, i, r, &error));
    }
}

int apply_undo(struct kernel *kernel, const struct plan *plan, struct error *error)
{
    struct error kept = {0};
    for (size_t i = 0; i < plan->ops_count;) {
        if (is_nft(&plan->ops[i])) {
            size_t count = nft_run(plan, i, plan->ops_count);
            undo_nft(kernel, plan, i, count, &kept);
            i += count;
            continue;
        }
        struct error one = {0};
        int r = apply_one(kernel, plan, i, NULL, &one);
        if (r < 0)
            keep_first(&kept, &one, fail(plan, i, r, &one));
        i++;
    }
    if (kept.code < 0)
        *error = kept;
    return kept.code;
}

void applied_free(struct applied *applied)
{
    for (size_t i = 0; i < applied->listen_count; i++)
        cleanup_close_fd(&applied->listen_fds[i]);
    free(applied->listen_fds);
    *applied = (struct applied){0};
}

int apply_renew(struct kernel *kernel, const struct plan *running, struct error *error)
{
    size_t failed = 0;

    if (running->ops_count == 0)
        return 0;
    int r = kernel->functions->nft_batch(kernel, running, 0, running->ops_count, &failed, error);
    return r < 0 ? fail(running, failed, r, error) : 0;
}
