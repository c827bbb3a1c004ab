/* The way of addresses into the kernel's sets, through the supervisor. */
#pragma once

#include "base/addr.h"
#include "service/loop.h"
#include "service/protocol.h"

#include <sys/queue.h>

#define PIN_REPORTS_MAX 2048 /* waiting for their turn */

struct pins;

/* Reports go to `fd` (not owned). NULL: out of memory. */
struct pins *pins_new(struct loop *loop, int fd);
void pins_free(struct pins *pins);

/* One answer's pins under way; embedded in what waits for them, zero-initialised. */
struct pins_request {
    unsigned left; /* reports that have no notice yet */
    int code;      /* the first failure */
    void (*done)(void *context, int code);
    void *context;
};

/* Puts the addresses into each of the sets for `seconds`. done() is called when the kernel has them
 * all (0), or with a negative errno; never from in here. -ENOBUFS: too much is under way. */
int pins_ask(struct pins *pins, struct pins_request *request, const uint32_t *sets,
             size_t sets_count, const struct addr *addrs, size_t addrs_count, uint32_t seconds,
             void (*done)(void *context, int code), void *context);
/* done() is not called any more. */
void pins_cancel(struct pins *pins, struct pins_request *request);
/* The supervisor's answer to a report. */
void pins_noticed(struct pins *pins, const struct notice_pinned *notice);
