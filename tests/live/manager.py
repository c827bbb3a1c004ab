#!/usr/bin/env python3
"""A service manager that judges as systemd does: manager.py [OPTIONS] -- COMMAND...

Starts COMMAND as a unit's main process with NOTIFY_SOCKET, and says on stdout what it takes and what it
refuses, a line each:
    main KEY=VALUE...      a datagram from the main process (NotifyAccess=main), its lines joined by ' '
    other PID KEY=...      one from somebody else: refused
    store NAME KIND        a descriptor it keeps, `unstore NAME` one it gives up, `barrier` one it closes
    exit N | killed N      how the main process ended
What systemd checks is checked: SCM_CREDENTIALS' pid against the main process, lengths, truncation, NULs.
    --abstract             NOTIFY_SOCKET is an abstract name (default: a path in $T)
    --socket ADDR:PORT=NAME  socket activation with this listening socket, repeated
    --watchdog USEC        WATCHDOG_USEC and WATCHDOG_PID
    --give NAME            activation with a pipe of that name
    --on WORD=ACTION       when a datagram has the line WORD: reload (SIGHUP to the main process), stop (SIGTERM
                           to it), kill-mixed (SIGTERM to it; when it has ended SIGKILL to its process group)
    --deaf                 never reads a datagram, as a manager that hangs
    --seconds N            gives up after that time
"""
import argparse
import array
import os
import select
import signal
import socket
import stat
import struct
import sys
import time


def say(*words):
    print(*words, flush=True)


def kind(fd):
    mode = os.fstat(fd).st_mode
    for name in ("fifo", "sock", "reg", "dir", "chr"):
        if getattr(stat, f"S_IS{name.upper()}")(mode):
            return name
    return "other"


class Manager:
    def __init__(self, options):
        self.options = options
        self.path = f"\0manager-{os.getpid()}" if options.abstract else f"{os.environ['T']}/manager-{os.getpid()}"
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(self.path)
        if not options.abstract:
            os.chmod(self.path, 0o777)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
        self.actions = dict(pair.rsplit("=", 1) for pair in options.on)

    def start(self):
        passed, names = [], []
        for text in self.options.socket:
            address, name = text.split("=")
            host, port = address.rsplit(":", 1)
            host = host.strip("[]")
            listener = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind((host, int(port)))
            listener.listen()
            passed.append(listener.detach())
            names.append(name)
        for name in self.options.give:
            passed.append(os.pipe()[0])
            names.append(name)
        self.main = os.fork()
        if self.main == 0:
            self.become(passed, names)
        for fd in passed:
            os.close(fd)

    def become(self, passed, names):
        environment = dict(os.environ, NOTIFY_SOCKET=self.path.replace("\0", "@"), SYSTEMD_EXEC_PID=str(os.getpid()))
        if passed:
            high = [os.dup2(fd, 500 + i) for i, fd in enumerate(passed)]
            for i, fd in enumerate(high):
                os.dup2(fd, 3 + i, inheritable=True)
            environment.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS=str(len(passed)), LISTEN_FDNAMES=":".join(names))
            os.closerange(3 + len(passed), 600)
        if self.options.watchdog:
            environment.update(WATCHDOG_USEC=self.options.watchdog, WATCHDOG_PID=str(os.getpid()))
        os.setsid()
        for number in (signal.SIGPIPE, signal.SIGINT, signal.SIGQUIT):  # Python's and a background shell's
            signal.signal(number, signal.SIG_DFL)
        os.execvpe(self.options.command[0], self.options.command, environment)

    def receive(self):
        text, controls, flags, _ = self.socket.recvmsg(4097, socket.CMSG_SPACE(4 * 768) + socket.CMSG_SPACE(12),
                                                       socket.MSG_DONTWAIT | socket.MSG_CMSG_CLOEXEC)
        fds, pid = array.array("i"), 0
        for level, of_type, data in controls:
            if (level, of_type) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
                fds.frombytes(data[:len(data) - len(data) % 4])
            elif (level, of_type) == (socket.SOL_SOCKET, socket.SCM_CREDENTIALS):
                pid = struct.unpack("iii", data)[0]
        try:
            if flags & (socket.MSG_TRUNC | socket.MSG_CTRUNC) or len(text) > 4096 or b"\0" in text[:-1]:
                say("ignored", len(text))
            elif pid != self.main:
                say("other", pid, text)
            else:
                self.take(text.decode(errors="replace").rstrip("\0").split("\n"), fds)
        finally:
            for fd in fds:
                os.close(fd)

    def take(self, lines, fds):
        if lines == ["BARRIER=1"] and len(fds) == 1:
            say("barrier")
            return
        say("main", *(line if len(line) < 300 else f"{line[:20]}...{len(line)}" for line in lines))
        name = next((line[7:] for line in lines if line.startswith("FDNAME=")), "stored")
        for fd in fds:
            say("store" if "FDSTORE=1" in lines else "stray", name, kind(fd))
        if "FDSTOREREMOVE=1" in lines:
            say("unstore", name)
        for line in lines:
            if line in self.actions:
                self.act(self.actions[line])

    def act(self, action):
        if action == "reload":
            os.kill(self.main, signal.SIGHUP)
        else:
            os.kill(self.main, signal.SIGTERM)

    def run(self):
        self.start()
        ended = os.pidfd_open(self.main)
        deadline = time.monotonic() + self.options.seconds
        watched = [ended] if self.options.deaf else [self.socket, ended]
        while True:
            ready = select.select(watched, [], [], max(0, deadline - time.monotonic()))[0]
            if self.socket in ready:
                self.receive()
            elif ended in ready:
                break
            elif not ready:
                say("gave up")
                os.kill(self.main, signal.SIGKILL)
        status = os.waitpid(self.main, 0)[1]
        if "kill-mixed" in self.actions.values():
            try:
                os.killpg(self.main, signal.SIGKILL)
            except ProcessLookupError:
                pass
        if os.WIFEXITED(status):
            say("exit", os.WEXITSTATUS(status))
        else:
            say("killed", os.WTERMSIG(status))
        if not self.options.abstract:
            os.unlink(self.path)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--abstract", action="store_true")
    parser.add_argument("--deaf", action="store_true")
    parser.add_argument("--socket", action="append", default=[])
    parser.add_argument("--give", action="append", default=[])
    parser.add_argument("--on", action="append", default=[])
    parser.add_argument("--watchdog", default="")
    parser.add_argument("--seconds", type=float, default=20)
    parser.add_argument("command", nargs="+")
    Manager(parser.parse_args()).run()


sys.exit(main())
