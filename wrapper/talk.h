/* What the supervisor says to the service and does on its behalf while the command runs: addresses
 * of names into the kernel's sets, addresses of running jails, the host's name servers. */
#pragma once

#include "jail/events.h"
#include "jail/reports.h"
#include "kernel/lease.h"
#include "kernel/pins.h"
#include "wrapper/service_start.h"

#define TALK_SERVERS_MAX 3 /* MAXNS of the C library */
#define TALK_UNSENT_MAX  64

/* A running jail that rules speak of. */
struct talk_jail {
    const char *name; /* in the policy */
    struct addr addrs[NOTICE_ADDRS_MAX];
    size_t addrs_count;
};

#define TALK_LINK_SIZE 256

/* Tells a file from one that has taken its place; all 0: there is none. No padding. */
struct talk_resolv_identity {
    uint64_t device;
    uint64_t number;
    int64_t born_s; /* 0 where the file system does not say */
    int64_t born_ns;
};

/* What the jail's own resolv.conf lies on. */
struct talk_resolv {
    int etc_watch;
    int target_watch;
    bool is_in_run;     /* the place in the jail's own /run that /etc/resolv.conf points to */
    bool is_on_nothing; /* the host has no such file: ours is in an /etc of the jail's own */
    bool is_lost;       /* ... as was said */
    char link[TALK_LINK_SIZE];            /* what /etc/resolv.conf points to; "": it is no link */
    char file[64];                        /* the name of the file that it is in the end */
    struct talk_resolv_identity identity; /* when the jail's own was put there */
};

struct talk {
    const struct policy *policy;
    struct kernel *kernel; /* with the jail's nftables socket */
    struct service *service;
    const char *jail_name;
    const struct lease_directory *leases; /* NULL: no other jail can be known */
    struct events *events;
    struct event_source reports_source;
    union notice unsent[TALK_UNSENT_MAX]; /* the service did not take them yet, in order */
    size_t unsent_count;
    struct event_source watch_source; /* inotify; before that, perhaps, the timer that opens it */
    int leases_watch;
    struct talk_resolv resolv;
    struct addr servers[TALK_SERVERS_MAX];
    size_t servers_count;
    struct talk_jail *jails;
    size_t jails_count;
    /* What the service says about packets in the queue; NULL: nobody has one. */
    void (*verdicts)(void *context, const struct report_verdicts *verdicts);
    void *context;
};

/* Begins to serve and to watch: fills the sets of jails that rules speak of, tells the service what
 * it needs to know. After the rules are loaded and the service was started; before the release.
 * The struct's first members are filled by the caller. */
int talk_begin(struct talk *talk, struct error *error);
void talk_end(struct talk *talk);

/* talk_watch.c: what changes outside. */
int talk_watch_begin(struct talk *talk, struct error *error);
void talk_watch_end(struct talk *talk);

/* talk_jails.c: the jails of the policy. talk_jail_changed(): NULL: perhaps any of them. */
int talk_jails_begin(struct talk *talk, struct error *error);
int talk_jail_changed(struct talk *talk, const char *name, struct error *error);
/* Answers the service's question for one jail. */
void talk_jail_asked(struct talk *talk, const char *name);

/* Sends a notice, now or when the service reads again; one that reads nothing at all is ended. */
void talk_notify(struct talk *talk, const union notice *notice);
