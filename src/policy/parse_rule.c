/* Rules: `allow|deny|drop in|out|forward [PROTO] [from SET] [to SET] [port PORTS] [rate ...]
 * [log [TEXT]]`, and `default`. The clauses may stand in any order, each once.
 * No system call, no privilege. */
#include "base/cleanup.h"
#include "policy/icmp.h"
#include "policy/parser.h"

#include <errno.h>
#include <netinet/in.h>
#include <string.h>

#define RULES_MAX    65536
#define LOG_TEXT_MAX 100 /* the kernel's log prefix takes 127 bytes, ours included */

static const struct keyword direction_list[] = {
    {"forward", NULL, DIRECTION_FORWARD},
    {"in", NULL, DIRECTION_IN},
    {"out", NULL, DIRECTION_OUT},
};
const struct keywords direction_keywords = {direction_list, ARRAY_LENGTH(direction_list),
                                            "direction"};

static const struct keyword verdict_list[] = {
    {"allow", NULL, VERDICT_ALLOW},
    {"deny", NULL, VERDICT_DENY},
    {"drop", NULL, VERDICT_DROP},
};
const struct keywords verdict_keywords = {verdict_list, ARRAY_LENGTH(verdict_list), "verdict"};

static const struct keyword protocol_list[] = {
    {"icmp", NULL, IPPROTO_ICMP}, {"icmpv6", NULL, IPPROTO_ICMPV6}, {"sctp", NULL, IPPROTO_SCTP},
    {"tcp", NULL, IPPROTO_TCP},   {"udp", NULL, IPPROTO_UDP},
};

/* The types of the ICMP that `protocol` is, by name or number. */
static int icmp_type(struct parser *parser, struct protocol *protocol)
{
    struct keywords types = icmp_type_keywords(protocol->number);
    const struct keyword *keyword;
    struct token word;
    uint64_t number;

    if (parser_word(parser, types.what, &word) < 0)
        return -EINVAL;
    keyword = keyword_find(types, &word);
    if (keyword)
        number = (uint64_t)keyword->value;
    else if (number_parse(word.text, word.length, 255, &number) < 0)
        return parser_unknown_keyword(parser, types, &word);
    protocol->has_type = true;
    protocol->icmp_type = (uint8_t)number;
    return 0;
}

/* Protocols that people look for by name but that a policy names by number. */
static const char *protocol_hint(struct parser *parser, const struct token *word)
{
    static const struct keyword numbers[] = {
        {"ah", NULL, 51},  {"esp", NULL, 50},  {"gre", NULL, 47},  {"igmp", NULL, 2},
        {"ipip", NULL, 4}, {"ospf", NULL, 89}, {"pim", NULL, 103}, {"vrrp", NULL, 112},
    };
    const struct keyword *keyword = keyword_find(KEYWORDS(numbers, "protocol"), word);
    struct prefix prefix;
    struct addr addr;

    if (keyword)
        return arena_printf(parser->arena, "write its number: %d", keyword->value);
    if (addr_parse(word->text, word->length, &addr) == 0 ||
        prefix_parse(word->text, word->length, &prefix) == 0)
        return "an address stands behind 'from' or 'to'";
    return NULL;
}

static int protocol_unknown(struct parser *parser, const struct token *word)
{
    struct keywords protocols = KEYWORDS(protocol_list, "protocol");
    const char *hint = protocol_hint(parser, word);

    if (!hint)
        return parser_unknown_keyword(parser, protocols, word);
    return parser_error(parser, word->where, hint, "unknown protocol '%s'",
                        parser_quote(parser, word->text, word->length));
}

static int add_protocol(struct parser *parser, struct rule *rule, const struct protocol *protocol,
                        struct position where)
{
    for (size_t i = 0; i < rule->protocols_count; i++) {
        const struct protocol *other = &rule->protocols[i];

        if (other->number == protocol->number && other->has_type == protocol->has_type &&
            other->icmp_type == protocol->icmp_type)
            return parser_error(parser, where, NULL, "a protocol is given twice");
    }
    if (rule->protocols_count >= 64)
        return parser_error(parser, where, "leave them out for every protocol",
                            "a rule has at most 64 protocols");
    *ARENA_PUSH(parser->arena, rule, protocols) = *protocol;
    return 0;
}

static bool at_clause(const struct parser *parser)
{
    static const char *const clauses[] = {"from", "to", "port", "rate", "log"};

    for (size_t i = 0; i < ARRAY_LENGTH(clauses); i++) {
        if (parser_at_word(parser, clauses[i]))
            return true;
    }
    return false;
}

static int one_protocol(struct parser *parser, struct rule *rule)
{
    const struct keyword *keyword;
    struct protocol protocol = {0};
    struct token word;
    uint64_t number;

    if (parser_word(parser, "a protocol", &word) < 0)
        return -EINVAL;
    keyword = keyword_find(KEYWORDS(protocol_list, "protocol"), &word);
    if (keyword)
        number = (uint64_t)keyword->value;
    else if (number_parse(word.text, word.length, 255, &number) == -ERANGE ||
             (word.length == 1 && word.text[0] == '0'))
        return parser_error(parser, word.where, "a number from 1 to 255",
                            "a protocol cannot be '%s'",
                            parser_quote(parser, word.text, word.length));
    else if (number_parse(word.text, word.length, 255, &number) < 0 || number == 0)
        return protocol_unknown(parser, &word);
    protocol.number = (uint8_t)number;
    if ((number == IPPROTO_ICMP || number == IPPROTO_ICMPV6) && parser->token.kind == TOKEN_WORD &&
        !at_clause(parser) && icmp_type(parser, &protocol) < 0)
        return -EINVAL;
    return add_protocol(parser, rule, &protocol, word.where);
}

static int protocols(struct parser *parser, struct rule *rule)
{
    if (parser->token.kind != TOKEN_WORD || at_clause(parser))
        return 0;
    if (one_protocol(parser, rule) < 0)
        return -EINVAL;
    while (parser->token.kind == TOKEN_COMMA) {
        parser_advance(parser);
        if (one_protocol(parser, rule) < 0)
            return -EINVAL;
    }
    return 0;
}

static int clause_set(struct parser *parser, struct set *set, const char *clause,
                      struct position where)
{
    if (set->given)
        return parser_error_twice(parser, where, set->where,
                                  arena_printf(parser->arena, "'%s'", clause));
    return parser_set(parser, clause, set);
}

static int clause_from(struct parser *parser, void *context)
{
    struct rule *rule = context;

    return clause_set(parser, &rule->from, "from", parser->token.where);
}

static int clause_to(struct parser *parser, void *context)
{
    struct rule *rule = context;

    return clause_set(parser, &rule->to, "to", parser->token.where);
}

static int clause_port(struct parser *parser, void *context)
{
    struct rule *rule = context;

    if (rule->ports.given)
        return parser_error_twice(parser, parser->token.where, rule->ports.where, "'port'");
    return parser_ports(parser, &rule->ports);
}

/* "10/second" */
static int rate_word(struct parser *parser, const struct token *word, struct rate *rate)
{
    static const struct keyword units[] = {
        {"hour", NULL, 3600},
        {"minute", NULL, 60},
        {"second", NULL, 1},
    };
    const char *slash = memchr(word->text, '/', word->length);
    const struct keyword *unit = NULL;
    struct token rest = *word;
    uint64_t count;

    if (slash) {
        rest.text = slash + 1;
        rest.length = word->length - (size_t)(slash + 1 - word->text);
        unit = keyword_find(KEYWORDS(units, "unit"), &rest);
    }
    if (!unit || number_parse(word->text, (size_t)(slash - word->text), 1000000000, &count) < 0 ||
        count == 0)
        return parser_error(parser, word->where, "as in 10/second, 10/minute or 10/hour",
                            "a rate cannot be '%s'",
                            parser_quote(parser, word->text, word->length));
    rate->count = count;
    rate->unit_s = (uint32_t)unit->value;
    return 0;
}

int parser_rate(struct parser *parser, uint32_t usual_burst, struct rate *ret_rate)
{
    struct rate rate = {.given = true, .burst = usual_burst};
    struct token word;
    uint64_t burst;

    if (parser_word(parser, "a rate", &word) < 0 || rate_word(parser, &word, &rate) < 0)
        return -EINVAL;
    if (parser_accept_word(parser, "burst")) {
        if (parser_number(parser, "a burst", 1, 1000000000, &burst) < 0)
            return -EINVAL;
        rate.burst = (uint32_t)burst;
    }
    *ret_rate = rate;
    return 0;
}

static int clause_rate(struct parser *parser, void *context)
{
    struct rule *rule = context;

    if (rule->rate.given)
        return parser_error(parser, parser->token.where, NULL, "'rate' is given twice");
    return parser_rate(parser, 5, &rule->rate);
}

static int clause_log(struct parser *parser, void *context)
{
    struct rule *rule = context;
    struct position where = parser->token.where;

    if (rule->log)
        return parser_error(parser, where, NULL, "'log' is given twice");
    rule->log = true;
    if (parser->token.kind != TOKEN_WORD || at_clause(parser))
        return 0;
    if (parser_string(parser, "the text of the log line", &rule->log_text) < 0)
        return -EINVAL;
    if (strlen(rule->log_text) > LOG_TEXT_MAX)
        return parser_error(parser, where, NULL, "the text of a log line has at most %d bytes",
                            LOG_TEXT_MAX);
    return 0;
}

static const struct keyword clauses[] = {
    {"from", clause_from, 0}, {"log", clause_log, 0}, {"port", clause_port, 0},
    {"rate", clause_rate, 0}, {"to", clause_to, 0},
};

static int parse_rule(struct parser *parser, enum verdict verdict, struct position where)
{
    struct rule rule = {.verdict = verdict, .where = where};
    const struct keyword *keyword;

    if (parser_keyword(parser, direction_keywords, &keyword) < 0)
        return -EINVAL;
    rule.direction = (enum direction)keyword->value;
    if (protocols(parser, &rule) < 0)
        return -EINVAL;
    while (!parser_at_end(parser)) {
        if (parser_keyword(parser, KEYWORDS(clauses, "part of a rule"), &keyword) < 0 ||
            keyword->parse(parser, &rule) < 0)
            return -EINVAL;
    }
    if (parser->policy->rules_count >= RULES_MAX)
        return parser_error(parser, where, "put addresses with one verdict into one list",
                            "a policy has at most %d rules", RULES_MAX);
    *ARENA_PUSH(parser->arena, parser->policy, rules) = rule;
    return 0;
}

int parse_allow(struct parser *parser, void *context)
{
    (void)context; /* statements have none */
    return parse_rule(parser, VERDICT_ALLOW, parser->statement);
}

int parse_deny(struct parser *parser, void *context)
{
    (void)context; /* statements have none */
    return parse_rule(parser, VERDICT_DENY, parser->statement);
}

int parse_drop(struct parser *parser, void *context)
{
    (void)context; /* statements have none */
    return parse_rule(parser, VERDICT_DROP, parser->statement);
}

int parse_default(struct parser *parser, void *context)
{
    struct policy *policy = parser->policy;
    struct position where = parser->statement;
    const struct keyword *direction, *verdict;
    size_t i;

    (void)context; /* statements have none */
    if (parser_keyword(parser, direction_keywords, &direction) < 0 ||
        parser_keyword(parser, verdict_keywords, &verdict) < 0)
        return -EINVAL;
    i = (size_t)direction->value;
    if (policy->defaults_given[i])
        return parser_error_twice(parser, where, policy->defaults_where[i],
                                  arena_printf(parser->arena, "'default %s'", direction->word));
    policy->defaults_given[i] = true;
    policy->defaults[i] = (enum verdict)verdict->value;
    policy->defaults_where[i] = where;
    return 0;
}
