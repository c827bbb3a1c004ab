/* The channel between supervisor and init: fixed-size messages over SOCK_SEQPACKET, each permitted
 * in named states only. */
#pragma once

#include "base/diag.h"
#include "jail/packet.h"

#include <stdint.h>

enum control_kind {
    /* Supervisor to init. */
    CONTROL_RELEASE = 1, /* run the command; value: 1 when it shall get the terminal */
    CONTROL_SIGNAL,      /* send signal `value` to the command */
    CONTROL_CONTINUE,    /* SIGCONT unless it was continued already; value: control_turn() */
    CONTROL_PROGRAM,     /* with CONTROL_PROGRAM_FDS: start a program beside the command */
    /* Init to supervisor. */
    CONTROL_OPENED, /* with CONTROL_FDS descriptors: route netlink, namespace */
    CONTROL_RULES,  /* the same: nftables, NFLOG; only where the plan has rules */
    CONTROL_RELAY, /* with RELAY_FDS descriptors (service/protocol.h); only where the plan relays */
    CONTROL_NOTIFY,  /* with one descriptor: the jail's notification socket */
    CONTROL_READY,   /* everything is in place; value: READY_* */
    CONTROL_STARTED, /* exec() has succeeded */
    CONTROL_STATUS,  /* the command ended, stopped or continued; value: control_turn() */
    CONTROL_EMPTY,  /* the command and all that it left have ended; value: as CONTROL_STATUS, unless
                       that has said it before */
    CONTROL_FAILED, /* struct control_failure */
    CONTROL_REFUSED, /* struct control_failure: everything was in place, execve(2) has failed */
};

/* The command gets a group of its own; the host's /sys stays, covered where it shows interfaces. */
#define READY_OWN_GROUP 1
#define READY_SYS_KEPT  2

#define CONTROL_FDS         2
#define CONTROL_PROGRAM_FDS 5 /* the client's connection, then those of REQUEST_PROGRAM */

/* A stop that was reported before the last CONTROL_CONTINUE is past: each of these raises the turn,
 * and each report carries the turn in which it was made. The low 16 bits are the status of wait(2),
 * or whether the command shall get the terminal. */
#define CONTROL_TURNS 0x4000
static inline int control_turn(int turn, int low)
{
    return turn << 16 | (low & 0xffff);
}

/* Where a jail stands, as the supervisor sees it. */
enum jail_state {
    JAIL_CLONED,  /* waiting for CONTROL_OPENED */
    JAIL_OPENED,  /* waiting for CONTROL_READY */
    JAIL_READY,   /* waiting for CONTROL_STARTED */
    JAIL_RUNNING, /* CONTROL_STATUS may come */
    JAIL_ENDED,   /* the command's status is known; CONTROL_EMPTY may come */
    JAIL_EMPTY,   /* nothing more may come */
};

struct control_message {
    uint32_t kind; /* enum control_kind */
    int32_t value;
};

/* CONTROL_FAILED, CONTROL_REFUSED: a struct error that crosses a process boundary. */
struct control_failure {
    uint32_t kind;
    int32_t code;
    struct position where;
    char text[sizeof(((struct error *)0)->text)];
    char hint[sizeof(((struct error *)0)->hint)];
};

/* Sends one message, with `fds` when fds_count > 0. Returns 0 or a negative errno (-EPIPE: the
 * other side is gone; no SIGPIPE is raised). */
int control_send(int fd, enum control_kind kind, int value, const int *fds, size_t fds_count);
int control_send_failure(int fd, enum control_kind kind, const struct error *error);

/* CONTROL_PROGRAM, without waiting: -EAGAIN when init does not keep up. */
int control_send_program(int fd, const int fds[CONTROL_PROGRAM_FDS]);

/* Init: the next command. Returns 0, -EPIPE at the end of the channel, -EAGAIN when `wait` is false
 * and none is there, -EPROTO for what is no command. ret_fds (CONTROL_PROGRAM_FDS of them) is
 * written for CONTROL_PROGRAM only; where it is NULL that is no command. */
int control_receive_command(int fd, bool wait, struct control_message *ret_message, int *ret_fds);

/* Supervisor: the next report of init, which is validated as hostile: kind, size and number of
 * descriptors as in the table, permitted in `state` (enum
 * jail_state). *ret_fds (room for PACKET_FDS_MAX; NULL where none
 * are expected) gets them. For CONTROL_FAILED *error is filled and its code returned; for
 * CONTROL_REFUSED *error is filled, too, but it is a report like any other, with the errno as its
 * value. -EPIPE: init is gone. -EAGAIN: see above. */
int control_receive_report(int fd, int state, bool wait, struct control_message *ret_message,
                           int *ret_fds, struct error *error);
