/* Starts netjail-service for a jail. */
#pragma once

#include "base/buf.h"
#include "jail/jail.h"
#include "jail/reports.h"
#include "kernel/apply.h"
#include "plan/plan.h"

struct service {
    pid_t pid;              /* 0: none */
    int report_fd;          /* its end tells that the service has gone */
    struct reports reports; /* what it may say there */
    bool cannot_end;        /* SIGKILL was refused */
};

/* What a service is started for; all of it stays the caller's. */
struct service_wants {
    const struct policy *policy;
    const struct buf *texts; /* the policy's transcript; handed over when the plan `decides` */
    const struct plan *plan;
    const char *jail_name;
    const struct applied *applied;
};

/* Starts the service with the plan's listening sockets, the channel to init (taken from `jail`) and
 * the jail's NFLOG socket when the policy logs. On failure nothing runs. */
int service_start(const struct service_wants *wants, struct jail *jail, struct service *ret_service,
                  struct error *error);

/* Waits until the service listens to its sockets; -ETIMEDOUT, -EPIPE when it died. */
int service_wait_ready(struct service *service, struct error *error);

/* Ends it, after init; a service that was ready gets a moment to deliver what it still holds. It
 * may take a moment longer to go: service_reap() is to follow. */
void service_stop(struct service *service);

/* Waits until a service that was stopped has gone. Does nothing in a child of its parent. */
void service_reap(struct service *service);
