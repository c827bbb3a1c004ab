/* What all connections and flows of the service share: how many there may be. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct loop;
struct service_log;

/* Descriptors of a connection or a flow: one socket on each side. Pipes come out of a reserve of
 * their own (service/pipes.h). */
#define LIMITS_FDS 2

struct limits {
    const struct loop *loop;
    struct service_log *log;
    uint32_t connections; /* TCP connections at once; UDP flows at once */
    uint32_t places;      /* for both together: what descriptors suffice for */
    uint32_t rate_count;  /* new ones per rate_unit_s; 0: any number */
    uint32_t rate_unit_s;
    uint32_t rate_burst;
    uint64_t credit; /* in 1/(1000 * rate_unit_s) of a connection */
    uint64_t credit_ms;
};

/* A place for one more of `what` ("connection", "UDP flow"). False, and the log says why: the rate
 * is exceeded, or no descriptors are left. */
bool limits_take(struct limits *limits, const char *what);
void limits_give(struct limits *limits);
