/* Taking back what a jail did to the host, from records alone.
 *
 * What only this jail has goes first and without a lock: its elements (nobody is sent to it any
 * more), then its links, then its tracked connections. What it shared goes under the pool's lock,
 * as far as no other record names it: forwarding before the guards that made it safe, elements,
 * bridges, tables. Pure. What must not happen: something that a running jail needs being removed,
 * or a link that is not ours. */
#include "plan/undo.h"

#include "plan/emit.h"
#include "plan/record_text.h"
#include "policy/policy.h"

#include <stdlib.h>
#include <string.h>

static struct plan *plan_new(void)
{
    struct arena *arena = arena_new();
    struct plan *plan;

    if (!arena)
        abort();
    plan = arena_alloc(arena, sizeof *plan);
    plan->arena = arena;
    return plan;
}

static struct op *push(struct plan *plan, enum op_kind kind)
{
    return plan_push(plan, kind, WHERE_HOST, (struct position){0});
}

static bool same_set(const struct op *op, const struct record_element *element)
{
    return op->kind == OP_NFT_ELEMENTS_DELETE && op->elements.family == element->family &&
           strcmp(op->elements.set, element->set) == 0;
}

/* Neighbours of one set go into one op. */
static void delete_element(struct plan *plan, const struct record_element *element)
{
    struct op *op = plan->ops_count > 0 ? &plan->ops[plan->ops_count - 1] : NULL;

    if (!op || !same_set(op, element)) {
        op = push(plan, OP_NFT_ELEMENTS_DELETE);
        op->elements.family = element->family;
        memcpy(op->elements.set, element->set, sizeof op->elements.set);
        op->elements.key = element->key;
        op->elements.is_interval = element->is_interval;
        op->elements.first_byte = plan->bytes_count;
    }
    element_bytes(plan, element->bytes, element->length);
    element_end(plan);
}

static void delete_link(struct plan *plan, const char name[IFNAME_SIZE], uint32_t group)
{
    struct op *op = push(plan, OP_LINK_DELETE);

    memcpy(op->link_delete.name, name, IFNAME_SIZE);
    op->link_delete.group = group;
}

/* Behind the elements and links: nothing new appears. */
static void forget_flows(struct plan *plan, const struct record *record)
{
    for (size_t i = 0; i < record->addresses_count; i++)
        if (strcmp(record->addresses[i].ifname, "lo") != 0 &&
            strcmp(record->addresses[i].network, PLACE_ELSEWHERE) != 0)
            push(plan, OP_FLOWS_FORGET)->flows.addr = record->addresses[i].prefix.addr;
}

struct plan *undo_children(const struct policy *policy)
{
    struct plan *plan = plan_new();

    for (size_t i = 0; i < policy->links_count; i++) {
        const struct link *link = &policy->links[i];
        struct op *op;

        if (link->kind != LINK_MACVLAN && link->kind != LINK_IPVLAN)
            continue;
        op = plan_push(plan, OP_LINK_DELETE, WHERE_JAIL, link->where);
        memcpy(op->link_delete.name, link->ifname, strnlen(link->ifname, IFNAME_MAX));
    }
    return plan;
}

struct plan *undo_own(const struct record *record)
{
    struct plan *plan = plan_new();

    for (size_t i = 0; i < record->elements_count; i++)
        if (!record->elements[i].is_shared)
            delete_element(plan, &record->elements[i]);
    for (size_t i = 0; i < record->links_count; i++)
        delete_link(plan, record->links[i].name, record->links[i].group);
    forget_flows(plan, record);
    return plan;
}

/* Who else is there. */
struct rest {
    struct record *const *others;
    size_t count;
};

static bool rest_has_sysctl(const struct rest *rest, const char *path)
{
    for (size_t i = 0; i < rest->count; i++)
        for (size_t k = 0; k < rest->others[i]->sysctls_count; k++)
            if (strcmp(rest->others[i]->sysctls[k].path, path) == 0)
                return true;
    return false;
}

static bool rest_has_network(const struct rest *rest, const char *name)
{
    for (size_t i = 0; i < rest->count; i++)
        for (size_t k = 0; k < rest->others[i]->networks_count; k++)
            if (strcmp(rest->others[i]->networks[k].name, name) == 0)
                return true;
    return false;
}

static bool rest_has_element(const struct rest *rest, const struct record_element *element)
{
    for (size_t i = 0; i < rest->count; i++)
        for (size_t k = 0; k < rest->others[i]->elements_count; k++) {
            const struct record_element *other = &rest->others[i]->elements[k];

            if (other->family == element->family && strcmp(other->set, element->set) == 0 &&
                other->length == element->length &&
                memcmp(other->bytes, element->bytes, element->length) == 0)
                return true;
        }
    return false;
}

static bool rest_has_docker(const struct rest *rest, const struct record_docker *docker)
{
    for (size_t i = 0; i < rest->count; i++)
        for (size_t k = 0; k < rest->others[i]->dockers_count; k++)
            if (rest->others[i]->dockers[k].family == docker->family &&
                strcmp(rest->others[i]->dockers[k].ifname, docker->ifname) == 0)
                return true;
    return false;
}

static bool rest_uses_tables(const struct rest *rest)
{
    for (size_t i = 0; i < rest->count; i++)
        if (rest->others[i]->uses_host_tables)
            return true;
    return false;
}

/* A sysctl of an interface that goes away with the jail or its network goes with it. */
static bool sysctl_vanishes(const struct record *record, const struct rest *rest, const char *path)
{
    char interface[IFNAME_SIZE];

    if (!sysctl_path_interface(path, interface))
        return false;
    for (size_t i = 0; i < record->links_count; i++)
        if (strcmp(record->links[i].name, interface) == 0)
            return true;
    for (size_t i = 0; i < record->networks_count; i++)
        if (strcmp(record->networks[i].name, interface) == 0)
            return !record->networks[i].external && !rest_has_network(rest, interface);
    return false;
}

/* Only as long as nobody else has turned the switch for all interfaces since. */
static void add_switch(struct op *op, const struct record *record)
{
    char path[SYSCTL_PATH_SIZE];

    if (!sysctl_switch_path(op->sysctl.path, path))
        return;
    for (size_t i = 0; i < record->sysctls_count; i++)
        if (strcmp(record->sysctls[i].path, path) == 0) {
            memcpy(op->sysctl.switch_path, path, sizeof op->sysctl.switch_path);
            memcpy(op->sysctl.switch_value, record->sysctls[i].ours,
                   sizeof op->sysctl.switch_value);
        }
}

static void restore_sysctls(struct plan *plan, const struct record *record, const struct rest *rest)
{
    for (size_t i = record->sysctls_count; i-- > 0;) {
        const struct record_sysctl *sysctl = &record->sysctls[i];
        struct op *op;

        if (strcmp(sysctl->was, sysctl->ours) == 0 || rest_has_sysctl(rest, sysctl->path) ||
            sysctl_vanishes(record, rest, sysctl->path))
            continue;
        op = push(plan, OP_SYSCTL_RESTORE);
        memcpy(op->sysctl.path, sysctl->path, sizeof op->sysctl.path);
        memcpy(op->sysctl.value, sysctl->ours, sizeof op->sysctl.value);
        memcpy(op->sysctl.was, sysctl->was, sizeof op->sysctl.was);
        op->sysctl.optional = true;
        add_switch(op, record);
    }
}

struct plan *undo_shared(const struct record *record, struct record *const *others,
                         size_t others_count)
{
    const struct rest rest = {others, others_count};
    struct plan *plan = plan_new();

    restore_sysctls(plan, record, &rest);
    for (size_t i = 0; i < record->dockers_count; i++)
        if (!rest_has_docker(&rest, &record->dockers[i])) {
            struct op *op = push(plan, OP_DOCKER_FORGET);

            op->docker.family = record->dockers[i].family;
            memcpy(op->docker.ifname, record->dockers[i].ifname, sizeof op->docker.ifname);
        }
    for (size_t i = 0; i < record->elements_count; i++)
        if (record->elements[i].is_shared && !rest_has_element(&rest, &record->elements[i]))
            delete_element(plan, &record->elements[i]);
    for (size_t i = 0; i < record->networks_count; i++)
        if (!record->networks[i].external && !rest_has_network(&rest, record->networks[i].name))
            delete_link(plan, record->networks[i].name, GROUP_NETWORK);
    if (record->uses_host_tables && !rest_uses_tables(&rest)) {
        push(plan, OP_NFT_TABLE_DELETE)->table.family = NFT_BRIDGE;
        push(plan, OP_NFT_TABLE_DELETE)->table.family = NFT_INET;
    }
    return plan;
}
