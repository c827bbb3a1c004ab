/* The supervisor as the service's hand.
 *
 * The service finds addresses; only the supervisor may change the jail's sets. The pins of a report
 * go into the kernel as one transaction; the notice is sent when the kernel has acknowledged it, so
 * an address is in the set before the command learns it. A service
 * that sends what it may not is ended: names then resolve no more, and nothing opens up.
 *
 * Runs with CAP_NET_ADMIN at most, beside signals and init, so never waits and does a bounded piece
 * of work a turn. What must not happen: anything taken from the service that jail/reports.c has not
 * judged. */
#include "talk.h"

#include "report.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <time.h>

#define PROGRAM          "netjail"
#define REPORTS_PER_TURN 512

static int64_t now_ms(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_MONOTONIC, &now); /* cannot fail with this clock */
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static size_t notice_size(const union notice *notice)
{
    return notice->kind == NOTICE_PINNED ? sizeof notice->pinned : sizeof notice->addrs;
}

static void end_service(struct talk *talk)
{
    events_remove(talk->events, &talk->reports_source);
    if (talk->service->pid > 0)
        (void)kill(talk->service->pid, SIGKILL); /* our child: there until we have waited for it */
}

/* Watches the channel for reading and, while something waits to be sent, for writing. */
static void watch_reports(struct talk *talk)
{
    short events = (short)(POLLIN | (talk->unsent_count > 0 ? POLLOUT : 0));

    if (talk->reports_source.events == events)
        return;
    events_remove(talk->events, &talk->reports_source);
    talk->reports_source.events = events;
    (void)events_add(talk->events, &talk->reports_source); /* its place has just become free */
}

static void flush_notices(struct talk *talk)
{
    size_t sent = 0;

    while (sent < talk->unsent_count && reports_notify(&talk->service->reports, &talk->unsent[sent],
                                                       notice_size(&talk->unsent[sent])) != -EAGAIN)
        sent++;
    talk->unsent_count -= sent;
    memmove(talk->unsent, talk->unsent + sent, talk->unsent_count * sizeof talk->unsent[0]);
    watch_reports(talk);
}

void talk_notify(struct talk *talk, const union notice *notice)
{
    if (talk->service->pid <= 0)
        return;
    if (talk->unsent_count == TALK_UNSENT_MAX) {
        report_note(PROGRAM, "%s: netjail-service does not listen", talk->jail_name);
        end_service(talk);
        return;
    }
    talk->unsent[talk->unsent_count++] = *notice;
    flush_notices(talk);
}

static void set_pins(struct talk *talk, const struct report_pins *report)
{
    union notice notice = {.pinned = {.kind = NOTICE_PINNED, .number = report->number}};
    struct pin pins[PINS_PER_REPORT];
    struct error error = {0};

    for (uint32_t i = 0; i < report->count; i++)
        pins[i] = (struct pin){report->set, report->seconds, report->addrs[i]};
    notice.pinned.code = pins_add(talk->kernel, pins, report->count, &error);
    talk_notify(talk, &notice);
}

static void take_report(struct talk *talk, const union report_message *message)
{
    switch (message->kind) {
    case REPORT_PINS:
        set_pins(talk, &message->pins);
        return;
    case REPORT_JAIL:
        talk_jail_asked(talk, message->jail.name);
        return;
    case REPORT_VERDICTS:
        if (talk->verdicts)
            talk->verdicts(talk->context, &message->verdicts);
        return;
    default:
        return;
    }
}

static void reports_ready(void *context, short revents)
{
    struct talk *talk = context;
    struct error error = {0};
    union report_message message;
    int code = 0;

    if (revents & POLLOUT)
        flush_notices(talk);
    for (int i = 0; i < REPORTS_PER_TURN && code == 0; i++) {
        code = reports_receive(&talk->service->reports, now_ms(), &message, &error);
        if (code == 0)
            take_report(talk, &message);
    }
    if (code == 0 || code == -EAGAIN)
        return;
    if (code == -EPIPE) {
        events_remove(talk->events, &talk->reports_source); /* SIGCHLD tells the rest */
        return;
    }
    report_error(PROGRAM, NULL, &error);
    end_service(talk);
}

int talk_begin(struct talk *talk, struct error *error)
{
    int code = 0;

    talk->reports_source = (struct event_source){
        .fd = talk->service->report_fd, .events = POLLIN, .ready = reports_ready, .context = talk};
    talk->watch_source.fd = -1;
    talk->service->reports.names_count = talk->policy->name_sets_count;
    talk->service->reports.jails = talk->policy->needs_resolver;
    if (talk->service->pid > 0)
        code = events_add(talk->events, &talk->reports_source);
    if (code < 0)
        return error_errno(error, code, "cannot watch netjail-service");
    if (talk->policy->jail_sets_count == 0 && !talk->policy->needs_resolver)
        return 0;
    code = talk_watch_begin(talk, error);
    return code < 0 ? code : talk_jails_begin(talk, error);
}

void talk_end(struct talk *talk)
{
    if (!talk->events)
        return;
    events_remove(talk->events, &talk->reports_source);
    talk_watch_end(talk);
}
