/* Where the service writes its lines. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct buf;
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

/* What every object of a JSON log has first: `{"time":5,"jail":"web","policy":"web.conf"`. NULL is
 * allowed for `policy_name`. */
void log_json_begin(struct buf *out, uint64_t time_s, const char *jail_name,
                    const char *policy_name);
/* `,"NAME":"VALUE"`; the value may be untrusted. */
void log_json_member(struct buf *out, const char *name, const char *value);
