/* The lexer: one token at a time, with its position in characters.
 *
 * A text must be UTF-8 without control characters (tab, newline, and carriage return before a
 * newline excepted) and without characters that reorder the line on the screen. What is not is
 * reported once per line, wherever it stands, comments included, and becomes TOKEN_BAD: the parser
 * gives up that statement without a second complaint. No system call, no privilege. */
#include "policy/lex.h"

#include "base/utf8.h"

#include <string.h>

void lexer_init(struct lexer *lexer, struct diags *diags, const char *text, size_t length,
                struct position at)
{
    static const char byte_order_mark[] = "\xef\xbb\xbf";

    *lexer = (struct lexer){.diags = diags, .text = text, .length = length, .at = at};
    if (length >= 3 && memcmp(text, byte_order_mark, 3) == 0) {
        lexer->offset = 3;
        lexer->at.column++;
    }
}

bool token_is(const struct token *token, const char *word)
{
    return token->kind == TOKEN_WORD && !token->quoted && token->length == strlen(word) &&
           memcmp(token->text, word, token->length) == 0;
}

static bool at_end(const struct lexer *lexer)
{
    return lexer->offset >= lexer->length;
}

static char peek(const struct lexer *lexer)
{
    return lexer->text[lexer->offset];
}

static void step(struct lexer *lexer, size_t bytes)
{
    lexer->offset += bytes;
    if (!lexer->fixed)
        lexer->at.column++;
}

/* A carriage return belongs to the end of the line when nothing or a newline follows. */
static bool at_line_end_return(const struct lexer *lexer)
{
    return peek(lexer) == '\r' &&
           (lexer->offset + 1 == lexer->length || lexer->text[lexer->offset + 1] == '\n');
}

static void report_character(struct lexer *lexer)
{
    unsigned char byte = (unsigned char)peek(lexer);
    struct position where = lexer->at;
    uint32_t point;
    struct diag *diag;

    if (lexer->line_reported)
        return;
    lexer->line_reported = true;
    if (!lexer->fixed)
        where.length = 1;
    if (byte == 0) {
        diag = diag_error(lexer->diags, where, "NUL character");
        diag_hint(lexer->diags, diag, "a policy is a text file");
    } else if (utf8_decode(lexer->text + lexer->offset, lexer->length - lexer->offset, &point)) {
        diag = diag_error(lexer->diags, where, "control character U+%04X", point);
        diag_hint(lexer->diags, diag, "only tabs and newlines are allowed");
    } else {
        diag = diag_error(lexer->diags, where, "byte 0x%02x is not valid UTF-8", byte);
        diag_hint(lexer->diags, diag, "save the file as UTF-8");
    }
}

/* Goes over one character of a word, text or comment; false when it may not stand there. */
static bool take_character(struct lexer *lexer)
{
    unsigned char byte = (unsigned char)peek(lexer);
    size_t size = 1;

    if ((byte >= 0x20 && byte < 0x7f) || byte == '\t') {
        step(lexer, 1);
        return true;
    }
    size = utf8_printable(lexer->text + lexer->offset, lexer->length - lexer->offset);
    if (size == 0) {
        uint32_t point;

        report_character(lexer);
        size = utf8_decode(lexer->text + lexer->offset, lexer->length - lexer->offset, &point);
        step(lexer, size ? size : 1);
        return false;
    }
    step(lexer, size);
    return true;
}

/* Over blanks and a comment. */
static void skip_blanks(struct lexer *lexer)
{
    while (!at_end(lexer) &&
           (peek(lexer) == ' ' || peek(lexer) == '\t' || at_line_end_return(lexer)))
        step(lexer, 1);
    if (at_end(lexer) || peek(lexer) != '#')
        return;
    while (!at_end(lexer) && peek(lexer) != '\n') {
        if (at_line_end_return(lexer))
            step(lexer, 1);
        else
            (void)take_character(
                lexer); /* a bad one is reported; a comment has no token to spoil */
    }
}

static bool ends_word(char character)
{
    return strchr(" \t\n;,{}\"", character) != NULL && character != '\0';
}

static void lex_word(struct lexer *lexer, struct token *token)
{
    size_t start = lexer->offset;

    token->kind = TOKEN_WORD;
    while (!at_end(lexer) && !ends_word(peek(lexer)) && !at_line_end_return(lexer)) {
        if (!take_character(lexer))
            token->kind = TOKEN_BAD;
    }
    token->text = lexer->text + start;
    token->length = lexer->offset - start;
}

/* Copies a quoted text without its escapes. */
static void unescape(struct lexer *lexer, struct token *token)
{
    char *copy = arena_strndup(lexer->diags->arena, token->text, token->length);
    size_t length = 0;

    for (size_t i = 0; i < token->length; i++) {
        if (copy[i] == '\\')
            i++;
        copy[length++] = copy[i];
    }
    token->text = copy;
    token->length = length;
}

static void report_escape(struct lexer *lexer)
{
    struct position where = lexer->at;
    struct diag *diag;

    if (!lexer->fixed)
        where.length = 2;
    diag = diag_error(lexer->diags, where, "unknown escape in a quoted text");
    diag_hint(lexer->diags, diag, "write \\\" for a quote and \\\\ for a backslash");
}

static void lex_quoted(struct lexer *lexer, struct token *token)
{
    size_t start;
    bool escaped = false;

    token->kind = TOKEN_WORD;
    token->quoted = true;
    step(lexer, 1);
    start = lexer->offset;
    while (!at_end(lexer) && peek(lexer) != '"' && peek(lexer) != '\n') {
        if (peek(lexer) == '\\') {
            char next = lexer->offset + 1 < lexer->length ? lexer->text[lexer->offset + 1] : '\n';

            escaped = true;
            if (next != '"' && next != '\\') {
                report_escape(lexer);
                token->kind = TOKEN_BAD;
                step(lexer, 1);
                continue;
            }
            step(lexer, 1);
        }
        if (!take_character(lexer))
            token->kind = TOKEN_BAD;
    }
    token->text = lexer->text + start;
    token->length = lexer->offset - start;
    if (at_end(lexer) || peek(lexer) != '"') {
        struct position where = token->where;
        struct diag *diag = diag_error(lexer->diags, where, "a quoted text is not closed");

        diag_hint(lexer->diags, diag, "the closing \" must stand on the same line");
        token->kind = TOKEN_BAD;
        return;
    }
    step(lexer, 1);
    if (escaped && token->kind == TOKEN_WORD)
        unescape(lexer, token);
}

static void lex_newline(struct lexer *lexer, struct token *token)
{
    token->kind = TOKEN_NEWLINE;
    if (peek(lexer) == ';') {
        step(lexer, 1);
        return;
    }
    lexer->offset++;
    lexer->line_reported = false;
    if (!lexer->fixed) {
        lexer->at.line++;
        lexer->at.column = 1;
    }
}

static void lex_mark(struct lexer *lexer, struct token *token)
{
    switch (peek(lexer)) {
    case '{':
        token->kind = TOKEN_OPEN;
        lexer->depth++;
        break;
    case '}':
        token->kind = TOKEN_CLOSE;
        lexer->depth--;
        break;
    default:
        token->kind = TOKEN_COMMA;
        break;
    }
    token->text = lexer->text + lexer->offset;
    token->length = 1;
    step(lexer, 1);
}

void lexer_next(struct lexer *lexer, struct token *ret_token)
{
    struct token token = {.kind = TOKEN_END};

    skip_blanks(lexer);
    token.where = lexer->at;
    if (!lexer->fixed)
        token.where.length = 1;
    if (at_end(lexer)) {
        *ret_token = token;
        return;
    }
    switch (peek(lexer)) {
    case '\n':
    case ';':
        lex_newline(lexer, &token);
        break;
    case '{':
    case '}':
    case ',':
        lex_mark(lexer, &token);
        break;
    case '"':
        lex_quoted(lexer, &token);
        break;
    default:
        lex_word(lexer, &token);
        break;
    }
    if (!lexer->fixed && token.kind != TOKEN_NEWLINE)
        token.where.length = lexer->at.column - token.where.column;
    *ret_token = token;
}
