/* Messages: where the caret stands, in which order they come, what is suggested. */
#include "base/buf.h"
#include "base/diag.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

struct fixture {
    struct arena *arena;
    struct sources sources;
    struct diags diags;
};

static int set_up(void **state)
{
    struct fixture *fixture = calloc(1, sizeof *fixture);

    if (!fixture)
        return -1;
    fixture->arena = arena_new();
    fixture->sources.arena = fixture->arena;
    fixture->diags.arena = fixture->arena;
    fixture->diags.sources = &fixture->sources;
    *state = fixture;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *fixture = *state;

    arena_free(fixture->arena);
    free(fixture);
    return 0;
}

static void assert_printed(const struct fixture *fixture, const char *wanted)
{
    cleanup_buf struct buf out = {0};

    diags_print(&fixture->diags, &out);
    assert_string_equal(buf_text(&out), wanted);
}

static uint32_t add_source(struct fixture *fixture, const char *name, const char *text)
{
    return sources_add(&fixture->sources, name, text, strlen(text), false);
}

static void messages_come_in_the_order_of_their_place(void **state)
{
    struct fixture *fixture = *state;
    uint32_t a = add_source(fixture, "a.conf", "one\ntwo\n"),
             b = add_source(fixture, "b.conf", "x");
    struct diag *diag;

    (void)diag_error(&fixture->diags, (struct position){b, 1, 1, 1}, "last");
    (void)diag_error(&fixture->diags, (struct position){a, 2, 1, 3}, "second");
    diag = diag_warning(&fixture->diags, (struct position){a, 1, 2, 2}, "first");
    diag_hint(&fixture->diags, diag, "because of %d", 7);
    diag_other(&fixture->diags, diag, (struct position){a, 2, 2, 1}, "see here");
    (void)diag_error(&fixture->diags, (struct position){0}, "no place");
    assert_int_equal(fixture->diags.error_count, 3);
    assert_printed(fixture, "error: no place\n"
                            "a.conf:1:2: warning: first\none\n ^~ because of 7\n"
                            "a.conf:2:2: see here\ntwo\n ^\n"
                            "a.conf:2:1: error: second\ntwo\n^~~\n"
                            "b.conf:1:1: error: last\nx\n^\n");
}

static void the_caret_stands_under_what_it_means(void **state)
{
    struct fixture *fixture = *state;
    uint32_t a = add_source(fixture, "a", "\t\xc3\xa4\xc3\xb6 bad\r\nab\x01 bad\nend");

    (void)diag_error(&fixture->diags, (struct position){a, 1, 5, 3}, "tab and two bytes");
    (void)diag_error(&fixture->diags, (struct position){a, 2, 5, 3}, "control");
    (void)diag_error(&fixture->diags, (struct position){a, 3, 4, 1}, "behind the end");
    (void)diag_error(&fixture->diags, (struct position){a, 9, 1, 1}, "no such line");
    assert_printed(fixture, "a:1:5: error: tab and two bytes\n\t\xc3\xa4\xc3\xb6 bad\n\t   ^~~\n"
                            "a:2:5: error: control\nab\\x01 bad\n       ^~~\n"
                            "a:3:4: error: behind the end\nend\n   ^\n"
                            "a:9:1: error: no such line\n");
}

static void long_lines_are_cut(void **state)
{
    struct fixture *fixture = *state;
    char text[1001];
    cleanup_buf struct buf out = {0};

    memset(text, 'x', 1000);
    text[1000] = '\0';
    text[500] = 'Y';
    (void)diag_error(&fixture->diags, (struct position){add_source(fixture, "a", text), 1, 501, 1},
                     "here");
    diags_print(&fixture->diags, &out);
    assert_true(out.length < 300);
    assert_non_null(strstr(buf_text(&out), "\n...xxx"));
    assert_non_null(strstr(buf_text(&out), "xxx...\n"));
    assert_non_null(strstr(buf_text(&out), "Y"));
    /* The caret stands as far in its line as the Y. */
    assert_int_equal(strchr(buf_text(&out), 'Y') - strstr(buf_text(&out), "\n..."),
                     strchr(buf_text(&out), '^') - strstr(buf_text(&out), "...\n") - 3);
}

static void options_have_no_line_number(void **state)
{
    struct fixture *fixture = *state;
    uint32_t a = sources_add(&fixture->sources, "option -e", "allow tpc", 9, true);

    (void)diag_error(&fixture->diags, (struct position){a, 1, 7, 3}, "unknown");
    assert_printed(fixture, "option -e: error: unknown\nallow tpc\n      ^~~\n");
}

static void options_show_what_was_typed(void **state)
{
    static const struct source_span spans[] = {{8, 2, 0}, {14, 3, 3}};
    struct fixture *fixture = *state;
    uint32_t a = sources_add(&fixture->sources, "option -P", "publish 80 to 99x tcp", 21, true);

    sources_set_typed(&fixture->sources, a, "80:99x", spans, 2);
    (void)diag_error(&fixture->diags, (struct position){a, 1, 1, 7}, "all");
    (void)diag_error(&fixture->diags, (struct position){a, 1, 9, 2}, "first");
    (void)diag_error(&fixture->diags, (struct position){a, 1, 15, 9}, "second");
    (void)diag_error(&fixture->diags, (struct position){a, 1, 22, 1}, "end");
    assert_printed(fixture, "option -P: error: all\n80:99x\n^~~~~~\n"
                            "option -P: error: first\n80:99x\n^~\n"
                            "option -P: error: second\n80:99x\n   ^~~\n"
                            "option -P: error: end\n80:99x\n      ^\n");
}

static void messages_are_made_visible(void **state)
{
    struct fixture *fixture = *state;
    uint32_t a = add_source(fixture, "a\x1b", "x");
    struct diag *diag =
        diag_error(&fixture->diags, (struct position){a, 1, 1, 1}, "bad '%s'", "\r");

    diag_hint(&fixture->diags, diag, "\x07");
    assert_printed(fixture, "a\\x1b:1:1: error: bad '\\x0d'\nx\n^ \\x07\n");
}

static void too_many_messages_are_counted(void **state)
{
    struct fixture *fixture = *state;
    cleanup_buf struct buf out = {0};

    for (unsigned i = 0; i < 10003; i++)
        diag_hint(&fixture->diags, diag_error(&fixture->diags, (struct position){0}, "x"), "y");
    assert_int_equal(fixture->diags.error_count, 10003);
    assert_int_equal(fixture->diags.list_count, 10000);
    diags_print(&fixture->diags, &out);
    assert_non_null(strstr(buf_text(&out), "\n3 more messages are not shown\n"));
}

static void suggestions(void **state)
{
    static const char *const words[] = {"tcp", "udp", "icmp", "capabilities", "to", NULL};

    (void)state; /* not needed */
    assert_string_equal(suggest_word("tpc", 3, words), "tcp");
    assert_string_equal(suggest_word("tcpp", 4, words), "tcp");
    assert_string_equal(suggest_word("UDP", 3, words), "udp");
    assert_string_equal(suggest_word("cpabilites", 10, words), "capabilities");
    assert_null(suggest_word("xyz", 3, words));
    assert_null(suggest_word("", 0, words));
    assert_null(suggest_word("nonsense", 8, words));
    assert_null(suggest_word("t", 1, (const char *const[]){"a", NULL}));
}

static void errors_keep_code_and_text(void **state)
{
    struct error error = {0};

    (void)state; /* not needed */
    assert_int_equal(error_set(&error, -EBUSY, "port %d\x1b", 80), -EBUSY);
    assert_int_equal(error.code, -EBUSY);
    assert_string_equal(error.text, "port 80\\x1b");
    error_hint(&error, "stop %s", "it");
    assert_string_equal(error.hint, "stop it");
    assert_int_equal(error_errno(&error, -EPERM, "cannot"), -EPERM);
    assert_string_equal(error.text, "cannot: Operation not permitted");
    assert_string_equal(error.hint, "");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(messages_come_in_the_order_of_their_place),
        TEST(the_caret_stands_under_what_it_means),
        TEST(long_lines_are_cut),
        TEST(options_have_no_line_number),
        TEST(options_show_what_was_typed),
        TEST(messages_are_made_visible),
        TEST(too_many_messages_are_counted),
        TEST(suggestions),
        TEST(errors_keep_code_and_text),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
