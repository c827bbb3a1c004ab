/* Plans: their order, what they refuse, what two jails share. The texts are golden tests. */
#include "plan_fixture.h"

#include "plan/host_tables.h"

#include <errno.h>

#define NETWORK "network app { address 10.10.0.1/24; address fd00:10::1/64; nat }\n"
#define WEB     "name web\n" NETWORK "link eth0 bridge app\n"

/* A policy, its plan on a host, and all that belongs to it. */
struct built {
    struct policy *policy;
    struct diags *diags;
    struct plan *plan;
    int code;
};

static struct built build(const char *text, const struct facts *facts)
{
    struct built built = {.policy = fixture_policy(text)};

    built.diags = policy_diags(built.policy);
    built.code = plan_build(built.policy, facts, built.diags, &built.plan);
    return built;
}

static void built_free(struct built *built)
{
    plan_free(built->plan);
    policy_free(built->policy);
}

/* Another jail runs on this host. */
static struct record *add_other(struct facts *facts, const char *name, const char *text)
{
    struct built other = build(text, facts);
    struct record *record = record_new();

    assert_int_equal(other.code, 0);
    memcpy(record->name, name, strlen(name));
    record_from_plan(record, other.plan);
    *ARENA_PUSH(facts->arena, facts, others) = record;
    for (size_t i = 0; i < other.plan->ops_count; i++) {
        const struct op *op = &other.plan->ops[i];

        if (op->kind == OP_BRIDGE_ADD) {
            struct fact_link *link = ARENA_PUSH(facts->arena, facts, links);

            memcpy(link->name, op->bridge.name, sizeof link->name);
            link->group = GROUP_NETWORK;
            link->is_bridge = true;
        } else if (op->kind == OP_SYSCTL_SET && op->where == WHERE_HOST) {
            struct record_sysctl *sysctl = ARENA_PUSH(record->arena, record, sysctls);

            memcpy(sysctl->path, op->sysctl.path, sizeof sysctl->path);
            memcpy(sysctl->ours, op->sysctl.value, sizeof sysctl->ours);
            memcpy(sysctl->was, "0", 2);
        }
    }
    facts->has_inet_table = facts->has_bridge_table = true;
    facts->seed++;
    built_free(&other);
    return record;
}

static size_t count_ops(const struct plan *plan, enum op_kind kind, enum where where)
{
    size_t count = 0;

    for (size_t i = 0; i < plan->ops_count; i++)
        count += plan->ops[i].kind == kind && plan->ops[i].where == where;
    return count;
}

static size_t find_op(const struct plan *plan, enum op_kind kind, enum where where)
{
    for (size_t i = 0; i < plan->ops_count; i++)
        if (plan->ops[i].kind == kind && plan->ops[i].where == where)
            return i;
    fail_msg("no op %d at %d", kind, where);
    return 0;
}

static size_t find_set(const struct plan *plan, enum host_set set)
{
    for (size_t i = 0; i < plan->ops_count; i++)
        if (plan->ops[i].kind == OP_NFT_ELEMENTS_ADD && plan->ops[i].where == WHERE_HOST &&
            strcmp(plan->ops[i].elements.set, host_set(set)->name) == 0)
            return i;
    return plan->ops_count;
}

static size_t find_sysctl(const struct plan *plan, const char *path)
{
    for (size_t i = 0; i < plan->ops_count; i++)
        if (plan->ops[i].kind == OP_SYSCTL_SET && strcmp(plan->ops[i].sysctl.path, path) == 0)
            return i;
    return plan->ops_count;
}

static bool says(const struct built *built, const char *words)
{
    cleanup_buf struct buf out = {0};

    diags_print(built->diags, &out);
    return strstr(buf_text(&out), words) != NULL;
}

/* The jail is closed before it exists elsewhere; what opens comes last. */
static void test_order(void **unused)
{
    struct facts *facts = fixture_facts();
    struct built web = build(WEB "publish any:8080 to 80\n", facts);
    const struct plan *plan = web.plan;
    size_t forwarding = find_sysctl(plan, "net/ipv4/conf/eth0/forwarding");

    (void)unused;
    assert_int_equal(web.code, 0);
    assert_int_equal(plan->ops[0].kind, OP_SYSCTL_SET);
    assert_true(find_op(plan, OP_NFT_RULE_ADD, WHERE_JAIL) < find_op(plan, OP_LINK_UP, WHERE_JAIL));
    assert_true(find_op(plan, OP_LISTEN, WHERE_SERVICE) <
                find_op(plan, OP_NFT_TABLE_ADD, WHERE_HOST));
    assert_true(find_op(plan, OP_NFT_RULE_ADD, WHERE_HOST) <
                find_op(plan, OP_BRIDGE_ADD, WHERE_HOST));
    assert_true(find_set(plan, HOST_SET_PIN4) < find_op(plan, OP_VETH_ADD, WHERE_HOST));
    assert_true(find_set(plan, HOST_SET_GUARD4) < forwarding);
    assert_true(find_op(plan, OP_ROUTE_ADD, WHERE_JAIL) < forwarding);
    assert_true(forwarding < plan->ops_count);
    assert_int_equal(plan->ops[plan->ops_count - 1].kind, OP_LINK_CHECK);
    assert_true(plan->needs_host && plan->needs_service && !plan->pings);
    built_free(&web);
    facts_free(facts);
}

/* The jail's rules are one batch: nothing else between them. */
static void test_jail_table_is_one_batch(void **unused)
{
    struct facts *facts = fixture_facts();
    struct built web = build(WEB "allow out icmp\n", facts);
    size_t first = find_op(web.plan, OP_NFT_TABLE_ADD, WHERE_JAIL);
    size_t last = first;

    (void)unused;
    for (size_t i = 0; i < web.plan->ops_count; i++)
        if (web.plan->ops[i].where == WHERE_JAIL && web.plan->ops[i].kind >= OP_NFT_TABLE_ADD &&
            web.plan->ops[i].kind <= OP_NFT_ELEMENTS_ADD)
            last = i;
    for (size_t i = first; i <= last; i++)
        assert_in_range(web.plan->ops[i].kind, OP_NFT_TABLE_ADD, OP_NFT_ELEMENTS_ADD);
    assert_true(web.plan->pings);
    built_free(&web);
    facts_free(facts);
}

/* The second jail makes neither bridge nor tables, has another address, and its share of the rest.
 */
static void test_second_jail(void **unused)
{
    struct facts *facts = fixture_facts();
    struct record *web = add_other(facts, "web", WEB);
    struct built second;

    (void)unused;
    facts->links[0].forwarding4 = 1; /* because of web */
    facts->links[0].forwarding6 = 1;
    second = build("name second\n" NETWORK "link eth0 bridge app\n", facts);
    assert_int_equal(second.code, 0);
    assert_int_equal(count_ops(second.plan, OP_BRIDGE_ADD, WHERE_HOST), 0);
    assert_int_equal(count_ops(second.plan, OP_NFT_TABLE_ADD, WHERE_HOST), 0);
    assert_true(find_set(second.plan, HOST_SET_NETS) < second.plan->ops_count);
    assert_true(find_set(second.plan, HOST_SET_GUARD4) < second.plan->ops_count);
    assert_true(find_sysctl(second.plan, "net/ipv4/conf/eth0/forwarding") < second.plan->ops_count);
    for (size_t i = 0; i < 2; i++)
        assert_false(
            addr_equal(&second.plan->addresses[i].prefix.addr, &web->addresses[i].prefix.addr));
    built_free(&second);
    facts_free(facts);
}

/* An uplink that forwards without us is left alone, unguarded. */
static void test_forwarding_of_the_host(void **unused)
{
    struct facts *facts = fixture_facts();
    struct built web;

    (void)unused;
    facts->links[0].forwarding4 = 1;
    facts->links[0].forwarding6 = 1;
    web = build(WEB, facts);
    assert_int_equal(find_set(web.plan, HOST_SET_GUARD4), web.plan->ops_count);
    assert_int_equal(find_sysctl(web.plan, "net/ipv4/conf/eth0/forwarding"), web.plan->ops_count);
    assert_true(find_sysctl(web.plan, "net/ipv4/conf/app/forwarding") < web.plan->ops_count);
    built_free(&web);
    facts_free(facts);
}

/* Each family for itself: what the host routes already is neither switched nor guarded. */
static void test_guards_by_family(void **unused)
{
    struct facts *facts = fixture_facts();
    struct built web;

    (void)unused;
    facts->links[0].forwarding4 = 1;
    web = build(WEB, facts);
    assert_int_equal(find_set(web.plan, HOST_SET_GUARD4), web.plan->ops_count);
    assert_true(find_set(web.plan, HOST_SET_GUARD6) < web.plan->ops_count);
    built_free(&web);
    facts->links[0].forwarding4 = 0;
    facts->all_forwarding6 = 1; /* all interfaces, whatever force_forwarding says */
    web = build(WEB, facts);
    assert_true(find_set(web.plan, HOST_SET_GUARD4) < web.plan->ops_count);
    assert_int_equal(find_set(web.plan, HOST_SET_GUARD6), web.plan->ops_count);
    assert_int_equal(find_sysctl(web.plan, "net/ipv6/conf/eth0/force_forwarding"),
                     web.plan->ops_count);
    built_free(&web);
    facts_free(facts);
}

/* An external bridge has other members: only the jail's addresses are closed off. */
static void test_guests(void **unused)
{
    struct facts *facts = fixture_facts();
    struct built jail =
        build("network docker0 { external }\n"
              "link e0 bridge docker0 { address 172.17.0.9/16 ; address fd00:17::9/64 }\n",
              facts);

    (void)unused;
    assert_int_equal(jail.code, 0);
    assert_int_equal(find_set(jail.plan, HOST_SET_NETS), jail.plan->ops_count);
    assert_true(find_set(jail.plan, HOST_SET_GUESTS4) < jail.plan->ops_count);
    assert_true(find_set(jail.plan, HOST_SET_GUESTS6) < jail.plan->ops_count);
    assert_int_equal(jail.plan->ops[find_set(jail.plan, HOST_SET_GUESTS4)].elements.timeout_ms, 0);
    built_free(&jail);
    facts_free(facts);
}

static size_t find_jail_set(const struct plan *plan, const char *name)
{
    for (size_t i = 0; i < plan->ops_count; i++)
        if (plan->ops[i].kind == OP_NFT_SET_ADD && plan->ops[i].where == WHERE_JAIL &&
            strcmp(plan->ops[i].set.name, name) == 0)
            return i;
    return plan->ops_count;
}

/* What is published on loopback comes by lo, and opens nothing else; where DNAT carries the rest,
 * the service's socket is for the host alone. */
static void test_publish_opens_no_more_than_it_says(void **unused)
{
    static const struct {
        const char *text;
        bool opens;
        bool is_local;
    } cases[] = {
        {NETWORK "link eth0 bridge app\npublish 8080 to 80\n", false, false},
        {NETWORK "link eth0 bridge app\npublish any:8080 to 80\n", true, true},
        {NETWORK "link eth0 bridge app\npublish 192.0.2.10:8080 to 80\n", true, true},
        {"publish any:8080 to 80\n", false, false},
    };
    struct facts *facts = fixture_facts();

    (void)unused;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct built jail = build(cases[i].text, facts);
        size_t listen = find_op(jail.plan, OP_LISTEN, WHERE_SERVICE);

        if ((find_jail_set(jail.plan, "published") < jail.plan->ops_count) != cases[i].opens ||
            jail.plan->ops[listen].listen.is_local != cases[i].is_local)
            fail_msg("%s", cases[i].text);
        built_free(&jail);
    }
    facts_free(facts);
}

/* What the host is connected to already stays reachable, and an external bridge has what is said.
 */
static void test_overlap(void **unused)
{
    static const struct {
        const char *text;
        const char *error; /* NULL: none */
    } cases[] = {
        {"link eth0 veth host { address 192.0.2.6/30 ; peer-address 192.0.2.5/30 }\n",
         "overlaps 192.0.2.10/24 of the host's interface 'eth0'"},
        {"link eth0 veth host { address 192.0.2.10/30 ; peer-address 192.0.2.9/30 }\n",
         "192.0.2.10 is the address of the host's 'eth0' already"},
        {"link eth0 veth host { address 2001:db8:1::2:2/120 ; peer-address 2001:db8:1::2:1/120 }\n",
         "overlaps 2001:db8:1::10/64"},
        {"link eth0 veth host { address 192.0.2.77/24 }\n", "overlaps 192.0.2.10/24"},
        {"link eth0 veth host { address 192.0.2.77/32 }\n", NULL},
        {"link eth0 veth host { address 10.9.0.2/30 ; peer-address 10.9.0.1/30 }\n", NULL},
        {"link eth0 veth host { address 10.10.0.6/30 ; peer-address 10.10.0.5/30 }\n",
         "of jail 'web'"},
        {"network docker0 { external ; address 172.17.0.1/16 }\nlink eth0 bridge docker0\n", NULL},
        {"network docker0 { external ; address 172.17.0.2/16 }\nlink eth0 bridge docker0\n",
         "it has 172.17.0.1/16"},
        {"network docker0 { external ; address 172.17.0.1/24 }\nlink eth0 bridge docker0\n",
         "the host's bridge 'docker0' does not have the address 172.17.0.1/24"},
        {"network docker0 { external ; address fd00::1/64 }\nlink eth0 bridge docker0\n",
         "ip address add fd00::1/64 dev docker0"},
    };
    struct facts *facts = fixture_facts();

    (void)unused;
    (void)add_other(facts, "web",
                    "name web\nlink e veth host { address 10.10.0.2/24 ; "
                    "peer-address 10.10.0.1/24 ; peer-name toweb }\n");
    struct fact_address *theirs = ARENA_PUSH(facts->arena, facts, addresses);
    memcpy(theirs->ifname, "toweb", 5);
    assert_int_equal(prefix_parse("10.10.0.1/24", 12, &theirs->prefix), 0);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct built jail = build(cases[i].text, facts);
        cleanup_buf struct buf out = {0};

        diags_print(jail.diags, &out);
        if (cases[i].error ? !strstr(buf_text(&out), cases[i].error) : jail.code != 0)
            fail_msg("%s%s", cases[i].text, buf_text(&out));
        built_free(&jail);
    }
    facts_free(facts);
}

/* A kernel without force_forwarding: router advertisements go on working where they did. */
static void test_forwarding_all6(void **unused)
{
    struct facts *facts = fixture_facts();
    struct built web;
    size_t all;

    (void)unused;
    facts->has_force_forwarding = false;
    facts->links[0].forwarding6 = -1;
    web = build(WEB, facts);
    all = find_sysctl(web.plan, "net/ipv6/conf/all/forwarding");
    assert_true(all < web.plan->ops_count);
    assert_true(find_sysctl(web.plan, "net/ipv6/conf/eth0/accept_ra") < all);
    built_free(&web);
    facts->links[0].accept_ra = 0;
    web = build(WEB, facts);
    assert_int_equal(find_sysctl(web.plan, "net/ipv6/conf/eth0/accept_ra"), web.plan->ops_count);
    built_free(&web);
    facts_free(facts);
}

/* Without nat and without a port open to others nothing forwards. */
static void test_no_forwarding(void **unused)
{
    struct facts *facts = fixture_facts();
    struct built jail = build("network app { address 10.10.0.1/24 }\nlink eth0 bridge app\n"
                              "publish 8080 to 80\n",
                              facts);

    (void)unused;
    for (size_t i = 0; i < jail.plan->ops_count; i++)
        if (jail.plan->ops[i].kind == OP_SYSCTL_SET && jail.plan->ops[i].where == WHERE_HOST)
            assert_null(strstr(jail.plan->ops[i].sysctl.path, "forwarding"));
    assert_int_equal(find_set(jail.plan, HOST_SET_GUARD4), jail.plan->ops_count);
    built_free(&jail);
    facts_free(facts);
}

static void test_obstacles(void **unused)
{
    static const struct {
        const char *text;
        const char *words;
    } cases[] = {
        {"name web\n", "a jail 'web' is already running"},
        {"publish 8080\n", "published by jail 'web'"},
        {"publish any:8080\n", "published by jail 'web'"},
        {"network app { address 10.10.0.1/24 }\nlink eth0 bridge app\n", "runs with {"},
        {NETWORK "link eth0 bridge app { address 10.10.0.9/24 }\n", "address of jail 'web'"},
        {NETWORK "link eth0 bridge app { host-name webport }\n", "interface name 'webport'"},
    };
    struct facts *facts = fixture_facts();
    struct record *web = add_other(
        facts, "web",
        "name web\n" NETWORK "link eth0 bridge app { address 10.10.0.9/24; host-name webport }\n"
        "publish 8080 to 80\n");

    (void)unused;
    for (size_t i = 0; i < 2 * sizeof cases / sizeof cases[0]; i++) {
        struct built built;

        web->state = i % 2 ? RECORD_ENDING : RECORD_RUNNING;
        built = build(cases[i / 2].text, facts);
        if (!says(&built, cases[i / 2].words))
            fail_msg("%s: does not say: %s", cases[i / 2].text, cases[i / 2].words);
        assert_int_equal(built.code, i % 2 ? -EAGAIN : -EINVAL);
        assert_null(built.plan);
        built_free(&built);
    }
    facts_free(facts);
}

/* What the host itself has in the way never goes away by waiting. */
static void test_obstacles_of_the_host(void **unused)
{
    static const struct {
        const char *text;
        const char *words;
    } cases[] = {
        {"network docker0 { address 10.1.0.1/24 }\nlink e0 bridge docker0\n", "say 'external'"},
        {"network app { address 192.0.2.1/25 }\nlink e0 bridge app\n", "overlaps 192.0.2.10/24"},
        {"network nobr { external }\nlink e0 bridge nobr { address 10.1.1.2/24 }\n",
         "there is no bridge 'nobr'"},
        {"network eth0 { external }\nlink e0 bridge eth0 { address 10.1.1.2/24 }\n",
         "is not a bridge"},
        {NETWORK "link e0 bridge app { host-name eth0 }\n", "an interface 'eth0' already"},
    };
    struct facts *facts = fixture_facts();

    (void)unused;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct built built = build(cases[i].text, facts);

        if (!says(&built, cases[i].words))
            fail_msg("%s: does not say: %s", cases[i].text, cases[i].words);
        assert_int_equal(built.code, -EINVAL);
        built_free(&built);
    }
    facts_free(facts);
}

static void test_privilege(void **unused)
{
    struct facts *facts = fixture_facts();
    struct built built;

    (void)unused;
    facts->privileged = false;
    built = build(WEB, facts);
    assert_int_equal(built.code, -EINVAL);
    assert_true(says(&built, "test.conf:3"));
    assert_true(says(&built, "sudo"));
    built_free(&built);
    built = build("publish 8080 to 80\nallow out tcp to 10.0.0.1\n", facts);
    assert_int_equal(built.code, 0);
    assert_false(built.plan->needs_host);
    built_free(&built);
    facts_free(facts);
}

/* Host services open for what a rule names exactly, and for nothing else. */
static void test_host_elements(void **unused)
{
    static const struct {
        const char *rule;
        bool opens;
    } cases[] = {
        {"allow out tcp to host port 53\n", true},
        {"allow out to gateway\n", true},
        {"allow out tcp to 10.10.0.1 port 53\n", true},
        {"allow out tcp to 192.0.2.10\n", true},
        {"allow out tcp to any port 53\n", false},
        {"allow out tcp to 10.10.0.0/24\n", false},
        {"deny out tcp to host\n", false},
        {"allow in tcp from host\n", false},
    };
    struct facts *facts = fixture_facts();

    (void)unused;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        cleanup_buf struct buf text = {0};
        struct built built;

        buf_printf(&text, "%s%s", WEB, cases[i].rule);
        built = build(buf_text(&text), facts);
        if ((find_set(built.plan, HOST_SET_HOST4) < built.plan->ops_count) != cases[i].opens)
            fail_msg("%s", cases[i].rule);
        built_free(&built);
    }
    facts_free(facts);
}

static void test_names(void **unused)
{
    struct policy *policy = policy_new();
    char name[JAIL_NAME_MAX + 1];

    (void)unused;
    plan_jail_name(policy, 7, name);
    assert_string_equal(name, "jail-7");
    policy->file_base = "a-base-name-that-is-so-long-that-it-does-not-fit-into-a-jail-name-at-all";
    plan_jail_name(policy, INT32_MAX, name);
    assert_string_equal(strrchr(name, '-'), "-2147483647");
    policy->name = "web";
    plan_jail_name(policy, 7, name);
    assert_string_equal(name, "web");
    policy_free(policy);
}

#define RED "name red\nallow in icmp\n"
#define BLUE                                                                                       \
    "name blue\nlink eth0 veth jail red { address 10.5.0.2/24; peer-address 10.5.0.1/24 }\n"       \
    "allow in icmp\n"

/* A cable has nothing on the host, and asks for the other jail's record. */
static void test_cable(void **unused)
{
    struct facts *facts = fixture_facts();
    struct record *red = add_other(facts, "red", RED);
    struct built blue;

    (void)unused;
    red->pid = 77;
    red->pid_start = 1234;
    blue = build(BLUE, facts);
    assert_int_equal(blue.code, 0);
    assert_false(blue.plan->needs_host);
    assert_int_equal(blue.plan->peers_count, 1);
    assert_string_equal(blue.plan->peers[0].name, "red");
    assert_int_equal(blue.plan->peers[0].pid, 77);
    assert_int_equal(blue.plan->peers[0].pid_start, 1234);
    assert_int_equal(count_ops(blue.plan, OP_VETH_ADD, WHERE_PEER), 1);
    assert_string_equal(blue.plan->ops[find_op(blue.plan, OP_VETH_ADD, WHERE_PEER)].veth.host_name,
                        "to-blue");
    /* The address is no address of the host's, and may be used on another cable. */
    assert_string_equal(blue.plan->addresses[0].network, PLACE_ELSEWHERE);
    built_free(&blue);
    facts_free(facts);
}

static void test_cable_refused(void **unused)
{
    struct facts *facts = fixture_facts();
    struct built blue = build(BLUE, facts);
    struct record *red;

    (void)unused;
    assert_int_equal(blue.code, -ENOLINK);
    assert_true(says(&blue, "jail 'red' does not run"));
    built_free(&blue);

    red = add_other(facts, "red", RED);
    red->uid = 1000;
    facts->uid = 1001;
    blue = build(BLUE, facts);
    assert_int_equal(blue.code, -EINVAL);
    assert_true(says(&blue, "belongs to user 1000"));
    built_free(&blue);
    facts->uid = 0; /* root may */
    blue = build(BLUE, facts);
    assert_int_equal(blue.code, 0);
    built_free(&blue);

    red->state = RECORD_ENDING;
    blue = build(BLUE, facts);
    assert_int_equal(blue.code, -ENOLINK);
    built_free(&blue);
    red->state = RECORD_RUNNING;

    blue = build("name blue\nlink eth0 veth jail blue { address 10.5.0.2/24 }\n", facts);
    assert_int_equal(blue.code, -EINVAL);
    assert_true(says(&blue, "to itself"));
    built_free(&blue);

    facts->privileged = false;
    blue = build(BLUE, facts);
    assert_true(says(&blue, "needs privilege"));
    built_free(&blue);
    facts_free(facts);
}

/* Two cables to one jail have two names there, each given or chosen. */
static void test_cables_to_one_jail(void **unused)
{
    struct facts *facts = fixture_facts();
    struct built blue;

    (void)unused;
    (void)add_other(facts, "red", RED); /* facts own it */
    blue = build(BLUE "link eth1 veth jail red { address 10.6.0.2/24 }\n", facts);
    assert_int_equal(blue.code, -EINVAL);
    assert_true(says(&blue, "two cables have the name 'to-blue' in 'red'"));
    built_free(&blue);
    blue = build(BLUE "link eth1 veth jail red { address 10.6.0.2/24; peer-name b }\n", facts);
    assert_int_equal(blue.code, 0);
    assert_int_equal(blue.plan->peers_count, 1);
    built_free(&blue);
    facts_free(facts);
}

/* Joining has no ops at all: nothing in that network is touched. */
static void test_join(void **unused)
{
    struct facts *facts = fixture_facts();
    struct record *red = add_other(facts, "red", RED);
    struct built guest;

    (void)unused;
    red->pid = 77;
    red->uid = 1000;
    guest = build("link join red\n", facts);
    assert_int_equal(guest.code, 0);
    assert_int_equal(guest.plan->ops_count, 0);
    assert_true(guest.plan->joins);
    assert_int_equal(guest.plan->joined.pid, 77);
    built_free(&guest);
    guest = build("link join lab\n", facts); /* perhaps in /run/netns */
    assert_int_equal(guest.plan->joined.pid, 0);
    built_free(&guest);
    facts->uid = 1001;
    guest = build("link join red\n", facts);
    assert_int_equal(guest.code, -EINVAL);
    assert_true(says(&guest, "belongs to user 1000"));
    built_free(&guest);
    facts->privileged = false;
    guest = build("link join red\n", facts);
    assert_true(says(&guest, "needs privilege"));
    built_free(&guest);
    facts_free(facts);
}

/* What is renewed is what was made, in memory of its own: the plan itself may go first. */
static void test_running(void **unused)
{
    struct facts *facts = fixture_facts();
    struct policy *policy = fixture_policy("network app { address 10.10.0.1/16; nat }\nname web\n"
                                           "link eth0 bridge app { address 10.10.0.5/16 }\n"
                                           "publish 192.0.2.10:8080 to 80\nallow out tcp port 7\n");
    struct plan *plan = fixture_plan(policy, facts, policy_diags(policy));
    struct plan *running = plan_running(plan);
    size_t k = 0;

    (void)unused;
    for (size_t i = 0; i < plan->ops_count; i++) {
        const struct op *op = &plan->ops[i];

        if (op->kind != OP_NFT_ELEMENTS_ADD || op->where != WHERE_HOST ||
            op->elements.timeout_ms == 0)
            continue;
        assert_true(k < running->ops_count);
        assert_string_equal(running->ops[k].elements.set, op->elements.set);
        assert_int_equal(running->ops[k].elements.count, op->elements.count);
        assert_memory_equal(running->bytes + running->ops[k].elements.first_byte,
                            plan->bytes + op->elements.first_byte,
                            op->elements.count * nft_element_size(op));
        k++;
    }
    assert_true(k >= 2); /* what is published, and the pin of the port */
    assert_int_equal(running->ops_count, k);
    assert_true(running->needs_host);
    plan_free(plan);
    plan_free(running);
    policy_free(policy);
    facts_free(facts);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_join),
        cmocka_unit_test(test_running),
        cmocka_unit_test(test_cable),
        cmocka_unit_test(test_cable_refused),
        cmocka_unit_test(test_cables_to_one_jail),
        cmocka_unit_test(test_order),
        cmocka_unit_test(test_jail_table_is_one_batch),
        cmocka_unit_test(test_second_jail),
        cmocka_unit_test(test_forwarding_of_the_host),
        cmocka_unit_test(test_overlap),
        cmocka_unit_test(test_forwarding_all6),
        cmocka_unit_test(test_no_forwarding),
        cmocka_unit_test(test_obstacles),
        cmocka_unit_test(test_obstacles_of_the_host),
        cmocka_unit_test(test_privilege),
        cmocka_unit_test(test_host_elements),
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_guards_by_family),
        cmocka_unit_test(test_guests),
        cmocka_unit_test(test_publish_opens_no_more_than_it_says),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
