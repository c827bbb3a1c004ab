/* Text into tokens: words, quoted texts, braces, commas, ends of statements. */
#pragma once

#include "base/diag.h"

enum token_kind {
    TOKEN_WORD,    /* bare or quoted */
    TOKEN_OPEN,    /* { */
    TOKEN_CLOSE,   /* } */
    TOKEN_COMMA,   /* , */
    TOKEN_NEWLINE, /* end of line or ; */
    TOKEN_END,     /* end of the text */
    TOKEN_BAD,     /* cannot be read; the lexer has reported it */
};

struct token {
    enum token_kind kind;
    bool quoted;
    const char *text; /* without quotes and escapes; `length` bytes, no NUL behind them */
    size_t length;
    struct position where;
};

struct lexer {
    struct diags *diags;
    const char *text;
    size_t length;
    size_t offset;
    struct position at;
    bool fixed;         /* every token stands at `at`: the value of an option */
    bool line_reported; /* one complaint about characters per line is enough */
    unsigned depth;     /* open braces, the current token included */
};

/* `at` is the position of the first character; its source is where errors point. */
void lexer_init(struct lexer *lexer, struct diags *diags, const char *text, size_t length,
                struct position at);

/* The next token; behind the end always TOKEN_END. */
void lexer_next(struct lexer *lexer, struct token *ret_token);

/* Is it this word, written without quotes? */
bool token_is(const struct token *token, const char *word);
