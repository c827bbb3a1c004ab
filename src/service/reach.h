/* Where a flow of the jail may be carried to. */
#pragma once

#include "base/diag.h"
#include "policy/decide.h"
#include "policy/relay.h"

struct denials;
struct judge;
struct nflog_packet;
struct reach;

#define REACH_TARGETS_MAX 2

/* Where to connect, tried in order. */
struct reach_targets {
    struct addr addrs[REACH_TARGETS_MAX];
    size_t count;
};

/* `route_fd`: a NETLINK_ROUTE socket of the host's namespace, owned from here on. With `log denied`
 * `denials` (NULL: no log) gets what the rules of the jail admit and is refused all the same. */
int reach_new(struct judge *judge, struct denials *denials, int route_fd, struct reach **ret_reach,
              struct error *error);
void reach_free(struct reach *reach); /* NULL is allowed */

/* May this first packet of the jail be carried, and to where? 0, or how it is to be refused (enum
 * relay_refusal). Asked again for every flow, since the host's addresses change. */
int reach_check(struct reach *reach, const struct packet *packet,
                struct reach_targets *ret_targets);

/* Tells that the host keeps the jail from pinging what its rules admit. */
void reach_tell_no_ping(const struct reach *reach, const struct packet *packet);

/* Tells what the relay's own rules in the jail refuse though those of the policy admit it: what is
 * no machine's address. For denials_relay_with(); the context is the reach. */
void reach_tell_refused(void *context, const struct nflog_packet *packet);

/* How a failure of connect(2) outside is told inside; 0: not at all, the jail's own time runs out.
 */
int reach_refusal(int error_number);
