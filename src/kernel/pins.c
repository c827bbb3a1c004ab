/* Elements of the jail's dynamic sets, one transaction at a time.
 *
 * The supervisor calls this while the command runs: with the nftables socket that init opened in
 * the jail, as owner of the jail's user namespace or with CAP_NET_ADMIN. What must not happen: a
 * pin reported as set that is not (the transaction is acknowledged by the kernel). */
#include "kernel/pins.h"

#include <errno.h>

static int carry_out(struct kernel *kernel, const struct plan *plan, struct error *error)
{
    size_t failed = 0;

    return plan->ops_count == 0
               ? 0
               : kernel->functions->nft_batch(kernel, plan, 0, plan->ops_count, &failed, error);
}

static struct plan *plan_new(struct error *error)
{
    struct arena *arena = arena_new();
    struct plan *plan;

    if (!arena) {
        (void)error_set(error, -ENOMEM, "out of memory");
        return NULL;
    }
    plan = arena_alloc(arena, sizeof *plan);
    plan->arena = arena;
    return plan;
}

int pins_add(struct kernel *kernel, const struct pin *pins, size_t count, struct error *error)
{
    struct plan *plan = plan_new(error);
    int code;

    if (!plan)
        return -ENOMEM;
    for (size_t i = 0; i < count; i++)
        dynamic_elements(plan, true, DYNAMIC_NAMES, pins[i].set, pins[i].seconds * 1000,
                         &pins[i].addr, 1);
    code = carry_out(kernel, plan, error);
    plan_free(plan);
    return code;
}

/* Elements of one op are of one family. */
static void change(struct plan *plan, bool add, uint32_t set, const struct addr *addrs,
                   size_t count)
{
    for (size_t i = 0; i < count; i++)
        dynamic_elements(plan, add, DYNAMIC_JAILS, set, 0, &addrs[i], 1);
}

int jail_set_change(struct kernel *kernel, uint32_t set, const struct addr *added,
                    size_t added_count, const struct addr *removed, size_t removed_count,
                    struct error *error)
{
    struct plan *plan = plan_new(error);
    int code;

    if (!plan)
        return -ENOMEM;
    change(plan, false, set, removed, removed_count);
    change(plan, true, set, added, added_count);
    code = carry_out(kernel, plan, error);
    plan_free(plan);
    return code;
}
