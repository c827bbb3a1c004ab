/* The steps that every statement is made of: look at the token, take a word, a number, a keyword, a
 * block, or say what was expected. No system call, no privilege. */
#include "base/buf.h"
#include "base/cleanup.h"
#include "policy/parser.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define QUOTE_MAX 60

const char *parser_quote(struct parser *parser, const char *text, size_t length)
{
    size_t cut = length;

    if (length <= QUOTE_MAX)
        return arena_strndup(parser->arena, text, length);
    cut = QUOTE_MAX - 3;
    while (cut > 0 && ((unsigned char)text[cut] & 0xc0) == 0x80)
        cut--;
    return arena_printf(parser->arena, "%.*s...", (int)cut, text);
}

int parser_error(struct parser *parser, struct position where, const char *hint, const char *format,
                 ...)
{
    char *text = NULL;
    struct diag *diag;
    va_list args;
    int length;

    va_start(args, format);
    length = vasprintf(&text, format, args);
    va_end(args);
    diag = diag_error(parser->diags, where, "%s", length < 0 ? "out of memory" : text);
    if (length >= 0)
        free(text);
    if (hint)
        diag_hint(parser->diags, diag, "%s", hint);
    return -EINVAL;
}

int parser_error_twice(struct parser *parser, struct position where, struct position first,
                       const char *what)
{
    struct diag *diag = diag_error(parser->diags, where, "%s is given twice", what);

    diag_other(parser->diags, diag, first, "it was given here first");
    return -EINVAL;
}

int parser_expected(struct parser *parser, const char *what, const char *hint)
{
    const struct token *token = &parser->token;

    switch (token->kind) {
    case TOKEN_BAD:
        return -EINVAL; /* the lexer has said why */
    case TOKEN_NEWLINE:
    case TOKEN_END:
        return parser_error(parser, token->where, hint, "%s is missing", what);
    default:
        return parser_error(parser, token->where, hint, "expected %s, not '%s'", what,
                            parser_quote(parser, token->text, token->length));
    }
}

void parser_advance(struct parser *parser)
{
    lexer_next(&parser->lexer, &parser->token);
}

bool parser_at_word(const struct parser *parser, const char *word)
{
    return token_is(&parser->token, word);
}

bool parser_at_end(const struct parser *parser)
{
    enum token_kind kind = parser->token.kind;

    return kind == TOKEN_NEWLINE || kind == TOKEN_END || kind == TOKEN_CLOSE;
}

bool parser_accept_word(struct parser *parser, const char *word)
{
    if (!parser_at_word(parser, word))
        return false;
    parser_advance(parser);
    return true;
}

int parser_expect_end(struct parser *parser)
{
    if (parser_at_end(parser))
        return 0;
    if (parser->token.kind == TOKEN_BAD)
        return -EINVAL;
    return parser_error(parser, parser->token.where, "the statement is complete before this",
                        "unexpected '%s'",
                        parser_quote(parser, parser->token.text, parser->token.length));
}

/* The length of the name behind a '$'. */
static size_t name_length(const char *text, size_t length)
{
    size_t i = 0;

    while (i < length && define_name_is_valid(text, i + 1))
        i++;
    return i;
}

/* Appends the value of the parameter that `text` names. */
static int expand_one(struct parser *parser, const struct token *word, const char *name,
                      size_t length, struct buf *out)
{
    const struct define *define = length ? define_find(parser, name, length) : NULL;

    if (!define)
        return define_unknown(parser, word, name, length);
    if (define->kind == DEFINE_OPEN || define->kind == DEFINE_BROKEN)
        return define_refuse(parser, word, define);
    if (define->kind != DEFINE_PARAM)
        return parser_error(parser, word->where, "only a 'param' can stand for one value",
                            "'$%s' is a list, and one value is needed here", define->name);
    buf_puts(out, define->value);
    return 0;
}

static int expand_word(struct parser *parser, struct token *word)
{
    cleanup_buf struct buf out = {0};
    size_t i = 0;

    while (i < word->length) {
        size_t length;

        if (word->text[i] != '$') {
            buf_append(&out, &word->text[i++], 1);
            continue;
        }
        length = name_length(word->text + i + 1, word->length - i - 1);
        if (expand_one(parser, word, word->text + i + 1, length, &out) < 0)
            return -EINVAL;
        i += 1 + length;
        if (out.length > 65536)
            return parser_error(parser, word->where, NULL, "the value is too long");
    }
    word->length = out.length;
    word->text = arena_strndup(parser->arena, buf_text(&out), out.length);
    return 0;
}

int parser_word(struct parser *parser, const char *what, struct token *ret_word)
{
    struct token word = parser->token;

    if (word.kind != TOKEN_WORD)
        return parser_expected(parser, what, NULL);
    parser_advance(parser); /* also when it is wrong: loops over words must get on */
    if (!word.quoted && memchr(word.text, '$', word.length) && expand_word(parser, &word) < 0)
        return -EINVAL;
    if (word.length == 0)
        return parser_error(parser, word.where, NULL, "%s is empty", what);
    *ret_word = word;
    return 0;
}

int parser_string(struct parser *parser, const char *what, const char **ret_text)
{
    struct token word;

    if (parser_word(parser, what, &word) < 0)
        return -EINVAL;
    *ret_text = arena_strndup(parser->arena, word.text, word.length);
    return 0;
}

int number_parse(const char *text, size_t length, uint64_t maximum, uint64_t *ret_number)
{
    uint64_t number = 0;

    if (length == 0 || length > 19)
        return -EINVAL;
    for (size_t i = 0; i < length; i++) {
        if (text[i] < '0' || text[i] > '9')
            return -EINVAL;
        number = number * 10 + (uint64_t)(text[i] - '0');
    }
    if (number > maximum)
        return -ERANGE;
    *ret_number = number;
    return 0;
}

int parser_number(struct parser *parser, const char *what, uint64_t minimum, uint64_t maximum,
                  uint64_t *ret_number)
{
    struct token word;
    uint64_t number;

    if (parser_word(parser, what, &word) < 0)
        return -EINVAL;
    if (number_parse(word.text, word.length, maximum, &number) < 0 || number < minimum)
        return parser_error(parser, word.where,
                            arena_printf(parser->arena, "a number from %llu to %llu",
                                         (unsigned long long)minimum, (unsigned long long)maximum),
                            "%s cannot be '%s'", what,
                            parser_quote(parser, word.text, word.length));
    *ret_number = number;
    return 0;
}

const struct keyword *keyword_find(struct keywords keywords, const struct token *word)
{
    size_t low = 0;
    size_t high = keywords.count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        const struct keyword *keyword = &keywords.list[middle];
        int order = strncmp(word->text, keyword->word, word->length);

        if (order == 0 && keyword->word[word->length] != '\0')
            order = -1;
        if (order == 0)
            return keyword;
        if (order < 0)
            high = middle;
        else
            low = middle + 1;
    }
    return NULL;
}

int parser_unknown_keyword(struct parser *parser, struct keywords keywords,
                           const struct token *word)
{
    cleanup_buf struct buf hint = {0};
    cleanup_free const char **words = calloc(keywords.count + 1, sizeof *words);
    const char *suggestion = NULL;

    buf_puts(&hint, "one of: ");
    for (size_t i = 0; i < keywords.count; i++) {
        if (words)
            words[i] = keywords.list[i].word;
        buf_printf(&hint, "%s%s", i ? ", " : "", keywords.list[i].word);
    }
    if (words)
        suggestion = suggest_word(word->text, word->length, words);
    if (parser->lexer.depth > 0 && word_is_statement(word))
        return parser_error(parser, word->where, "is a '}' missing before this?", "unknown %s '%s'",
                            keywords.what, parser_quote(parser, word->text, word->length));
    return parser_error(parser, word->where,
                        suggestion ? arena_printf(parser->arena, "did you mean '%s'?", suggestion)
                                   : buf_text(&hint),
                        "unknown %s '%s'", keywords.what,
                        parser_quote(parser, word->text, word->length));
}

int parser_keyword(struct parser *parser, struct keywords keywords,
                   const struct keyword **ret_keyword)
{
    const struct keyword *keyword;
    struct token word;

    if (parser->token.kind != TOKEN_WORD) {
        cleanup_buf struct buf hint = {0};

        for (size_t i = 0; i < keywords.count; i++)
            buf_printf(&hint, "%s%s", i ? ", " : "one of: ", keywords.list[i].word);
        return parser_expected(parser, keywords.what, buf_text(&hint));
    }
    if (parser_word(parser, keywords.what, &word) < 0)
        return -EINVAL;
    keyword = keyword_find(keywords, &word);
    if (!keyword)
        return parser_unknown_keyword(parser, keywords, &word);
    *ret_keyword = keyword;
    return 0;
}

void parser_recover(struct parser *parser, unsigned depth)
{
    for (;;) {
        enum token_kind kind = parser->token.kind;

        if (kind == TOKEN_END || (kind == TOKEN_NEWLINE && parser->lexer.depth == depth))
            return;
        if (kind == TOKEN_CLOSE && parser->lexer.depth + 1 == depth)
            return;
        parser_advance(parser);
    }
}

static int block_statement(struct parser *parser, struct keywords keywords, void *context)
{
    const struct keyword *keyword;

    parser->clause = parser->token.where;
    if (parser_keyword(parser, keywords, &keyword) < 0 || keyword->parse(parser, context) < 0)
        return -EINVAL;
    return parser_expect_end(parser);
}

int parser_block(struct parser *parser, struct keywords keywords, void *context)
{
    struct position open = parser->token.where;
    unsigned depth = parser->lexer.depth;
    int result = 0;

    if (parser->token.kind != TOKEN_OPEN)
        return 0;
    parser_advance(parser);
    for (;;) {
        switch (parser->token.kind) {
        case TOKEN_NEWLINE:
            parser_advance(parser);
            break;
        case TOKEN_CLOSE:
            parser_advance(parser);
            return result;
        case TOKEN_END:
            return parser_error(parser, open, "the matching '}' is missing", "'{' is not closed");
        default:
            if (block_statement(parser, keywords, context) < 0) {
                parser_recover(parser, depth);
                result = -EINVAL;
            }
        }
    }
}

int parser_set_flag(struct parser *parser, bool *flag, struct position *where, struct position here,
                    const char *what)
{
    if (*flag)
        return parser_error_twice(parser, here, *where, what);
    *flag = true;
    *where = here;
    return 0;
}
