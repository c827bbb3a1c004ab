/* `publish`, `expose` and `limit`: services of the jail outside, services of the host inside.
 * No system call, no privilege. */
#include "base/cleanup.h"
#include "policy/parser.h"

#include <errno.h>
#include <netinet/in.h>
#include <string.h>

#define PUBLISHES_MAX 1000

/* Is this what podman writes before the jail's port: [ADDRESS:]PORT? */
static bool is_outside(const char *text, size_t length)
{
    const char *colon = memrchr(text, ':', length);
    const char *port = colon ? colon + 1 : text;
    size_t before = colon ? (size_t)(colon - text) : 0;
    struct addr addr;
    uint64_t number;

    if (number_parse(port, length - (size_t)(port - text), 65535, &number) < 0)
        return false;
    return !colon || (before > 0 && text[before - 1] == ']') ||
           (before == 3 && memcmp(text, "any", 3) == 0) ||
           (addr_parse(text, before, &addr) == 0 && addr.family == ADDR_V4);
}

/* The part before the port: an address of the host. */
static int publish_addr(struct parser *parser, const struct token *word, size_t length,
                        struct publish *publish)
{
    static const uint8_t zero[16];
    struct token text = *word;
    const struct addr_range *multicast;
    size_t count = set_builtin_ranges(SET_MULTICAST, &multicast);

    text.length = length;
    if (length + 1 < word->length && is_outside(word->text, length))
        return parser_error(
            parser, word->where,
            arena_printf(parser->arena, "write '%s to %s'",
                         parser_quote(parser, word->text, length),
                         parser_quote(parser, word->text + length + 1, word->length - length - 1)),
            "'%s' is not [ADDRESS:]PORT", parser_quote(parser, word->text, word->length));
    if (token_is(&text, "any")) {
        publish->kind = PUBLISH_ANY;
        return 0;
    }
    publish->kind = PUBLISH_ADDRESS;
    if (length >= 2 && text.text[0] == '[' && text.text[length - 1] == ']') {
        text.text++;
        text.length -= 2;
    } else if (memchr(text.text, ':', length)) {
        return parser_error(parser, word->where, "an IPv6 address stands in brackets: [ADDR]:PORT",
                            "'%s' is not ADDRESS:PORT",
                            parser_quote(parser, word->text, word->length));
    }
    if (text.length == 1 && text.text[0] == '*')
        return parser_error(parser, word->where, "did you mean 'any'?", "'*' is not an address");
    if (parse_addr_word(parser, &text, &publish->addr) < 0)
        return -EINVAL;
    if (memcmp(publish->addr.bytes, zero, sizeof zero) == 0)
        return parser_error(parser, word->where, "for every address of the host write any:PORT",
                            "the unspecified address cannot be published");
    for (size_t i = 0; i < count; i++) {
        if (range_contains(&multicast[i], &publish->addr))
            return parser_error(parser, word->where, "an address of the host, or 'any'",
                                "a multicast address cannot be published");
    }
    return 0;
}

/* [ADDR:]PORT[-PORT] */
static int publish_outside(struct parser *parser, struct publish *publish)
{
    const char *ports, *colon, *slash;
    struct token word;
    size_t length;

    if (parser_word(parser, "[ADDRESS:]PORT", &word) < 0)
        return -EINVAL;
    publish->where = word.where;
    slash = memchr(word.text, '/', word.length);
    if (slash)
        return parser_error(parser, word.where, "the protocol is a word of its own: 'tcp' or 'udp'",
                            "'%s' is not [ADDRESS:]PORT",
                            parser_quote(parser, word.text, word.length));
    colon = memrchr(word.text, ':', word.length);
    ports = colon ? colon + 1 : word.text;
    length = word.length - (size_t)(ports - word.text);
    if (colon && publish_addr(parser, &word, (size_t)(colon - word.text), publish) < 0)
        return -EINVAL;
    return parse_port_range(parser, &word, ports, length, &publish->host_ports);
}

static int publish_to(struct parser *parser, struct publish *publish)
{
    unsigned count = (unsigned)(publish->host_ports.last - publish->host_ports.first);
    struct token word;

    if (parser_word(parser, "the jail's port", &word) < 0)
        return -EINVAL;
    if (memchr(word.text, '-', word.length))
        return parser_error(parser, word.where, "give the first; the others follow one by one",
                            "one port is needed here, not a range");
    if (parse_port_number(parser, &word, word.text, word.length, &publish->jail_port) < 0)
        return -EINVAL;
    if (publish->jail_port + count > 65535)
        return parser_error(
            parser, word.where,
            arena_printf(parser->arena, "at most %u for %u ports", 65535 - count, count + 1),
            "the ports of the jail would go beyond 65535");
    return 0;
}

/* `tcp` or `udp` when it is there. */
static int protocol_word(struct parser *parser, uint8_t *protocol, bool *given)
{
    struct position where = parser->token.where;
    uint8_t number;

    if (parser_accept_word(parser, "tcp"))
        number = IPPROTO_TCP;
    else if (parser_accept_word(parser, "udp"))
        number = IPPROTO_UDP;
    else
        return 0;
    if (*given || parser->token.kind == TOKEN_COMMA)
        return parser_error(parser, where, "write a statement for tcp and one for udp",
                            "one protocol is needed here");
    *given = true;
    *protocol = number;
    return 1;
}

static int publish_clause(struct parser *parser, struct publish *publish, bool *has_protocol)
{
    static const struct keyword words[] = {
        {"preserve-source", NULL, 0}, {"tcp", NULL, 0}, {"to", NULL, 0}, {"udp", NULL, 0}};
    struct position where = parser->token.where;
    int taken = protocol_word(parser, &publish->protocol, has_protocol);
    const struct keyword *unused;

    if (taken)
        return taken < 0 ? -EINVAL : 0;
    if (parser_accept_word(parser, "to")) {
        if (publish->jail_port)
            return parser_error(parser, where, NULL, "'to' is given twice");
        return publish_to(parser, publish);
    }
    if (parser_accept_word(parser, "preserve-source")) {
        if (publish->preserve_source)
            return parser_error(parser, where, NULL, "'preserve-source' is given twice");
        publish->preserve_source = true;
        return 0;
    }
    if (parser_keyword(parser, KEYWORDS(words, "part of 'publish'"), &unused) < 0)
        return -EINVAL;
    return parser_error(parser, where, "write it without quotes",
                        "a word of the language is quoted");
}

int parse_publish(struct parser *parser, void *context)
{
    struct publish publish = {.kind = PUBLISH_LOOPBACK, .protocol = IPPROTO_TCP};
    bool has_protocol = false;

    (void)context; /* statements have none */
    if (publish_outside(parser, &publish) < 0)
        return -EINVAL;
    while (!parser_at_end(parser)) {
        if (publish_clause(parser, &publish, &has_protocol) < 0)
            return -EINVAL;
    }
    if (publish.jail_port == 0)
        publish.jail_port = publish.host_ports.first;
    if (parser->policy->publishes_count >= PUBLISHES_MAX)
        return parser_error(parser, publish.where, NULL, "a policy publishes at most %d ports",
                            PUBLISHES_MAX);
    *ARENA_PUSH(parser->arena, parser->policy, publishes) = publish;
    return 0;
}

int parse_expose(struct parser *parser, void *context)
{
    struct expose expose = {.protocol = IPPROTO_TCP, .where = parser->token.where};
    bool has_protocol = false;
    struct token word;

    (void)context; /* statements have none */
    if (parser_word(parser, "a port of the host", &word) < 0 ||
        parse_port_number(parser, &word, word.text, word.length, &expose.port) < 0 ||
        protocol_word(parser, &expose.protocol, &has_protocol) < 0)
        return -EINVAL;
    if (parser->policy->exposes_count >= PUBLISHES_MAX)
        return parser_error(parser, expose.where, NULL, "a policy exposes at most %d ports",
                            PUBLISHES_MAX);
    *ARENA_PUSH(parser->arena, parser->policy, exposes) = expose;
    return 0;
}

static int parse_limit_rate(struct parser *parser)
{
    struct policy *policy = parser->policy;
    bool given = policy->connection_rate.given;

    if (parser_set_flag(parser, &given, &policy->connection_rate_where, parser->statement,
                        "'limit rate'") < 0)
        return -EINVAL;
    return parser_rate(parser, 100, &policy->connection_rate);
}

int parse_limit(struct parser *parser, void *context)
{
    struct policy *policy = parser->policy;
    uint64_t limit;

    (void)context; /* statements have none */
    if (parser_accept_word(parser, "rate"))
        return parse_limit_rate(parser);
    if (!parser_accept_word(parser, "connections"))
        return parser_expected(parser, "'connections' or 'rate'",
                               "limit connections NUMBER, limit rate NUMBER/second");
    if (parser_set_flag(parser, &policy->connection_limit_given, &policy->connection_limit_where,
                        parser->statement, "'limit connections'") < 0 ||
        parser_number(parser, "the limit", 1, 1000000, &limit) < 0)
        return -EINVAL;
    policy->connection_limit = (uint32_t)limit;
    return 0;
}
