#!/usr/bin/python3
"""The programs of tests/bench/relay: a server outside, and what runs in the jail."""
import resource
import selectors
import socket
import sys
import time


def serve(address):
    s = socket.create_server((address, 9000), backlog=4096)
    u = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    u.bind((address, 9000))
    s.setblocking(False)
    u.setblocking(False)
    resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)
    ready = selectors.DefaultSelector()
    ready.register(s, selectors.EVENT_READ)
    ready.register(u, selectors.EVENT_READ)
    while True:
        for key, _ in ready.select():
            if key.fileobj is s:
                c, _ = s.accept()
                ready.register(c, selectors.EVENT_READ)
            elif key.fileobj is u:
                u.sendto(*u.recvfrom(2048))
            else:
                data = b""
                try:
                    data = key.fileobj.recv(65536)
                    key.fileobj.send(data[:16])
                except OSError:
                    pass
                if not data:
                    ready.unregister(key.fileobj)
                    key.fileobj.close()


def rate(address):
    end, count = time.monotonic() + 3, 0
    while time.monotonic() < end:
        with socket.create_connection((address, 9000)) as s:
            s.send(b"x")
            s.recv(1)
            count += 1
    print(count / 3)


def datagrams(address):
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.connect((address, 9000))
    s.settimeout(2)
    end, count = time.monotonic() + 3, 0
    while time.monotonic() < end:
        s.send(b"x" * 64)
        s.recv(2048)
        count += 1
    print(count / 3)


def many(address, count):
    """Holds connections until standard input ends."""
    resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)
    held = []
    start = time.monotonic()
    for _ in range(count):
        try:
            held.append(socket.create_connection((address, 9000), 20))
        except OSError as e:
            print(f"after {len(held)} connections: {e}")
            break
    print(f"{len(held)} connections in {time.monotonic() - start:.1f} s", flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    if sys.argv[1] == "many":
        many(sys.argv[2], int(sys.argv[3]))
    else:
        {"serve": serve, "rate": rate, "datagrams": datagrams}[sys.argv[1]](sys.argv[2])
