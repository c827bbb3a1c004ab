/* netjail's helper programs. */
#pragma once

#include "base/diag.h"

#include <stddef.h>

/* The path of helper program `name`: beside the running program (a build tree), else where it is
 * installed. 0 or a negative errno. */
int helper_find(const char *name, char *path, size_t size, struct error *error);
