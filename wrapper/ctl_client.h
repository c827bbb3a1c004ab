/* netjailctl's way to running jails: finding one by its name, asking its supervisor. */
#pragma once

#include "kernel/lease.h"

/* The running jails that this user may see. */
struct jails {
    struct facts *facts;                  /* owned; facts->others are the records */
    struct lease_directory **directories; /* owned: where each record was found */
    size_t host_count;                    /* the first are the host's, the rest are users' own */
};

/* All of them: the host's, the user's own, and for root every logged-in user's. */
int jails_read(struct jails *ret_jails, struct error *error);
void jails_free(struct jails *jails);

/* One of them. */
struct found_jail {
    struct jails jails;
    const struct record *record;
    const struct lease_directory *directory;
    bool is_users; /* one that a user has for himself, who says what its record says */
};

/* -ENOENT: no jail of this name runs (with a suggestion in the hint). To be freed with
 * jails_free(&found.jails) in any case. */
int jail_find(const char *name, struct found_jail *ret_found, struct error *error);

/* Connects to the jail's supervisor; waits a moment for one that is just starting. */
int jail_connect(const struct found_jail *found, int *ret_fd, struct error *error);

/* Sends a request (enum request_kind) with its descriptors. */
int jail_request(int fd, int kind, const int *fds, size_t fds_count, struct error *error);

/* Waits for the supervisor's answer; with ret_fd for the descriptor in it. -ETIMEDOUT: it says
 * nothing, most likely because it is stopped. */
int jail_answer(int fd, const struct record *record, int *ret_fd, struct error *error);

/* The jail's network namespace: connect, ask, answer. */
int jail_namespace(const struct found_jail *found, int *ret_fd, struct error *error);
