/* The denial log: what the jail's rules refused, told once and counted. */
#pragma once

#include "base/diag.h"
#include "service/nflog.h"

#define DENIALS_NAME_MAX 256

struct buf;
struct denials;
struct loop;
struct service_log;

#define DENIALS_WINDOW_MS 10000 /* the same flow within this time is counted, not told again */

/* Reads the NFLOG socket `nflog_fd` (owned from here on, also on failure; its group is already
 * bound) and writes lines, or JSON objects, to `log`. The names stay the caller's. */
int denials_open(struct loop *loop, int nflog_fd, struct service_log *log, const char *jail_name,
                 const char *policy_name, bool json, struct denials **ret_denials,
                 struct error *error);
/* Reads what is still there, tells the counts, closes. NULL is allowed. */
void denials_close(struct denials *denials);

/* Looks up what the jail's resolver has answered an address for; false: for nothing, lately. */
typedef bool denials_name_of(void *context, const struct addr *addr, char name[DENIALS_NAME_MAX]);
/* Hints speak of the names that `name_of` knows. NULL is allowed for `denials`. */
void denials_name_with(struct denials *denials, denials_name_of *name_of, void *context);
/* The jail has no resolver and could have one: a question to a foreign name server that no rule
 * admits is reported as the name that it asks for. NULL is allowed. */
void denials_tell_questions(struct denials *denials);

/* What the relay's own rules inside refuse (RELAY_LOG_PREFIX) is handed to `refused`, which knows
 * more. NULL is allowed for both. */
typedef void denials_relay_refused(void *context, const struct nflog_packet *packet);
void denials_relay_with(struct denials *denials, denials_relay_refused *refused, void *context);

/* Why something was refused. */
enum denial_cause {
    DENIAL_RULES,        /* by the jail's rules */
    DENIAL_HOST_ADDRESS, /* it is this host's, and the rule that admits it does not say so */
    DENIAL_NO_PING,      /* the host does not let the service make ping sockets */
    DENIAL_NO_MACHINE,   /* no address of one machine: multicast, broadcast, reserved, link-local */
};

/* Tells what was refused behind the rules, as what they refuse is told. NULL is allowed. */
void denials_tell(struct denials *denials, const struct nflog_packet *packet,
                  enum denial_cause cause);

/* What a log line says. */
struct denial {
    const char *jail_name;
    const char *policy_name;
    const struct nflog_packet *packet;
    enum denial_cause cause;
    const char *name; /* that the destination was answered for; NULL: none. Untrusted */
    unsigned count;   /* 1: told at once; more: how often it was seen in the window */
    uint64_t time_s;  /* since the epoch; JSON only */
};

/* One line with its newline; for something refused that is told the first time a second line,
 * "netjail: NAME: hint: allow out tcp to 192.0.2.1 port 443". */
void denial_print(const struct denial *denial, struct buf *out);
/* A name that the resolver refused. */
struct name_denial {
    const char *jail_name;
    const char *policy_name;
    const char *name;   /* untrusted */
    const char *rule;   /* "web.conf:3", or NULL: no rule admits it */
    const char *reason; /* why else: "answers with the private address 10.0.0.1"; NULL: none */
    const char *hint;   /* the statement that would allow it */
    uint64_t time_s;    /* since the epoch; JSON only */
};
void name_denial_print(const struct name_denial *denial, struct buf *out);
void name_denial_print_json(const struct name_denial *denial, struct buf *out);

/* The statement that would allow a name that is only asked for: https, as most names are for. */
void denial_hint_name(struct buf *out, const char *name);

/* One JSON object (RFC 8259) and a newline. */
void denial_print_json(const struct denial *denial, struct buf *out);
