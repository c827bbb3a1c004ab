/* The filter of the default says what the two filters say that it stands for; without a kernel. */
#include "seccomp_filters.h"

#include <linux/audit.h>
#include <linux/seccomp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* What the kernel's interpreter of filters does with the few instructions that they have. */
static uint32_t verdict_of(const struct sock_filter *steps, const struct seccomp_data *data)
{
    uint32_t value = 0;

    for (const struct sock_filter *step = steps;; step++) {
        bool jump;

        switch (step->code) {
        case BPF_LD | BPF_W | BPF_ABS:
            memcpy(&value, (const char *)data + step->k, sizeof value);
            continue;
        case BPF_ALU | BPF_AND | BPF_K:
            value &= step->k;
            continue;
        case BPF_RET | BPF_K:
            return step->k;
        case BPF_JMP | BPF_JA:
            step += step->k;
            continue;
        case BPF_JMP | BPF_JEQ | BPF_K:
            jump = value == step->k;
            break;
        case BPF_JMP | BPF_JGT | BPF_K:
            jump = value > step->k;
            break;
        case BPF_JMP | BPF_JGE | BPF_K:
            jump = value >= step->k;
            break;
        default:
            fail_msg("an unknown step: %x", step->code);
            return 0;
        }
        step += jump ? step->jt : step->jf;
    }
}

/* Of two filters the stricter verdict; of equals that of the one loaded last. */
static uint32_t verdict_of_both(const struct sock_filter *first, const struct sock_filter *last,
                                const struct seccomp_data *data)
{
    uint32_t early = verdict_of(first, data);
    uint32_t late = verdict_of(last, data);

    return (int32_t)(early & SECCOMP_RET_ACTION_FULL) < (int32_t)(late & SECCOMP_RET_ACTION_FULL)
               ? early
               : late;
}

static uint64_t random_argument(void)
{
    uint64_t value =
        (uint64_t)random() % 4 ? (uint64_t)random() % 300 : (uint64_t)1 << (random() % 34);

    return random() % 8 ? value : value | (uint64_t)random() << 32;
}

static void test_whole_is_both(void **state)
{
    static const struct {
        const struct sock_filter *families, *common, *whole;
    } variants[] = {
        {seccomp_families_15, seccomp_common_0, seccomp_whole_0},
        {seccomp_families_namespaces_15, seccomp_common_1, seccomp_whole_1},
        {seccomp_families_15, seccomp_common_2, seccomp_whole_2},
        {seccomp_families_namespaces_15, seccomp_common_3, seccomp_whole_3},
    };
    static const uint32_t arches[] = {AUDIT_ARCH_X86_64, AUDIT_ARCH_I386, AUDIT_ARCH_AARCH64};
    size_t refused = 0;

    (void)state; /* no fixture */
    for (size_t i = 0; i < sizeof variants / sizeof variants[0]; i++) {
        for (int n = 0; n < 600 * 300; n++) {
            struct seccomp_data data = {.nr = n % 600, .arch = arches[random() % 3]};

            data.nr |= random() % 10 ? 0 : 0x40000000; /* x32 */
            for (size_t k = 0; k < 6; k++)
                data.args[k] = random_argument();
            uint32_t both = verdict_of_both(variants[i].families, variants[i].common, &data);
            if (verdict_of(variants[i].whole, &data) != both)
                fail_msg("variant %zu, arch %x, call %d", i, data.arch, data.nr);
            refused += both != SECCOMP_RET_ALLOW;
        }
    }
    assert_in_range(refused, 100000, 700000); /* of 720,000 */
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_whole_is_both)};

    srandom(20251128);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
