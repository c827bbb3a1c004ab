/* Pings of the jail, carried by ping sockets of the host. */
#pragma once

#include "base/diag.h"

struct loop;
struct queue_packet;
struct reach;
struct relay_echo;
struct relay_errors;
struct verdicts;

/* At most so many programs and addresses at a time; one descriptor each. */
#define RELAY_ECHO_FLOWS_MAX 64

/* All of them stay the caller's. */
int relay_echo_new(struct loop *loop, struct reach *reach, struct verdicts *verdicts,
                   struct relay_errors *errors, struct relay_echo **ret_relay, struct error *error);
void relay_echo_free(struct relay_echo *relay); /* NULL is allowed */

/* An ICMP packet that waits in the queue. */
void relay_echo_packet(struct relay_echo *relay, const struct queue_packet *packet);
