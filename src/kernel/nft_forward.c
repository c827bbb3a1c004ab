/* Chains at the forward hook of the host that drop what they do not accept.
 *
 * Two dumps: the chains, and the rules of each table that has one at the forward hook. A host
 * without such a table costs the first only. Whose it is follows from the names that Docker, ufw
 * and firewalld give to their chains and tables. Reads only; what is to be done about it is
 * plan/build_firewall.c's. */
#include "kernel/nft_forward.h"

#include "base/buf.h"
#include "kernel/explain.h"

#include <errno.h>
#include <libmnl/libmnl.h>
#include <libnftnl/chain.h>
#include <libnftnl/expr.h>
#include <libnftnl/rule.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <stdio.h>
#include <string.h>

#define CHAINS_MAX 16
#define RULES_MAX  ((size_t)1 << 20) /* bytes of a table's rules; names behind them are not seen */

/* A base chain at the forward hook. */
struct chain {
    uint32_t family;
    char table[NFT_NAME_SIZE];
    char name[NFT_NAME_SIZE];
    bool drops;
};

struct search {
    struct chain chains[CHAINS_MAX];
    size_t count;
    bool has_docker4, has_docker6; /* a chain DOCKER-USER in the filter table */
    bool has_ufw;

    const struct chain *chain; /* of the second dump */
    struct buf *rules;
    bool last_drops;
};

static void copy_name(char name[NFT_NAME_SIZE], const char *text)
{
    (void)snprintf(name, NFT_NAME_SIZE, "%s",
                   text); /* a longer one is cut: it is looked up in vain */
}

static bool is_ip(uint32_t family)
{
    return family == NFPROTO_IPV4 || family == NFPROTO_IPV6 || family == NFPROTO_INET;
}

static void note_product(struct search *search, const struct nftnl_chain *chain)
{
    const char *name = nftnl_chain_get_str(chain, NFTNL_CHAIN_NAME);
    const char *table = nftnl_chain_get_str(chain, NFTNL_CHAIN_TABLE);
    uint32_t family = nftnl_chain_get_u32(chain, NFTNL_CHAIN_FAMILY);

    if (strcmp(table, "filter") != 0)
        return;
    if (strcmp(name, "DOCKER-USER") == 0)
        *(family == NFPROTO_IPV4 ? &search->has_docker4 : &search->has_docker6) = true;
    search->has_ufw |=
        strcmp(name, "ufw-user-forward") == 0 || strcmp(name, "ufw6-user-forward") == 0;
}

static int take_chain(const struct nlmsghdr *message, void *context)
{
    struct search *search = context;
    struct nftnl_chain *chain = nftnl_chain_alloc();

    if (chain && nftnl_chain_nlmsg_parse(message, chain) == 0 &&
        is_ip(nftnl_chain_get_u32(chain, NFTNL_CHAIN_FAMILY))) {
        note_product(search, chain);
        if (nftnl_chain_is_set(chain, NFTNL_CHAIN_HOOKNUM) &&
            nftnl_chain_get_u32(chain, NFTNL_CHAIN_HOOKNUM) == NF_INET_FORWARD &&
            strcmp(nftnl_chain_get_str(chain, NFTNL_CHAIN_TABLE), NFT_TABLE_NAME) != 0 &&
            search->count < CHAINS_MAX) {
            struct chain *found = &search->chains[search->count++];

            found->family = nftnl_chain_get_u32(chain, NFTNL_CHAIN_FAMILY);
            found->drops = nftnl_chain_get_u32(chain, NFTNL_CHAIN_POLICY) == NF_DROP;
            copy_name(found->table, nftnl_chain_get_str(chain, NFTNL_CHAIN_TABLE));
            copy_name(found->name, nftnl_chain_get_str(chain, NFTNL_CHAIN_NAME));
        }
    }
    nftnl_chain_free(chain);
    return 0;
}

/* Is this part of a rule one that every packet passes, and does it end the packet's way? */
static int drops_all(struct nftnl_expr *expr, void *context)
{
    const char *name = nftnl_expr_get_str(expr, NFTNL_EXPR_NAME);
    bool *drops = context;

    if (strcmp(name, "counter") == 0 || strcmp(name, "log") == 0)
        return 0;
    if (strcmp(name, "reject") == 0) {
        *drops = true;
        return 0;
    }
    if (strcmp(name, "immediate") == 0 && nftnl_expr_is_set(expr, NFTNL_EXPR_IMM_VERDICT) &&
        nftnl_expr_get_u32(expr, NFTNL_EXPR_IMM_VERDICT) == NF_DROP) {
        *drops = true;
        return 0;
    }
    *drops = false;
    return -1;
}

static int take_rule(const struct nlmsghdr *message, void *context)
{
    struct search *search = context;
    struct nftnl_rule *rule = nftnl_rule_alloc();

    if (search->rules->length < RULES_MAX)
        buf_append(search->rules, mnl_nlmsg_get_payload(message),
                   mnl_nlmsg_get_payload_len(message));
    if (rule && nftnl_rule_nlmsg_parse(message, rule) == 0 &&
        strcmp(nftnl_rule_get_str(rule, NFTNL_RULE_CHAIN), search->chain->name) == 0) {
        search->last_drops = false;
        (void)nftnl_expr_foreach(rule, drops_all, &search->last_drops); /* the answer is in it */
    }
    nftnl_rule_free(rule);
    return 0;
}

static enum forward_owner owner_of(const struct search *search, const struct chain *chain)
{
    bool is_iptables = strcmp(chain->table, "filter") == 0 && strcmp(chain->name, "FORWARD") == 0;

    if (strcmp(chain->table, "firewalld") == 0)
        return FORWARD_FIREWALLD;
    if (!is_iptables || chain->family == NFPROTO_INET)
        return FORWARD_NFT;
    if (search->has_ufw)
        return FORWARD_UFW;
    if (chain->family == NFPROTO_IPV4 ? search->has_docker4 : search->has_docker6)
        return FORWARD_DOCKER;
    return FORWARD_IPTABLES;
}

static void add_fact(const struct search *search, struct facts *facts)
{
    struct fact_forward *fact = ARENA_PUSH(facts->arena, facts, forwards);

    fact->owner = owner_of(search, search->chain);
    fact->family = search->chain->family == NFPROTO_IPV4   ? ADDR_V4
                   : search->chain->family == NFPROTO_IPV6 ? ADDR_V6
                                                           : ADDR_NONE;
    memcpy(fact->table, search->chain->table, sizeof fact->table);
    memcpy(fact->chain, search->chain->name, sizeof fact->chain);
    fact->rules_length = search->rules->length;
    fact->rules =
        (const uint8_t *)arena_strndup(facts->arena, buf_text(search->rules), fact->rules_length);
}

/* Somebody changed the ruleset while it was read. */
static void forget_rules(void *context)
{
    struct search *search = context;

    buf_free(search->rules);
    search->last_drops = false;
}

static void forget_chains(void *context)
{
    *(struct search *)context = (struct search){0};
}

static int look_at_rules(struct nl *nl, struct search *search, struct facts *facts,
                         struct nl_failure *failure)
{
    _Alignas(struct nlmsghdr) char buffer[256]; /* a table's name is the longest part */
    cleanup_buf struct buf rules = {0};
    struct nlmsghdr *message = nftnl_nlmsg_build_hdr(
        buffer, NFT_MSG_GETRULE, (uint16_t)search->chain->family, NLM_F_DUMP, 0);

    mnl_attr_put_strz(message, NFTA_RULE_TABLE, search->chain->table);
    search->rules = &rules; /* cppcheck-suppress autoVariables; taken back below */
    search->last_drops = false;
    int r = nl_dump(nl, message, take_rule, forget_rules, search, failure);
    if (r == 0 && (search->chain->drops || search->last_drops))
        add_fact(search, facts);
    search->rules = NULL;
    return r;
}

int nft_find_forward(struct nl *nl, struct facts *facts, struct error *error)
{
    _Alignas(struct nlmsghdr) char buffer[64];
    struct search search = {0};
    struct nl_failure failure = {0};
    int r =
        nl_dump(nl, nftnl_nlmsg_build_hdr(buffer, NFT_MSG_GETCHAIN, NFPROTO_UNSPEC, NLM_F_DUMP, 0),
                take_chain, forget_chains, &search, &failure);

    for (size_t i = 0; r == 0 && i < search.count; i++) {
        search.chain = &search.chains[i];
        r = look_at_rules(nl, &search, facts, &failure);
    }
    failure.code = r;
    return r == 0 ? 0 : explain("look for chains that drop what is forwarded", &failure, error);
}
