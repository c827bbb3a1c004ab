/* What passes between the supervisor, netjail-service and init: fixed-size messages only.
 *
 * The supervisor starts the service with its configuration on SERVICE_CONFIG_FD (a sealed memfd:
 * struct service_config, then the listeners), the channel to init on SERVICE_INIT_FD
 * (SOCK_SEQPACKET), the NFLOG socket on SERVICE_NFLOG_FD when log is set, a report channel to the
 * supervisor on SERVICE_REPORT_FD (a pipe: one byte 'R' when ready, EOF when it is gone), and its
 * listening sockets from SERVICE_FIRST_LISTENER on, in the order of the table. */
#pragma once

#include "base/addr.h"

#include <stdbool.h>
#include <stdint.h>

#define SERVICE_CONFIG_FD      3
#define SERVICE_INIT_FD        4
#define SERVICE_NFLOG_FD       5 /* closed when there is no log */
#define SERVICE_REPORT_FD      6
#define SERVICE_LOG_FD         7 /* where denials are written: stderr or the log file; closed when none */
#define SERVICE_FIRST_LISTENER 8

#define SERVICE_MAGIC         0x6e6a7376u
#define SERVICE_LISTENERS_MAX 4096

/* Jail addresses a connection is made to, tried in order: link address of the listener's family,
 * loopback of that family, loopback of the other family. */
#define SERVICE_TARGETS_MAX 3

struct service_listener {
    uint8_t protocol; /* IPPROTO_TCP, IPPROTO_UDP */
    uint8_t target_count;
    uint16_t jail_port;
    struct addr targets[SERVICE_TARGETS_MAX];
};

struct service_config {
    uint32_t magic;
    uint32_t listener_count;
    uint32_t connection_limit;
    bool log;
    bool log_json;
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
