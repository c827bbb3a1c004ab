#!/usr/bin/env python3
"""netjail-service alone: this program plays the supervisor, init and the jail.

The jail is a network namespace of a child process, which hands out sockets as init does and runs the
servers that the service connects to. Traffic goes over the loopback interfaces of the two namespaces
only. Usage: service_relay.py PATH-OF-NETJAIL-SERVICE [TEST...]   (root or user namespaces; else exit 77)
"""
import ctypes, errno, fcntl, hashlib, os, resource, select, signal, socket, struct, subprocess, sys
import threading, time

CLONE_NEWNET = 0x40000000
FAMILIES = {1: (socket.AF_INET, socket.SOCK_STREAM), 2: (socket.AF_INET6, socket.SOCK_STREAM),
            3: (socket.AF_INET, socket.SOCK_DGRAM), 4: (socket.AF_INET6, socket.SOCK_DGRAM)}
ECHO, SINK, REFUSED, RESETTING, V6_ONLY, HALF, MUTE, SOURCE = 7001, 7002, 7003, 7004, 7005, 7006, 7007, 7008
SIZE = 64 * 1024 * 1024
LINGER_RESET = struct.pack('ii', 1, 0)


def loopback_up():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        fcntl.ioctl(s, 0x8914, struct.pack('16sH22x', b'lo', 0x1 | 0x40))  # SIOCSIFFLAGS up, running


def unshare_net():
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(CLONE_NEWNET) != 0:
        raise OSError(ctypes.get_errno(), 'unshare')
    loopback_up()


# ---- the jail -----------------------------------------------------------------------------------

def serve_init(channel):
    while True:
        request = channel.recv(16)
        if not request:
            os._exit(0)
        if len(request) != 1 or request[0] not in FAMILIES:
            channel.send(bytes([errno.EINVAL]))
            continue
        with socket.socket(*FAMILIES[request[0]]) as s:
            socket.send_fds(channel, [b'\0'], [s.fileno()])


def pattern(n):
    block = bytes(range(251)) * 1024
    return (block * (n // len(block) + 1))[:n]


def handle(kind, s):
    with s:
        if kind in (ECHO, V6_ONLY):
            while data := s.recv(1 << 20):
                s.sendall(data)
        elif kind == SINK:  # swallows everything, then answers with the checksum
            digest = hashlib.sha256()
            while data := s.recv(1 << 20):
                digest.update(data)
            s.sendall(digest.digest())
        elif kind == SOURCE:
            s.sendall(pattern(SIZE))
        elif kind == RESETTING:
            s.recv(1)
            s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, LINGER_RESET)
        elif kind == HALF:  # ends its own direction first, then listens on
            s.sendall(b'first')
            s.shutdown(socket.SHUT_WR)
            got = b''
            while data := s.recv(4096):
                got += data
            open(os.environ['HALF_RESULT'], 'wb').write(got)
        elif kind == MUTE:  # tells how it ended
            try:
                while s.recv(4096):
                    pass
                end = b'end'
            except OSError as e:
                end = errno.errorcode[e.errno].encode()
            open(os.environ['MUTE_RESULT'], 'wb').write(end)


def serve_tcp(kind, family, address):
    listener = socket.socket(family)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind((address, kind))
    listener.listen(2048)

    def accept():
        while True:
            s, _ = listener.accept()
            threading.Thread(target=quiet, args=(handle, kind, s), daemon=True).start()
    threading.Thread(target=accept, daemon=True).start()


def quiet(function, *arguments):
    try:
        function(*arguments)
    except OSError:
        pass  # the client went away: that is what some tests are about


def serve_udp(family, address):
    s = socket.socket(family, socket.SOCK_DGRAM)
    s.bind((address, ECHO))

    def answer():
        while True:
            data, client = s.recvfrom(65536)
            s.sendto(data, client)
    threading.Thread(target=answer, daemon=True).start()


def run_jail(channel, ready):
    unshare_net()
    resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)
    threading.stack_size(256 * 1024)
    for kind in (ECHO, SINK, RESETTING, HALF, MUTE, SOURCE):
        serve_tcp(kind, socket.AF_INET, '127.0.0.1')
    serve_tcp(V6_ONLY, socket.AF_INET6, '::1')
    serve_udp(socket.AF_INET, '127.0.0.1')
    os.write(ready, b'R')
    serve_init(channel)


# ---- the supervisor -----------------------------------------------------------------------------

def address(text):
    if ':' in text:
        return bytes([6]) + socket.inet_pton(socket.AF_INET6, text)
    return bytes([4]) + socket.inet_pton(socket.AF_INET, text) + bytes(12)


def listener_bytes(protocol, port, targets):
    body = struct.pack('=BBH', protocol, len(targets), port) + b''.join(map(address, targets))
    return body + bytes(56 - len(body))  # sizeof(struct service_listener)


HEAD = 240  # sizeof(struct service_config)


def config_bytes(listeners, limit):
    head = struct.pack('@IIIQIIIIBBBBBB64s128s0Q', 0x6e6a7376, len(listeners), 0, 0, limit, 0, 0, 0, 1, 0, 0, 0, 0, 0, b'test', b'test.conf')
    return head + b''.join(listeners)


NOTICE_BEGIN, FDS_MAX = 5, 8  # service/protocol.h, jail/packet.h


def give(report, fds, left, kind=NOTICE_BEGIN):
    try:
        socket.send_fds(report, [struct.pack('III', kind, left, 0)], fds)
    except (BrokenPipeError, ConnectionResetError):
        pass  # it has not taken what it got before, and its status says so


def give_all(report, fds):
    """The jail's sockets, as many with each notice as a packet takes."""
    while fds:
        give(report, fds[:FDS_MAX], len(fds[FDS_MAX:]))
        fds = fds[FDS_MAX:]


class Service:
    """One running service with the listeners [(protocol, jail port, targets)] on 127.0.0.1 or `bind`."""

    def __init__(self, path, wanted, limit=10000, bind='127.0.0.1', config=None, log=None, begin=None):
        ours, inits = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        ready_read, ready_write = os.pipe()
        sys.stdout.flush()
        self.jail = os.fork()
        if self.jail == 0:
            ours.close()
            try:
                run_jail(inits, ready_write)
            finally:
                os._exit(1)
        inits.close()
        if os.read(ready_read, 1) != b'R':
            raise RuntimeError('no jail')
        os.close(ready_read), os.close(ready_write)
        self.sockets = []
        for protocol, _, _ in wanted:
            s = socket.socket(socket.AF_INET6 if ':' in bind else socket.AF_INET,
                              socket.SOCK_STREAM if protocol == 6 else socket.SOCK_DGRAM)
            s.bind((bind, 0))
            if protocol == 6:
                s.listen(2048)
            self.sockets.append(s)
        self.ports = [s.getsockname()[1] for s in self.sockets]
        memory = os.memfd_create('config')
        os.write(memory, config or config_bytes([listener_bytes(*w) for w in wanted], limit))
        report, report_write = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.pid = self.spawn(path, memory, report_write, log)
        os.close(memory), report_write.close()
        (begin or give_all)(report, [ours.fileno()] + [s.fileno() for s in self.sockets])
        self.report = report.detach()
        ours.close()
        for s in self.sockets:
            s.close()
        try:
            self.is_ready = os.read(self.report, 64) == struct.pack('II', 1, 0)
        except ConnectionResetError:
            self.is_ready = False  # it has not read all

    def spawn(self, path, memory, report, log):
        sys.stdout.flush()
        pid = os.fork()
        if pid:
            return pid
        wanted = {3: memory, 4: report.fileno()}
        if log is not None:
            wanted[5] = log
        copies = {n: fcntl.fcntl(fd, fcntl.F_DUPFD, 500) for n, fd in wanted.items()}
        for number in range(3, 500):
            try:
                os.close(number)
            except OSError:
                pass
        for number, fd in copies.items():
            os.dup2(fd, number, inheritable=True)
        os.dup2(4, 300, inheritable=True)  # one that the service must close
        os.execv(path, ['netjail-service'])

    def connect(self, index=0):
        s = socket.create_connection(('127.0.0.1', self.ports[index]), timeout=20)
        s.settimeout(20)
        return s

    def descriptors(self):
        return len(os.listdir(f'/proc/{self.pid}/fd'))


    def settled_descriptors(self):
        """The same when the stock of jail sockets is full again: no change within 0.2 s."""
        count, since = self.descriptors(), time.monotonic()
        while time.monotonic() - since < 0.2:
            time.sleep(0.01)
            if self.descriptors() != count:
                count, since = self.descriptors(), time.monotonic()
        return count

    def wait_descriptors(self, most):
        deadline = time.monotonic() + 10
        while self.descriptors() > most:
            if time.monotonic() > deadline:
                raise AssertionError(f'{self.descriptors()} descriptors are left, not {most}')
            select.select([], [], [], 0.01)

    def end(self):
        os.kill(self.jail, signal.SIGKILL)
        os.waitpid(self.jail, 0)
        _, status = os.waitpid(self.pid, 0)
        os.close(self.report)
        return status


def receive(s, size):
    """As many bytes, or what came before the end: with a time limit MSG_WAITALL does not wait for all."""
    data = b''
    while len(data) < size and (got := s.recv(size - len(data))):
        data += got
    return data


TCP, UDP = 6, 17
LOCAL = ['127.0.0.1', '::1']


def expect(condition, what):
    if not condition:
        raise AssertionError(what)


# ---- the tests ----------------------------------------------------------------------------------

def test_upload_and_download(path):
    service = Service(path, [(TCP, SINK, LOCAL), (TCP, SOURCE, LOCAL)])
    data = pattern(SIZE)
    with service.connect(0) as s:
        s.sendall(data)
        s.shutdown(socket.SHUT_WR)
        expect(receive(s, 64) == hashlib.sha256(data).digest(), 'upload differs')
    digest = hashlib.sha256()
    with service.connect(1) as s:
        while got := s.recv(1 << 20):
            digest.update(got)
    expect(digest.digest() == hashlib.sha256(data).digest(), 'download differs')
    expect(service.end() == 0, 'the service did not end well')


def test_both_ways_at_once(path):
    service = Service(path, [(TCP, ECHO, LOCAL)])
    data = pattern(SIZE)
    with service.connect() as s:
        sender = threading.Thread(target=lambda: (s.sendall(data), s.shutdown(socket.SHUT_WR)))
        sender.start()
        digest, length = hashlib.sha256(), 0
        while got := s.recv(1 << 20):
            digest.update(got)
            length += len(got)
        sender.join()
    expect(length == SIZE and digest.digest() == hashlib.sha256(data).digest(), f'{length} bytes')
    service.end()


def test_half_close_of_the_server(path):
    result = f'/tmp/netjail-half-{os.getpid()}'
    os.environ['HALF_RESULT'] = result
    service = Service(path, [(TCP, HALF, LOCAL)])
    with service.connect() as s:
        expect(receive(s, 64) == b'first', 'no data before the end')
        s.sendall(b'after the end')
        s.shutdown(socket.SHUT_WR)
        wait_for(lambda: os.path.exists(result) and open(result, 'rb').read() == b'after the end',
                 'nothing arrived after the half-close')
    os.unlink(result)
    service.end()


def wait_for(condition, what):
    deadline = time.monotonic() + 10
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError(what)
        select.select([], [], [], 0.01)


def is_reset(s):
    try:
        while s.recv(4096):
            pass
        return False
    except ConnectionResetError:
        return True


def is_refused(service):
    try:
        with service.connect() as s:
            return is_reset(s)
    except ConnectionResetError:
        return True  # the reset came before connect() had returned


def test_reset_by_the_server(path):
    service = Service(path, [(TCP, RESETTING, LOCAL)])
    with service.connect() as s:
        s.sendall(b'x')
        expect(is_reset(s), 'the reset did not arrive')
    service.end()


def test_reset_by_the_client(path):
    result = f'/tmp/netjail-mute-{os.getpid()}'
    os.environ['MUTE_RESULT'] = result
    service = Service(path, [(TCP, MUTE, LOCAL), (TCP, ECHO, LOCAL)])
    s = service.connect()
    s.sendall(b'x')
    with service.connect(1) as other:  # when this one is through, the first is connected
        other.sendall(b'y')
        other.recv(1)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, LINGER_RESET)
    s.close()
    wait_for(lambda: os.path.exists(result), 'the server was not told')
    wait_for(lambda: open(result, 'rb').read() == b'ECONNRESET', 'no reset at the server')
    os.unlink(result)
    service.end()


def test_refused_target(path):
    service = Service(path, [(TCP, REFUSED, LOCAL), (TCP, V6_ONLY, LOCAL), (TCP, ECHO, ['192.0.2.9', '127.0.0.1'])])
    expect(is_refused(service), 'a refusal must be a reset')
    with service.connect(1) as s:  # nobody at 127.0.0.1: goes on to ::1
        s.sendall(b'six')
        expect(receive(s, 3) == b'six', 'the IPv6 target was not tried')
    with service.connect(2) as s:  # an unreachable target, then one that is there
        s.sendall(b'hello')
        expect(receive(s, 5) == b'hello', 'the second target was not tried')
    service.end()


def test_thousand_connections(path):
    service = Service(path, [(TCP, ECHO, LOCAL)])
    before = service.descriptors()
    sockets = [service.connect() for _ in range(1000)]
    for round_number in range(2):
        for i, s in enumerate(sockets):
            s.sendall(b'%08d' % (i + round_number))
        for i, s in enumerate(sockets):
            expect(receive(s, 8) == b'%08d' % (i + round_number), f'connection {i}')
    wait_for(lambda: service.descriptors() <= before + 2 * 1000 + 2 * 64 + 8,
             'idle connections hold pipes')
    for s in sockets:
        s.close()
    service.wait_descriptors(before + 2 * 64 + 8)
    service.end()


def test_limit(path):
    log_read, log_write = os.pipe()
    service = Service(path, [(TCP, ECHO, LOCAL)], limit=3, log=log_write)
    os.close(log_write)
    sockets = [service.connect() for _ in range(3)]
    for s in sockets:
        s.sendall(b'1')
        expect(s.recv(1) == b'1', 'a connection within the limit')
    for _ in range(5):
        expect(is_refused(service), 'the fourth connection must be reset')
    sockets.pop().close()

    def works():
        try:
            with service.connect() as again:
                again.sendall(b'2')
                return again.recv(1) == b'2'
        except ConnectionError:
            return False
    wait_for(works, 'a place that became free is not used')
    for s in sockets:
        s.close()
    service.end()
    text = b''
    while data := os.read(log_read, 4096):
        text += data
    expect(text.count(b'limit of 3 connections reached') == 1, f'log: {text}')


def test_stalled_client(path):
    """A client that does not read stops its server and nobody else."""
    service = Service(path, [(TCP, SOURCE, LOCAL), (TCP, ECHO, LOCAL)])
    with service.connect(0) as stalled:
        select.select([stalled], [], [], 10)
        with service.connect(1) as s:
            s.sendall(b'z' * 100000)
            expect(len(receive(s, 100000)) == 100000, 'another one was held up')
        length = 0
        while got := stalled.recv(1 << 20):
            length += len(got)
        expect(length == SIZE, f'{length} bytes after the stall')
    service.end()


def test_udp(path):
    service = Service(path, [(UDP, ECHO, LOCAL), (UDP, REFUSED, LOCAL), (UDP, ECHO, ['192.0.2.9', '::1', '127.0.0.1'])],
                      bind='0.0.0.0')
    clients = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(50)]
    for i, s in enumerate(clients):
        s.settimeout(10)
        s.connect((f'127.0.0.{i % 3 + 1}', service.ports[0]))  # connected: only that address may answer
        s.send(b'%d' % i)
    for i, s in enumerate(clients):
        expect(s.recv(100) == b'%d' % i, f'flow {i}')
    before = service.settled_descriptors()
    for size in (0, 1, 1400, 65000):
        clients[0].send(b'u' * size)
        expect(len(clients[0].recv(65536)) == size, f'{size} bytes')
    expect(service.settled_descriptors() == before, 'a flow was opened twice')
    s = clients[1]
    s.connect(('127.0.0.1', service.ports[1]))
    s.send(b'to nobody')
    s.connect(('127.0.0.1', service.ports[2]))
    s.send(b'third target')
    expect(s.recv(100) == b'third target', 'the next targets were not tried')
    service.end()


def test_udp_limit(path):
    service = Service(path, [(UDP, ECHO, LOCAL)], limit=10)
    before = service.descriptors()
    for i in range(50):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
            s.settimeout(10)
            s.connect(('127.0.0.1', service.ports[0]))
            s.send(b'%d' % i)
            expect(s.recv(100) == b'%d' % i, f'flow {i}')
    expect(service.descriptors() <= before + 10 + 8, 'more flows than the limit')
    service.end()


def test_privilege(path):
    service = Service(path, [(TCP, ECHO, LOCAL)])
    status = dict(line.split(':\t', 1) for line in open(f'/proc/{service.pid}/status').read().split('\n')
                  if ':\t' in line)
    for name in ('CapInh', 'CapPrm', 'CapEff', 'CapAmb'):
        expect(int(status[name], 16) == 0, f'{name} {status[name]}')
    expect(status['NoNewPrivs'] == '1' and status['Seccomp'] == '2', 'no_new_privs, seccomp')
    if os.environ.get('SERVICE_RELAY_ROOT'):
        expect(set(status['Uid'].split()) != {'0'}, 'still root')
        expect(int(status['CapBnd'], 16) == 0, 'the bounding set')
        expect(status['Groups'].strip() == '', 'supplementary groups')
    links = {n: os.readlink(f'/proc/{service.pid}/fd/{n}') for n in os.listdir(f'/proc/{service.pid}/fd')}
    expect('300' not in links, 'an inherited descriptor is open')
    expect(all(links[n] == '/dev/null' for n in '012'), f'standard descriptors {links}')
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        os.kill(service.pid, number)
    with service.connect() as s:
        s.sendall(b'still here')
        expect(receive(s, 10) == b'still here', 'a signal ended it')
    expect(service.end() == 0, 'it must end with the jail')


def test_supervisor_gone(path):
    service = Service(path, [(TCP, ECHO, LOCAL)])
    os.close(service.report)
    _, status = os.waitpid(service.pid, 0)
    expect(status == 0, f'status {status}')
    os.kill(service.jail, signal.SIGKILL)
    os.waitpid(service.jail, 0)


def test_unused_descriptors(path):
    service = Service(path, [(TCP, ECHO, LOCAL)])
    for number in 0, 1, 2, 5:  # without a log: 5 is no socket of the service's own
        where = os.readlink(f'/proc/{service.pid}/fd/{number}')
        expect(where == '/dev/null', f'{number} is {where}')
    service.end()


def test_bad_config(path):
    good = config_bytes([listener_bytes(TCP, ECHO, LOCAL)], 10)
    for what, bad in {'empty': b'', 'short': good[:-1], 'long': good + b'\0', 'magic': b'\1' + good[1:],
                      'bool': good[:40] + b'\2' + good[41:],
                      'port': good[:HEAD] + struct.pack('=BBH', TCP, 2, 0) + good[HEAD + 4:],
                      'count': good[:HEAD] + struct.pack('=BBH', TCP, 4, 80) + good[HEAD + 4:]}.items():
        service = Service(path, [(TCP, ECHO, LOCAL)], config=bad or b'x')
        expect(not service.is_ready, f'{what}: it started')
        expect(os.waitstatus_to_exitcode(service.end()) == 125, f'{what}: exit status')


def test_many_sockets(path):
    service = Service(path, [(TCP, ECHO, LOCAL)] * 20)
    for index in 0, 7, 8, 19:
        with service.connect(index) as s:
            s.sendall(b'far behind')
            expect(receive(s, 10) == b'far behind', f'socket {index}')
    expect(service.end() == 0, 'the service did not end well')


def test_bad_begin(path):
    """Who has not got what the configuration says begins nothing."""
    wanted = [(TCP, ECHO, LOCAL)]
    for what, begin in {'other kind': lambda r, fds: give(r, fds, 0, kind=1),
                        'one too few': lambda r, fds: give(r, fds[:1], 0),
                        'one too many': lambda r, fds: give(r, fds + fds[:1], 0),
                        'wrong rest': lambda r, fds: give(r, fds[:1], 2),
                        'none': lambda r, fds: give(r, [], 2),
                        'short': lambda r, fds: socket.send_fds(r, [b'\5\0\0\0'], fds)}.items():
        service = Service(path, wanted, begin=begin)
        expect(not service.is_ready, f'{what}: it started')
        expect(os.waitstatus_to_exitcode(service.end()) == 125, f'{what}: exit status')


def test_never_begun(path):
    """Its supervisor gives up: it ends, without a word."""
    read, write = os.pipe()
    error = os.dup(2)
    os.dup2(write, 2)
    service = Service(path, [(TCP, ECHO, LOCAL)], begin=lambda r, fds: r.shutdown(socket.SHUT_WR))
    os.dup2(error, 2)
    os.close(write), os.close(error)
    expect(not service.is_ready, 'it started')
    expect(os.waitstatus_to_exitcode(service.end()) == 125, 'exit status')
    expect(os.read(read, 1000) == b'', 'it said something')
    os.close(read)


def main():
    if os.geteuid() == 0 and 'SERVICE_RELAY_INSIDE' not in os.environ:
        os.environ['SERVICE_RELAY_ROOT'] = '1'
    if 'SERVICE_RELAY_INSIDE' not in os.environ:
        os.environ['SERVICE_RELAY_INSIDE'] = '1'
        command = ['unshare', '-n' if os.geteuid() == 0 else '-rn']
        if subprocess.call(command + ['true']):
            print('no network namespace can be made')
            sys.exit(77)
        os.execvp('unshare', command + [sys.executable] + sys.argv)
    resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)
    loopback_up()
    failed = 0
    label = 'service_relay root' if os.environ.get('SERVICE_RELAY_ROOT') else 'service_relay user'
    tests = [name for name in globals() if name.startswith('test_')]
    for name in [n for n in tests if not sys.argv[2:] or n in sys.argv[2:]]:
        started = time.monotonic()
        try:
            globals()[name](os.path.abspath(sys.argv[1]))
            print(f'ok {label} {name} ({time.monotonic() - started:.1f} s)', flush=True)
        except (AssertionError, OSError) as e:
            failed += 1
            print(f'FAIL {label} {name}\n    | {type(e).__name__}: {e}', flush=True)
    sys.exit(1 if failed else 0)


if __name__ == '__main__':
    main()
