/* The filter tables of iptables-legacy, which nftables does not show.
 *
 * Looked at only where they are loaded already (/proc/net/ip_tables_names): asking for one would
 * load the module and register its hooks for good. The table comes as one piece
 * (IPT_SO_GET_ENTRIES, linux/netfilter_ipv4/ip_tables.h; the IPv6 structures are the same but for
 * the size of an entry); the policy of a chain is the standard target of the entry at its
 * underflow. Reads only. What must not happen: a length from the kernel being trusted beyond the
 * buffer. */
#include "kernel/xtables.h"

#include "base/cleanup.h"

#include <assert.h>
#include <netinet/in.h>
/* Behind netinet/in.h, whose definitions the kernel's headers then leave out. */
#include <linux/netfilter_ipv4/ip_tables.h>
#include <linux/netfilter_ipv6/ip6_tables.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#define TABLE "filter"

static_assert(sizeof(struct ipt_getinfo) == sizeof(struct ip6t_getinfo), "one structure for both");
static_assert(offsetof(struct ipt_get_entries, entrytable) ==
                  offsetof(struct ip6t_get_entries, entrytable),
              "one structure for both");

struct family {
    uint8_t addr;
    int socket; /* AF_* */
    int level;
    const char *names;
    size_t target_at; /* offset of target_offset in an entry */
};

static const struct family families[] = {
    {ADDR_V4, AF_INET, IPPROTO_IP, "/proc/net/ip_tables_names",
     offsetof(struct ipt_entry, target_offset)},
    {ADDR_V6, AF_INET6, IPPROTO_IPV6, "/proc/net/ip6_tables_names",
     offsetof(struct ip6t_entry, target_offset)},
};

static bool is_loaded(const struct family *family)
{
    cleanup_file FILE *file = fopen(family->names, "re");
    char line[64];

    while (file && fgets(line, sizeof line, file))
        if (strcmp(line, TABLE "\n") == 0)
            return true;
    return false;
}

/* The verdict of the FORWARD chain's policy, as xt_standard_target has it; 0: cannot be told. */
static int policy_verdict(const struct family *family, const struct ipt_getinfo *info,
                          const uint8_t *entries)
{
    size_t at = info->underflow[NF_INET_FORWARD];
    struct xt_standard_target target;
    uint16_t offset;

    if (at > info->size || info->size - at < family->target_at + sizeof offset)
        return 0;
    memcpy(&offset, entries + at + family->target_at, sizeof offset);
    if (offset > info->size - at || info->size - at - offset < sizeof target)
        return 0;
    memcpy(&target, entries + at + offset, sizeof target);
    return target.verdict;
}

static void find_in(const struct family *family, int fd, struct facts *facts)
{
    struct ipt_getinfo info = {.name = TABLE};
    socklen_t length = sizeof info;

    if (getsockopt(fd, family->level, IPT_SO_GET_INFO, &info, &length) < 0 ||
        info.size > (unsigned)1 << 24)
        return;
    length = (socklen_t)(offsetof(struct ipt_get_entries, entrytable) + info.size);
    struct ipt_get_entries *table = arena_alloc(facts->arena, length);
    memcpy(table->name, TABLE, sizeof TABLE);
    table->size = info.size;
    const uint8_t *entries = (const uint8_t *)table->entrytable;
    if (getsockopt(fd, family->level, IPT_SO_GET_ENTRIES, table, &length) < 0 ||
        policy_verdict(family, &info, entries) != -NF_DROP - 1)
        return;
    bool is_docker = memmem(entries, info.size, "DOCKER-USER", sizeof "DOCKER-USER") != NULL;
    bool is_ufw = memmem(entries, info.size, "ufw", 3) != NULL;
    struct fact_forward *fact = ARENA_PUSH(facts->arena, facts, forwards);
    fact->owner = is_ufw ? FORWARD_UFW : is_docker ? FORWARD_DOCKER_LEGACY : FORWARD_LEGACY;
    fact->family = family->addr;
    (void)snprintf(fact->table, sizeof fact->table, TABLE); /* fits */
    (void)snprintf(fact->chain, sizeof fact->chain, "%s",
                   is_docker ? "DOCKER-USER" : "FORWARD"); /* fits */
    fact->rules = entries;
    fact->rules_length = info.size;
}

void xtables_find_forward(struct facts *facts)
{
    for (size_t i = 0; i < ARRAY_LENGTH(families); i++) {
        if (!is_loaded(&families[i]))
            continue;
        cleanup_fd int fd = socket(families[i].socket, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_RAW);
        if (fd >= 0)
            find_in(&families[i], fd, facts);
    }
}
