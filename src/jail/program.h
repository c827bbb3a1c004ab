/* A program that netjailctl starts in a running jail, beside its command. */
#pragma once

#include "jail/jail.h"

struct program_args {
    const struct jail_setup *setup;
    int client_fd; /* speaks struct request_event */
    int description_fd;
    int standard_fds[3];
};

/* In a child of init: starts the program, reports to the client what becomes of it, obeys the
 * client. Ends with the program; when the client is gone, ends the program and all that it
 * started. */
_Noreturn void program_run(const struct program_args *args);
