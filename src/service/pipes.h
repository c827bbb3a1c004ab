/* Pipes for splice(2), kept while nobody needs them. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <sys/queue.h>

struct relay_pipe {
    int read_fd;
    int write_fd;
    size_t capacity; /* bytes */
    bool is_final;   /* as large as it gets */
    TAILQ_ENTRY(relay_pipe) entry;
};

TAILQ_HEAD(pipe_list, relay_pipe);

struct pipes {
    struct pipe_list idle;
    size_t idle_count;
    size_t count; /* all that exist */
    size_t count_max;
    size_t grown_count; /* pipes of PIPE_CAPACITY_MAX, idle ones included */
};

#define PIPE_CAPACITY_MAX ((size_t)1024 * 1024)
#define PIPES_IDLE_MAX    64
#define PIPES_GROWN_MAX   64

/* `count_max`: as many as descriptors are kept free for, two each. */
void pipes_init(struct pipes *pipes, size_t count_max);
void pipes_close_idle(struct pipes *pipes);

/* An empty pipe, or NULL: there are as many as there may be, or no memory. */
struct relay_pipe *pipes_take(struct pipes *pipes);
/* Gives an empty pipe back; `is_empty` false: it is closed with what is in it. */
void pipes_give(struct pipes *pipes, struct relay_pipe *relay_pipe, bool is_empty);
/* Called when a pipe was found full: makes it PIPE_CAPACITY_MAX where the kernel allows. */
void pipes_grow(struct pipes *pipes, struct relay_pipe *relay_pipe);
