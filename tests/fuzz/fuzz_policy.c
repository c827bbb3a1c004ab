/* Fuzzes the whole pure path from a text to a verdict: parse, check, refuse, decide, print the
 * messages. The input is the policy; what `include` and `define ... file` read are two fixed texts
 * and the input itself, so that loops and lists are reached too. */
#include "base/buf.h"
#include "policy/decide.h"

#include <errno.h>
#include <netinet/in.h>
#include <string.h>

struct input {
    const char *text;
    size_t length;
};

static int read_input(void *context, const char *from, const char *name, const char **ret_path,
                      const char **ret_text, size_t *ret_length, struct error *error)
{
    static const char list[] = "# list\n10.0.0.0/8\n2001:db8::1-2001:db8::9\r\nwww.example.org\n";
    const struct input *input = context;

    (void)from; /* nothing is relative here */
    if (strcmp(name, "list") == 0) {
        *ret_path = "list";
        *ret_text = list;
        *ret_length = sizeof list - 1;
        return 0;
    }
    if (strncmp(name, "self", 4) == 0) {
        *ret_path = name;
        *ret_text = input->text;
        *ret_length = input->length;
        return 0;
    }
    return error_errno(error, -ENOENT, "cannot read '%s'", name);
}

static bool contains(void *context, const struct set_item *item, const struct addr *addr)
{
    (void)context; /* the answer only has to vary */
    return (item->kind + addr->bytes[0]) % 2 == 0;
}

static void decide_some(const struct policy *policy)
{
    static const uint8_t protocols[] = {IPPROTO_TCP, IPPROTO_UDP, IPPROTO_ICMP, IPPROTO_ICMPV6, 47};
    struct decide_context context = {contains, NULL};

    for (unsigned i = 0; i < 30; i++) {
        struct packet packet = {
            .direction = (enum direction)(i % DIRECTION_COUNT),
            .protocol = protocols[i % sizeof protocols],
            .source = {i % 2 ? ADDR_V4 : ADDR_V6, {10, 0, 0, (uint8_t)i}},
            .destination = {i % 2 ? ADDR_V4 : ADDR_V6, {10, 0, 1, (uint8_t)i}},
            .port = (uint16_t)(i * 80),
            .icmp_type = 8,
            .published = i % 3 == 0,
        };
        struct decision decision = policy_decide(policy, &packet, i % 4 ? &context : NULL);

        if (decision.verdict > VERDICT_DROP ||
            (!decision.by_default && !decision.by_publish && decision.rule >= policy->rules_count))
            __builtin_trap();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct policy *policy = policy_new();
    struct diags *diags = policy_diags(policy);
    struct input input = {(const char *)data, size};
    struct policy_reader reader = {read_input, &input};
    const struct policy_value values[] = {
        {"DB", "10.0.0.1, 2001:db8::1", {0}},
        {"PORT", "80", {0}},
        {"BAD", "$DB \x01", {0}},
    };
    cleanup_buf struct buf out = {0};
    int parsed = policy_parse(policy, diags, "fuzz.conf", "fuzz.conf", (const char *)data, size,
                              false, &reader, values, 3);
    int option = policy_parse(policy, diags, "option -e", NULL, (const char *)data,
                              size > 200 ? 200 : size, true, NULL, values, 3);
    int checked = policy_check(policy, diags);

    if (((parsed < 0 || option < 0) && checked == 0) || (checked < 0) != (diags->error_count > 0))
        __builtin_trap();
    (void)policy_refuse_unavailable(policy, diags); /* whichever way: the messages are printed */
    decide_some(policy);
    diags_print(diags, &out);
    policy_free(policy);
    return 0;
}
