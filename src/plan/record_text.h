/* What the two sides of a record's text agree on. */
#pragma once

#include "plan/record.h"

#define RECORD_HEADER "netjail-record 1"

/* The interface that a sysctl path is about; false where it is not one of those that netjail writes
 * on the host, or its interface name is none. "all" counts as an interface. */
bool sysctl_path_interface(const char *path, char ret_interface[IFNAME_SIZE]);
