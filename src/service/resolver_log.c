/* Lines about names. A program that is refused asks again, so the same name is told once in 10 s;
 * the log's own limit of lines a second does the rest. */
#include "service/resolver_log.h"

#include "base/buf.h"
#include "base/cleanup.h"
#include "policy/relay.h"
#include "service/denials.h"
#include "service/resolver_guard.h"
#include "service/resolver_pinned.h"

#include <string.h>
#include <time.h>

/* The name that an address was answered for (denials_name_of). */
static bool name_of(void *context, const struct addr *addr, char name[DENIALS_NAME_MAX])
{
    const struct resolver_log *log = context;
    struct dns_name found;

    return pinned_name_of(log->pinned, addr, loop_now_ms(log->loop), &found) &&
           dns_name_text(&found, name);
}

void resolver_log_open(struct resolver_log *log, const struct resolver_setup *setup,
                       const struct pinned *pinned)
{
    *log = (struct resolver_log){.log = setup->log,
                                 .loop = setup->loop,
                                 .policy = judge_policy(setup->judge),
                                 .policy_name = setup->policy_name,
                                 .pinned = pinned,
                                 .json = setup->log_json};
    denials_name_with(setup->denials, name_of, log);
}

static bool was_told(struct resolver_log *log, const char *name)
{
    uint64_t now_ms = loop_now_ms(log->loop);
    uint32_t hash = 2166136261u; /* FNV-1a */

    for (const char *at = name; *at; at++)
        hash = (hash ^ (uint8_t)*at) * 16777619u;
    for (size_t i = 0; i < RESOLVER_LOG_NAMES; i++) {
        if (log->told[i].hash == hash && log->told[i].at_ms + DENIALS_WINDOW_MS > now_ms)
            return true;
    }
    log->told[log->next].hash = hash;
    log->told[log->next].at_ms = now_ms;
    log->next = (log->next + 1) % RESOLVER_LOG_NAMES;
    return false;
}

static void tell(struct resolver_log *log, struct name_denial *denial)
{
    cleanup_buf struct buf line = {0};

    if (log->log->fd < 0 || was_told(log, denial->name))
        return;
    denial->jail_name = log->log->jail_name;
    denial->policy_name = log->policy_name;
    denial->time_s = (uint64_t)time(NULL);
    if (log->json)
        name_denial_print_json(denial, &line);
    else
        name_denial_print(denial, &line);
    (void)service_log_write(log->log, buf_text(&line)); /* a lost line is counted there */
}

void resolver_log_name(struct resolver_log *log, const char *name, size_t rule)
{
    cleanup_buf struct buf place = {0};
    cleanup_buf struct buf hint = {0};
    struct name_denial denial = {.name = name};

    if (strcmp(name, RELAY_HOST_NAME) == 0) /* no rule opens that */
        buf_puts(&hint, "expose PORT");
    else
        denial_hint_name(&hint, name);
    denial.hint = buf_text(&hint);
    if (rule < log->policy->rules_count) {
        position_print(&log->policy->sources, log->policy->rules[rule].where, &place);
        denial.rule = buf_text(&place);
    }
    tell(log, &denial);
}

void resolver_log_address(struct resolver_log *log, const char *name, const struct addr *addr,
                          bool never)
{
    char text[ADDR_TEXT_SIZE];
    char reason[128];
    char hint[320];
    struct name_denial denial = {.name = name, .reason = reason, .hint = hint};

    (void)snprintf(reason, sizeof reason, "it answers with %s, which is %s", addr_print(addr, text),
                   never                    ? "no host's address"
                   : guard_is_private(addr) ? "not public"
                                            : "this host's or a jail's"); /* fits */
    if (never)
        (void)snprintf(hint, sizeof hint, "allow out tcp to ADDRESS");
    else
        (void)snprintf(hint, sizeof hint, "dns { private %s }", name); /* names are short */
    tell(log, &denial);
}

void resolver_log_unanswered(const struct resolver_log *log, const struct dns_name *name,
                             const struct dns_turns *asked)
{
    cleanup_buf struct buf servers = {0};
    char text[DNS_NAME_MAX];
    char addr[ADDR_TEXT_SIZE];

    for (size_t i = 0; i < asked->count; i++)
        buf_printf(&servers, "%s %s", i == 0 ? "" : ",", addr_print(&asked->order[i], addr));
    if (dns_name_text(name, text))
        service_log_limit(log->log, "no name server answers: %s does not resolve (asked:%s)", text,
                          buf_text(&servers));
}
