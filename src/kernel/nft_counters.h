/* The counters of a jail's rules, read from the kernel. */
#pragma once

#include "kernel/nl.h"

/* Private type of a rule's user data: the text "web.conf:18" of the statement that it was made for.
 * nft(8) shows only its own types. */
#define RULE_DATA_POSITION 100

enum counted {
    COUNTED_ALLOWED,
    COUNTED_DENIED,
    COUNTED_DROPPED,
    COUNTED_OTHER, /* goes on, or goes elsewhere */
};

struct rule_counter {
    const char *chain; /* input, output, forward, ... */
    const char *where; /* "web.conf:18"; "": a rule of netjail's own */
    enum counted verdict;
    bool is_known_flow; /* established and related: replies, and what follows the first packet */
    uint64_t packets;
    uint64_t bytes;
};

/* Calls `each` for every rule with a counter, in the kernel's order; texts are valid in the call
 * only. `nl` is a NETLINK_NETFILTER socket of the jail. */
int nft_read_counters(struct nl *nl,
                      void (*each)(void *context, const struct rule_counter *counter),
                      void *context, struct error *error);
