#!/usr/bin/python3
"""Fills this network namespace's table of tracked connections: fill_conntrack.py. Prints how many there are; exit status
77 when the limit is too high for a test. `fill_conntrack.py empty` empties it again.

Entries are made by ctnetlink as assured UDP flows between addresses of 198.18.0.0/15 (RFC 2544), which the kernel does not
drop early; the limit is the machine's, and only read here."""
import socket
import struct
import sys

MOST = 600000
CT_NEW, CT_DELETE = 1 << 8, 1 << 8 | 2
REQUEST, ACK, CREATE, EXCL = 1, 4, 0x400, 0x200
CONFIRMED_ASSURED_SEEN_REPLY = 1 << 3 | 1 << 2 | 1 << 1
BATCH = 200


def attribute(kind, data, nested=False):
    return struct.pack("=HH", len(data) + 4, kind | (0x8000 if nested else 0)) + data + b"\0" * (-len(data) % 4)


def direction(kind, source, destination, ports):
    addresses = attribute(1, source) + attribute(2, destination)
    protocol = attribute(1, b"\x11") + attribute(2, struct.pack(">H", ports[0])) + attribute(3, struct.pack(">H", ports[1]))
    return attribute(kind, attribute(1, addresses, True) + attribute(2, protocol, True), True)


def entry(number):
    source = struct.pack(">I", 0xC6120000 + (number & 0xFFFF))
    destination = struct.pack(">I", 0xC6130000 + (number >> 16))
    payload = struct.pack(">BBH", socket.AF_INET, 0, 0)
    payload += direction(1, source, destination, (1000, 2000)) + direction(2, destination, source, (2000, 1000))
    payload += attribute(3, struct.pack(">I", CONFIRMED_ASSURED_SEEN_REPLY)) + attribute(7, struct.pack(">I", 3600))
    return struct.pack("=IHHII", 16 + len(payload), CT_NEW, REQUEST | CREATE | EXCL, 0, 0) + payload


def read(name):
    with open(f"/proc/sys/net/netfilter/nf_conntrack_{name}") as f:
        return int(f.read())


def main():
    nl = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 12)
    nl.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
    if sys.argv[1:] == ["empty"]:
        payload = struct.pack(">BBH", socket.AF_UNSPEC, 0, 0)
        nl.send(struct.pack("=IHHII", 16 + len(payload), CT_DELETE, REQUEST | ACK, 1, 0) + payload)
        nl.recv(4096)
        return 0
    limit = read("max")
    if limit > MOST:
        print(f"this machine tracks up to {limit} connections: too many to make for a test")
        return 77
    nl.setblocking(False)
    number = 0
    while read("count") < limit and number < 2 * limit:
        nl.send(b"".join(entry(number + i) for i in range(BATCH)))
        number += BATCH
        try:  # errors, of those that do not fit any more
            while True:
                nl.recv(1 << 16)
        except BlockingIOError:
            pass
    print(read("count"))
    return 0 if read("count") >= limit else 1


sys.exit(main())
