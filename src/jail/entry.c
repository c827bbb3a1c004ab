/* Where netjail starts: its pages are mapped at once, not one fault after the other; and a limit of
 * data with which the C library would crash before main() is told.
 *
 * A start touches some forty pages of the program before main() and as many after it. A fault for
 * each was a twentieth of the whole start where the machine is a virtual one, and on no machine is
 * it cheaper than three system calls. What the relocations write, what the program reads and
 * the top of the stack are asked for; all of it is what would have come anyhow or lies beside it in
 * the page cache, and memory_trim() gives it back once the command runs.
 *
 * This runs before the C library: no relocation is done, no thread pointer is set (so no errno, no
 * stack protector), no function of it may be called. A kernel before 5.14 does not know the advice
 * and pages come as ever, which is why nothing is asked. No privilege.
 *
 * Only where netjail is linked without shared libraries, see NETJAIL_LINK in the Makefile:
 * elsewhere the dynamic linker has touched it all already. */
#if defined(__x86_64__)

#include <elf.h>
#include <link.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>

#define PAGE         ((uintptr_t)4096)
#define STACK_WANTED (4 * PAGE)

/* Our own data, and what the C library allocates of its own before main(). */
#define DATA_NEEDED ((rlim_t)384 * 1024)

/* System V ABI, AMD64 supplement, 3.4.1: %rdx is for _start; the stack is aligned to 16 here, as it
 * has to be before a call, hence the second push. */
__asm__(".pushsection .text\n"
        ".globl netjail_entry\n"
        ".type netjail_entry, @function\n"
        "netjail_entry:\n"
        "endbr64\n"
        "push %rdx\n"
        "push %rdx\n"
        "call entry_prefault\n"
        "pop %rdx\n"
        "pop %rdx\n"
        "jmp _start\n"
        ".size netjail_entry, . - netjail_entry\n"
        ".popsection\n");

/* The ELF header, which the linker puts at the start of the program. */
extern const ElfW(Ehdr) __ehdr_start __attribute__((visibility("hidden")));

void entry_prefault(void);

static inline long call(long number, uintptr_t first, uintptr_t second, uintptr_t third)
{
    long result;

    __asm__ volatile("syscall"
                     : "=a"(result)
                     : "a"(number), "D"(first), "S"(second), "d"(third)
                     : "rcx", "r11", "memory");
    return result;
}

static inline void advise(uintptr_t from, uintptr_t to, int advice)
{
    from &= ~(PAGE - 1);
    to = (to + PAGE - 1) & ~(PAGE - 1);
    (void)call(SYS_madvise, from, to - from, (uintptr_t)advice);
}

/* Below some 200 KiB the kernel does not even get here: our own data do not fit. */
static inline void require_data(void)
{
    static const char text[] = "netjail: the limit of data is below what netjail needs\n"
                               "hint: ulimit -d unlimited\n";
    struct rlimit limit = {.rlim_cur = RLIM_INFINITY};

    if (call(SYS_getrlimit, RLIMIT_DATA, (uintptr_t)&limit, 0) < 0 || limit.rlim_cur >= DATA_NEEDED)
        return;
    (void)call(SYS_write, 2, (uintptr_t)text, sizeof text - 1);
    for (;;)
        (void)call(SYS_exit_group, 125, 0, 0);
}

__attribute__((no_stack_protector)) void entry_prefault(void)
{
    uintptr_t base = (uintptr_t)&__ehdr_start;
    const ElfW(Phdr) *parts = (const ElfW(Phdr) *)(base + __ehdr_start.e_phoff);
    uintptr_t read_end = base;
    uintptr_t stack = (uintptr_t)__builtin_frame_address(0);

    require_data();
    for (unsigned i = 0; i < __ehdr_start.e_phnum; i++) {
        uintptr_t from = base + parts[i].p_vaddr;
        uintptr_t to = from + parts[i].p_filesz;

        if (parts[i].p_type != PT_LOAD)
            continue;
        if (parts[i].p_flags & PF_W)
            advise(from, to, MADV_POPULATE_WRITE);
        else if (to > read_end)
            read_end = to;
    }
    advise(base, read_end, MADV_POPULATE_READ);
    advise(stack - STACK_WANTED, stack, MADV_POPULATE_WRITE);
}

#endif
