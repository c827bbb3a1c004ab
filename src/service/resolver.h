/* The jail's name server: answers the names that the policy admits, and makes their addresses
 * reachable first. */
#pragma once

#include "service/judge.h"
#include "service/log.h"
#include "service/loop.h"
#include "service/supply.h"

struct denials;
struct resolver;

struct resolver_setup {
    struct loop *loop;
    struct supply *supply;
    struct service_log *log;
    struct denials *denials; /* gets to know what addresses were answered for; NULL: no log */
    struct judge *judge;     /* gets to know what names stand for */
    const char *policy_name;
    bool log_json;
    bool on_loopback; /* listens on 127.0.0.1, too: the jail has no resolv.conf */
    int report_fd;    /* the channel to the supervisor */
    int route_fd;     /* NETLINK_ROUTE socket of the host's namespace */
    /* All sockets listen (0), or a negative errno. Called once, later. */
    void (*ready)(void *context, int code);
    void *context;
};

/* Starts a resolver; the setup's pointers must outlive it. */
int resolver_new(const struct resolver_setup *setup, struct resolver **ret_resolver,
                 struct error *error);
void resolver_free(struct resolver *resolver); /* NULL is allowed */

/* A notice of the supervisor of `size` bytes; one that is none is ignored. */
void resolver_notice(struct resolver *resolver, const union notice *notice, size_t size);
