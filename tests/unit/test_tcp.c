/* The TCP relay inside one process: this program is client, init and server. */
#include "service/endpoint.h"
#include "service/limits.h"
#include "service/tcp_relay.h"

#include "service_host.h"

struct fixture {
    struct host host;
    struct limits limits;
    struct tcp_relay *relay;
    struct service_listener listener;
    int server; /* listens where the relay connects to */
    uint16_t port;
};

static void open_with_pipes(struct fixture *f, uint32_t limit, uint32_t pipes)
{
    static const struct addr loopback = {.family = ADDR_V4, .bytes = {127, 0, 0, 1}};
    int fd;

    host_open(&f->host);
    f->server = host_bound(SOCK_STREAM, &f->listener.jail_port);
    f->listener.protocol = IPPROTO_TCP;
    f->listener.target_count = 1;
    f->listener.targets[0] = loopback;
    fd = host_bound(SOCK_STREAM, &f->port);
    f->limits = (struct limits){
        .loop = f->host.loop, .log = &f->host.log, .connections = limit, .places = 1000};
    assert_int_equal(tcp_relay_new(f->host.loop, f->host.supply, &f->host.log, &f->limits, pipes,
                                   &f->relay, &f->host.error),
                     0);
    assert_int_equal(tcp_relay_listen(f->relay, fd, &f->listener, &f->host.error), 0);
}

static void open_fixture(struct fixture *f, uint32_t limit)
{
    open_with_pipes(f, limit, 16);
}

static void close_fixture(struct fixture *f)
{
    tcp_relay_free(f->relay);
    host_close(&f->host);
    close(f->server);
}

static void test_bytes_and_ends(void **state)
{
    int before = open_descriptors();
    struct fixture f = {0};
    char text[16];
    int client;
    int server;

    (void)state;
    open_fixture(&f, 10);
    client = host_connect(SOCK_STREAM, f.port);
    assert_true(host_turn(&f.host, f.server, 500));
    server = accept(f.server, NULL, NULL);
    assert_int_equal(send(client, "question", 8, 0), 8);
    assert_int_equal(shutdown(client, SHUT_WR), 0);
    assert_true(host_turn(&f.host, server, 500));
    assert_int_equal(recv(server, text, sizeof text, MSG_DONTWAIT), 8);
    assert_true(host_turn(&f.host, server, 500));
    assert_int_equal(recv(server, text, sizeof text, MSG_DONTWAIT), 0); /* the end came through */
    assert_int_equal(send(server, "answer", 6, 0), 6); /* and the other direction is still open */
    assert_true(host_turn(&f.host, client, 500));
    assert_int_equal(recv(client, text, sizeof text, MSG_DONTWAIT), 6);
    assert_int_equal(tcp_relay_count(f.relay), 1);
    close(server);
    assert_true(host_turn(&f.host, client, 500));
    assert_int_equal(recv(client, text, sizeof text, MSG_DONTWAIT), 0);
    close(client);
    assert_int_equal(tcp_relay_count(f.relay), 0);
    close_fixture(&f);
    assert_int_equal(open_descriptors(), before);
}

/* Of the sockets of this process that are connected to `port`: how many there are, and how many of
 * them have keepalives. */
static void count_kept(uint16_t port, int *ret_count, int *ret_kept)
{
    *ret_count = *ret_kept = 0;
    for (int fd = 3; fd < 256; fd++) {
        struct addr peer;
        uint16_t peer_port = 0;
        int kept = 0;
        socklen_t size = sizeof kept;

        if (!endpoint_peer(fd, &peer, &peer_port) || peer_port != port)
            continue;
        assert_int_equal(getsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &kept, &size), 0);
        (*ret_count)++;
        *ret_kept += kept != 0;
    }
}

/* The client's side from the beginning, the target's when the connection is there for a while. */
static void test_keepalives(void **state)
{
    struct fixture f = {0};
    struct addr addr;
    uint16_t client_port;
    int client;
    int count;
    int kept;

    (void)state;
    open_fixture(&f, 10);
    assert_false(f.relay->keep_timer.armed);
    client = host_connect(SOCK_STREAM, f.port);
    assert_true(endpoint_local(client, &addr, &client_port));
    assert_true(host_turn(&f.host, f.server, 500));
    (void)host_turn(&f.host, -1, 10);
    assert_true(f.relay->keep_timer.armed);
    count_kept(client_port, &count, &kept);
    assert_int_equal(count, 1);
    assert_int_equal(kept, 1);
    count_kept(f.listener.jail_port, &count, &kept);
    assert_int_equal(count, 1);
    assert_int_equal(kept, 0);
    loop_disarm(f.host.loop, &f.relay->keep_timer);
    tcp_connection_keep(f.relay);
    count_kept(f.listener.jail_port, &count, &kept);
    assert_int_equal(kept, 1);
    assert_false(f.relay->keep_timer.armed); /* nobody is left who needs them */
    close(client);
    close_fixture(&f);
}

/* Takes what is there; the number of bytes, each of which must be the next of the sequence. */
static size_t take_all(int fd, size_t at)
{
    static uint8_t bytes[65536];
    ssize_t got = recv(fd, bytes, sizeof bytes, MSG_DONTWAIT);

    for (ssize_t i = 0; i < got; i++)
        assert_int_equal(bytes[i], (uint8_t)((at + (size_t)i) % 251));
    return got > 0 ? (size_t)got : 0;
}

/* Sends what is taken now of `total` bytes, behind the first `at`. */
static size_t put_some(int fd, size_t at, size_t total)
{
    static uint8_t bytes[65536];
    size_t length = total - at < sizeof bytes ? total - at : sizeof bytes;
    ssize_t sent;

    for (size_t i = 0; i < length; i++)
        bytes[i] = (uint8_t)((at + i) % 251);
    sent = length > 0 ? send(fd, bytes, length, MSG_DONTWAIT) : 0;
    return sent > 0 ? (size_t)sent : 0;
}

/* With and without pipes: every byte, in order, also to one who does not read for a while. */
static void test_slow_reader(void **state)
{
    const size_t total = (size_t)24 * 1024 * 1024;

    (void)state;
    for (uint32_t pipes = 0; pipes < 2; pipes++) {
        int before = open_descriptors();
        struct fixture f = {0};
        size_t sent = 0;
        size_t got = 0;
        int client;
        int server;

        open_with_pipes(&f, 10, pipes);
        client = host_connect(SOCK_STREAM, f.port);
        assert_true(host_turn(&f.host, f.server, 500));
        server = accept(f.server, NULL, NULL);
        for (int idle = 0; idle < 20; idle++) { /* until nothing more is taken */
            size_t more = put_some(client, sent, total);

            sent += more;
            idle = more > 0 ? 0 : idle;
            (void)host_turn(&f.host, -1, 1);
        }
        assert_true(sent > 0 && sent < total);
        while (got < total) {
            size_t more = take_all(server, got);

            got += more;
            sent += put_some(client, sent, total);
            if (more == 0)
                (void)host_turn(&f.host, server, 500);
        }
        close(client);
        assert_true(host_turn(&f.host, server, 500));
        assert_int_equal(recv(server, &(char){0}, 1, MSG_DONTWAIT), 0);
        close(server);
        assert_false(host_turn(&f.host, -1, 20));
        assert_int_equal(tcp_relay_count(f.relay), 0);
        close_fixture(&f);
        assert_int_equal(open_descriptors(), before);
    }
}

/* Bytes that came before a reset are delivered, then the reset is. */
static void test_reset(void **state)
{
    struct fixture f = {0};
    char text[16];
    int client;
    int server;

    (void)state;
    open_fixture(&f, 10);
    client = host_connect(SOCK_STREAM, f.port);
    assert_true(host_turn(&f.host, f.server, 500));
    server = accept(f.server, NULL, NULL);
    assert_false(host_turn(&f.host, -1, 5));
    assert_int_equal(send(server, "last", 4, 0), 4);
    endpoint_reset(server);
    assert_true(host_turn(&f.host, client, 500));
    assert_int_equal(recv(client, text, sizeof text, MSG_DONTWAIT), 4);
    assert_int_equal(recv(client, text, sizeof text, MSG_DONTWAIT), -1);
    assert_int_equal(errno, ECONNRESET);
    assert_int_equal(tcp_relay_count(f.relay), 0);
    close(client);
    close_fixture(&f);
}

static void expect_reset(struct fixture *f)
{
    char byte;
    int client = host_connect(SOCK_STREAM, f->port);

    assert_true(host_turn(&f->host, client, 500));
    assert_int_equal(recv(client, &byte, 1, MSG_DONTWAIT), -1);
    assert_int_equal(errno, ECONNRESET);
    close(client);
}

static void test_init_refuses(void **state)
{
    struct fixture f = {0};

    (void)state;
    open_fixture(&f, 10);
    f.host.refuse = EMFILE;
    expect_reset(&f);
    f.host.refuse = 0; /* and it recovers */
    close(host_connect(SOCK_STREAM, f.port));
    assert_true(host_turn(&f.host, f.server, 500));
    close_fixture(&f);
}

/* Init (or who took its place) sends what nobody asked for: nothing is kept, nothing is served. */
static void test_init_lies(void **state)
{
    int before = open_descriptors();
    struct fixture f = {0};
    cleanup_fd int wrong = open("/dev/null", O_RDONLY | O_CLOEXEC);
    uint8_t kind;

    (void)state;
    open_fixture(&f, 10);
    assert_false(host_turn(&f.host, -1, 5)); /* fills the stock */
    for (int i = 0; i < 100; i++) {
        host_send(&f.host, 0, wrong);
        assert_int_equal(loop_round(f.host.loop, 0, &f.host.error), 0);
    }
    assert_int_equal(recv(f.host.init_fd, &kind, 1, MSG_DONTWAIT), -1);
    assert_in_range(open_descriptors(), before, before + 20);
    close(host_connect(SOCK_STREAM, f.port));
    assert_true(host_turn(&f.host, f.server, 500));
    close_fixture(&f);
}

static void test_wrong_socket_for_a_request(void **state)
{
    struct fixture f = {0};
    cleanup_fd int wrong = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    uint8_t kind;
    char byte;
    int client;

    (void)state;
    open_fixture(&f, 10);
    client = host_connect(SOCK_STREAM, f.port);
    for (int i = 0; i < 20; i++) {
        assert_int_equal(loop_round(f.host.loop, 1, &f.host.error), 0);
        while (recv(f.host.init_fd, &kind, 1, MSG_DONTWAIT) == 1)
            host_send(&f.host, 0, wrong); /* a UDP socket where TCP was asked for */
    }
    assert_int_equal(recv(client, &byte, 1, MSG_DONTWAIT), -1);
    assert_int_equal(errno, ECONNRESET);
    close(client);
    close_fixture(&f);
}

static void test_limit(void **state)
{
    struct fixture f = {0};
    int clients[2];

    (void)state;
    open_fixture(&f, 2);
    for (int i = 0; i < 2; i++)
        clients[i] = host_connect(SOCK_STREAM, f.port);
    (void)host_turn(&f.host, -1, 20);
    assert_int_equal(tcp_relay_count(f.relay), 2);
    expect_reset(&f);
    endpoint_reset(clients[0]);
    (void)host_turn(&f.host, -1, 20);
    assert_int_equal(tcp_relay_count(f.relay), 1);
    close(clients[1]);
    close_fixture(&f);
}

static void test_init_gone(void **state)
{
    struct fixture f = {0};

    (void)state;
    open_fixture(&f, 2);
    close(f.host.init_fd);
    for (int i = 0; i < 5; i++)
        assert_int_equal(loop_round(f.host.loop, 1, &f.host.error), 0);
    assert_true(f.host.is_gone);
    f.host.init_fd = dup(f.server);
    close_fixture(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bytes_and_ends),
        cmocka_unit_test(test_keepalives),
        cmocka_unit_test(test_slow_reader),
        cmocka_unit_test(test_reset),
        cmocka_unit_test(test_init_refuses),
        cmocka_unit_test(test_init_lies),
        cmocka_unit_test(test_wrong_socket_for_a_request),
        cmocka_unit_test(test_limit),
        cmocka_unit_test(test_init_gone),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
