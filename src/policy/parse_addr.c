/* Words that are addresses, prefixes and ports, and the explanation of those that are not quite.
 * No system call, no privilege. */
#include "policy/parser.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

/* An IPv4-mapped IPv6 address as IPv4 text, or NULL. */
static const char *mapped_text(struct parser *parser, const char *text, size_t length)
{
    char copy[ADDR_TEXT_SIZE], v4[ADDR_TEXT_SIZE];
    struct in6_addr v6;

    if (length >= sizeof copy || !memchr(text, ':', length))
        return NULL;
    memcpy(copy, text, length);
    copy[length] = '\0';
    if (inet_pton(AF_INET6, copy, &v6) != 1 || !IN6_IS_ADDR_V4MAPPED(&v6) ||
        !inet_ntop(AF_INET, &v6.s6_addr[12], v4, sizeof v4))
        return NULL;
    return arena_strndup(parser->arena, v4, strlen(v4));
}

/* Has one of the numbers of an IPv4 address a leading zero? It would be octal elsewhere. */
static bool has_leading_zero(const char *text, size_t length)
{
    for (size_t i = 0; i + 1 < length; i++) {
        if (text[i] == '0' && text[i + 1] >= '0' && text[i + 1] <= '9' &&
            (i == 0 || text[i - 1] == '.'))
            return true;
    }
    return false;
}

/* HOST:PORT, as other programs want it, or NULL. */
static const char *port_fault(struct parser *parser, const char *text, size_t length)
{
    const char *colon = memchr(text, ':', length);
    uint64_t port;

    if (!colon || colon == text ||
        number_parse(colon + 1, length - (size_t)(colon + 1 - text), 65535, &port) < 0)
        return NULL;
    return arena_printf(parser->arena, "in a rule write '%s port %u'",
                        parser_quote(parser, text, (size_t)(colon - text)), (unsigned)port);
}

/* Why a text that was meant as an address is none. */
static const char *addr_fault(struct parser *parser, const char *text, size_t length)
{
    const char *mapped = mapped_text(parser, text, length);
    const char *port = port_fault(parser, text, length);

    if (mapped)
        return arena_printf(parser->arena, "write it as the IPv4 address it stands for: %s",
                            mapped);
    if (memchr(text, '%', length))
        return "an address here has no zone ('%...')";
    if (memchr(text, '[', length))
        return "brackets stand only around the IPv6 address of 'publish'";
    if (memchr(text, '/', length))
        return "one address is needed here, without a prefix length";
    if (port)
        return port;
    if (memchr(text, ':', length))
        return "an IPv6 address looks like 2001:db8::1";
    if (has_leading_zero(text, length))
        return "numbers in an address have no leading zeros";
    return "an address is four numbers from 0 to 255, as 192.0.2.1, or IPv6, as 2001:db8::1";
}

static int addr_error(struct parser *parser, const struct token *word, const char *text,
                      size_t length)
{
    return parser_error(parser, word->where, addr_fault(parser, text, length),
                        "'%s' is not an address", parser_quote(parser, text, length));
}

int parse_addr_word(struct parser *parser, const struct token *word, struct addr *ret_addr)
{
    if (addr_parse(word->text, word->length, ret_addr) < 0)
        return addr_error(parser, word, word->text, word->length);
    return 0;
}

int parser_addr(struct parser *parser, struct addr *ret_addr)
{
    struct token word;

    if (parser_word(parser, "an address", &word) < 0)
        return -EINVAL;
    return parse_addr_word(parser, &word, ret_addr);
}

/* https://HOST/PATH, as a browser or a package tool has it. */
static int url_error(struct parser *parser, const struct token *word, const char *host)
{
    size_t length = 0;

    while (host + length < word->text + word->length && !strchr("/:?#", host[length]))
        length++;
    const char *hint = length == 0 ? "a host is written alone, without http://"
                                   : arena_printf(parser->arena, "write the host alone: %s",
                                                  parser_quote(parser, host, length));
    return parser_error(parser, word->where, hint, "'%s' is not an address",
                        parser_quote(parser, word->text, word->length));
}

static int prefix_error(struct parser *parser, const struct token *word)
{
    const char *slash = memchr(word->text, '/', word->length);
    const char *scheme = memmem(word->text, word->length, "://", 3);
    struct addr addr;
    size_t before;

    if (scheme && scheme < slash)
        return url_error(parser, word, scheme + 3);
    if (!slash) {
        if (addr_parse(word->text, word->length, &addr) < 0)
            return addr_error(parser, word, word->text, word->length);
        return parser_error(parser, word->where,
                            arena_printf(parser->arena, "for this address alone: %.*s/%u",
                                         (int)word->length, word->text, addr_bits(addr.family)),
                            "the prefix length is missing");
    }
    before = (size_t)(slash - word->text);
    if (addr_parse(word->text, before, &addr) < 0)
        return addr_error(parser, word, word->text, before);
    return parser_error(parser, word->where,
                        arena_printf(parser->arena, "%s has 0 to %u",
                                     addr.family == ADDR_V4 ? "IPv4" : "IPv6",
                                     addr_bits(addr.family)),
                        "the prefix length cannot be '%s'",
                        parser_quote(parser, slash + 1, word->length - before - 1));
}

int parse_prefix_word(struct parser *parser, const struct token *word, bool host_bits,
                      struct prefix *ret_prefix)
{
    struct prefix prefix, network;
    char right[PREFIX_TEXT_SIZE];

    if (prefix_parse(word->text, word->length, &prefix) < 0)
        return prefix_error(parser, word);
    if (!host_bits && prefix_has_host_bits(&prefix)) {
        network = prefix_network(&prefix);
        return parser_error(
            parser, word->where,
            arena_printf(parser->arena, "the prefix is %s", prefix_print(&network, right)),
            "'%.*s' has bits set behind its prefix length", (int)word->length, word->text);
    }
    *ret_prefix = prefix;
    return 0;
}

int parse_port_number(struct parser *parser, const struct token *word, const char *text,
                      size_t length, uint16_t *ret_port)
{
    uint64_t number;

    if (number_parse(text, length, 65535, &number) < 0 || number == 0)
        return parser_error(parser, word->where, "a number from 1 to 65535",
                            "a port cannot be '%s'", parser_quote(parser, text, length));
    *ret_port = (uint16_t)number;
    return 0;
}

int parse_port_range(struct parser *parser, const struct token *word, const char *text,
                     size_t length, struct port_range *ret_range)
{
    const char *dash = memchr(text, '-', length);
    size_t before = dash ? (size_t)(dash - text) : length;
    struct port_range range;

    if (parse_port_number(parser, word, text, before, &range.first) < 0)
        return -EINVAL;
    range.last = range.first;
    if (dash && parse_port_number(parser, word, dash + 1, length - before - 1, &range.last) < 0)
        return -EINVAL;
    if (range.first > range.last)
        return parser_error(parser, word->where,
                            arena_printf(parser->arena, "write %u-%u", range.last, range.first),
                            "the range of ports is backwards");
    *ret_range = range;
    return 0;
}
