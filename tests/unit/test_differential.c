/* policy_decide() against the kernel: random policies are compiled by the plan, loaded into a
 * jail's namespace by the project's own code, and judge real packets.
 *
 * The packets are raw, so that any address and protocol can be had: into the jail over a veth, out
 * of it by a raw socket. Each has a mark of its own. A table of the test's own stands behind
 * netjail's chains and notes the marks of what was let through, and in front of the output hook
 * those of what was refused (the kernel gives a refusal the mark of what it refuses); it drops
 * both, so no connection is ever confirmed and no packet depends on another. Skipped where
 * namespaces, nft(8) or ip(8) are missing. NETJAIL_TEST_SEED=N repeats a run. */
#include "base/cleanup.h"
#include "kernel/apply.h"
#include "plan_fixture.h"
#include "random_policy.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_packet.h>
#include <linux/netlink.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define ROUNDS       60
#define PACKETS      300
#define TIME_LIMIT_S 20

/* One packet as bytes, for the wire and for raw sockets. */
struct bytes {
    uint8_t data[128];
    size_t length;
};

struct sample {
    struct packet packet;
    uint32_t mark;
    bool accepted;
    bool refused;
};

struct world {
    int host_ns, jail_ns;
    int wire_fd; /* AF_PACKET on the host's end of the veth */
    int wire_index;
    int raw4_fd, raw6_fd; /* in the jail */
    struct kernel *kernel;
    int route_fd, nft_fd;
};

static const char *const jail_sysctls[] = {
    "ipv4/conf/all/rp_filter=0", "ipv4/conf/eth0/rp_filter=0",        "ipv4/icmp_ratemask=0",
    "ipv6/icmp/ratelimit=0",     "ipv6/icmp/ratemask=2-127",          "ipv4/fwmark_reflect=1",
    "ipv6/fwmark_reflect=1",     "netfilter/nf_conntrack_checksum=0",
};

static void must(int result, const struct error *error)
{
    if (result < 0)
        fail_msg("%d: %s", result, error->text);
}

/* Runs a command in a namespace; its output, which the caller frees. */
static char *run(const struct world *world, int ns, const char *command)
{
    char *text = calloc(1, 1 << 20);
    FILE *pipe;
    size_t length;

    assert_int_equal(setns(ns, CLONE_NEWNET), 0);
    pipe = popen(command, "re");
    assert_non_null(pipe);
    length = fread(text, 1, (1 << 20) - 1, pipe);
    text[length] = '\0';
    if (pclose(pipe) != 0)
        fail_msg("failed: %s", command);
    assert_int_equal(setns(world->host_ns, CLONE_NEWNET), 0);
    return text;
}

static void run_quietly(const struct world *world, int ns, const char *command)
{
    free(run(world, ns, command));
}

/* Marks as they are in memory: bytes of the header for what comes in, ours for what goes out. */
static uint32_t mark_of(const uint8_t bytes[4])
{
    uint32_t mark;

    memcpy(&mark, bytes, sizeof mark);
    return mark;
}

static void load_probe(const struct world *world)
{
    cleanup_buf struct buf text = {0};
    uint32_t mask = mark_of((const uint8_t[]){0xff, 0xff, 0, 0});
    uint32_t own = mark_of((const uint8_t[]){1, 0, 0, 0});

    buf_printf(&text,
               "nft -f - <<'END'\n"
               "table inet probe {\n"
               "set accepted { typeof meta mark; size 65535; flags dynamic; }\n"
               "set refused { typeof meta mark; size 65535; flags dynamic; }\n"
               "chain arrive { type filter hook prerouting priority -310;\n"
               "iifname eth0 meta nfproto ipv4 meta mark set @nh,32,32\n"
               "iifname eth0 meta nfproto ipv6 meta mark set @nh,0,32\n}\n"
               "chain behind_input { type filter hook input priority 100;\n"
               "iifname eth0 add @accepted { meta mark } drop\n}\n"
               "chain behind_output { type filter hook postrouting priority 100;\n"
               "oifname eth0 meta mark and 0x%x == 0x%x add @accepted { meta mark } drop\n}\n"
               "chain refusals { type filter hook output priority -310;\n"
               "meta mark 0 accept\n"
               "oifname lo add @refused { meta mark } drop\n"
               "meta mark and 0x%x != 0x%x add @refused { meta mark } drop\n}\n}\nEND\n",
               mask, own, mask, own);
    run_quietly(world, world->jail_ns, buf_text(&text));
}

/* The jail has more addresses than the plan gives it, so that rules about destinations matter. */
static void make_wire(struct world *world)
{
    char command[512];

    (void)snprintf(command, sizeof command,
                   "ip link add wire0 address 02:00:00:00:00:01 type veth peer name eth0 "
                   "address 02:00:00:00:00:05 netns /proc/%d/fd/%d && "
                   "echo 1 > /proc/sys/net/ipv6/conf/wire0/disable_ipv6 && ip link set wire0 up",
                   (int)getpid(), world->jail_ns); /* fits */
    run_quietly(world, world->host_ns, command);
    run_quietly(world, world->jail_ns,
                "set -e; ip link set lo up; ip addr add 10.10.0.5/24 dev eth0; "
                "ip addr add fd00:10::5/64 dev eth0 nodad; ip link set eth0 up; "
                "ip route add local 10.10.0.4/30 dev eth0; "
                "for i in 4 6 7; do ip route add local fd00:10::$i dev eth0; done; "
                "ip route add default via 10.10.0.1; ip route add default via fd00:10::1");
    for (size_t i = 0; i < ARRAY_LENGTH(jail_sysctls); i++) {
        const char *equals = strchr(jail_sysctls[i], '=');

        (void)snprintf(command, sizeof command,
                       "[ ! -e /proc/sys/net/%.*s ] || echo %s > "
                       "/proc/sys/net/%.*s",
                       (int)(equals - jail_sysctls[i]), jail_sysctls[i], equals + 1,
                       (int)(equals - jail_sysctls[i]), jail_sysctls[i]); /* fits */
        run_quietly(world, world->jail_ns, command);
    }
}

static void open_sockets(struct world *world)
{
    struct sockaddr_ll address = {.sll_family = AF_PACKET};

    world->wire_fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
    assert_true(world->wire_fd >= 0);
    world->wire_index = (int)if_nametoindex("wire0");
    address.sll_ifindex = world->wire_index;
    assert_int_equal(bind(world->wire_fd, (struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(setns(world->jail_ns, CLONE_NEWNET), 0);
    world->raw4_fd = socket(AF_INET, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_RAW);
    world->raw6_fd = socket(AF_INET6, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_RAW);
    assert_true(world->raw4_fd >= 0 && world->raw6_fd >= 0);
    assert_int_equal(setns(world->host_ns, CLONE_NEWNET), 0);
}

static int set_up(void **state_of_test)
{
    struct world *world = calloc(1, sizeof *world);
    struct error error = {0};

    *state_of_test = world;
    if (geteuid() != 0 || system("command -v nft >/dev/null && command -v ip >/dev/null") != 0 ||
        unshare(CLONE_NEWNET) < 0)
        return 0;
    world->host_ns = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
    assert_int_equal(unshare(CLONE_NEWNET), 0);
    world->jail_ns = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
    world->route_fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
    world->nft_fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_NETFILTER);
    assert_int_equal(setns(world->host_ns, CLONE_NEWNET), 0);
    struct jail_sockets sockets = {
        .route_fd = world->route_fd, .nft_fd = world->nft_fd, .netns_fd = world->jail_ns};
    must(kernel_open(&sockets, false, &world->kernel, &error), &error);
    make_wire(world);
    open_sockets(world);
    return 0;
}

static int tear_down(void **state_of_test)
{
    struct world *world = *state_of_test;

    if (world->kernel) {
        int fds[] = {world->route_fd, world->nft_fd,  world->wire_fd, world->raw4_fd,
                     world->raw6_fd,  world->host_ns, world->jail_ns};

        kernel_close(world->kernel);
        for (size_t i = 0; i < ARRAY_LENGTH(fds); i++)
            (void)close(fds[i]); /* sockets and namespaces of the test's own */
    }
    free(world);
    return 0;
}

static uint32_t sum_add(uint32_t sum, const uint8_t *data, size_t length)
{
    for (size_t i = 0; i < length; i++)
        sum += i & 1 ? data[i] : (uint32_t)data[i] << 8;
    while (sum >> 16)
        sum = (sum & 0xffff) + (sum >> 16);
    return sum;
}

static void sum_put(uint8_t *at, uint32_t sum)
{
    at[0] = (uint8_t)(~sum >> 8);
    at[1] = (uint8_t)~sum;
}

/* Fills in the transport's header; returns its length and where its checksum goes (0: nowhere). */
static size_t transport_make(const struct packet *packet, uint8_t *out, size_t *ret_checksum)
{
    static const uint8_t init_chunk[] = {1,   0,   0, 20, 0, 0, 0, 9, 0, 0,
                                         255, 255, 0, 1,  0, 1, 0, 0, 0, 9};

    *ret_checksum = 0;
    memset(out, 0, 40);
    out[0] = 0x9c; /* port 40000 */
    out[1] = 0x40;
    out[2] = (uint8_t)(packet->port >> 8);
    out[3] = (uint8_t)packet->port;
    switch (packet->protocol) {
    case IPPROTO_TCP:
        out[12] = 5 << 4;
        out[13] = 2; /* SYN */
        *ret_checksum = 16;
        return 20;
    case IPPROTO_UDP:
        out[5] = 12;
        *ret_checksum = 6;
        return 12;
    case IPPROTO_SCTP:
        memcpy(out + 12, init_chunk, sizeof init_chunk);
        return 12 + sizeof init_chunk;
    case IPPROTO_ICMP:
    case IPPROTO_ICMPV6:
        out[0] = packet->icmp_type;
        out[1] = 0;
        *ret_checksum = 2;
        return 20;
    case IPPROTO_GRE:
        memset(out, 0, 4);
        return 20;
    default: /* of what it does not know the kernel refuses only what looks intact (nf_reject) */
        memset(out, 0, 4);
        *ret_checksum = 2;
        return 20;
    }
}

static void transport_sum(const struct packet *packet, uint8_t *at, size_t length, size_t checksum)
{
    size_t size = addr_size(packet->source.family);
    uint32_t sum = 0;

    if (checksum == 0)
        return;
    memset(at + checksum, 0, 2);
    if (packet->source.family == ADDR_V6 || packet->protocol == IPPROTO_TCP ||
        packet->protocol == IPPROTO_UDP) {
        sum = sum_add((uint32_t)length + packet->protocol, packet->source.bytes, size);
        sum = sum_add(sum, packet->destination.bytes, size);
    }
    sum_put(at + checksum, sum_add(sum, at, length));
}

static void packet_make(const struct packet *packet, unsigned number, struct bytes *ret_bytes)
{
    struct bytes bytes = {.length = 0};
    uint8_t *at = bytes.data;
    bool v6 = packet->source.family == ADDR_V6;
    size_t header = v6 ? 40 : 20;
    size_t checksum;
    size_t length = transport_make(packet, at + header, &checksum);

    transport_sum(packet, at + header, length, checksum);
    if (v6) {
        at[0] = 0x60;
        at[2] = (uint8_t)(number >> 8); /* the flow label is what its mark is made of */
        at[3] = (uint8_t)number;
        at[5] = (uint8_t)length;
        at[6] = packet->protocol;
        at[7] = 64;
    } else {
        at[0] = 0x45;
        at[3] = (uint8_t)(header + length);
        at[4] = (uint8_t)(number >> 8); /* and here the id */
        at[5] = (uint8_t)number;
        at[8] = 64;
        at[9] = packet->protocol;
    }
    memcpy(at + (v6 ? 8 : 12), packet->source.bytes, addr_size(packet->source.family));
    memcpy(at + (v6 ? 24 : 16), packet->destination.bytes, addr_size(packet->source.family));
    if (!v6)
        sum_put(at + 10, sum_add(0, at, header));
    bytes.length = header + length;
    *ret_bytes = bytes;
}

static void send_in(const struct world *world, struct sample *sample, const struct bytes *bytes)
{
    uint8_t frame[sizeof bytes->data + ETH_HLEN] = {2, 0, 0, 0, 0, 5, 2, 0, 0, 0, 0, 1};
    bool v6 = sample->packet.source.family == ADDR_V6;

    frame[12] = v6 ? 0x86 : 0x08;
    frame[13] = v6 ? 0xdd : 0x00;
    memcpy(frame + ETH_HLEN, bytes->data, bytes->length);
    sample->mark = mark_of(bytes->data + (v6 ? 0 : 4));
    assert_int_equal(send(world->wire_fd, frame, ETH_HLEN + bytes->length, 0),
                     (ssize_t)(ETH_HLEN + bytes->length));
}

/* What the rules turn away comes back as EPERM, or not at all: the marks tell. */
static void send_out(const struct world *world, struct sample *sample, const struct bytes *bytes,
                     unsigned number)
{
    bool v6 = sample->packet.source.family == ADDR_V6;
    int fd = v6 ? world->raw6_fd : world->raw4_fd;
    struct sockaddr_in to4 = {.sin_family = AF_INET};
    struct sockaddr_in6 to6 = {.sin6_family = AF_INET6};
    ssize_t sent;

    sample->mark = mark_of((const uint8_t[]){1, 0, (uint8_t)(number >> 8), (uint8_t)number});
    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_MARK, &sample->mark, sizeof sample->mark), 0);
    memcpy(&to4.sin_addr, sample->packet.destination.bytes, sizeof to4.sin_addr);
    memcpy(&to6.sin6_addr, sample->packet.destination.bytes, sizeof to6.sin6_addr);
    sent = v6 ? sendto(fd, bytes->data, bytes->length, 0, (struct sockaddr *)&to6, sizeof to6)
              : sendto(fd, bytes->data, bytes->length, 0, (struct sockaddr *)&to4, sizeof to4);
    if (sent < 0 && errno != EPERM && errno != EACCES && errno != EHOSTUNREACH)
        fail_msg("cannot send: %s", strerror(errno));
}

/* An address of the jail (its last byte has the bit of 4) or of somebody else. The lowest of a
 * subnet is the routers' anycast address in IPv6 (RFC 4291), which is answered otherwise. */
static struct addr address_of(bool v6, bool own)
{
    struct addr addr;

    for (;;) {
        uint8_t *last;
        bool is_near;

        random_address(v6, &addr);
        last = &addr.bytes[v6 ? 15 : 3];
        is_near = v6 ? addr.bytes[3] == 0x10 : addr.bytes[1] == 10;
        if ((is_near && (*last & 4) != 0) == own && *last != 0)
            return addr;
    }
}

static struct packet packet_random(void)
{
    static const uint8_t protocols[] = {IPPROTO_TCP,  IPPROTO_TCP,  IPPROTO_UDP, IPPROTO_UDP,
                                        IPPROTO_SCTP, IPPROTO_ICMP, 47,          254};
    bool v6 = pick(2);
    struct packet packet = {.direction = pick(2) ? DIRECTION_IN : DIRECTION_OUT,
                            .protocol = protocols[pick(8)],
                            .port = (uint16_t)(1 + pick(14))};

    packet.source = address_of(v6, packet.direction == DIRECTION_OUT);
    packet.destination = address_of(v6, packet.direction == DIRECTION_IN);
    if (packet.protocol == IPPROTO_ICMP) {
        static const uint8_t types4[] = {8, 13}; /* echo and timestamp request */
        static const uint8_t types6[] = {128, 139};

        packet.protocol = v6 ? IPPROTO_ICMPV6 : IPPROTO_ICMP;
        packet.icmp_type = v6 ? types6[pick(2)] : types4[pick(2)];
    }
    return packet;
}

static void samples_send(const struct world *world, struct sample *samples)
{
    for (unsigned i = 0; i < PACKETS; i++) {
        struct bytes bytes;
        unsigned number = i + 1000; /* no mark of one kind is like one of another */

        samples[i] = (struct sample){.packet = packet_random()};
        packet_make(&samples[i].packet, number, &bytes);
        if (samples[i].packet.direction == DIRECTION_IN)
            send_in(world, &samples[i], &bytes);
        else
            send_out(world, &samples[i], &bytes, number);
    }
}

/* Each mark in the text of a set: they are hexadecimal there. */
static void marks_take(const char *text, struct sample *samples, bool refused)
{
    for (const char *at = strstr(text, "0x"); at; at = strstr(at + 2, "0x")) {
        uint32_t mark = (uint32_t)strtoul(at, NULL, 16);

        for (size_t i = 0; i < PACKETS; i++)
            if (samples[i].mark == mark)
                *(refused ? &samples[i].refused : &samples[i].accepted) = true;
    }
}

/* Reads what the probe noted and takes both tables away. */
static void samples_read(const struct world *world, struct sample *samples)
{
    cleanup_free char *accepted = run(world, world->jail_ns, "nft list set inet probe accepted");
    cleanup_free char *refused = run(world, world->jail_ns, "nft list set inet probe refused");

    marks_take(accepted, samples, false);
    marks_take(refused, samples, true);
    run_quietly(world, world->jail_ns, "nft 'delete table inet probe; delete table inet netjail'");
}

static void samples_compare(const struct policy *policy, const struct sample *samples,
                            const char *text, size_t counts[3])
{
    static const char *const names[] = {
        [VERDICT_ALLOW] = "allow", [VERDICT_DENY] = "deny", [VERDICT_DROP] = "drop"};
    const struct decide_context context = {.contains = contains};

    for (size_t i = 0; i < PACKETS; i++) {
        const struct sample *sample = &samples[i];
        const struct packet *packet = &sample->packet;
        enum verdict wanted = policy_decide(policy, packet, &context).verdict;
        enum verdict got = sample->accepted  ? VERDICT_ALLOW
                           : sample->refused ? VERDICT_DENY
                                             : VERDICT_DROP;
        char source[ADDR_TEXT_SIZE], destination[ADDR_TEXT_SIZE];

        counts[got]++;
        if (got != wanted || (sample->accepted && sample->refused))
            fail_msg("%s\n%s %s -> %s protocol %u port %u type %u: the kernel says %s, "
                     "policy_decide() %s",
                     text, packet->direction == DIRECTION_IN ? "in" : "out",
                     addr_print(&packet->source, source),
                     addr_print(&packet->destination, destination), packet->protocol, packet->port,
                     packet->icmp_type, names[got], names[wanted]);
    }
}

static size_t rule_ops(const struct plan *plan)
{
    size_t count = 0;

    while (count < plan->ops_count && plan->ops[count].kind != OP_LINK_UP)
        count++;
    return count;
}

static void one_round(const struct world *world, const struct facts *facts, size_t counts[3])
{
    static const char *const defaults[] = {"", "default in allow\n", "default out allow\n",
                                           "default in drop\ndefault out drop\n"};
    struct sample samples[PACKETS];
    cleanup_buf struct buf text = {0};
    struct applied applied = {0};
    struct error error = {0};
    unsigned rules = 1 + pick(12);

    buf_puts(&text, HEADER);
    buf_puts(&text, defaults[pick(4)]);
    for (unsigned i = 0; i < rules; i++)
        put_rule(&text, false);
    struct policy *policy = fixture_policy_unjudged(buf_text(&text));
    struct plan *plan = fixture_plan(policy, facts, policy_diags(policy));
    must(apply_plan(world->kernel, plan, 0, rule_ops(plan), &applied, &error), &error);
    must(verify_rules(world->kernel, plan, &error), &error);
    load_probe(world);
    samples_send(world, samples);
    samples_read(world, samples);
    samples_compare(policy, samples, buf_text(&text), counts);
    applied_free(&applied);
    plan_free(plan);
    policy_free(policy);
}

static void test_kernel_agrees(void **state_of_test)
{
    const struct world *world = *state_of_test;
    const char *seed = getenv("NETJAIL_TEST_SEED");
    struct facts *facts = fixture_facts();
    time_t end = time(NULL) + TIME_LIMIT_S;
    size_t counts[3] = {0};
    unsigned rounds = 0;

    if (!world->kernel) {
        facts_free(facts);
        skip();
    }
    if (seed)
        state = strtoull(seed, NULL, 0) | 1;
    print_message("seed %#llx\n", (unsigned long long)state);
    for (; rounds < ROUNDS && time(NULL) < end; rounds++)
        one_round(world, facts, counts);
    facts_free(facts);
    print_message("%u policies: %zu allowed, %zu denied, %zu dropped\n", rounds,
                  counts[VERDICT_ALLOW], counts[VERDICT_DENY], counts[VERDICT_DROP]);
    /* A probe that notes nothing would agree with a policy that drops everything. */
    for (size_t i = 0; i < ARRAY_LENGTH(counts); i++)
        assert_true(counts[i] > rounds);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_kernel_agrees, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
