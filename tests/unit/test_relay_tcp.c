/* Connections that the jail makes, inside one process: this program is the queue, the client and
 * the server outside. The policy's answer is the test's own (reach_check() below). */
#include "service/endpoint.h"
#include "service/limits.h"
#include "service/queue_packet.h"
#include "service/reach.h"
#include "service/relay_tcp.h"
#include "service/tcp.h"
#include "service/verdicts.h"

#include "service_host.h"

#include "policy/relay.h"

/* 127.0.0.1 is the address that the jail's programs name, this is where it leads. */
static const struct addr outside = {.family = ADDR_V4, .bytes = {127, 0, 0, 2}};
static int refusal; /* what the policy says next */

int reach_check(struct reach *reach, const struct packet *packet, struct reach_targets *ret_targets)
{
    (void)reach;
    (void)packet;
    *ret_targets = (struct reach_targets){.count = 1, .addrs = {outside}};
    return refusal;
}

int reach_refusal(int error_number)
{
    return error_number == ETIMEDOUT ? 0 : RELAY_REFUSED;
}

struct fixture {
    struct host host;
    struct limits limits;
    struct tcp_relay *tcp;
    struct verdicts *verdicts;
    struct relay_tcp *relay;
    int reports[2]; /* the service's end, the supervisor's */
    int server;     /* outside, at the port of the listener */
    int filler;     /* fills the server's backlog; -1: none */
};

static struct sockaddr_in server_address(uint16_t port)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};

    memcpy(&address.sin_addr, outside.bytes, 4);
    return address;
}

/* Returns the listener's port. */
static uint16_t open_fixture(struct fixture *f)
{
    uint16_t port;
    int listener;

    refusal = 0;
    f->server = f->filler = -1;
    host_open(&f->host);
    listener = host_bound(SOCK_STREAM, &port);
    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, f->reports), 0);
    f->limits =
        (struct limits){.loop = f->host.loop, .log = &f->host.log, .connections = 10, .places = 10};
    assert_int_equal(tcp_relay_new(f->host.loop, f->host.supply, &f->host.log, &f->limits, 4,
                                   &f->tcp, &f->host.error),
                     0);
    assert_int_equal(verdicts_new(f->host.loop, f->reports[0], &f->verdicts, &f->host.error), 0);
    assert_int_equal(
        relay_tcp_new(f->host.loop, f->tcp, NULL, f->verdicts, &f->relay, &f->host.error), 0);
    assert_int_equal(relay_tcp_listen(f->relay, listener, &f->host.error), 0);
    return port;
}

static void close_fixture(struct fixture *f)
{
    relay_tcp_free(f->relay);
    assert_int_equal(tcp_relay_count(f->tcp), 0); /* every place was given back */
    assert_int_equal(f->limits.places, 10);
    tcp_relay_free(f->tcp);
    verdicts_free(f->verdicts);
    host_close(&f->host);
    close(f->reports[0]);
    close(f->reports[1]);
    if (f->server >= 0)
        close(f->server);
    if (f->filler >= 0)
        close(f->filler);
}

/* `full`: it takes no further connection until the one that waits is accepted; the kernel of who
 * tries meanwhile tries again after a second. */
static void serve(struct fixture *f, uint16_t port, bool full)
{
    struct sockaddr_in address = server_address(port);

    f->server = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(f->server, (struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(listen(f->server, full ? 0 : 16), 0);
    if (!full)
        return;
    f->filler = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(connect(f->filler, (struct sockaddr *)&address, sizeof address), 0);
}

static struct queue_packet syn(uint32_t id, uint16_t source_port, uint16_t port)
{
    static const struct addr loopback = {.family = ADDR_V4, .bytes = {127, 0, 0, 1}};

    return (struct queue_packet){.id = id,
                                 .protocol = IPPROTO_TCP,
                                 .source = loopback,
                                 .destination = loopback,
                                 .source_port = source_port,
                                 .port = port};
}

static void assert_verdict(struct fixture *f, int turns, uint32_t id, enum verdict_kind kind)
{
    struct report_verdicts report = {0};

    assert_true(host_turn(&f->host, f->reports[1], turns));
    assert_int_equal(recv(f->reports[1], &report, sizeof report, MSG_DONTWAIT), sizeof report);
    assert_int_equal(report.count, 1);
    assert_int_equal(report.verdicts[0].id, id);
    assert_int_equal(report.verdicts[0].kind, kind);
}

static void assert_no_verdict(struct fixture *f)
{
    assert_false(host_turn(&f->host, f->reports[1], 10));
}

/* The SYN waits until the connection outside stands; another SYN of it is dropped meanwhile, and
 * let through behind it. */
static void test_each_syn_has_one_verdict(void **state)
{
    int before = open_descriptors();
    struct fixture f = {0};
    uint16_t port = open_fixture(&f);
    struct queue_packet packet = syn(1, 40000, port);

    (void)state;
    serve(&f, port, true);
    relay_tcp_packet(f.relay, &packet);
    assert_no_verdict(&f);
    packet.id = 2;
    relay_tcp_packet(f.relay, &packet);
    assert_verdict(&f, 500, 2, VERDICT_PACKET_DROP);
    assert_no_verdict(&f);
    close(accept(f.server, NULL, NULL));
    assert_verdict(&f, 5000, 1, VERDICT_PACKET_ACCEPT);
    packet.id = 3;
    relay_tcp_packet(f.relay, &packet);
    assert_verdict(&f, 500, 3, VERDICT_PACKET_ACCEPT);
    assert_no_verdict(&f);
    close_fixture(&f);
    assert_int_equal(open_descriptors(), before);
}

static void test_refusals(void **state)
{
    struct fixture f = {0};
    uint16_t port = open_fixture(&f);
    struct queue_packet packet = syn(1, 40000, port);

    (void)state;
    relay_tcp_packet(f.relay, &packet); /* nobody listens outside */
    assert_verdict(&f, 500, 1, VERDICT_PACKET_REFUSE);
    refusal = RELAY_PROHIBITED;
    packet.id = 2;
    relay_tcp_packet(f.relay, &packet);
    assert_verdict(&f, 500, 2, VERDICT_PACKET_REFUSE);
    assert_int_equal(tcp_relay_count(f.tcp), 0);
    close_fixture(&f);
}

/* What was accepted is of a SYN before this one, from the same address and port. The flow is
 * carried, and the SYN that waits is not forgotten in the queue. */
static void test_joined_while_its_syn_waits(void **state)
{
    int before = open_descriptors();
    struct fixture f = {0};
    uint16_t port = open_fixture(&f);
    int client = host_connect(SOCK_STREAM, port);
    struct queue_packet packet;
    struct addr addr;
    uint16_t client_port;
    char byte = 0;
    int server;

    (void)state;
    assert_true(endpoint_local(client, &addr, &client_port));
    packet = syn(1, client_port, port);
    serve(&f, port, true);
    relay_tcp_packet(f.relay, &packet);
    assert_no_verdict(&f); /* and the client's socket is accepted */
    assert_int_equal(tcp_relay_count(f.tcp), 1);
    close(accept(f.server, NULL, NULL));
    assert_verdict(&f, 5000, 1, VERDICT_PACKET_DROP);
    assert_no_verdict(&f);
    server = accept(f.server, NULL, NULL);
    assert_int_equal(send(client, "x", 1, 0), 1);
    assert_true(host_turn(&f.host, server, 500));
    assert_int_equal(recv(server, &byte, 1, MSG_DONTWAIT), 1);
    close(client);
    close(server);
    (void)host_turn(&f.host, -1, 50);
    close_fixture(&f);
    assert_int_equal(open_descriptors(), before);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_syn_has_one_verdict),
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_joined_while_its_syn_waits),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
