"""netjailctl exec and shell on a terminal: exec_terminal.py NETJAILCTL JAIL. Exits with 0 when all is as without it."""
import sys
import time

from terminal import Terminal

PROMPT = "PROMPT% "


def settings(t):
    t.send("stty -a | tail -n +2 | md5sum\n")
    found = t.expect("[0-9a-f]{32}").group(0)
    t.expect(PROMPT)
    return found


def shell(t, ctl, jail):
    inside = rf"\[{jail}\] "
    t.send(f"SHELL=/bin/bash {ctl} shell {jail}\n")
    t.expect(inside)
    t.send("stty size; echo pid $$\n")
    t.expect("33 77")
    t.expect(inside)
    t.send("(echo go''ing; exec cat)\n")
    t.expect("going\r")
    t.send("\x1a")
    t.expect("Stopped")
    t.expect(inside)
    t.send("fg\n")
    t.expect("exec cat")
    t.send("again\n")
    t.expect("again\r\nagain") # it has the terminal
    t.send("\x03")
    t.expect(inside)
    t.send("trap 'stty size' WINCH; echo re''ady\n")
    t.expect("ready")
    t.expect(inside) # a signal while bash makes its prompt confuses it
    t.resize(44, 88)
    while not t.comes("44 88", 1): # the shell heeds a trap between two lines, and the size takes its way
        t.send("\n")
    t.send("exit 5\n")
    t.expect(PROMPT)
    t.send("echo status=$?\n")
    t.expect("status=5")
    t.expect(PROMPT)


def stop_and_go(t, ctl, jail):
    t.send(f"{ctl} exec {jail} -- sh -c 'echo re''ady; exec cat'\n")
    t.expect("ready\r")
    t.send("hello\n")
    t.expect("hello\r\nhello")
    t.send("\x1a")
    t.expect("Stopped")
    t.expect(PROMPT)
    t.send("echo bet''ween\n")
    t.expect("between")
    t.expect(PROMPT)
    t.send("fg\n")
    t.expect("exec cat")
    t.send("again\n")
    t.expect("again\r\nagain")
    t.send("\x04")
    t.expect(PROMPT)
    t.send(f"{ctl} exec {jail} -- sh -c 'echo re''ady; exec sleep 50'\n")
    t.expect("ready\r")
    t.send("\x03")
    t.expect(PROMPT)
    t.send("echo status=$?\n")
    t.expect("status=130")
    t.expect(PROMPT)


def pipes(t, ctl, jail):
    t.send(f"{ctl} exec {jail} -- seq 3 | cat\n")
    t.expect("1\r\n2\r\n3\r\n")
    t.expect(PROMPT)
    t.send(f"{ctl} exec {jail} -- cat | tr a-z A-Z\n")
    t.send("abc\n")
    time.sleep(0.3) # the line must be a whole one before its end of file
    t.send("\x04")
    t.expect("ABC")
    t.expect(PROMPT)
    t.send(f"echo xyz | {ctl} exec {jail} -- tr a-z A-Z\n")
    t.expect("XYZ\r")
    t.expect(PROMPT)
    t.send(f"{ctl} exec {jail} -- true &\n")
    t.expect(PROMPT)
    t.send("wait; echo status=$?\n")
    t.expect("status=0")
    t.expect(PROMPT)


def main():
    ctl, jail = sys.argv[1:3]
    t = Terminal()
    t.resize(33, 77)
    t.expect(PROMPT)
    before = settings(t)
    shell(t, ctl, jail)
    stop_and_go(t, ctl, jail)
    pipes(t, ctl, jail)
    after = settings(t)
    if before != after:
        sys.exit("terminal: the settings are not as before")
    t.end()


main()
