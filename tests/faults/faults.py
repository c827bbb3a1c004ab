#!/usr/bin/env python3
"""Makes single system calls of netjail fail, or kills its processes there; judges what becomes of the jail.

    faults.py --work DIR [--seconds N] [--seed N] [--kinds fail,kill,lie] [--modes A,B] [--only MODE:KIND:ROLE:NUMBER:ERRNO]
        [--shard I/N]       one of N parts, which together are all: for hosts of their own, side by side
        [--refuse CALLS]    only calls of these names inside the jail before the command runs, with EPERM: it must not
                            run, whatever the probe says

Runs inside a fake host (tests/live/lib.sh), as root or as a user. For each mode, one run lists every system call of
supervisor, init, service and of the command's process before its exec; then each is visited in runs of its own, in
random order, until the time is over, or all, with a line of counts every 500 (0: no limit).
    fail    the call returns -ERRNO: either the command saw a jail as strong as without the fault (probe.c looks at it from
            inside), or it never ran: exit status 125, one sentence, nothing left
    lie     a call inside the jail says that it has worked and was not made: as for fail, for what counts is read back
    kill    SIGKILL to the process as it enters the call: no process of the jail survives the supervisor, and after
            `netjailctl gc` nothing is left
Ends with one line of counts; exits with 1 when there was a failure.
"""
import argparse
import collections
import errno
import hashlib
import os
import random
import re
import shutil
import socket
import subprocess
import sys
import time

from host import read
from modes import EXEC, MODES, NETJAIL, NETJAILCTL, Surroundings, policy

# What cannot fail, or whose failure would not be one of this world: a closed descriptor that stays open.
NEVER = set("""close munmap brk exit exit_group rt_sigreturn restart_syscall getpid getppid gettid getuid geteuid getgid getegid
    getresuid getresgid getpgrp getsid rt_sigprocmask rt_sigaction rt_sigpending set_tid_address set_robust_list arch_prctl
    rseq futex uname umask sched_yield time gettimeofday clock_gettime madvise alarm pause getrandom""".split())
ONLY_ENOMEM = {"mmap", "mprotect", "mremap"}  # (brk(2) has no errno: it returns the old break)
INTERRUPTED = set("""read write readv writev recvmsg sendmsg sendto recvfrom poll ppoll wait4 waitid connect accept4 openat
    flock clock_nanosleep nanosleep epoll_wait epoll_pwait pread64 fsync""".split())
ONLY_EINTR = {"wait4", "waitid"}
# Calls of init and of the command's process that can be made to lie: success, and nothing done.
LIES = set("""capset prctl seccomp setresuid setresgid setgroups mount mount_setattr move_mount landlock_restrict_self fchmod
    fchown mkdir chdir setpgid unlink umount2 pivot_root dup2 dup3 fcntl getdents64""".split())


def shuffled(cases, seed, shard):
    """The shard's, in an order that hangs on what a case is and not on its number: one more call leaves the others' order
    and shards as they were, so that a run as long as the last one visits the same."""
    counts, nth = collections.Counter(), {}
    for _, name, _, role, number, call, _ in cases:
        if (name, role, number) not in nth:
            counts[name, role, call] += 1
            nth[name, role, number] = counts[name, role, call]

    def place(case):
        _, name, kind, role, number, call, code = case
        return hashlib.sha256(f"{seed} {name} {kind} {role} {call} {nth[name, role, number]} {code}".encode()).digest()
    index, count = map(int, shard.split("/"))
    return sorted((case for case in cases if place(case)[-1] % count == index - 1), key=place)


class Harness:
    def __init__(self, options):
        self.options = options
        self.work = options.work
        self.inject = os.path.join(self.work, "inject")
        self.probe = os.path.join(self.work, "probe")
        self.result = os.path.join(self.work, "open", "result")
        os.mkdir(os.path.dirname(self.result))
        os.chmod(os.path.dirname(self.result), 0o777)
        self.manager = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.manager.bind(os.path.join(self.work, "manager"))
        os.mkfifo(os.path.join(self.work, "fifo"))
        # What must not reach the command: a directory, and a socket to nowhere.
        os.set_inheritable(os.open(self.work, os.O_RDONLY | os.O_DIRECTORY), True)
        os.set_inheritable(os.dup(self.manager.fileno()), True)
        self.around = None
        self.counts = collections.Counter()
        self.failed = 0

    def enter(self, name):
        if not self.around or self.around.mode is not MODES[name]:
            self.leave()
            self.around = Surroundings(MODES[name], self.work)

    def leave(self):
        if self.around:
            self.around.end()
        self.around = None

    def command(self, name):
        mode = MODES[name]
        os.environ.pop("NOTIFY_SOCKET", None)
        if mode.manager:
            os.environ["NOTIFY_SOCKET"] = self.manager.getsockname()
        arguments = list(mode.arguments)
        if mode.policy:
            arguments += ["-p", policy(self.work, name, mode.policy)]
        probe = [self.probe, self.result, *mode.asks, *mode.closed, *mode.links]
        if mode.how == "create":
            return [NETJAILCTL, "create", "created", *arguments]
        if mode.how == "exec":
            return ["/bin/bash", "-c", EXEC, "driver", NETJAIL, *arguments, NETJAILCTL, os.path.join(self.work, "fifo"),
                    NETJAILCTL, "exec", "executed", *probe]
        return [NETJAIL, "-q", "--wait-clean", *arguments, *probe]

    def run(self, name, *arguments):
        """(how it ended, stderr, what the probe found)"""
        if os.path.exists(self.result):
            os.unlink(self.result)
        # A file, not a pipe: a process that is left behind must not hold us.
        with open(os.path.join(self.work, "stderr"), "w+") as err, open(os.path.join(self.work, "stdout"), "w+") as out:
            subprocess.run([self.inject, *arguments, *self.command(name)], stdin=subprocess.DEVNULL, stdout=out,
                           stderr=err, close_fds=False)
            if MODES[name].how == "create":
                self.look_at_created()
            out.seek(0)
            err.seek(0)
            lines = out.read().splitlines()
            return (lines[-1] if lines else "nothing"), err.read(), read(self.result).strip()

    def look_at_created(self):
        """The probe from outside at a jail that has a name, with or without its supervisor; then it is deleted."""
        end = time.monotonic() + 5
        path = "/run/netns/created"
        while not os.path.exists(path) and self.around.processes() and time.monotonic() < end:
            time.sleep(0.005)
        if not os.path.exists(path):
            return
        mode = MODES["create"]
        # The name appears before its mount.
        alive = True
        while alive and not os.path.exists(self.result) and time.monotonic() < end:
            alive = bool(self.around.processes())
            subprocess.run(["nsenter", f"--net={path}", self.probe, self.result, "network", *mode.closed, *mode.links],
                           capture_output=True)
        subprocess.run([NETJAILCTL, "delete", "created"], capture_output=True)

    def clean(self, seconds=5):
        """Waits until no process of a jail is there; what is left otherwise."""
        end = time.monotonic() + seconds
        while (left := self.around.processes()) and time.monotonic() < end:
            time.sleep(0.004)
        # A cable's end goes a moment after the jail, and nobody waits for it.
        while not left and any("partner's" in line for line in self.around.left()) and time.monotonic() < end:
            time.sleep(0.02)
        return left, [] if left else self.around.left()

    def list(self, name):
        self.enter(name)
        path = os.path.join(self.work, f"calls-{name}")
        ended, err, found = self.run(name, "list", path)
        if ended != "status 0" or found != "strong":
            sys.exit(f"{name}, without a fault: {ended}, {found}, {err}")
        if any(left := self.clean()):
            sys.exit(f"{name}, without a fault, leaves {left}")
        return [line.split() for line in read(path).splitlines()]

    def is_ours(self, mode, role, name, seen):
        """Of the exec mode only what happens once the program is asked for, and not the shell that asks."""
        if mode.how != "exec":
            return True
        seen.add(role)
        return role != "0" and "0.2" in seen

    def cases(self, name):
        """What to do to each call; the first number says in which order, where there is time for all."""
        mode, seen = MODES[name], set()
        for role, number, call, *late in self.list(name):
            if not self.is_ours(mode, role, call, seen):
                continue
            if "kill" in self.options.kinds and not self.options.refuse:
                yield 0, name, "kill", role, number, call, 0
            if "lie" in self.options.kinds and role.startswith(mode.init) and call in LIES and not self.options.refuse:
                yield 1, name, "lie", role, number, call, 0
            # The dynamic linker of netjailctl is not ours.
            if "fail" not in self.options.kinds or call in NEVER or (mode.how, role) == ("exec", "0.2"):
                continue
            if self.options.refuse:
                if role != "0" and not late and call in self.options.refuse.split(","):
                    yield 0, name, "fail", role, number, call, errno.EPERM
                continue
            for order, code in (1, errno.EPERM), (2, errno.EINTR), (3, errno.ENOMEM), (4, errno.ENOSYS):
                if call in ONLY_ENOMEM and code != errno.ENOMEM or call in ONLY_EINTR and code != errno.EINTR:
                    continue
                if code == errno.EINTR and call not in INTERRUPTED:
                    continue
                yield order, name, "fail", role, number, call, code

    def visit(self, name, kind, role, number, call, code):
        self.enter(name)
        hit = os.path.join(self.work, "hit")
        arguments = ["fail", role, number, str(code)] if kind != "kill" else ["kill", role, number]
        ended, err, found = self.run(name, *arguments, hit)
        met = read(hit).strip()
        if kind == "fail" and met in NEVER:  # the numbers have moved: what stands here now cannot fail in this world
            self.counts["not reached"] += 1
            self.clean()
            self.gc()
            self.around.mend()
            return
        why = self.judge(MODES[name], kind, role, met, ended, err, found)
        if self.options.refuse and found and met == call:
            why = "the command ran"
        if not met:
            self.counts["not reached"] += 1
        else:
            self.counts[kind] += 1
            self.counts[f"{kind}, " + ("the command ran" if found else "it did not run")] += 1
        if why:
            self.failed += 1
            print(f"FAULT {name}:{kind}:{role}:{number}:{code} ({met or call} "
                  f"{errno.errorcode.get(code, '')}): {why}; ended: {ended}; said: {err.strip()!r}", flush=True)

    def judge(self, mode, kind, role, met, ended, err, found):
        if ended == "hang":
            self.gc()
            return "it hangs"
        if found and found != "strong":
            self.gc()
            return f"the command ran in a jail that is {found}"
        why = None
        if not found and met:
            why = self.judge_refusal(mode, kind, role, met, ended, err)
        processes, left = self.clean()
        if processes:
            return f"still there: {processes}"
        if not left:
            return why
        # A clean-up that cannot be done says so; after SIGKILL there is nobody who could do it.
        excused = (kind == "kill" and role in (mode.supervisor, mode.thread, "0")) or "netjail: " in err
        self.gc()
        after = self.clean()
        if any(after):
            self.around.mend()
            return f"left even after gc: {after}"
        return why or (None if excused else f"left behind without a word: {left}")

    @staticmethod
    def judge_refusal(mode, kind, role, met, ended, err):
        if kind == "kill":
            if mode.supervisor == "0" and role in ("0", mode.thread):
                return None if ended == "signal 9" else "the supervisor did not die"
            if role == f"{mode.init}.1" or role == "0":
                return None  # the command's own process: it was killed, which is mirrored
            if mode.how != "run":
                return None if ended not in ("status 0", "nothing") else "a success without anything"
        elif met == "execve" and ended == "status 126":
            return None
        if ended != ("status 4" if mode.how == "create" else "status 125"):
            return "the command did not run, and the status is not the one of a failure"
        sentences = len(re.findall(r"^(?:netjail(?:ctl)?: |\S+:\d+:\d+: error: )(?!hint|warning)", err, re.M))
        return None if sentences >= 1 else "no sentence says why"

    def gc(self):
        return subprocess.run([NETJAILCTL, "gc"], capture_output=True).returncode

    def main(self):
        if self.options.only:
            name, kind, role, number, code = self.options.only.split(":")
            self.visit(name, kind, role, number, "?", int(code))
            return
        modes = self.options.modes.split(",") if self.options.modes else MODES
        cases = shuffled([case for name in modes for case in self.cases(name)], self.options.seed,
                         self.options.shard)
        if not self.options.seconds:  # all, one mode after the other, what finds most first
            cases.sort(key=lambda case: case[:2])
        end = time.monotonic() + (self.options.seconds or 10**9)
        done = 0
        for _, *case in cases:
            if time.monotonic() > end:
                break
            self.visit(*case)
            done += 1
            if done % 500 == 0 and not self.options.seconds:
                self.report(done, len(cases))
        self.report(done, len(cases))

    def report(self, done, count):
        what = ", ".join(f"{key}: {value}" for key, value in sorted(self.counts.items()))
        print(f"faults: {done} of {count} visited (seed {self.options.seed}); {what}; failures: {self.failed}", flush=True)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--work", required=True)
    parser.add_argument("--seconds", type=float, default=0)
    parser.add_argument("--seed", type=int, default=random.randrange(10**6))
    parser.add_argument("--kinds", default="fail,kill,lie")
    parser.add_argument("--modes", default="")
    parser.add_argument("--only", default="")
    parser.add_argument("--refuse", default="")
    parser.add_argument("--shard", default="1/1")
    harness = Harness(parser.parse_args())
    if not shutil.which("nft"):
        sys.exit("nft is not installed")
    try:
        harness.main()
    finally:
        harness.leave()
    sys.exit(1 if harness.failed else 0)


main()
