/* Where the service writes its lines. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct loop;

struct service_log {
    int fd;          /* not owned; -1: nobody reads */
    bool is_journal; /* fd is a datagram socket connected to the journal */
    bool json;       /* each line is a JSON object */
    const char *jail_name;
    const char *policy_name; /* JSON only; not owned */
    const struct loop *loop;
    uint64_t second;   /* the one that `lines` counts */
    unsigned lines;    /* written in this second */
    uint64_t lost;     /* lines that were not written since the last one that was */
    uint64_t limit_ms; /* when service_log_limit() spoke last */
};

#define SERVICE_LOG_LINES_PER_SECOND 50

/* Writes one text with its newline as it is. Never waits: where the reader does not keep up, or
 * more than SERVICE_LOG_LINES_PER_SECOND texts came in this second, it is counted instead and the
 * number is told before the next line. False: not written. */
bool service_log_write(struct service_log *log, const char *text);

/* "netjail: JAIL: ...", in JSON an object with `message`, unless one was written less than a second
 * ago. */
void service_log_limit(struct service_log *log, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
