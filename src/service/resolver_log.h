/* What the resolver refused, told once and not again for a while. */
#pragma once

#include "policy/policy.h"
#include "service/log.h"
#include "service/loop.h"
#include "service/resolver.h"
#include "service/resolver_name.h"
#include "service/resolver_servers.h"

#define RESOLVER_LOG_NAMES 64

struct pinned;

struct resolver_log {
    struct service_log *log;
    const struct loop *loop;
    const struct policy *policy;
    const char *policy_name;
    const struct pinned *pinned;
    bool json;
    struct told {
        uint32_t hash;
        uint64_t at_ms;
    } told[RESOLVER_LOG_NAMES];
    size_t next;
};

/* Begins; hints of the denial log speak of the names in `pinned` from here on. */
void resolver_log_open(struct resolver_log *log, const struct resolver_setup *setup,
                       const struct pinned *pinned);

/* A name that no rule admits (rule: SIZE_MAX) or that this rule refuses. */
void resolver_log_name(struct resolver_log *log, const char *name, size_t rule);
/* An address that a public name must not have. */
void resolver_log_address(struct resolver_log *log, const char *name, const struct addr *addr,
                          bool never);
/* A name whose servers were all asked in vain: the program says only that it does not resolve. */
void resolver_log_unanswered(const struct resolver_log *log, const struct dns_name *name,
                             const struct dns_turns *asked);
