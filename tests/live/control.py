"""Attacks on a jail's control socket: control.py ATTACK SOCKET [ARG...]. Prints what came of it in one word;
`try` takes several sockets.

The messages are those of src/jail/request.h: a request is magic and kind, an answer kind and value.
"""
import array
import fcntl
import os
import socket
import struct
import sys
import time

MAGIC = 0x6e6a7131
NAMESPACE, PROGRAM = 1, 2


def connect(path):
    s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    s.connect(path) # waits while the queue is full
    s.settimeout(10)
    return s


def send(s, data, fds=()):
    s.sendmsg([data], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))] if fds else [])


def answer(s):
    """The value of the answer and the descriptors with it, or 'end'."""
    try:
        data, ancillary, _, _ = s.recvmsg(64, socket.CMSG_SPACE(64))
    except ConnectionError:
        return "end", []
    fds = array.array("i")
    for level, kind, content in ancillary:
        if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
            fds.frombytes(content[:len(content) - len(content) % fds.itemsize])
    if not data:
        return "end", list(fds)
    return struct.unpack("Ii", data)[1], list(fds)


def request(kind):
    return struct.pack("II", MAGIC, kind)


def try_namespace(path):
    """reached: it gave the namespace; refused: it answered no; unreachable: no connection."""
    try:
        s = connect(path)
    except OSError:
        return "unreachable"
    try:
        send(s, request(NAMESPACE))
    except OSError:
        pass
    value, fds = answer(s)
    return "reached" if fds else "refused"


def bad_requests(path):
    """Every request that is none is answered with an error or the end, never with a descriptor."""
    null = os.open("/dev/null", os.O_RDWR)
    bad = [(b"x", ()), (struct.pack("I", MAGIC), ()), (request(NAMESPACE)[:7], ()), (request(NAMESPACE) + b"x", ()),
           (struct.pack("II", MAGIC + 1, NAMESPACE), ()), (request(0), ()), (request(3), ()), (request(2**32 - 1), ()),
           (request(NAMESPACE), (null,)), (request(PROGRAM), ()), (request(PROGRAM), (null,) * 3),
           (request(PROGRAM), (null,) * 5), (request(PROGRAM), (null,) * 200), (b"x" * 100000, ()),
           (os.urandom(8), (null,) * 4)]
    for data, fds in bad:
        s = connect(path)
        try:
            send(s, data, fds)
        except OSError:
            continue
        value, got = answer(s)
        if got or (value != "end" and value >= 0):
            return f"accepted {data[:16]!r} with {len(fds)} descriptors"
    return "refused"


def bad_programs(path):
    """Descriptions of programs that are none; the answer is an event with an error, or the end."""
    null = os.open("/dev/null", os.O_RDWR)
    header = "IIIIIIQQ4096s"

    def memfd(content):
        fd = os.memfd_create("x")
        os.write(fd, content)
        return fd
    good = dict(magic=0x6e6a7031, argc=1, envc=0, terminal=0, umask=0o22, cwd_length=0, ignored=0, blocked=0, cwd=b"")
    cases = [({}, b""), ({}, b"true"), ({}, b"true\0extra\0"), (dict(argc=0), b""), (dict(argc=2**32 - 1), b"true\0"),
             (dict(envc=1), b"true\0novalue\0"), (dict(envc=1), b"true\0=x\0"), (dict(envc=2**31), b"true\0"),
             (dict(terminal=9), b"true\0"), (dict(terminal=1), b"true\0"), (dict(umask=2**31), b"true\0"),
             (dict(cwd_length=4097), b"true\0"), (dict(magic=1), b"true\0")]
    pipe_read, _ = os.pipe()
    descriptions = [memfd(struct.pack(header, *(good | change).values()) + strings) for change, strings in cases]
    descriptions += [null, memfd(b""), memfd(b"x" * 4000), pipe_read, os.open("/", os.O_RDONLY)]
    huge = memfd(b"")
    os.ftruncate(huge, 1 << 40)
    for i, description in enumerate(descriptions + [huge]):
        s = connect(path)
        send(s, request(PROGRAM), (description, null, null, null))
        value, _ = answer(s)
        if value != "end" and value >= 0:
            return f"accepted description {i}: {value}"
    return "refused"


def flood(path, count):
    """Silent clients, as many as can be; held until the standard input ends."""
    clients = []
    for _ in range(count):
        s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        s.setblocking(False)
        try:
            s.connect(path)
        except (BlockingIOError, OSError):
            s.close()
            time.sleep(0.001)
            continue
        clients.append(s)
    print("held", flush=True)
    sys.stdin.read()
    return "done"


def never_read(path):
    """Asks for descriptors again and again and never takes one."""
    clients = []
    null = os.open("/dev/null", os.O_RDWR)
    for i in range(200):
        s = connect(path)
        for data, fds in ((request(NAMESPACE), ()), (request(PROGRAM), (null,) * 4)):
            try:
                send(s, data, fds)
            except OSError:
                pass
        clients.append(s)
    return "done"


def pose(path):
    """Listens in the place of the supervisor."""
    s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    s.bind(path)
    os.chmod(path, 0o777)
    s.listen(8)
    print("listening", flush=True)
    while True:
        client, _ = s.accept()
        _, ancillary, _, _ = client.recvmsg(64, socket.CMSG_SPACE(64))
        print("got descriptors" if ancillary else "got nothing", flush=True)


def lie(path, namespace):
    """A supervisor of our own making, as the lease beside the socket says, that hands over another network."""
    start = open("/proc/self/stat", encoding="ascii").read().rsplit(")", 1)[1].split()[19]
    cookie = socket.socket().getsockopt(socket.SOL_SOCKET, 71, 8) # SO_NETNS_COOKIE
    record = ["netjail-record 1", "name liar", f"pid {os.getpid()}", f"pid-start {start}", f"uid {os.getuid()}", "started 1",
              f"netns-cookie {struct.unpack('Q', cookie)[0]}", f"netns-inode {os.stat('/proc/self/ns/net').st_ino}",
              "state running", "rules none", "policy -", "command liar", "end", ""]
    s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    s.bind(path)
    s.listen(8)
    lease = os.open(path.removesuffix(".sock") + ".lease", os.O_RDWR | os.O_CREAT, 0o600)
    fcntl.flock(lease, fcntl.LOCK_EX)
    os.write(lease, "\n".join(record).encode())
    other = os.open(namespace, os.O_RDONLY)
    print("ready", flush=True)
    while True:
        client, _ = s.accept()
        client.recvmsg(64, socket.CMSG_SPACE(64))
        send(client, struct.pack("Ii", 1, 0), [other])


def main():
    if sys.argv[1] == "lie":
        lie(*sys.argv[2:])
    attack, path = sys.argv[1:3]
    if attack == "try":
        for path in sys.argv[2:]:
            print(try_namespace(path), flush=True)
        return
    arguments = [int(a) for a in sys.argv[3:]]
    print({"requests": bad_requests, "programs": bad_programs, "flood": flood,
           "never-read": never_read, "pose": pose}[attack](path, *arguments), flush=True)


main()
