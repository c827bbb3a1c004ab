/* The stack that init runs on, and below its frames the command's process until exec(). */
#pragma once

#include "base/diag.h"

struct stack {
    char *bottom; /* the lowest address, a page that cannot be touched */
    char *top;    /* where the first frame begins */
};

/* Maps it; large enough for execvpe(3) with `argv` (NULL: no command). A page costs memory when it
 * is touched. */
int stack_make(char *const *argv, struct stack *ret_stack, struct error *error);

/* Unmaps it, where nothing runs on it. */
void stack_free(const struct stack *stack);

/* Init's first step: the pages of its frames come with one call and not with one fault each. */
void stack_touch(void);

/* Where a child that borrows this process's memory begins, below all that is in use. */
void *stack_below(void);
