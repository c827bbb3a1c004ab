/* How many connections and flows there may be, and how many may begin in a while.
 *
 * Everything that is carried takes a place here before it gets a socket, so that descriptors never
 * run out: what exists goes on, what is new is refused. The rate is a bucket of connections that
 * fills with time, as that of a rule is. No privilege. What must not happen: a place that is given
 * back twice, or never. */
#include "service/limits.h"

#include "service/log.h"
#include "service/loop.h"

#define PASSED_MS_MAX ((uint64_t)100 * 86400 * 1000) /* times the largest rate it fits 64 bits */

static bool take_credit(struct limits *limits)
{
    uint64_t cost = (uint64_t)limits->rate_unit_s * 1000;
    uint64_t most = cost * limits->rate_burst;
    uint64_t now_ms = loop_now_ms(limits->loop);
    uint64_t passed_ms = now_ms - limits->credit_ms;

    if (limits->rate_count == 0)
        return true;
    if (limits->credit_ms == 0)
        limits->credit = most;
    else
        limits->credit +=
            (passed_ms < PASSED_MS_MAX ? passed_ms : PASSED_MS_MAX) * limits->rate_count;
    if (limits->credit > most)
        limits->credit = most;
    limits->credit_ms = now_ms;
    if (limits->credit < cost)
        return false;
    limits->credit -= cost;
    return true;
}

bool limits_take(struct limits *limits, const char *what)
{
    if (limits->places == 0) {
        service_log_limit(limits->log, "open files (ulimit -n) suffice for no more: %s refused",
                          what);
        return false;
    }
    if (!take_credit(limits)) {
        service_log_limit(limits->log, "limit rate of %u in %u s reached: %s refused",
                          limits->rate_count, limits->rate_unit_s, what);
        return false;
    }
    limits->places--;
    return true;
}

void limits_give(struct limits *limits)
{
    limits->places++;
}
