/* src/kernel/mnl_static.c against libmnl: the same messages built, the same read out of any bytes.
 *
 * This program is linked with our functions; the library's own are asked for by name. */
#include <dlfcn.h>
#include <errno.h>
#include <libmnl/libmnl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define ROUNDS 20000
#define SIZE   512

static void *library;

#define OURS(name)   (name)
#define THEIRS(name) ((__typeof__(&name))(uintptr_t)function_of(#name))

static void *function_of(const char *name)
{
    void *function = dlsym(library, name);

    if (!function)
        fail_msg("libmnl has no %s", name);
    return function;
}

/* The library shall call its own functions; ASan forbids to say so, and this program exports none.
 */
#ifdef __SANITIZE_ADDRESS__
#define OWN_FUNCTIONS_FIRST 0
#else
#define OWN_FUNCTIONS_FIRST RTLD_DEEPBIND
#endif

static int open_library(void **state)
{
    (void)state; /* no fixture */
    library = dlopen("libmnl.so.0", RTLD_NOW | RTLD_LOCAL | OWN_FUNCTIONS_FIRST);
    return library ? 0 : -1;
}

/* Appends the same random attribute to both. */
static void put_random(struct nlmsghdr *ours, struct nlmsghdr *theirs)
{
    uint16_t type = (uint16_t)random();
    uint64_t value = (uint64_t)random() << 32 ^ (uint64_t)random();
    char text[20];

    (void)snprintf(text, sizeof text, "%.*s", (int)(random() % 19), "abcdefghijklmnopqrs");
    switch (random() % 7) {
    case 0:
        OURS(mnl_attr_put_u8)(ours, type, (uint8_t)value);
        THEIRS(mnl_attr_put_u8)(theirs, type, (uint8_t)value);
        break;
    case 1:
        OURS(mnl_attr_put_u16)(ours, type, (uint16_t)value);
        THEIRS(mnl_attr_put_u16)(theirs, type, (uint16_t)value);
        break;
    case 2:
        OURS(mnl_attr_put_u32)(ours, type, (uint32_t)value);
        THEIRS(mnl_attr_put_u32)(theirs, type, (uint32_t)value);
        break;
    case 3:
        OURS(mnl_attr_put_u64)(ours, type, value);
        THEIRS(mnl_attr_put_u64)(theirs, type, value);
        break;
    case 4:
        OURS(mnl_attr_put_str)(ours, type, text);
        THEIRS(mnl_attr_put_str)(theirs, type, text);
        break;
    case 5:
        OURS(mnl_attr_put_strz)(ours, type, text);
        THEIRS(mnl_attr_put_strz)(theirs, type, text);
        break;
    default:
        OURS(mnl_attr_put)(ours, type, strlen(text), text);
        THEIRS(mnl_attr_put)(theirs, type, strlen(text), text);
    }
}

static void test_building(void **state)
{
    (void)state; /* no fixture */
    assert_int_equal(OURS(mnl_nlmsg_size)(5), THEIRS(mnl_nlmsg_size)(5));
    for (int round = 0; round < ROUNDS; round++) {
        _Alignas(struct nlmsghdr) char one[SIZE], two[SIZE];
        /* Old versions of the library leave padding as it was; we write zeros. */
        memset(one, 0, sizeof one);
        memset(two, 0, sizeof two);
        struct nlmsghdr *ours = OURS(mnl_nlmsg_put_header)(one);
        struct nlmsghdr *theirs = THEIRS(mnl_nlmsg_put_header)(two);
        size_t extra = (size_t)random() % 30;
        assert_int_equal((char *)OURS(mnl_nlmsg_put_extra_header)(ours, extra) - one,
                         (char *)THEIRS(mnl_nlmsg_put_extra_header)(theirs, extra) - two);
        put_random(ours, theirs);
        struct nlattr *our_nest = OURS(mnl_attr_nest_start)(ours, 7);
        struct nlattr *their_nest = THEIRS(mnl_attr_nest_start)(theirs, 7);
        for (long i = random() % 5; i > 0; i--)
            put_random(ours, theirs);
        OURS(mnl_attr_nest_end)(ours, our_nest);
        THEIRS(mnl_attr_nest_end)(theirs, their_nest);
        put_random(ours, theirs);
        assert_memory_equal(one, two, SIZE);
    }
}

/* What a callback was called with. */
struct seen {
    const struct nlattr *attributes[SIZE];
    size_t count;
    size_t stop_at; /* the call that answers `answer` */
    int answer;
};

static int see(const struct nlattr *attribute, void *context)
{
    struct seen *seen = context;

    seen->attributes[seen->count++] = attribute;
    return seen->count == seen->stop_at ? seen->answer : MNL_CB_OK;
}

static void assert_seen_equal(const struct seen *ours, const struct seen *theirs)
{
    assert_int_equal(ours->count, theirs->count);
    assert_memory_equal(ours->attributes, theirs->attributes,
                        ours->count * sizeof *ours->attributes);
}

/* Bytes in which many lengths make sense. */
static void fill(char *bytes, size_t length)
{
    for (size_t i = 0; i + sizeof(uint16_t) <= length; i += sizeof(uint16_t)) {
        uint16_t word = (uint16_t)(random() % 4 ? random() % 24 : random());

        memcpy(bytes + i, &word, sizeof word);
    }
}

static void assert_attribute_equal(const struct nlattr *attribute)
{
    assert_int_equal(OURS(mnl_attr_get_type)(attribute), THEIRS(mnl_attr_get_type)(attribute));
    assert_int_equal(OURS(mnl_attr_get_payload_len)(attribute),
                     THEIRS(mnl_attr_get_payload_len)(attribute));
    assert_ptr_equal(OURS(mnl_attr_get_payload)(attribute),
                     THEIRS(mnl_attr_get_payload)(attribute));
    assert_ptr_equal(OURS(mnl_attr_get_str)(attribute), THEIRS(mnl_attr_get_str)(attribute));
    assert_ptr_equal(OURS(mnl_attr_next)(attribute), THEIRS(mnl_attr_next)(attribute));
    for (int type = 0; type <= MNL_TYPE_MAX; type++) {
        errno = 0;
        int ours = OURS(mnl_attr_validate)(attribute, (enum mnl_attr_data_type)type);
        int our_errno = errno;
        errno = 0;
        assert_int_equal(ours, THEIRS(mnl_attr_validate)(attribute, (enum mnl_attr_data_type)type));
        assert_int_equal(our_errno, errno);
    }
    uint16_t max = (uint16_t)(random() % 64);
    assert_int_equal(OURS(mnl_attr_type_valid)(attribute, max),
                     THEIRS(mnl_attr_type_valid)(attribute, max));
    if (mnl_attr_get_payload_len(attribute) < 8)
        return;
    assert_int_equal(OURS(mnl_attr_get_u8)(attribute), THEIRS(mnl_attr_get_u8)(attribute));
    assert_int_equal(OURS(mnl_attr_get_u16)(attribute), THEIRS(mnl_attr_get_u16)(attribute));
    assert_int_equal(OURS(mnl_attr_get_u32)(attribute), THEIRS(mnl_attr_get_u32)(attribute));
    assert_true(OURS(mnl_attr_get_u64)(attribute) == THEIRS(mnl_attr_get_u64)(attribute));
}

static void test_attributes(void **state)
{
    (void)state; /* no fixture */
    size_t found = 0;
    for (int round = 0; round < ROUNDS; round++) {
        _Alignas(struct nlmsghdr) char bytes[SIZE];
        size_t length = 8 + (size_t)random() % 120;
        fill(bytes, sizeof bytes);
        struct seen ours = {.stop_at = (size_t)random() % 8, .answer = (int)(random() % 3) - 1};
        struct seen theirs = ours;
        assert_int_equal(OURS(mnl_attr_parse_payload)(bytes, length, see, &ours),
                         THEIRS(mnl_attr_parse_payload)(bytes, length, see, &theirs));
        assert_seen_equal(&ours, &theirs);
        for (size_t i = 0; i < ours.count; i++)
            assert_attribute_equal(ours.attributes[i]);
        found += ours.count;
        for (int left = -3; left < 40; left++)
            assert_int_equal(OURS(mnl_attr_ok)((void *)bytes, left),
                             THEIRS(mnl_attr_ok)((void *)bytes, left));
    }
    assert_true(found > ROUNDS); /* the bytes are not just noise */
}

static void test_messages(void **state)
{
    (void)state; /* no fixture */
    for (int round = 0; round < ROUNDS; round++) {
        _Alignas(struct nlmsghdr) char bytes[SIZE];
        struct nlmsghdr *message = (struct nlmsghdr *)bytes;
        struct nlattr *nest = (struct nlattr *)(bytes + sizeof *message);
        unsigned offset = (unsigned)random() % 24;
        fill(bytes, sizeof bytes);
        message->nlmsg_len = 16 + (uint32_t)random() % 120;
        nest->nla_len = (uint16_t)(4 + random() % 120);
        struct seen ours = {0}, theirs = {0};
        assert_int_equal(OURS(mnl_attr_parse)(message, offset, see, &ours),
                         THEIRS(mnl_attr_parse)(message, offset, see, &theirs));
        assert_int_equal(OURS(mnl_attr_parse_nested)(nest, see, &ours),
                         THEIRS(mnl_attr_parse_nested)(nest, see, &theirs));
        assert_seen_equal(&ours, &theirs);
        assert_ptr_equal(OURS(mnl_nlmsg_get_payload)(message),
                         THEIRS(mnl_nlmsg_get_payload)(message));
        assert_int_equal(OURS(mnl_nlmsg_get_payload_len)(message),
                         THEIRS(mnl_nlmsg_get_payload_len)(message));
        int our_left = (int)(random() % 200) - 20, their_left = our_left;
        assert_int_equal(OURS(mnl_nlmsg_ok)(message, our_left),
                         THEIRS(mnl_nlmsg_ok)(message, our_left));
        assert_ptr_equal(OURS(mnl_nlmsg_next)(message, &our_left),
                         THEIRS(mnl_nlmsg_next)(message, &their_left));
        assert_int_equal(our_left, their_left);
        message->nlmsg_len = (uint32_t)random() % 24;
        assert_int_equal(OURS(mnl_nlmsg_ok)(message, 40), THEIRS(mnl_nlmsg_ok)(message, 40));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_building),
                                       cmocka_unit_test(test_attributes),
                                       cmocka_unit_test(test_messages)};
    srandom(20251128);
    return cmocka_run_group_tests(tests, open_library, NULL);
}
