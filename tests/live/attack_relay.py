#!/usr/bin/env python3
"""A hostile command behind `link relay`, where every address is a local one and any port may be bound.

    attack_relay.py ALLOWED4 ALLOWED6 DENIED4 DENIED6
        TCP port 7 and UDP port 53 of the first two are permitted, nothing else; the others have servers at ports 7, 9, 53.
Each datagram that must not arrive carries NJATTACK, so that whoever listens outside sees what came through, as any packet
to the other two; what is permitted says so. Prints `THROUGH WHAT` for each way that the program itself sees open, then `N tried`; exits with 3 if
there was one.
"""
import errno
import socket
import struct
import sys

MARK = b"NJATTACK"
FREEBIND4, FREEBIND6, TRANSPARENT4, TRANSPARENT6 = (0, 15, 1), (41, 78, 1), (0, 19, 1), (41, 75, 1)
MSG_FASTOPEN, FASTOPEN_CONNECT = 0x20000000, (6, 30, 1)
ALLOWED, DENIED = sys.argv[1:3], sys.argv[3:5]
PORTS = {"tcp": 7, "udp": 53}
tried = through = 0


def found(what):
    global through
    through += 1
    print("THROUGH", what, flush=True)


def attempt(what, action):
    """The action must fail; that it gives something back is a way through."""
    global tried
    tried += 1
    try:
        if action() is not None:
            found(what)
    except (OSError, OverflowError, ValueError):
        pass


def make(kind, address, options=(), source=None, wait=0.3):
    s = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET,
                      socket.SOCK_STREAM if kind == "tcp" else socket.SOCK_DGRAM)
    s.settimeout(wait)
    for option in ((socket.SOL_SOCKET, socket.SO_REUSEADDR, 1), (socket.SOL_SOCKET, socket.SO_REUSEPORT, 1), *options):
        try:
            s.setsockopt(*option)
        except OSError:
            pass
    if source:
        s.bind(source)
    return s


def tcp(address, port, options=(), source=None):
    with make("tcp", address, options, source) as s:
        s.connect((address, port))
        return s.recv(64) or None


def udp(address, port, options=(), source=None, text=MARK):
    with make("udp", address, options, source, 0.05) as s:
        s.sendto(text, (address, port))
        return s.recv(64)


# ---- options, spellings, ways of sending ---------------------------------------------------------

def routes4(through):
    address = socket.inet_aton(through)
    return {"loose source route": (0, 4, bytes([131, 7, 4]) + address + b"\0"),
            "strict source route": (0, 4, bytes([137, 7, 4]) + address + b"\0"),
            "loose route over two": (0, 4, bytes([131, 11, 4]) + address * 2 + b"\0"),
            "timestamps": (0, 4, bytes([68, 12, 5, 1]) + address + bytes(4)),
            "record route": (0, 4, bytes([7, 7, 4, 0, 0, 0, 0, 0]))}


def routes6(through):
    address = socket.inet_pton(socket.AF_INET6, through)
    return {"routing header 0": (41, 57, bytes([0, 2, 0, 1, 0, 0, 0, 0]) + address),
            "routing header 2": (41, 57, bytes([0, 2, 2, 1, 0, 0, 0, 0]) + address),
            "segment routing": (41, 57, bytes([0, 4, 4, 1, 1, 0, 0, 0]) + address * 2),
            "hop-by-hop": (41, 54, bytes([0, 0, 5, 2, 0, 0, 1, 0])),
            "destination options": (41, 59, bytes([0, 0, 1, 4, 0, 0, 0, 0]))}


COMMON = {"SO_MARK, the mark of a refusal": (1, 36, 0x6e6a0001), "SO_BINDTODEVICE": (1, 25, b"lo\0"), "SO_DONTROUTE": (1, 5, 1),
          "SO_PRIORITY": (1, 12, 6), "SO_BROADCAST": (1, 6, 1), "IP_TRANSPARENT": TRANSPARENT4, "IP_FREEBIND": FREEBIND4,
          "IPV6_TRANSPARENT": TRANSPARENT6, "IPV6_FREEBIND": FREEBIND6, "IP_UNICAST_IF": (0, 50, struct.pack("!I", 1)),
          "IPV6_UNICAST_IF": (41, 76, struct.pack("!I", 1)), "IP_MULTICAST_IF": (0, 32, socket.inet_aton("127.0.0.1")),
          "UDP_SEGMENT": (17, 103, 4), "UDP_CORK": (17, 1, 1), "UDP_ENCAP": (17, 100, 2), "TCP_REPAIR": (6, 19, 1),
          "TCP_ULP mptcp": (6, 31, b"mptcp"), "TCP_ULP smc": (6, 31, b"smc"), "TCP_FASTOPEN_CONNECT": FASTOPEN_CONNECT,
          "TCP_FASTOPEN_NO_COOKIE": (6, 34, 1), "SO_INCOMING_CPU": (1, 49, 0), "IP_PMTUDISC": (0, 10, 4), "IP_TTL": (0, 2, 1)}


def spellings(address):
    yield address
    if ":" not in address:
        number = struct.unpack("!I", socket.inet_aton(address))[0]
        yield from ("::ffff:" + address, "::" + address, "64:ff9b::" + address, "64:ff9b:1::" + address,
                    f"2002:{number >> 16:x}:{number & 0xffff:x}::1", "::ffff:0:" + address, f"2001:0:{number >> 16:x}:{number & 0xffff:x}::1")


def ways():
    for i, denied in enumerate(DENIED):
        allowed = ALLOWED[i]
        for address in spellings(denied):
            for port in (7, 9, 53):
                attempt(f"TCP to {address} port {port}", lambda: tcp(address, port))
                attempt(f"UDP to {address} port {port}", lambda: udp(address, port))
        for port in (1, 8, 9, 53, 8080):
            attempt(f"TCP to the allowed address, port {port}", lambda: tcp(allowed, port))
            attempt(f"UDP to the allowed address, port {port}", lambda: udp(allowed, port + 1))
        routes = routes6 if ":" in denied else routes4
        for name, option in {**COMMON, **routes(allowed)}.items():
            attempt(f"TCP to the denied address with {name}", lambda: tcp(denied, 7, [option]))
            attempt(f"UDP to the denied address with {name}", lambda: udp(denied, 53, [option]))
        for name, option in routes(denied).items():  # what comes of it outside is seen there
            attempt(f"UDP to the allowed address with {name}", lambda: udp(allowed, 53, [option], text=b"permitted") and None)
            attempt(f"TCP to the allowed address with {name}", lambda: tcp(allowed, 7, [option]) and None)
        sending(allowed, denied)


def fast(kind, address, port, data):
    with make(kind, address) as s:
        s.sendto(data, MSG_FASTOPEN, (address, port))
        return s.recv(64) or None


def then_elsewhere(kind, allowed, denied, port):
    """Connected where it may be, then sent elsewhere by the same socket."""
    with make(kind, allowed, [FASTOPEN_CONNECT]) as s:
        s.connect((allowed, PORTS[kind]))
        s.send(b"permitted")
        s.recv(64)
        name = s.getsockname()
        try:
            if kind == "udp":
                s.sendto(MARK, (denied, port))
        except OSError:
            pass
        libc_disconnect(s)
        with make(kind, denied, source=(name[0], name[1])) as other:
            other.connect((denied, port))
            other.send(MARK)
            return other.recv(64) or None


def libc_disconnect(s):
    import ctypes
    ctypes.CDLL(None).connect(s.fileno(), struct.pack("H14x", socket.AF_UNSPEC), 16)


def sending(allowed, denied):
    for port in (7, 9, 53):
        attempt(f"TCP fast open to {denied} port {port}", lambda: fast("tcp", denied, port, MARK * 100))
        for kind in PORTS:
            attempt(f"{kind} to {denied} port {port} by a socket that was allowed", lambda: then_elsewhere(kind, allowed, denied, port))
    family = 41 if ":" in denied else 0
    info = struct.pack("16sI", bytes(16), 1) if family else struct.pack("I4s4s", 1, bytes(4), socket.inet_aton("127.0.0.1"))

    def with_info():
        with make("udp", denied, wait=0.05) as s:
            s.sendmsg([MARK], [(family, 50 if family else 8, info)], 0, (denied, 53))
            return s.recv(64)
    attempt("UDP with packet information", with_info)
    for flags in (0x8000, 0x4, 0x800, 0x4000000): # MSG_MORE, DONTROUTE, CONFIRM, ZEROCOPY
        def flagged():
            with make("udp", denied, wait=0.05) as s:
                s.sendto(MARK, flags, (denied, 53))
                s.sendto(MARK, (denied, 53))
                return s.recv(64)
        attempt(f"UDP with flags {flags:#x}", flagged)


# ---- sockets at addresses of others --------------------------------------------------------------

def bound(kind, address, port):
    return make(kind, address, [FREEBIND4, FREEBIND6, TRANSPARENT4, TRANSPARENT6], (address, port), 0.1)


def replies(allowed, denied, port):
    """A flow from the denied address to the allowed one, then datagrams that look like its answers."""
    with bound("udp", denied, port) as asks, bound("udp", allowed, 53) as answers:
        asks.sendto(b"permitted", (allowed, 53))
        for _ in range(3):
            answers.sendto(MARK, (denied, port))
        answers.connect((denied, port))
        answers.send(MARK)
        libc_disconnect(asks)
        asks.close()
        answers.send(MARK)
        return answers.recv(64) # of the denied one itself


def crossed(allowed, denied, port):
    """Two SYNs that cross, from made-up ends of one connection."""
    with bound("tcp", denied, port) as one, bound("tcp", allowed, 7) as two:
        one.setblocking(False)
        if one.connect_ex((allowed, 7)) not in (0, errno.EINPROGRESS):
            return None
        two.connect((denied, port))
        return two.recv(64) or None


def listener_of_the_relay(kind, address):
    """In the place of the socket that everything arrives at."""
    with bound(kind, address, 1) as s:
        if kind == "tcp":
            s.listen()
        with make(kind, ALLOWED[0], wait=0.5) as victim:
            victim.connect((ALLOWED[":" in address], PORTS[kind]))
            victim.send(b"permitted")
            return s.accept() if kind == "tcp" else s.recv(64)


def own():
    """What the relay has in the jail."""
    for address in ("192.0.0.1", "192.0.0.2", "192.0.0.3", "192.0.0.4", "fd6e:6574:6a61:696c::1", "fd6e:6574:6a61:696c::2",
                    "fd6e:6574:6a61:696c::3", "fd6e:6574:6a61:696c:1::1", "127.0.0.1", "::1", "0.0.0.0", "::"):
        for port in (1, 7, 9, 22, 53, 9999):
            attempt(f"TCP to {address} port {port}", lambda: tcp(address, port))
            attempt(f"UDP to {address} port {port}", lambda: udp(address, port))
            attempt(f"TCP to {address} port {port} from a foreign address", lambda: foreign(address, port))
        for kind in PORTS:
            attempt(f"the relay's own {kind} socket at {address}", lambda: listener_of_the_relay(kind, address))
    for i, allowed in enumerate(ALLOWED):
        for port in (9, 53, 4000):
            attempt(f"UDP: answers of {allowed} to {DENIED[i]} port {port}", lambda: replies(allowed, DENIED[i], port))
            attempt(f"TCP: crossed with {DENIED[i]} port {port}", lambda: crossed(allowed, DENIED[i], port))
        for source in (DENIED[i], allowed, ("192.0.0.1", "fd6e:6574:6a61:696c::1")[i], ("224.0.0.1", "ff02::1")[i]):
            attempt(f"UDP to {DENIED[i]} from {source}", lambda: udp(DENIED[i], 53, [FREEBIND4, FREEBIND6], (source, 53)))


def foreign(address, port):
    with bound("tcp", ALLOWED[":" in address], 0) as s:
        s.connect((address, port))
        return s.recv(64) or None


def storm():
    """More half-open connections than anybody has; one that is permitted must work afterwards."""
    held = []
    for i in range(1500):
        s = socket.socket()
        s.setblocking(False)
        try:
            s.connect_ex((DENIED[0] if i % 2 else ALLOWED[0], i % 60000 + 1 if i % 2 else 7))
            held.append(s)
        except OSError:
            break
    for s in held:
        s.close()
    global tried
    tried += len(held)
    for i in range(50):
        try:
            if tcp(ALLOWED[0], 7):
                return
        except OSError:
            pass
    found("nothing: the relay does not work any more")


ways()
own()
storm()
for address in ALLOWED:  # what is permitted works, so the refusals were no accident
    if not tcp(address, 7) or not udp(address, 53, text=b"permitted"):
        found("nothing: the relay is broken")
print(tried, "tried", flush=True)
sys.exit(3 if through else 0)
