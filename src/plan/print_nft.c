/* nftables ops as nft(8) text, in the spelling that nft 1.0.6 reads.
 *
 * Pure. What must not happen: text that nft reads as something else than the plan says; the golden
 * tests feed it to nft, and a live test compares the results. */
#include "plan/print_internal.h"

#include "base/buf.h"
#include "base/cleanup.h"

#include <arpa/inet.h>
#include <assert.h>
#include <netinet/in.h>
#include <string.h>

#include <linux/netfilter.h>
#include <linux/netfilter/nf_conntrack_common.h>
#include <linux/netfilter_bridge.h>

static const struct {
    const char *text; /* in a rule */
    const char *type; /* as the type of a set; NULL: never part of one */
} fields[] = {
    [FIELD_IIFNAME] = {"iifname", "ifname"},
    [FIELD_OIFNAME] = {"oifname", "ifname"},
    [FIELD_IIFGROUP] = {"iifgroup", NULL},
    [FIELD_OIFGROUP] = {"oifgroup", NULL},
    [FIELD_NFPROTO] = {"meta nfproto", NULL},
    [FIELD_PROTOCOL] = {"meta protocol", NULL},
    [FIELD_L4PROTO] = {"meta l4proto", "inet_proto"},
    [FIELD_PKTTYPE] = {"meta pkttype", NULL},
    [FIELD_ETHER_SADDR] = {"ether saddr", "ether_addr"},
    [FIELD_IP_SADDR] = {"ip saddr", "ipv4_addr"},
    [FIELD_IP_DADDR] = {"ip daddr", "ipv4_addr"},
    [FIELD_IP6_SADDR] = {"ip6 saddr", "ipv6_addr"},
    [FIELD_IP6_DADDR] = {"ip6 daddr", "ipv6_addr"},
    [FIELD_ARP_SADDR_ETHER] = {"arp saddr ether", "ether_addr"},
    [FIELD_ARP_SADDR_IP] = {"arp saddr ip", "ipv4_addr"},
    [FIELD_TH_DPORT] = {"th dport", "inet_service"},
    [FIELD_ICMP_TYPE] = {"icmp type", "icmp_type"},
    [FIELD_ICMPV6_TYPE] = {"icmpv6 type", "icmpv6_type"},
    [FIELD_CT_STATE] = {"ct state", NULL},
    [FIELD_CT_STATUS] = {"ct status", NULL},
    [FIELD_FIB_DADDR_TYPE] = {"fib daddr type", NULL},
    [FIELD_ETHER_TYPE] = {"ether type", NULL},
    [FIELD_ETHER_DADDR] = {"ether daddr", "ether_addr"},
    [FIELD_IIF] = {"meta iif", NULL},
    [FIELD_FIB_SADDR_TYPE] = {"fib saddr type", NULL},
    [FIELD_FIB_SADDR_OIF] = {"fib saddr . iif oif", NULL},
    [FIELD_MARK] = {"meta mark", NULL},
    [FIELD_ND_TARGET] = {"@th,64,128", NULL}, /* nft before 1.0.8 has no name for it */
};
static_assert(ARRAY_LENGTH(fields) == FIELD_COUNT, "every field has a name");

static const char *family_name(enum nft_family family)
{
    return family == NFT_INET ? "inet" : "bridge";
}

static void print_address(const uint8_t *bytes, size_t size, struct buf *out)
{
    struct addr addr = {.family = size == 4 ? ADDR_V4 : ADDR_V6};
    char text[ADDR_TEXT_SIZE];

    memcpy(addr.bytes, bytes, size);
    buf_puts(out, addr_print(&addr, text));
}

static void print_word_field(enum nft_field field, const uint8_t *bytes, struct buf *out)
{
    uint32_t value;
    const char *separator = "";
    static const struct {
        uint32_t bit;
        const char *name;
    } states[] = {{NF_CT_STATE_BIT(IP_CT_NEW), "new"},
                  {NF_CT_STATE_BIT(IP_CT_ESTABLISHED), "established"},
                  {NF_CT_STATE_BIT(IP_CT_RELATED), "related"},
                  {NF_CT_STATE_INVALID_BIT, "invalid"}};

    memcpy(&value, bytes, sizeof value);
    if (field == FIELD_CT_STATE) {
        for (size_t i = 0; i < ARRAY_LENGTH(states); i++)
            if (value & states[i].bit) {
                buf_printf(out, "%s%s", separator, states[i].name);
                separator = ",";
            }
    } else if (field == FIELD_CT_STATUS && value == IPS_DST_NAT) {
        buf_puts(out, "dnat");
    } else if (field == FIELD_IIF || field == FIELD_FIB_SADDR_OIF) {
        buf_printf(out, "%u", value);
    } else if ((field == FIELD_FIB_DADDR_TYPE || field == FIELD_FIB_SADDR_TYPE) && value == 2) {
        buf_puts(out, "local"); /* RTN_LOCAL */
    } else {
        buf_printf(out, "0x%08x", value);
    }
}

/* An address where nft sees but a number. */
static void print_number(const uint8_t *bytes, size_t size, struct buf *out)
{
    buf_puts(out, "0x");
    for (size_t i = 0; i < size; i++)
        buf_printf(out, "%02x", bytes[i]);
}

static void print_value(enum nft_field field, const uint8_t *bytes, struct buf *out)
{
    struct mac mac;
    char text[MAC_TEXT_SIZE];
    uint16_t number;

    switch (nft_field_size(field)) {
    case 1:
        if (field == FIELD_NFPROTO)
            buf_puts(out, bytes[0] == NFPROTO_IPV4 ? "ipv4" : "ipv6");
        else
            buf_printf(out, "%u", bytes[0]);
        return;
    case 2:
        memcpy(&number, bytes, sizeof number);
        buf_printf(out, field == FIELD_TH_DPORT ? "%u" : "0x%04x", ntohs(number));
        return;
    case 6:
        memcpy(mac.bytes, bytes, sizeof mac.bytes);
        buf_puts(out, mac_print(&mac, text));
        return;
    case IFNAME_SIZE:
        if (field == FIELD_IIFNAME || field == FIELD_OIFNAME) {
            buf_printf(out, "\"%.15s\"", (const char *)bytes);
            return;
        }
        if (field == FIELD_ND_TARGET)
            print_number(bytes, 16, out);
        else
            print_address(bytes, 16, out);
        return;
    default:
        if (fields[field].type)
            print_address(bytes, 4, out);
        else
            print_word_field(field, bytes, out);
        return;
    }
}

static unsigned mask_length(const uint8_t *mask, size_t size)
{
    unsigned length = 0;

    for (size_t i = 0; i < size; i++)
        length += (unsigned)__builtin_popcount(mask[i]);
    return length;
}

static void print_match(const struct term *term, struct buf *out)
{
    enum nft_field field = term->match.field;
    bool is_not = term->match.op == MATCH_NOT_EQUAL || term->match.op == MATCH_NOT_RANGE;

    buf_printf(out, "%s %s", fields[field].text, is_not ? "!= " : "");
    if (term->match.op == MATCH_PREFIX && nft_field_size(field) == 6) {
        buf_puts(out, "& "); /* nft(8) has no prefixes of MAC addresses */
        print_value(field, term->match.last, out);
        buf_puts(out, " == ");
        print_value(field, term->match.value, out);
        return;
    }
    if (term->match.op == MATCH_NO_BIT)
        buf_puts(out, "& ");
    print_value(field, term->match.value, out);
    if (term->match.op == MATCH_RANGE || term->match.op == MATCH_NOT_RANGE) {
        buf_puts(out, "-");
        print_value(field, term->match.last, out);
    } else if (term->match.op == MATCH_PREFIX) {
        buf_printf(out, "/%u", mask_length(term->match.last, nft_field_size(field)));
    } else if (term->match.op == MATCH_NO_BIT) {
        buf_puts(out, " == 0");
    }
}

static void print_key(const struct nft_key *key, struct buf *out)
{
    for (size_t i = 0; i < key->count; i++)
        buf_printf(out, "%s%s", i ? " . " : "", fields[key->fields[i]].text);
}

static void print_log_and_limit(const struct term *term, struct buf *out)
{
    if (term->kind == TERM_LOG)
        buf_printf(out, "log prefix \"%s\" group %u", term->log.prefix, term->log.group);
    else
        buf_printf(out, "limit rate %llu/%s burst %u packets", (unsigned long long)term->limit.rate,
                   term->limit.unit_s == 1    ? "second"
                   : term->limit.unit_s == 60 ? "minute"
                                              : "hour",
                   term->limit.burst);
}

static void print_verdict(const struct nft_verdict_data *verdict, struct buf *out)
{
    static const char *const words[] = {[NFT_ACCEPT_PACKET] = "accept",
                                        [NFT_DROP_PACKET] = "drop",
                                        [NFT_RETURN_CHAIN] = "return",
                                        [NFT_JUMP_CHAIN] = "jump ",
                                        [NFT_GOTO_CHAIN] = "goto "};

    buf_printf(out, "%s%s", words[verdict->kind], verdict->chain);
}

/* `addr` in brackets where it has colons. */
static void print_tproxy(const struct term *term, struct buf *out)
{
    bool is_v4 = term->tproxy.addr.family == ADDR_V4;
    char text[ADDR_TEXT_SIZE];

    buf_printf(out, is_v4 ? "tproxy ip to %s:%u" : "tproxy ip6 to [%s]:%u",
               addr_print(&term->tproxy.addr, text), term->tproxy.port);
}

static void print_term(const struct term *term, struct buf *out)
{
    switch (term->kind) {
    case TERM_MATCH:
        print_match(term, out);
        return;
    case TERM_LOOKUP:
        print_key(&term->lookup.key, out);
        buf_printf(out, " %s@%s", term->lookup.invert ? "!= " : "", term->lookup.set);
        return;
    case TERM_VERDICT_MAP:
        print_key(&term->lookup.key, out);
        buf_printf(out, " vmap @%s", term->lookup.set);
        return;
    case TERM_COUNTER:
        buf_puts(out, "counter");
        return;
    case TERM_LIMIT:
    case TERM_LOG:
        print_log_and_limit(term, out);
        return;
    case TERM_VERDICT:
        print_verdict(&term->verdict, out);
        return;
    case TERM_REJECT_RESET:
        buf_puts(out, "reject with tcp reset");
        return;
    case TERM_REJECT_PROHIBITED:
        buf_puts(out, "reject with icmpx admin-prohibited");
        return;
    case TERM_REJECT_PORT:
        buf_puts(out, "reject with icmpx port-unreachable");
        return;
    case TERM_REJECT_HOST:
        buf_puts(out, "reject with icmpx host-unreachable");
        return;
    case TERM_REJECT_NET:
        buf_puts(out, "reject with icmpx no-route");
        return;
    case TERM_TPROXY:
        print_tproxy(term, out);
        return;
    case TERM_QUEUE:
    case TERM_QUEUE_NFT:
        buf_printf(out, "queue to %d", RELAY_QUEUE);
        return;
    case TERM_MASQUERADE:
        buf_puts(out, "masquerade");
        return;
    case TERM_DNAT_MAP:
        buf_printf(out, "dnat %s to ", term->lookup.family == ADDR_V4 ? "ip" : "ip6");
        print_key(&term->lookup.key, out);
        buf_printf(out, " map @%s", term->lookup.set);
        return;
    }
}

static void print_rule_body(const struct plan *plan, const struct op *op, struct buf *out)
{
    for (uint32_t i = 0; i < op->rule.term_count; i++) {
        buf_puts(out, i ? " " : "");
        print_term(&plan->terms[op->rule.first_term + i], out);
    }
}

static const char *hook_name(enum nft_family family, uint32_t hook)
{
    static const char *const names[] = {[NF_INET_PRE_ROUTING] = "prerouting",
                                        [NF_INET_LOCAL_IN] = "input",
                                        [NF_INET_FORWARD] = "forward",
                                        [NF_INET_LOCAL_OUT] = "output",
                                        [NF_INET_POST_ROUTING] = "postrouting"};

    static_assert(NF_BR_PRE_ROUTING == NF_INET_PRE_ROUTING && NF_BR_LOCAL_IN == NF_INET_LOCAL_IN,
                  "the bridge hooks that are used");
    (void)family; /* the numbers are the same */
    return hook < ARRAY_LENGTH(names) ? names[hook] : "prerouting";
}

static void print_chain_body(const struct op *op, struct buf *out)
{
    if (op->chain.is_base)
        buf_printf(out, "type %s hook %s priority %d; policy %s;", op->chain.type,
                   hook_name(op->chain.family, op->chain.hook), op->chain.priority,
                   op->chain.policy_drop ? "drop" : "accept");
}

/* A field without a type of nft's own is told by what it is. */
static void print_set_key(const struct nft_key *key, struct buf *out)
{
    bool has_types = true;

    for (size_t i = 0; i < key->count; i++)
        has_types = has_types && fields[key->fields[i]].type;
    buf_puts(out, has_types ? "type " : "typeof ");
    for (size_t i = 0; i < key->count; i++)
        buf_printf(out, "%s%s", i ? " . " : "",
                   has_types ? fields[key->fields[i]].type : fields[key->fields[i]].text);
}

static void print_set_body(const struct op *op, struct buf *out)
{
    print_set_key(&op->set.key, out);
    if (op->set.data == SET_DATA_VERDICT)
        buf_puts(out, " : verdict");
    else if (op->set.data != SET_DATA_NONE)
        buf_printf(out, " : %s . inet_service",
                   op->set.data == SET_DATA_ADDR4_PORT ? "ipv4_addr" : "ipv6_addr");
    buf_puts(out, ";");
    if (op->set.size > 0)
        buf_printf(out, " size %u;", op->set.size);
    if (op->set.is_interval || op->set.has_timeout)
        buf_printf(out, " flags %s%s%s;", op->set.is_interval ? "interval" : "",
                   op->set.is_interval && op->set.has_timeout ? "," : "",
                   op->set.has_timeout ? "timeout" : "");
    if (op->set.has_counter)
        buf_puts(out, " counter;");
}

static bool print_as_prefix(enum nft_field field, const uint8_t *first, const uint8_t *last,
                            struct buf *out)
{
    size_t size = nft_field_size(field);
    struct addr_range range = {{.family = size == 4 ? ADDR_V4 : ADDR_V6},
                               {.family = size == 4 ? ADDR_V4 : ADDR_V6}};
    struct prefix prefix;
    char text[PREFIX_TEXT_SIZE];

    if (size < 4 || size == 6 || field == FIELD_IIFNAME || field == FIELD_OIFNAME)
        return false;
    memcpy(range.first.bytes, first, size);
    memcpy(range.last.bytes, last, size);
    if (!range_prefix(&range, &prefix))
        return false;
    buf_puts(out, prefix_print(&prefix, text));
    return true;
}

static void print_element_key(const struct op *op, const uint8_t *bytes, struct buf *out)
{
    const uint8_t *last = bytes + nft_key_size(&op->elements.key);

    for (size_t i = 0; i < op->elements.key.count; i++) {
        enum nft_field field = op->elements.key.fields[i];
        size_t size = nft_field_size(field);

        buf_puts(out, i ? " . " : "");
        if (!op->elements.is_interval || memcmp(bytes, last, size) == 0) {
            print_value(field, bytes, out);
        } else if (!print_as_prefix(field, bytes, last, out)) {
            print_value(field, bytes, out);
            buf_puts(out, "-");
            print_value(field, last, out);
        }
        bytes += size;
        last += size;
    }
}

static void print_element_data(const struct op *op, const uint8_t *bytes, struct buf *out)
{
    size_t size = op->elements.data == SET_DATA_ADDR4_PORT ? 4 : 16;
    struct nft_verdict_data verdict;

    if (op->elements.data == SET_DATA_NONE)
        return;
    buf_puts(out, " : ");
    if (op->elements.data == SET_DATA_VERDICT) {
        memcpy(&verdict, bytes, sizeof verdict);
        print_verdict(&verdict, out);
        return;
    }
    print_address(bytes, size, out);
    buf_puts(out, " . ");
    print_value(FIELD_TH_DPORT, bytes + size, out);
}

static void print_elements(const struct plan *plan, const struct op *op, struct buf *out)
{
    const uint8_t *bytes = plan->bytes + op->elements.first_byte;
    size_t data = nft_element_size(op) - nft_data_size(op->elements.data);

    for (uint32_t i = 0; i < op->elements.count; i++, bytes += nft_element_size(op)) {
        buf_puts(out, i ? ", " : "");
        print_element_key(op, bytes, out);
        if (op->elements.timeout_ms)
            buf_printf(out, " timeout %us", op->elements.timeout_ms / 1000);
        print_element_data(op, bytes + data, out);
    }
}

bool op_is_nft(const struct op *op)
{
    return op->kind == OP_NFT_TABLE_ADD || op->kind == OP_NFT_CHAIN_ADD ||
           op->kind == OP_NFT_SET_ADD || op->kind == OP_NFT_RULE_ADD ||
           op->kind == OP_NFT_ELEMENTS_ADD || op->kind == OP_NFT_ELEMENTS_DELETE ||
           op->kind == OP_NFT_TABLE_DELETE;
}

static void print_set_command(const struct op *op, struct buf *out)
{
    buf_printf(out, "add %s %s " NFT_TABLE_NAME " %s { ",
               op->set.data == SET_DATA_NONE ? "set" : "map", family_name(op->set.family),
               op->set.name);
    print_set_body(op, out);
    buf_puts(out, " }\n");
}

static void print_chain_command(const struct op *op, struct buf *out)
{
    buf_printf(out, "add chain %s " NFT_TABLE_NAME " %s", family_name(op->chain.family),
               op->chain.name);
    if (op->chain.is_base) {
        buf_puts(out, " { ");
        print_chain_body(op, out);
        buf_puts(out, " }");
    }
    buf_puts(out, "\n");
}

void print_nft_op(const struct plan *plan, const struct op *op, struct buf *out)
{
    switch (op->kind) {
    case OP_NFT_TABLE_ADD:
    case OP_NFT_TABLE_DELETE:
        buf_printf(out, "%s table %s " NFT_TABLE_NAME "\n",
                   op->kind == OP_NFT_TABLE_ADD ? "add" : "delete", family_name(op->table.family));
        return;
    case OP_NFT_CHAIN_ADD:
        print_chain_command(op, out);
        return;
    case OP_NFT_SET_ADD:
        print_set_command(op, out);
        return;
    case OP_NFT_RULE_ADD:
        buf_printf(out, "add rule %s " NFT_TABLE_NAME " %s ", family_name(op->rule.family),
                   op->rule.chain);
        print_rule_body(plan, op, out);
        buf_puts(out, "\n");
        return;
    case OP_NFT_ELEMENTS_ADD:
    case OP_NFT_ELEMENTS_DELETE:
        buf_printf(out, "%s element %s " NFT_TABLE_NAME " %s { ",
                   op->kind == OP_NFT_ELEMENTS_ADD ? "add" : "delete",
                   family_name(op->elements.family), op->elements.set);
        print_elements(plan, op, out);
        buf_puts(out, " }\n");
        return;
    default:
        return;
    }
}

static bool op_in_ruleset(const struct op *op, enum where where, enum nft_family family)
{
    if (op->where != where)
        return false;
    switch (op->kind) {
    case OP_NFT_SET_ADD:
        return op->set.family == family;
    case OP_NFT_CHAIN_ADD:
        return op->chain.family == family;
    case OP_NFT_RULE_ADD:
        return op->rule.family == family;
    case OP_NFT_ELEMENTS_ADD:
        return op->elements.family == family;
    default:
        return false;
    }
}

static void print_nested_set(const struct plan *plan, const struct op *set, struct buf *out)
{
    const char *separator = "        elements = { ";

    buf_printf(out, "    %s %s {\n        ", set->set.data == SET_DATA_NONE ? "set" : "map",
               set->set.name);
    print_set_body(set, out);
    buf_puts(out, "\n");
    for (size_t i = 0; i < plan->ops_count; i++) {
        const struct op *op = &plan->ops[i];

        if (op->kind != OP_NFT_ELEMENTS_ADD || op->where != set->where ||
            op->elements.family != set->set.family || strcmp(op->elements.set, set->set.name) != 0)
            continue;
        buf_puts(out, separator);
        print_elements(plan, op, out);
        separator = ", ";
    }
    buf_puts(out, *separator == ',' ? " }\n    }\n" : "    }\n");
}

static void print_nested_chain(const struct plan *plan, const struct op *chain, struct buf *out)
{
    buf_printf(out, "    chain %s {\n", chain->chain.name);
    if (chain->chain.is_base) {
        buf_puts(out, "        ");
        print_chain_body(chain, out);
        buf_puts(out, "\n");
    }
    for (size_t i = 0; i < plan->ops_count; i++) {
        const struct op *op = &plan->ops[i];

        if (op->kind != OP_NFT_RULE_ADD || op->where != chain->where ||
            op->rule.family != chain->chain.family ||
            strcmp(op->rule.chain, chain->chain.name) != 0)
            continue;
        buf_puts(out, "        ");
        print_rule_body(plan, op, out);
        buf_puts(out, "\n");
    }
    buf_puts(out, "    }\n");
}

void plan_print_ruleset(const struct plan *plan, enum where where, enum nft_family family,
                        struct buf *out)
{
    buf_printf(out, "table %s " NFT_TABLE_NAME " {\n", family_name(family));
    for (size_t i = 0; i < plan->ops_count; i++)
        if (plan->ops[i].kind == OP_NFT_SET_ADD && op_in_ruleset(&plan->ops[i], where, family))
            print_nested_set(plan, &plan->ops[i], out);
    for (size_t i = 0; i < plan->ops_count; i++)
        if (plan->ops[i].kind == OP_NFT_CHAIN_ADD && op_in_ruleset(&plan->ops[i], where, family))
            print_nested_chain(plan, &plan->ops[i], out);
    buf_puts(out, "}\n");
}
