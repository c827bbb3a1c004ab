/* A pseudo-terminal between netjailctl's own terminal and a program in a jail. */
#pragma once

#include "base/diag.h"

#include <termios.h>

struct terminal {
    int master_fd;       /* ours; -1: no terminal is involved */
    int slave_fd;        /* the program's; -1 once given away */
    bool is_interactive; /* stdin and stdout are a terminal: it is raw while the program runs */
    bool takes_input;    /* stdin is a terminal */
    bool is_raw;
    bool input_ended;
    struct termios saved;
    char input[4096]; /* typed, and not taken by the program yet */
    size_t input_length;
};

/* Looks at 0, 1 and 2; makes a pseudo-terminal when one of them is a terminal. *ret_fds has bit n
 * set for each that is. */
int terminal_open(struct terminal *terminal, unsigned *ret_fds, struct error *error);

/* Raw mode, when we are in the foreground; back to what it was. */
void terminal_enter(struct terminal *terminal);
void terminal_leave(struct terminal *terminal);

/* Is netjailctl in the foreground of its terminal, so that it may read from it? */
bool terminal_has_foreground(const struct terminal *terminal);

/* The window's size to the program's side, which raises SIGWINCH there. */
void terminal_resize(const struct terminal *terminal);

/* Carries what is there, without waiting. output: false at its end (all have closed the other
 * side). */
void terminal_carry_input(struct terminal *terminal);
bool terminal_carry_output(struct terminal *terminal);

void terminal_close(struct terminal *terminal);
