/* plan_dump FILE [--script|--undo] [--other FILE]... [--unprivileged]: the plan of a policy on an
 * invented host, for the golden tests. Opens nothing but the named files.
 *
 * Without an option: one line per op, and the rulesets. --script: the shell script of plan_print();
 * --undo: what undo_own() and undo_shared() would do; --other: a jail with this policy runs
 * already. Exit status 0, 1 on errors (printed), 2 when it cannot work. */
#include "base/buf.h"
#include "base/cleanup.h"
#include "plan/build.h"
#include "plan/print.h"
#include "plan/undo.h"

#include <errno.h>
#include <string.h>

static int read_whole(const char *path, struct buf *text)
{
    cleanup_file FILE *file = fopen(path, "re");
    char block[65536];
    size_t length;

    if (!file)
        return -errno;
    while ((length = fread(block, 1, sizeof block, file)) > 0)
        buf_append(text, block, length);
    return ferror(file) ? -EIO : 0;
}

static struct policy *load(const char *path)
{
    cleanup_buf struct buf text = {0};
    cleanup_buf struct buf out = {0};
    struct policy *policy = policy_new();
    struct diags *diags = policy_diags(policy);
    const char *base = strrchr(path, '/') ? strrchr(path, '/') + 1 : path;

    if (read_whole(path, &text) < 0) {
        (void)fprintf(stderr, "plan_dump: cannot read %s\n", path); /* it ends anyway */
        policy_free(policy);
        return NULL;
    }
    policy->file_base = arena_strndup(policy->arena, base, strcspn(base, "."));
    if (policy_parse(policy, diags, base, base, buf_text(&text), text.length, false, NULL, NULL,
                     0) < 0 ||
        policy_check(policy, diags) < 0) {
        diags_print(diags, &out);
        (void)fputs(buf_text(&out), stdout); /* a golden test sees what is missing */
        policy_free(policy);
        return NULL;
    }
    return policy;
}

static void add_link(struct facts *facts, const char *name, bool is_uplink)
{
    struct fact_link *link = ARENA_PUSH(facts->arena, facts, links);

    memcpy(link->name, name, strlen(name));
    link->is_uplink = is_uplink;
    link->is_bridge = !is_uplink;
    link->accept_ra = 1;
}

static void add_address(struct facts *facts, const char *ifname, const char *text)
{
    struct fact_address *address = ARENA_PUSH(facts->arena, facts, addresses);

    memcpy(address->ifname, ifname, strlen(ifname));
    (void)prefix_parse(text, strlen(text), &address->prefix); /* constants */
}

/* eth0 is the uplink, usb0 another interface, port0 a port, docker0 another bridge, `lab` one that
 * policies may call external. */
static struct facts *invent_host(void)
{
    struct facts *facts = facts_new();

    facts->privileged = true;
    facts->has_ipv6 = true;
    facts->has_force_forwarding = true;
    facts->seed = 20260101;
    facts->pid = 1000;
    add_link(facts, "eth0", true);
    add_link(facts, "docker0", false);
    add_link(facts, "lab", false);
    add_link(facts, "usb0", false);
    facts->links[facts->links_count - 1].is_bridge = false;
    facts->links[facts->links_count - 1].mac = (struct mac){{2, 0, 0, 0, 0, 7}};
    add_link(facts, "port0", false);
    facts->links[facts->links_count - 1].is_port = true;
    add_address(facts, "lo", "127.0.0.1/8");
    add_address(facts, "lo", "::1/128");
    add_address(facts, "eth0", "192.0.2.10/24");
    add_address(facts, "eth0", "2001:db8:1::10/64");
    add_address(facts, "eth0", "fe80::10/64");
    add_address(facts, "docker0", "172.17.0.1/16");
    return facts;
}

static struct plan *build(struct policy *policy, struct facts *facts)
{
    struct diags *diags = policy_diags(policy);
    cleanup_buf struct buf out = {0};
    struct plan *plan = NULL;
    int code = plan_build(policy, facts, diags, &plan);

    diags_print(diags, &out);
    (void)fputs(buf_text(&out), stdout); /* a golden test sees what is missing */
    if (code < 0)
        printf("errno %s\n", strerrorname_np(-code));
    return plan;
}

/* The forwarding sysctls that kernel/apply would note, from 0. */
static void note_sysctls(struct record *record, const struct plan *plan)
{
    for (size_t i = 0; i < plan->ops_count; i++)
        if (plan->ops[i].kind == OP_SYSCTL_SET && plan->ops[i].where == WHERE_HOST) {
            struct record_sysctl *sysctl = ARENA_PUSH(record->arena, record, sysctls);

            memcpy(sysctl->path, plan->ops[i].sysctl.path, sizeof sysctl->path);
            memcpy(sysctl->ours, plan->ops[i].sysctl.value, sizeof sysctl->ours);
            memcpy(sysctl->was, "0", 2);
        }
}

static struct record *make_record(const struct policy *policy, const struct plan *plan,
                                  const struct facts *facts)
{
    struct record *record = record_new();

    plan_jail_name(policy, facts->pid, record->name);
    record->pid = facts->pid;
    record_from_plan(record, plan);
    note_sysctls(record, plan);
    return record;
}

/* Another jail runs: its record, its links and the tables are part of the host. */
static int add_other(struct facts *facts, const char *path)
{
    struct policy *policy = load(path);
    struct plan *plan = policy ? build(policy, facts) : NULL;

    if (!plan) {
        policy_free(policy);
        return -EINVAL;
    }
    *ARENA_PUSH(facts->arena, facts, others) = make_record(policy, plan, facts);
    for (size_t i = 0; i < plan->ops_count; i++) {
        const struct op *op = &plan->ops[i];

        if (op->kind == OP_BRIDGE_ADD)
            add_link(facts, op->bridge.name, false);
        if (op->kind == OP_NFT_TABLE_ADD && op->where == WHERE_HOST)
            facts->has_inet_table = facts->has_bridge_table = true;
    }
    facts->pid++;
    facts->seed++;
    plan_free(plan);
    policy_free(policy);
    return 0;
}

static void dump_ops(const struct plan *plan, struct buf *out)
{
    static const char *const places[] = {[WHERE_JAIL] = "jail",
                                         [WHERE_HOST] = "host",
                                         [WHERE_SERVICE] = "service",
                                         [WHERE_PEER] = "peer"};

    for (size_t i = 0; i < plan->ops_count; i++) {
        const struct op *op = &plan->ops[i];

        if (op->kind == OP_NFT_RULE_ADD || op->kind == OP_NFT_CHAIN_ADD ||
            op->kind == OP_NFT_SET_ADD)
            continue;
        buf_printf(out, "%s: ", places[op->where]);
        op_describe(plan, op, out);
        if (plan->sources && op->position.source) {
            buf_puts(out, " (");
            position_print(plan->sources, op->position, out);
            buf_puts(out, ")");
        }
        buf_puts(out, "\n");
    }
}

static void dump_undo(const struct policy *policy, const struct plan *plan,
                      const struct facts *facts, struct buf *out)
{
    struct record *record = make_record(policy, plan, facts);
    struct plan *own = undo_own(record);
    struct plan *shared = undo_shared(record, facts->others, facts->others_count);

    record_print(record, out);
    buf_puts(out, "-- own\n");
    dump_ops(own, out);
    buf_puts(out, "-- shared\n");
    dump_ops(shared, out);
    plan_free(own);
    plan_free(shared);
    record_free(record);
}

static void dump(const struct policy *policy, const struct plan *plan, const struct facts *facts,
                 const char *mode)
{
    cleanup_buf struct buf out = {0};

    if (strcmp(mode, "--script") == 0) {
        plan_print(plan, "jail", &out);
    } else if (strcmp(mode, "--undo") == 0) {
        dump_undo(policy, plan, facts, &out);
    } else {
        dump_ops(plan, &out);
        plan_print_ruleset(plan, WHERE_JAIL, NFT_INET, &out);
        if (plan->needs_host) {
            plan_print_ruleset(plan, WHERE_HOST, NFT_INET, &out);
            plan_print_ruleset(plan, WHERE_HOST, NFT_BRIDGE, &out);
        }
    }
    (void)fputs(buf_text(&out), stdout); /* a golden test sees what is missing */
}

int main(int argc, char **argv)
{
    struct facts *facts = invent_host();
    struct policy *policy = NULL;
    struct plan *plan = NULL;
    const char *mode = "";
    int status = argc < 2 ? 2 : 0;

    for (int i = 2; i < argc && status == 0; i++) {
        if (strcmp(argv[i], "--other") == 0 && i + 1 < argc)
            status = add_other(facts, argv[++i]) < 0 ? 1 : 0;
        else if (strcmp(argv[i], "--ending") == 0 && facts->others_count > 0)
            facts->others[facts->others_count - 1]->state = RECORD_ENDING;
        else if (strcmp(argv[i], "--unprivileged") == 0)
            facts->privileged = false;
        else
            mode = argv[i];
    }
    if (status == 0) {
        policy = load(argv[1]);
        plan = policy ? build(policy, facts) : NULL;
        if (plan)
            dump(policy, plan, facts, mode);
        else
            status = 1;
    }
    plan_free(plan);
    policy_free(policy);
    facts_free(facts);
    return status;
}
