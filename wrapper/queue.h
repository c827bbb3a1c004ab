/* The supervisor's part in the relay: connections of the jail that wait until their outcome is
 * known (NFQUEUE), and what becomes of them when the service is gone. */
#pragma once

#include "jail/jail.h"
#include "kernel/apply.h"
#include "plan/plan.h"
#include "service/protocol.h"

struct queue {
    int fd; /* shared with the service, which reads the packets; -1: there is none */
};

/* Binds the queue of a plan that has one. Where the kernel has none the plan makes do without:
 * failures outside are resets then. Before the rules are loaded. */
void queue_open(struct queue *queue, struct plan *plan, const struct jail *jail);

/* Loads the first `count` ops of the plan, the rules, with what lets packets wait as this kernel
 * has it. Errors: of apply_plan(). */
int queue_apply(struct queue *queue, struct kernel *kernel, struct plan *plan, size_t count,
                struct applied *ret_applied, struct error *error);

/* What the service says about packets; it was judged by jail/reports.c. */
void queue_verdicts(void *context, const struct report_verdicts *verdicts);

/* The service has gone: nothing waits any more, and what comes now is refused by the jail's rules,
 * since nobody listens. `kernel` has the jail's nftables socket. */
void queue_service_gone(struct queue *queue, struct kernel *kernel);

void queue_close(struct queue *queue);
