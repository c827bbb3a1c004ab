/* SET: what `from` and `to` of a rule and the items of a `define` say.
 *
 * A set that is exactly one $NAME shares the item array of its define, so that a list of a million
 * prefixes exists once. All other copies are counted against one limit for the policy: defines that
 * contain defines could otherwise double with every line. No system call, no privilege. */
#include "base/cleanup.h"
#include "policy/parser.h"
#include "policy/relay.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define ITEMS_MAX ((size_t)4 << 20)

static const struct keyword set_words[] = {
    {"any", NULL, SET_ANY},           {"broadcast", NULL, SET_BROADCAST},
    {"gateway", NULL, SET_GATEWAY},   {"host", NULL, SET_HOST},
    {"jail", NULL, SET_JAIL},         {"link-local", NULL, SET_LINK_LOCAL},
    {"metadata", NULL, SET_METADATA}, {"multicast", NULL, SET_MULTICAST},
    {"private", NULL, SET_PRIVATE},
};

static int set_add(struct parser *parser, struct set *set, const struct set_item *item)
{
    if (++parser->policy->names->items_count > ITEMS_MAX)
        return parser_error(parser, item->where, NULL,
                            "the policy has more than %zu addresses in its lists", ITEMS_MAX);
    *ARENA_PUSH(parser->arena, set, items) = *item;
    return 0;
}

/* Only digits and dots, or a colon: it was meant as an address. */
static bool looks_like_addr(const char *text, size_t length)
{
    if (memchr(text, ':', length))
        return true;
    for (size_t i = 0; i < length; i++) {
        if ((text[i] < '0' || text[i] > '9') && text[i] != '.')
            return false;
    }
    return true;
}

static int range_word(struct parser *parser, const struct token *word, const char *dash,
                      struct set_item *item)
{
    struct token last = *word;
    struct addr_range range;

    last.text = dash + 1;
    last.length = word->length - (size_t)(dash + 1 - word->text);
    if (range_parse(word->text, word->length, &item->range) == 0)
        return 0;
    if (addr_parse(word->text, (size_t)(dash - word->text), &range.first) < 0 ||
        parse_addr_word(parser, &last, &range.last) < 0)
        return -EINVAL;
    if (range.first.family != range.last.family)
        return parser_error(parser, word->where, NULL, "a range cannot mix IPv4 and IPv6");
    return parser_error(parser, word->where,
                        arena_printf(parser->arena, "write %.*s-%.*s", (int)last.length, last.text,
                                     (int)(dash - word->text), word->text),
                        "the range of addresses is backwards");
}

/* A word without a dot: most likely a jail, a define, or a keyword misspelt. */
static int single_label_error(struct parser *parser, const struct token *word, const char *clause)
{
    const char *words[ARRAY_LENGTH(set_words) + 1] = {NULL};
    const char *quoted = parser_quote(parser, word->text, word->length);
    const char *hint;

    for (size_t i = 0; i < ARRAY_LENGTH(set_words); i++)
        words[i] = set_words[i].word;
    hint = suggest_word(word->text, word->length, words);
    if (parser->in_list_file)
        hint = "a list file holds addresses, prefixes, ranges and DNS names only";
    else if (parser->lexer.depth > 0 && word_is_statement(word))
        hint = "is a '}' missing before this?";
    else if (define_name_is_valid(word->text, word->length) &&
             define_find(parser, word->text, word->length))
        hint = arena_printf(parser->arena, "did you mean '$%s'?", quoted);
    else if (hint)
        hint = arena_printf(parser->arena, "did you mean '%s'?", hint);
    else
        hint =
            arena_printf(parser->arena, "a name has a dot; for a running jail write '%s jail %s'",
                         clause, quoted);
    return parser_error(parser, word->where, hint, "'%s' is not an address", quoted);
}

static int name_word(struct parser *parser, const struct token *word, const char *clause,
                     struct set_item *item)
{
    const char *text = word->text;
    size_t length = word->length;
    size_t jail_length;

    if (length == 1 && text[0] == '*')
        return parser_error(parser, word->where, "did you mean 'any'?", "'*' is not an address");
    if (name_is_jail(text, length, &jail_length))
        return parser_error(
            parser, word->where,
            arena_printf(parser->arena, "write '%s jail %.*s'", clause, (int)jail_length, text),
            "'%s' names a jail, not a host", parser_quote(parser, text, length));
    if (length == strlen(RELAY_HOST_NAME) && strncasecmp(text, RELAY_HOST_NAME, length) == 0)
        return parser_error(parser, word->where, "write 'expose PORT', which needs no rule",
                            "no rule opens '%s'", RELAY_HOST_NAME);
    item->kind = SET_NAME;
    if (length > 2 && text[0] == '*' && text[1] == '.') {
        item->kind = SET_SUFFIX;
        text += 2;
        length -= 2;
    } else if (!memchr(text, '.', length) && !name_ends_in_number(text, length)) {
        return single_label_error(parser, word, clause);
    }
    return parse_dns_name(parser, word, text, length, &item->name);
}

/* One word that is an address, prefix, range or name. */
static int value_word(struct parser *parser, const struct token *word, const char *clause,
                      struct set_item *item)
{
    const char *dash = memchr(word->text, '-', word->length);
    struct prefix prefix;
    struct addr addr;

    item->kind = SET_RANGE;
    if (memchr(word->text, '/', word->length)) {
        if (parse_prefix_word(parser, word, false, &prefix) < 0)
            return -EINVAL;
        item->range = prefix_range(&prefix);
        return 0;
    }
    if (dash && addr_parse(word->text, (size_t)(dash - word->text), &addr) == 0)
        return range_word(parser, word, dash, item);
    if (looks_like_addr(word->text, word->length)) {
        if (parse_addr_word(parser, word, &addr) < 0)
            return -EINVAL;
        item->range = addr_range_of(&addr);
        return 0;
    }
    return name_word(parser, word, clause, item);
}

static int copy_items(struct parser *parser, const struct set *from, struct set *set)
{
    for (size_t i = 0; i < from->items_count; i++) {
        struct set_item item = from->items[i];

        if (set_add(parser, set, &item) < 0)
            return -EINVAL;
    }
    return 0;
}

/* $NAME at the current token. `alone`: nothing stands beside it, so the array may be shared. */
static int define_item(struct parser *parser, const char *clause, bool alone, struct set *set)
{
    struct token word = parser->token;
    const struct define *define = define_find(parser, word.text + 1, word.length - 1);

    parser_advance(parser);
    if (!define)
        return define_unknown(parser, &word, word.text + 1, word.length - 1);
    switch (define->kind) {
    case DEFINE_OPEN:
    case DEFINE_BROKEN:
        return define_refuse(parser, &word, define);
    case DEFINE_PORTS:
        return parser_error(parser, word.where, "addresses are needed here",
                            "'$%s' is a list of ports", define->name);
    case DEFINE_PARAM: {
        struct parser inner;

        define_value_parser(parser, define, word.where, &inner);
        return parser_set_list(&inner, clause, set);
    }
    case DEFINE_SET:
        break;
    }
    if (!alone)
        return copy_items(parser, &define->set, set);
    set->items = define->set.items;
    set->items_count = define->set.items_count;
    set->items_capacity = 0; /* shared: never grown */
    return 0;
}

/* One item that is not a $NAME. */
static int plain_item(struct parser *parser, const char *clause, struct set *set)
{
    struct set_item item = {.where = parser->token.where};
    const struct keyword *keyword = NULL;
    struct token word;

    if (parser_word(parser, "an address, a name or a set", &word) < 0)
        return -EINVAL;
    if (word.text[0] >= 'a' && word.text[0] <= 'p')
        keyword = keyword_find(KEYWORDS(set_words, "set"), &word);
    if (keyword) {
        item.kind = (enum set_kind)keyword->value;
        if (item.kind == SET_JAIL && parser_jail_name(parser, &item.name) < 0)
            return -EINVAL;
    } else if (value_word(parser, &word, clause, &item) < 0) {
        return -EINVAL;
    }
    return set_add(parser, set, &item);
}

static bool at_define(const struct parser *parser)
{
    const struct token *token = &parser->token;

    return token->kind == TOKEN_WORD && !token->quoted && token->length > 1 &&
           token->text[0] == '$' && define_name_is_valid(token->text + 1, token->length - 1);
}

static void skip_newlines(struct parser *parser)
{
    while (parser->token.kind == TOKEN_NEWLINE)
        parser_advance(parser);
}

static int list_item(struct parser *parser, const char *clause, struct set *set)
{
    if (at_define(parser))
        return define_item(parser, clause, false, set);
    return plain_item(parser, clause, set);
}

/* ITEM, ITEM ... up to `}` or the end; commas or newlines between them. A bad item does not end the
 * list: the next one is still looked at. */
int parser_set_list(struct parser *parser, const char *clause, struct set *set)
{
    int result = 0;

    for (;;) {
        skip_newlines(parser);
        if (parser->token.kind == TOKEN_CLOSE || parser->token.kind == TOKEN_END)
            return result;
        if (parser->token.kind != TOKEN_WORD)
            return parser_expected(parser, "an address, a name or a set", NULL);
        if (list_item(parser, clause, set) < 0)
            result = -EINVAL;
        if (parser->policy->names->items_count > ITEMS_MAX)
            return -EINVAL;
        if (parser->token.kind == TOKEN_COMMA)
            parser_advance(parser);
        else if (!parser_at_end(parser))
            return parser_expected(parser, "',' or '}'", "put a comma between two items");
    }
}

static int braced_set(struct parser *parser, const char *clause, struct set *set)
{
    struct position open = parser->token.where;
    int result;

    parser_advance(parser);
    result = parser_set_list(parser, clause, set);
    if (parser->token.kind == TOKEN_END)
        return parser_error(parser, open, "the matching '}' is missing", "'{' is not closed");
    if (parser->token.kind != TOKEN_CLOSE)
        return -EINVAL; /* said by the list */
    parser_advance(parser);
    if (result == 0 && set->items_count == 0)
        return parser_error(parser, open, "leave the clause out, or write 'any'",
                            "the list is empty");
    return result;
}

int parser_set(struct parser *parser, const char *clause, struct set *set)
{
    int result;

    set->where = parser->token.where;
    if (parser->token.kind == TOKEN_OPEN)
        result = braced_set(parser, clause, set);
    else if (at_define(parser))
        result = define_item(parser, clause, true, set);
    else
        result = plain_item(parser, clause, set);
    if (result < 0)
        return result;
    if (set->items_count == 0)
        return parser_error(parser, set->where, NULL, "the list is empty");
    if (parser->token.kind == TOKEN_COMMA)
        return parser_error(parser, parser->token.where, "put several in braces: { A, B }",
                            "unexpected ','");
    set->given = true;
    return 0;
}

int parse_set_value(struct parser *parser, const struct define *define, const char *clause,
                    struct set *set)
{
    struct parser inner;

    define_value_parser(parser, define, define->where, &inner);
    return parser_set_list(&inner, clause, set);
}

/* The lines of `define NAME file`: one item each, no $NAME, no words of the language. */
int parse_set_file(struct parser *parser, struct set *set)
{
    int result = 0;

    parser->in_list_file = true;
    parser_advance(parser);
    while (parser->token.kind != TOKEN_END) {
        struct set_item item = {.where = parser->token.where};
        struct token word = parser->token;

        if (word.kind == TOKEN_NEWLINE) {
            parser_advance(parser);
            continue;
        }
        if (word.kind == TOKEN_WORD) {
            parser_advance(parser);
            if (value_word(parser, &word, "to", &item) < 0 || parser_expect_end(parser) < 0)
                result = -EINVAL;
            else if (set_add(parser, set, &item) < 0)
                return -EINVAL;
        } else {
            result = parser_expected(parser, "one address, prefix, range or name", NULL);
        }
        while (parser->token.kind != TOKEN_NEWLINE && parser->token.kind != TOKEN_END)
            parser_advance(parser);
    }
    return result;
}
