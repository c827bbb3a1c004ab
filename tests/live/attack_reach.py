#!/usr/bin/env python3
"""A hostile command that tries to reach what its policy does not name, and to change its network.

    attack_reach.py            every way out that a program can try by itself; each datagram carries NJATTACK, so that
                               whoever listens outside sees what came through
Prints `THROUGH WHAT` for each way that the program itself sees open, then `N tried`; exits with 3 if there was one.
The only permitted connections are TCP to port 7.
"""
import ctypes
import fcntl
import os
import socket
import struct
import sys

MARK = b"NJATTACK"
TARGETS4 = ["192.0.2.1", "192.0.2.100", "198.51.100.10", "10.80.0.1", "10.80.0.9", "169.254.169.254", "0.0.0.0", "127.0.0.2",
            "172.31.255.10", "10.80.0.255", "255.255.255.255", "224.0.0.1", "224.0.0.251", "240.0.0.1"]
TARGETS6 = ["2001:db8:1::1", "2001:db8:1::100", "2001:db8:100::10", "fd00:80::1", "::ffff:192.0.2.1", "::ffff:192.0.2.100",
            "::ffff:169.254.169.254", "::192.0.2.100", "64:ff9b::c000:264", "ff02::1", "ff02::fb", "ff05::1", "::", "fd00:ec2::254"]
tried = through = 0


def found(what):
    global through
    through += 1
    print("THROUGH", what, flush=True)


def attempt(what, action):
    """The action must fail; that it succeeds is a way through."""
    global tried
    tried += 1
    try:
        action()
    except (OSError, OverflowError, ValueError):
        return
    found(what)


def send_only(action):
    """Datagrams may be swallowed silently: whoever listens outside tells."""
    global tried
    tried += 1
    try:
        action()
    except (OSError, OverflowError):
        pass


def tcp(address, port, options=(), source=None, fast_open=False):
    s = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET)
    s.settimeout(0.4)
    for option in options:
        s.setsockopt(*option)
    if source:
        s.bind(source)
    if fast_open:
        s.sendto(MARK, 0x20000000, (address, port))
        if not s.recv(1):
            raise OSError
    else:
        s.connect((address, port))
    s.close()


def udp(address, port, data=MARK, options=(), source=None):
    s = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_DGRAM)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
    for option in options:
        try:
            s.setsockopt(*option)
        except OSError:
            pass
    if source:
        s.bind(source)
    s.sendto(data, (address, port))
    s.settimeout(0.02)
    try:
        s.recv(10)
    except OSError:
        return
    found(f"an answer from {address} port {port}")


def reach():
    for address in TARGETS4 + TARGETS6:
        for port in (9, 53, 80, 9999):
            attempt(f"TCP to {address} port {port}", lambda: tcp(address, port))
            send_only(lambda: udp(address, port))
        attempt(f"TCP fast open to {address}", lambda: tcp(address, 9, fast_open=True))
        send_only(lambda: udp(address, 9, MARK * 4000))  # in fragments
    for address in ("192.0.2.100", "2001:db8:1::100", "10.80.0.1", "fd00:80::1"):
        for port in (7, 20, 53, 67, 68, 123, 179, 546, 547, 5353):
            any_ = "::" if ":" in address else "0.0.0.0"
            attempt(f"TCP to {address} from port {port}", lambda: tcp(address, 9, source=(any_, port)))
            send_only(lambda: udp(address, 9, source=(any_, port)))
            send_only(lambda: udp(address, 7, source=(any_, port)))  # UDP is not TCP
    for name, option in OPTIONS.items():
        attempt(f"TCP with {name}", lambda: tcp("192.0.2.100", 9, [option]))
        send_only(lambda: udp("192.0.2.100", 9, options=[option]))
    for source in ("192.0.2.77", "127.0.0.1", "10.80.0.1", "10.80.0.77", "0.0.0.1"):
        send_only(lambda: udp("192.0.2.100", 9, options=[(0, 15, 1), (0, 19, 1)], source=(source, 0)))
        send_only(lambda: udp("192.0.2.100", 7, options=[(0, 15, 1), (0, 19, 1)], source=(source, 0)))
    for family in (socket.AF_INET, socket.AF_INET6):
        for kind, protocol in ((socket.SOCK_DGRAM, 1), (socket.SOCK_DGRAM, 58), (socket.SOCK_SEQPACKET, 132),
                               (socket.SOCK_STREAM, 132), (socket.SOCK_STREAM, 262), (socket.SOCK_DGRAM, 136)):
            def other():
                s = socket.socket(family, kind, protocol)
                s.settimeout(0.3)
                s.connect(("192.0.2.100" if family == socket.AF_INET else "2001:db8:1::100", 9))
                s.send(b"\x08\0\0\0\0\0\0\0" + MARK if protocol == 1 else b"\x80\0\0\0\0\0\0\0" + MARK)
                s.recv(1)
            attempt(f"protocol {protocol}, type {kind}", other)


OPTIONS = {
    "a loose source route": (0, 4, bytes([131, 7, 4, 192, 0, 2, 1, 0])),
    "a strict source route": (0, 4, bytes([137, 7, 4, 192, 0, 2, 1, 0])),
    "a record route": (0, 4, bytes([7, 7, 4, 0, 0, 0, 0, 0])),
    "router alert": (0, 4, bytes([148, 4, 0, 0])),
    "SO_BINDTODEVICE eth0": (socket.SOL_SOCKET, 25, b"eth0\0"),
    "SO_BINDTODEVICE lo": (socket.SOL_SOCKET, 25, b"lo\0"),
    "SO_MARK": (socket.SOL_SOCKET, 36, 1),
    "IP_TRANSPARENT": (0, 19, 1),
    "SO_DONTROUTE": (socket.SOL_SOCKET, 5, 1),
    "IP_TTL 1": (0, 2, 1),
    "IP_TOS": (0, 1, 0xff),
    "SO_PRIORITY": (socket.SOL_SOCKET, 12, 6),
}


def tamper():
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    name = (b"eth0" if os.path.exists("/sys/class/net/eth0") else b"lo").ljust(16, b"\0")
    address = struct.pack("HH4s8x", socket.AF_INET, 0, bytes([10, 80, 0, 200]))
    for code, what, tail in ((0x8914, "flags: down", struct.pack("H", 0)), (0x8914, "promiscuous", struct.pack("H", 0x1103)),
                             (0x8916, "address", address), (0x891c, "netmask", address), (0x8922, "MTU", struct.pack("i", 900)),
                             (0x8924, "MAC", struct.pack("H6s", 1, b"\2njatt")), (0x8923, "rename", b"other\0"),
                             (0x8955, "ARP entry", b""), (0x890b, "route", b""), (0x890c, "route away", b""),
                             (0x89a0, "bridge", b""), (0x89a2, "bridge port", b""), (0x8946, "ethtool", b""),
                             (0x89f1, "tunnel", b""), (0x8933, "", None), (0x8943, "queue length", struct.pack("i", 1))):
        if tail is not None:
            attempt(f"ioctl: {what}", lambda: fcntl.ioctl(s, code, (name + tail).ljust(120, b"\0")))
    for path in ("/dev/net/tun", "/dev/vhost-net", "/dev/vhost-vsock"):
        attempt(f"a device by {path}", lambda: fcntl.ioctl(os.open(path, os.O_RDWR), 0x400454ca,
                                                          b"tap0".ljust(16, b"\0") + struct.pack("H22x", 0x1002)))
    route = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0)
    for kind, what, body in ((16, "new link", struct.pack("BBHiII", 0, 0, 0, 0, 0, 0)),
                             (19, "link down", struct.pack("BBHiII", 0, 0, 0, 2, 0, 1)), (17, "no lo", struct.pack("BBHiII", 0, 0, 0, 1, 0, 0)),
                             (20, "address", struct.pack("BBBBi", 2, 24, 0, 0, 1) + struct.pack("HH4s", 8, 2, bytes([10, 80, 0, 200]))),
                             (24, "route", struct.pack("BBBBBBBBI", 2, 0, 0, 0, 254, 4, 0, 1, 0) + struct.pack("HHi", 8, 4, 1)),
                             (25, "route away", struct.pack("BBBBBBBBI", 2, 0, 0, 0, 254, 0, 0, 0, 0)),
                             (28, "neighbour", struct.pack("BxxxiHBB", 2, 2, 0x80, 0, 0) + struct.pack("HH4s", 8, 1, bytes([10, 80, 0, 1]))),
                             (32, "rule", struct.pack("BBBBBBBBI", 2, 0, 0, 0, 254, 0, 0, 1, 0)),
                             (36, "qdisc", struct.pack("BxxxiIII", 0, 1, 0, 0xffffffff, 0)), (88, "namespace id", struct.pack("B", 0)),
                             (104, "netconf", struct.pack("B", 2))):
        def change():
            route.send(struct.pack("IHHII", 16 + len(body), kind, 0x605, 1, 0) + body)
            answer = route.recv(8192)
            error = struct.unpack_from("i", answer, 16)[0]
            if struct.unpack_from("H", answer, 4)[0] != 2 or error != 0:
                raise OSError(-error, "refused")
        attempt(f"netlink: {what}", change)
    for path in ("ipv4/ip_forward", "ipv4/conf/all/accept_local", "ipv4/conf/lo/route_localnet", "ipv6/conf/all/disable_ipv6",
                 "ipv4/ip_unprivileged_port_start", "ipv4/ping_group_range", "netfilter/nf_conntrack_helper", "core/somaxconn"):
        attempt(f"sysctl {path}", lambda: os.close(os.open(f"/proc/sys/net/{path}", os.O_WRONLY)))


def neighbours():
    """Abstract sockets of the host, by name and by the names of its table."""
    names = ["nj-attack"] + [line.split()[-1][1:] for line in open("/proc/net/unix") if " @" in line]
    for name in names:
        for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM, socket.SOCK_SEQPACKET):
            def connect():
                s = socket.socket(socket.AF_UNIX, kind)
                s.connect("\0" + name)
            attempt(f"the abstract socket {name}", connect)


reach()
tamper()
neighbours()
print(tried, "tried", flush=True)
sys.exit(3 if through else 0)
