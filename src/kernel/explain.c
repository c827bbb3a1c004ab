/* From an op and the kernel's errno to one sentence and one remedy.
 *
 * The kernel's words are shown as they are; the hint is only there where they mislead or where the
 * remedy lies outside the policy. */
#include "kernel/explain.h"

#include "base/buf.h"
#include "plan/print.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

int explain(const char *what, const struct nl_failure *failure, struct error *error)
{
    bool said = failure->text[0] != '\0';
    return error_set(error, failure->code, "cannot %s: %s%s%s%s", what, strerror(-failure->code),
                     said ? " (kernel: " : "", failure->text, said ? ")" : "");
}

static bool is_nft(enum op_kind kind)
{
    return kind == OP_NFT_TABLE_ADD || kind == OP_NFT_CHAIN_ADD || kind == OP_NFT_SET_ADD ||
           kind == OP_NFT_RULE_ADD || kind == OP_NFT_ELEMENTS_ADD ||
           kind == OP_NFT_ELEMENTS_DELETE || kind == OP_NFT_TABLE_DELETE;
}

static void hint_missing_feature(const struct op *op, struct error *error)
{
    if (op->kind == OP_BRIDGE_ADD)
        error_hint(error, "the kernel has no bridges: load the module (modprobe bridge)");
    else if (op->kind == OP_VETH_ADD)
        error_hint(error, "the kernel has no veth links: load the module (modprobe veth)");
    else if (op->kind == OP_CHILD_ADD)
        error_hint(error,
                   "the kernel has no %s: load the module (modprobe %s), or use one that has "
                   "CONFIG_%s",
                   op->child.kind, op->child.kind,
                   strcmp(op->child.kind, "ipvlan") == 0 ? "IPVLAN" : "MACVLAN");
    else if (op->kind == OP_QDISC_ADD)
        error_hint(error, "the kernel has no token buckets: load the module (modprobe sch_tbf)");
    else if (is_nft(op->kind))
        error_hint(error, "the kernel lacks a part of nftables: load its modules (modprobe "
                          "nf_tables nft_ct nft_nat nft_masq nft_reject_inet nft_fib_inet "
                          "nft_limit nft_log) or use a kernel that has them");
}

static void hint_exists(const struct op *op, struct error *error)
{
    if (op->kind == OP_BRIDGE_ADD)
        error_hint(error, "an interface of this name exists already; give the network another "
                          "name, or say `external` if it is that bridge");
    else if (op->kind == OP_VETH_ADD && op->where == WHERE_PEER)
        error_hint(error,
                   "the other jail has an interface '%s' already; give the cable another name "
                   "there with peer-name",
                   op->veth.host_name);
    else if (op->kind == OP_VETH_ADD)
        error_hint(error,
                   "the name '%s' (or '%s' in the jail) is taken; choose another with "
                   "host-name or peer-name",
                   op->veth.host_name, op->veth.jail_name);
    else if (op->kind == OP_ADDRESS_ADD)
        error_hint(error, "the link has this address already");
    else if (op->kind == OP_ROUTE_ADD)
        error_hint(error, "there is a route to this prefix already");
}

/* An IPv6 address for a link that must not have one: switched off by sysctl, or not there at all.
 */
static bool lacks_ipv6(const struct op *op, int code)
{
    return op->kind == OP_ADDRESS_ADD && op->address.prefix.addr.family == ADDR_V6 &&
           (code == -EACCES || code == -EOPNOTSUPP);
}

static void add_hint(const struct op *op, int code, struct error *error)
{
    if (lacks_ipv6(op, code))
        error_hint(error,
                   "IPv6 is switched off on this host%s: switch it on, or leave the IPv6 "
                   "addresses out of the policy",
                   code == -EACCES ? " (sysctl net.ipv6.conf.default.disable_ipv6)"
                                   : " (boot option ipv6.disable)");
    else if (code == -EPERM || code == -EACCES)
        error_hint(error, op->where == WHERE_HOST
                              ? "changing the host's network needs CAP_NET_ADMIN there: run as "
                                "root, or, in a container, give it this capability"
                              : "the kernel or a security module forbids configuring the jail's "
                                "own network namespace");
    else if (code == -EOPNOTSUPP || code == -EPROTONOSUPPORT ||
             (code == -ENOENT && is_nft(op->kind) && op->kind != OP_NFT_ELEMENTS_ADD))
        hint_missing_feature(op, error);
    else if (code == -EEXIST)
        hint_exists(op, error);
    else if (op->kind == OP_QDISC_ADD && code == -ENOENT)
        hint_missing_feature(op, error);
    else if (op->kind == OP_CHILD_ADD && (code == -EBUSY || code == -EINVAL))
        error_hint(error,
                   "'%s' cannot be shared like this: it is a member of a bridge or bond, has the "
                   "other kind or a 'passthru' link already, or carries no Ethernet",
                   op->child.parent);
    else if (code == -EADDRINUSE && op->kind == OP_LINK_UP)
        error_hint(error, "another macvlan of that interface has its MAC address: give this link "
                          "one of its own with mac");
    else if (op->kind == OP_DEVICE_MOVE && code == -EINVAL)
        error_hint(error,
                   "the kernel does not let '%s' leave its network namespace: a wireless device "
                   "moves with its whole radio (iw phy ... set netns), bridges, tunnels of the "
                   "system and some drivers not at all",
                   op->device.name);
    else if (code == -EXFULL && op->kind == OP_VETH_ADD)
        error_hint(error, "a bridge takes 1,023 links: use a second network");
    else if (code == -ENETUNREACH && op->kind == OP_ROUTE_ADD)
        error_hint(error, "the gateway must be reachable directly on its link");
    else if (code == -ENOMEM || code == -ENOBUFS)
        error_hint(error, "the kernel is out of memory, or a limit of the container is reached");
}

int explain_op(const struct plan *plan, const struct op *op, const struct nl_failure *failure,
               struct error *error)
{
    cleanup_buf struct buf what = {0};
    op_describe(plan, op, &what);
    (void)explain(buf_text(&what), failure, error); /* its result is failure->code */
    add_hint(op, failure->code, error);
    return failure->code;
}
