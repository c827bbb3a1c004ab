/* Random rules over few addresses, so that rules and packets meet often, and what the words among
 * them mean in the jail of HEADER. For tests that hold verdicts against each other. */
#pragma once

#include "base/buf.h"
#include "policy/decide.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define HEADER                                                                                     \
    "network app { address 10.10.0.1/24; address fd00:10::1/64 }\n"                                \
    "link eth0 bridge app { address 10.10.0.5/24; address fd00:10::5/64 }\n"

/* Of the generator; never 0. */
static uint64_t state = 88172645463325252u;

static inline unsigned pick(unsigned count)
{
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return (unsigned)(state >> 33) % count;
}

/* The gateway and the host are among them. */
static inline void put_address(struct buf *out, bool v6)
{
    if (v6)
        buf_printf(out, "fd00:%u::%x", pick(3) ? 10 : 11, pick(8));
    else
        buf_printf(out, "10.%u.0.%u", pick(3) ? 10 : 11, pick(8));
}

static inline void put_item(struct buf *out)
{
    static const char *const words[] = {"gateway",   "host",     "private",  "link-local",
                                        "multicast", "metadata", "broadcast"};
    bool v6 = pick(2);

    switch (pick(6)) {
    case 0:
        buf_puts(out, words[pick(7)]);
        return;
    case 1: /* prefixes without host bits: 8-aligned values below 8 */
        if (v6)
            buf_printf(out, "fd00:10::%x/%u", pick(2) * 4, 126);
        else
            buf_printf(out, "10.%u.0.%u/%u", 10 + pick(2), pick(2) * 4, 30);
        return;
    case 2:
        if (v6)
            buf_printf(out, "fd00:10::%x-fd00:10::%x", pick(4), 4 + pick(4));
        else
            buf_printf(out, "10.10.0.%u-10.10.0.%u", pick(4), 4 + pick(4));
        return;
    default:
        put_address(out, v6);
        return;
    }
}

static inline void put_set(struct buf *out, const char *keyword)
{
    unsigned count = pick(4);

    if (pick(3) == 0)
        return;
    buf_printf(out, " %s ", keyword);
    if (count == 0) {
        buf_puts(out, "any");
        return;
    }
    buf_puts(out, "{ ");
    for (unsigned i = 0; i < count; i++) {
        buf_puts(out, i ? ", " : "");
        put_item(out);
    }
    buf_puts(out, " }");
}

/* `limited`: some rules have a rate. */
static inline void put_rule(struct buf *out, bool limited)
{
    static const char *const verdicts[] = {"allow", "deny", "drop"};
    static const char *const directions[] = {"in", "out", "forward"};
    static const char *const protocols[] = {"tcp",    "udp",    "tcp,udp",    "sctp", "icmp",
                                            "icmp 8", "icmpv6", "icmpv6 128", "47",   "tcp,icmp"};
    unsigned protocol = pick(16);

    buf_printf(out, "%s %s", verdicts[pick(3)], directions[pick(3)]);
    if (protocol < 10)
        buf_printf(out, " %s", protocols[protocol]);
    put_set(out, "from");
    put_set(out, "to");
    if (protocol < 4 && pick(3))
        buf_printf(out, pick(2) ? " port { %u, %u-%u }" : " port %u", 1 + pick(4), 6 + pick(3),
                   10 + pick(4));
    if (pick(12) == 0 && limited)
        buf_puts(out, " rate 10/second");
    if (pick(12) == 0)
        buf_puts(out, " log");
    buf_puts(out, "\n");
}

static inline void random_address(bool v6, struct addr *ret_addr)
{
    cleanup_buf struct buf text = {0};

    put_address(&text, v6);
    assert_int_equal(addr_parse(buf_text(&text), text.length, ret_addr), 0);
}

/* What gateway, host and the subnet's broadcast are in this jail. */
static inline bool contains(void *context, const struct set_item *item, const struct addr *addr)
{
    static const char *const gateway[] = {"10.10.0.1", "fd00:10::1"};
    static const char *const host[] = {"10.10.0.1", "fd00:10::1", "192.0.2.10", "2001:db8:1::10",
                                       "172.17.0.1"};
    static const char *const broadcast[] = {"10.10.0.255"};
    const char *const *list = item->kind == SET_GATEWAY ? gateway
                              : item->kind == SET_HOST  ? host
                                                        : broadcast;
    size_t count = item->kind == SET_GATEWAY ? 2 : item->kind == SET_HOST ? 5 : 1;

    (void)context; /* the answers are constant */
    for (size_t i = 0; i < count; i++) {
        struct addr one;

        assert_int_equal(addr_parse(list[i], strlen(list[i]), &one), 0);
        if (addr_equal(&one, addr))
            return true;
    }
    return false;
}
