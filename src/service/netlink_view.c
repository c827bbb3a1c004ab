/* One step of a walk over netlink messages, or over the attributes of one.
 *
 * The bytes are taken for hostile: nothing is read through a cast pointer; a header is copied out
 * after what is left was found to be long enough for it, and its length is compared with what is
 * left before anything behind it counts as there. Each step takes at least a header's bytes, so
 * that every walk ends. The last message or attribute may come without its padding. Pure; fuzzed.
 */
#include "service/netlink_view.h"

#include <assert.h>
#include <linux/netlink.h>
#include <string.h>

/* The header's macros are signed (linux/netlink.h). */
#define TYPE_BITS 0x3fffu
static_assert(sizeof(struct nlattr) == NLA_ALIGNTO, "an attribute's value follows its header");
static_assert(sizeof(struct nlmsghdr) == NLMSG_HDRLEN, "a message's payload follows its header");
static_assert((int)NLMSG_ALIGNTO == NLA_ALIGNTO, "both are padded in the same way");

bool view_skip(struct view *view, size_t count)
{
    if (count > view->length)
        return false;
    view->bytes += count;
    view->length -= count;
    return true;
}

/* Takes `length` bytes, of which the first `header` are left out, and the padding that is there. */
static bool take(struct view *left, size_t length, size_t header, struct view *ret_rest)
{
    size_t step;

    if (length < header || length > left->length)
        return false;
    *ret_rest = (struct view){left->bytes + header, length - header};
    step = (length + NLA_ALIGNTO - 1) / NLA_ALIGNTO * NLA_ALIGNTO;
    return view_skip(left, step < left->length ? step : left->length);
}

bool netlink_take_message(struct view *left, uint16_t *ret_type, struct view *ret_payload)
{
    struct nlmsghdr header;

    if (left->length < sizeof header)
        return false;
    memcpy(&header, left->bytes, sizeof header);
    *ret_type = header.nlmsg_type;
    return take(left, header.nlmsg_len, sizeof header, ret_payload);
}

bool netlink_take_attribute(struct view *left, uint16_t *ret_type, struct view *ret_value)
{
    struct nlattr header;

    if (left->length < sizeof header)
        return false;
    memcpy(&header, left->bytes, sizeof header);
    *ret_type = (uint16_t)(header.nla_type & TYPE_BITS);
    return take(left, header.nla_len, sizeof header, ret_value);
}
