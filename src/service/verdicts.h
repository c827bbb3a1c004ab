/* Verdicts about packets that wait in the queue, on their way to the supervisor. */
#pragma once

#include "base/diag.h"

#include <stdint.h>

struct loop;
struct verdicts;

int verdicts_new(struct loop *loop, int report_fd, struct verdicts **ret_verdicts,
                 struct error *error);
void verdicts_free(struct verdicts *verdicts); /* NULL is allowed */

/* `refusal`: one of enum relay_refusal, 0: the packet goes on. */
void verdicts_send(struct verdicts *verdicts, uint32_t id, int refusal);
void verdicts_drop(struct verdicts *verdicts, uint32_t id);
