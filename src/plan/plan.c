/* The plan as a container: ops, the terms of its rules, the packed bytes of its set elements.
 *
 * Pure memory, no privilege. What must not happen: an op that points into another one, or an offset
 * that outlives the array it was made for; everything is an index into the plan's own arrays. */
#include "plan/plan.h"

#include "base/cleanup.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

static const uint8_t field_sizes[] = {
    [FIELD_IIFNAME] = IFNAME_SIZE, [FIELD_OIFNAME] = IFNAME_SIZE, [FIELD_IIFGROUP] = 4,
    [FIELD_OIFGROUP] = 4,          [FIELD_NFPROTO] = 1,           [FIELD_PROTOCOL] = 2,
    [FIELD_L4PROTO] = 1,           [FIELD_PKTTYPE] = 1,           [FIELD_ETHER_SADDR] = 6,
    [FIELD_IP_SADDR] = 4,          [FIELD_IP_DADDR] = 4,          [FIELD_IP6_SADDR] = 16,
    [FIELD_IP6_DADDR] = 16,        [FIELD_ARP_SADDR_ETHER] = 6,   [FIELD_ARP_SADDR_IP] = 4,
    [FIELD_TH_DPORT] = 2,          [FIELD_ICMP_TYPE] = 1,         [FIELD_ICMPV6_TYPE] = 1,
    [FIELD_CT_STATE] = 4,          [FIELD_CT_STATUS] = 4,         [FIELD_FIB_DADDR_TYPE] = 4,
    [FIELD_ETHER_TYPE] = 2,        [FIELD_ETHER_DADDR] = 6,       [FIELD_IIF] = 4,
    [FIELD_FIB_SADDR_TYPE] = 4,    [FIELD_FIB_SADDR_OIF] = 4,     [FIELD_MARK] = 4,
    [FIELD_ND_TARGET] = 16,
};
static_assert(ARRAY_LENGTH(field_sizes) == FIELD_COUNT, "every field has a size");

void plan_free(struct plan *plan)
{
    if (plan)
        arena_free(plan->arena);
}

void plan_queue_by(struct plan *plan, enum term_kind kind)
{
    for (size_t i = 0; i < plan->terms_count; i++)
        if (plan->terms[i].kind == TERM_QUEUE || plan->terms[i].kind == TERM_QUEUE_NFT)
            plan->terms[i].kind = kind;
}

void plan_forget_queue(struct plan *plan)
{
    plan_queue_by(plan, TERM_COUNTER);
    plan->queues = false;
}

static bool is_renewed(const struct op *op)
{
    return op->kind == OP_NFT_ELEMENTS_ADD && op->where == WHERE_HOST &&
           op->elements.timeout_ms > 0;
}

static void copy_renewed(const struct plan *plan, struct plan *running)
{
    for (size_t i = 0; i < plan->ops_count; i++) {
        if (!is_renewed(&plan->ops[i]))
            continue;
        struct op *op = &running->ops[running->ops_count++];
        size_t length = plan->ops[i].elements.count * nft_element_size(&plan->ops[i]);

        *op = plan->ops[i];
        op->elements.first_byte = running->bytes_count;
        memcpy(running->bytes + running->bytes_count,
               plan->bytes + plan->ops[i].elements.first_byte, length);
        running->bytes_count += length;
    }
}

struct plan *plan_running(const struct plan *plan)
{
    struct arena *arena = arena_new();
    struct plan *running;
    size_t ops = 0, bytes = 0;

    if (!arena)
        abort();
    for (size_t i = 0; i < plan->ops_count; i++)
        if (is_renewed(&plan->ops[i])) {
            ops++;
            bytes += plan->ops[i].elements.count * nft_element_size(&plan->ops[i]);
        }
    running = arena_alloc(arena, sizeof *running);
    *running = (struct plan){
        .arena = arena,
        .sources = plan->sources,
        .ops = arena_alloc(arena, ops * sizeof *running->ops),
        .ops_capacity = ops,
        .bytes = arena_alloc(arena, bytes),
        .bytes_capacity = bytes,
        .joins = plan->joins,
        .has_rules = plan->has_rules,
        .relays = plan->relays,
        .queues = plan->queues,
        .decides = plan->decides,
        .needs_host = plan->needs_host,
        .host_where = plan->host_where,
        .needs_service = plan->needs_service,
        .name_sets_count = plan->name_sets_count,
        .jail_sets_count = plan->jail_sets_count,
    };
    copy_renewed(plan, running);
    return running;
}

struct op *plan_push(struct plan *plan, enum op_kind kind, enum where where,
                     struct position position)
{
    struct op *op = ARENA_PUSH(plan->arena, plan, ops);

    op->kind = kind;
    op->where = where;
    op->position = position;
    if (where == WHERE_HOST && !plan->needs_host) {
        plan->needs_host = true;
        plan->host_where = position;
    }
    if (kind == OP_LISTEN)
        plan->needs_service = true;
    return op;
}

size_t nft_field_size(enum nft_field field)
{
    return field_sizes[field];
}

size_t nft_key_size(const struct nft_key *key)
{
    size_t size = 0;

    for (size_t i = 0; i < key->count; i++)
        size += field_sizes[key->fields[i]];
    return size;
}

size_t nft_data_size(enum nft_set_data data)
{
    switch (data) {
    case SET_DATA_NONE:
        return 0;
    case SET_DATA_VERDICT:
        return sizeof(struct nft_verdict_data);
    case SET_DATA_ADDR4_PORT:
        return 4 + 2;
    case SET_DATA_ADDR6_PORT:
        return 16 + 2;
    }
    return 0;
}

size_t nft_element_size(const struct op *elements_op)
{
    size_t key = nft_key_size(&elements_op->elements.key);

    return (elements_op->elements.is_interval ? 2 * key : key) +
           nft_data_size(elements_op->elements.data);
}
