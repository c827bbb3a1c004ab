/* The service's configuration, judged before anything in it is used. Pure. */
#pragma once

#include "base/diag.h"
#include "service/protocol.h"

/* Takes apart the `length` bytes of the configuration: a struct service_config, then its listeners.
 * The bytes are hostile. On success *ret_listeners has config.listener_count items, which the
 * caller frees. -EINVAL and a sentence otherwise. */
int service_config_parse(const void *bytes, size_t length, struct service_config *ret_config,
                         struct service_listener **ret_listeners, struct error *error);

/* Reads the whole of `fd` (a memory file) and parses it. */
int service_config_read(int fd, struct service_config *ret_config,
                        struct service_listener **ret_listeners, struct error *error);
