/* `network`, `link` and `lo`. Which clause goes with which kind of link is in one table per kind,
 * so that an error names what this kind takes. Whether the addresses fit together is the business
 * of check_link.c. No system call, no privilege. */
#include "base/cleanup.h"
#include "policy/parser.h"

#include <errno.h>
#include <string.h>

/* Bounds that keep every check fast; a jail with more is a mistake. */
#define NETWORKS_MAX  64
#define LINKS_MAX     64
#define ADDRESSES_MAX 64
#define ROUTES_MAX    1024

int parse_address_value(struct parser *parser, struct link_address *ret_address)
{
    struct link_address address = {.where = parser->token.where};
    struct token word;

    if (parser_word(parser, "an address with its prefix length", &word) < 0 ||
        parse_prefix_word(parser, &word, true, &address.prefix) < 0)
        return -EINVAL;
    *ret_address = address;
    return 0;
}

static int too_many(struct parser *parser, struct position where, int limit, const char *what)
{
    return parser_error(parser, where, NULL, "more than %d %s", limit, what);
}

/* The clauses of `network`. */

static int network_address(struct parser *parser, void *context)
{
    struct network *network = context;
    struct link_address address;

    if (parser_at_word(parser, "auto"))
        return parser_error(parser, parser->token.where,
                            "write the host's own address there, as 10.10.0.1/16",
                            "a network cannot have an automatic address");
    if (parse_address_value(parser, &address) < 0)
        return -EINVAL;
    if (network->addresses_count >= ADDRESSES_MAX)
        return too_many(parser, address.where, ADDRESSES_MAX, "addresses in one network");
    *ARENA_PUSH(parser->arena, network, addresses) = address;
    return 0;
}

static int network_nat(struct parser *parser, void *context)
{
    struct network *network = context;

    return parser_set_flag(parser, &network->nat, &network->nat_where, parser->clause, "'nat'");
}

static int network_flag(struct parser *parser, bool *flag, const char *what)
{
    if (*flag)
        return parser_error(parser, parser->clause, NULL, "%s is given twice", what);
    *flag = true;
    return 0;
}

static int network_isolate(struct parser *parser, void *context)
{
    struct network *network = context;

    return network_flag(parser, &network->isolate, "'isolate'");
}

static int network_external(struct parser *parser, void *context)
{
    struct network *network = context;

    return network_flag(parser, &network->external, "'external'");
}

static const struct keyword network_clauses[] = {
    {"address", network_address, 0},
    {"external", network_external, 0},
    {"isolate", network_isolate, 0},
    {"nat", network_nat, 0},
};

int parse_network(struct parser *parser, void *context)
{
    struct policy *policy = parser->policy;
    struct network network = {0};
    int result;

    (void)context; /* statements have none */
    network.where = parser->token.where;
    if (parser_ifname(parser, "the name of a network", &network.name) < 0)
        return -EINVAL;
    result = parser_block(parser, KEYWORDS(network_clauses, "part of a network"), &network);
    if (policy->networks_count >= NETWORKS_MAX)
        return too_many(parser, network.where, NETWORKS_MAX, "networks in one policy");
    *ARENA_PUSH(parser->arena, policy, networks) = network; /* also when a clause is wrong: its
                                                               links should not complain too */
    return result;
}

/* The clauses of `link`. */

static int link_address_add(struct parser *parser, struct link *link,
                            const struct link_address *address)
{
    if (link->addresses_count >= ADDRESSES_MAX)
        return too_many(parser, address->where, ADDRESSES_MAX, "addresses on one link");
    *ARENA_PUSH(parser->arena, link, addresses) = *address;
    return 0;
}

static int link_address(struct parser *parser, void *context)
{
    struct link *link = context;
    struct link_address address = {.where = parser->token.where};

    if (parser_at_word(parser, "auto") || parser_at_word(parser, "keep")) {
        bool is_auto = parser_accept_word(parser, "auto");

        address.automatic = is_auto;
        address.keep = !is_auto && parser_accept_word(parser, "keep");
        if (is_auto && link->kind != LINK_BRIDGE)
            return parser_error(parser, address.where, "write ADDRESS/LENGTH",
                                "'address auto' is only for a link to a network");
        if (!is_auto && link->kind != LINK_DEVICE)
            return parser_error(parser, address.where, "write ADDRESS/LENGTH",
                                "'address keep' is only for 'link ... device'");
        return link_address_add(parser, link, &address);
    }
    if (parse_address_value(parser, &address) < 0)
        return -EINVAL;
    return link_address_add(parser, link, &address);
}

static int link_gateway(struct parser *parser, void *context)
{
    struct link *link = context;
    struct position where = parser->token.where;
    bool is_none = parser_accept_word(parser, "none");
    struct addr addr;

    if (link->gateway == GATEWAY_NONE || (is_none && link->gateway != GATEWAY_DEFAULT))
        return parser_error(parser, where, "one address of each family, or 'none'",
                            "'gateway' contradicts the one before");
    if (is_none) {
        link->gateway = GATEWAY_NONE;
        return 0;
    }
    if (parser_addr(parser, &addr) < 0)
        return -EINVAL;
    for (size_t i = 0; i < link->gateways_count; i++) {
        if (link->gateways[i].family == addr.family)
            return parser_error(parser, where, "a link has one gateway of each family",
                                "a second %s gateway", addr.family == ADDR_V4 ? "IPv4" : "IPv6");
    }
    link->gateway = GATEWAY_GIVEN;
    link->gateway_where[addr.family == ADDR_V6] = where;
    *ARENA_PUSH(parser->arena, link, gateways) = addr;
    return 0;
}

static int route_value(struct parser *parser, struct route *ret_route)
{
    struct route route = {.where = parser->token.where};
    struct position via_where;
    struct token word;

    if (parser_word(parser, "a prefix", &word) < 0 ||
        parse_prefix_word(parser, &word, false, &route.prefix) < 0)
        return -EINVAL;
    if (!parser_accept_word(parser, "via"))
        return parser_expected(parser, "'via ADDRESS'", "route PREFIX via ADDRESS");
    via_where = parser->token.where;
    if (parser_addr(parser, &route.via) < 0)
        return -EINVAL;
    if (route.via.family != route.prefix.addr.family)
        return parser_error(parser, via_where, "both IPv4, or both IPv6",
                            "a route and its gateway are of different families");
    *ret_route = route;
    return 0;
}

static int link_route(struct parser *parser, void *context)
{
    struct link *link = context;
    struct route route;

    if (route_value(parser, &route) < 0)
        return -EINVAL;
    if (link->routes_count >= ROUTES_MAX)
        return too_many(parser, route.where, ROUTES_MAX, "routes on one link");
    *ARENA_PUSH(parser->arena, link, routes) = route;
    return 0;
}

static int link_mac(struct parser *parser, void *context)
{
    static const struct mac zero;
    struct link *link = context;
    struct token word;
    struct mac mac;

    if (parser_word(parser, "a MAC address", &word) < 0)
        return -EINVAL;
    if (link->has_mac)
        return parser_error(parser, parser->clause, NULL, "'mac' is given twice");
    if (mac_parse(word.text, word.length, &mac) < 0)
        return parser_error(parser, word.where, "as 02:00:5e:10:00:01", "'%s' is not a MAC address",
                            parser_quote(parser, word.text, word.length));
    if ((mac.bytes[0] & 1) || memcmp(&mac, &zero, sizeof mac) == 0)
        return parser_error(parser, word.where, "the first byte must be even, as in 02:...",
                            "'%.*s' cannot be the address of one interface", (int)word.length,
                            word.text);
    link->has_mac = true;
    link->mac = mac;
    return 0;
}

static int link_mtu(struct parser *parser, void *context)
{
    struct link *link = context;
    uint64_t mtu;

    if (link->mtu)
        return parser_error(parser, parser->clause, NULL, "'mtu' is given twice");
    if (parser_number(parser, "an MTU", 68, 65535, &mtu) < 0)
        return -EINVAL;
    link->mtu = (uint32_t)mtu;
    return 0;
}

static int link_rate(struct parser *parser, void *context)
{
    static const struct keyword units[] = {
        {"bit", NULL, 1},
        {"gbit", NULL, 1000000000},
        {"kbit", NULL, 1000},
        {"mbit", NULL, 1000000},
    };
    struct link *link = context;
    const struct keyword *unit;
    struct token word, rest;
    size_t digits = 0;
    uint64_t count;

    if (link->rate_bit_s)
        return parser_error(parser, parser->clause, NULL, "'rate' is given twice");
    if (parser_word(parser, "a rate", &word) < 0)
        return -EINVAL;
    while (digits < word.length && word.text[digits] >= '0' && word.text[digits] <= '9')
        digits++;
    rest = word;
    rest.text += digits;
    rest.length -= digits;
    unit = rest.length ? keyword_find(KEYWORDS(units, "unit"), &rest) : NULL;
    if (!unit || number_parse(word.text, digits, 1000000000, &count) < 0 || count == 0)
        return parser_error(parser, word.where, "as in 500kbit, 100mbit or 1gbit (per second)",
                            "a rate cannot be '%s'", parser_quote(parser, word.text, word.length));
    link->rate_bit_s = count * (uint64_t)unit->value;
    return 0;
}

static int link_host_name(struct parser *parser, void *context)
{
    struct link *link = context;

    if (link->host_ifname)
        return parser_error(parser, parser->clause, NULL,
                            "the name of the other end is given twice");
    return parser_ifname(parser, "the name of an interface", &link->host_ifname);
}

static int link_peer_address(struct parser *parser, void *context)
{
    struct link *link = context;
    struct link_address address;

    if (parse_address_value(parser, &address) < 0)
        return -EINVAL;
    if (link->peer_addresses_count >= ADDRESSES_MAX)
        return too_many(parser, address.where, ADDRESSES_MAX, "addresses on one link");
    *ARENA_PUSH(parser->arena, link, peer_addresses) = address;
    return 0;
}

static int link_peer_route(struct parser *parser, void *context)
{
    struct link *link = context;
    struct route route;

    if (route_value(parser, &route) < 0)
        return -EINVAL;
    if (link->peer_routes_count >= ROUTES_MAX)
        return too_many(parser, route.where, ROUTES_MAX, "routes on one link");
    *ARENA_PUSH(parser->arena, link, peer_routes) = route;
    return 0;
}

static int link_nat(struct parser *parser, void *context)
{
    struct link *link = context;

    return parser_set_flag(parser, &link->nat, &link->nat_where, parser->clause, "'nat'");
}

static int link_mode(struct parser *parser, void *context)
{
    static const struct keyword macvlan_modes[] = {
        {"bridge", NULL, 0}, {"passthru", NULL, 0}, {"private", NULL, 0}, {"vepa", NULL, 0}};
    static const struct keyword ipvlan_modes[] = {
        {"l2", NULL, 0}, {"l3", NULL, 0}, {"l3s", NULL, 0}};
    struct link *link = context;
    const struct keyword *mode;

    if (link->mode)
        return parser_error(parser, parser->clause, NULL, "'mode' is given twice");
    if (parser_keyword(parser,
                       link->kind == LINK_MACVLAN ? KEYWORDS(macvlan_modes, "mode of macvlan")
                                                  : KEYWORDS(ipvlan_modes, "mode of ipvlan"),
                       &mode) < 0)
        return -EINVAL;
    link->mode = mode->word;
    return 0;
}

static const struct keyword bridge_clauses[] = {
    {"address", link_address, 0}, {"gateway", link_gateway, 0}, {"host-name", link_host_name, 0},
    {"mac", link_mac, 0},         {"mtu", link_mtu, 0},         {"rate", link_rate, 0},
    {"route", link_route, 0},
};

static const struct keyword veth_host_clauses[] = {
    {"address", link_address, 0},
    {"gateway", link_gateway, 0},
    {"mac", link_mac, 0},
    {"mtu", link_mtu, 0},
    {"nat", link_nat, 0},
    {"peer-address", link_peer_address, 0},
    {"peer-name", link_host_name, 0},
    {"peer-route", link_peer_route, 0},
    {"rate", link_rate, 0},
    {"route", link_route, 0},
};

static const struct keyword veth_jail_clauses[] = {
    {"address", link_address, 0},
    {"mac", link_mac, 0},
    {"mtu", link_mtu, 0},
    {"peer-address", link_peer_address, 0},
    {"peer-name", link_host_name, 0},
    {"peer-route", link_peer_route, 0},
    {"route", link_route, 0},
};

static const struct keyword device_clauses[] = {
    {"address", link_address, 0},
    {"gateway", link_gateway, 0},
    {"mtu", link_mtu, 0},
    {"route", link_route, 0},
};

static const struct keyword vlan_clauses[] = {
    {"address", link_address, 0}, {"gateway", link_gateway, 0}, {"mac", link_mac, 0},
    {"mode", link_mode, 0},       {"mtu", link_mtu, 0},         {"route", link_route, 0},
};

static struct keywords link_clauses(enum link_kind kind)
{
    switch (kind) {
    case LINK_VETH_HOST:
        return KEYWORDS(veth_host_clauses, "part of a veth link to the host");
    case LINK_VETH_JAIL:
        return KEYWORDS(veth_jail_clauses, "part of a veth link to a jail");
    case LINK_DEVICE:
        return KEYWORDS(device_clauses, "part of a device link");
    case LINK_MACVLAN:
    case LINK_IPVLAN:
        return KEYWORDS(vlan_clauses, "part of this link");
    default:
        return KEYWORDS(bridge_clauses, "part of a bridge link");
    }
}

/* What stands behind the kind: the network, device or jail. */
static int link_target(struct parser *parser, struct link *link)
{
    static const struct keyword ends[] = {
        {"host", NULL, LINK_VETH_HOST},
        {"jail", NULL, LINK_VETH_JAIL},
    };
    const struct keyword *end;

    link->target_where = parser->token.where;
    if (link->kind == LINK_BRIDGE)
        return parser_ifname(parser, "the name of a network", &link->target);
    if (link->kind != LINK_VETH_HOST)
        return parser_ifname(parser, "the name of a device", &link->target);
    if (parser_keyword(parser, KEYWORDS(ends, "end of a veth link"), &end) < 0)
        return -EINVAL;
    link->kind = (enum link_kind)end->value;
    link->target_where = parser->token.where;
    return link->kind == LINK_VETH_JAIL ? parser_jail_name(parser, &link->target) : 0;
}

static int link_push(struct parser *parser, const struct link *link)
{
    if (parser->policy->links_count >= LINKS_MAX)
        return too_many(parser, link->where, LINKS_MAX, "links in one policy");
    *ARENA_PUSH(parser->arena, parser->policy, links) = *link;
    return 0;
}

static int link_with_interface(struct parser *parser, struct link *link)
{
    static const struct keyword kinds[] = {
        {"bridge", NULL, LINK_BRIDGE},  {"device", NULL, LINK_DEVICE},
        {"ipvlan", NULL, LINK_IPVLAN},  {"macvlan", NULL, LINK_MACVLAN},
        {"veth", NULL, LINK_VETH_HOST},
    };
    static const char *const alone[] = {"relay", NULL};
    struct position where = parser->token.where;
    const struct keyword *kind;
    int result;

    if (parser_ifname(parser, "the name of an interface", &link->ifname) < 0)
        return -EINVAL;
    if (parser_at_end(parser) && suggest_word(link->ifname, strlen(link->ifname), alone))
        return parser_error(parser, where, "did you mean 'relay'?", "unknown kind of link '%s'",
                            link->ifname);
    if (parser_keyword(parser, KEYWORDS(kinds, "kind of link"), &kind) < 0)
        return -EINVAL;
    link->kind = (enum link_kind)kind->value;
    if (link_target(parser, link) < 0)
        return -EINVAL;
    result = parser_block(parser, link_clauses(link->kind), link);
    if (link_push(parser, link) < 0)
        return -EINVAL;
    return result;
}

int parse_link(struct parser *parser, void *context)
{
    struct link link = {.where = parser->token.where};

    (void)context; /* statements have none */
    if (parser_accept_word(parser, "relay")) {
        link.kind = LINK_RELAY;
        return link_push(parser, &link);
    }
    if (parser_accept_word(parser, "join")) {
        link.kind = LINK_JOIN;
        link.target_where = parser->token.where;
        if (parser_jail_name(parser, &link.target) < 0)
            return -EINVAL;
        return link_push(parser, &link);
    }
    return link_with_interface(parser, &link);
}

/* `lo { address ... }` */

static int lo_address(struct parser *parser, void *context)
{
    struct policy *policy = context;
    struct link_address address;

    if (parse_address_value(parser, &address) < 0)
        return -EINVAL;
    if (policy->lo_addresses_count >= ADDRESSES_MAX)
        return too_many(parser, address.where, ADDRESSES_MAX, "addresses on 'lo'");
    *ARENA_PUSH(parser->arena, policy, lo_addresses) = address;
    return 0;
}

int parse_lo(struct parser *parser, void *context)
{
    static const struct keyword clauses[] = {{"address", lo_address, 0}};

    (void)context; /* statements have none */
    if (parser->token.kind != TOKEN_OPEN)
        return parser_expected(parser, "'{'", "lo { address ADDRESS/LENGTH }");
    return parser_block(parser, KEYWORDS(clauses, "part of 'lo'"), parser->policy);
}

int parse_forward(struct parser *parser, void *context)
{
    (void)context; /* statements have none */
    return parser_set_flag(parser, &parser->policy->forward, &parser->policy->forward_where,
                           parser->statement, "'forward'");
}
