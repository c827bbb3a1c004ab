/* The service's configuration, judged before anything in it is used. Pure. */
#pragma once

#include "base/diag.h"
#include "service/protocol.h"

/* The uid and gid of a privileged jail's service where there is no user of its own: one that no
 * distribution gives out (systemd's UIDS-GIDS.md: 60578-61183 are unused), so that no other process
 * shares it.
 */
#define SERVICE_USER "netjail-service" /* not in the group netjail, which may write leases */
#define SERVICE_UID  61180

/* What lets the service make ping sockets, where the host does not (icmp(7)). */
#define SERVICE_PING_REMEDY "sysctl net.ipv4.ping_group_range='0 2147483647'"

/* The parts of the configuration, each owned. */
struct service_setup {
    struct service_config config;
    struct service_listener *listeners; /* config.listener_count */
    struct known_range *known;          /* config.known_count */
    uint8_t *policy; /* config.policy_length bytes of a transcript, not yet read */
};

/* Takes apart the `length` bytes of the configuration, which are hostile. On success the caller
 * frees *ret_setup; -EINVAL and a sentence otherwise. */
int service_config_parse(const void *bytes, size_t length, struct service_setup *ret_setup,
                         struct error *error);

/* Reads the whole of `fd` (a memory file) and parses it. */
int service_config_read(int fd, struct service_setup *ret_setup, struct error *error);

void service_setup_free(struct service_setup *setup);
