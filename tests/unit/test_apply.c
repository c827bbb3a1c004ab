/* The interpreter against a fake kernel that fails at every step k: the failure leads to the op's
 * position, nothing behind it is done, and undo leaves the fake kernel empty. */
#include "base/cleanup.h"
#include "kernel/apply.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

struct fake {
    struct kernel base;
    size_t calls;
    size_t fail_at; /* the call that fails, from 1; 0: none */
    int links, tables, settings;
    size_t largest_batch;
};

static int step(struct fake *fake, struct error *error)
{
    if (++fake->calls == fake->fail_at)
        return error_set(error, -EIO, "step %zu fails", fake->calls);
    return 0;
}

static int fake_link(struct kernel *kernel, const struct plan *plan, const struct op *op,
                     struct error *error)
{
    struct fake *fake = (struct fake *)kernel;
    (void)plan; /* the op says all */
    int r = step(fake, error);
    if (r == 0 && op->kind == OP_BRIDGE_ADD)
        fake->links++;
    if (r == 0 && op->kind == OP_LINK_DELETE)
        fake->links = 0; /* what is not there is no error */
    return r;
}

static int fake_nft(struct kernel *kernel, const struct plan *plan, size_t first, size_t count,
                    size_t *ret_failed, struct error *error)
{
    struct fake *fake = (struct fake *)kernel;
    int r = step(fake, error);
    if (count > fake->largest_batch)
        fake->largest_batch = count;
    for (size_t i = first; r == 0 && i < first + count; i++) {
        if (plan->ops[i].where != plan->ops[first].where)
            fail_msg("a transaction of two places");
        if (plan->ops[i].kind == OP_NFT_TABLE_ADD)
            fake->tables++;
        if (plan->ops[i].kind == OP_NFT_TABLE_DELETE)
            fake->tables = 0;
    }
    if (r < 0)
        *ret_failed = first + count - 1;
    return r;
}

static int fake_sysctl(struct kernel *kernel, const struct op *op, struct error *error)
{
    struct fake *fake = (struct fake *)kernel;
    if (op->where == WHERE_JAIL)
        fail_msg("a setting of the jail is init's work");
    int r = step(fake, error);
    if (r == 0)
        fake->settings = op->kind == OP_SYSCTL_SET;
    return r;
}

static int fake_listen(struct kernel *kernel, const struct op *op, int *ret_fd, struct error *error)
{
    (void)op; /* every port is free */
    int r = step((struct fake *)kernel, error);
    if (r == 0)
        *ret_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    return r;
}

static const struct kernel_functions functions = {.link_op = fake_link,
                                                  .nft_batch = fake_nft,
                                                  .sysctl_op = fake_sysctl,
                                                  .listen_op = fake_listen};

static struct plan *plan_of(const enum op_kind *kinds, const enum where *wheres, size_t count)
{
    struct arena *arena = arena_new();
    struct plan *plan = arena_alloc(arena, sizeof *plan);
    plan->arena = arena;
    for (size_t i = 0; i < count; i++)
        plan_push(plan, kinds[i], wheres[i], (struct position){1, (uint32_t)i + 1, 1, 1});
    return plan;
}

static const enum op_kind kinds[] = {OP_SYSCTL_SET,    OP_SYSCTL_SET,    OP_NFT_TABLE_ADD,
                                     OP_NFT_CHAIN_ADD, OP_NFT_TABLE_ADD, OP_BRIDGE_ADD,
                                     OP_LINK_UP,       OP_LISTEN,        OP_LINK_CHECK};
static const enum where wheres[] = {WHERE_JAIL, WHERE_HOST, WHERE_JAIL,    WHERE_JAIL, WHERE_HOST,
                                    WHERE_HOST, WHERE_JAIL, WHERE_SERVICE, WHERE_JAIL};
/* The op that the n-th call is about; a failing transaction blames its last op. */
static const size_t op_of_call[] = {1, 3, 4, 5, 6, 7, 8};
static const size_t done_before[] = {1, 2, 4, 5, 6, 7, 8};

static const enum op_kind undo_kinds[] = {OP_NFT_TABLE_DELETE, OP_NFT_TABLE_DELETE, OP_LINK_DELETE,
                                          OP_SYSCTL_RESTORE};
static const enum where undo_wheres[] = {WHERE_HOST, WHERE_HOST, WHERE_HOST, WHERE_HOST};

static int count_fds(void)
{
    int count = 0;
    for (int fd = 0; fd < 64; fd++)
        count += fcntl(fd, F_GETFD) >= 0;
    return count;
}

static void undo_all(struct fake *fake)
{
    struct error error = {0};
    struct plan *undo = plan_of(undo_kinds, undo_wheres, ARRAY_LENGTH(undo_kinds));
    fake->fail_at = 0;
    assert_int_equal(apply_undo(&fake->base, undo, &error), 0);
    plan_free(undo);
    assert_int_equal(fake->links + fake->tables + fake->settings, 0);
}

static void test_failure_at_every_step(void **state)
{
    (void)state; /* no fixture */
    struct plan *plan = plan_of(kinds, wheres, ARRAY_LENGTH(kinds));
    int fds = count_fds();
    for (size_t k = 1; k <= ARRAY_LENGTH(op_of_call); k++) {
        struct fake fake = {.base = {&functions}, .fail_at = k};
        struct applied applied = {0};
        struct error error = {0};
        assert_int_equal(apply_plan(&fake.base, plan, 0, plan->ops_count, &applied, &error), -EIO);
        assert_int_equal(fake.calls, k);
        assert_int_equal(error.where.line, op_of_call[k - 1] + 1);
        assert_int_equal(applied.done, done_before[k - 1]);
        applied_free(&applied);
        undo_all(&fake);
    }
    assert_int_equal(count_fds(), fds);
    plan_free(plan);
}

static void test_success(void **state)
{
    (void)state; /* no fixture */
    struct plan *plan = plan_of(kinds, wheres, ARRAY_LENGTH(kinds));
    struct fake fake = {.base = {&functions}};
    struct applied applied = {0};
    struct error error = {0};
    assert_int_equal(apply_plan(&fake.base, plan, 0, 4, &applied, &error), 0);
    assert_int_equal(applied.done, 4);
    assert_int_equal(apply_plan(&fake.base, plan, 4, 5, &applied, &error), 0);
    assert_int_equal(fake.calls, ARRAY_LENGTH(op_of_call));
    assert_int_equal(fake.largest_batch, 2);
    assert_int_equal(applied.done, plan->ops_count);
    assert_true(applied.listen_fds[7] >= 0);
    assert_int_equal(applied.listen_fds[6], -1);
    assert_int_equal(apply_plan(&fake.base, plan, 4, 6, &applied, &error), -EINVAL);
    applied_free(&applied);
    plan_free(plan);
}

/* Undo goes on behind a failure, tries a refused transaction op by op, and reports the first. */
static void test_undo_goes_on(void **state)
{
    (void)state; /* no fixture */
    for (size_t k = 1; k <= 4; k++) {
        struct plan *undo = plan_of(undo_kinds, undo_wheres, ARRAY_LENGTH(undo_kinds));
        struct fake fake = {
            .base = {&functions}, .fail_at = k, .links = 1, .tables = 1, .settings = 1};
        struct error error = {0};
        int r = apply_undo(&fake.base, undo, &error);
        assert_int_equal(r, k == 1 ? 0 : k < 4 ? -EIO : 0);
        assert_int_equal(fake.tables, 0);
        assert_int_equal(fake.links, k == 2 ? 1 : 0);
        assert_int_equal(fake.settings, k == 3 ? 1 : 0);
        plan_free(undo);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_failure_at_every_step),
                                       cmocka_unit_test(test_success),
                                       cmocka_unit_test(test_undo_goes_on)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
