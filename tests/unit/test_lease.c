/* Leases and the state directory, in a private /run (root) or a runtime directory of the test's
 * own. */
#include "kernel/lease.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static char state_path[64] = "/run/netjail";
static char runtime[] = "/tmp/netjail-test-XXXXXX";

static int make_world(void **state)
{
    (void)state; /* the world is the process's */
    if (geteuid() == 0)
        return unshare(CLONE_NEWNS) || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) ||
               mount("tmpfs", "/run", "tmpfs", 0, "mode=755");
    if (!mkdtemp(runtime))
        return -1;
    (void)snprintf(state_path, sizeof state_path, "%s/netjail", runtime);
    return setenv("XDG_RUNTIME_DIR", runtime, 1);
}

static int remove_world(void **state)
{
    (void)state; /* the world is the process's */
    if (geteuid() == 0)
        return 0;
    (void)rmdir(state_path); /* the last test leaves it, the library may have removed it */
    return rmdir(runtime);
}

static struct lease_directory *open_directory(void)
{
    struct lease_directory *directory = NULL;
    struct error error = {0};
    if (lease_directory_open(geteuid() == 0 ? LEASE_HOST : LEASE_USER, true, &directory, &error) <
        0)
        fail_msg("%s", error.text);
    return directory;
}

static struct record *record_of(const char *name)
{
    struct record *record = record_new();
    (void)snprintf(record->name, sizeof record->name, "%s", name);
    record->pid = getpid();
    record->pid_start = 1;
    record->uid = geteuid();
    record->policy = "";
    record->command = "true";
    assert_int_equal(netns_identity(&record->netns_cookie, &record->netns_inode), 0);
    return record;
}

static size_t count_others(struct lease_directory *directory, size_t *ret_dead)
{
    struct facts *facts = facts_new();
    struct dead_lease *dead = NULL;
    struct error error = {0};
    *ret_dead = 0;
    assert_int_equal(lease_scan(directory, NULL, facts, &dead, ret_dead, &error), 0);
    for (size_t i = 0; i < *ret_dead; i++)
        record_free(dead[i].record);
    free(dead);
    size_t count = facts->others_count;
    facts_free(facts);
    return count;
}

static void test_life(void **state)
{
    (void)state; /* no fixture */
    struct lease_directory *directory = open_directory();
    struct record *record = record_of("web");
    struct lease *lease = NULL, *second = NULL;
    struct error error = {0};
    bool ending = true;
    size_t dead;
    if (lease_create(directory, record, &lease, &ending, &error) < 0)
        fail_msg("%s", error.text);
    assert_int_equal(count_others(directory, &dead), 1);
    assert_int_equal(dead, 0);
    assert_int_equal(lease_create(directory, record, &second, &ending, &error), -EEXIST);
    assert_false(ending);
    assert_int_equal(lease_wait_clean(directory, 0, &error), 0);
    record->state = RECORD_ENDING;
    assert_int_equal(lease_write(lease, record, &error), 0);
    assert_int_equal(lease_create(directory, record, &second, &ending, &error), -EEXIST);
    assert_true(ending);
    assert_int_equal(lease_wait_clean(directory, 5, &error), -ETIMEDOUT);
    assert_int_equal(lease_remove(lease, &error), 0);
    assert_int_equal(lease_wait_clean(directory, 0, &error), 0);
    assert_int_equal(count_others(directory, &dead), 0);
    assert_int_equal(dead, 0);
    record_free(record);
    lease_directory_close(directory);
}

static void test_dead_is_collected(void **state)
{
    (void)state; /* no fixture */
    struct lease_directory *directory = open_directory();
    struct record *record = record_of("killed");
    struct lease *lease = NULL;
    struct error error = {0};
    bool ending;
    size_t dead;
    assert_int_equal(lease_create(directory, record, &lease, &ending, &error), 0);
    assert_int_equal(lease_collect(directory, NULL, false, &error), 0);
    lease_close(lease); /* as SIGKILL does */
    assert_int_equal(count_others(directory, &dead), 0);
    assert_int_equal(dead, 1);
    assert_int_equal(lease_collect(directory, NULL, false, &error), 1);
    (void)count_others(directory, &dead);
    assert_int_equal(dead, 0);
    record_free(record);
    lease_directory_close(directory);
}

static void test_bad_names(void **state)
{
    static const char *const names[] = {"", "../x", "a/b", ".x", "a\nb", "-x"};
    (void)state; /* no fixture */
    struct lease_directory *directory = open_directory();
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        struct record *record = record_of(names[i]);
        struct lease *lease = NULL;
        struct error error = {0};
        bool ending;
        assert_int_equal(lease_create(directory, record, &lease, &ending, &error), -EINVAL);
        assert_null(lease);
        record_free(record);
    }
    lease_directory_close(directory);
}

static void test_lock(void **state)
{
    (void)state; /* no fixture */
    struct lease_directory *a = open_directory(), *b = open_directory();
    struct error error = {0};
    assert_int_equal(lease_lock(a, 0, &error), 0);
    assert_int_equal(lease_lock(b, 5, &error), -ETIMEDOUT);
    lease_unlock(a);
    assert_int_equal(lease_lock(b, 0, &error), 0);
    lease_directory_close(b);
    assert_int_equal(lease_lock(a, 0, &error), 0);
    lease_directory_close(a);
}

/* The last one removes the directory; who had it open before works in the new one. */
static void test_tidy(void **state)
{
    (void)state; /* no fixture */
    struct lease_directory *a = open_directory(), *b = open_directory(), *c;
    struct record *record = record_of("web");
    struct lease *lease = NULL;
    struct error error = {0};
    bool ending = false;
    size_t dead;

    assert_int_equal(lease_lock(a, 0, &error), 0);
    lease_directory_tidy(b);
    assert_int_equal(access(state_path, F_OK), 0); /* locked: it is being used */
    lease_unlock(a);
    lease_directory_tidy(b);
    assert_int_equal(access(state_path, F_OK), -1);
    assert_int_equal(lease_lock(a, 0, &error), 0);
    c = open_directory();
    assert_int_equal(lease_lock(c, 5, &error), -ETIMEDOUT); /* the new one, not the one that went */
    lease_unlock(a);
    lease_directory_tidy(a);
    assert_int_equal(lease_create(b, record, &lease, &ending, &error), 0);
    lease_directory_tidy(b);
    assert_int_equal(access(state_path, F_OK), 0);
    lease_directory_close(c);
    c = open_directory();
    assert_int_equal(count_others(c, &dead), 1);
    assert_int_equal(lease_remove(lease, &error), 0);
    record_free(record);
    lease_directory_close(a);
    lease_directory_close(b);
    lease_directory_close(c);
}

static void test_untrusted_directory(void **state)
{
    (void)state; /* no fixture */
    struct lease_directory *directory = NULL;
    struct error error = {0};
    assert_int_equal(chmod(state_path, 0702), 0);
    assert_int_equal(
        lease_directory_open(geteuid() == 0 ? LEASE_HOST : LEASE_USER, true, &directory, &error),
        -EPERM);
    assert_int_equal(chmod(state_path, 0770), 0);
    assert_int_equal(
        lease_directory_open(geteuid() == 0 ? LEASE_HOST : LEASE_USER, true, &directory, &error),
        -EPERM);
    assert_int_equal(chmod(state_path, 0700), 0);
    char moved[sizeof state_path + 8];
    (void)snprintf(moved, sizeof moved, "%s.real", state_path);
    assert_int_equal(rename(state_path, moved), 0);
    assert_int_equal(symlink(moved, state_path), 0);
    int r =
        lease_directory_open(geteuid() == 0 ? LEASE_HOST : LEASE_USER, true, &directory, &error);
    assert_true(r == -ELOOP || r == -ENOTDIR);
    assert_null(directory);
    assert_int_equal(unlink(state_path), 0);
    assert_int_equal(rename(moved, state_path), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_life),      cmocka_unit_test(test_dead_is_collected),
        cmocka_unit_test(test_bad_names), cmocka_unit_test(test_lock),
        cmocka_unit_test(test_tidy),      cmocka_unit_test(test_untrusted_directory)};
    return cmocka_run_group_tests(tests, make_world, remove_world);
}
