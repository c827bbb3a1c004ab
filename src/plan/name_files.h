/* The texts of the files with which the C library finds names in a jail. Pure. */
#pragma once

#include "policy/policy.h"

struct buf;

/* Where the jail's resolver listens, in the jail. */
#define RESOLVER_ADDRESS "127.0.0.53"

/* Does the policy want files of the jail's own? Else the host's stay as they are. */
bool name_files_wanted(const struct policy *policy);

/* The path below /run that a symbolic link in /etc points to, a part of `target`; NULL: elsewhere.
 */
const char *name_files_below_run(const char *target);

/* The `nameserver` lines of a resolv.conf, at most `max`; 127.0.0.1 where there is none, as the C
 * library has it. Addresses with a zone (%eth0) are left out. Returns how many. */
size_t name_files_parse_servers(const char *text, size_t length, struct addr *ret_addrs,
                                size_t max);

/* resolv.conf(5): the jail's resolver or the `direct` servers, and the search domains. */
void name_files_print_resolv(const struct policy *policy, struct buf *out);

/* hosts(5): localhost, the machine's own name, the policy's records. */
void name_files_print_hosts(const struct policy *policy, const char *host_name, struct buf *out);

/* nsswitch.conf(5): the host's text, but for host names only modules that ask no daemon. False:
 * nothing to change. */
bool name_files_print_nsswitch(const char *text, size_t length, struct buf *out);
