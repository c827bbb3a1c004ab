/* Does another rule set of the host stop what a jail forwards?
 *
 * A chain at the forward hook whose policy is to drop (Docker's, ufw's, libvirt's) has the last
 * word: an accept of ours does not overrule it. It is left as it is, being somebody else's; who
 * starts the jail is told. A table in which some rule names the jail's interface is taken to
 * know about it. Reads only. What must not happen: a warning that following its advice does not
 * end. */
#include "kernel/nft_forward.h"

#include "kernel/explain.h"
#include "kernel/real.h"

#include <errno.h>
#include <libmnl/libmnl.h>
#include <libnftnl/chain.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <stdio.h>
#include <string.h>

#define CHAINS_MAX 8

struct chain {
    uint32_t family;
    char table[NFT_NAME_SIZE * 4];
    char name[NFT_NAME_SIZE * 4];
};

struct search {
    struct chain chains[CHAINS_MAX];
    size_t count;
    const char *ifname; /* of the second step */
    bool is_named;
};

static bool is_dropping(const struct nftnl_chain *chain)
{
    uint32_t family = nftnl_chain_get_u32(chain, NFTNL_CHAIN_FAMILY);

    return (family == NFPROTO_IPV4 || family == NFPROTO_IPV6 || family == NFPROTO_INET) &&
           nftnl_chain_is_set(chain, NFTNL_CHAIN_HOOKNUM) &&
           nftnl_chain_get_u32(chain, NFTNL_CHAIN_HOOKNUM) == NF_INET_FORWARD &&
           nftnl_chain_get_u32(chain, NFTNL_CHAIN_POLICY) == NF_DROP;
}

static int take_chain(const struct nlmsghdr *message, void *context)
{
    struct search *search = context;
    struct nftnl_chain *chain = nftnl_chain_alloc();

    if (chain && nftnl_chain_nlmsg_parse(message, chain) == 0 && is_dropping(chain) &&
        search->count < CHAINS_MAX) {
        struct chain *found = &search->chains[search->count++];

        found->family = nftnl_chain_get_u32(chain, NFTNL_CHAIN_FAMILY);
        (void)snprintf(found->table, sizeof found->table, "%s", /* kernel's names are shorter, or */
                       nftnl_chain_get_str(chain, NFTNL_CHAIN_TABLE)); /* shown cut */
        (void)snprintf(found->name, sizeof found->name, "%s",
                       nftnl_chain_get_str(chain, NFTNL_CHAIN_NAME)); /* the same */
    }
    nftnl_chain_free(chain);
    return 0;
}

static int take_rule(const struct nlmsghdr *message, void *context)
{
    struct search *search = context;

    search->is_named |= memmem(mnl_nlmsg_get_payload(message), mnl_nlmsg_get_payload_len(message),
                               search->ifname, strlen(search->ifname)) != NULL;
    return 0;
}

static struct nlmsghdr *start_dump(char *buffer, uint16_t type, uint32_t family)
{
    return nftnl_nlmsg_build_hdr(buffer, type, (uint16_t)family, NLM_F_DUMP, 0);
}

/* The interface by which the host forwards for this plan, or NULL: none. */
static const char *forwarded_interface(const struct plan *plan)
{
    bool forwards = false;

    for (size_t i = 0; i < plan->ops_count; i++)
        forwards |= plan->ops[i].kind == OP_SYSCTL_SET && plan->ops[i].where == WHERE_HOST &&
                    strstr(plan->ops[i].sysctl.path, "forwarding");
    if (!forwards)
        return NULL;
    for (size_t i = 0; i < plan->ops_count; i++)
        if (plan->ops[i].kind == OP_VETH_ADD)
            return plan->ops[i].veth.master[0] ? plan->ops[i].veth.master
                                               : plan->ops[i].veth.host_name;
    return NULL;
}

static void describe(const struct chain *chain, const char *ifname, struct error *warning)
{
    const char *family = chain->family == NFPROTO_IPV4   ? "ip"
                         : chain->family == NFPROTO_IPV6 ? "ip6"
                                                         : "inet";

    (void)error_set(warning, -EPERM, /* the code is the caller's not to use */
                    "warning: the host's chain '%s %s %s' drops what it does not accept, also what "
                    "'%s' forwards",
                    family, chain->table, chain->name, ifname);
    error_hint(warning,
               "accept it there: nft insert rule %s %s %s iifname %s accept; the same with oifname",
               family, chain->table, chain->name, ifname);
}

int nft_check_forward(struct kernel *kernel, const struct plan *plan, struct error *ret_warning,
                      struct error *error)
{
    _Alignas(struct nlmsghdr) char buffer[512]; /* a table's name is the longest part */
    struct search search = {.ifname = forwarded_interface(plan)};
    struct nl_failure failure = {0};
    struct nl *nl = NULL;
    int r;

    if (!search.ifname)
        return 0;
    r = kernel_nft(kernel, WHERE_HOST, &nl, error);
    if (r < 0)
        return r;
    r = nl_dump(nl, start_dump(buffer, NFT_MSG_GETCHAIN, NFPROTO_UNSPEC), take_chain, &search,
                &failure);
    for (size_t i = 0; r == 0 && i < search.count; i++) {
        struct nlmsghdr *message = start_dump(buffer, NFT_MSG_GETRULE, search.chains[i].family);

        search.is_named = false;
        mnl_attr_put_strz(message, NFTA_RULE_TABLE, search.chains[i].table);
        r = nl_dump(nl, message, take_rule, &search, &failure);
        if (r == 0 && !search.is_named) {
            describe(&search.chains[i], search.ifname, ret_warning);
            return 0;
        }
    }
    failure.code = r;
    return r == 0 ? 0 : explain("look for chains that drop what is forwarded", &failure, error);
}
