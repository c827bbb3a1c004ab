#!/usr/bin/python3
"""What tests do inside a jail with a relay.

scan ADDR LAST      connects to the ports up to LAST; prints those that answer
hold ADDR PORT N    opens N connections and keeps them; prints "N open, M refused"; then closes all and
                    prints the outcome of one more
idle ADDR PORT N GO opens N connections, prints "N open", and when the fifo GO says so shows that the first
                    and the last still carry something: ADDR PORT echoes
echo ADDR PORT      the server for it
stall ADDR PORT     sends to an echo server and never reads, until nothing more is taken; then shows that
                    another connection works, to the next port
report ADDR PORT    sends datagrams and waits for what the network reports about them (IP_RECVERR); prints it
burst ADDR PORT N   sends N datagrams whatever is reported
share ADDR PORT     asks by UDP from that port of every address, SO_REUSEADDR; then the same once more
yield ADDR PORT     asks by UDP while another has that port of every address for itself, then from the same
                    socket when the port is free
"""
import asyncio
import errno
import select
import socket
import sys


async def attempt(address, port, found, gate):
    async with gate:
        try:
            _, writer = await asyncio.wait_for(asyncio.open_connection(address, port), 20)
        except (OSError, asyncio.TimeoutError):
            return
        found.append(port)
        writer.close()


async def scan(address, last):
    found = []
    gate = asyncio.Semaphore(200)
    for start in range(1, last + 1, 4096):
        await asyncio.gather(*(attempt(address, port, found, gate) for port in range(start, min(start + 4096, last + 1))))
    print(*sorted(found))


def once(address, port):
    try:
        with socket.create_connection((address, port), 10) as s:
            s.settimeout(10)
            return "ok" if s.recv(5) == b"hello" else "closed"
    except OSError as e:
        return errno.errorcode.get(e.errno, str(e))


def hold(address, port, count):
    held, refused = [], 0
    for _ in range(count):
        try:
            s = socket.create_connection((address, port), 10)
            s.settimeout(10)
            if s.recv(5) != b"hello":
                raise ConnectionResetError
            held.append(s)
        except ConnectionError:
            refused += 1
    print(f"{len(held)} open, {refused} refused")
    for s in held:
        s.close()
    for _ in range(200):
        result = once(address, port)
        if result == "ok":
            break
    print(result)


def idle(address, port, count, go):
    held = []
    for _ in range(count):
        held.append(socket.create_connection((address, port), 20))
    print(f"{len(held)} open", flush=True)
    with open(go) as fifo:
        fifo.readline()
    for s in held[0], held[-1]:
        s.settimeout(20)
        s.sendall(b"still here\n")
        print(s.recv(16), flush=True)


async def echo(address, port):
    async def serve(reader, writer):
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, address, port, backlog=1024)
    await server.serve_forever()


def stall(address, port):
    s = socket.create_connection((address, port), 10)
    s.setblocking(False)
    total = 0
    while total < 1 << 28:
        try:
            total += s.send(bytes(65536))
        except BlockingIOError:
            if not select.select([], [s], [], 1)[1]:
                break
    print("stalled" if total < 1 << 28 else "endless", once(address, port + 1))


def report(address, port):
    is_v6 = ":" in address
    s = udp_socket(address)
    s.setsockopt(*((socket.IPPROTO_IPV6, 25, 1) if is_v6 else (socket.IPPROTO_IP, 11, 1)))  # IPV6_RECVERR, IP_RECVERR
    try:
        s.connect((address, port))
        s.send(b"hello\n")
        print("answered" if select.select([s], [], [], 10)[0] and s.recv(64) else "nothing")
    except OSError as e:
        print(errno.errorcode[e.errno])


def udp_socket(address):
    return socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_DGRAM)


def burst(address, port, count):
    s = udp_socket(address)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
    for _ in range(count):
        s.sendto(b"hello\n", (address, port))


def ask(s, address, port):
    s.settimeout(1)
    try:
        s.sendto(b"hello\n", (address, port))
        return "answered" if s.recv(64) else "nothing"
    except OSError as e:
        return errno.errorcode.get(e.errno, "nothing")


def every_address(address, port, shared):
    s = udp_socket(address)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, shared)
    s.bind(("", port))
    return s


def share(address, port):
    for _ in range(2):
        with every_address(address, port, 1) as s:
            print(ask(s, address, port), end=" ")
    print()


def make_way(address, port):
    s = udp_socket(address)
    with every_address(address, port, 0):
        print(ask(s, address, port), end=" ")
    print(ask(s, address, port))


if __name__ == "__main__":
    if sys.argv[1] == "scan":
        asyncio.run(scan(sys.argv[2], int(sys.argv[3])))
    elif sys.argv[1] == "hold":
        hold(sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))
    elif sys.argv[1] == "echo":
        asyncio.run(echo(sys.argv[2], int(sys.argv[3])))
    elif sys.argv[1] == "idle":
        idle(sys.argv[2], int(sys.argv[3]), int(sys.argv[4]), sys.argv[5])
    elif sys.argv[1] == "report":
        report(sys.argv[2], int(sys.argv[3]))
    elif sys.argv[1] == "burst":
        burst(sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))
    elif sys.argv[1] == "share":
        share(sys.argv[2], int(sys.argv[3]))
    elif sys.argv[1] == "yield":
        make_way(sys.argv[2], int(sys.argv[3]))
    else:
        stall(sys.argv[2], int(sys.argv[3]))
