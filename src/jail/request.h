/* What netjailctl may ask of a jail: fixed-size messages over the SOCK_SEQPACKET socket NAME.sock
 * beside the lease.
 *
 * One connection, one request. The supervisor answers and closes, or hands the connection to the
 * jail's init, whose child (program.c) runs the program and speaks struct request_event with the
 * client until the program has ended. Neither side believes the other: sizes, kinds and numbers of
 * descriptors are those of the table in request.c, or the connection ends. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define REQUEST_MAGIC 0x6e6a7131u

enum request_kind {
    REQUEST_NAMESPACE = 1, /* answer: the network namespace's descriptor */
    REQUEST_PROGRAM,       /* with REQUEST_PROGRAM_FDS: run a program in the jail */
    REQUEST_KINDS,
};

#define REQUEST_PROGRAM_FDS 4 /* the program's description (a memfd), its 0, 1 and 2 */

/* Client to supervisor. */
struct request {
    uint32_t magic;
    uint32_t kind;
};

/* Supervisor to client, and then program.c to client, and back. */
enum request_event_kind {
    EVENT_ANSWER = 1, /* value: 0 or a negative errno; with the descriptor that was asked for */
    EVENT_STARTED,    /* the program runs; value: its uid */
    EVENT_REFUSED,    /* value: negative errno of execve(2) */
    EVENT_FAILED,     /* value: negative errno of something before it */
    EVENT_STATUS,     /* it ended or stopped; value: the status of wait(2) */
    EVENT_SIGNAL,     /* client: send signal `value` to the program */
    EVENT_SIGNAL_ALL, /* client: the same to its process group */
    EVENT_CONTINUE,   /* client: continue it, and give it its terminal back */
};

struct request_event {
    uint32_t kind;
    int32_t value;
};

/* The description of a program: this, then argc + envc strings, each with its NUL. */
#define PROGRAM_MAGIC    0x6e6a7031u
#define PROGRAM_SIZE_MAX ((size_t)4 << 20)
#define PROGRAM_ARGS_MAX 65536u

struct program_header {
    uint32_t magic;
    uint32_t argc;         /* at least 1 */
    uint32_t envc;         /* NAME=VALUE, set in the jail's environment */
    uint32_t terminal_fds; /* bit n: descriptor n is the program's terminal */
    uint32_t umask;
    uint32_t cwd_length; /* bytes of `cwd`; 0: the jail's own directory */
    uint64_t ignored;    /* bit n: signal n + 1 is ignored */
    uint64_t blocked;
    char cwd[4096];
};

/* Is this length and number of descriptors right for the request? */
bool request_is_valid(const struct request *request, size_t length, size_t fds_count);

/* The strings of a description in `text` (of `length` bytes, behind the header): fills argv and
 * envp, NULL-terminated, of argc + 1 and envc + 1 places. False: it is not one. */
bool program_split(const struct program_header *header, char *text, size_t length, char **argv,
                   char **envp);
bool program_header_is_valid(const struct program_header *header);
