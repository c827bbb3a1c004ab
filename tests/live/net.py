#!/usr/bin/python3
"""Servers and clients of the live tests.

serve PROTO ADDR PORT [PROTO ADDR PORT ...]
    Listens on each (IPv6 sockets carry IPv6 only). A client gets one line, "hello from LOCAL to PEER",
    then its own bytes back. Runs until it is killed.
try PROTO ADDR PORT [TIMEOUT]
    One client. Prints what it saw and exits with 0 if it was "ok LINE", else 1: "refused" (reset or
    port unreachable), "denied" (refused by the policy: EPERM, EACCES, EHOSTUNREACH from an ICMP
    refusal), "unreachable" (no route), "timeout", or the name of the errno.
http URL
    Fetches it and prints the body, or the word for what went wrong.
time PROTO ADDR PORT
    As try, and the milliseconds it took.
spoof IFACE SRC DST PORT [SRC DST PORT]...
    Sends UDP datagrams with false sources through a raw socket (needs CAP_NET_RAW).
claim DST PORT SRC...
    Sends a UDP datagram from a socket bound to each SRC, as far as the kernel lets it, without privilege (IP_FREEBIND).
count PORT SECONDS
    Counts UDP datagrams on PORT, both families, for that long.
"""
import errno
import os
import selectors
import socket
import sys
import time
import urllib.error
import urllib.request


IP_PKTINFO = 8  # linux/in.h; Python 3.11 has no name for it


def text(address):
    return address[0].split("%")[0].removeprefix("::ffff:")


def listener(protocol, address, port):
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    kind = socket.SOCK_STREAM if protocol == "tcp" else socket.SOCK_DGRAM
    s = socket.socket(family, kind)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if family == socket.AF_INET6:
        s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_RECVPKTINFO, 1)
    else:
        s.setsockopt(socket.IPPROTO_IP, IP_PKTINFO, 1)
    s.bind((address, int(port)))
    if protocol == "tcp":
        s.listen(128)
    s.setblocking(False)
    return s


def answer_datagram(s):
    """From the address that was asked: a wildcard socket would choose another one."""
    _, control, _, peer = s.recvmsg(2048, 256)
    level, kind, data = control[0]
    if level == socket.IPPROTO_IPV6:
        local = socket.inet_ntop(socket.AF_INET6, data[:16])
        source = data
    else:
        local = socket.inet_ntoa(data[8:12])
        source = b"\0\0\0\0" + data[8:12] + b"\0\0\0\0"
    line = f"hello from {local} to {text(peer)}\n".encode()
    s.sendmsg([line], [(level, kind, source)], 0, peer)


def serve(arguments):
    selector = selectors.DefaultSelector()
    for i in range(0, len(arguments), 3):
        s = listener(*arguments[i:i + 3])
        selector.register(s, selectors.EVENT_READ, "listen" if arguments[i] == "tcp" else "udp")
    print("ready", flush=True)
    while True:
        for key, _ in selector.select():
            s = key.fileobj
            try:
                if key.data == "listen":
                    c, peer = s.accept()
                    c.sendall(f"hello from {text(c.getsockname())} to {text(peer)}\n".encode())
                    selector.register(c, selectors.EVENT_READ, "client")
                elif key.data == "udp":
                    answer_datagram(s)
                else:
                    data = s.recv(65536)
                    if data:
                        s.sendall(data)
                    else:
                        selector.unregister(s)
                        s.close()
            except OSError:
                if key.data == "client":
                    selector.unregister(s)
                    s.close()


WORDS = {
    errno.ECONNREFUSED: "refused",
    errno.ECONNRESET: "refused",
    errno.EPERM: "denied",
    errno.EACCES: "denied",
    errno.EHOSTUNREACH: "denied",
    errno.ENETUNREACH: "unreachable",
    errno.EADDRNOTAVAIL: "unreachable",
    errno.ETIMEDOUT: "timeout",
}


def attempt(protocol, address, port, timeout=1.5 * float(os.environ.get("WAIT_FACTOR", "1"))):
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    kind = socket.SOCK_STREAM if protocol == "tcp" else socket.SOCK_DGRAM
    s = socket.socket(family, kind)
    s.settimeout(float(timeout))
    try:
        s.connect((address, int(port)))
        if protocol == "udp":
            s.send(b"hello\n")
        line = s.recv(2048)
        return "ok " + line.decode().strip() if line else "closed"
    except TimeoutError:
        return "timeout"
    except OSError as e:
        return WORDS.get(e.errno, errno.errorcode.get(e.errno, str(e)))
    finally:
        s.close()


def http(url):
    try:
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(url, timeout=3) as answer:
            return answer.read().decode().strip()
    except urllib.error.URLError as e:
        return WORDS.get(getattr(e.reason, "errno", None), str(e.reason))


def checksum(data):
    """RFC 1071."""
    data += b"\0" * (len(data) % 2)
    total = sum(int.from_bytes(data[i:i + 2], "big") for i in range(0, len(data), 2))
    while total >> 16:
        total = (total & 0xffff) + (total >> 16)
    return (~total & 0xffff) or 0xffff


def spoof(interface, source, destination, port, *more):
    if more:
        spoof(interface, *more)
    payload = b"spoofed"
    family = socket.AF_INET6 if ":" in source else socket.AF_INET
    s = socket.socket(family, socket.SOCK_RAW, socket.IPPROTO_RAW)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, interface.encode())
    length = (8 + len(payload)).to_bytes(2, "big")
    addresses = socket.inet_pton(family, source) + socket.inet_pton(family, destination)
    udp = (4242).to_bytes(2, "big") + int(port).to_bytes(2, "big") + length
    if family == socket.AF_INET6:
        pseudo = addresses + b"\0\0" + length + b"\0\0\0\x11"
        udp += checksum(pseudo + udp + b"\0\0" + payload).to_bytes(2, "big") + payload
        ip = b"\x60\0\0\0" + length + bytes([17, 64])
    else:
        udp += b"\0\0" + payload
        ip = bytes([0x45, 0]) + (20 + len(udp)).to_bytes(2, "big") + b"\0\1\0\0" + bytes([64, 17, 0, 0])
    s.sendto(ip + addresses + udp, (destination, 0))


def claim(destination, port, *sources):
    is_v6 = ":" in destination
    for source in sources:
        s = socket.socket(socket.AF_INET6 if is_v6 else socket.AF_INET, socket.SOCK_DGRAM)
        s.setsockopt(*((socket.IPPROTO_IPV6, 78, 1) if is_v6 else (socket.IPPROTO_IP, 15, 1)))  # IPV6_FREEBIND, IP_FREEBIND
        try:
            s.bind((source, 0))
            s.sendto(b"claimed", (destination, int(port)))
        except OSError:
            pass


def count(port, seconds):
    sockets = [listener("udp", a, port) for a in ("0.0.0.0", "::")]
    print("ready", flush=True)
    end = time.monotonic() + float(seconds)
    selector = selectors.DefaultSelector()
    for s in sockets:
        selector.register(s, selectors.EVENT_READ)
    number = 0
    while (left := end - time.monotonic()) > 0:
        for key, _ in selector.select(left):
            key.fileobj.recv(2048)
            number += 1
    print(number)


def main():
    command, arguments = sys.argv[1], sys.argv[2:]
    if command == "serve":
        serve(arguments)
    elif command == "try":
        result = attempt(*arguments)
        print(result)
        sys.exit(0 if result.startswith("ok") else 1)
    elif command == "http":
        print(http(*arguments))
    elif command == "time":
        start = time.monotonic()
        result = attempt(*arguments)
        print(round((time.monotonic() - start) * 1000), result)
    elif command == "spoof":
        spoof(*arguments)
    elif command == "claim":
        claim(*arguments)
    elif command == "count":
        count(*arguments)


try:
    main()
except KeyboardInterrupt:
    sys.exit(130)
