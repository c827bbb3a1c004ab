#!/usr/bin/env python3
"""A service that notifies its manager: notifier.py STEP... in this order.

    send TEXT           a datagram; \\n and \\0 in it are what they mean
    big N               a datagram of N bytes
    fds KINDS TEXT      a datagram with descriptors: pipe, memfd, file, dir, netns, inet (of this network namespace),
                        unix (a socket pair's end), epoll, pidfd, linger (a socket that takes an hour to close), or the
                        number of an inherited one; joined by ','
    barrier             waits, 10 s at most, until the manager has dealt with all before
    watchdog            says WATCHDOG=1 if this process is the one to say it
    activation          prints LISTEN_FDS, LISTEN_FDNAMES, whether LISTEN_PID is this process
    flood N             N datagrams, without waiting for room when there is none
    on-hup TEXT         waits for SIGHUP, then sends TEXT
    until-term          waits for SIGTERM, then sends STOPPING=1 and exits with 0
    past TEXT GLOB      a datagram to the sockets there, past NOTIFY_SOCKET
    exit N
"""
import glob
import os
import select
import signal
import socket
import struct
import sys


def connected():
    address = os.environ["NOTIFY_SOCKET"]
    s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    s.connect("\0" + address[1:] if address.startswith("@") else address)
    return s


def unescape(text):
    return text.replace("\\n", "\n").replace("\\r", "\r").replace("\\0", "\0").encode()


def make(kind):
    if kind == "pipe":
        return os.pipe()[0]
    if kind == "memfd":
        return os.memfd_create("stored")
    if kind == "file":
        return os.open("/etc/passwd", os.O_RDONLY)
    if kind == "dir":
        return os.open("/", os.O_RDONLY)
    if kind == "netns":
        return os.open("/proc/self/ns/net", os.O_RDONLY)
    if kind == "inet":
        s = socket.socket()
        s.bind(("127.0.0.1", 0))
        s.listen()
        return s.detach()
    if kind == "unix":
        return socket.socketpair()[0].detach()
    if kind == "epoll":
        poll = select.epoll()
        poll.register(make("inet"), select.EPOLLIN)
        return os.dup(poll.fileno())
    if kind == "pidfd":
        return os.pidfd_open(os.getpid())
    if kind == "linger":
        server = socket.socket()
        server.bind(("127.0.0.1", 0))
        server.listen()
        s = socket.create_connection(server.getsockname())
        s.setblocking(False)
        try:
            while True:
                s.send(b"x" * 65536)
        except BlockingIOError:
            pass
        s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 3600))
        held.append(server)
        return s.detach()
    return int(kind)


held = []


def barrier(s):
    read, write = os.pipe()
    socket.send_fds(s, [b"BARRIER=1"], [write])
    os.close(write)
    print("barrier" if select.select([read], [], [], 10)[0] else "no barrier", flush=True)


def main():
    s = connected()
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGHUP, signal.SIGTERM})
    steps = iter(sys.argv[1:])
    for step in steps:
        if step == "send":
            s.send(unescape(next(steps)))
        elif step == "big":
            s.send(b"STATUS=" + b"x" * (int(next(steps)) - 7))
        elif step == "fds":
            fds = [make(kind) for kind in next(steps).split(",")]
            socket.send_fds(s, [unescape(next(steps))], fds)
            for fd in fds:
                os.close(fd)
        elif step == "barrier":
            barrier(s)
        elif step == "watchdog":
            print("watchdog", os.environ.get("WATCHDOG_USEC"), os.environ.get("WATCHDOG_PID") == str(os.getpid()), flush=True)
            s.send(b"WATCHDOG=1")
        elif step == "activation":
            print("activation", os.environ.get("LISTEN_FDS"), os.environ.get("LISTEN_FDNAMES"),
                  os.environ.get("LISTEN_PID") == str(os.getpid()), flush=True)
        elif step == "flood":
            s.setblocking(False)
            for i in range(int(next(steps))):
                try:
                    s.send(b"STATUS=%d" % i)
                except BlockingIOError:
                    pass
            s.setblocking(True)
        elif step == "on-hup":
            signal.sigwait({signal.SIGHUP})
            s.send(unescape(next(steps)))
        elif step == "until-term":
            signal.sigwait({signal.SIGTERM})
            s.send(b"STOPPING=1")
        elif step == "past":
            text = unescape(next(steps))
            for path in glob.glob(next(steps)):
                try:
                    socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM).sendto(text, path)
                except OSError as e:
                    print(e.strerror, flush=True)
        elif step == "exit":
            os._exit(int(next(steps)))
        else:
            sys.exit(f"notifier: {step}?")


main()
