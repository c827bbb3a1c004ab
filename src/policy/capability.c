/* Capabilities by name (capabilities(7)), and which of them a command may not keep because with
 * them it could undo its jail: change its rules or links, load code into the kernel, reach
 * processes or files outside, or hand itself more. What is not in the table cannot be kept either.
 * No system call, no privilege. */
#include "policy/capability.h"

#include "base/cleanup.h"
#include "base/diag.h"

#include <linux/capability.h>
#include <string.h>
#include <strings.h>

static const char on_rules[] = "with it the command could change its own links and rules";
static const char on_packets[] = "with it the command could forge packets past its rules";
static const char on_all[] = "with it the command could undo its jail";
static const char on_kernel[] = "with it the command could change or read the kernel";
static const char on_processes[] = "with it the command could reach processes outside of its jail";
static const char on_files[] = "with it the command could reach what is outside of its jail";
static const char on_caps[] = "with it the command could get other capabilities";

static const struct capability capabilities[] = {
    {"audit_control", CAP_AUDIT_CONTROL, on_kernel},
    {"audit_read", CAP_AUDIT_READ, on_kernel},
    {"audit_write", CAP_AUDIT_WRITE, NULL},
    {"block_suspend", CAP_BLOCK_SUSPEND, NULL},
    {"bpf", CAP_BPF, on_kernel},
    {"checkpoint_restore", CAP_CHECKPOINT_RESTORE, on_processes},
    {"chown", CAP_CHOWN, NULL},
    {"dac_override", CAP_DAC_OVERRIDE, NULL},
    {"dac_read_search", CAP_DAC_READ_SEARCH, on_files},
    {"fowner", CAP_FOWNER, NULL},
    {"fsetid", CAP_FSETID, NULL},
    {"ipc_lock", CAP_IPC_LOCK, NULL},
    {"ipc_owner", CAP_IPC_OWNER, NULL},
    {"kill", CAP_KILL, NULL},
    {"lease", CAP_LEASE, NULL},
    {"linux_immutable", CAP_LINUX_IMMUTABLE, NULL},
    {"mac_admin", CAP_MAC_ADMIN, on_all},
    {"mac_override", CAP_MAC_OVERRIDE, on_all},
    {"mknod", CAP_MKNOD, on_files},
    {"net_admin", CAP_NET_ADMIN, on_rules},
    {"net_bind_service", CAP_NET_BIND_SERVICE, NULL},
    {"net_broadcast", CAP_NET_BROADCAST, NULL},
    {"net_raw", CAP_NET_RAW, on_packets},
    {"perfmon", CAP_PERFMON, on_kernel},
    {"setfcap", CAP_SETFCAP, on_caps},
    {"setgid", CAP_SETGID, NULL},
    {"setpcap", CAP_SETPCAP, on_caps},
    {"setuid", CAP_SETUID, NULL},
    {"sys_admin", CAP_SYS_ADMIN, on_all},
    {"sys_boot", CAP_SYS_BOOT, on_kernel},
    {"sys_chroot", CAP_SYS_CHROOT, NULL},
    {"sys_module", CAP_SYS_MODULE, on_kernel},
    {"sys_nice", CAP_SYS_NICE, NULL},
    {"sys_pacct", CAP_SYS_PACCT, on_kernel},
    {"sys_ptrace", CAP_SYS_PTRACE, on_processes},
    {"sys_rawio", CAP_SYS_RAWIO, on_kernel},
    {"sys_resource", CAP_SYS_RESOURCE, NULL},
    {"sys_time", CAP_SYS_TIME, NULL},
    {"sys_tty_config", CAP_SYS_TTY_CONFIG, NULL},
    {"syslog", CAP_SYSLOG, on_kernel},
    {"wake_alarm", CAP_WAKE_ALARM, NULL},
};

static void strip_prefix(const char **name, size_t *length)
{
    if (*length > 4 && strncasecmp(*name, "cap_", 4) == 0) {
        *name += 4;
        *length -= 4;
    }
}

const struct capability *capability_find(const char *name, size_t length)
{
    strip_prefix(&name, &length);
    for (size_t i = 0; i < ARRAY_LENGTH(capabilities); i++) {
        if (strlen(capabilities[i].name) == length &&
            strncasecmp(capabilities[i].name, name, length) == 0)
            return &capabilities[i];
    }
    return NULL;
}

const char *capability_suggest(struct arena *arena, const char *name, size_t length)
{
    const char **words = arena_alloc(arena, (ARRAY_LENGTH(capabilities) + 1) * sizeof *words);

    strip_prefix(&name, &length);
    for (size_t i = 0; i < ARRAY_LENGTH(capabilities); i++)
        words[i] = capabilities[i].name;
    return suggest_word(name, length, words);
}
