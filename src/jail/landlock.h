/* Landlock scopes (Linux 6.12, landlock(7)): no signals and no abstract unix sockets to outside. */
#pragma once

#include "base/diag.h"

/* The kernel's Landlock ABI version; 0: none, or switched off. */
int landlock_abi(void);

/* Has this ABI the scopes? */
bool landlock_can_scope(int abi);

/* Can it do without them what landlock_isolate() does (Linux 5.19)? */
bool landlock_can_isolate(int abi);

/* Puts this process and its future children into a domain of their own. Needs no_new_privs. */
int landlock_scope(struct error *error);

/* The same without scopes: nobody in it can look into a process outside, nothing else changes but
 * that mounts are no longer to be had. */
int landlock_isolate(struct error *error);
