/* Tokens and their positions. */
#include "policy/lex.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

struct lexed {
    char text[512];
    size_t errors;
};

/* One letter per token (w, q, {, }, comma, n, b), its text, and where it begins. */
static struct lexed lex(const char *text, size_t length)
{
    static const char letters[] = {[TOKEN_WORD] = 'w',  [TOKEN_OPEN] = '{',    [TOKEN_CLOSE] = '}',
                                   [TOKEN_COMMA] = ',', [TOKEN_NEWLINE] = 'n', [TOKEN_BAD] = 'b'};
    struct arena *arena = arena_new();
    struct sources sources = {.arena = arena};
    struct diags diags = {.arena = arena, .sources = &sources};
    struct position start = {sources_add(&sources, "t", text, length, false), 1, 1, 1};
    struct lexed lexed = {0};
    struct lexer lexer;
    struct token token;

    lexer_init(&lexer, &diags, text, length, start);
    for (lexer_next(&lexer, &token); token.kind != TOKEN_END; lexer_next(&lexer, &token)) {
        size_t used = strlen(lexed.text);

        (void)snprintf(lexed.text + used, sizeof lexed.text - used, "%s%c%.*s@%u:%u+%u",
                       used ? " " : "", token.quoted ? 'q' : letters[token.kind],
                       token.kind == TOKEN_WORD ? (int)token.length : 0,
                       token.kind == TOKEN_WORD ? token.text : "", token.where.line,
                       token.where.column, token.where.length);
    }
    lexed.errors = diags.error_count;
    arena_free(arena);
    return lexed;
}

static void assert_lexed(const char *text, const char *wanted, size_t errors)
{
    struct lexed lexed = lex(text, strlen(text));

    assert_string_equal(lexed.text, wanted);
    assert_int_equal(lexed.errors, errors);
}

static void words_and_marks(void **state)
{
    (void)state; /* no fixture */
    assert_lexed("a bc", "wa@1:1+1 wbc@1:3+2", 0);
    assert_lexed("a{b,c}", "wa@1:1+1 {@1:2+1 wb@1:3+1 ,@1:4+1 wc@1:5+1 }@1:6+1", 0);
    assert_lexed("a;b\nc", "wa@1:1+1 n@1:2+1 wb@1:3+1 n@1:4+1 wc@2:1+1", 0);
    assert_lexed("a # b \"\nc", "wa@1:1+1 n@1:8+1 wc@2:1+1", 0);
    assert_lexed("a#b", "wa#b@1:1+3", 0);
    assert_lexed("\ta\r\n b\r", "wa@1:2+1 n@1:4+1 wb@2:2+1", 0);
    assert_lexed("\xc3\xa4 b", "w\xc3\xa4@1:1+1 wb@1:3+1", 0);
    assert_lexed("\xef\xbb\xbf"
                 "a",
                 "wa@1:2+1", 0);
    assert_lexed("", "", 0);
}

static void quoted_texts(void **state)
{
    (void)state; /* no fixture */
    assert_lexed("\"a b\"", "qa b@1:1+5", 0);
    assert_lexed("\"\"", "q@1:1+2", 0);
    assert_lexed("\"a\\\"\\\\\" c", "qa\"\\@1:1+7 wc@1:9+1", 0);
    assert_lexed("\"a{;#}\"", "qa{;#}@1:1+7", 0);
    assert_lexed("a\"b\"c", "wa@1:1+1 qb@1:2+3 wc@1:5+1", 0);
}

static void bad_texts_are_reported_once_per_line(void **state)
{
    struct lexed lexed;

    (void)state; /* no fixture */
    assert_lexed("\"a\nb", "q@1:1+2 n@1:3+1 wb@2:1+1", 1);
    assert_lexed("\"a\\nb\"", "q@1:1+6", 1);
    assert_lexed("a\x01\x02 b\x03", "b@1:1+3 b@1:5+2", 1);
    assert_lexed("a\x01\nb\xff", "b@1:1+2 n@1:3+1 b@2:1+2", 2);
    assert_lexed("a # \x1b\nb", "wa@1:1+1 n@1:6+1 wb@2:1+1", 1);
    assert_lexed("a\rb", "b@1:1+3", 1);
    lexed = lex("a\0b", 3);
    assert_string_equal(lexed.text, "b@1:1+3");
    assert_int_equal(lexed.errors, 1);
}

static void values_stand_at_one_place(void **state)
{
    struct arena *arena = arena_new();
    struct diags diags = {.arena = arena};
    struct position where = {1, 3, 7, 4};
    struct lexer lexer;
    struct token token;

    (void)state; /* no fixture */
    lexer_init(&lexer, &diags, "a, b", 4, where);
    lexer.fixed = true;
    do {
        lexer_next(&lexer, &token);
        assert_memory_equal(&token.where, &where, sizeof where);
    } while (token.kind != TOKEN_END);
    arena_free(arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(words_and_marks),
        cmocka_unit_test(quoted_texts),
        cmocka_unit_test(bad_texts_are_reported_once_per_line),
        cmocka_unit_test(values_stand_at_one_place),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
