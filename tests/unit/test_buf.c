/* Memory: buffers, arenas, maps; and that nothing unprintable comes out of a buffer. */
#include "base/arena.h"
#include "base/buf.h"
#include "base/map.h"
#include "base/utf8.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static void a_buffer_grows(void **state)
{
    cleanup_buf struct buf buf = {0};

    (void)state; /* no fixture */
    assert_string_equal(buf_text(&buf), "");
    for (unsigned i = 0; i < 10000; i++)
        buf_printf(&buf, "%04u", i);
    assert_int_equal(buf.length, 40000);
    assert_int_equal(strlen(buf_text(&buf)), 40000);
    assert_memory_equal(buf.data + 4 * 1234, "1234", 4);
    buf_free(&buf);
    assert_string_equal(buf_text(&buf), "");
}

static void assert_visible(const char *text, size_t length, const char *wanted)
{
    cleanup_buf struct buf buf = {0};

    buf_put_visible(&buf, text, length);
    assert_string_equal(buf_text(&buf), wanted);
}

static void untrusted_text_is_made_visible(void **state)
{
    (void)state; /* no fixture */
    assert_visible("plain \xc3\xa4", 8, "plain \xc3\xa4");
    assert_visible("\x1b[31m", 5, "\\x1b[31m");
    assert_visible("a\0b\n\t\x7f", 6, "a\\x00b\\x0a\\x09\\x7f");
    assert_visible("\xc2\x9b", 2, "\\xc2\\x9b");                   /* a C1 control */
    assert_visible("\xe2\x80\xae", 3, "\\xe2\\x80\\xae");          /* right-to-left override */
    assert_visible("\xc0\x80", 2, "\\xc0\\x80");                   /* overlong */
    assert_visible("\xed\xa0\x80", 3, "\\xed\\xa0\\x80");          /* a surrogate */
    assert_visible("\xf4\x90\x80\x80", 4, "\\xf4\\x90\\x80\\x80"); /* above U+10FFFF */
    assert_visible("\xe2\x82", 2, "\\xe2\\x82");                   /* cut short */
    assert_visible("\xf0\x9f\x98\x80", 4, "\xf0\x9f\x98\x80");
}

static void utf8_lengths(void **state)
{
    uint32_t point = 0;

    (void)state; /* no fixture */
    assert_int_equal(utf8_decode("\xe2\x82\xac", 3, &point), 3);
    assert_int_equal(point, 0x20ac);
    assert_int_equal(utf8_decode("\xf0\x9f\x98\x80", 4, &point), 4);
    assert_int_equal(point, 0x1f600);
    assert_int_equal(utf8_decode("\x80", 1, &point), 0);
}

/* Owner of an array, as ARENA_PUSH wants it. */
struct numbers {
    uint64_t *list;
    size_t list_count;
    size_t list_capacity;
};

static void arena_arrays_keep_their_items(void **state)
{
    struct arena *arena = arena_new();
    struct numbers a = {0}, b = {0};

    (void)state; /* no fixture */
    assert_non_null(arena);
    for (uint64_t i = 0; i < 100000; i++) {
        uint64_t *item = ARENA_PUSH(arena, &a, list);

        assert_int_equal(*item, 0);
        *item = i;
        *ARENA_PUSH(arena, &b, list) = ~i;
    }
    for (uint64_t i = 0; i < 100000; i++) {
        assert_true(a.list[i] == i);
        assert_true(b.list[i] == ~i);
    }
    arena_free(arena);
    arena_free(NULL);
}

static void arena_items_are_zeroed_and_aligned(void **state)
{
    struct arena *arena = arena_new();

    (void)state; /* no fixture */
    for (size_t size = 0; size < 70000; size += 777) {
        char *item = arena_alloc(arena, size);

        assert_int_equal((uintptr_t)item % _Alignof(max_align_t), 0);
        for (size_t i = 0; i < size; i++)
            assert_int_equal(item[i], 0);
        memset(item, 0xff, size);
    }
    assert_string_equal(arena_strndup(arena, "abcdef", 3), "abc");
    assert_string_equal(arena_printf(arena, "%d-%s", 7, "x"), "7-x");
    arena_free(arena);
}

static void a_map_finds_what_was_added(void **state)
{
    struct arena *arena = arena_new();
    struct map map = {.arena = arena};
    size_t value = 99;

    (void)state; /* no fixture */
    assert_false(map_find(&map, "x", 1, &value));
    for (size_t i = 0; i < 5000; i++) {
        const char *key = arena_printf(arena, "key%zu", i);

        map_add(&map, key, strlen(key), i);
    }
    for (size_t i = 0; i < 5000; i++) {
        const char *key = arena_printf(arena, "key%zu", i);

        assert_true(map_find(&map, key, strlen(key), &value));
        assert_int_equal(value, i);
    }
    assert_false(map_find(&map, "key", 3, &value));
    assert_false(map_find(&map, "key5000", 7, &value));
    arena_free(arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_buffer_grows),
        cmocka_unit_test(untrusted_text_is_made_visible),
        cmocka_unit_test(utf8_lengths),
        cmocka_unit_test(arena_arrays_keep_their_items),
        cmocka_unit_test(arena_items_are_zeroed_and_aligned),
        cmocka_unit_test(a_map_finds_what_was_added),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
