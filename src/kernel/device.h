/* Interfaces of the host that move into a jail and back. */
#pragma once

#include "kernel/rtnl.h"
#include "plan/record.h"

/* Fills the record's devices, with their addresses and routes, as they are on the host now.
 * -EBUSY: one cannot be given back as it is (a route of several interfaces uses it). */
struct kernel;
int device_note(struct kernel *kernel, struct record *record, struct error *error);

/* What is set for the device below /proc/sys. Restored for the device that is called `name` now;
 * what cannot be restored is said in *error, without a code. */
int device_settings_note(struct record *record, const struct record_device *device,
                         struct error *error);
void device_settings_restore(const struct record *record, const struct record_device *device,
                             const char *name, struct error *error);

/* OP_DEVICE_MOVE: marks the device and moves it; it is down in the jail. */
int device_move(struct nl *host, const struct op *op, int netns_fd, struct nl_failure *failure);

/* Keeps the jail's namespace alive by a mount at <directory>/NAME.netns; the record tells of its
 * inode first. Needs CAP_SYS_ADMIN. */
int device_keep_netns(const char *directory, const char *jail, int netns_fd, struct error *error);

/* Gives every device of the record back as it was and ends what device_keep_netns() did. What was
 * done already, or never, is no error: it may be tried again. A name that is taken meanwhile: it
 * has another, and *error says so, without a code. -errno: something is left to do. */
int device_give_back(struct kernel *kernel, const char *directory, const struct record *record,
                     struct error *error);

/* The second half alone, for a host that is gone. */
int device_forget_netns(const char *directory, const struct record *record, struct error *error);
