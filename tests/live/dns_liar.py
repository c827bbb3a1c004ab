#!/usr/bin/env python3
"""A name server that misbehaves. dns_liar.py ADDR MODE [ARG]

Answers every A question by UDP and TCP at ADDR:53, and prints one line for each question that it got.
honest ADDRESS     as it should be, with this address, TTL 5
lower ADDRESS      with the question's letters made small
id, name, case, source, type, tc-garbage, garbage, loop, short, silent, refuse, servfail
    wrong in this respect
private ADDRESS    an address of somebody's own network
many N             N addresses
truncate ADDRESS   by UDP cut off, by TCP whole
rotate             another address at each question: 198.51.100.N
extra ADDRESS      beside the answer, one for another name
chain N            a chain of N CNAMEs
late ADDRESS       a false answer from another port first, the right one from the right port after it
"""
import socket
import struct
import sys
import threading


def name_end(data, at):
    while data[at]:
        at += data[at] + 1
    return at + 1


def record(owner, kind, data, ttl=5):
    return owner + struct.pack(">HHIH", kind, 1, ttl, len(data)) + data


POINTER = b"\xc0\x0c"
counter = 0


def addresses(mode, argument):
    global counter
    if mode == "many":
        return [f"198.51.{100 + i // 250}.{i % 250 + 1}" for i in range(int(argument))]
    if mode == "rotate":
        counter += 1
        return [f"198.51.100.{counter % 250 + 1}"]
    return [argument or "198.51.100.10"]


def encode(name):
    return b"".join(bytes([len(part)]) + part.encode() for part in name.split(".")) + b"\0"


def answer(data, mode, argument, by_tcp):
    """The reply, or None."""
    end = name_end(data, 12)
    question = data[12:end + 4]
    kind = struct.unpack(">H", data[end:end + 2])[0]
    ident, flags = data[:2], 0x8180
    if mode == "silent":
        return None
    if mode in ("refuse", "servfail"):
        return ident + struct.pack(">HHHHH", flags | (5 if mode == "refuse" else 2), 1, 0, 0, 0) + question
    if kind != 1 and kind != 28:
        return ident + struct.pack(">HHHHH", flags, 1, 0, 0, 0) + question
    if kind == 28:
        family, wanted = socket.AF_INET6, [a for a in addresses(mode, argument) if ":" in a]
    else:
        family, wanted = socket.AF_INET, [a for a in addresses(mode, argument) if ":" not in a]
    records = [record(POINTER, kind, socket.inet_pton(family, a)) for a in wanted]
    if mode == "id":
        ident = bytes([data[0] ^ 1, data[1]])
    elif mode == "name":
        question = encode("other.test") + data[end:end + 4]
    elif mode == "case":
        question = data[12:end].swapcase() + data[end:end + 4]
    elif mode == "lower":
        question = data[12:end].lower() + data[end:end + 4]
    elif mode == "type":
        question = data[12:end] + struct.pack(">HH", 16, 1)
    elif mode == "garbage":
        return ident + b"\x81\x80" + bytes(range(64))
    elif mode == "short":
        return ident + b"\x81"
    elif mode == "loop":
        records = [b"\xc0" + bytes([end + 4]) + struct.pack(">HHIH", 1, 1, 5, 4) + b"\1\2\3\4"]
    elif mode == "extra":
        records = [record(POINTER, 1, socket.inet_aton("198.51.100.10")),
                   record(encode("other.test"), 1, socket.inet_aton(argument))]
    elif mode == "chain":
        names = [f"c{i}.test" for i in range(int(argument))]
        owners = [POINTER] + [encode(n) for n in names]
        records = [record(owners[i], 5, encode(names[i])) for i in range(len(names))]
        if kind == 1:
            records.append(record(owners[-1], 1, socket.inet_aton("198.51.100.10")))
    if mode in ("truncate", "tc-garbage") and not by_tcp:
        return ident + struct.pack(">HHHHH", flags | 0x200, 1, 0, 0, 0) + question
    if mode == "tc-garbage":
        return b"\xff" * 40
    return ident + struct.pack(">HHHHH", flags, 1, len(records), 0, 0) + question + b"".join(records)


def say(data, how):
    end = name_end(data, 12)
    name, at = [], 12
    while data[at]:
        name.append(data[at + 1:at + 1 + data[at]].decode("latin1"))
        at += data[at] + 1
    kind = struct.unpack(">H", data[end:end + 2])[0]
    print(how, ".".join(name), kind, flush=True)


def serve_tcp(server, mode, argument):
    while True:
        client, _ = server.accept()
        with client:
            data = client.recv(4096)
            if len(data) < 14:
                continue
            say(data[2:], "tcp")
            reply = answer(data[2:], mode, argument, True)
            if reply is not None:
                client.sendall(struct.pack(">H", len(reply)) + reply)


def main():
    address, mode = sys.argv[1:3]
    argument = sys.argv[3] if len(sys.argv) > 3 else None
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    tcp = socket.socket(family, socket.SOCK_STREAM)
    tcp.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    tcp.bind((address, 53))
    tcp.listen(16)
    threading.Thread(target=serve_tcp, args=(tcp, mode, argument), daemon=True).start()
    udp = socket.socket(family, socket.SOCK_DGRAM)
    udp.bind((address, 53))
    other = socket.socket(family, socket.SOCK_DGRAM)
    other.bind((address, 0))
    while True:
        data, client = udp.recvfrom(4096)
        say(data, "udp")
        reply = answer(data, "honest" if mode in ("source", "late") else mode, argument, False)
        if reply is None:
            continue
        if mode in ("source", "late"):
            false = answer(data, "honest", "198.51.100.66", False)
            other.sendto(false if mode == "late" else reply, client)
        if mode != "source":
            udp.sendto(reply, client)


main()
