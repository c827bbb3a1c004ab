/* Init: the first process of the jail, and the only one of netjail inside it. */
#pragma once

#include "jail/jail.h"

struct init_args {
    const struct jail_setup *setup;
    pid_t netjail_pid; /* the supervisor's, as LISTEN_PID and WATCHDOG_PID name it */
    int control_fd;
    int service_fd;
    int supervisor_control_fd; /* the other ends, to be closed */
    int supervisor_service_fd;
    bool user_namespace; /* init is in one of its own */
};

/* Runs init; called in the process that clone() made. Ends with the control channel. */
_Noreturn void init_run(const struct init_args *args);
