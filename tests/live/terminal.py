"""Job control through netjail on a pseudo-terminal: terminal.py NETJAIL. Exits with 0 when all is as without it."""
import fcntl
import os
import pty
import re
import select
import struct
import sys
import termios
import time


class Terminal:
    def __init__(self):
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.environ["PS1"] = "PROMPT% "
            os.environ["HISTFILE"] = "/dev/null"
            os.execvp("bash", ["bash", "--norc", "--noprofile", "-i"])
        self.seen = ""

    def resize(self, rows, columns):
        fcntl.ioctl(self.fd, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def send(self, text):
        os.write(self.fd, text.encode())

    def end(self):
        """A shell that has just been told of a stopped job asks to be told twice."""
        for _ in range(10):
            self.send("exit\n")
            for _ in range(50):
                if os.waitpid(self.pid, os.WNOHANG)[0]:
                    return
                time.sleep(0.02)
        sys.exit(f"terminal: the shell does not end; seen: {self.seen!r}")

    def comes(self, pattern, seconds):
        """Is it there within this time? If so it is taken."""
        end = time.monotonic() + seconds
        while not re.search(pattern, self.seen):
            left = end - time.monotonic()
            if left <= 0 or not select.select([self.fd], [], [], left)[0]:
                return False
            self.seen += os.read(self.fd, 4096).decode(errors="replace")
        self.expect(pattern)
        return True

    def expect(self, pattern, seconds=20):
        end = time.monotonic() + seconds
        while True:
            found = re.search(pattern, self.seen)
            if found:
                self.seen = self.seen[found.end():]
                return found
            left = end - time.monotonic()
            if left <= 0 or not select.select([self.fd], [], [], left)[0]:
                sys.exit(f"terminal: '{pattern}' did not come; seen: {self.seen!r}")
            try:
                self.seen += os.read(self.fd, 4096).decode(errors="replace")
            except OSError:
                sys.exit(f"terminal: closed while waiting for '{pattern}'; seen: {self.seen!r}")


def main():
    netjail = sys.argv[1]
    t = Terminal()
    t.expect("PROMPT% ")
    t.send(f"{netjail} -q sh -c 'echo st''arted; exec cat'\n")
    t.expect("started")
    t.send("line\n")
    t.expect("line\r\nline")
    t.send("\x1a")
    t.expect("Stopped")
    t.expect("PROMPT% ")
    t.send("fg\n")
    t.expect("cat")
    t.send("again\n")
    t.expect("again\r\nagain")
    t.send("\x03")
    t.expect("PROMPT% ")
    t.send("echo status=$?\n")
    t.expect("status=130")
    t.expect("PROMPT% ")
    t.send(f"{netjail} -q sh -c 'trap \"echo caught; exit 7\" INT; echo re''ady; while :; do sleep 1; done'\n")
    t.expect("ready")
    t.send("\x03")
    t.expect("caught")
    t.expect("PROMPT% ")
    t.send("echo status=$?\n")
    t.expect("status=7")
    t.send(f"{netjail} -q cat &\n")
    t.expect("PROMPT% ")
    # In the background a read stops it; a signal that comes while it stops would wait for SIGCONT.
    t.send("until jobs -s | grep -q cat; do :; done; echo sto''pped\n")
    t.expect("stopped")
    t.send("kill %1; wait; echo wa''ited\n")
    t.expect("waited")
    t.end()


if __name__ == "__main__":
    main()
