/* The UDP relay inside one process: flows, the next target, the limit. */
#include "service/limits.h"
#include "service/udp.h"

#include "service_host.h"

struct fixture {
    struct host host;
    struct limits limits;
    struct udp_relay *relay;
    struct service_listener listener;
    int server;
    uint16_t port;
};

static void open_fixture(struct fixture *f, uint32_t limit)
{
    static const struct addr here = {.family = ADDR_V4, .bytes = {127, 0, 0, 1}};
    static const struct addr nobody = {.family = ADDR_V4, .bytes = {127, 9, 9, 9}};
    int fd;

    host_open(&f->host);
    f->server = host_bound(SOCK_DGRAM, &f->listener.jail_port);
    f->listener.protocol = IPPROTO_UDP;
    f->listener.target_count = 2;
    f->listener.targets[0] = nobody; /* nobody listens there: each flow must go on to the second */
    f->listener.targets[1] = here;
    fd = host_bound(SOCK_DGRAM, &f->port);
    f->limits = (struct limits){
        .loop = f->host.loop, .log = &f->host.log, .connections = limit, .places = 1000};
    assert_int_equal(udp_relay_new(f->host.loop, f->host.supply, &f->host.log, &f->limits,
                                   &f->relay, &f->host.error),
                     0);
    assert_int_equal(udp_relay_listen(f->relay, fd, &f->listener, &f->host.error), 0);
}

static void close_fixture(struct fixture *f)
{
    udp_relay_free(f->relay);
    host_close(&f->host);
    close(f->server);
}

/* One question and its answer through the relay. */
static void exchange(struct fixture *f, int client, const char *text)
{
    struct sockaddr_in from;
    socklen_t size = sizeof from;
    char got[64] = {0};
    size_t length = strlen(text);

    assert_int_equal(send(client, text, length, 0), (ssize_t)length);
    assert_true(host_turn(&f->host, f->server, 500));
    assert_int_equal(
        recvfrom(f->server, got, sizeof got - 1, MSG_DONTWAIT, (struct sockaddr *)&from, &size),
        (ssize_t)length);
    assert_string_equal(got, text);
    assert_int_equal(sendto(f->server, "yes", 3, 0, (struct sockaddr *)&from, size), 3);
    assert_true(host_turn(&f->host, client, 500));
    assert_int_equal(recv(client, got, sizeof got, MSG_DONTWAIT), 3);
}

static void test_flows(void **state)
{
    int before = open_descriptors();
    struct fixture f = {0};
    int clients[2];

    (void)state;
    open_fixture(&f, 100);
    for (int i = 0; i < 2; i++) {
        clients[i] = host_connect(SOCK_DGRAM, f.port);
        exchange(&f, clients[i], i ? "one" : "two");
        exchange(&f, clients[i], "again");
    }
    assert_int_equal(udp_relay_count(f.relay), 2);
    close(clients[0]);
    close(clients[1]);
    close_fixture(&f);
    assert_int_equal(open_descriptors(), before);
}

static void test_limit(void **state)
{
    struct fixture f = {0};

    (void)state;
    open_fixture(&f, 3);
    for (int i = 0; i < 10; i++) {
        cleanup_fd int client = host_connect(SOCK_DGRAM, f.port);

        exchange(&f, client, "hello");
        assert_in_range(udp_relay_count(f.relay), 1, 3);
    }
    assert_int_equal(udp_relay_count(f.relay), 3);
    close_fixture(&f);
}

/* Nobody answers at any target: the flow goes away and the next datagram starts anew. */
static void test_all_targets_refuse(void **state)
{
    struct fixture f = {0};
    cleanup_fd int client = -1;

    (void)state;
    open_fixture(&f, 3);
    f.listener.target_count = 1;
    client = host_connect(SOCK_DGRAM, f.port);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(send(client, "x", 1, 0), 1);
        (void)host_turn(&f.host, -1, 20);
        assert_int_equal(udp_relay_count(f.relay), 0);
    }
    f.listener.target_count = 2;
    exchange(&f, client, "now");
    close_fixture(&f);
}

static void test_init_refuses(void **state)
{
    struct fixture f = {0};
    cleanup_fd int client = -1;

    (void)state;
    open_fixture(&f, 3);
    f.host.refuse = EMFILE;
    client = host_connect(SOCK_DGRAM, f.port);
    assert_int_equal(send(client, "x", 1, 0), 1);
    (void)host_turn(&f.host, -1, 20);
    assert_int_equal(udp_relay_count(f.relay), 0);
    f.host.refuse = 0;
    exchange(&f, client, "now");
    close_fixture(&f);
}

static void test_stream_socket_is_refused(void **state)
{
    struct fixture f = {0};
    uint16_t port;

    (void)state;
    open_fixture(&f, 3);
    assert_int_equal(
        udp_relay_listen(f.relay, host_bound(SOCK_STREAM, &port), &f.listener, &f.host.error),
        -EINVAL);
    close_fixture(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_flows),
        cmocka_unit_test(test_limit),
        cmocka_unit_test(test_all_targets_refuse),
        cmocka_unit_test(test_init_refuses),
        cmocka_unit_test(test_stream_socket_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
