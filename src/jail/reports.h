/* The supervisor's end of its channel to netjail-service (service/protocol.h). */
#pragma once

#include "base/diag.h"
#include "service/protocol.h"

#include <stdbool.h>
#include <stdint.h>

/* Where the service stands, as the supervisor sees it. */
enum service_state {
    SERVICE_STARTING, /* waiting for REPORT_READY */
    SERVICE_SERVING,  /* everything but REPORT_READY may come */
    SERVICE_ENDED,    /* nothing may come any more */
};

/* As many reports a second as a service could need that serves a busy jail, and as many at once. */
#define REPORTS_PER_SECOND 50000
#define REPORTS_BURST      20000

struct reports {
    int fd;               /* the caller's */
    int state;            /* enum service_state; reports_receive() moves it on with REPORT_READY */
    uint32_t names_count; /* sets of names that may be pinned: those of the plan */
    bool verdicts;        /* the plan has a queue */
    bool jails;           /* it may ask for jails: there is a resolver */
    uint32_t credit;      /* reports that may come now */
    int64_t credit_at_ms; /* when that was counted */
};

/* One report, of the size that its kind has. */
union report_message {
    uint32_t kind;
    struct report report;
    struct report_pins pins;
    struct report_verdicts verdicts;
    struct report_jail jail;
};

/* The channel's state at the start; `fd` is not owned. */
void reports_begin(struct reports *reports, int fd, int64_t now_ms);

/* Takes one report and judges it; `now_ms` is CLOCK_MONOTONIC. Returns 0; -EAGAIN when none is
 * there; -EPIPE at the channel's end; -EPROTO with a sentence in *error for a report that may not
 * come: the service is then not to be trusted with anything any more. */
int reports_receive(struct reports *reports, int64_t now_ms, union report_message *ret_message,
                    struct error *error);

/* Sends a notice of `size` bytes. Never waits: a service that does not read loses it (-EAGAIN). */
int reports_notify(const struct reports *reports, const void *notice, size_t size);
