/* `publish`: sockets of the service, and elements of the shared DNAT maps.
 *
 * From the host's loopback, and without a link, the service carries the connection; from elsewhere
 * DNAT does, so that the server sees the client. A socket is opened for every published port also
 * where DNAT does the work: it keeps the port, and finds a program that has it. Pure. What must not
 * happen: two jails at one port. */
#include "plan/build_internal.h"

#include "plan/host_tables.h"

#include <netinet/in.h>
#include <string.h>

bool publish_is_outside(const struct publish *publish)
{
    return publish->kind == PUBLISH_ANY ||
           (publish->kind == PUBLISH_ADDRESS && !addr_is_loopback(&publish->addr));
}

bool publishes_outside(const struct build *build)
{
    for (size_t i = 0; i < build->publishes_count; i++)
        if (publish_is_outside(build->publishes[i].publish))
            return true;
    return false;
}

/* Do two publications want one socket? A loopback one has both families. */
static bool publish_collides(const struct publish *ours, const struct record_publish *theirs)
{
    if (ours->kind == PUBLISH_ANY || theirs->kind == PUBLISH_ANY)
        return true;
    if (ours->kind == PUBLISH_LOOPBACK) {
        static const struct addr loopback4 = {ADDR_V4, {127, 0, 0, 1}};
        static const struct addr loopback6 = {ADDR_V6, {[15] = 1}};

        return addr_equal(&theirs->addr, &loopback4) || addr_equal(&theirs->addr, &loopback6);
    }
    return addr_equal(&ours->addr, &theirs->addr);
}

static const char *transport_name(uint8_t protocol)
{
    return protocol == IPPROTO_TCP ? "tcp" : "udp";
}

static void check_free(struct build *build, const struct publish *publish)
{
    for (size_t i = 0; i < build->facts->others_count; i++) {
        const struct record *other = build->facts->others[i];

        for (size_t k = 0; k < other->publishes_count; k++) {
            const struct record_publish *theirs = &other->publishes[k];

            if (theirs->protocol != publish->protocol || theirs->port < publish->host_ports.first ||
                theirs->port > publish->host_ports.last || !publish_collides(publish, theirs))
                continue;
            (void)build_error(build, other, publish->where,
                              "port %u/%s is published by jail '%s' already", theirs->port,
                              transport_name(publish->protocol), other->name);
            return;
        }
    }
}

void build_resolve_publishes(struct build *build)
{
    for (size_t i = 0; i < build->policy->publishes_count; i++) {
        const struct publish *publish = &build->policy->publishes[i];

        check_free(build, publish);
        for (unsigned port = publish->host_ports.first; port <= publish->host_ports.last; port++) {
            struct publish_plan *entry = ARENA_PUSH(build->scratch, build, publishes);

            entry->publish = publish;
            entry->port = (uint16_t)port;
            entry->jail_port = (uint16_t)(publish->jail_port + (port - publish->host_ports.first));
        }
    }
}

/* Where DNAT leads the others past the service, its socket serves the host itself: what came
 * through it would not be judged by its source. */
static void emit_listen(struct build *build, const struct publish_plan *publish,
                        const struct addr *addr)
{
    struct op *op;

    if (addr->family == ADDR_V6 && !build->facts->has_ipv6)
        return;
    op = plan_push(build->plan, OP_LISTEN, WHERE_SERVICE, publish->publish->where);
    op->listen.protocol = publish->publish->protocol;
    op->listen.addr = *addr;
    op->listen.port = publish->port;
    op->listen.jail_port = publish->jail_port;
    op->listen.is_local =
        publish_is_outside(publish->publish) && build_first_address(build, addr->family);
}

void build_publish_listen(struct build *build)
{
    static const struct addr loopback[] = {{ADDR_V4, {127, 0, 0, 1}}, {ADDR_V6, {[15] = 1}}};
    static const struct addr any[] = {{.family = ADDR_V4}, {.family = ADDR_V6}};

    for (size_t i = 0; i < build->publishes_count; i++) {
        const struct publish_plan *publish = &build->publishes[i];

        switch (publish->publish->kind) {
        case PUBLISH_LOOPBACK:
            emit_listen(build, publish, &loopback[0]);
            emit_listen(build, publish, &loopback[1]);
            break;
        case PUBLISH_ANY:
            emit_listen(build, publish, &any[0]);
            emit_listen(build, publish, &any[1]);
            break;
        case PUBLISH_ADDRESS:
            emit_listen(build, publish, &publish->publish->addr);
            break;
        }
    }
}

static void emit_dnat(struct build *build, const struct publish_plan *publish, uint8_t family)
{
    bool is_any = publish->publish->kind == PUBLISH_ANY;
    const struct prefix *target = build_first_address(build, family);
    enum host_set set = family == ADDR_V4 ? HOST_SET_PUBLISH4 : HOST_SET_PUBLISH6;
    struct emit emit = {build->plan, WHERE_HOST, NFT_INET, publish->publish->where};

    if (!target || (!is_any && publish->publish->addr.family != family))
        return;
    if (is_any)
        set = family == ADDR_V4 ? HOST_SET_PUBLISH_ANY4 : HOST_SET_PUBLISH_ANY6;
    emit_elements(&emit, host_set(set), HOST_ELEMENT_TIMEOUT_MS);
    element_byte(build->plan, publish->publish->protocol);
    if (!is_any)
        element_addr(build->plan, &publish->publish->addr);
    element_port(build->plan, publish->port);
    element_addr(build->plan, &target->addr);
    element_port(build->plan, publish->jail_port);
    element_end(build->plan);
}

static bool rule_speaks_of(const struct rule *rule, uint8_t protocol, uint16_t port)
{
    bool is_spoken_of = rule->protocols_count == 0;

    for (size_t i = 0; i < rule->protocols_count; i++)
        is_spoken_of = is_spoken_of || rule->protocols[i].number == protocol;
    if (!is_spoken_of || !rule->ports.given)
        return is_spoken_of;
    for (size_t i = 0; i < rule->ports.ranges_count; i++)
        if (rule->ports.ranges[i].first <= port && port <= rule->ports.ranges[i].last)
            return true;
    return false;
}

/* May something come to the port that is not published? */
static bool admits_directly(const struct policy *policy, const struct publish_plan *publish)
{
    for (size_t i = 0; i < policy->rules_count; i++)
        if (policy->rules[i].direction == DIRECTION_IN &&
            policy->rules[i].verdict == VERDICT_ALLOW &&
            rule_speaks_of(&policy->rules[i], publish->publish->protocol, publish->jail_port))
            return true;
    return policy->defaults[DIRECTION_IN] == VERDICT_ALLOW;
}

/* Has an earlier publication the same port in the jail? */
static bool is_repeated(const struct build *build, size_t index)
{
    const struct publish_plan *publish = &build->publishes[index];

    for (size_t i = 0; i < index; i++)
        if (publish_is_outside(build->publishes[i].publish) &&
            build->publishes[i].jail_port == publish->jail_port &&
            build->publishes[i].publish->protocol == publish->publish->protocol)
            return true;
    return false;
}

/* They restrict, so they do not expire. */
static void emit_direct(struct build *build, const struct publish_plan *publish,
                        const struct addr *addr)
{
    enum host_set set = addr->family == ADDR_V4 ? HOST_SET_DIRECT4 : HOST_SET_DIRECT6;
    struct emit emit = {build->plan, WHERE_HOST, NFT_INET, publish->publish->where};

    emit_elements(&emit, host_set(set), 0);
    element_byte(build->plan, publish->publish->protocol);
    element_addr(build->plan, addr);
    element_port(build->plan, publish->jail_port);
    element_end(build->plan);
}

static void emit_directs(struct build *build, const struct publish_plan *publish)
{
    for (size_t i = 0; i < build->links_count; i++)
        for (size_t k = 0; build->links[i].on_host && k < build->links[i].addresses.list_count; k++)
            emit_direct(build, publish, &build->links[i].addresses.list[k].addr);
}

void build_publish_elements(struct build *build)
{
    for (size_t i = 0; i < build->publishes_count; i++) {
        if (!publish_is_outside(build->publishes[i].publish))
            continue;
        if (!admits_directly(build->policy, &build->publishes[i]) && !is_repeated(build, i))
            emit_directs(build, &build->publishes[i]);
        emit_dnat(build, &build->publishes[i], ADDR_V4);
        emit_dnat(build, &build->publishes[i], ADDR_V6);
    }
}
