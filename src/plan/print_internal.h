/* Shared by the files that print a plan. */
#pragma once

#include "plan/print.h"

/* One nft op as a command of nft(8), with its newline. */
void print_nft_op(const struct plan *plan, const struct op *op, struct buf *out);

/* True for ops that belong to an nft transaction. */
bool op_is_nft(const struct op *op);
