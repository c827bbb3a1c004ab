/* Other jails as the supervisor tells: for `jail NAME` in rules, and on request for NAME.jail. */
#pragma once

#include "policy/policy.h"
#include "service/loop.h"
#include "service/protocol.h"

struct jails;

/* NULL: out of memory. Questions go to `fd` (not owned); answered() is called for each notice, and
 * with count 0 for a question that got none in time. */
struct jails *jails_new(struct loop *loop, int fd, const struct policy *policy,
                        void (*answered)(void *context, const char *name, const struct addr *addrs,
                                         size_t count),
                        void *context);
void jails_free(struct jails *jails);

/* Asks the supervisor for the addresses of a jail. -EAGAIN: too many questions are under way. */
int jails_ask(struct jails *jails, const char *name);
void jails_noticed(struct jails *jails, const struct notice_addrs *notice);

/* Has the jail of this item (SET_JAIL) the address now? */
bool jails_item_has(const struct jails *jails, const struct set_item *item,
                    const struct addr *addr);
