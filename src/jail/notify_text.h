/* A datagram of sd_notify(3) as text: which of its lines the caller's service manager may see. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

/* What systemd takes at most (NOTIFY_BUFFER_MAX is PIPE_BUF); a longer one it ignores. */
#define NOTIFY_TEXT_MAX 4096

enum notify_text_purpose {
    NOTIFY_TEXT_INVALID, /* systemd would ignore it: empty, too long, or a NUL inside */
    NOTIFY_TEXT_PLAIN,   /* descriptors that come with it mean nothing */
    NOTIFY_TEXT_STORE,   /* FDSTORE=1: its descriptors are to be kept */
    NOTIFY_TEXT_BARRIER, /* BARRIER=1: its descriptor is closed when all before it is done */
};

/* What is it, before anything is taken out? */
enum notify_text_purpose notify_text_purpose(const char *text, size_t length);

/* Takes out, in place, the lines that must not pass: MAINPID and its kin (pids of the jail mean
 * nothing outside, and netjail stays the main process), NOTIFYACCESS, and without `descriptors`
 * those that speak of descriptors. Returns the new length; 0: nothing is left. `text` must have
 * room for `length` bytes and is valid in the sense of notify_text_purpose(). */
size_t notify_text_filter(char *text, size_t length, bool descriptors);
