/* The room that netjail has to work in. */
#pragma once

#include <stdbool.h>

/* False, with a message on stderr: the stack's limit is too low. To be asked first of all, by a
 * function with a small frame. */
bool stack_suffices(void);
