/* The tables of the host that all jails share: `table inet netjail` and `table bridge netjail`.
 *
 * Rules are written once; jails come and go as elements of sets. What protects the host does not
 * depend on elements that expire: the rules look at interface groups and at sets without timeouts,
 * and an element that expires takes a permission away. Pure. What must not happen: a base chain per
 * jail (each costs every forwarded packet), or a drop that hits traffic which is not a jail's. */
#include "plan/host_tables.h"

#include "base/cleanup.h"

/* First: the kernel's own header of these names yields to it. */
#include <netinet/in.h>

#include <arpa/inet.h>
#include <assert.h>
#include <linux/if_ether.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_conntrack_common.h>
#include <linux/netfilter_bridge.h>
#include <linux/rtnetlink.h>
#include <netinet/icmp6.h>
#include <string.h>

static const struct set_definition sets[] = {
    [HOST_SET_NETS] = {.name = "nets", .key = {1, {FIELD_IIFNAME}}},
    [HOST_SET_GUESTS4] = {.name = "guests4", .key = {2, {FIELD_IIFNAME, FIELD_IP_SADDR}}},
    [HOST_SET_GUESTS6] = {.name = "guests6", .key = {2, {FIELD_IIFNAME, FIELD_IP6_SADDR}}},
    [HOST_SET_NAT] = {.name = "nat", .key = {1, {FIELD_IIFNAME}}},
    [HOST_SET_SAME] = {.name = "same", .key = {2, {FIELD_IIFNAME, FIELD_OIFNAME}}},
    [HOST_SET_ISOLATED] = {.name = "isolated", .key = {2, {FIELD_IIFNAME, FIELD_OIFNAME}}},
    [HOST_SET_GUARD4] = {.name = "guard4", .key = {1, {FIELD_IIFNAME}}},
    [HOST_SET_GUARD6] = {.name = "guard6", .key = {1, {FIELD_IIFNAME}}},
    [HOST_SET_INSIDE4] = {.name = "inside4", .key = {1, {FIELD_IP_SADDR}}, .is_interval = true},
    [HOST_SET_INSIDE6] = {.name = "inside6", .key = {1, {FIELD_IP6_SADDR}}, .is_interval = true},
    [HOST_SET_HOST4] = {.name = "host4",
                        .key = {4, {FIELD_IIFNAME, FIELD_IP_SADDR, FIELD_L4PROTO, FIELD_TH_DPORT}},
                        .is_interval = true,
                        .has_timeout = true},
    [HOST_SET_HOST6] = {.name = "host6",
                        .key = {4, {FIELD_IIFNAME, FIELD_IP6_SADDR, FIELD_L4PROTO, FIELD_TH_DPORT}},
                        .is_interval = true,
                        .has_timeout = true},
    [HOST_SET_CABLE4] = {.name = "cable4",
                         .key = {2, {FIELD_IIFNAME, FIELD_IP_SADDR}},
                         .is_interval = true,
                         .has_timeout = true},
    [HOST_SET_CABLE6] = {.name = "cable6",
                         .key = {2, {FIELD_IIFNAME, FIELD_IP6_SADDR}},
                         .is_interval = true,
                         .has_timeout = true},
    [HOST_SET_PUBLISH4] = {.name = "publish4",
                           .key = {3, {FIELD_L4PROTO, FIELD_IP_DADDR, FIELD_TH_DPORT}},
                           .has_timeout = true,
                           .data = SET_DATA_ADDR4_PORT},
    [HOST_SET_PUBLISH6] = {.name = "publish6",
                           .key = {3, {FIELD_L4PROTO, FIELD_IP6_DADDR, FIELD_TH_DPORT}},
                           .has_timeout = true,
                           .data = SET_DATA_ADDR6_PORT},
    [HOST_SET_PUBLISH_ANY4] = {.name = "publish_any4",
                               .key = {2, {FIELD_L4PROTO, FIELD_TH_DPORT}},
                               .has_timeout = true,
                               .data = SET_DATA_ADDR4_PORT},
    [HOST_SET_PUBLISH_ANY6] = {.name = "publish_any6",
                               .key = {2, {FIELD_L4PROTO, FIELD_TH_DPORT}},
                               .has_timeout = true,
                               .data = SET_DATA_ADDR6_PORT},
    [HOST_SET_DIRECT4] = {.name = "direct4",
                          .key = {3, {FIELD_L4PROTO, FIELD_IP_DADDR, FIELD_TH_DPORT}}},
    [HOST_SET_DIRECT6] = {.name = "direct6",
                          .key = {3, {FIELD_L4PROTO, FIELD_IP6_DADDR, FIELD_TH_DPORT}}},
    [HOST_SET_PIN4] = {.family = NFT_BRIDGE,
                       .name = "pin4",
                       .key = {3, {FIELD_IIFNAME, FIELD_ETHER_SADDR, FIELD_IP_SADDR}},
                       .has_timeout = true},
    [HOST_SET_PIN6] = {.family = NFT_BRIDGE,
                       .name = "pin6",
                       .key = {3, {FIELD_IIFNAME, FIELD_ETHER_SADDR, FIELD_IP6_SADDR}},
                       .has_timeout = true},
    [HOST_SET_TARGET6] = {.family = NFT_BRIDGE,
                          .name = "target6",
                          .key = {2, {FIELD_IIFNAME, FIELD_ND_TARGET}},
                          .has_timeout = true},
    [HOST_SET_ROUTER4] = {.family = NFT_BRIDGE,
                          .name = "router4",
                          .key = {3, {FIELD_IIFNAME, FIELD_ETHER_SADDR, FIELD_IP_SADDR}},
                          .is_interval = true,
                          .has_timeout = true},
    [HOST_SET_ROUTER6] = {.family = NFT_BRIDGE,
                          .name = "router6",
                          .key = {3, {FIELD_IIFNAME, FIELD_ETHER_SADDR, FIELD_IP6_SADDR}},
                          .is_interval = true,
                          .has_timeout = true},
};
static_assert(ARRAY_LENGTH(sets) == HOST_SET_COUNT, "every set has a definition");

const struct set_definition *host_set(enum host_set set)
{
    return &sets[set];
}

const struct set_definition *host_set_find(enum nft_family family, const char *name)
{
    for (size_t i = 0; i < HOST_SET_COUNT; i++)
        if (sets[i].family == family && strcmp(sets[i].name, name) == 0)
            return &sets[i];
    return NULL;
}

static const uint8_t families[] = {ADDR_V4, ADDR_V6};

static void lookup(const struct emit *emit, enum host_set set)
{
    term_lookup(emit->plan, &sets[set].key, sets[set].name, false);
}

static void pass(const struct emit *emit)
{
    term_verdict(emit->plan, NFT_ACCEPT_PACKET, NULL);
}

static void drop(const struct emit *emit)
{
    term_simple(emit->plan, TERM_COUNTER);
    term_verdict(emit->plan, NFT_DROP_PACKET, NULL);
}

static void match_neighbours(const struct emit *emit)
{
    static const uint8_t first = ND_NEIGHBOR_SOLICIT;
    static const uint8_t last = ND_NEIGHBOR_ADVERT;

    term_match_family(emit->plan, ADDR_V6);
    term_match_byte(emit->plan, FIELD_L4PROTO, IPPROTO_ICMPV6);
    term_match(emit->plan, FIELD_ICMPV6_TYPE, MATCH_RANGE, &first, &last);
}

/* A cable has no bridge that could pin its port: its source addresses are checked here. What comes
 * from a port itself and not from its bridge has come by an address that no bridge passes on. */
static void emit_source(const struct emit *emit)
{
    static const uint8_t link_local[16] = {0xfe, 0x80};
    static const uint8_t mask[16] = {0xff, 0xc0};
    const char *chain = "source";

    emit_base_chain(emit, chain, "filter", NF_INET_PRE_ROUTING, -300, false);
    emit_rule(emit, chain);
    term_match_word(emit->plan, FIELD_IIFGROUP, MATCH_EQUAL, GROUP_PORT);
    drop(emit);
    emit_rule(emit, chain);
    term_match_word(emit->plan, FIELD_IIFGROUP, MATCH_NOT_EQUAL, GROUP_CABLE);
    pass(emit);
    emit_rule(emit, chain); /* behind a router may be a network that holds the host's addresses */
    term_match_word(emit->plan, FIELD_FIB_SADDR_TYPE, MATCH_EQUAL, RTN_LOCAL);
    drop(emit);
    emit_rule(emit, chain);
    term_match_family(emit->plan, ADDR_V4);
    lookup(emit, HOST_SET_CABLE4);
    pass(emit);
    emit_rule(emit, chain);
    term_match_family(emit->plan, ADDR_V6);
    lookup(emit, HOST_SET_CABLE6);
    pass(emit);
    emit_rule(emit, chain);
    match_neighbours(emit);
    term_match(emit->plan, FIELD_IP6_SADDR, MATCH_PREFIX, link_local, mask);
    pass(emit);
    emit_rule(emit, chain);
    drop(emit);
}

static void match_transport(const struct emit *emit)
{
    static const uint8_t tcp = IPPROTO_TCP;
    static const uint8_t udp = IPPROTO_UDP;

    /* 6..17: of the protocols between TCP and UDP no other one has an element in a map. */
    term_match(emit->plan, FIELD_L4PROTO, MATCH_RANGE, &tcp, &udp);
}

static void emit_dnat(const struct emit *emit, const char *chain, uint8_t family, enum host_set map,
                      bool local_only)
{
    emit_rule(emit, chain);
    term_match_family(emit->plan, family);
    match_transport(emit);
    if (local_only)
        term_match_word(emit->plan, FIELD_FIB_DADDR_TYPE, MATCH_EQUAL, RTN_LOCAL);
    term_dnat(emit->plan, &sets[map].key, sets[map].name, family);
}

static void emit_dnats(const struct emit *emit, const char *chain)
{
    emit_dnat(emit, chain, ADDR_V4, HOST_SET_PUBLISH4, false);
    emit_dnat(emit, chain, ADDR_V6, HOST_SET_PUBLISH6, false);
    emit_dnat(emit, chain, ADDR_V4, HOST_SET_PUBLISH_ANY4, true);
    emit_dnat(emit, chain, ADDR_V6, HOST_SET_PUBLISH_ANY6, true);
}

/* Published ports: from outside and from jails in prerouting, from the host itself in output. What
 * the host sends to its loopback addresses is the service's. */
static void emit_publish(const struct emit *emit)
{
    static const uint8_t loopback4[4] = {127};
    static const uint8_t mask4[4] = {255};
    static const uint8_t loopback6[16] = {[15] = 1};

    emit_base_chain(emit, "publish", "nat", NF_INET_PRE_ROUTING, -100, false);
    emit_dnats(emit, "publish");
    emit_base_chain(emit, "publish_local", "nat", NF_INET_LOCAL_OUT, -100, false);
    emit_rule(emit, "publish_local");
    term_match_family(emit->plan, ADDR_V4);
    term_match(emit->plan, FIELD_IP_DADDR, MATCH_PREFIX, loopback4, mask4);
    term_verdict(emit->plan, NFT_RETURN_CHAIN, NULL);
    emit_rule(emit, "publish_local");
    term_match_family(emit->plan, ADDR_V6);
    term_match(emit->plan, FIELD_IP6_DADDR, MATCH_EQUAL, loopback6, NULL);
    term_verdict(emit->plan, NFT_RETURN_CHAIN, NULL);
    emit_dnats(emit, "publish_local");
}

/* Opens a rule about packets that come from a jail on an external bridge (or go to one). */
static void match_guest(const struct emit *emit, const char *chain, uint8_t family, bool is_from)
{
    enum host_set set = family == ADDR_V4 ? HOST_SET_GUESTS4 : HOST_SET_GUESTS6;
    struct nft_key key = {2, {FIELD_OIFNAME, (uint8_t)field_daddr(family)}};

    emit_rule(emit, chain);
    term_match_family(emit->plan, family);
    term_lookup(emit->plan, is_from ? &sets[set].key : &key, sets[set].name, false);
}

static void match_to_nets(const struct emit *emit, bool invert)
{
    static const struct nft_key outgoing = {1, {FIELD_OIFNAME}};

    term_lookup(emit->plan, &outgoing, sets[HOST_SET_NETS].name, invert);
}

/* A jail that reaches a published port of its own network must be answered by the way it came: by
 * the host. With bridge-nf-call-iptables such a packet is bridged, and then it has no incoming
 * interface here; nor have the host's own, which keep their address. */
static void emit_hairpin(const struct emit *emit, const char *chain)
{
    static const struct nft_key bridged = {2, {FIELD_OIFNAME, FIELD_OIFNAME}};

    emit_rule(emit, chain);
    lookup(emit, HOST_SET_SAME);
    term_match_word(emit->plan, FIELD_CT_STATUS, MATCH_ANY_BIT, IPS_DST_NAT);
    term_simple(emit->plan, TERM_MASQUERADE);
    emit_rule(emit, chain);
    term_match_word(emit->plan, FIELD_IIF, MATCH_EQUAL, 0);
    term_lookup(emit->plan, &bridged, sets[HOST_SET_SAME].name, false);
    term_match_word(emit->plan, FIELD_CT_STATUS, MATCH_ANY_BIT, IPS_DST_NAT);
    term_match_word(emit->plan, FIELD_FIB_SADDR_TYPE, MATCH_NOT_EQUAL, RTN_LOCAL);
    term_simple(emit->plan, TERM_MASQUERADE);
}

/* Other traffic within a network, and from one network to another, keeps its addresses: a jail that
 * came as the host would be let in where only the host may. */
static void emit_masquerade(const struct emit *emit)
{
    const char *chain = "leaving";

    emit_base_chain(emit, chain, "nat", NF_INET_POST_ROUTING, 100, false);
    emit_hairpin(emit, chain);
    emit_rule(emit, chain);
    lookup(emit, HOST_SET_SAME);
    term_verdict(emit->plan, NFT_RETURN_CHAIN, NULL);
    emit_rule(emit, chain);
    match_to_nets(emit, false);
    term_verdict(emit->plan, NFT_RETURN_CHAIN, NULL);
    emit_rule(emit, chain);
    lookup(emit, HOST_SET_NAT);
    lookup(emit, HOST_SET_NETS);
    term_simple(emit->plan, TERM_MASQUERADE);
    for (size_t i = 0; i < 2; i++) {
        match_guest(emit, chain, families[i], true);
        lookup(emit, HOST_SET_NAT);
        term_simple(emit->plan, TERM_MASQUERADE);
    }
}

/* What a rule of a jail opens on the host; the rest is refused. */
static void emit_closed(const struct emit *emit)
{
    const char *chain = "closed";

    emit_chain(emit, chain);
    emit_rule(emit, chain);
    term_match_word(emit->plan, FIELD_CT_STATE, MATCH_ANY_BIT,
                    NF_CT_STATE_BIT(IP_CT_ESTABLISHED) | NF_CT_STATE_BIT(IP_CT_RELATED));
    pass(emit);
    emit_rule(emit, chain);
    match_neighbours(emit);
    pass(emit);
    emit_rule(emit, chain);
    term_match_family(emit->plan, ADDR_V4);
    lookup(emit, HOST_SET_HOST4);
    pass(emit);
    emit_rule(emit, chain);
    term_match_family(emit->plan, ADDR_V6);
    lookup(emit, HOST_SET_HOST6);
    pass(emit);
    emit_rule(emit, chain);
    term_match_byte(emit->plan, FIELD_L4PROTO, IPPROTO_TCP);
    term_simple(emit->plan, TERM_COUNTER);
    term_simple(emit->plan, TERM_REJECT_RESET);
    emit_rule(emit, chain);
    term_simple(emit->plan, TERM_COUNTER);
    term_simple(emit->plan, TERM_REJECT_PROHIBITED);
}

/* The host's own services are closed to jails: to whatever comes from a network of ours, and on an
 * external bridge to the (pinned) addresses of jails; its other members are none of our business.
 */
static void emit_input(const struct emit *emit)
{
    const char *chain = "input";

    emit_closed(emit);
    emit_base_chain(emit, chain, "filter", NF_INET_LOCAL_IN, 0, false);
    emit_rule(emit, chain);
    lookup(emit, HOST_SET_NETS);
    term_verdict(emit->plan, NFT_GOTO_CHAIN, "closed");
    for (size_t i = 0; i < 2; i++) {
        match_guest(emit, chain, families[i], true);
        term_verdict(emit->plan, NFT_GOTO_CHAIN, "closed");
    }
}

/* `isolate` for what is routed. */
static void emit_isolate(const struct emit *emit, const char *chain)
{
    emit_rule(emit, chain);
    lookup(emit, HOST_SET_ISOLATED);
    lookup(emit, HOST_SET_NETS);
    term_match_word(emit->plan, FIELD_CT_STATUS, MATCH_NO_BIT, IPS_DST_NAT);
    drop(emit);
    for (size_t i = 0; i < 2; i++) {
        enum host_set set = i == 0 ? HOST_SET_GUESTS4 : HOST_SET_GUESTS6;

        match_guest(emit, chain, families[i], false);
        lookup(emit, set);
        lookup(emit, HOST_SET_ISOLATED);
        term_match_word(emit->plan, FIELD_CT_STATUS, MATCH_NO_BIT, IPS_DST_NAT);
        drop(emit);
    }
}

/* A port that the jail opens only to what is published is reached by no route past that. The jail
 * cannot tell the two apart, the host can. */
static void emit_direct(const struct emit *emit, const char *chain)
{
    for (size_t i = 0; i < 2; i++) {
        emit_rule(emit, chain);
        term_match_word(emit->plan, FIELD_CT_STATE, MATCH_ANY_BIT, NF_CT_STATE_BIT(IP_CT_NEW));
        term_match_family(emit->plan, families[i]);
        match_transport(emit);
        lookup(emit, i == 0 ? HOST_SET_DIRECT4 : HOST_SET_DIRECT6);
        term_match_word(emit->plan, FIELD_CT_STATUS, MATCH_NO_BIT, IPS_DST_NAT);
        term_simple(emit->plan, TERM_COUNTER);
        term_simple(emit->plan, TERM_REJECT_PROHIBITED);
    }
}

/* Nobody outside speaks to a jail as another jail or as the host (a jail cannot: its port or cable
 * is pinned). The kernel looks at sources only where rp_filter is strict, and at those of IPv6
 * never. */
static void emit_impostors(const struct emit *emit)
{
    const char *chain = "impostors";

    emit_chain(emit, chain);
    for (size_t i = 0; i < 2; i++) {
        emit_rule(emit, chain);
        term_match_family(emit->plan, families[i]);
        lookup(emit, i == 0 ? HOST_SET_INSIDE4 : HOST_SET_INSIDE6);
        term_lookup(emit->plan, &sets[HOST_SET_NETS].key, sets[HOST_SET_NETS].name, true);
        drop(emit);
    }
    emit_rule(emit, chain);
    term_match_word(emit->plan, FIELD_FIB_SADDR_TYPE, MATCH_EQUAL, RTN_LOCAL);
    drop(emit);
}

/* The guard: an uplink that forwards only because of us carries traffic of jails, and of nobody
 * else. What is bridged (bridge-nf-call-iptables) is not forwarded. */
static void emit_forward(const struct emit *emit)
{
    const char *chain = "forward";

    emit_impostors(emit);
    emit_base_chain(emit, chain, "filter", NF_INET_FORWARD, 0, false);
    emit_isolate(emit, chain);
    emit_direct(emit, chain);
    emit_rule(emit, chain);
    lookup(emit, HOST_SET_SAME);
    pass(emit);
    emit_rule(emit, chain);
    term_match_word(emit->plan, FIELD_CT_STATE, MATCH_ANY_BIT, NF_CT_STATE_BIT(IP_CT_NEW));
    match_to_nets(emit, false);
    term_verdict(emit->plan, NFT_JUMP_CHAIN, "impostors");
    for (size_t i = 0; i < 2; i++) {
        for (int is_from = 0; is_from < 2; is_from++) {
            match_guest(emit, chain, families[i], is_from);
            pass(emit);
        }
        emit_rule(emit, chain);
        term_match_family(emit->plan, families[i]);
        lookup(emit, i == 0 ? HOST_SET_GUARD4 : HOST_SET_GUARD6);
        match_to_nets(emit, true);
        drop(emit);
    }
}

static void match_ether_type(const struct emit *emit, uint16_t type)
{
    uint16_t value = htons(type);

    term_match(emit->plan, FIELD_ETHER_TYPE, MATCH_EQUAL, &value, NULL);
}

/* Routers are none of the jails (RFC 4861): no advertisements and no redirects from a port. */
static void emit_no_routers(const struct emit *emit, const char *chain)
{
    static const uint8_t types[] = {ND_ROUTER_ADVERT, ND_REDIRECT};

    for (size_t i = 0; i < ARRAY_LENGTH(types); i++) {
        emit_rule(emit, chain);
        match_ether_type(emit, ETH_P_IPV6);
        term_match_byte(emit->plan, FIELD_L4PROTO, IPPROTO_ICMPV6);
        term_match_byte(emit->plan, FIELD_ICMPV6_TYPE, types[i]);
        drop(emit);
    }
}

static void match_advertisement(const struct emit *emit)
{
    match_ether_type(emit, ETH_P_IPV6);
    term_match_byte(emit->plan, FIELD_L4PROTO, IPPROTO_ICMPV6);
    term_match_byte(emit->plan, FIELD_ICMPV6_TYPE, ND_NEIGHBOR_ADVERT);
}

/* Nor may a port speak about the address of another: neighbours would send to it what is not its.
 * In a first fragment of eight bytes the type can be read, and the target cannot: what is not seen
 * to be about its own is dropped. */
static void emit_targets(const struct emit *emit, const char *chain)
{
    emit_rule(emit, chain);
    match_advertisement(emit);
    lookup(emit, HOST_SET_TARGET6);
    lookup(emit, HOST_SET_PIN6);
    pass(emit);
    emit_rule(emit, chain);
    match_advertisement(emit);
    drop(emit);
}

/* MAC, IP, ARP and neighbour advertisements of each port of a network. The ether type is read from
 * the frame: that of a tagged frame is none of these. */
static void emit_pins(const struct emit *emit)
{
    static const struct nft_key arp_keys[] = {
        {3, {FIELD_IIFNAME, FIELD_ARP_SADDR_ETHER, FIELD_ARP_SADDR_IP}},
        {3, {FIELD_IIFNAME, FIELD_ETHER_SADDR, FIELD_ARP_SADDR_IP}},
    };
    const char *chain = "pins";

    emit_base_chain(emit, chain, "filter", NF_BR_PRE_ROUTING, -300, false);
    emit_rule(emit, chain);
    term_match_word(emit->plan, FIELD_IIFGROUP, MATCH_NOT_EQUAL, GROUP_PORT);
    pass(emit);
    emit_rule(emit, chain);
    match_ether_type(emit, ETH_P_IP);
    lookup(emit, HOST_SET_PIN4);
    pass(emit);
    emit_no_routers(emit, chain);
    emit_targets(emit, chain);
    emit_rule(emit, chain);
    match_ether_type(emit, ETH_P_IPV6);
    lookup(emit, HOST_SET_PIN6);
    pass(emit);
    emit_rule(emit, chain);
    match_ether_type(emit, ETH_P_IP);
    lookup(emit, HOST_SET_ROUTER4);
    pass(emit);
    emit_rule(emit, chain);
    match_ether_type(emit, ETH_P_IPV6);
    lookup(emit, HOST_SET_ROUTER6);
    pass(emit);
    emit_rule(emit, chain);
    match_ether_type(emit, ETH_P_ARP);
    for (size_t i = 0; i < ARRAY_LENGTH(arp_keys); i++)
        term_lookup(emit->plan, &arp_keys[i], sets[HOST_SET_PIN4].name, false);
    pass(emit);
    emit_rule(emit, chain);
    drop(emit);
}

/* Frames to addresses that no bridge passes on (IEEE 802.1Q, 8.6.3) skip prerouting: they teach the
 * bridge their source and reach its protocols (a spanning tree, say). Those of LLDP skip this, too:
 * emit_source() sees to their IP, and no_linklocal_learn to their source. */
static void emit_reserved(const struct emit *emit)
{
    static const uint8_t reserved[6] = {0x01, 0x80, 0xc2};
    static const uint8_t mask[6] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xf0};
    const char *chain = "reserved";

    emit_base_chain(emit, chain, "filter", NF_BR_LOCAL_IN, -300, false);
    emit_rule(emit, chain);
    term_match_word(emit->plan, FIELD_IIFGROUP, MATCH_EQUAL, GROUP_PORT);
    term_match(emit->plan, FIELD_ETHER_DADDR, MATCH_PREFIX, reserved, mask);
    drop(emit);
}

void host_table_emit(struct plan *plan, struct position position, enum nft_family family)
{
    const struct emit emit = {plan, WHERE_HOST, family, position};

    emit_table(&emit);
    for (size_t i = 0; i < HOST_SET_COUNT; i++)
        if (sets[i].family == family)
            emit_set(&emit, &sets[i]);
    if (family == NFT_BRIDGE) {
        emit_pins(&emit);
        emit_reserved(&emit);
        return;
    }
    emit_source(&emit);
    emit_publish(&emit);
    emit_masquerade(&emit);
    emit_input(&emit);
    emit_forward(&emit);
}
