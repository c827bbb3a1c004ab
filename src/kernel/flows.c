/* Forgetting the tracked connections of a jail that has ended (ctnetlink).
 *
 * An entry outlives its jail by seconds to days, and leads what belongs to it by its NAT to the
 * jail's address, past the maps of published ports: to the next jail that is given that address.
 * Order: the jail's elements and links go first, so that no new entry appears behind this.
 *
 * The whole table is read and judged here: kernels before 5.8 have no filter, and one entry
 * can name the address in four places. */
#include "kernel/flows.h"

#include "base/arena.h"
#include "kernel/explain.h"
#include "kernel/message.h"

#include <errno.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <string.h>
#include <sys/socket.h>

/* What names an entry, as the kernel sent it. */
struct flow {
    struct flow *next;
    const struct nlattr *tuple;
    const struct nlattr *id;
    const struct nlattr *zone; /* NULL: none */
};

struct search {
    const struct addr *addr;
    struct arena *arena;
    struct flow *flows;
};

static bool is_ours(const struct nlattr *attribute, const struct addr *addr)
{
    return mnl_attr_get_payload_len(attribute) == addr_size(addr->family) &&
           memcmp(mnl_attr_get_payload(attribute), addr->bytes, addr_size(addr->family)) == 0;
}

struct match {
    const struct addr *addr;
    bool found;
};

static int match_end(const struct nlattr *attribute, void *context)
{
    struct match *match = context;

    match->found |= is_ours(attribute, match->addr);
    return MNL_CB_OK;
}

static int match_part(const struct nlattr *attribute, void *context)
{
    if (mnl_attr_get_type(attribute) != CTA_TUPLE_IP)
        return MNL_CB_OK;
    return mnl_attr_parse_nested(attribute, match_end, context);
}

/* CTA_TUPLE_ORIG or CTA_TUPLE_REPLY: is the source or the destination this address? */
static bool tuple_has(const struct nlattr *tuple, const struct addr *addr)
{
    struct match match = {.addr = addr};

    return mnl_attr_parse_nested(tuple, match_part, &match) >= MNL_CB_OK && match.found;
}

static const struct nlattr *copy(struct arena *arena, const struct nlattr *attribute)
{
    void *place;

    if (!attribute)
        return NULL;
    place = arena_alloc(arena, attribute->nla_len);
    memcpy(place, attribute, attribute->nla_len);
    return place;
}

static int note_attribute(const struct nlattr *attribute, void *context)
{
    const struct nlattr **found = context;

    if (mnl_attr_get_type(attribute) <= CTA_ZONE)
        found[mnl_attr_get_type(attribute)] = attribute;
    return MNL_CB_OK;
}

static int take_flow(const struct nlmsghdr *message, void *context)
{
    struct search *search = context;
    const struct nlattr *found[CTA_ZONE + 1] = {0};
    struct flow *flow;

    if (message->nlmsg_len < mnl_nlmsg_size(sizeof(struct nfgenmsg)) ||
        mnl_attr_parse(message, sizeof(struct nfgenmsg), note_attribute, found) < MNL_CB_OK)
        return -EPROTO;
    if (!found[CTA_TUPLE_ORIG] || !found[CTA_TUPLE_REPLY] || !found[CTA_ID])
        return 0; /* not an entry */
    if (!tuple_has(found[CTA_TUPLE_ORIG], search->addr) &&
        !tuple_has(found[CTA_TUPLE_REPLY], search->addr))
        return 0;
    flow = arena_alloc(search->arena, sizeof *flow);
    flow->tuple = copy(search->arena, found[CTA_TUPLE_ORIG]);
    flow->id = copy(search->arena, found[CTA_ID]);
    flow->zone = copy(search->arena, found[CTA_ZONE]);
    flow->next = search->flows;
    search->flows = flow;
    return 0;
}

static void put_copy(struct nlmsghdr *message, const struct nlattr *attribute)
{
    if (attribute)
        mnl_attr_put(message, attribute->nla_type, mnl_attr_get_payload_len(attribute),
                     mnl_attr_get_payload(attribute));
}

/* By its number: what has the same addresses by now is another flow. */
static int forget(struct nl *nl, const struct flow *flow, uint8_t family,
                  struct nl_failure *failure)
{
    _Alignas(struct nlmsghdr) char buffer[1024]; /* a tuple is less than 200 bytes */
    struct nlmsghdr *message = nfnl_message(buffer, NFNL_SUBSYS_CTNETLINK, IPCTNL_MSG_CT_DELETE, 0,
                                            family_to_os(family), 0);
    int r;

    if (flow->tuple->nla_len > 512)
        return failure->code = -EPROTO;
    put_copy(message, flow->tuple);
    put_copy(message, flow->id);
    put_copy(message, flow->zone);
    r = nl_request(nl, message, NULL, NULL, failure);
    return r == -ENOENT ? 0 : r;
}

/* Without connection tracking in the kernel the subsystem is unknown. */
static bool tracks_nothing(int code)
{
    return code == -EINVAL || code == -EOPNOTSUPP || code == -EPROTONOSUPPORT;
}

int flows_op(struct nl *nl, const struct plan *plan, const struct op *op, struct error *error)
{
    _Alignas(struct nlmsghdr) char buffer[256];
    uint8_t family = op->flows.addr.family;
    struct search search = {.addr = &op->flows.addr, .arena = arena_new()};
    struct nl_failure failure = {0};
    int r;

    if (!search.arena)
        return error_set(error, -ENOMEM, "out of memory");
    r = nl_dump(nl,
                nfnl_message(buffer, NFNL_SUBSYS_CTNETLINK, IPCTNL_MSG_CT_GET, NLM_F_DUMP,
                             family_to_os(family), 0),
                take_flow, NULL, &search, &failure);
    if (tracks_nothing(r))
        r = 0;
    for (const struct flow *flow = search.flows; flow && r == 0; flow = flow->next)
        r = forget(nl, flow, family, &failure);
    arena_free(search.arena);
    if (r == 0)
        return 0;
    failure.code = r;
    return explain_op(plan, op, &failure, error);
}
