/* What of an sd_notify(3) datagram reaches the caller's service manager. */
#include "jail/notify_text.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void assert_filtered(const char *text, bool descriptors, const char *expected)
{
    char copy[NOTIFY_TEXT_MAX];
    size_t length = strlen(text);

    memcpy(copy, text, length);
    length = notify_text_filter(copy, length, descriptors);
    assert_int_equal(length, strlen(expected));
    assert_memory_equal(copy, expected, length);
}

static enum notify_text_purpose purpose(const char *text)
{
    return notify_text_purpose(text, strlen(text));
}

static void test_purpose(void **state)
{
    static char long_text[NOTIFY_TEXT_MAX + 1];

    (void)state;
    assert_int_equal(purpose("READY=1"), NOTIFY_TEXT_PLAIN);
    assert_int_equal(purpose("READY=1\nFDSTORE=1\nFDNAME=a"), NOTIFY_TEXT_STORE);
    assert_int_equal(purpose("FDSTORE=11"), NOTIFY_TEXT_PLAIN);
    assert_int_equal(purpose("FDSTORE=1\rX"), NOTIFY_TEXT_STORE);
    assert_int_equal(purpose("BARRIER=1"), NOTIFY_TEXT_BARRIER);
    assert_int_equal(purpose(""), NOTIFY_TEXT_INVALID);
    assert_int_equal(notify_text_purpose("\0", 1), NOTIFY_TEXT_INVALID);
    assert_int_equal(notify_text_purpose("READY=1\0", 8), NOTIFY_TEXT_PLAIN);
    assert_int_equal(notify_text_purpose("READY=1\0\0", 9), NOTIFY_TEXT_INVALID);
    assert_int_equal(notify_text_purpose("A\0MAINPID=1", 11), NOTIFY_TEXT_INVALID);
    memset(long_text, 'x', sizeof long_text);
    assert_int_equal(notify_text_purpose(long_text, NOTIFY_TEXT_MAX), NOTIFY_TEXT_PLAIN);
    assert_int_equal(notify_text_purpose(long_text, NOTIFY_TEXT_MAX + 1), NOTIFY_TEXT_INVALID);
}

static void test_pids_do_not_pass(void **state)
{
    (void)state;
    assert_filtered("READY=1\nMAINPID=5\nSTATUS=a", false, "READY=1\nSTATUS=a");
    assert_filtered("MAINPID=5", false, "");
    assert_filtered("STATUS=x\rMAINPID=5\r\nMAINPIDFDID=7\nMAINPIDFD=1", false, "STATUS=x");
    assert_filtered("\n\nMAINPID=5\n\nNOTIFYACCESS=all\nREADY=1\n", false, "READY=1");
    assert_filtered("STATUS=MAINPID=5\nXMAINPID=1", false, "STATUS=MAINPID=5\nXMAINPID=1");
}

static void test_descriptors(void **state)
{
    (void)state;
    assert_filtered("FDSTORE=1\nFDNAME=a\nFDPOLL=0", true, "FDSTORE=1\nFDNAME=a\nFDPOLL=0");
    assert_filtered("STATUS=b\nFDSTORE=1\nFDNAME=a\nFDPOLL=0", false, "STATUS=b");
    assert_filtered("FDSTOREREMOVE=1\nFDNAME=a", false, "FDSTOREREMOVE=1\nFDNAME=a");
    assert_filtered("FDSTOREREMOVE=1\nFDNAME=a\nFDSTORE=1", false, "FDSTOREREMOVE=1");
    assert_filtered("BARRIER=1", false, "");
    assert_filtered("BARRIER=1\nMAINPID=1", true, "BARRIER=1");
}

/* Whatever comes: it fits where it was, and no line that must not pass is in it. */
static void test_hostile_bytes(void **state)
{
    static const char alphabet[] = "\n\r\0MAINPID=1FDSTORE=BARRIER=x";
    uint32_t random = 1;

    (void)state;
    for (int round = 0; round < 20000; round++) {
        char text[64];
        size_t length = (random = random * 1664525 + 1013904223) >> 26;

        for (size_t i = 0; i < length; i++)
            text[i] =
                alphabet[((random = random * 1664525 + 1013904223) >> 16) % (sizeof alphabet)];
        if (length > 20)
            memcpy(text + 9, "\rMAINPID=", 9);
        if (notify_text_purpose(text, length) == NOTIFY_TEXT_INVALID)
            continue;
        size_t kept = notify_text_filter(text, length, round & 1);
        assert_true(kept <= length);
        assert_null(memmem(text, kept, "\nMAINPID", 8));
        assert_null(memmem(text, kept, "\r", 1));
        assert_true(kept < 7 || memcmp(text, "MAINPID", 7) != 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_purpose),
        cmocka_unit_test(test_pids_do_not_pass),
        cmocka_unit_test(test_descriptors),
        cmocka_unit_test(test_hostile_bytes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
