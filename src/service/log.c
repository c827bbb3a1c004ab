/* The service's log lines.
 *
 * The descriptor may be the user's terminal, a pipe, a file: it is shared with others, so it must
 * not be made non-blocking; instead poll(2) is asked before each line, and a line is shorter than
 * PIPE_BUF, which a writable pipe takes whole. What must not happen: a reader that has stopped
 * (Ctrl-S, a full pipe) holding up connections, or a hostile jail flooding a terminal. */
#include "service/log.h"

#include "base/buf.h"
#include "service/loop.h"

#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

/* One line as a journal entry (systemd.io/JOURNAL_NATIVE_PROTOCOL): KEY=VALUE lines; a line of ours
 * has no newline inside. PRIORITY 5 is LOG_NOTICE. */
static bool send_line(const struct service_log *log, const char *line, size_t length)
{
    cleanup_buf struct buf entry = {0};

    buf_printf(&entry,
               "PRIORITY=5\nSYSLOG_IDENTIFIER=netjail\nNETJAIL_NAME=%s\nMESSAGE=", log->jail_name);
    buf_append(&entry, line, length);
    buf_puts(&entry, "\n");
    return send(log->fd, entry.data, entry.length, MSG_DONTWAIT | MSG_NOSIGNAL) ==
           (ssize_t)entry.length;
}

static bool send_lines(const struct service_log *log, const char *text, size_t length)
{
    bool sent = true;

    for (size_t start = 0; sent && start < length;) {
        const char *newline = memchr(text + start, '\n', length - start);
        size_t end = newline ? (size_t)(newline - text) : length;

        sent = send_line(log, text + start, end - start);
        start = end + 1;
    }
    return sent;
}

static bool write_now(const struct service_log *log, const char *text, size_t length)
{
    struct pollfd pollfd = {.fd = log->fd, .events = POLLOUT};

    if (log->is_journal)
        return send_lines(log, text, length);
    if (poll(&pollfd, 1, 0) != 1 || !(pollfd.revents & POLLOUT))
        return false;
    return write(log->fd, text, length) == (ssize_t)length;
}

static void put_message(const struct service_log *log, const char *text, struct buf *line)
{
    if (!log->json) {
        buf_printf(line, "netjail: %s: %s\n", log->jail_name, text);
        return;
    }
    log_json_begin(line, (uint64_t)time(NULL), log->jail_name, log->policy_name);
    log_json_member(line, "message", text);
    buf_puts(line, "}\n");
}

static bool tell_lost(struct service_log *log)
{
    cleanup_buf struct buf line = {0};
    char text[64];

    if (log->lost == 0)
        return true;
    (void)snprintf(text, sizeof text, "%llu more lines were not written",
                   (unsigned long long)log->lost); /* fits */
    put_message(log, text, &line);
    if (!write_now(log, line.data, line.length))
        return false;
    log->lost = 0;
    return true;
}

bool service_log_write(struct service_log *log, const char *text)
{
    uint64_t second = loop_now_ms(log->loop) / 1000;

    if (log->fd < 0)
        return false;
    if (second != log->second) {
        log->second = second;
        log->lines = 0;
    }
    if (log->lines >= SERVICE_LOG_LINES_PER_SECOND || !tell_lost(log) ||
        !write_now(log, text, strlen(text))) {
        log->lost++;
        return false;
    }
    log->lines++;
    return true;
}

void service_log_limit(struct service_log *log, const char *format, ...)
{
    cleanup_buf struct buf line = {0};
    uint64_t now_ms = loop_now_ms(log->loop);
    char text[256];
    va_list arguments;

    if (log->limit_ms && now_ms - log->limit_ms < 1000)
        return;
    log->limit_ms = now_ms ? now_ms : 1;
    va_start(arguments, format);
    (void)vsnprintf(text, sizeof text, format, arguments); /* a cut text still says it */
    va_end(arguments);
    put_message(log, text, &line);
    (void)service_log_write(log, buf_text(&line)); /* a lost line is counted */
}
