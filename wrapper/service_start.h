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
};

/* Starts the service. It loads while the jail is built, and has nothing of the jail before
 * service_begin(). On failure nothing runs. */
int service_start(const struct service_wants *wants, struct service *ret_service,
                  struct error *error);

/* The jail's rules are in force: hands over the plan's listening sockets, those of the relay, the
 * channel to init (taken from `jail`) and the jail's NFLOG socket when the policy logs. -EPIPE when
 * the service has died. */
int service_begin(struct service *service, const struct service_wants *wants,
                  const struct applied *applied, struct jail *jail, struct error *error);

/* Waits until the service listens to its sockets; -ETIMEDOUT, -EPIPE when it died. */
int service_wait_ready(struct service *service, struct error *error);

/* Ends it, after init; a service that was ready gets a moment to deliver what it still holds. It
 * may take a moment longer to go: service_reap() is to follow. */
void service_stop(struct service *service);

/* Waits until a service that was stopped has gone. Does nothing in a child of its parent. */
void service_reap(struct service *service);
