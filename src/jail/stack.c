/* The stack that init runs on.
 *
 * Above are init's frames, which go some 24 KiB down (paths and directory entries). The command's
 * process borrows init's memory until exec(), as with vfork(2), and runs below them: execvpe(3) has
 * PATH on the stack, and for a script without `#!` all pointers of argv. memory_trim() gives back
 * what was touched. No privilege. */
#include "jail/stack.h"

#include "jail/trim.h"

#include <assert.h>
#include <errno.h>
#include <stdint.h>
#include <sys/mman.h>
#include <unistd.h>

#define FRAMES_SIZE   ((size_t)128 * 1024) /* init's */
#define FRAMES_USUAL  ((size_t)28 * 1024)
#define COMMAND_SIZE  ((size_t)512 * 1024)
#define BORROWED_SKIP ((uintptr_t)1024) /* what the caller of stack_below() still calls */

static_assert(COMMAND_SIZE + FRAMES_SIZE > MEMORY_TRIM_STACK, "memory_trim() would look below it");

static size_t page_size(void)
{
    return (size_t)sysconf(_SC_PAGESIZE);
}

int stack_make(char *const *argv, struct stack *ret_stack, struct error *error)
{
    size_t page = page_size();
    size_t count = 0;
    size_t size;
    char *bottom;

    while (argv && argv[count])
        count++;
    size = page + COMMAND_SIZE + FRAMES_SIZE + (count + 2) * sizeof *argv;
    size = (size + page - 1) / page * page;
    bottom = mmap(NULL, size, PROT_READ | PROT_WRITE,
                  MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK | MAP_NORESERVE, -1, 0);
    if (bottom == MAP_FAILED)
        return error_errno(error, -errno, "cannot make a stack for the jail's init");
    *ret_stack = (struct stack){.bottom = bottom, .top = bottom + size};
    if (mprotect(bottom, page, PROT_NONE) == 0)
        return 0;
    (void)error_errno(error, -errno, "cannot protect the stack of the jail's init");
    stack_free(ret_stack);
    return error->code;
}

void stack_free(const struct stack *stack)
{
    (void)munmap(stack->bottom,
                 (size_t)(stack->top - stack->bottom)); /* cannot fail: a whole mapping */
}

void stack_touch(void)
{
    char *here = __builtin_frame_address(0);

    /* Without it (before Linux 5.14) the pages come one by one. */
    (void)madvise(here - (uintptr_t)here % page_size() - FRAMES_USUAL, FRAMES_USUAL,
                  MADV_POPULATE_WRITE);
}

void *stack_below(void)
{
    uintptr_t here = (uintptr_t)__builtin_frame_address(0);

    return (void *)((here - BORROWED_SKIP) & ~(uintptr_t)15);
}
