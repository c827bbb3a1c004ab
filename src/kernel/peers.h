/* The other jails that a plan lays cables to: sockets in their namespaces. */
#pragma once

#include "kernel/nl.h"
#include "plan/plan.h"

struct peers {
    struct nl *routes; /* one per plan->peers */
    size_t count;
};

/* Opens what the plan needs; NULL when that is nothing. -ENOLINK with *error: a jail is not (or no
 * longer) there, or its rules are not in force yet; it may pay to try again. */
int peers_open(const struct plan *plan, struct peers **ret_peers, struct error *error);
/* Are the names free that the plan's cables take in the other jails? -EAGAIN with *error: one is
 * not; it may belong to a jail that is just ending, since a cable goes with its namespace, 45 ms
 * after the last process. Other: the question failed. */
int peers_names_free(const struct plan *plan, const struct peers *peers, struct error *error);
void peers_close(struct peers *peers); /* NULL is allowed */

/* The network namespace of a jail: that of init, the child of the supervisor that is in another
 * namespace than we are. -ENOLINK: there is none (yet). */
int jail_netns_open(const struct plan_peer *peer, int *ret_fd, struct error *error);

/* The network namespace that the plan joins; -1 when it joins none. */
int joined_open(const struct plan *plan, int *ret_fd, struct error *error);

/* Is `netns_fd` that namespace? -EUCLEAN: the command would run elsewhere. */
int joined_verify(int joined_fd, int netns_fd, struct error *error);
