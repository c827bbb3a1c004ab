#!/usr/bin/env python3
"""Makes single system calls of netjail fail, or kills its processes there; judges what becomes of the jail.

    faults.py --work DIR [--seconds N] [--seed N] [--kinds fail,kill,lie] [--modes A,B] [--only MODE:KIND:ROLE:NUMBER:ERRNO]
        [--refuse CALLS]    only calls of these names inside the jail before the command runs, with EPERM: it must not
                            run, whatever the probe says

Runs inside a fake host (tests/live/lib.sh), as root or as a user. For each mode, one run lists every system call of
supervisor, init, service and of the command's process before its exec; then each is visited in runs of its own, in
random order, until all are done or the time is over (0: no limit).
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
import os
import random
import re
import shutil
import socket
import subprocess
import sys
import time

ROOT = os.getuid() == 0
NETJAIL, NETJAILCTL = os.environ["NETJAIL"], os.environ["NETJAILCTL"]

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
    fchown mkdir chdir setpgid unlink umount2 pivot_root dup2 fcntl""".split())
SYSCTLS = ["net/ipv4/ip_forward"] + [f"net/{v}/conf/{i}/{k}" for v in ("ipv4", "ipv6") for i in ("all", "default", "up0")
                                     for k in ("forwarding", "accept_ra", "force_forwarding", "route_localnet")]

BRIDGE = """
network f_br { address 10.77.0.1/24 ; address fd00:77::1/64 ; nat }
name faulty
link eth0 bridge f_br { address 10.77.0.5/24 ; address fd00:77::5/64 }
publish any:8080 to 80
allow out tcp port 7
"""
VETH = """
name cable
link eth0 veth host { address 10.78.0.2/30 ; peer-address 10.78.0.1/30 ; nat }
allow out tcp to 192.0.2.0/24 port 7
"""
RELAY = """
name carried
link relay
allow out tcp to 192.0.2.100 port 7
"""

# name: (netjail's arguments, a policy, interfaces, what a probe must not reach: somebody listens there)
HOST = ["tcp/192.0.2.1/9999", "tcp/2001:db8:1::1/9999", "tcp/192.0.2.100/9", "tcp/2001:db8:1::100/9"]
MODES = {
    "plain": ([], None, [], HOST),
    "shared": (["-e", "processes shared"], None, [], HOST),
    "publish": (["-P", "8081:80"], None, [], HOST),
    "relay": ([], RELAY, [], HOST),
    "notify": ([], None, [], HOST),  # with a service manager that listens
}
if ROOT:
    MODES |= {
        "user": (["--user", "64321:64321"], None, [], HOST),
        "bridge": ([], BRIDGE, ["eth0"], HOST + ["tcp/10.77.0.1/9999", "tcp/fd00:77::1/9999"]),
        "veth": ([], VETH, ["eth0"], HOST + ["tcp/10.78.0.1/9999"]),
    }


def read(path):
    try:
        with open(path, errors="replace") as f:
            return f.read()
    except OSError:
        return ""


def jail_processes():
    for pid in filter(str.isdigit, os.listdir("/proc")):
        name = read(f"/proc/{pid}/comm").strip()
        state = read(f"/proc/{pid}/stat").rpartition(")")[2].split()
        if (name.startswith("netjail") or name == "probe") and state and state[0] not in "ZX":
            yield f"{pid} {name}"


def leftovers():
    """What a jail may have on the host."""
    found = [f"link {name}" for name in os.listdir("/sys/class/net")]
    for directory in ("/run/netjail", os.path.join(os.environ.get("XDG_RUNTIME_DIR") or "/nonexistent", "netjail")):
        if os.path.isdir(directory):
            found += [f"{directory}/{name}" for name in os.listdir(directory)]
    found += [f"{path} = {read('/proc/sys/' + path).strip()}" for path in SYSCTLS]
    found += [line.partition(" - ")[0].split(" ", 3)[3] for line in read("/proc/self/mountinfo").splitlines()]
    if ROOT:
        found += subprocess.run(["nft", "list", "tables"], capture_output=True, text=True).stdout.splitlines()
    return sorted(found)


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
        self.before = leftovers()
        self.counts = collections.Counter()
        self.failed = 0

    def command(self, mode):
        arguments, policy, links, closed = MODES[mode]
        os.environ.pop("NOTIFY_SOCKET", None)
        if mode == "notify":
            os.environ["NOTIFY_SOCKET"] = self.manager.getsockname()
        if policy:
            path = os.path.join(self.work, f"{mode}.conf")
            if not os.path.exists(path):
                with open(path, "w") as f:
                    f.write(policy)
                os.chmod(path, 0o644)
            arguments = [*arguments, "-p", path]
        return [NETJAIL, "-q", "--wait-clean", *arguments, self.probe, self.result, *closed, *links]

    def run(self, *arguments):
        """(how it ended, stderr, what the probe found)"""
        if os.path.exists(self.result):
            os.unlink(self.result)
        # A file, not a pipe: a process that is left behind must not hold us.
        with open(os.path.join(self.work, "stderr"), "w+") as err, open(os.path.join(self.work, "stdout"), "w+") as out:
            subprocess.run([self.inject, *arguments], stdin=subprocess.DEVNULL, stdout=out, stderr=err)
            out.seek(0)
            err.seek(0)
            lines = out.read().splitlines()
            return (lines[-1] if lines else "nothing"), err.read(), read(self.result).strip()

    def clean(self, seconds=5):
        """Waits until no process of a jail is there; what is left otherwise."""
        end = time.monotonic() + seconds
        while (left := list(jail_processes())) and time.monotonic() < end:
            time.sleep(0.01)
        now = [] if left else leftovers()
        return left, [line for line in now if line not in self.before] + \
            [f"{line} is gone" for line in self.before if line not in now]

    def list(self, mode):
        path = os.path.join(self.work, f"calls-{mode}")
        ended, err, found = self.run("list", path, *self.command(mode))
        if ended != "status 0" or found != "strong":
            sys.exit(f"{mode}, without a fault: {ended}, {found}, {err}")
        if any(left := self.clean()):
            sys.exit(f"{mode}, without a fault, leaves {left}")
        return [line.split() for line in read(path).splitlines()]

    def cases(self, mode):
        for role, number, name, *late in self.list(mode):
            if "kill" in self.options.kinds and not self.options.refuse:
                yield mode, "kill", role, number, name, 0
            if "lie" in self.options.kinds and role.startswith("0.1") and name in LIES and not self.options.refuse:
                yield mode, "lie", role, number, name, 0
            if "fail" not in self.options.kinds or name in NEVER:
                continue
            if self.options.refuse:
                if role != "0" and not late and name in self.options.refuse.split(","):
                    yield mode, "fail", role, number, name, errno.EPERM
                continue
            for code in (errno.EPERM, errno.ENOSYS, errno.ENOMEM, errno.EINTR):
                if name in ONLY_ENOMEM and code != errno.ENOMEM or name in ONLY_EINTR and code != errno.EINTR:
                    continue
                if code == errno.EINTR and name not in INTERRUPTED:
                    continue
                yield mode, "fail", role, number, name, code

    def visit(self, mode, kind, role, number, name, code):
        hit = os.path.join(self.work, "hit")
        arguments = ["fail", role, number, str(code)] if kind != "kill" else ["kill", role, number]
        ended, err, found = self.run(*arguments, hit, *self.command(mode))
        met = read(hit).strip()
        why = self.judge(kind, role, met, ended, err, found)
        if self.options.refuse and found and met == name:
            why = "the command ran"
        if not met:
            self.counts["not reached"] += 1
        else:
            self.counts[kind] += 1
            self.counts[f"{kind}, " + ("the command ran" if found else "it did not run")] += 1
        if why:
            self.failed += 1
            print(f"FAULT {mode}:{kind}:{role}:{number}:{code} ({met or name} "
                  f"{errno.errorcode.get(code, '')}): {why}; ended: {ended}; said: {err.strip()!r}", flush=True)

    def judge(self, kind, role, met, ended, err, found):
        if ended == "hang":
            self.gc()
            return "it hangs"
        if found and found != "strong":
            self.gc()
            return f"the command ran in a jail that is {found}"
        why = None
        if not found and met:
            why = self.judge_refusal(kind, role, met, ended, err)
        processes, left = self.clean()
        if processes:
            return f"still there: {processes}"
        if not left:
            return why
        # A clean-up that cannot be done says so; after SIGKILL there is nobody who could do it.
        excused = (kind == "kill" and role == "0") or "netjail: " in err
        self.gc()
        after = self.clean()
        if any(after):
            self.before = leftovers()
            return f"left even after gc: {after}"
        return why or (None if excused else f"left behind without a word: {left}")

    @staticmethod
    def judge_refusal(kind, role, met, ended, err):
        if kind == "kill":
            if role == "0":
                return None if ended == "signal 9" else "the supervisor did not die"
            if role == "0.1.1":
                return None  # the command's own process: it was killed, which is mirrored
        elif met == "execve" and ended == "status 126":
            return None
        if ended != "status 125":
            return "the command did not run, and the status is not 125"
        sentences = len(re.findall(r"^(?:netjail: |\S+:\d+:\d+: error: )(?!hint|warning)", err, re.M))
        return None if sentences >= 1 else "no sentence says why"

    def gc(self):
        return subprocess.run([NETJAILCTL, "gc"], capture_output=True).returncode

    def main(self):
        if self.options.only:
            mode, kind, role, number, code = self.options.only.split(":")
            self.visit(mode, kind, role, number, "?", int(code))
            return
        modes = self.options.modes.split(",") if self.options.modes else MODES
        cases = [case for mode in modes for case in self.cases(mode)]
        random.Random(self.options.seed).shuffle(cases)
        end = time.monotonic() + (self.options.seconds or 10**9)
        done = 0
        for case in cases:
            if time.monotonic() > end:
                break
            self.visit(*case)
            done += 1
        what = ", ".join(f"{key}: {value}" for key, value in sorted(self.counts.items()))
        print(f"faults: {done} of {len(cases)} visited (seed {self.options.seed}); {what}; failures: {self.failed}", flush=True)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--work", required=True)
    parser.add_argument("--seconds", type=float, default=0)
    parser.add_argument("--seed", type=int, default=random.randrange(10**6))
    parser.add_argument("--kinds", default="fail,kill,lie")
    parser.add_argument("--modes", default="")
    parser.add_argument("--only", default="")
    parser.add_argument("--refuse", default="")
    harness = Harness(parser.parse_args())
    if not shutil.which("nft"):
        sys.exit("nft is not installed")
    harness.main()
    sys.exit(1 if harness.failed else 0)


main()
