/* Sockets of the jail, asked from init (service/protocol.h) and kept ready. */
#pragma once

#include "base/diag.h"
#include "service/protocol.h"

#include <stdbool.h>
#include <sys/queue.h>

struct loop;
struct supply;

/* Someone who waits for a socket. Embedded in what waits; zero-initialised. */
struct supply_wait {
    /* `fd`: the socket, now the callee's, or a negative errno. */
    void (*ready)(void *context, int fd);
    void *context;
    bool queued;
    enum init_request kind;
    TAILQ_ENTRY(supply_wait) entry;
};

/* `gone` is called once, when init has closed the channel: the jail is no more. Owns init_fd. */
int supply_open(struct loop *loop, int init_fd, void (*gone)(void *context), void *context,
                struct supply **ret_supply, struct error *error);
void supply_close(struct supply *supply);

/* Which kind serves this protocol and target. */
enum init_request supply_kind(uint8_t protocol, uint8_t family);

/* Keeps a few sockets of this kind ready from now on. */
void supply_stock(struct supply *supply, enum init_request kind);

/* Gives a socket: wait->ready() is called before this returns when one is there, later otherwise.
 * From now on a few are kept ready; `once`: not for this one's sake, which will not come again. */
void supply_take(struct supply *supply, enum init_request kind, struct supply_wait *wait);
void supply_take_once(struct supply *supply, enum init_request kind, struct supply_wait *wait);
void supply_cancel(struct supply *supply, struct supply_wait *wait);
