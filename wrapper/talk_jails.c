/* Other jails, as they come and go: `to jail NAME` in rules, NAME.jail in the resolver.
 *
 * A lease says which addresses a running jail has. For those that rules name, the sets of the
 * jail's table follow: what is new goes in and what is gone goes out in one transaction. For
 * NAME.jail the service asks, and the lease is read then, so the answer is as true as the lease.
 * What must not happen: an address kept that has been given to another jail meanwhile (the lease's
 * end is an event), or one that belongs to the jail itself or to every jail (loopback). */
#include "talk.h"

#include <errno.h>
#include <string.h>

static bool is_own(const struct addr *addr)
{
    static const struct addr loopback6 = {.family = ADDR_V6, .bytes = {[15] = 1}};

    return (addr->family == ADDR_V4 && addr->bytes[0] == 127) || addr_equal(addr, &loopback6);
}

/* Has the other jail an address on a network that one of our links is on? */
static bool shares_network(const struct policy *policy, const char *network)
{
    for (size_t i = 0; network[0] && i < policy->links_count; i++) {
        if (policy->links[i].kind == LINK_BRIDGE && strcmp(policy->links[i].target, network) == 0)
            return true;
    }
    return false;
}

/* Is the address one of a network that we have a link on, as the policy writes it? */
static bool is_neighbour(const struct policy *policy, const struct addr *addr)
{
    for (size_t i = 0; i < policy->links_count; i++) {
        const struct network *network = &policy->networks[policy->links[i].network];

        for (size_t k = 0; policy->links[i].kind == LINK_BRIDGE && k < network->addresses_count;
             k++)
            if (prefix_contains(&network->addresses[k].prefix, addr))
                return true;
    }
    return false;
}

/* Where a group may write leases, a user's says what he likes: it may name neighbours only. */
static bool is_trusted(const struct record *record)
{
    return record->uid == 0 || record->uid == geteuid();
}

static size_t take_addresses(const struct policy *policy, const struct record *record, bool shared,
                             struct addr addrs[NOTICE_ADDRS_MAX])
{
    size_t count = 0;

    for (size_t i = 0; i < record->addresses_count && count < NOTICE_ADDRS_MAX; i++) {
        const struct record_address *address = &record->addresses[i];

        if (!is_own(&address->prefix.addr) &&
            (!shared || shares_network(policy, address->network)) &&
            (is_trusted(record) || is_neighbour(policy, &address->prefix.addr)))
            addrs[count++] = address->prefix.addr;
    }
    return count;
}

/* The addresses of a running jail; those on a network of ours, where there are any. */
static size_t look_up(const struct talk *talk, const char *name, bool known_only,
                      struct addr addrs[NOTICE_ADDRS_MAX])
{
    struct record *record;
    size_t count;
    bool shared;

    if (!talk->leases || lease_find(talk->leases, name, &record) < 0)
        return 0;
    if (record->state == RECORD_ENDING) {
        record_free(record);
        return 0;
    }
    count = take_addresses(talk->policy, record, true, addrs);
    shared = count > 0;
    if (known_only && !shared && record->uid != geteuid())
        count = 0;
    else if (!shared || !known_only)
        count = take_addresses(talk->policy, record, false, addrs);
    record_free(record);
    return count;
}

void talk_jail_asked(struct talk *talk, const char *name)
{
    union notice notice = {.addrs = {.kind = NOTICE_JAIL_ASKED}};

    memcpy(notice.addrs.name, name, strnlen(name, REPORT_NAME_SIZE - 1));
    notice.addrs.count = (uint32_t)look_up(talk, notice.addrs.name, true, notice.addrs.addrs);
    talk_notify(talk, &notice);
}

static bool has(const struct addr *addrs, size_t count, const struct addr *addr)
{
    for (size_t i = 0; i < count; i++) {
        if (addr_equal(&addrs[i], addr))
            return true;
    }
    return false;
}

static bool set_names_jail(const struct set *set, const char *name)
{
    for (size_t i = 0; i < set->items_count; i++) {
        if (set->items[i].kind == SET_JAIL && strcmp(set->items[i].name, name) == 0)
            return true;
    }
    return false;
}

/* Does another jail of the set have the address, too? */
static bool is_kept(const struct talk *talk, const struct set *set, const struct talk_jail *except,
                    const struct addr *addr)
{
    for (size_t i = 0; i < talk->jails_count; i++) {
        const struct talk_jail *jail = &talk->jails[i];

        if (jail != except && set_names_jail(set, jail->name) &&
            has(jail->addrs, jail->addrs_count, addr))
            return true;
    }
    return false;
}

static int change_set(struct talk *talk, uint32_t number, const struct set *set,
                      const struct talk_jail *was, const struct talk_jail *is, struct error *error)
{
    struct addr added[NOTICE_ADDRS_MAX], removed[NOTICE_ADDRS_MAX];
    size_t added_count = 0, removed_count = 0;

    for (size_t i = 0; i < is->addrs_count; i++) {
        if (!has(was->addrs, was->addrs_count, &is->addrs[i]))
            added[added_count++] = is->addrs[i];
    }
    for (size_t i = 0; i < was->addrs_count; i++) {
        if (!has(is->addrs, is->addrs_count, &was->addrs[i]) &&
            !is_kept(talk, set, is, &was->addrs[i]))
            removed[removed_count++] = was->addrs[i];
    }
    return jail_set_change(talk->kernel, number, added, added_count, removed, removed_count, error);
}

static int change_sets(struct talk *talk, const struct talk_jail *was, const struct talk_jail *is,
                       struct error *error)
{
    const struct policy *policy = talk->policy;
    uint32_t done = 0; /* sets are numbered in the order of their first rule */
    int code = 0;

    for (size_t i = 0; i < policy->rules_count && code == 0; i++) {
        const struct rule *rule = &policy->rules[i];
        const struct {
            uint32_t number;
            const struct set *set;
        } sides[] = {{rule->to_jails, &rule->to}, {rule->from_jails, &rule->from}};

        for (size_t k = 0; k < 2 && code == 0; k++) {
            if (sides[k].number <= done)
                continue;
            done = sides[k].number;
            if (set_names_jail(sides[k].set, is->name))
                code = change_set(talk, done, sides[k].set, was, is, error);
        }
    }
    return code;
}

static int refresh(struct talk *talk, struct talk_jail *jail, struct error *error)
{
    union notice notice = {.addrs = {.kind = NOTICE_JAIL}};
    struct talk_jail was = *jail;
    int code;

    jail->addrs_count = look_up(talk, jail->name, false, jail->addrs);
    if (was.addrs_count == jail->addrs_count &&
        memcmp(was.addrs, jail->addrs, was.addrs_count * sizeof was.addrs[0]) == 0)
        return 0;
    code = change_sets(talk, &was, jail, error);
    if (code < 0) {
        *jail = was;
        return code;
    }
    memcpy(notice.addrs.name, jail->name, strnlen(jail->name, REPORT_NAME_SIZE - 1));
    notice.addrs.count = (uint32_t)jail->addrs_count;
    memcpy(notice.addrs.addrs, jail->addrs, sizeof notice.addrs.addrs);
    talk_notify(talk, &notice);
    return 0;
}

int talk_jail_changed(struct talk *talk, const char *name, struct error *error)
{
    int code = 0;

    for (size_t i = 0; i < talk->jails_count && code == 0; i++) {
        if (!name || strcmp(talk->jails[i].name, name) == 0)
            code = refresh(talk, &talk->jails[i], error);
    }
    return code;
}

static void collect(struct talk *talk, const struct set *set)
{
    for (size_t i = 0; i < set->items_count; i++) {
        const struct set_item *item = &set->items[i];
        bool known = item->kind != SET_JAIL;

        for (size_t k = 0; k < talk->jails_count && !known; k++)
            known = strcmp(talk->jails[k].name, item->name) == 0;
        if (!known)
            talk->jails[talk->jails_count++].name = item->name;
    }
}

int talk_jails_begin(struct talk *talk, struct error *error)
{
    const struct policy *policy = talk->policy;
    size_t most = 0;

    for (size_t i = 0; i < policy->rules_count; i++) {
        const struct rule *rule = &policy->rules[i];

        most += rule->to_jails ? rule->to.items_count : 0;
        most += rule->from_jails ? rule->from.items_count : 0;
    }
    if (most == 0)
        return 0;
    talk->jails = arena_alloc(policy->arena, most * sizeof *talk->jails);
    for (size_t i = 0; i < policy->rules_count; i++) {
        const struct rule *rule = &policy->rules[i];

        if (rule->to_jails)
            collect(talk, &rule->to);
        if (rule->from_jails)
            collect(talk, &rule->from);
    }
    return talk_jail_changed(talk, NULL, error);
}
