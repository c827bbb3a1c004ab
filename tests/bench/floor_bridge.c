/* floor_bridge COMMAND...: floor, and the least that can be done for a policy with a bridge and ten
 * rules: bridge with its address, veth with its peer directly in the namespace, address and default
 * route inside, ten rules there, masquerading on the host. The clean-up goes on in the background,
 * as netjail's does: nothing is measured that netjail does not do too. Needs root. */
#include "floor.h"

#include <arpa/inet.h>
#include <libmnl/libmnl.h>
#include <libnftnl/chain.h>
#include <libnftnl/common.h>
#include <libnftnl/expr.h>
#include <libnftnl/rule.h>
#include <libnftnl/table.h>
#include <linux/if_link.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/rtnetlink.h>
#include <linux/veth.h>

#define BRIDGE "floor_br"
#define PORT   "floor_port"
#define TABLE  "floor"

static uint32_t sequence = 1;

/* ---- rtnetlink ---- */

struct request {
    char bytes[1024];
    struct nlmsghdr *header;
};

static void *request_start(struct request *request, uint16_t type, uint16_t flags, size_t extra)
{
    memset(request, 0, sizeof *request);
    request->header = mnl_nlmsg_put_header(request->bytes);
    request->header->nlmsg_type = type;
    request->header->nlmsg_flags = (uint16_t)(NLM_F_REQUEST | NLM_F_ACK | flags);
    request->header->nlmsg_seq = sequence++;
    return mnl_nlmsg_put_extra_header(request->header, extra);
}

static int wait_ack(struct mnl_socket *nl, uint32_t last)
{
    char bytes[8192];

    for (;;) {
        ssize_t got = mnl_socket_recvfrom(nl, bytes, sizeof bytes);
        const struct nlmsghdr *header = (const void *)bytes;
        int left = (int)got;

        if (got < 0)
            return -errno;
        for (; mnl_nlmsg_ok(header, left); header = mnl_nlmsg_next(header, &left)) {
            const struct nlmsgerr *error = mnl_nlmsg_get_payload(header);

            if (header->nlmsg_type == NLMSG_ERROR && error->error)
                return error->error;
            if (header->nlmsg_seq == last)
                return 0;
        }
    }
}

static int request_send(struct mnl_socket *nl, struct request *request)
{
    if (mnl_socket_sendto(nl, request->header, request->header->nlmsg_len) < 0)
        return -errno;
    return wait_ack(nl, request->header->nlmsg_seq);
}

static void request_must(struct mnl_socket *nl, struct request *request, const char *what)
{
    errno = -request_send(nl, request);
    must(errno == 0, what);
}

static struct mnl_socket *open_socket(int bus)
{
    struct mnl_socket *nl = mnl_socket_open2(bus, SOCK_CLOEXEC);

    must(nl && mnl_socket_bind(nl, 0, MNL_SOCKET_AUTOPID) == 0, "netlink");
    return nl;
}

static void add_bridge(struct mnl_socket *nl)
{
    struct request request;
    struct ifinfomsg *info =
        request_start(&request, RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, sizeof *info);
    struct nlattr *nest;

    info->ifi_flags = info->ifi_change = IFF_UP;
    mnl_attr_put_strz(request.header, IFLA_IFNAME, BRIDGE);
    nest = mnl_attr_nest_start(request.header, IFLA_LINKINFO);
    mnl_attr_put_strz(request.header, IFLA_INFO_KIND, "bridge");
    mnl_attr_nest_end(request.header, nest);
    request_must(nl, &request, "bridge");
}

static void add_address(struct mnl_socket *nl, const char *ifname, const char *address)
{
    struct request request;
    struct ifaddrmsg *info =
        request_start(&request, RTM_NEWADDR, NLM_F_CREATE | NLM_F_EXCL, sizeof *info);

    info->ifa_family = AF_INET;
    info->ifa_prefixlen = 24;
    info->ifa_index = if_nametoindex(ifname);
    mnl_attr_put_u32(request.header, IFA_LOCAL, inet_addr(address));
    mnl_attr_put_u32(request.header, IFA_ADDRESS, inet_addr(address));
    request_must(nl, &request, address);
}

static void add_veth(struct mnl_socket *nl, pid_t pid)
{
    struct request request;
    struct ifinfomsg *info =
        request_start(&request, RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, sizeof *info);
    struct nlattr *link;
    struct nlattr *data;
    struct nlattr *peer;

    info->ifi_flags = info->ifi_change = IFF_UP;
    mnl_attr_put_strz(request.header, IFLA_IFNAME, PORT);
    mnl_attr_put_u32(request.header, IFLA_MASTER, if_nametoindex(BRIDGE));
    mnl_attr_put_u32(request.header, IFLA_NUM_TX_QUEUES, 1);
    mnl_attr_put_u32(request.header, IFLA_NUM_RX_QUEUES, 1);
    link = mnl_attr_nest_start(request.header, IFLA_LINKINFO);
    mnl_attr_put_strz(request.header, IFLA_INFO_KIND, "veth");
    data = mnl_attr_nest_start(request.header, IFLA_INFO_DATA);
    peer = mnl_attr_nest_start(request.header, VETH_INFO_PEER);
    mnl_nlmsg_put_extra_header(request.header, sizeof(struct ifinfomsg));
    mnl_attr_put_strz(request.header, IFLA_IFNAME, "eth0");
    mnl_attr_put_u32(request.header, IFLA_NET_NS_PID, (uint32_t)pid);
    mnl_attr_put_u32(request.header, IFLA_NUM_TX_QUEUES, 1);
    mnl_attr_put_u32(request.header, IFLA_NUM_RX_QUEUES, 1);
    mnl_attr_nest_end(request.header, peer);
    mnl_attr_nest_end(request.header, data);
    mnl_attr_nest_end(request.header, link);
    request_must(nl, &request, "veth");
}

static void add_default_route(struct mnl_socket *nl)
{
    struct request request;
    struct rtmsg *route =
        request_start(&request, RTM_NEWROUTE, NLM_F_CREATE | NLM_F_EXCL, sizeof *route);

    route->rtm_family = AF_INET;
    route->rtm_table = RT_TABLE_MAIN;
    route->rtm_protocol = RTPROT_STATIC;
    route->rtm_type = RTN_UNICAST;
    mnl_attr_put_u32(request.header, RTA_GATEWAY, inet_addr("10.98.0.1"));
    request_must(nl, &request, "route");
}

static int delete_link(struct mnl_socket *nl, const char *name)
{
    struct request request;

    (void)request_start(&request, RTM_DELLINK, 0, sizeof(struct ifinfomsg));
    mnl_attr_put_strz(request.header, IFLA_IFNAME, name);
    return request_send(nl, &request);
}

/* ---- nftables: one transaction ---- */

static char batch_bytes[65536];
static struct mnl_nlmsg_batch *batch;

static struct nlmsghdr *batch_message(uint16_t type, uint16_t flags)
{
    return nftnl_nlmsg_build_hdr(mnl_nlmsg_batch_current(batch), type, NFPROTO_INET, flags,
                                 sequence++);
}

static void batch_start(void)
{
    batch = mnl_nlmsg_batch_start(batch_bytes, sizeof batch_bytes / 2);
    nftnl_batch_begin(mnl_nlmsg_batch_current(batch), sequence++);
    mnl_nlmsg_batch_next(batch);
}

static int batch_send(struct mnl_socket *nl)
{
    uint32_t last = sequence - 1; /* of the last message, which asks for an ack */

    nftnl_batch_end(mnl_nlmsg_batch_current(batch), sequence++);
    mnl_nlmsg_batch_next(batch);
    if (mnl_socket_sendto(nl, mnl_nlmsg_batch_head(batch), mnl_nlmsg_batch_size(batch)) < 0)
        return -errno;
    mnl_nlmsg_batch_stop(batch);
    return wait_ack(nl, last);
}

static void put_table(uint16_t type, uint16_t flags)
{
    struct nftnl_table *table = nftnl_table_alloc();

    nftnl_table_set_str(table, NFTNL_TABLE_NAME, TABLE);
    nftnl_table_nlmsg_build_payload(batch_message(type, flags), table);
    mnl_nlmsg_batch_next(batch);
    nftnl_table_free(table);
}

static void put_chain(const char *name, const char *type, uint32_t hook, int32_t priority,
                      uint32_t policy)
{
    struct nftnl_chain *chain = nftnl_chain_alloc();

    nftnl_chain_set_str(chain, NFTNL_CHAIN_TABLE, TABLE);
    nftnl_chain_set_str(chain, NFTNL_CHAIN_NAME, name);
    nftnl_chain_set_str(chain, NFTNL_CHAIN_TYPE, type);
    nftnl_chain_set_u32(chain, NFTNL_CHAIN_HOOKNUM, hook);
    nftnl_chain_set_s32(chain, NFTNL_CHAIN_PRIO, priority);
    nftnl_chain_set_u32(chain, NFTNL_CHAIN_POLICY, policy);
    nftnl_chain_nlmsg_build_payload(batch_message(NFT_MSG_NEWCHAIN, NLM_F_CREATE), chain);
    mnl_nlmsg_batch_next(batch);
    nftnl_chain_free(chain);
}

static void put_meta(struct nftnl_rule *rule, uint32_t key)
{
    struct nftnl_expr *expr = nftnl_expr_alloc("meta");

    nftnl_expr_set_u32(expr, NFTNL_EXPR_META_KEY, key);
    nftnl_expr_set_u32(expr, NFTNL_EXPR_META_DREG, NFT_REG_1);
    nftnl_rule_add_expr(rule, expr);
}

static void put_compare(struct nftnl_rule *rule, uint32_t op, const void *data, uint32_t size)
{
    struct nftnl_expr *expr = nftnl_expr_alloc("cmp");

    nftnl_expr_set_u32(expr, NFTNL_EXPR_CMP_SREG, NFT_REG_1);
    nftnl_expr_set_u32(expr, NFTNL_EXPR_CMP_OP, op);
    nftnl_expr_set(expr, NFTNL_EXPR_CMP_DATA, data, size);
    nftnl_rule_add_expr(rule, expr);
}

static struct nftnl_rule *rule_start(const char *chain)
{
    struct nftnl_rule *rule = nftnl_rule_alloc();

    nftnl_rule_set_str(rule, NFTNL_RULE_TABLE, TABLE);
    nftnl_rule_set_str(rule, NFTNL_RULE_CHAIN, chain);
    return rule;
}

static void rule_end(struct nftnl_rule *rule, const char *what, uint16_t flags)
{
    struct nftnl_expr *expr = nftnl_expr_alloc(what);

    if (strcmp(what, "immediate") == 0) {
        nftnl_expr_set_u32(expr, NFTNL_EXPR_IMM_DREG, NFT_REG_VERDICT);
        nftnl_expr_set_u32(expr, NFTNL_EXPR_IMM_VERDICT, NF_ACCEPT);
    }
    nftnl_rule_add_expr(rule, expr);
    nftnl_rule_nlmsg_build_payload(
        batch_message(NFT_MSG_NEWRULE, (uint16_t)(NLM_F_CREATE | NLM_F_APPEND | flags)), rule);
    mnl_nlmsg_batch_next(batch);
    nftnl_rule_free(rule);
}

/* tcp dport PORT accept */
static void put_port_rule(uint16_t port, uint16_t flags)
{
    struct nftnl_rule *rule = rule_start("output");
    struct nftnl_expr *expr;
    const uint8_t tcp = IPPROTO_TCP;
    const uint16_t port_n = htons(port);

    put_meta(rule, NFT_META_L4PROTO);
    put_compare(rule, NFT_CMP_EQ, &tcp, sizeof tcp);
    expr = nftnl_expr_alloc("payload");
    nftnl_expr_set_u32(expr, NFTNL_EXPR_PAYLOAD_BASE, NFT_PAYLOAD_TRANSPORT_HEADER);
    nftnl_expr_set_u32(expr, NFTNL_EXPR_PAYLOAD_DREG, NFT_REG_1);
    nftnl_expr_set_u32(expr, NFTNL_EXPR_PAYLOAD_OFFSET, 2);
    nftnl_expr_set_u32(expr, NFTNL_EXPR_PAYLOAD_LEN, 2);
    nftnl_rule_add_expr(rule, expr);
    put_compare(rule, NFT_CMP_EQ, &port_n, sizeof port_n);
    rule_end(rule, "immediate", flags);
}

static void load_jail_rules(void)
{
    struct mnl_socket *nl = open_socket(NETLINK_NETFILTER);

    batch_start();
    put_table(NFT_MSG_NEWTABLE, NLM_F_CREATE);
    put_chain("input", "filter", NF_INET_LOCAL_IN, 0, NF_DROP);
    put_chain("forward", "filter", NF_INET_FORWARD, 0, NF_DROP);
    put_chain("output", "filter", NF_INET_LOCAL_OUT, 0, NF_DROP);
    for (uint16_t i = 0; i < 10; i++)
        put_port_rule((uint16_t)(8000 + i), i == 9 ? NLM_F_ACK : 0);
    errno = -batch_send(nl);
    must(errno == 0, "rules of the jail");
    mnl_socket_close(nl);
}

/* oifname != "floor_br" masquerade */
static void load_host_nat(struct mnl_socket *nl)
{
    char name[IFNAMSIZ] = BRIDGE;
    struct nftnl_rule *rule;

    batch_start();
    put_table(NFT_MSG_NEWTABLE, NLM_F_CREATE);
    put_chain("postrouting", "nat", NF_INET_POST_ROUTING, 100, NF_ACCEPT);
    rule = rule_start("postrouting");
    put_meta(rule, NFT_META_OIFNAME);
    put_compare(rule, NFT_CMP_NEQ, name, sizeof name);
    rule_end(rule, "masq", NLM_F_ACK);
    errno = -batch_send(nl);
    must(errno == 0, "nat");
}

/* ---- the run ---- */

static void inside(int release, char **argv)
{
    struct mnl_socket *nl = open_socket(NETLINK_ROUTE);
    char byte;

    load_jail_rules();
    must(read(release, &byte, 1) == 1, "release");
    add_address(nl, "eth0", "10.98.0.2");
    link_up("eth0");
    add_default_route(nl);
    mnl_socket_close(nl);
    execvp(argv[1], argv + 1);
    _exit(127);
}

static void clean_up(struct mnl_socket *route, struct mnl_socket *nft)
{
    batch_start();
    put_table(NFT_MSG_DELTABLE, NLM_F_ACK);
    (void)batch_send(nft);            /* the bench looks whether all is gone */
    (void)delete_link(route, PORT);   /* may have gone with the namespace */
    (void)delete_link(route, BRIDGE); /* the same */
}

int main(int argc, char **argv)
{
    struct mnl_socket *route = open_socket(NETLINK_ROUTE);
    struct mnl_socket *nft = open_socket(NETLINK_NETFILTER);
    int release[2];
    int status;
    pid_t pid;

    if (argc < 2)
        return 125;
    must(pipe2(release, O_CLOEXEC) == 0, "pipe");
    pid = start();
    if (pid == 0)
        inside(release[0], argv);
    add_bridge(route);
    add_address(route, BRIDGE, "10.98.0.1");
    load_host_nat(nft);
    add_veth(route, pid);
    must(write(release[1], "", 1) == 1, "release");
    status = wait_for(pid);
    pid = fork();
    if (pid == 0)
        clean_up(route, nft);
    return pid == 0 ? 0 : status;
}
