/* `define`, `param`, and the values that `-D NAME=VALUE` gives them.
 *
 * A name is defined once, before its first use. A value from the command line replaces what a
 * define says (its own text is still parsed, for its errors, but a list file is not read), or is
 * the value of a param. A value that meets neither is an error: the user meant something by it.
 * No system call, no privilege. */
#include "base/utf8.h"
#include "policy/parser.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define DEFINE_NAME_MAX 63

bool define_name_is_valid(const char *name, size_t length)
{
    if (length == 0 || length > DEFINE_NAME_MAX || (name[0] >= '0' && name[0] <= '9') ||
        name[0] == '-')
        return false;
    for (size_t i = 0; i < length; i++) {
        char c = name[i];

        if (!(c >= 'a' && c <= 'z') && !(c >= 'A' && c <= 'Z') && !(c >= '0' && c <= '9') &&
            c != '_' && c != '-')
            return false;
    }
    return true;
}

struct define *define_find(struct parser *parser, const char *name, size_t length)
{
    struct policy_names *names = parser->policy->names;
    size_t number;

    if (!map_find(&names->defines_by_name, name, length, &number))
        return NULL;
    return &names->defines[number];
}

int define_unknown(struct parser *parser, const struct token *word, const char *name, size_t length)
{
    const struct policy_names *names = parser->policy->names;
    const char **words = arena_alloc(parser->arena, (names->defines_count + 1) * sizeof *words);
    const char *suggestion;

    for (size_t i = 0; i < names->defines_count; i++)
        words[i] = names->defines[i].name;
    suggestion = suggest_word(name, length, words);
    return parser_error(parser, word->where,
                        suggestion ? arena_printf(parser->arena, "did you mean '$%s'?", suggestion)
                                   : "its 'define' or 'param' must stand before the first use",
                        "'$%s' is not defined", parser_quote(parser, name, length));
}

void define_value_parser(struct parser *parser, const struct define *define, struct position use,
                         struct parser *ret_parser)
{
    struct parser inner = *parser;

    lexer_init(&inner.lexer, parser->diags, define->value, strlen(define->value),
               define->value_where.source ? define->value_where : use);
    inner.lexer.fixed = true;
    parser_advance(&inner);
    *ret_parser = inner;
}

static struct given_value *value_find(const struct policy_names *names, const char *name)
{
    for (size_t i = 0; i < names->values_count; i++) {
        if (strcmp(names->values[i].name, name) == 0)
            return &names->values[i];
    }
    return NULL;
}

bool policy_takes_value(const struct policy *policy, const char *name)
{
    const struct given_value *value = value_find(policy->names, name);

    return value && value->used;
}

/* Printable, and without '$': a value that named other values could name itself. Nor with what
 * would end the list before the value does, and so leave out the rest unseen. */
static bool value_is_plain(const char *value)
{
    size_t length = strlen(value);
    size_t i = 0;

    if (strpbrk(value, "$#}"))
        return false;
    while (i < length) {
        size_t size = utf8_printable(value + i, length - i);

        if (size == 0)
            return false;
        i += size;
    }
    return true;
}

void parse_values_add(struct policy *policy, struct diags *diags, const struct policy_value *values,
                      size_t values_count)
{
    struct policy_names *names = policy->names;

    for (size_t i = 0; i < values_count; i++) {
        const struct given_value *old = value_find(names, values[i].name);
        struct given_value *value;

        if (old && strcmp(old->value, values[i].value) == 0)
            continue; /* the same command line comes with each of its texts */
        if (old) {
            (void)diag_error(diags, values[i].where, "-D gives '%s' two different values",
                             values[i].name); /* no hint needed */
            continue;
        }
        value = ARENA_PUSH(policy->arena, names, values);
        value->name = arena_strndup(policy->arena, values[i].name, strlen(values[i].name));
        value->value = arena_strndup(policy->arena, values[i].value, strlen(values[i].value));
        value->where = values[i].where;
        value->broken = !value_is_plain(value->value);
        if (value->broken)
            (void)diag_error(diags, value->where,
                             "the value of '%s' cannot have a '$', '#', '}' or a control character "
                             "in it",
                             value->name); /* no hint needed */
    }
}

/* Takes NAME and makes its define, or reports a second one. Defines are found by number: the array
 * moves when another is added. */
static int define_begin(struct parser *parser, const char *what, size_t *ret_number)
{
    struct policy_names *names = parser->policy->names;
    struct token word = parser->token;
    struct define *define;

    if (word.kind != TOKEN_WORD)
        return parser_expected(parser, what, NULL);
    parser_advance(parser);
    if (!define_name_is_valid(word.text, word.length))
        return parser_error(
            parser, word.where, "letters, digits, '-' and '_', beginning with a letter",
            "%s cannot be '%s'", what, parser_quote(parser, word.text, word.length));
    define = define_find(parser, word.text, word.length);
    if (define)
        return parser_error_twice(parser, word.where, define->where,
                                  arena_printf(parser->arena, "'%s'", define->name));
    define = ARENA_PUSH(parser->arena, names, defines);
    define->name = arena_strndup(parser->arena, word.text, word.length);
    define->kind = DEFINE_OPEN;
    define->where = word.where;
    *ret_number = names->defines_count - 1;
    map_add(&names->defines_by_name, define->name, word.length, *ret_number);
    return 0;
}

/* A statement that makes a define: its name, then `body`, which fills in define `number`. One that
 * has failed is not open any more. */
static int define_statement(struct parser *parser, const char *what,
                            int (*body)(struct parser *parser, size_t number))
{
    size_t number;

    if (define_begin(parser, what, &number) < 0)
        return -EINVAL;
    int status = body(parser, number);
    if (status < 0)
        parser->policy->names->defines[number].kind = DEFINE_BROKEN;
    return status;
}

int define_refuse(struct parser *parser, const struct token *word, const struct define *define)
{
    if (define->kind == DEFINE_OPEN)
        return parser_error(parser, word->where, NULL, "'$%s' stands in its own definition",
                            define->name);
    return -EINVAL; /* said where it is defined */
}

static int param_body(struct parser *parser, size_t number)
{
    const char *meaning = NULL;
    struct define *define = &parser->policy->names->defines[number];
    struct given_value *value = value_find(parser->policy->names, define->name);

    if (value)
        value->used = true;
    if (parser->token.kind == TOKEN_WORD && parser_string(parser, "what it is", &meaning) < 0)
        return -EINVAL;
    if (!value)
        return parser_error(parser, define->where,
                            arena_printf(parser->arena, "give it with -D %s=VALUE", define->name),
                            "'%s' needs a value%s%s", define->name, meaning ? ": " : "",
                            meaning ? meaning : "");
    if (value->broken)
        return -EINVAL; /* said where it was given */
    define->kind = DEFINE_PARAM;
    define->value = value->value;
    define->value_where = value->where;
    return 0;
}

int parse_param(struct parser *parser, void *context)
{
    (void)context; /* statements have none */
    return define_statement(parser, "the name of a param", param_body);
}

/* The body of `define NAME file "PATH"`. */
static int read_list(struct parser *parser, struct position where, const char *name,
                     struct set *set)
{
    struct sources *sources = &parser->policy->sources;
    struct position start = {.line = 1, .column = 1, .length = 1};
    struct parser inner = *parser;
    struct error error = {0};
    const char *path, *text;
    size_t length;

    if (!parser->reader || !parser->reader->read)
        return parser_error(parser, where, NULL, "a list cannot be read from a file here");
    if (parser->policy->names->lists_length > LISTS_TEXT_MAX)
        return parser_error(parser, where, NULL, "the lists are larger than 256 MiB together");
    if (parser->reader->read(parser->reader->context, parser->path, name, &path, &text, &length,
                             &error) < 0)
        return parser_error(parser, where, error.hint[0] ? error.hint : NULL, "%s", error.text);
    if (length > LIST_TEXT_MAX)
        return parser_error(parser, where, NULL, "%s is larger than a list may be (64 MiB)", path);
    parser->policy->names->lists_length += length;
    start.source = sources_add(sources, path, text, length, false);
    lexer_init(&inner.lexer, parser->diags, sources->list[start.source - 1].text, length, start);
    if (parse_set_file(&inner, set) < 0)
        return -EINVAL;
    if (set->items_count == 0)
        return parser_error(parser, where, NULL, "%s has no address in it", path);
    return 0;
}

/* Behind the name: `ports { }`, `file PATH` or `{ }`, into `define`. */
static int define_body(struct parser *parser, bool overridden, struct define *define)
{
    struct position where;
    const char *path;

    if (parser_accept_word(parser, "ports")) {
        define->kind = DEFINE_PORTS;
        if (parser->token.kind != TOKEN_OPEN)
            return parser_expected(parser, "'{'", "define NAME ports { 80, 443, 8000-8080 }");
        return parser_ports(parser, &define->ports);
    }
    define->kind = DEFINE_SET;
    if (parser_accept_word(parser, "file")) {
        where = parser->token.where;
        if (parser_string(parser, "the file of the list", &path) < 0)
            return -EINVAL;
        return overridden ? 0 : read_list(parser, where, path, &define->set);
    }
    if (parser->token.kind != TOKEN_OPEN)
        return parser_expected(parser, "'{'",
                               "define NAME { ADDRESS, ... }, or 'ports { ... }', or 'file PATH'");
    return parser_set(parser, "to", &define->set);
}

static int override_define(struct parser *parser, struct given_value *value, struct define *define)
{
    if (value->broken)
        return -EINVAL; /* said where it was given */
    define->value = value->value;
    define->value_where = value->where;
    define->set = (struct set){0};
    define->ports = (struct ports){0};
    if (define->kind == DEFINE_PORTS ? parse_ports_value(parser, define, &define->ports) < 0
                                     : parse_set_value(parser, define, "to", &define->set) < 0)
        return -EINVAL;
    if (define->set.items_count + define->ports.ranges_count == 0)
        return parser_error(parser, value->where, NULL, "the value of '%s' is empty", define->name);
    return 0;
}

static int define_take(struct parser *parser, size_t number)
{
    struct define define = parser->policy->names->defines[number];
    struct given_value *value = value_find(parser->policy->names, define.name);

    if (value)
        value->used = true;
    if (define_body(parser, value != NULL, &define) < 0)
        return -EINVAL;
    if (value && override_define(parser, value, &define) < 0)
        return -EINVAL;
    parser->policy->names->defines[number] = define;
    return 0;
}

int parse_define(struct parser *parser, void *context)
{
    (void)context; /* statements have none */
    return define_statement(parser, "the name of a define", define_take);
}
