#!/usr/bin/python3
"""Frames that no ordinary program sends, and a count of what arrives: the attacks' tool.

Needs CAP_NET_RAW: it stands for a jail that has got far more than its command has.

send IFACE KIND KEY=VALUE...
    KIND is udp (both families), arp, na (neighbour advertisement), ra (router advertisement), bpdu.
    Keys: smac, dmac, src, dst, sport, dport, text, target (na, arp), vlan (tags, as in 5 or 5,6),
    count, fragment=1 (udp, na: in two fragments, the first one with eight bytes of it).
sniff IFACE SECONDS TEXT|-
    Counts frames that arrive on IFACE (not those that leave it) and contain TEXT; `-`: all frames. Ends when
    one arrives that contains "the last one", which does not count, or with an error after SECONDS.
udp SRC SPORT DST DPORT TEXT [COUNT]
    Datagrams from one bound socket: no privilege.
listen PROTO ADDR PORT SECONDS
    Prints how many datagrams or connections came in that time.
COMMAND... and COMMAND...: one after the other.
"""
import ipaddress
import socket
import struct
import sys
import time


def mac(text):
    return bytes.fromhex(text.replace(":", ""))


def checksum(data):
    if len(data) % 2:
        data += b"\0"
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xffff) + (total >> 16)
    return ~total & 0xffff


def ip_packets(source, destination, protocol, payload, offset, fragment=False):
    """payload has its checksum at offset, as zeros."""
    src, dst = ipaddress.ip_address(source), ipaddress.ip_address(destination)
    pseudo = src.packed + dst.packed + struct.pack("!II", len(payload), protocol)
    total = checksum(pseudo + payload)
    payload = payload[:offset] + struct.pack("!H", total or 0xffff) + payload[offset + 2:]

    def packet6(part, header):
        return struct.pack("!IHBB", 6 << 28, len(part), header, 255) + src.packed + dst.packed + part

    def fragment6(part, place):
        return packet6(struct.pack("!BBHI", protocol, 0, place, 77) + part, 44)

    if src.version == 6 and not fragment:
        return [packet6(payload, protocol)]
    if src.version == 6:
        return [fragment6(payload[:8], 1), fragment6(payload[8:], 8)]

    def packet(part, flags):
        head = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(part), 77, flags, 64, protocol, 0) + src.packed + dst.packed
        return head[:10] + struct.pack("!H", checksum(head)) + head[12:] + part
    if not fragment:
        return [packet(payload, 0)]
    return [packet(payload[:8], 0x2000), packet(payload[8:], 1)]


def build(kind, keys):
    """(ether type, payloads)"""
    if kind == "udp":
        text = keys.get("text", "attack").encode()
        udp = struct.pack("!HHHH", int(keys.get("sport", 4242)), int(keys["dport"]), 8 + len(text), 0) + text
        packets = ip_packets(keys["src"], keys["dst"], 17, udp, 6, "fragment" in keys)
        return (0x86dd if ":" in keys["src"] else 0x0800), packets
    if kind == "arp":
        sender = mac(keys.get("sha", keys["smac"])) + socket.inet_aton(keys["src"])
        return 0x0806, [struct.pack("!HHBBH", 1, 0x0800, 6, 4, 2) + sender + mac(keys["dmac"]) + socket.inet_aton(keys["target"]) + b"attack"]
    if kind == "na":
        target = ipaddress.ip_address(keys["target"]).packed
        message = struct.pack("!BBHI", 136, 0, 0, 0xa0000000 if "router" in keys else 0x20000000) + target
        message += b"\2\1" + mac(keys["smac"]) + b"\x0e\1attack"
        return 0x86dd, ip_packets(keys["src"], keys["dst"], 58, message, 2, "fragment" in keys)
    if kind == "ra":
        prefix = ipaddress.ip_address("2001:db8:666::").packed
        message = struct.pack("!BBHBBHII", 134, 0, 0, 64, 0, 1800, 0, 0) + b"\1\1" + mac(keys["smac"]) + b"\x0e\1attack"
        message += struct.pack("!BBBBIII", 3, 4, 64, 0xc0, 3600, 3600, 0) + prefix
        return 0x86dd, ip_packets(keys["src"], keys["dst"], 58, message, 2)
    if kind == "bpdu":
        # 802.1D: this bridge is the root, with the best priority.
        identity = struct.pack("!H", 0) + mac(keys["smac"])
        bpdu = struct.pack("!HBBB", 0, 0, 0, 0) + identity + struct.pack("!I", 0) + identity
        bpdu += struct.pack("!HHHHH", 0x8001, 0, 20 << 8, 2 << 8, 0)
        return 3 + len(bpdu), [b"\x42\x42\x03" + bpdu + b"attack"]
    sys.exit(f"unknown kind {kind}")


def send(interface, kind, *arguments):
    keys = dict(a.split("=", 1) for a in arguments)
    ether_type, payloads = build(kind, keys)
    tags = b"".join(struct.pack("!HH", 0x8100, int(t)) for t in keys["vlan"].split(",")) if "vlan" in keys else b""
    s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
    s.bind((interface, 0))
    for _ in range(int(keys.get("count", 1))):
        for payload in payloads:
            s.send(mac(keys["dmac"]) + mac(keys["smac"]) + tags + struct.pack("!H", ether_type) + payload)


def sniff(interface, seconds, text):
    s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
    s.bind((interface, 0))
    print("ready", flush=True)
    end = time.monotonic() + float(seconds)
    number = 0
    while (left := end - time.monotonic()) > 0:
        s.settimeout(left)
        try:
            frame, address = s.recvfrom(65535)
        except TimeoutError:
            break
        if b"the last one" in frame:
            print(number)
            return
        if address[2] != socket.PACKET_OUTGOING and (text == "-" or text.encode() in frame):
            number += 1
    sys.exit("the last frame did not come")


def udp(source, sport, destination, dport, text, count="1"):
    s = socket.socket(socket.AF_INET6 if ":" in destination else socket.AF_INET, socket.SOCK_DGRAM)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    s.bind((source, int(sport)))
    for _ in range(int(count)):
        try:
            s.sendto(text.encode(), (destination, int(dport)))
        except OSError as e:
            print(e.strerror)


def listen(protocol, address, port, seconds):
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    s = socket.socket(family, socket.SOCK_STREAM if protocol == "tcp" else socket.SOCK_DGRAM)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    s.bind((address, int(port)))
    if protocol == "tcp":
        s.listen(16)
    print("ready", flush=True)
    end = time.monotonic() + float(seconds)
    number = 0
    while (left := end - time.monotonic()) > 0:
        s.settimeout(left)
        try:
            s.accept() if protocol == "tcp" else s.recv(2048)
            number += 1
        except TimeoutError:
            break
    print(number)


commands = [[]]
for word in sys.argv[1:]:
    if word == "and":
        commands.append([])
    else:
        commands[-1].append(word)
for command, *rest in commands:
    {"send": send, "sniff": sniff, "udp": udp, "listen": listen}[command](*rest)
