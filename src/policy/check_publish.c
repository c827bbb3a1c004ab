/* Published and exposed ports: none twice, not too many, and what `preserve-source` needs. Pure. */
#include "policy/check.h"

#include <string.h>

#define PORTS_MAX 1000

static bool is_loopback(const struct addr *addr)
{
    static const uint8_t loopback_v6[16] = {[15] = 1};

    return addr->family == ADDR_V4 ? addr->bytes[0] == 127
                                   : memcmp(addr->bytes, loopback_v6, sizeof loopback_v6) == 0;
}

/* The two addresses of PUBLISH_LOOPBACK: 127.0.0.1 and ::1. */
static bool is_default_loopback(const struct addr *addr)
{
    static const uint8_t loopback_v4[16] = {127, 0, 0, 1};

    return is_loopback(addr) &&
           (addr->family == ADDR_V6 || memcmp(addr->bytes, loopback_v4, sizeof loopback_v4) == 0);
}

static bool addresses_overlap(const struct publish *a, const struct publish *b)
{
    if (a->kind == PUBLISH_ANY || b->kind == PUBLISH_ANY)
        return true;
    if (a->kind == PUBLISH_LOOPBACK && b->kind == PUBLISH_LOOPBACK)
        return true;
    if (a->kind == PUBLISH_LOOPBACK)
        return is_default_loopback(&b->addr);
    if (b->kind == PUBLISH_LOOPBACK)
        return is_default_loopback(&a->addr);
    return addr_equal(&a->addr, &b->addr);
}

static bool publishes_overlap(const struct publish *a, const struct publish *b)
{
    return a->protocol == b->protocol && a->host_ports.first <= b->host_ports.last &&
           b->host_ports.first <= a->host_ports.last && addresses_overlap(a, b);
}

static void check_overlap(const struct policy *policy, struct diags *diags, size_t number)
{
    const struct publish *publish = &policy->publishes[number];

    for (size_t i = 0; i < number; i++) {
        const struct publish *first = &policy->publishes[i];
        unsigned port = first->host_ports.first > publish->host_ports.first
                            ? first->host_ports.first
                            : publish->host_ports.first;
        struct diag *diag;

        if (!publishes_overlap(publish, first))
            continue;
        diag = diag_error(diags, publish->where, "%s port %u is published twice",
                          protocol_name(publish->protocol), port);
        diag_other(diags, diag, first->where, "it was published here first");
        return;
    }
}

/* Only the path through the kernel keeps the client's address; loopback goes through the service,
 * and without a link there is no other path at all. */
static void check_preserve_source(const struct policy *policy, struct diags *diags,
                                  const struct publish *publish)
{
    struct diag *diag;
    bool has_link = false;

    if (!publish->preserve_source)
        return;
    for (size_t i = 0; i < policy->links_count; i++) {
        enum link_kind kind = policy->links[i].kind;

        has_link = has_link || (kind != LINK_RELAY && kind != LINK_JOIN);
    }
    if (publish->kind == PUBLISH_LOOPBACK ||
        (publish->kind == PUBLISH_ADDRESS && is_loopback(&publish->addr))) {
        diag = diag_error(diags, publish->where, "'preserve-source' on a loopback address");
        diag_hint(diags, diag,
                  "a client on the host's loopback cannot be seen from the jail: publish an "
                  "address of the host, or 'any'");
    } else if (!has_link) {
        diag = diag_error(diags, publish->where, "'preserve-source' without a link");
        diag_hint(diags, diag, "the client's address needs a way back: add a 'link'");
    }
}

void check_publishes(const struct policy *policy, struct diags *diags)
{
    unsigned total = 0;

    for (size_t i = 0; i < policy->publishes_count; i++) {
        const struct publish *publish = &policy->publishes[i];
        unsigned count = (unsigned)(publish->host_ports.last - publish->host_ports.first) + 1;

        if (total <= PORTS_MAX && total + count > PORTS_MAX)
            (void)diag_error(diags, publish->where,
                             "a policy publishes at most %d ports; here it is %u", PORTS_MAX,
                             total + count); /* the text says it all */
        total += count;
        check_overlap(policy, diags, i);
        check_preserve_source(policy, diags, publish);
    }
    for (size_t i = 0; i < policy->exposes_count; i++) {
        const struct expose *expose = &policy->exposes[i];

        for (size_t j = 0; j < i; j++) {
            const struct expose *first = &policy->exposes[j];
            struct diag *diag;

            if (expose->port != first->port || expose->protocol != first->protocol)
                continue;
            diag = diag_error(diags, expose->where, "%s port %u is exposed twice",
                              protocol_name(expose->protocol), expose->port);
            diag_other(diags, diag, first->where, "it was exposed here first");
            break;
        }
    }
}
