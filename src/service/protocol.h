/* What passes between the supervisor, netjail-service and init: fixed-size messages only.
 *
 * The supervisor starts the service beside the jail, with its configuration on SERVICE_CONFIG_FD (a
 * sealed memfd: struct service_config, then listeners, known ranges and the texts of the policy)
 * and a channel to the supervisor on SERVICE_REPORT_FD (SOCK_SEQPACKET: the messages below; its end
 * tells each side that the other is gone). Whatever belongs to the jail comes over that channel
 * with NOTICE_BEGIN, when the jail's rules are in force. */
#pragma once

#include "policy/decide.h"

#include <stdbool.h>
#include <stdint.h>

#define SERVICE_CONFIG_FD 3
#define SERVICE_REPORT_FD 4
#define SERVICE_LOG_FD    5 /* where denials are written: stderr or the log file; closed when none */
#define SERVICE_FDS_END   6

#define SERVICE_MAGIC         0x6e6a7376u
#define SERVICE_LISTENERS_MAX 4096
#define SERVICE_KNOWN_MAX     65536

/* Jail addresses a connection is made to, tried in order: link address of the listener's family,
 * loopback of that family, loopback of the other family. */
#define SERVICE_TARGETS_MAX 3

/* What init opens in the jail for the relay, while it has the capabilities for it. */
enum relay_fd {
    RELAY_FD_QUEUE, /* NETLINK_NETFILTER, bound to queue 0 by the supervisor */
    RELAY_FD_TCP4,  /* transparent listeners: their connections' own address is the destination */
    RELAY_FD_TCP6,
    RELAY_FD_UDP4, /* transparent sockets that tell each datagram's destination */
    RELAY_FD_UDP6,
    RELAY_FD_ICMP4, /* raw: errors of the outside are handed on by them */
    RELAY_FD_ICMP6,
};
#define RELAY_FDS (RELAY_FD_ICMP6 + 1)

struct service_listener {
    uint8_t protocol; /* IPPROTO_TCP, IPPROTO_UDP */
    uint8_t target_count;
    uint16_t jail_port;
    struct addr targets[SERVICE_TARGETS_MAX];
};

struct service_config {
    uint32_t magic;
    uint32_t listener_count;
    uint32_t known_count;   /* struct known_range */
    uint64_t policy_length; /* bytes of policy/transcript.h; 0: the service decides nothing */
    uint32_t connection_limit;
    uint32_t rate_count; /* new connections and flows in rate_unit_s; 0: any number */
    uint32_t rate_unit_s;
    uint32_t rate_burst;
    bool limit_given;          /* by the policy: said when descriptors do not suffice for it */
    bool relay;                /* the jail's own connections are carried */
    bool resolver_on_loopback; /* the jail has no resolv.conf: 127.0.0.1 is asked */
    bool log;
    bool log_json;
    bool log_journal; /* SERVICE_LOG_FD is connected to the journal's socket */
    char jail_name[64];
    char policy_name[128];
};

/* Service -> init: one byte. Init answers with one byte (0 or an errno) and, on success, one socket
 * of the jail (SCM_RIGHTS), non-blocking and close-on-exec. Init refuses everything else. */
enum init_request {
    INIT_SOCKET_TCP4 = 1,
    INIT_SOCKET_TCP6,
    INIT_SOCKET_UDP4,
    INIT_SOCKET_UDP6,
};

/* Service -> supervisor. The service talks to the network and to the jail, so the supervisor takes
 * each report as hostile: size by kind, permitted in named states, ranges, rate (jail/reports.h).
 */
enum report_kind {
    REPORT_READY = 1, /* struct report: it listens to everything */
    REPORT_PINS,      /* struct report_pins: addresses of a name, to be admitted for a while */
    REPORT_VERDICTS,  /* struct report_verdicts: what becomes of packets that wait in the queue */
    REPORT_JAIL,      /* struct report_jail: which addresses has this running jail? */
};

struct report {
    uint32_t kind;     /* enum report_kind */
    uint32_t reserved; /* 0 */
};

#define PIN_SECONDS_MIN 30
#define PIN_SECONDS_MAX 86400
#define PINS_PER_REPORT 32

/* Answered with NOTICE_PINNED. The queue of a socket may hold as few as 10 messages
 * (net.unix.max_dgram_qlen), hence so many addresses in one. */
struct report_pins {
    uint32_t kind;
    uint32_t number;                    /* chosen by the service, comes back */
    uint32_t set;                       /* number of the policy's set of names, from 1 */
    uint32_t seconds;                   /* PIN_SECONDS_MIN..PIN_SECONDS_MAX */
    uint32_t count;                     /* 1..PINS_PER_REPORT */
    struct addr addrs[PINS_PER_REPORT]; /* zeroes behind the last */
};

enum verdict_kind {
    VERDICT_PACKET_DROP,
    VERDICT_PACKET_ACCEPT,
    VERDICT_PACKET_REFUSE, /* with a mark of enum relay_refusal (policy/relay.h) */
};

struct packet_verdict {
    uint32_t id;   /* of the packet in the queue */
    uint32_t kind; /* enum verdict_kind */
    uint32_t mark; /* VERDICT_PACKET_REFUSE; else 0 */
};

#define VERDICTS_PER_REPORT 32

struct report_verdicts {
    uint32_t kind;
    uint32_t count;                                      /* 1..VERDICTS_PER_REPORT */
    struct packet_verdict verdicts[VERDICTS_PER_REPORT]; /* zeroes behind the last */
};

#define REPORT_NAME_SIZE 64 /* JAIL_NAME_MAX + 1 */

struct report_jail {
    uint32_t kind;
    char name[REPORT_NAME_SIZE]; /* with its NUL, zeroes behind it */
};

/* Supervisor -> service. */
enum notice_kind {
    NOTICE_PINNED = 1, /* struct notice_pinned: how it went with the pins of one report */
    NOTICE_SERVERS,    /* struct notice_addrs: the name servers of the host, from now on */
    NOTICE_JAIL, /* struct notice_addrs: a jail that rules name has these now; none: it is gone */
    NOTICE_JAIL_ASKED, /* struct notice_addrs: the answer to a REPORT_JAIL; none: not running */
    NOTICE_BEGIN,      /* struct notice_begin, before all others: the jail's rules are in force */
};

/* The service loads, gives up its privilege and reads its configuration while the jail is built,
 * and has nothing of the jail before this. With the notices come, as many with each as a packet
 * takes (jail/packet.h) and in this order: the channel to init, the NFLOG socket when the policy
 * logs, the listening sockets in the order of their table, the descriptors of enum relay_fd with a
 * relay. */
struct notice_begin {
    uint32_t kind;
    uint32_t left;   /* descriptors that come with further notices */
    uint32_t queues; /* 1: new connections wait in the queue of RELAY_FD_QUEUE; 0: it is not used */
};

struct notice_pinned {
    uint32_t kind;
    uint32_t number; /* of the REPORT_PINS */
    int32_t code;    /* 0: all are in the kernel's sets; a negative errno: none is sure to be */
};

#define NOTICE_ADDRS_MAX 16

struct notice_addrs {
    uint32_t kind;
    uint32_t count;
    char name[REPORT_NAME_SIZE]; /* NOTICE_JAIL */
    struct addr addrs[NOTICE_ADDRS_MAX];
};

union notice {
    uint32_t kind;
    struct notice_pinned pinned;
    struct notice_addrs addrs;
};
