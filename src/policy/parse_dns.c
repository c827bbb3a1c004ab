/* `dns { ... }`: whom the jail's resolver asks and what it answers by itself. No system call, no
 * privilege. */
#include "base/cleanup.h"
#include "policy/parser.h"

#include <errno.h>
#include <string.h>

#define ITEMS_MAX 1024

static int too_many(struct parser *parser)
{
    return parser_error(parser, parser->clause, NULL, "more than %d items of one kind in 'dns'",
                        ITEMS_MAX);
}

static int dns_any(struct parser *parser, void *context)
{
    struct dns *dns = context;

    (void)parser; /* it stands alone */
    dns->any = true;
    return 0;
}

static int one_addr(struct parser *parser, struct addr_item *item)
{
    item->where = parser->token.where;
    return parser_addr(parser, &item->addr);
}

static int dns_upstream(struct parser *parser, void *context)
{
    struct dns *dns = context;

    do {
        struct addr_item item;

        if (one_addr(parser, &item) < 0)
            return -EINVAL;
        if (dns->upstreams_count >= ITEMS_MAX)
            return too_many(parser);
        *ARENA_PUSH(parser->arena, dns, upstreams) = item;
    } while (!parser_at_end(parser));
    return 0;
}

static int dns_direct(struct parser *parser, void *context)
{
    struct dns *dns = context;

    do {
        struct addr_item item;

        if (one_addr(parser, &item) < 0)
            return -EINVAL;
        if (dns->directs_count >= ITEMS_MAX)
            return too_many(parser);
        *ARENA_PUSH(parser->arena, dns, directs) = item;
    } while (!parser_at_end(parser));
    return 0;
}

static int one_name(struct parser *parser, struct named_item *item)
{
    struct token word;

    item->where = parser->token.where;
    if (parser_word(parser, "a DNS name", &word) < 0)
        return -EINVAL;
    return parse_dns_name(parser, &word, word.text, word.length, &item->name);
}

static int dns_search(struct parser *parser, void *context)
{
    struct dns *dns = context;

    do {
        struct named_item item;

        if (one_name(parser, &item) < 0)
            return -EINVAL;
        if (dns->searches_count >= 6)
            return parser_error(parser, item.where, NULL, "more than 6 search domains");
        *ARENA_PUSH(parser->arena, dns, searches) = item;
    } while (!parser_at_end(parser));
    return 0;
}

/* NAME or *.SUFFIX. */
static int one_private(struct parser *parser, struct named_item *item)
{
    struct token word;
    size_t skip;

    item->where = parser->token.where;
    if (parser_word(parser, "a DNS name", &word) < 0)
        return -EINVAL;
    skip = word.length > 2 && memcmp(word.text, "*.", 2) == 0 ? 2 : 0;
    if (parse_dns_name(parser, &word, word.text + skip, word.length - skip, &item->name) < 0)
        return -EINVAL;
    if (skip > 0)
        item->name = arena_printf(parser->arena, "*.%s", item->name);
    return 0;
}

static int dns_private(struct parser *parser, void *context)
{
    struct dns *dns = context;

    do {
        struct named_item item;

        if (one_private(parser, &item) < 0)
            return -EINVAL;
        if (dns->privates_count >= ITEMS_MAX)
            return too_many(parser);
        *ARENA_PUSH(parser->arena, dns, privates) = item;
    } while (!parser_at_end(parser));
    return 0;
}

static int dns_record(struct parser *parser, void *context)
{
    struct dns *dns = context;
    struct named_item name;
    struct addr addr;
    size_t length;

    if (one_name(parser, &name) < 0 || parser_addr(parser, &addr) < 0)
        return -EINVAL;
    if (name_is_jail(name.name, strlen(name.name), &length))
        return parser_error(parser, name.where, "running jails are in it by themselves",
                            "names under '.jail' cannot be given");
    if (dns->records_count >= ITEMS_MAX)
        return too_many(parser);
    *ARENA_PUSH(parser->arena, dns, records) = (struct dns_record){name.name, addr, name.where};
    return 0;
}

int parse_dns(struct parser *parser, void *context)
{
    static const struct keyword clauses[] = {
        {"any", dns_any, 0},       {"direct", dns_direct, 0}, {"private", dns_private, 0},
        {"record", dns_record, 0}, {"search", dns_search, 0}, {"upstream", dns_upstream, 0},
    };
    struct dns *dns = &parser->policy->dns;

    (void)context; /* statements have none */
    /* Several add up: an included policy has one, the command line another. */
    if (!dns->given)
        dns->where = parser->statement;
    dns->given = true;
    if (parser->token.kind != TOKEN_OPEN)
        return parser_expected(parser, "'{'", "dns { upstream ADDRESS }");
    return parser_block(parser, KEYWORDS(clauses, "part of 'dns'"), dns);
}
