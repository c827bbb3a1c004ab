/* The service manager that started netjail, if one waits for notifications. */
#pragma once

#include "jail/notify.h"
#include "policy/policy.h"

/* Shall the jail have a notification socket? With a NOTIFY_SOCKET that somebody listens on: yes,
 * and *notify is connected to it. Says on stderr why not, unless `quiet`. */
bool manager_find(const struct policy *policy, bool quiet, struct notify *notify);

/* The refused() of notify_begin(). */
void manager_descriptors_refused(void *context);
