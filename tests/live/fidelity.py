#!/usr/bin/env python3
"""Is netjail, seen from its caller, the command itself? fidelity.py NETJAIL CHECK...

Most checks do the same thing twice, with the command alone and with netjail before it, and compare. Exits with 1
after the first difference.
"""
import array
import ctypes
import fcntl
import os
import pty
import resource
import select
import signal
import struct
import subprocess
import sys
import termios
import time

NETJAIL = [sys.argv[1], "-q"]


def fail(*words):
    sys.exit(" ".join(str(w) for w in words))


def no_core():
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def both(command, what, **options):
    """The command's (status, stdout, stderr) alone and in a jail; they must be equal."""
    alone = subprocess.run(command, capture_output=True, timeout=20, **options)
    jailed = subprocess.run(NETJAIL + command, capture_output=True, timeout=20, **options)
    for name in ("returncode", "stdout", "stderr"):
        if getattr(alone, name) != getattr(jailed, name):
            fail(f"{what}: {name} is {getattr(jailed, name)!r} with netjail, {getattr(alone, name)!r} without")
    return alone


def wait_until(condition, what, seconds=10):
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            fail("timed out:", what)
        time.sleep(0.01)


def check_deaths():
    """Of every signal that kills; those that do not: the command goes on."""
    for number in sorted(signal.valid_signals()):
        name = f"death by signal {number}"
        if number in (signal.SIGSTOP, signal.SIGTSTP, signal.SIGTTIN, signal.SIGTTOU):
            continue
        both(["sh", "-c", f"kill -{int(number)} $$; exit 77"], name, preexec_fn=no_core)


def check_core():
    """One core file at most, and the command's status says whether there was one."""
    status = os.waitpid(subprocess.Popen(NETJAIL + ["sh", "-c", "ulimit -c 0; kill -SEGV $$"]).pid, 0)[1]
    if not os.WIFSIGNALED(status) or os.WCOREDUMP(status):
        fail("a core that was not wanted:", status)


def check_exits():
    for code in (0, 1, 2, 63, 64, 99, 124, 125, 126, 127, 128, 129, 137, 143, 200, 254, 255):
        both(["sh", "-c", f"exit {code}"], f"exit {code}")


STATE = r"""
umask; pwd; ulimit -a; nice; ionice -p $$; taskset -p $$ | sed 's/.*: //'; chrt -p $$ | sed 's/.*: //'
cat /proc/$$/cgroup /proc/$$/oom_score_adj /proc/$$/personality /proc/$$/limits
grep -E 'Sig(Blk|Ign|Cgt)|^(Uid|Gid|Umask|Threads|Cpus_allowed|Mems_allowed|THP|Speculation_Store)' /proc/self/status
env | grep -vE '^(NETJAIL_|_=)' | sort
for fd in 0 1 2 3 4 5 9 63 250; do [ -e /proc/$$/fd/$fd ] && echo fd $fd; done
[ -t 0 ] && tty; printf '%s\n' "$0" "$@"; cat /proc/$$/comm; cat /proc/$$/coredump_filter
"""


def check_state():
    """What a process inherits."""
    command = ["sh", "-c", STATE, "name", "", "two words", "\u00e4\n"]
    both(command, "the plain state")
    os.environ["LONG"] = "x" * 100000
    os.environ["EMPTY"] = ""
    os.environ["LC_ALL"] = "no_SUCH.locale"
    both(command, "with a long environment")
    for mask in (0, 0o27, 0o777):
        both(command, f"with umask {mask:o}", umask=mask)

    def limits():
        for limit, value in ((resource.RLIMIT_NOFILE, 260), (resource.RLIMIT_CORE, 0), (resource.RLIMIT_CPU, 77),
                             (resource.RLIMIT_FSIZE, 1 << 20), (resource.RLIMIT_STACK, 1 << 20),
                             (resource.RLIMIT_MEMLOCK, 65536), (resource.RLIMIT_MSGQUEUE, 4096)):
            resource.setrlimit(limit, (value, value))
        os.nice(7)
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    both(command, "with limits, nice and affinity", preexec_fn=limits)

    def signals():
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGCHLD, signal.SIGHUP, signal.SIGPIPE, 40):
            signal.signal(number, signal.SIG_IGN)
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR1, signal.SIGTERM, signal.SIGCHLD, signal.SIGCONT, 50})
    both(command, "with signals ignored and blocked", preexec_fn=signals, restore_signals=False)

    def descriptors():
        for fd in (3, 9, 63, 250):
            os.dup2(os.open("/etc/passwd", os.O_RDONLY), fd, inheritable=True)
        for fd in (4, 5):
            os.dup2(os.pipe()[0], fd, inheritable=True)
    both(command, "with inherited descriptors", preexec_fn=descriptors, close_fds=False)
    for closed in ((0,), (0, 1), (0, 1, 2)):
        script = " ".join(f"{fd}>&-" for fd in closed)
        both(["sh", "-c", f"exec \"$@\" {script}", "-", "sh", "-c", "ls /proc/$$/fd > $T/fds; cat $T/fds >&2; exit 3"],
             f"with {closed} closed")
    directory = os.path.join(os.environ["T"], "gone")
    os.mkdir(directory)

    def gone():
        os.chdir(directory)
        os.rmdir(directory)
        os.mkdir(directory)
    both(["readlink", "/proc/self/cwd"], "in a directory that is gone", preexec_fn=gone)


def check_argv0():
    """The name under which a program is called is its own affair: netjail hands it on as it is."""
    both(["bash", "-c", "tr '\\0' ' ' < /proc/$$/cmdline", "a", "", "b"], "cmdline")


def check_signals():
    """Each catchable signal that is sent to netjail's pid arrives once."""
    script = ("import signal, sys, os\n"
              "n = int(sys.argv[1]); signal.pthread_sigmask(signal.SIG_BLOCK, {n, signal.SIGALRM})\n"
              "print('ready', flush=True); count = 0\n"
              "while True:\n"
              "    got = signal.sigwait({n, signal.SIGALRM})\n"
              "    if got == signal.SIGALRM: break\n"
              "    count += 1; print('got', flush=True)\n"
              "sys.exit(100 + count)\n")
    for number in sorted(signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP, signal.SIGALRM, signal.SIGCONT,
                                                   signal.SIGCHLD, signal.SIGTSTP, signal.SIGTTIN, signal.SIGTTOU}):
        if 35 < number < 63:
            continue
        process = subprocess.Popen(NETJAIL + ["/usr/bin/python3", "-c", script, str(int(number))], stdout=subprocess.PIPE,
                                   start_new_session=True, restore_signals=True)
        process.stdout.readline()
        process.send_signal(number)
        if process.stdout.readline() != b"got\n":
            fail("signal", number, "did not arrive")
        process.send_signal(signal.SIGALRM)
        if process.wait(10) != 101:
            fail("signal", number, "status", process.returncode)


def check_stops():
    """WIFSTOPPED with the command's signal, WIFCONTINUED, and it goes on where it stood."""
    for number in (signal.SIGSTOP, signal.SIGTSTP, signal.SIGTTIN, signal.SIGTTOU):
        for prefix in ([], NETJAIL):
            ours, theirs = os.pipe()
            pid = os.fork()
            if pid == 0:
                os.setpgid(0, 0)  # not an orphaned group: its parent is in the session
                os.dup2(ours, 0)
                os.close(theirs)
                os.execvp((prefix + ["sh"])[0], prefix + ["sh", "-c", f"kill -{int(number)} $$; read go; exit 9"])
            os.close(ours)
            status = os.waitpid(pid, os.WUNTRACED)[1]
            if not os.WIFSTOPPED(status) or os.WSTOPSIG(status) != number:
                os.kill(pid, signal.SIGKILL)
                fail("stop by", number, prefix, "status", hex(status))
            os.kill(pid, signal.SIGCONT)
            status = os.waitpid(pid, os.WCONTINUED)[1]
            if not os.WIFCONTINUED(status):
                fail("continued after", number, prefix, "status", hex(status))
            os.close(theirs)  # only now it may end: a status that nobody has read yet is replaced by the next
            status = os.waitpid(pid, 0)[1]
            if os.waitstatus_to_exitcode(status) != 9:
                fail("end after", number, prefix, "status", hex(status))
    # Sent to netjail's pid: the command stops too.
    process = subprocess.Popen(NETJAIL + ["sh", "-c", "echo $$; exec tail -f /dev/null"], stdout=subprocess.PIPE,
                               process_group=0)
    process.stdout.readline()
    for _ in range(3):
        process.send_signal(signal.SIGTSTP)
        status = os.waitpid(process.pid, os.WUNTRACED)[1]
        if not os.WIFSTOPPED(status):
            fail("SIGTSTP to netjail:", status)
        process.send_signal(signal.SIGCONT)
    process.send_signal(signal.SIGTERM)
    if process.wait(10) != -15:
        fail("after stops:", process.returncode)


def check_window():
    """A change of the terminal's size is told once."""
    for prefix in ([], NETJAIL):
        pid, fd = pty.fork()
        if pid == 0:
            script = ("import signal, sys, os, fcntl, termios, struct, time\n"
                      "signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGWINCH, signal.SIGALRM})\n"
                      "print('ready', flush=True); count = 0\n"
                      "signal.sigwait({signal.SIGWINCH})\n"
                      "print(os.get_terminal_size(0), flush=True)\n"
                      "extra = signal.sigtimedwait({signal.SIGWINCH}, 0.3)\n"
                      "print('twice' if extra else 'once', flush=True)\n")
            os.execvp((prefix + ["x"])[0] if prefix else "/usr/bin/python3", prefix + ["/usr/bin/python3", "-c", script])
        read_until(fd, b"ready")
        fcntl.ioctl(fd, termios.TIOCSWINSZ, struct.pack("HHHH", 33, 101, 0, 0))
        seen = read_until(fd, b"once", b"twice")
        if b"columns=101, lines=33" not in seen or b"once" not in seen:
            fail("window:", prefix, seen)
        os.waitpid(pid, 0)
        os.close(fd)


def read_until(fd, *words, seconds=10):
    seen = b""
    end = time.monotonic() + seconds
    while not any(word in seen for word in words):
        if not select.select([fd], [], [], max(0, end - time.monotonic()))[0]:
            fail("waited for", words, "saw", seen)
        try:
            part = os.read(fd, 4096)
        except OSError:
            part = b""
        if not part:
            fail("waited for", words, "saw", seen)
        seen += part
    return seen


def check_sessions():
    """Session leader or not, with a terminal or without."""
    command = ["sh", "-c", "ps -o tty= -p $$; [ -t 0 ] && echo terminal; exit 4"]
    both(command, "as a session leader", start_new_session=True, stdin=subprocess.DEVNULL)
    both(command, "not a session leader", stdin=subprocess.DEVNULL)
    both(command, "as a group leader", process_group=0, stdin=subprocess.DEVNULL)
    for prefix in ([], NETJAIL):
        pid, fd = pty.fork()
        if pid == 0:
            os.execvp((prefix + ["sh"])[0], prefix + ["sh", "-c", "[ \"$(ps -o tpgid= -p $$)\" -gt 0 ] || [ -t 0 ] && "
                                                                  "stty size && echo done; exec 0>&- 1>&- 2>&-; exit 6"])
        read_until(fd, b"done")
        if os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) != 6:
            fail("on a terminal of its own")
        os.close(fd)


def check_hangup():
    """The terminal goes away: the command gets SIGHUP, netjail ends as it does."""
    for script, expected in (("echo ready; exec tail -f /dev/null", -1), ("trap 'exit 5' HUP; echo ready; while :; do "
                                                                          "sleep 0.1; done", 5)):
        pid, fd = pty.fork()
        if pid == 0:
            os.execvp(NETJAIL[0], NETJAIL + ["sh", "-c", script])
        read_until(fd, b"ready")
        os.close(fd)
        status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        if status != expected:
            fail("hang-up:", script, status)


def check_pipes():
    both(["bash", "-c", "set -o pipefail; yes | head -n 3; echo ${PIPESTATUS[@]}"], "a pipe inside")
    alone = subprocess.run(["bash", "-c", "yes | head -n1; echo ${PIPESTATUS[0]}"], capture_output=True)
    jailed = subprocess.run(["bash", "-c", '"$@" yes | head -n1; echo ${PIPESTATUS[0]}', "-", *NETJAIL], capture_output=True)
    if alone.stdout != jailed.stdout:
        fail("SIGPIPE:", jailed.stdout, jailed.stderr)
    # A pipe above 2 ends for its reader when the command closes it, not when netjail ends.
    # (2 stays open: netjail's own messages go there.)
    for fd in (1, 7):
        read, write = os.pipe()
        process = subprocess.Popen(NETJAIL + ["sh", "-c", f"exec {fd}>&-; exec tail -f /dev/null"], pass_fds=(write,),
                                   stdin=subprocess.DEVNULL,
                                   preexec_fn=lambda fd=fd, write=write: (os.dup2(write, fd, inheritable=True),
                                                                          os.close(write)))
        os.close(write)
        ended = select.select([read], [], [], 5)[0]
        process.terminate()
        process.wait()
        os.close(read)
        if not ended:
            fail("descriptor", fd, "is held open by netjail")


def check_alarm():
    """alarm(2) outlasts exec(), and is meant for the command."""
    both(["sleep", "5"], "alarm", preexec_fn=lambda: signal.setitimer(signal.ITIMER_REAL, 0.5))


def check_usage():
    """What the command has used is told to whoever waits for netjail: time(1)."""
    command = [sys.executable, "-c", "import time\nwhile time.process_time() < 0.3: pass"]
    on_the_host = [["-e", "link eth0 veth host"]] if os.geteuid() == 0 else []
    for options in [[], ["-P", "8099:80"], ["-e", "processes shared"], *on_the_host]:
        usage = os.wait4(subprocess.Popen([*NETJAIL, *options, *command]).pid, 0)[2]
        if usage.ru_utime + usage.ru_stime < 0.29:
            fail(options, "the command has used", usage.ru_utime, usage.ru_stime)


def check_storm():
    """Hundreds of descriptors."""
    resource.setrlimit(resource.RLIMIT_NOFILE, (4096, 4096))

    def many():
        for fd in range(10, 1500):
            os.dup2(0, fd, inheritable=True)
    both(["ls", "/proc/self/fd"], "1,490 descriptors", preexec_fn=many, close_fds=False, stdin=subprocess.DEVNULL)


CHECKS = {name[6:]: value for name, value in list(globals().items()) if name.startswith("check_")}


def main():
    for name in sys.argv[2:] or CHECKS:
        CHECKS[name]()


main()
