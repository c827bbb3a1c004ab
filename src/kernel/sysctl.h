/* Kernel settings below /proc/sys. */
#pragma once

#include "plan/plan.h"

/* Reads a setting, without its newline. -ENOENT: the kernel has none. */
int sysctl_read(const char *path, char value[SYSCTL_VALUE_SIZE]);

/* Reads a setting that is a small number; -1 when there is none. */
int8_t sysctl_read_flag(const char *path);

/* Writes a setting and reads it back; -EIO when it does not say so. */
int sysctl_write(const char *path, const char *value);

/* OP_SYSCTL_SET and OP_SYSCTL_RESTORE. */
int sysctl_op(const struct op *op, struct error *error);
