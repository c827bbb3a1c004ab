#!/usr/bin/python3
"""Packets that no kernel makes, from a jail's port: far more than its command can send.

    attack_frames.py IFACE OWN-MAC SELF4 SELF6 MAC/HOST4/HOST6... -- MAC/ADDR4/ADDR6...
To each of the latter, which follow `--`: TCP with every odd set of flags, UDP from ports of services, with source routes
by way of the former, in fragments, behind extension headers, in tunnels (4in4, 6in4, GRE), ICMP errors about flows of
others, every message of neighbour discovery but the two that hosts need. All from its own addresses, which its port may
have. Prints how many.
"""
import socket
import struct
import sys

ICMP4 = ((3, 0), (3, 1), (3, 3), (3, 4), (3, 13), (4, 0), (5, 1), (11, 0), (12, 0), (8, 0), (13, 0), (17, 0))
ICMP6 = (1, 2, 3, 4, 128, 130, 131, 132, 133, 134, 137, 138, 139, 141, 151, 153)
TCP_FLAGS = (0x02, 0x10, 0x12, 0x04, 0x01, 0x00, 0x3f, 0x29)  # SYN, ACK, SYN+ACK, RST, FIN, none, all, FIN+PSH+URG


def family(address):
    return socket.AF_INET6 if ":" in address else socket.AF_INET


def packed(address):
    return socket.inet_pton(family(address), address)


def checksum(data):
    data += b"\0" * (len(data) % 2)
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xffff) + (total >> 16)
    return ~total & 0xffff


def summed(source, destination, protocol, body, offset):
    """The body with the checksum at its offset, where it has zeros."""
    pseudo = packed(source) + packed(destination) + struct.pack("!II", len(body), protocol)
    return body[:offset] + struct.pack("!H", checksum(pseudo + body)) + body[offset + 2:]


def udp(source, destination, sport, dport):
    text = b"attack"
    return summed(source, destination, 17, struct.pack("!HHHH", sport, dport, 8 + len(text), 0) + text, 6)


def tcp(source, destination, dport, flags):
    return summed(source, destination, 6, struct.pack("!HHIIBBHHH", 53, dport, 1, 1, 0x50, flags, 8192, 0, 0), 16)


def packet(source, destination, protocol, body, options=b"", fragment=0):
    if family(source) == socket.AF_INET6:
        hops = 255 if protocol == 58 else 64
        return struct.pack("!IHBB", 6 << 28, len(body), protocol, hops) + packed(source) + packed(destination) + body
    words = 5 + len(options) // 4
    head = struct.pack("!BBHHHBBH", 0x40 | words, 0, words * 4 + len(body), 1, fragment, 64, protocol, 0)
    head += packed(source) + packed(destination) + options
    return head[:10] + struct.pack("!H", checksum(head)) + head[12:] + body


def fragment6(next_header, offset_and_more, number, part):
    return struct.pack("!BBHI", next_header, 0, offset_and_more, number) + part


def datagrams4(own, via, to, sport, dport):
    plain = udp(own, to, sport, dport)
    yield packet(own, to, 17, plain)
    yield packet(own, to, 17, plain, bytes([131, 7, 4]) + packed(to) + b"\0")
    yield packet(own, via, 17, udp(own, via, sport, dport), bytes([131, 7, 4]) + packed(to) + b"\0")
    yield packet(own, to, 17, plain[:8], fragment=0x2000)
    yield packet(own, to, 17, plain[8:], fragment=1)
    inner = packet(via, to, 17, udp(via, to, sport, dport))
    yield packet(own, to, 4, inner)
    yield packet(own, to, 47, struct.pack("!HH", 0, 0x0800) + inner)


def datagrams6(own, via, to, sport, dport):
    plain = udp(own, to, sport, dport)
    options = struct.pack("!BBBBI", 17, 0, 1, 4, 0)
    yield packet(own, to, 17, plain)
    yield packet(own, to, 0, options + plain)
    yield packet(own, to, 60, options + plain)
    yield packet(own, to, 43, struct.pack("!BBBBI", 17, 0, 0, 0, 0) + plain)
    yield packet(own, via, 43, struct.pack("!BBBBI", 17, 2, 0, 1, 0) + packed(to) + plain)
    yield packet(own, via, 43, struct.pack("!BBBBBBH", 17, 2, 4, 1, 0, 0, 0) + packed(to) + plain)
    yield packet(own, to, 44, fragment6(17, 1, 7, plain[:8]))
    yield packet(own, to, 44, fragment6(17, 8, 7, plain[8:]))
    yield packet(own, to, 44, fragment6(60, 1, 9, options))  # what it carries is in the next one only
    yield packet(own, to, 44, fragment6(60, 8, 9, plain))


def errors4(own, via, to):
    inner = packet(to, via, 17, udp(to, via, 53, 53))[:28]
    for kind, code in ICMP4:
        body = struct.pack("!BBHI", kind, code, 0, 0) + inner
        yield packet(own, to, 1, body[:2] + struct.pack("!H", checksum(body)) + body[4:])


def messages6(own, to, mac):
    for kind in ICMP6:
        body = struct.pack("!BBHI", kind, 0, 0, 0) + packed(to) + b"\2\1" + mac
        yield packet(own, to, 58, summed(own, to, 58, body, 2))


def everything(own4, own6, via, target, mac):
    for flags in TCP_FLAGS:
        for port in (22, 80, 999):
            yield packet(own4, target[1], 6, tcp(own4, target[1], port, flags))
            yield packet(own6, target[2], 6, tcp(own6, target[2], port, flags))
    for sport in (53, 67, 123, 5353):
        for dport in (53, 999):
            yield from datagrams4(own4, via[1], target[1], sport, dport)
            yield from datagrams6(own6, via[2], target[2], sport, dport)
            yield packet(own4, target[1], 41, packet(via[2], target[2], 17, udp(via[2], target[2], sport, dport)))
    yield from errors4(own4, via[1], target[1])
    yield from messages6(own6, target[2], mac)


def main():
    interface, own_mac, own4, own6, *rest = sys.argv[1:]
    hosts, targets = [[place.split("/") for place in part] for part in (rest[:rest.index("--")], rest[rest.index("--") + 1:])]
    mac = bytes.fromhex(own_mac.replace(":", ""))
    s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
    s.bind((interface, 0))
    count = 0
    for via in hosts:
        for target in targets:
            for one in everything(own4, own6, via, target, mac):
                kind = 0x86dd if one[0] >> 4 == 6 else 0x0800
                s.send(bytes.fromhex(target[0].replace(":", "")) + mac + struct.pack("!H", kind) + one)
                count += 1
    print(count)


main()
