/* PORTS: a port, a range, $NAME, or a { list } of them. The result is sorted and merged, so that
 * everything behind sees one form. No system call, no privilege. */
#include "policy/parser.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define PORT_ITEMS_MAX 65536

static int ports_add(struct parser *parser, struct ports *ports, struct port_range range,
                     struct position where)
{
    if (ports->ranges_count >= PORT_ITEMS_MAX)
        return parser_error(parser, where, NULL, "a list has at most %d ports", PORT_ITEMS_MAX);
    *ARENA_PUSH(parser->arena, ports, ranges) = range;
    return 0;
}

static int compare_ranges(const void *a, const void *b)
{
    const struct port_range *left = a;
    const struct port_range *right = b;

    if (left->first != right->first)
        return left->first < right->first ? -1 : 1;
    return left->last < right->last ? -1 : left->last > right->last;
}

static void ports_merge(struct ports *ports)
{
    size_t count = 0;

    if (ports->ranges_count == 0)
        return;
    qsort(ports->ranges, ports->ranges_count, sizeof *ports->ranges, compare_ranges);
    for (size_t i = 1; i < ports->ranges_count; i++) {
        struct port_range *last = &ports->ranges[count];
        struct port_range next = ports->ranges[i];

        if ((unsigned)next.first > (unsigned)last->last + 1)
            ports->ranges[++count] = next;
        else if (next.last > last->last)
            last->last = next.last;
    }
    ports->ranges_count = count + 1;
}

static int define_ports(struct parser *parser, const struct token *word, struct ports *ports)
{
    const struct define *define = define_find(parser, word->text + 1, word->length - 1);
    struct parser inner;

    if (!define)
        return define_unknown(parser, word, word->text + 1, word->length - 1);
    switch (define->kind) {
    case DEFINE_OPEN:
    case DEFINE_BROKEN:
        return define_refuse(parser, word, define);
    case DEFINE_SET:
        return parser_error(
            parser, word->where,
            arena_printf(parser->arena, "write 'define %s ports { ... }'", define->name),
            "'$%s' is a list of addresses, not of ports", define->name);
    case DEFINE_PARAM:
        define_value_parser(parser, define, word->where, &inner);
        return parser_ports_list(&inner, ports);
    case DEFINE_PORTS:
        break;
    }
    for (size_t i = 0; i < define->ports.ranges_count; i++) {
        if (ports_add(parser, ports, define->ports.ranges[i], word->where) < 0)
            return -EINVAL;
    }
    return 0;
}

static int port_item(struct parser *parser, struct ports *ports)
{
    struct token word = parser->token;
    struct port_range range;

    if (word.kind != TOKEN_WORD)
        return parser_expected(parser, "a port", NULL);
    if (!word.quoted && word.length > 1 && word.text[0] == '$' &&
        define_name_is_valid(word.text + 1, word.length - 1)) {
        parser_advance(parser);
        return define_ports(parser, &word, ports);
    }
    if (parser_word(parser, "a port", &word) < 0 ||
        parse_port_range(parser, &word, word.text, word.length, &range) < 0)
        return -EINVAL;
    return ports_add(parser, ports, range, word.where);
}

int parser_ports_list(struct parser *parser, struct ports *ports)
{
    int result = 0;

    for (;;) {
        while (parser->token.kind == TOKEN_NEWLINE)
            parser_advance(parser);
        if (parser->token.kind == TOKEN_CLOSE || parser->token.kind == TOKEN_END)
            break;
        if (parser->token.kind != TOKEN_WORD)
            return parser_expected(parser, "a port", NULL);
        if (port_item(parser, ports) < 0)
            result = -EINVAL;
        if (parser->token.kind == TOKEN_COMMA)
            parser_advance(parser);
        else if (!parser_at_end(parser))
            return parser_expected(parser, "',' or '}'", "put a comma between two ports");
    }
    ports_merge(ports);
    return result;
}

static int braced_ports(struct parser *parser, struct ports *ports)
{
    struct position open = parser->token.where;
    int result;

    parser_advance(parser);
    result = parser_ports_list(parser, ports);
    if (parser->token.kind == TOKEN_END)
        return parser_error(parser, open, "the matching '}' is missing", "'{' is not closed");
    if (parser->token.kind != TOKEN_CLOSE)
        return -EINVAL; /* said by the list */
    parser_advance(parser);
    return result;
}

int parser_ports(struct parser *parser, struct ports *ports)
{
    int result;

    ports->where = parser->token.where;
    if (parser->token.kind == TOKEN_OPEN)
        result = braced_ports(parser, ports);
    else
        result = port_item(parser, ports);
    if (result < 0)
        return result;
    if (ports->ranges_count == 0)
        return parser_error(parser, ports->where, "leave the clause out for every port",
                            "the list of ports is empty");
    if (parser->token.kind == TOKEN_COMMA)
        return parser_error(parser, parser->token.where, "put several in braces: { 80, 443 }",
                            "unexpected ','");
    ports_merge(ports);
    ports->given = true;
    return 0;
}

int parse_ports_value(struct parser *parser, const struct define *define, struct ports *ports)
{
    struct parser inner;

    define_value_parser(parser, define, define->where, &inner);
    return parser_ports_list(&inner, ports);
}
